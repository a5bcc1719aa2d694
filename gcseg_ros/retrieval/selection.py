"""Which views show an instance best, and the crops of it (OpenMask3D: Takmaz et al., NeurIPS 2023, Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from gcseg_ros.frames import CameraIntrinsics, project
from gcseg_ros.retrieval.views import StoredView

DETAIL_M = 0.004
"""Surface counts fully where a pixel of the colour image covers no more than this, beyond it by its area in the image."""
MOST_POINTS = 2000
"""Points of an instance that are looked at; larger ones are thinned evenly."""
HALF_POINT_M = 0.015
"""A point of the map stands for a voxel: crops reach this far beyond the outermost points."""
STRAY = 0.01
"""Share of an instance's points that may stick out of its crop on each side."""
LEAST_SIDE_PX = 4
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Shot:
    """An instance in a view: row of the instance, row of the view, and its box there (x0, y0, x1, y1) in pixels."""

    instance: int
    view: int
    box: Box


def shots(
    points: npt.NDArray[np.floating], masks: sparse.csr_array, views: Sequence[StoredView], most: int
) -> list[Shot]:
    """For each of the instances up to `most` of the views, by view.

    points (N, 3) world, metres; masks (I, N) bool, may overlap. The first view is the one that shows most of the instance,
    each next one adds most surface that is new or seen better; when nothing is added any more, those follow that show most.
    Instances that no view shows have none.
    """
    rows = [_thinned(masks.indices[a:b]) for a, b in zip(masks.indptr[:-1], masks.indptr[1:])]
    ends = np.cumsum([0] + [len(row) for row in rows])
    sampled = np.asarray(points, np.float64)[np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64)]
    none = sparse.csr_array((0, len(sampled)), dtype=np.float32)
    seen = sparse.vstack([none, *(sparse.csr_array(visibility(sampled, view)[None]) for view in views)], "csc")
    found = []
    for i, (a, b) in enumerate(pairwise(ends)):
        worth = seen[:, a:b].toarray()
        for v in choose(worth, most):
            box = box_in(sampled[a:b][worth[v] > 0], views[v])
            if box is not None:
                found.append(Shot(i, v, box))
    return sorted(found, key=lambda shot: (shot.view, shot.instance))


def visibility(points: npt.NDArray[np.float64], view: StoredView) -> npt.NDArray[np.float32]:
    """How well the view shows each of points (N, 3): (N,) float32, 0 = not at all, 1 = in full detail.

    A point is visible where it projects into the depth image and lies no more than 5 cm + 2 % from the depth measured there.
    """
    camera, depth = view.depth_camera, view.depth_m()
    pixels, z = project(points, camera, view.pose)
    u, v = np.round(np.clip(pixels, -1e6, 1e6)).astype(np.int64).T
    inside = (z > 0.1) & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    measured = np.where(inside, depth[np.where(inside, v, 0), np.where(inside, u, 0)], 0)
    visible = inside & (measured > 0) & (np.abs(measured - z) < 0.05 + 0.02 * z)
    return np.where(visible, detail(z, view.camera.fx), 0).astype(np.float32)


def detail(z: npt.NDArray[np.floating], focal_px: float) -> npt.NDArray[np.floating]:
    """Weight of surface at depth z: 1 where a pixel covers no more than `DETAIL_M`, beyond that by its area in the image."""
    return np.minimum(1, (DETAIL_M * focal_px / np.maximum(z, 1e-6)) ** 2)


def choose(worth: npt.NDArray[np.float32], most: int) -> list[int]:
    """Rows of worth (V, n): greedily those that raise the sum over columns of the largest entry most, then the largest."""
    total = worth.sum(axis=1)
    best = np.zeros(worth.shape[1], worth.dtype)
    left = np.flatnonzero(total > 0).tolist()
    chosen: list[int] = []
    while left and len(chosen) < most:
        gain = {v: float(np.maximum(worth[v] - best, 0).sum()) for v in left}
        v = max(left, key=lambda v: (round(gain[v], 3), total[v], -v))
        best = np.maximum(best, worth[v])
        chosen.append(v)
        left.remove(v)
    return chosen


def box_in(points: npt.NDArray[np.float64], view: StoredView) -> Box | None:
    """The box around visible points (n, 3) in the view's colour image, but for strays; None where hardly a pixel is left."""
    camera: CameraIntrinsics = view.camera
    pixels, z = project(points, camera, view.pose)
    reach = (camera.fx * HALF_POINT_M / np.maximum(z, 0.1))[:, None]
    x0, y0 = np.floor(np.quantile(pixels - reach, STRAY, axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(np.quantile(pixels + reach, 1 - STRAY, axis=0)).astype(int).tolist()
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1 + 1, camera.width), min(y1 + 1, camera.height)
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= LEAST_SIDE_PX else None


def crops(image: npt.NDArray[np.uint8], box: Box, levels: int, expansion: float) -> list[npt.NDArray[np.uint8]]:
    """The box of image (H, W, 3), and larger ones: level l is wider by l x `expansion` of the box's size on each side."""
    x0, y0, x1, y1 = box
    dx, dy = int((x1 - x0) * expansion), int((y1 - y0) * expansion)
    return [
        image[max(0, y0 - level * dy) : y1 + level * dy, max(0, x0 - level * dx) : x1 + level * dx]
        for level in range(levels)
    ]


def _thinned(rows: npt.NDArray) -> npt.NDArray:
    return rows[:: -(-len(rows) // MOST_POINTS)] if len(rows) else rows
