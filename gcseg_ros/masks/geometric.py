"""Masks from geometry and colour alone: no weights, no GPU.

Depth gaps, concave creases and steps of colour give a boundary strength per pixel; watershed regions are merged by the
mean strength along their borders. In the line of LCCP (Stein et al. 2014: objects are convex, they meet in concave
creases) and of the depth segmentation of voxblox++ (Grinvald et al. 2019).
"""

from __future__ import annotations

import cv2
import numpy as np

from gcseg_ros.config import MasksConfig
from gcseg_ros.depth import sigma
from gcseg_ros.jit import njit
from gcseg_ros.masks.proposals import Proposals
from gcseg_ros.masks.regions import EdgeCost, build_hierarchy
from gcseg_ros.views import View

GAP_RADIUS_PX, CREASE_RADIUS_PX = 1, 4  # from a pixel to the two that are compared
COLOUR_RIDGE = 25.0  # Lab step that makes a ridge of full height
RIDGE_BLUR_PX = 0.7  # standard deviation
COST = EdgeCost(small_px=25, colour_weight=0.9, colour_low=4, colour_high=20, same_colour=0.5, convex_relief=0.6)


class GeometricGenerator:
    """`masks: geometric`."""

    def __init__(self, config: MasksConfig) -> None:
        self.config = config

    def __call__(self, view: View) -> Proposals:
        gap, concave, convex, step = boundary_evidence(view)
        ridge = np.maximum(np.maximum(gap, concave), 0.8 * np.minimum(step / COLOUR_RIDGE, 1))
        ridge = (cv2.GaussianBlur(ridge, (0, 0), RIDGE_BLUR_PX) * 255).astype(np.uint8)
        hierarchy = build_hierarchy(ridge, view.depth_m, view.lab, (gap, concave, convex, step), COST)
        levels = tuple(np.where(view.depth_m > 0, hierarchy.cut(level), 0) for level in self.config.levels)
        return Proposals(levels[self.config.tracked_level], levels)


def boundary_evidence(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Depth gap 0..1, concavity 0..1, convexity 0..1 and step of colour (Lab units), each (h, w) float32."""
    gap, concave, convex, step = _evidence(view.depth_m, view.normals, view.lab, view.intrinsics.pinhole)
    box = np.ones((3, 3), np.uint8)
    hole = cv2.morphologyEx((view.depth_m <= 0).astype(np.uint8), cv2.MORPH_OPEN, box)
    rim = (cv2.dilate(hole, box) > 0) & (cv2.erode(hole, box) == 0)
    return np.maximum(gap, np.float32(0.9) * rim), concave, convex, step


@njit
def _evidence(depth, normals, lab, camera):
    h, w = depth.shape
    gap, concave = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    convex, step = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    for v in range(h):
        for u in range(w):
            g = c = x = s = 0.0
            for direction in range(4):  # right, down, and the two diagonals: the pixels on either side of (u, v)
                du = 0 if direction == 1 else 1
                dv = 0 if direction == 0 else (-1 if direction == 3 else 1)
                g = max(g, _gap(depth, normals, u, v, du * GAP_RADIUS_PX, dv * GAP_RADIUS_PX, camera))
                bend = _bend(depth, normals, u, v, du * CREASE_RADIUS_PX, dv * CREASE_RADIUS_PX, camera)
                c, x = max(c, -bend), max(x, bend)
                if u >= du and u + du < w and min(v - dv, v + dv) >= 0 and max(v - dv, v + dv) < h:
                    d = 0.0
                    for t in range(3):
                        q = lab[v - dv, u - du, t] - lab[v + dv, u + du, t]
                        d += q * q
                    s = max(s, d)
            gap[v, u], concave[v, u], step[v, u] = min(g, 1.0), min(c, 1.0), np.sqrt(s)
            convex[v, u] = min(x, 1.0) if c < 0.3 else 0.0
    return gap, concave, convex, step


@njit
def _either_side(depth, u, v, du, dv, camera):
    """Depths of the pixels before and behind (u, v), 0 where there is none, and the way from the one's point to the
    other's (m)."""
    h, w = depth.shape
    ua, va, ub, vb = u - du, v - dv, u + du, v + dv
    if ua < 0 or ub >= w or min(va, vb) < 0 or max(va, vb) >= h:
        return np.float32(0), np.float32(0), 0.0, 0.0
    fx, fy, cx, cy = camera
    za, zb = depth[va, ua], depth[vb, ub]
    return za, zb, (ub - cx) / fx * zb - (ua - cx) / fx * za, (vb - cy) / fy * zb - (va - cy) / fy * za


@njit
def _gap(depth, normals, u, v, du, dv, camera):
    """How far two points either side of a pixel lie off each other's tangent plane, 1 = beyond what noise explains twice."""
    za, zb, dx, dy = _either_side(depth, u, v, du, dv, camera)
    if za <= 0 or zb <= 0:
        return 0.0
    z = min(za, zb)
    limit = 0.015 + 3 * sigma(z) + 0.5 * z / camera[0] * max(abs(du), abs(dv))
    na, nb = normals[v - dv, u - du], normals[v + dv, u + du]
    if na[2] == 0 or nb[2] == 0:
        return (abs(zb - za) - limit) / limit
    pa = na[0] * dx + na[1] * dy + na[2] * (zb - za)
    pb = nb[0] * dx + nb[1] * dy + nb[2] * (zb - za)
    return (min(abs(pa), abs(pb)) - 0.5 * limit) / limit


@njit
def _bend(depth, normals, u, v, du, dv, camera):
    """Convexity (> 0) or concavity (< 0) across a pixel; |n_a - n_b| along the baseline, from 0.2 (12 degrees) to 0.6."""
    za, zb, dx, dy = _either_side(depth, u, v, du, dv, camera)
    if za <= 0 or zb <= 0:
        return 0.0
    na, nb = normals[v - dv, u - du], normals[v + dv, u + du]
    if na[2] == 0 or nb[2] == 0:
        return 0.0
    dz = zb - za
    length = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
    z = min(za, zb)
    if length > 0.08 + 8 * max(abs(du), abs(dv)) * z / camera[0]:
        return 0.0
    y = ((nb[0] - na[0]) * dx + (nb[1] - na[1]) * dy + (nb[2] - na[2]) * dz) / length
    if y < 0:
        return min(0.0, (y + 0.2 * (1 + 0.7 * max(z - 2, 0.0))) / 0.4)
    return max(0.0, (y - 0.2) / 0.4)
