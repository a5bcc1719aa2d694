"""Matching and containment against pairwise boolean masks: `python benchmarks/masks_matching.py [--json FILE]`.

Matching: 60 objects with 60 detections at 640x480 (Eq. 9). Containment: 200 masks of 640x480 (Eq. 1). Medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import SamConfig
from gcseg_ros.consoles import print_table
from gcseg_ros.files import write_json_atomic
from gcseg_ros.masks import Masks, overlaps
from gcseg_ros.masks.containment import redundant
from gcseg_ros.tracking.matching import iou_of_counts, match

HEIGHT, WIDTH = 480, 640
TAU_C = SamConfig().containment


def boxes(count: int, largest: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 480, 640) bool rectangles of random size and place."""
    masks = np.zeros((count, HEIGHT, WIDTH), bool)
    for mask in masks:
        h, w = rng.integers(20, largest, 2)
        v, u = rng.integers(0, HEIGHT - h), rng.integers(0, WIDTH - w)
        mask[v : v + h, u : u + w] = True
    return masks


def label_image(rng: np.random.Generator, count: int = 60) -> np.ndarray:
    """(480, 640) int32 with `count` objects: nearest of random centres."""
    centres = rng.uniform((0, 0), (HEIGHT, WIDTH), (count, 2))
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    return (((v[..., None] - centres[:, 0]) ** 2 + (u[..., None] - centres[:, 1]) ** 2).argmin(-1) + 1).astype(np.int32)


def match_by_labels(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    _, _, common = overlaps(a, b)
    return match(iou_of_counts(common, common.sum(1), common.sum(0)), 0.4)


def match_by_pairs(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    A, B = Masks.from_labels(a).binary, Masks.from_labels(b).binary
    iou = np.array([[np.count_nonzero(x & y) / np.count_nonzero(x | y) for y in B] for x in A])
    return match(iou, 0.4)


def contained_by_pairs(fine: Masks, coarse: Masks) -> np.ndarray:
    return np.array([max((m & M).sum() / m.sum() for M in coarse.binary) > TAU_C for m in fine.binary])


def median_ms(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    a = label_image(rng)
    b = np.roll(a, 5, axis=1)
    fine, coarse = (
        Masks(boxes(100, largest, rng), np.ones(100, np.float32), np.full(100, largest < 200)) for largest in (120, 400)
    )
    if match_by_labels(a, b) != match_by_pairs(a, b):
        raise SystemExit("The two ways of matching differ.")
    if (redundant(fine, coarse, TAU_C) != contained_by_pairs(fine, coarse)).any():
        raise SystemExit("The two ways of filtering differ.")
    rows = [
        ("match 60 x 60", median_ms(lambda: match_by_labels(a, b), 9), median_ms(lambda: match_by_pairs(a, b), 3)),
        (
            "contain 200",
            median_ms(lambda: redundant(fine, coarse, TAU_C), 9),
            median_ms(lambda: contained_by_pairs(fine, coarse), 1),
        ),
    ]
    table = Table("", "ours ms", "pairwise boolean ms", "ratio")
    for name, ours, pairs in rows:
        table.add_row(name, f"{ours:.1f}", f"{pairs:.0f}", f"{pairs / ours:.0f}")
    print_table(table)
    if options.json:
        write_json_atomic(options.json, [dict(zip(("case", "ours_ms", "pairwise_ms"), row)) for row in rows])


if __name__ == "__main__":
    sys.exit(plainly(main))
