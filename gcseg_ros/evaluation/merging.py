"""The baseline of SAM3D (Yang et al., "SAM3D: Segment Anything in 3D Scenes", ICCV workshops 2023): no tracking, no map.

Each keyframe's masks become a labelled cloud; clouds of adjacent keyframes are merged in pairs, the results again in pairs,
until one is left. A label of one cloud becomes that of the other cloud with which it shares most, if that is enough;
both directions are tried. Any mask generator will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.clouds.neighbours import distinct
from gcseg_ros.config import Config
from gcseg_ros.frames import Frame, back_project
from gcseg_ros.instances.instances import InstanceMap, labelled_map
from gcseg_ros.masks import build_generator
from gcseg_ros.views import ViewBuilder

Ids = npt.NDArray[np.int64]

VOXEL_M = 0.05
SHARE = 0.5
"""Two labels are one object if they share at least this part of the smaller."""
NEAR_VOXELS = 1.5
"""Points of two clouds that are nearer than this are the same place."""
MIN_POINTS = 20
"""Voxels of the smallest object."""


@dataclass(frozen=True)
class LabelCloud:
    """points (N, 3) float32 world frame, metres, one a voxel; colours (N, 3) uint8; label (N,) int64 from 1, 0 = none."""

    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]
    label: Ids


def keyframe_clouds(
    frames: Iterable[Frame], stride: int, config: Config, voxel_m: float = VOXEL_M
) -> Iterator[LabelCloud]:
    """The masks of every stride-th frame, each frame on its own, lifted (Eq. 3-5)."""
    generate = build_generator(config.masks, config.foundation)
    for number, frame in enumerate(frames):
        if number % stride:
            continue
        view = ViewBuilder(config.input)(frame)
        labels = generate(view).detections
        seen = view.measured_m > 0
        points = back_project(view.measured_m, view.intrinsics, view.pose)[seen].astype(np.float32)
        yield thinned(LabelCloud(points, view.colour[seen], labels[seen].astype(np.int64)), voxel_m)


def merged_bottom_up(clouds: Iterable[LabelCloud], voxel_m: float = VOXEL_M, share: float = SHARE) -> LabelCloud:
    """All clouds as one, merged as a binary tree over their order; only log(count) of them are held at a time."""
    waiting: list[tuple[int, LabelCloud]] = []
    for cloud in clouds:
        height = 0
        while waiting and waiting[-1][0] == height:
            cloud = merged(waiting.pop()[1], cloud, voxel_m, share)
            height += 1
        waiting.append((height, cloud))
    nothing = LabelCloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.int64))
    result = waiting.pop()[1] if waiting else nothing
    while waiting:
        result = merged(waiting.pop()[1], result, voxel_m, share)
    return result


def merged(first: LabelCloud, second: LabelCloud, voxel_m: float, share: float) -> LabelCloud:
    """Both as one cloud; small objects lose their label, labels are numbered from 1."""
    offset = first.label.max(initial=0)
    theirs = np.where(second.label > 0, second.label + offset, 0)
    theirs = adopted(theirs, first.label, *same_places(second, first, voxel_m), share)
    ours = adopted(first.label, theirs, *same_places(first, second, voxel_m), share)
    both = LabelCloud(
        np.concatenate([first.points, second.points]),
        np.concatenate([first.colours, second.colours]),
        np.concatenate([ours, theirs]),
    )
    thin = thinned(both, voxel_m)
    return LabelCloud(thin.points, thin.colours, numbered(thin.label))


def same_places(cloud: LabelCloud, other: LabelCloud, voxel_m: float) -> tuple[Ids, Ids]:
    """Rows of `cloud` that have a point of `other` near, and the nearest one's row there."""
    if not len(cloud.points) or not len(other.points):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    distance, row = cKDTree(other.points).query(cloud.points, distance_upper_bound=NEAR_VOXELS * voxel_m, workers=-1)
    near = np.flatnonzero(np.isfinite(distance))
    return near, row[near].astype(np.int64)


def adopted(labels: Ids, others: Ids, rows: Ids, other_rows: Ids, share: float) -> Ids:
    """`labels`, where those that share enough with one of `others` take its name, and unlabelled points that of the place.

    rows, other_rows  places that are the same in both clouds
    """
    if not len(rows):
        return labels
    mine, theirs = labels[rows], others[other_rows]
    both = (mine > 0) & (theirs > 0)
    pairs, counts = np.unique(np.stack([theirs[both], mine[both]]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))  # the pair of each other label that shares most comes first
    order = order[np.unique(pairs[0][order], return_index=True)[1]]
    sizes, other_sizes = np.bincount(labels), np.bincount(others)
    enough = counts[order] >= share * np.minimum(sizes[pairs[1][order]], other_sizes[pairs[0][order]])
    order = order[enough]
    order = order[np.argsort(counts[order], kind="stable")]  # where two want the same label, the larger share has it
    name = np.arange(labels.max(initial=0) + 1)
    name[pairs[1][order]] = pairs[0][order]
    result = name[labels]
    empty = (mine == 0) & (theirs > 0)
    result[rows[empty]] = theirs[empty]
    return result


def thinned(cloud: LabelCloud, voxel_m: float) -> LabelCloud:
    """One point a voxel, a labelled one where there is one."""
    order = np.argsort(cloud.label == 0, kind="stable")
    kept = np.sort(order[distinct(cloud.points[order], voxel_m)])
    return LabelCloud(cloud.points[kept], cloud.colours[kept], cloud.label[kept])


def numbered(labels: Ids, min_points: int = MIN_POINTS) -> Ids:
    """Labels from 1 without gaps, 0 where fewer points have the same."""
    sizes = np.bincount(labels)
    large = sizes >= min_points
    large[:1] = False
    return np.where(large, np.cumsum(large), 0)[labels]


def as_map(cloud: LabelCloud) -> InstanceMap:
    """As `gcseg map` gives it. The method has no scores: all confidences are 1."""
    return labelled_map(cloud.points, cloud.colours, cloud.label, np.ones(len(cloud.points), np.float32))
