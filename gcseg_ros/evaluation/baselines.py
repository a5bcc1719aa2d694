"""What needs no masks, no tracking and no weights: segmentations of the true cloud itself, as figures to compare with.

    python -m gcseg_ros.evaluation.baselines TRUTH... --method planes --seeds 3

All predictions get equal scores. They see the perfect cloud, which no mapper does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.markup import escape
from rich.table import Table

from gcseg_ros.clouds.clustering import Cells, dbscan
from gcseg_ros.clouds.graph_segmentation import graph_segmentation
from gcseg_ros.clouds.neighbours import neighbour_pairs, normals_of
from gcseg_ros.commands.endings import plainly
from gcseg_ros.consoles import print_table
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import Overlap, average_precision, best_ious
from gcseg_ros.evaluation.report import mean, percent, without_nan
from gcseg_ros.evaluation.truth import Truth, load_truth

TRIALS = 1000  # planes
DISTANCE_M = 0.03  # from a plane to its points

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def planes(truth: Truth, rng: np.random.Generator) -> Ids:
    """RANSAC planes, then DBSCAN on the rest; (N,) labels, 0 = none. A plane takes all points near it, whatever they belong to."""
    points = scene_points(truth)
    return clusters_of_rest(points, ransac_planes(points, rng))


def oriented_planes(truth: Truth, rng: np.random.Generator) -> Ids:
    """The same, but a plane only takes points whose normal is within 37 degrees of its own: a stronger baseline."""
    points = scene_points(truth)
    return clusters_of_rest(points, ransac_planes(points, rng, normals=scene_normals(truth), share=0.02))


def felzenszwalb(truth: Truth, rng: np.random.Generator) -> Ids:
    """Graph segmentation by the angle between normals, as ScanNet's oversegmentation; (N,) labels, 0 = none. No randomness."""
    points = scene_points(truth)
    pairs = neighbour_pairs(points)
    normals = scene_normals(truth)
    weight = 1 - np.abs((normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(1))
    return graph_segmentation(len(points), pairs, weight, scale=0.5, min_points=300)


METHODS: dict[str, Callable[[Truth, np.random.Generator], Ids]] = {
    "planes": planes,
    "oriented_planes": oriented_planes,
    "felzenszwalb": felzenszwalb,
}


def scene_points(truth: Truth) -> Floats:
    """(N, 3). Raises UserError where the truth is only text."""
    if truth.points is None:
        raise UserError(f"{truth.name} has no points: baselines need the truth as NPZ, PLY or a scene's folder.")
    return truth.points.astype(np.float64)


def scene_normals(truth: Truth) -> Floats:
    """(N, 3) unit normals: the truth's own, or the direction of least spread of each point's 12 nearest."""
    return normals_of(scene_points(truth)) if truth.normals is None else truth.normals.astype(np.float64)


def ransac_planes(points: Floats, rng: np.random.Generator, normals: Floats | None = None, share: float = 0.05) -> Ids:
    """Largest planes one after the other, while one holds at least `share` of all points; (N,) labels from 1, 0 = on none.

    normals (N, 3): a point belongs to a plane only if its normal is within acos(0.8) of the plane's.
    Source: Fischler and Bolles, 1981. Trials are compared on 4000 points.
    """
    labels = np.zeros(len(points), np.int64)
    rest = np.arange(len(points))
    smallest = max(share * len(points), 3)
    while len(rest) >= smallest:
        corners = points[rest[rng.integers(0, len(rest), (TRIALS, 3))]]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        offset = (normal * corners[:, 0]).sum(1)
        valid = np.linalg.norm(normal, axis=1) > 0.5
        sample = points[rng.choice(rest, min(4000, len(rest)), replace=False)]
        best = ((np.abs(sample @ normal.T - offset) < DISTANCE_M) & valid).sum(0).argmax()
        inside = np.abs(points[rest] @ normal[best] - offset[best]) < DISTANCE_M
        if normals is not None:
            inside &= np.abs(normals[rest] @ normal[best]) > 0.8
        if inside.sum() < smallest:
            break
        labels[rest[inside]] = labels.max() + 1
        rest = rest[~inside]
    return labels


def clusters_of_rest(points: Floats, labels: Ids) -> Ids:
    """Labels (N,), with DBSCAN clusters where they are 0."""
    rest = np.flatnonzero(labels == 0)
    clusters = dbscan(Cells.of(points[rest], 0.05), 10)
    result = labels.copy()
    result[rest] = np.where(clusters > 0, clusters + labels.max(initial=0), 0)
    return result


def measure(truth: Truth, method: str, seeds: int, exclude_stuff: bool = False) -> dict[str, Any]:
    """Mean figures of a baseline over the seeds 0..seeds-1, and each seed's: {"ap", "ap50", "ap25", ..., "seeds": [...]}."""
    counted = truth.without_stuff() if exclude_stuff else truth
    runs = []
    for seed in range(1 if method == "felzenszwalb" else seeds):
        overlap = Overlap.of_labels(counted.instance, METHODS[method](truth, np.random.default_rng(seed)))
        figures = average_precision([overlap])
        runs.append(
            {
                "ap": figures.ap,
                "ap50": figures.ap50,
                "ap25": figures.ap25,
                "mean_best_iou": mean(best_ious(overlap).values()),
                "predictions": len(overlap.scores),
            }
        )
    means = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    return {"truth": truth.name, "method": method, "exclude_stuff": exclude_stuff, **means, "seeds": runs}


def main(arguments: list[str] | None = None) -> int:
    """The command; exit status."""
    parser = argparse.ArgumentParser(
        "python -m gcseg_ros.evaluation.baselines", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("truth", nargs="+", help="NPZ, PLY or a scene's folder with gt_cloud.npz")
    parser.add_argument("--method", choices=[*METHODS, "all"], default="planes")
    parser.add_argument("--seeds", type=int, default=3, help="runs to average (default 3)")
    parser.add_argument("--exclude-stuff", action="store_true", help="leave out walls, floors and the like")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1; found {options.seeds}")
    return plainly(lambda: print_baselines(options))


def print_baselines(options: argparse.Namespace) -> None:
    """Raises UserError."""
    methods = list(METHODS) if options.method == "all" else [options.method]
    rows = [
        measure(truth, method, options.seeds, options.exclude_stuff)
        for truth in map(load_truth, options.truth)
        for method in methods
    ]
    if options.json:
        print(json.dumps(without_nan(rows), indent=2, allow_nan=False))
    else:
        print_table(table(rows))


def table(rows: list[dict[str, Any]]) -> Table:
    """Means over the seeds, in percent, with the range of AP."""
    shown = Table("truth", "method", "AP", "range", "AP50", "AP25", "best IoU", "predictions")
    for row in rows:
        aps = [run["ap"] for run in row["seeds"]]
        figures = [percent(row["ap"]), f"{percent(min(aps))}..{percent(max(aps))}"]
        figures += [percent(row[name]) for name in ("ap50", "ap25", "mean_best_iou")]
        shown.add_row(escape(row["truth"]), row["method"], *figures, f"{row['predictions']:.0f}")
    return shown


if __name__ == "__main__":
    sys.exit(main())
