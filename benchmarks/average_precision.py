"""Speed of the average precision against a loop over masks: `python benchmarks/average_precision.py [--json FILE]`."""

from __future__ import annotations

import argparse
import sys
import timeit
from pathlib import Path

import numpy as np
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.consoles import print_table
from gcseg_ros.evaluation.average_precision import MIN_POINTS, Overlap, average_precision
from gcseg_ros.files import write_json_atomic

SIZES = [(20, 20, 50_000), (100, 100, 200_000), (300, 150, 200_000)]


def scene(predictions: int, instances: int, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """truth (N,), masks (P, N), scores (P,): true masks shifted along the points, so that they fit more or less well."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(instances + 1), -(-points // (instances + 1)))[:points].astype(np.int32)
    chosen = 1 + np.arange(predictions) % instances
    masks = np.stack([np.roll(truth == i, rng.integers(0, points // (2 * instances))) for i in chosen])
    return truth, masks, rng.random(predictions)


def loop_over_masks(truth: np.ndarray, masks: np.ndarray, scores: np.ndarray) -> Overlap:
    """The same counts, one pair of masks at a time, as ScanNet's evaluator makes them."""
    ids = [i for i in np.unique(truth) if i]
    kept = [p for p, mask in enumerate(masks) if np.count_nonzero(mask) >= MIN_POINTS]
    shared = [[np.count_nonzero(np.logical_and(truth == i, masks[p])) for i in ids] for p in kept]
    void = [np.count_nonzero(np.logical_and(truth == 0, masks[p])) for p in kept]
    sizes = [np.count_nonzero(truth == i) for i in ids]
    return Overlap(np.array(shared), np.array(void), scores[kept], np.array(sizes), np.array(ids))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rows = []
    for size in SIZES:
        case = scene(*size)
        if average_precision([Overlap.of_masks(*case)]) != average_precision([loop_over_masks(*case)]):
            raise SystemExit(f"The figures differ at {size}.")
        fast = min(timeit.repeat(lambda: average_precision([Overlap.of_masks(*case)]), number=1, repeat=5))  # noqa: B023
        slow = min(timeit.repeat(lambda: average_precision([loop_over_masks(*case)]), number=1, repeat=2))  # noqa: B023
        rows.append(dict(zip(["predictions", "instances", "points"], size, strict=True), s=fast, loop_s=slow))
    table = Table("predictions", "true instances", "points", "this (ms)", "loop over masks (ms)", "times faster")
    for row in rows:
        figures = [f"{row['s'] * 1e3:.1f}", f"{row['loop_s'] * 1e3:.0f}", f"{row['loop_s'] / row['s']:.0f}"]
        table.add_row(str(row["predictions"]), str(row["instances"]), str(row["points"]), *figures)
    print_table(table)
    if options.json:
        write_json_atomic(options.json, rows)


if __name__ == "__main__":
    sys.exit(plainly(main))
