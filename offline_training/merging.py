"""SAM3D's baseline: `python -m offline_training.merging RECORDING -o OUT`; then `gcseg evaluate OUT --truth ...`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from gcseg_ros.config import load_config
from gcseg_ros.consoles import errors, print_line
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.merging import SHARE, VOXEL_M, as_map, keyframe_clouds, merged_bottom_up
from gcseg_ros.output import OutputFolder
from gcseg_ros.recordings import open_recording, parse_options
from offline_training.commands import run


def main(
    recording: Annotated[str, typer.Argument(metavar="RECORDING", help="As in gcseg map.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The folder to write.")],
    stride: Annotated[int, typer.Option(min=1, help="Frames from one keyframe to the next.")] = 10,
    masks: Annotated[
        Literal["geometric", "learned", "sam", "sam2"] | None,
        typer.Option(help="What finds the keyframes' masks; default: masks.generator of the settings."),
    ] = None,
    voxel_m: Annotated[float, typer.Option(min=0.001, help="Edge of a voxel.")] = VOXEL_M,
    share: Annotated[
        float, typer.Option(min=0.01, max=1, help="Labels that share at least this part of the smaller are one.")
    ] = SHARE,
    options: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="What the format takes, as in gcseg map.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings as YAML.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="PART.NAME=VALUE", help="One setting.")] = None,
) -> None:
    """Per-keyframe masks merged bottom-up, without tracking: OUT as of gcseg map, without label images."""
    start = time.perf_counter()
    loaded = load_config(config, [*([f"masks.generator={masks}"] if masks else []), *(settings or [])])
    source = open_recording(recording, **parse_options(options or ()))
    with OutputFolder(output) as folder, errors.status("merging"):
        cloud = merged_bottom_up(keyframe_clouds(source, stride, loaded, voxel_m), voxel_m, share)
        if not len(cloud.points):
            raise UserError(f"{recording} has no measured depth: nothing can be merged.")
        found = as_map(cloud)
        protocol = {"method": "bottom-up merging", "recording": recording, "keyframe_stride": stride}
        protocol |= {
            "masks": loaded.masks.generator,
            "skipped_frames": dict(source.skipped),
            "notes": list(source.notes),
        }
        seconds = round(time.perf_counter() - start, 3)
        folder.finish(
            found,
            {**protocol, "voxel_m": voxel_m, "share": share, "instances": len(found.objects), "wall_seconds": seconds},
        )
    for sentence in source.notes + source.left_out(len(source)):
        print_line(sentence, to=errors)
    print(f"{len(found.objects)} instances: {output}")


if __name__ == "__main__":
    sys.exit(run(main))
