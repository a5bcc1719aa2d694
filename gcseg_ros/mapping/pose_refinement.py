"""Poses corrected by what the map already shows: frame-to-model registration (Newcombe et al., ISMAR 2011).

An odometry drifts: what is seen again lands beside where it was mapped, and surfaces double. So each view is registered with the
map's surfaces (point to plane, Chen and Medioni 1992), and its pose moved. How far depends on how much the poses drift, which is
learned on the way: exact ones hardly move, for registration errs too. Where a view shows too little, one wall along which
it could slide, the given motion stays; where it shows nothing of the map, all of it.

A correction is (6,): turn (rotation vector, radians, about the camera) and shift (m), in the world's axes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from gcseg_ros.depth import rotated, sigma, solid
from gcseg_ros.frames import Array, rigid
from gcseg_ros.jit import njit
from gcseg_ros.mapping.voxel_map import NORMAL, POINT, VOTE_NOISE_M, WEIGHT, VoxelMap, corner, locate
from gcseg_ros.state import Saved
from gcseg_ros.views import View

SAMPLES = 2000  # points of a view, about
ROUNDS, SETTLED = 4, 3e-4  # Gauss-Newton steps at most; a step this small (m, radians) is the last
KNOWN, LEAST_POINTS = 0.4, 50  # share and number of points near a surface of the map that registration takes
TURN, SHIFT = 0.02, 0.03  # radians, m: how far off a view may be, 1 sigma
INDEPENDENT = 3000.0  # a view's points tell as much as so many whose errors have nothing in common
SLOW_NOISE = 0.005  # depth is also off by this share of it, 1 sigma, alike for neighbours
SURFACE_NOISE_M = 0.005  # of the map
REACH_M, REACH_SIGMAS = 0.03, 4.0  # farther from a surface than this and so many sigmas a point is not of it
PARALLEL = 0.9  # least cosine between a point's normal and its surface's; least length of a voxel's mean normal
LEAST_WEIGHT = 0.1  # of a voxel that is compared with
# Frames in which a correction that nothing confirms falls to a third: where poses drift, and where they do not.
FADES, SETTLES = 100.0, 20.0
KEEP, LATELY = 0.998, 0.95  # of what was learned of the drift, and of how far views were apart, from frame to frame
# Each for turns (radians) and shifts (m):
DRIFT = np.array([np.radians(0.03), 0.0008])  # from one frame to the next; less is none
BELIEF = np.array([np.radians(0.15), 0.003])  # for one view poses are believed to drift so far
ABOVE_NOISE = 1 / 3  # drift has this share of the noise's variance,
SURE = 3.0  # and this over the root of how many changes were seen, or cannot be told from it
APART = np.array([np.radians(0.1), 0.002])  # views that are not where they are expected by this,
ABOVE_APART = 2.0  # and by so much of the noise's variance, are so by drift that has added up
FAR_M, FAR_DEG = 0.3, 5.0  # corrections beyond this are told
LEAST_VIEWS, MOST_LOST = 20, 0.25  # of so many views more than this share are lost only where poses are wrong


class PoseRefinement:
    """Views, in order of time -> the same views with corrected poses.

    correction  (6,) of the last view
    fits        whether the last view lies on the map, or has too little depth to tell
    lost        views that did not; the first is one
    """

    def __init__(self, voxel_map: VoxelMap) -> None:
        self.voxel_map = voxel_map
        self.drift = Drift()
        self.correction = np.zeros(6)
        self.lost = 0
        self.fits = True

    def __call__(self, view: View) -> View:
        points, fades = some_points(view), np.where(self.drift.variance() > 0, FADES, SETTLES)
        expected = (1 - 1 / fades) * self.correction
        found = self._registered(points, view.pose, expected)
        if found is None:
            self.drift.interrupted()
            if expected.any():  # a closed loop made the poses jump: then they fit the map by themselves
                found = self._registered(points, view.pose, np.zeros(6))
                expected = expected if found is None else np.zeros(6)
        self.fits = found is not None or len(points.at) < LEAST_POINTS
        if found is None:
            self.correction, self.lost = expected, self.lost + (not self.fits)
        else:
            measured, information = found
            self.drift.learn(measured, expected)
            belief = np.diag(1 / np.maximum(self.drift.variance(), 1e-16))
            self.correction = expected + np.linalg.solve(information + belief, information @ (measured - expected))
        return replace(view, pose=rigid(moved(view.pose, self.correction))) if self.correction.any() else view

    def _registered(self, points: Points, pose: Array, start: Array) -> tuple[Array, Array] | None:
        """The correction (6,) near `start` by which points lie on the map, and what is known of it, the inverse (6, 6)
        of its covariance; None where too few points lie near the map."""
        m, correction, prior = self.voxel_map, start, np.repeat([TURN, SHIFT], 3) ** -2.0
        for _ in range(ROUNDS):
            H, g, near = _normal_equations(
                m.keys, m.row_of, m.sums, points.at, points.normals, points.noise, moved(pose, correction), m.voxel_m
            )
            if near < max(KNOWN * len(points.at), LEAST_POINTS):
                return None
            share = INDEPENDENT / near
            step = -np.linalg.solve(share * H + np.diag(prior), share * g + prior * (correction - start))
            correction = correction + step
            if np.abs(step).max() < SETTLED:
                break
        return correction, share * H

    def notes(self, views: int) -> list[str]:
        """Sentences for the user of a map of so many views."""
        if views >= LEAST_VIEWS and self.lost > MOST_LOST * views:
            return [
                f"{self.lost} of {views} views do not lie on what was mapped before them: poses must be camera-to-world, in metres, of a camera "
                "whose x axis points right, y down and z forward, and depth in its unit; if they are, the camera moves too far between frames."
            ]
        counts = self.counts()
        if counts["corrected_m"] <= FAR_M and counts["corrected_deg"] <= FAR_DEG:
            return []
        return [
            f"The last view fits the map {counts['corrected_m']:.2f} m and {counts['corrected_deg']:.1f} degrees from where its pose is: so far "
            "the poses have drifted, or they are in another unit than metres, or depth is in another than it is taken for (then the map has "
            "depth's scale)."
        ]

    def counts(self) -> dict[str, float]:
        """How far the last view's pose was corrected, and how many views are lost."""
        turn, shift = np.linalg.norm(self.correction.reshape(2, 3), axis=1).tolist()
        return {"corrected_m": round(shift, 4), "corrected_deg": round(float(np.degrees(turn)), 3), "lost": self.lost}

    def state(self) -> dict[str, Any]:
        """The last correction, how many views are lost, and what was learned of the drift."""
        return {"correction": self.correction, "lost": self.lost, **self.drift.state()}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self.correction, self.lost = saved.array("correction", np.float64, (6,)), saved.number("lost")
        self.drift.restore(saved)


class Drift:
    """How far poses are off from one frame to the next, learned from the corrections that registration measures.

    These are the true ones and noise. So their changes have the variance of the drift's steps and twice that of the noise; and as
    what noise adds to one change it takes from the next, two in a row have minus its variance as their covariance (Mehra, "On the
    identification of variances and adaptive Kalman filtering", IEEE Transactions on Automatic Control, 1970).

    Steps too small to be told from noise add up; then views are seen where they are not expected.

    squares, echoes  (2,) of turn and shift: sums of squared changes, and of products of two in a row, of one axis
    count            (1,) changes that they are sums of; at first BELIEF is one
    apart            (2,) mean square of how far views were from where they were expected, lately
    recent           (k, 6) the last measured corrections, at most two
    """

    def __init__(self) -> None:
        self.squares, self.echoes = BELIEF**2, np.zeros(2)
        self.apart, self.count, self.recent = np.zeros(2), np.ones(1), np.zeros((0, 6))

    def learn(self, measured: Array, expected: Array) -> None:
        """From the measured correction (6,) of the next view, and the expected one."""
        self.apart = LATELY * self.apart + (1 - LATELY) * ((measured - expected).reshape(2, 3) ** 2).mean(1)
        measures = np.vstack([self.recent, measured])
        changes = np.diff(measures, axis=0).reshape(-1, 2, 3)
        if len(changes):
            self.count, self.squares = KEEP * self.count + 1, KEEP * self.squares + (changes[-1] ** 2).mean(1)
            self.echoes = KEEP * self.echoes
        if len(changes) == 2:
            self.echoes = self.echoes + (changes[0] * changes[1]).mean(1)
        self.recent = measures[-2:]

    def interrupted(self) -> None:
        """The next view's correction does not follow one that was measured."""
        self.recent = self.recent[:0]

    def variance(self) -> Array:
        """(6,) of the steps; 0 if poses do not drift, as far as one can see."""
        noise = np.maximum(-self.echoes, 0) / self.count
        steps = np.maximum(self.squares / self.count - 2 * noise, 0)
        drifts = (steps > DRIFT**2) & (steps > noise * np.maximum(ABOVE_NOISE, SURE / np.sqrt(self.count)))
        added_up = self.apart > np.maximum(APART**2, ABOVE_APART * noise)
        return np.repeat(np.where(added_up, np.maximum(steps, DRIFT**2), np.where(drifts, steps, 0)), 3)

    def state(self) -> dict[str, Any]:
        """All of it."""
        return vars(self)

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self.squares = saved.array("squares", np.float64, (2,), 0)
        self.echoes = saved.array("echoes", np.float64, (2,))
        self.count = saved.array("count", np.float64, (1,), 1)
        self.apart = saved.array("apart", np.float64, (2,), 0)
        self.recent = saved.array("recent", np.float64, (None, 6))[-2:]


@dataclass(frozen=True)
class Points:
    """Some of a view's points: at (n, 3) m and normals (n, 3), camera frame; noise (n,) m of their depth, 1 sigma."""

    at: Array
    normals: Array
    noise: Array


def some_points(view: View) -> Points:
    """Of the measured depth: the filtered one carries on the errors of the given motions, and a camera that follows it
    keeps them."""
    depth = solid(view.measured_m)
    stride = max(1, int(np.sqrt(depth.size / SAMPLES)))
    v, u = np.mgrid[stride // 2 : depth.shape[0] : stride, stride // 2 : depth.shape[1] : stride].reshape(2, -1)
    known = (depth[v, u] > 0) & view.normals[v, u].any(-1)
    v, u = v[known], u[known]
    z = depth[v, u].astype(np.float64)
    fx, fy, cx, cy = view.intrinsics.pinhole
    noise = np.sqrt(sigma(z) ** 2 + (SLOW_NOISE * z) ** 2)
    at = np.column_stack([(u - cx) / fx * z, (v - cy) / fy * z, z])
    return Points(at, view.normals[v, u].astype(np.float64), noise)


def moved(pose: Array, correction: Array) -> Array:
    """A camera-to-world pose (4, 4), corrected."""
    result = pose.copy()
    result[:3, :3] = Rotation.from_rotvec(correction[:3]).as_matrix() @ pose[:3, :3]
    result[:3, 3] += correction[3:]
    return result


@njit
def _normal_equations(keys, row_of, sums, points, normals, noise, pose, voxel_m):
    """H (6, 6) and g (6,) of a Gauss-Newton step of a correction, and how many points are near a surface.

    A point's surface is the nearest plane through its voxel and those before and behind it.
    """
    H, g, near = np.zeros((6, 6)), np.zeros(6), 0
    J = np.zeros(6)
    for i in range(len(points)):
        arm, normal = rotated(pose, points[i]), rotated(pose, normals[i])
        point = arm[0] + pose[0, 3], arm[1] + pose[1, 3], arm[2] + pose[2, 3]
        variance = noise[i] ** 2 + SURFACE_NOISE_M**2
        reach = REACH_M + REACH_SIGMAS * np.sqrt(variance)
        off, of_surface = reach, 0.0
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
            weight, x, y, z = s[WEIGHT], s[NORMAL], s[NORMAL + 1], s[NORMAL + 2]
            length = np.sqrt(x * x + y * y + z * z)
            if weight < LEAST_WEIGHT or length < PARALLEL * weight:
                continue
            x, y, z = x / length, y / length, z / length
            if x * normal[0] + y * normal[1] + z * normal[2] < PARALLEL:
                continue
            left, front, low = corner(key, voxel_m)
            distance = (
                x * (point[0] - left - s[POINT] / weight)
                + y * (point[1] - front - s[POINT + 1] / weight)
                + z * (point[2] - low - s[POINT + 2] / weight)
            )
            if abs(distance) < abs(off):
                off = distance
                J[0], J[1], J[2] = arm[1] * z - arm[2] * y, arm[2] * x - arm[0] * z, arm[0] * y - arm[1] * x
                J[3], J[4], J[5] = x, y, z
                of_surface = VOTE_NOISE_M**2 / weight
        if off == reach:
            continue
        near += 1
        tukeys = (1 - (off / reach) ** 2) ** 2 / (variance + of_surface)
        for j in range(6):
            g[j] += tukeys * J[j] * off
            for k in range(6):
                H[j, k] += tukeys * J[j] * J[k]
    return H, g, near
