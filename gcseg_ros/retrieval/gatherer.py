"""Which keyframes are kept for retrieval: chosen while mapping, bounded in number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.config import ViewsConfig
from gcseg_ros.frames import CameraIntrinsics, Frame, back_project
from gcseg_ros.retrieval.selection import detail
from gcseg_ros.retrieval.views import StoredView
from gcseg_ros.views import View

CELL_M = 0.1
"""Surface is counted in cells of this size."""
STRIDE_PX = 4
"""Every how manieth pixel of the depth image is counted."""
NEW_SHARE = 0.15
"""A view is kept if this share of what it shows is new or better seen."""
EXTENT = 1 << 20
"""Cells either side of the origin."""


@dataclass(frozen=True)
class Seen:
    """What a view shows: cells of surface (C,) int64, ascending, and how much of each, (C,) float64 m²."""

    cells: npt.NDArray[np.int64]
    amount: npt.NDArray[np.float64]


class ViewGatherer:
    """Keyframes, in order of time -> at most `config.most` views that together show as much surface as well as possible.

    A set's worth is the sum over the surface's cells of the most that any of its views shows of the cell, which is
    submodular; a view that adds too little is passed over, and when there are too many the one whose loss costs least goes
    (streaming by swaps: Buchbinder, Feldman, Schwartz, "Online Submodular Maximization with Preemption", SODA 2015).
    Memory is bounded by the number of views: about 0.15 MB each for 640x480.

    passed_over, dropped  counters: views that showed too little that was new; views that gave way to a better one
    """

    def __init__(self, config: ViewsConfig, views: Iterable[StoredView] = ()) -> None:
        """views: those of an earlier session, to go on from."""
        self.config = config
        self.passed_over = self.dropped = 0
        self._kept: list[tuple[StoredView, Seen]] = []
        for view in views:
            self._kept.append((view, seen_in(view.depth_m(), view.depth_camera, view.camera.fx, view.pose)))
        self._count()
        while len(self._kept) > config.most:
            self._drop_least()

    @property
    def views(self) -> list[StoredView]:
        """The views kept so far, in order of time."""
        return [view for view, _ in self._kept]

    def __call__(self, frame: Frame, view: View) -> bool:
        """Offer a keyframe, `frame` at its own size and `view` at working resolution: whether it was kept."""
        if self.config.most == 0:
            return False
        camera = frame.intrinsics
        if camera.width > self.config.width_px:
            camera = camera.scaled(self.config.width_px, round(camera.height * self.config.width_px / camera.width))
        seen = seen_in(view.depth_m, view.intrinsics, camera.fx, view.pose)
        if self._gain(seen) <= NEW_SHARE * seen.amount.sum():
            self.passed_over += 1
            return False
        colour = frame.colour
        if camera != frame.intrinsics:
            colour = np.asarray(
                cv2.resize(colour, (camera.width, camera.height), interpolation=cv2.INTER_AREA), np.uint8
            )
        stored = StoredView.encoded(
            frame.name, frame.pose, camera, colour, view.intrinsics, view.depth_m, self.config.jpeg_quality
        )
        self._kept.append((stored, seen))
        self._count()
        if len(self._kept) > self.config.most:
            self._drop_least()
        return any(kept is stored for kept, _ in self._kept)

    def _gain(self, seen: Seen) -> float:
        """What this view would add to the worth of those kept."""
        at = np.minimum(np.searchsorted(self._cells, seen.cells), max(len(self._cells) - 1, 0))
        known = self._cells[at] == seen.cells if len(self._cells) else np.zeros(len(seen.cells), bool)
        before = np.where(known, self._best[at], 0.0) if len(self._cells) else 0.0
        return float(np.maximum(seen.amount - before, 0).sum())

    def _count(self) -> None:
        """For each cell the most that a view shows of it; for each view what would be lost without it."""
        owner = np.repeat(np.arange(len(self._kept)), [len(seen.cells) for _, seen in self._kept])
        cells = np.concatenate([seen.cells for _, seen in self._kept] or [np.zeros(0, np.int64)])
        amount = np.concatenate([seen.amount for _, seen in self._kept] or [np.zeros(0)])
        order = np.lexsort((-amount, cells))
        cells, amount, owner = cells[order], amount[order], owner[order]
        first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])[: len(cells)])
        second = np.append(amount, 0)[first + 1] * (np.append(cells, -1)[first + 1] == cells[first])
        self._cells, self._best = cells[first], amount[first]
        self._loss = np.bincount(owner[first], self._best - second, minlength=len(self._kept))

    def _drop_least(self) -> None:
        del self._kept[int(self._loss.argmin())]
        self.dropped += 1
        self._count()


def seen_in(
    depth_m: npt.NDArray[np.float32], camera: CameraIntrinsics, focal_px: float, pose: npt.NDArray[np.float64]
) -> Seen:
    """The surface in a depth image (h, w), in square metres by cell; `detail` counts, at the colour image's focal length."""
    depth = depth_m[::STRIDE_PX, ::STRIDE_PX]
    coarse = CameraIntrinsics(
        depth.shape[1], depth.shape[0], *(value / STRIDE_PX for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    )
    valid = depth > 0
    i, j, k = (
        np.clip(np.floor(back_project(depth, coarse, pose)[valid] / CELL_M), -EXTENT, EXTENT - 1).astype(np.int64).T
    )
    z = depth[valid].astype(np.float64)
    area = z**2 / (coarse.fx * coarse.fy) * detail(z, focal_px)
    cells, row = np.unique(((i + EXTENT) << 42) | ((j + EXTENT) << 21) | (k + EXTENT), return_inverse=True)
    return Seen(cells, np.bincount(row, area, minlength=len(cells)))
