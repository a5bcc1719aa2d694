"""The 3D segmenter against baselines on perfect clouds: `python benchmarks/segmenter_accuracy.py TRUTH... [--checkpoint FILE] [--json FILE]`.

TRUTH is a scene's folder with gt_cloud.npz, an NPZ or a PLY file. The segmenter and the baselines get its points (and colours); AP /
AP50 / AP25 of all instances in percent (ScanNet's protocol, class-agnostic), one label a point, as `gcseg segment` writes them.
`--map` also gives it the noisy cloud that `gcseg map` makes of the recording in the folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import parse_setting
from gcseg_ros.consoles import console, print_table
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import Overlap, average_precision, is_counted
from gcseg_ros.evaluation.baselines import measure
from gcseg_ros.evaluation.truth import carry, load_truth
from gcseg_ros.files import write_json_atomic
from gcseg_ros.mapper import Mapper
from gcseg_ros.recordings import open_recording
from gcseg_ros.segmentation.segmenter import Segmenter

BASELINES = ("planes", "oriented_planes", "felzenszwalb")


def percent(values: Any) -> list[float]:
    return [round(100 * float(value), 1) for value in values]


def scores(truth: Any, labels: np.ndarray, confidences: np.ndarray) -> list[float]:
    result = average_precision([Overlap.of_labels(truth.instance, labels, dict(enumerate(confidences.tolist(), 1)))])
    return percent((result.ap, result.ap50, result.ap25))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truths", nargs="+", type=Path)
    parser.add_argument("--checkpoint", help="default: the shipped one")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="post-processing")
    parser.add_argument("--queries", type=int)
    parser.add_argument("--map", action="store_true")
    parser.add_argument("--baselines", nargs="*", choices=BASELINES, default=BASELINES)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    segmenter = Segmenter.load(
        options.checkpoint, dict(parse_setting(setting, "min_score=0.2") for setting in options.set)
    )
    rows: list[dict[str, Any]] = []
    for path in options.truths:
        truth = load_truth(path)
        if not is_counted(truth.instance):
            raise UserError(f"{path} has no true instance of 100 points or more: average precision cannot be measured.")
        row: dict[str, Any] = {"scene": path.name}
        start = time.perf_counter()
        found = segmenter(truth.points, truth.colours, options.queries)
        row["seconds"] = round(time.perf_counter() - start, 2)
        row["segmenter"] = scores(truth, found.labels(), found.scores)
        if options.map:
            mapper = Mapper()
            for frame in open_recording(path):
                mapper.step(frame)
            cloud = mapper.instances()
            on_map = segmenter(cloud.points, cloud.colours, options.queries)
            row["on the map"] = scores(truth, carry(cloud.points, on_map.labels(), truth.points)[0], on_map.scores)
        for name in options.baselines:
            figures = measure(truth, name, 3)
            row[name] = percent(figures[key] for key in ("ap", "ap50", "ap25"))
        rows.append(row)
        console.print(row)
    columns = [name for name in rows[0] if name not in ("scene", "seconds")]
    rows.append(
        {"scene": "mean", **{name: np.mean([row[name] for row in rows], 0).round(1).tolist() for name in columns}}
    )
    table = Table("scene", *columns, "seconds")
    for row in rows:
        cells = [" / ".join(f"{value:.1f}" for value in row[name]) for name in columns]
        table.add_row(row["scene"], *cells, str(row.get("seconds", "")))
    print_table(table)
    if options.json:
        write_json_atomic(options.json, rows)


if __name__ == "__main__":
    sys.exit(plainly(main))
