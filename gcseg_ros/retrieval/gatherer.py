"""Which keyframes are kept for retrieval: chosen while mapping, bounded in number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.config import ViewsConfig
from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics, Frame, back_project, depth_to_millimetres
from gcseg_ros.retrieval.selection import detail
from gcseg_ros.retrieval.views import StoredView, in_metres, packed, unpacked
from gcseg_ros.state import Saved
from gcseg_ros.views import View

CELL_M = 0.1
"""Surface is counted in cells of this size."""
STRIDE_PX = 4
"""One pixel of the depth image in so many, along each axis, is counted."""
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
    Memory is bounded by the number of views: about 0.15 MB each for 640x480, 0.1 MB in a file.

    passed_over, dropped  counters: views that showed too little that was new; views that gave way to a better one
    """

    def __init__(self, config: ViewsConfig) -> None:
        self.config = config
        self.passed_over = self.dropped = 0
        self._kept: list[tuple[StoredView, Seen]] = []
        self._best = Seen(np.zeros(0, np.int64), np.zeros(0))  # of each cell the most that a view shows of it

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
        depth_m = in_metres(depth_to_millimetres(view.depth_m))  # as it comes back from a file
        seen = seen_in(depth_m, view.intrinsics, camera.fx, view.pose)
        if self._gain(seen) <= NEW_SHARE * seen.amount.sum():
            self.passed_over += 1
            return False
        colour = frame.colour
        if camera != frame.intrinsics:
            colour = np.asarray(
                cv2.resize(colour, (camera.width, camera.height), interpolation=cv2.INTER_AREA), np.uint8
            )
        name, taken = frame.name, {kept.name for kept in self.views}
        while name in taken:  # by a frame of another recording, whose map is gone on with
            name += "+"
        stored = StoredView.encoded(name, view.pose, camera, colour, view.intrinsics, depth_m, self.config.jpeg_quality)
        self._keep(stored, seen)
        return any(kept is stored for kept, _ in self._kept)

    def counts(self) -> dict[str, int]:
        """Views kept, passed over and dropped, so far."""
        return {"kept": len(self._kept), "passed_over": self.passed_over, "dropped": self.dropped}

    def state(self) -> dict[str, Any]:
        """All of it, to be saved with the map."""
        counters = {"passed_over": self.passed_over, "dropped": self.dropped}
        return {**packed(self.views), "names": [view.name for view in self.views], **counters}

    def restore(self, saved: Saved) -> None:
        """Go on from what `state` gave; a map saved without views has none. Raises UserError."""
        if "names" not in saved:
            return
        arrays = {
            "pose": saved.array("pose", np.float64, (None, 4, 4)),
            "camera": saved.array("camera", np.float64, (None, 6)),
            "depth_camera": saved.array("depth_camera", np.float64, (None, 6)),
        }
        for kind in ("jpeg", "png"):
            arrays[kind] = saved.array(kind, np.uint8, (None,))
            arrays[f"{kind}_end"] = saved.array(f"{kind}_end", np.int64, (None,))
        try:
            views = unpacked(saved.texts("names", len(arrays["pose"])), arrays)
        except ValueError as error:
            raise UserError(f"{saved.where}: {error}: the file is damaged, or gcseg_ros did not write it.") from None
        self.passed_over, self.dropped = saved.number("passed_over"), saved.number("dropped")
        for view in views:
            self.keep(view)

    def keep(self, view: StoredView) -> None:
        """Add a view that another gatherer has chosen. Raises UserError where its depth image is broken."""
        self._keep(view, seen_in(view.depth_m(), view.depth_camera, view.camera.fx, view.pose))

    def _gain(self, seen: Seen) -> float:
        """What this view would add to the worth of those kept."""
        at = np.searchsorted(self._best.cells, seen.cells)
        known = np.append(self._best.cells, -1)[at] == seen.cells
        before = np.where(known, np.append(self._best.amount, 0)[at], 0)
        return float(np.maximum(seen.amount - before, 0).sum())

    def _keep(self, view: StoredView, seen: Seen) -> None:
        """Add a view; if there are too many then, drop the one without which least is lost."""
        if self.config.most == 0:
            self.dropped += 1
            return
        self._kept.append((view, seen))
        self._best = most_of_each([self._best, seen])[0]
        if len(self._kept) > self.config.most:
            loss = most_of_each([seen for _, seen in self._kept])[1]
            del self._kept[int(loss.argmin())]
            self.dropped += 1
            self._best = most_of_each([seen for _, seen in self._kept])[0]


def most_of_each(views: Sequence[Seen]) -> tuple[Seen, npt.NDArray[np.float64]]:
    """Of each cell the most that any of the views shows, and the loss (V,) in the sum of that without each view."""
    cells = np.concatenate([seen.cells for seen in views])
    amount = np.concatenate([seen.amount for seen in views])
    owner = np.repeat(np.arange(len(views)), [len(seen.cells) for seen in views])
    order = np.lexsort((-amount, cells))
    cells, amount, owner = cells[order], amount[order], owner[order]
    first = np.flatnonzero(np.diff(cells, prepend=-1))
    second = np.where(np.append(cells, -1)[first + 1] == cells[first], np.append(amount, 0)[first + 1], 0)
    loss = np.bincount(owner[first], amount[first] - second, minlength=len(views))
    return Seen(cells[first], amount[first]), loss.astype(np.float64)


def seen_in(
    depth_m: npt.NDArray[np.float32], camera: CameraIntrinsics, focal_px: float, pose: npt.NDArray[np.float64]
) -> Seen:
    """The surface in a depth image (h, w), in square metres by cell; `detail` counts, at the colour image's focal length."""
    depth = depth_m[::STRIDE_PX, ::STRIDE_PX]
    coarse = camera.every(STRIDE_PX)
    valid = depth > 0
    i, j, k = (
        np.clip(np.floor(back_project(depth, coarse, pose)[valid] / CELL_M), -EXTENT, EXTENT - 1).astype(np.int64).T
    )
    z = depth[valid].astype(np.float64)
    area = z**2 / (coarse.fx * coarse.fy) * detail(z, focal_px)
    cells, row = np.unique(((i + EXTENT) << 42) | ((j + EXTENT) << 21) | (k + EXTENT), return_inverse=True)
    return Seen(cells, np.bincount(row, area, minlength=len(cells)).astype(np.float64))
