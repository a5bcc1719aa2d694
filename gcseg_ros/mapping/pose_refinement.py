"""Poses corrected by what the map already shows: frame-to-model registration (Newcombe et al., ISMAR 2011).

An odometry drifts: what is seen again lands beside where it was mapped, and surfaces double. So each view is moved until its
points lie on the map's surfaces (point to plane, Chen and Medioni 1992), by Gauss-Newton steps. Where a view shows too little, one
wall along which it could slide, the given motion stays; where it shows nothing of the map, all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from gcseg_ros.frames import Array, rigid
from gcseg_ros.jit import njit
from gcseg_ros.mapping.state import Saved
from gcseg_ros.mapping.voxel_map import VoxelMap, locate
from gcseg_ros.views import View, sigma, solid

SAMPLES = 2000  # points of a view, about
ROUNDS, SETTLED = 4, 3e-4  # Gauss-Newton steps at most; a step this small (m, radians) is the last
KNOWN, LEAST_POINTS = (
    0.5,
    50,
)  # share and number of the points that must lie near a surface of the map for a view to be moved
STEP_M, STEP_RAD = 0.003, np.radians(0.15)  # how far the given motion may be off from one frame to the next, 1 sigma
INDEPENDENT = 1000.0  # a view's points tell as much as so many whose errors have nothing in common
SLOW_NOISE = 0.005  # depth is also off by this share of it, 1 sigma, alike for neighbours
SURFACE_NOISE_M = 0.005  # of the map
REACH_M, REACH_SIGMAS = 0.03, 4.0  # farther from a surface than this and so many sigmas a point is not of it
PARALLEL = 0.9  # least cosine of the angle between the normals of a point and of its surface, and coherence of a voxel's normals
LEAST_WEIGHT = 0.7  # of a voxel that is compared with
# A correction that nothing confirms falls to a third in so many frames: poses may be right in the long run.
FADES = 300.0


@dataclass(frozen=True)
class Points:
    """Some of a view's points (n, 3) m and normals (n, 3), camera frame; noise (n,) m of their depth, 1 sigma."""

    points: Array
    normals: Array
    noise: Array


class PoseRefinement:
    """Views, in order of time -> the same views with corrected poses.

    given, refined  (4, 4) camera-to-world: the last view's pose, and what became of it
    lost            views that showed too little of the map to be moved
    """

    def __init__(self, voxel_map: VoxelMap) -> None:
        self.voxel_map = voxel_map
        self.given, self.refined = np.eye(4), np.eye(4)
        self.lost = 0

    def __call__(self, view: View) -> View:
        points, expected = some_points(view), self._expected(view.pose)
        pose = self.register(points, expected)
        if pose is None:  # a closed loop made the poses jump: then they fit the map by themselves
            pose = self.register(points, view.pose)
        if pose is None:
            pose, self.lost = expected, self.lost + 1
        self.given, self.refined = view.pose, rigid(pose)
        return replace(view, pose=self.refined)

    def _expected(self, given: Array) -> Array:
        """The last view's corrected pose and the motion since then; the correction fades a little."""
        expected = self.refined @ np.linalg.inv(self.given) @ given
        turn, shift = difference(given, expected)
        return moved(given, (1 - 1 / FADES) * turn, (1 - 1 / FADES) * shift)

    def register(self, seen: Points, start: Array) -> Array | None:
        """The camera-to-world pose (4, 4) near `start` from which points lie on the map; None where too few lie near it."""
        m, pose, prior = self.voxel_map, start, np.repeat([STEP_RAD, STEP_M], 3) ** -2.0
        for _ in range(ROUNDS):
            H, g, near = _normal_equations(
                m.keys, m.row_of, m.sums, seen.points, seen.normals, seen.noise, pose, m.voxel_m
            )
            if near < max(KNOWN * len(seen.points), LEAST_POINTS):
                return None
            share, so_far = INDEPENDENT / near, np.concatenate(difference(start, pose))
            step = np.linalg.solve(share * H + np.diag(prior), -share * g - prior * so_far)
            pose = moved(pose, step[:3], step[3:])
            if np.abs(step).max() < SETTLED:
                break
        return pose

    def counts(self) -> dict[str, float]:
        """How far the last view's pose was corrected, and how many views could not be."""
        turn, shift = (float(np.linalg.norm(x)) for x in difference(self.given, self.refined))
        return {"corrected_m": round(shift, 4), "corrected_deg": round(np.degrees(turn), 3), "lost": self.lost}

    def state(self) -> dict[str, Any]:
        return {"given": self.given, "refined": self.refined, "lost": self.lost}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self.given, self.refined = (
            rigid(saved.array(name, np.float64, (4, 4)), saved.where) for name in ("given", "refined")
        )
        self.lost = saved.number("lost")


def difference(one: Array, other: Array) -> tuple[Array, Array]:
    """How a camera at pose `one` turns (3,) and is shifted (3,) to be at `other`; rotation vector in radians and m, world axes."""
    return Rotation.from_matrix(other[:3, :3] @ one[:3, :3].T).as_rotvec(), other[:3, 3] - one[:3, 3]


def moved(pose: Array, turn: Array, shift: Array) -> Array:
    """`difference` undone."""
    result = pose.copy()
    result[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ pose[:3, :3]
    result[:3, 3] += shift
    return result


def some_points(view: View) -> Points:
    """Of the measured depth: the filtered one lags behind, and a camera that follows it turns with the lag."""
    depth = solid(view.measured_m)
    stride = max(1, int(np.sqrt(depth.size / SAMPLES)))
    v, u = np.mgrid[stride // 2 : depth.shape[0] : stride, stride // 2 : depth.shape[1] : stride].reshape(2, -1)
    known = (depth[v, u] > 0) & view.normals[v, u].any(-1)
    v, u = v[known], u[known]
    z = depth[v, u].astype(np.float64)
    fx, fy, cx, cy = view.camera
    noise = np.sqrt(sigma(z) ** 2 + (SLOW_NOISE * z) ** 2)
    points = np.column_stack([(u - cx) / fx * z, (v - cy) / fy * z, z])
    return Points(points, view.normals[v, u].astype(np.float64), noise)


@njit
def _normal_equations(keys, row_of, sums, points, normals, noise, pose, voxel_m):
    """H (6, 6) and g (6,) of a Gauss-Newton step (turn about the camera, shift; world axes), and how many points are near a surface.

    A point's surface is the nearest plane through its voxel and those before and behind it.
    """
    H, g, near = np.zeros((6, 6)), np.zeros(6), 0
    J, arm, normal, point = np.zeros(6), np.zeros(3), np.zeros(3), np.zeros(3)
    for i in range(len(points)):
        for t in range(3):
            arm[t] = pose[t, 0] * points[i, 0] + pose[t, 1] * points[i, 1] + pose[t, 2] * points[i, 2]
            normal[t] = pose[t, 0] * normals[i, 0] + pose[t, 1] * normals[i, 1] + pose[t, 2] * normals[i, 2]
            point[t] = arm[t] + pose[t, 3]
        variance = noise[i] ** 2 + SURFACE_NOISE_M**2
        reach = REACH_M + REACH_SIGMAS * np.sqrt(variance)
        off = reach
        for behind in (0.0, -voxel_m, voxel_m):
            beside = (
                point[0] + behind * normal[0],
                point[1] + behind * normal[1],
                point[2] + behind * normal[2],
            )
            key, slot = locate(keys, beside, 1 / voxel_m)
            if key < 0 or keys[slot] != key:
                continue
            s = sums[row_of[slot]]
            length = np.sqrt(s[4] * s[4] + s[5] * s[5] + s[6] * s[6])
            if s[0] < LEAST_WEIGHT or length < PARALLEL * s[0]:
                continue
            x, y, z = s[4] / length, s[5] / length, s[6] / length
            if x * normal[0] + y * normal[1] + z * normal[2] < PARALLEL:
                continue
            distance = x * (point[0] - s[1] / s[0]) + y * (point[1] - s[2] / s[0]) + z * (point[2] - s[3] / s[0])
            if abs(distance) < abs(off):
                off = distance
                J[0], J[1], J[2] = arm[1] * z - arm[2] * y, arm[2] * x - arm[0] * z, arm[0] * y - arm[1] * x
                J[3], J[4], J[5] = x, y, z
        if off == reach:
            continue
        near += 1
        weight = (1 - (off / reach) ** 2) ** 2 / variance  # Tukey's
        for j in range(6):
            g[j] += weight * J[j] * off
            for k in range(6):
                H[j, k] += weight * J[j] * J[k]
    return H, g, near
