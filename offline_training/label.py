"""Label recordings: `python -m offline_training.label REC... -o DIR --stage 1|2`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gcseg_ros.config import load_config
from gcseg_ros.consoles import errors, print_line, progress
from gcseg_ros.errors import UserError
from gcseg_ros.files import sole_writer
from gcseg_ros.recordings import parse_options
from offline_training.commands import run
from offline_training.labelling.engines import label_here, label_with_ray
from offline_training.labelling.samples import begun, write_index
from offline_training.labelling.scene import Labelling
from offline_training.labelling.versions import versions


def main(
    recordings: Annotated[
        list[str], typer.Argument(metavar="REC...", help="Folders, bags or synthetic:SEED[:STYLE[:FRAMES]].")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder of samples.")],
    stage: Annotated[int, typer.Option(min=1, max=2, help="1: keyframes alone; 2: all frames, tracked.")],
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Here, or one scene a Ray task.")] = "local",
    keyframe_stride: Annotated[
        int | None, typer.Option(min=1, help="Stage 1: frames between keyframes; default: 10.")
    ] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Stage 2: use every n-th frame; default: all.")] = None,
    voxel_m: Annotated[
        float | None, typer.Option(min=0.001, help="Samples are thinned to one point a voxel; default: 0.02.")
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Stage 2: also carry the labels to the scene's complete cloud.")
    ] = False,
    options: Annotated[
        list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="What the format takes, as in gcseg map.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings of the mapping.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="PART.NAME=VALUE", help="One setting.")] = None,
) -> None:
    """Write training samples. A folder that was begun with the same settings is gone on with: scenes in it are left out."""
    other = {"--every": every, "--complete": complete} if stage == 1 else {"--keyframe-stride": keyframe_stride}
    if misplaced := [option for option, value in other.items() if value]:
        raise UserError(
            f"{' and '.join(misplaced)} would do nothing in stage {stage}: leave that out, or give --stage {3 - stage}."
        )
    mapping = load_config(config, settings or ())
    if stage == 2 and voxel_m and voxel_m < mapping.map.voxel_m:
        raise UserError(
            f"--voxel-m {voxel_m:g} is finer than the map, which has one point every {mapping.map.voxel_m:g} m: give --set "
            f"map.voxel_m={voxel_m:g} as well."
        )
    labelling = Labelling(
        stage=stage,
        keyframe_stride=keyframe_stride or 10,
        every=every or 1,
        voxel_m=voxel_m or 0.02,
        complete=complete,
        options=parse_options(options or ()),
        mapping=mapping,
    )
    recordings = [name if name.startswith("synthetic:") else str(Path(name).resolve()) for name in recordings]
    protocol = {**labelling.model_dump(mode="json"), "versions": versions(labelling)}
    with sole_writer(output), begun(output, protocol) as entries:
        known = {entry.scene for entry in entries}
        scenes = [scene for scene in dict.fromkeys(recordings) if scene not in known]
        order = {scene: i for i, scene in enumerate(recordings)}
        failures = []
        done = len(known & set(recordings))
        with progress("scenes", done + len(scenes)) as advance:
            advance(done)
            results = (
                label_with_ray(scenes, output, labelling)
                if engine == "ray"
                else label_here(
                    scenes, output, labelling, lambda scene, at, of: advance(done, text=f"{Path(scene).name} {at}/{of}")
                )
            )
            for scene, result in results:
                if isinstance(result, str):
                    failures.append(f"{scene}: {result}")
                    print_line(f"Not labelled: {scene}: {result}", to=errors)
                else:
                    for note in result.notes:
                        print_line(f"{scene}: {note}", to=errors)
                    entries += result.entries
                    entries.sort(key=lambda entry: order.get(entry.scene, -1))  # Ray's scenes are ready in any order
                    write_index(output, entries)
                    if not any(entry.file for entry in result.entries):
                        print_line(f"{scene} has no instances: it gives no sample.", to=errors)
                done += 1
                advance(done)
    if failures:
        raise UserError(
            f"{len(failures)} of {len(scenes)} scenes could not be labelled: run the same command again for these; first {failures[0]}"
        )
    samples = [entry for entry in entries if entry.file]
    print(f"{len(samples)} samples of {len({e.scene for e in samples})} scenes: {output}")


if __name__ == "__main__":
    sys.exit(run(main, interrupted="Interrupted: what is labelled stays; the same command goes on."))
