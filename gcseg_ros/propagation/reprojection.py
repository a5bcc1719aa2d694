"""Propagation by geometry: every pixel's 3D point is looked up in the last keyframe, with a depth test."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from gcseg_ros.depth import NEAREST_M, same_surface_m, transform
from gcseg_ros.jit import njit
from gcseg_ros.masks.masks import Labels
from gcseg_ros.state import Saved
from gcseg_ros.views import View

HOLE_ROUNDS = 3  # a hole is closed from its rim inwards by this many pixels


class Propagator(Protocol):
    """Masks of a window: prompted at its first frame, asked at every frame after it.

    What a network lacks is a UserError when it is asked, and not before: a frame that was begun can be finished.
    """

    def prompt(self, view: View, labels: Labels) -> None:
        """Start a window: the masks of all active objects at this keyframe, as a label image."""

    def __call__(self, view: View) -> Labels:
        """The masks in a later frame of the window, (h, w) int32, 0 = none. Before the first prompt: all 0."""
        ...


class ReprojectionPropagator:
    """`propagation: reprojection`. Needs depth and poses only; constant time and memory per frame."""

    def __init__(self) -> None:
        self.keyframe: tuple[View, Labels] | None = None

    def prompt(self, view: View, labels: Labels) -> None:
        self.keyframe = view, labels

    def __call__(self, view: View) -> Labels:
        if self.keyframe is None or self.keyframe[0].depth_m.shape != view.depth_m.shape:
            return np.zeros(view.depth_m.shape, np.int32)
        key, labels = self.keyframe
        motion = np.linalg.inv(key.pose) @ view.pose
        pulled = _pull(view.depth_m, motion, key.depth_m, labels, view.intrinsics.pinhole, key.intrinsics.pinhole)
        for _ in range(HOLE_ROUNDS):
            pulled = _close(pulled, view.depth_m)
        return pulled

    def state(self) -> dict[str, Any]:
        """The keyframe with its labels; nothing before the first."""
        return {**self.keyframe[0].state(), "labels": self.keyframe[1]} if self.keyframe else {}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        if "labels" in saved:
            view = View.restored(saved)
            self.prompt(view, saved.array("labels", np.int32, view.depth_m.shape, 0, saved.objects))


@njit
def _pull(depth, motion, key_depth, key_labels, camera, key_camera):
    """The keyframe's label at each pixel's 3D point, if the keyframe saw that point. The two cameras may differ (autofocus)."""
    fx, fy, cx, cy = key_camera
    h, w = depth.shape
    labels = np.zeros((h, w), np.int32)
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if z <= 0:
                continue
            X, Y, Z = transform(motion, u, v, z, camera)
            if Z < NEAREST_M:
                continue
            i, j = int(np.floor(fx * X / Z + cx + 0.5)), int(np.floor(fy * Y / Z + cy + 0.5))
            if i < 0 or j < 0 or i >= w or j >= h:
                continue
            seen = key_depth[j, i]
            if seen > 0 and abs(seen - Z) < same_surface_m(Z):
                labels[v, u] = key_labels[j, i]
    return labels


@njit
def _close(labels, depth):
    """One pixel inwards from the rim of the holes: the label of a neighbour at the same depth."""
    h, w = labels.shape
    out = labels.copy()
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if labels[v, u] != 0 or z <= 0:
                continue
            nearest = 0.01 + 0.02 * z
            for j in range(max(v - 1, 0), min(v + 2, h)):
                for i in range(max(u - 1, 0), min(u + 2, w)):
                    if labels[j, i] > 0 and depth[j, i] > 0 and abs(depth[j, i] - z) < nearest:
                        nearest = abs(depth[j, i] - z)
                        out[v, u] = labels[j, i]
    return out
