"""Accuracy of the map against baselines on the perfect cloud: `python benchmarks/accuracy.py RECORDING... [--json FILE]`.

RECORDING is a folder with its truth (gt_cloud.npz) or synthetic:SEED:STYLE:FRAMES; `--held-out N` adds N generated rooms
of the styles that nothing was trained on or tuned with. Every recording goes through every variant and every baseline
in one run; `synthetic:` rooms are rendered once. The scores are AP / AP50 / AP25 of all instances in percent
(ScanNet's protocol, class-agnostic); "equal" is the same prediction with its confidences set equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import load_config
from gcseg_ros.consoles import console, print_table
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import Overlap, average_precision
from gcseg_ros.evaluation.baselines import measure
from gcseg_ros.evaluation.truth import carry, load_truth
from gcseg_ros.files import write_json_atomic
from gcseg_ros.mapper import Mapper
from gcseg_ros.recordings import open_recording, prefetch
from gcseg_ros.recordings.synthetic import HELD_OUT_STYLES, export

VARIANTS = {
    "default": [],
    "given_poses": ["poses.refine=false"],
    "geometric": ["masks.generator=geometric"],
    "algorithm1": ["tracking.association=algorithm1", "tracking.granularity=persistent"],
    "letter": ["tracking.association=algorithm1", "tracking.granularity=letter"],
}
BASELINES = ("planes", "oriented_planes")
FIRST_SEED = 5000  # of the held-out rooms


def scores(truth: Any, instance: np.ndarray, confidence: dict[int, float] | None) -> list[float]:
    result = average_precision([Overlap.of_labels(truth.instance, instance, confidence)])
    return [round(100 * value, 1) for value in (result.ap, result.ap50, result.ap25)]


def map_scores(folder: Path, settings: list[str], poses: str | None) -> dict[str, Any]:
    """Map the recording and score the map at the truth's points."""
    options = {"poses": poses} if poses else {}
    mapper, truth = Mapper(load_config(None, settings)), load_truth(folder)
    busy: list[float] = []
    for frame in prefetch(iter(open_recording(folder, **options))):
        start = time.perf_counter()
        mapper.step(frame)
        busy.append(time.perf_counter() - start)
    result = mapper.instances()
    instance, _ = carry(result.points, result.instance, truth.points)
    return {
        "scores": scores(truth, instance, {o.id: o.confidence for o in result.objects}),
        "equal": scores(truth, instance, None),
        "instances": len(result.objects),
        "median_ms": round(1000 * float(np.median(busy)), 1),
    }


def add_room_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recordings", nargs="*")
    parser.add_argument("--held-out", type=int, default=0, metavar="N", help="add N generated rooms of held-out styles")
    parser.add_argument("--frames", type=int, default=120, help="frames of each held-out room")
    parser.add_argument("--set", action="append", default=[], metavar="PART.NAME=VALUE", help="added to every run")
    parser.add_argument("--keep", type=Path, help="folder that keeps the generated rooms for the next run")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")


def rooms(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Names and folders of the recordings asked for; generated ones are rendered first. Raises UserError where there are none."""
    held_out = [
        f"synthetic:{FIRST_SEED + i}:{HELD_OUT_STYLES[i % len(HELD_OUT_STYLES)]}:{options.frames}"
        for i in range(options.held_out)
    ]
    if not (options.recordings or held_out):
        raise UserError("There is no room to measure: name recordings, or a number of rooms with --held-out.")
    with tempfile.TemporaryDirectory() as temporary:
        for name in (*options.recordings, *held_out):
            folder = Path(name)
            if name.startswith("synthetic:"):
                folder = (options.keep or Path(temporary)) / name.replace(":", "_")
                if not folder.exists():
                    export(name, folder)
            yield name, folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_room_arguments(parser)
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=["default"])
    parser.add_argument("--poses", help="pose folder of the recordings, for example pose_noisy")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, folder in rooms(options):
        row: dict[str, Any] = {"recording": name}
        for variant in options.variants:
            row[variant] = map_scores(folder, [*VARIANTS[variant], *options.set], options.poses)
        truth = load_truth(folder)
        for baseline in BASELINES:
            figures = measure(truth, baseline, 3)
            row[baseline] = {"scores": [round(100 * figures[key], 1) for key in ("ap", "ap50", "ap25")]}
        rows.append(row)
        console.print(row)

    columns = [*options.variants, *BASELINES]
    table = Table("recording", *columns, *(f"{v} equal" for v in options.variants), "ms a frame")
    mean: dict[str, Any] = {"recording": "mean"}
    for column in columns:
        mean[column] = {
            key: np.mean([row[column][key] for row in rows], axis=0).round(1).tolist()
            for key in rows[0][column]
            if key in ("scores", "equal")
        }
    for row in [*rows, mean]:
        cells = [" / ".join(f"{x:.0f}" for x in row[column]["scores"]) for column in columns]
        cells += [" / ".join(f"{x:.0f}" for x in row[v]["equal"]) for v in options.variants]
        table.add_row(row["recording"], *cells, str(row[options.variants[0]].get("median_ms", "")))
    print_table(table)
    if options.json:
        write_json_atomic(
            options.json, {"arguments": vars(options) | {"json": None, "keep": None}, "rows": [*rows, mean]}
        )


if __name__ == "__main__":
    sys.exit(plainly(main))
