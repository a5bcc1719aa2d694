"""Structural planes of a room: large planes with nearly nothing behind them (walls, floor, ceiling)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLE = 30000  # points of the map
HYPOTHESES = 400  # planes through points that are tried for each one that is found
LEAST_FREE, LEAST_INLIERS = 100, 30  # fewer points are looked for no plane in, and are none
REFITS = 3
MOST_PLANES = 16
DISTANCE_M, NORMAL_COSINE = 0.04, 0.85  # of points from their plane at most, and of their normals and its at least
MIN_AREA_M2 = 1.5
BIG_AREA_M2 = 5.0  # structural whatever lies behind
FRONT_SHARE, FRONT_M = 0.85, -0.1  # share of the map in front of a smaller structural plane, and from where on that is
CELL_M = 0.15  # area is counted in cells of this size


@dataclass(frozen=True)
class Plane:
    """Points x with normal . x = offset; the normal (3,) points into the room."""

    normal: npt.NDArray[np.float64]
    offset: float

    def distance(self, points: npt.NDArray) -> npt.NDArray[np.float64]:
        """Signed distance (N,) in metres, positive on the room's side."""
        return points @ self.normal - self.offset


def structural_planes(points: npt.NDArray, normals: npt.NDArray) -> list[Plane]:
    """RANSAC (Fischler & Bolles 1981), largest plane first, on a sample of the map's points (N, 3) and normals (N, 3)."""
    rng = np.random.default_rng(0)
    sample = rng.permutation(len(points))[:SAMPLE]
    P, N = points[sample].astype(np.float64), normals[sample].astype(np.float64)
    free = np.ones(len(P), bool)
    planes: list[Plane] = []
    for _ in range(MOST_PLANES):
        candidates = np.flatnonzero(free)
        if len(candidates) < LEAST_FREE:
            break
        h = rng.choice(candidates, min(HYPOTHESES, len(candidates)), replace=False)
        near = np.abs(P[candidates] @ N[h].T - np.einsum("ij,ij->i", P[h], N[h])) < DISTANCE_M
        near &= N[candidates] @ N[h].T > NORMAL_COSINE
        best = int(near.sum(axis=0).argmax())
        inliers = candidates[near[:, best]]
        free[h[best]] = False
        for _ in range(REFITS):  # least squares on the inliers, whoever owns them
            if len(inliers) < LEAST_INLIERS:
                break
            centre = P[inliers].mean(axis=0)
            axes = np.linalg.svd(P[inliers] - centre, full_matrices=False)[2]
            normal = axes[2] * np.sign(axes[2] @ N[inliers].mean(axis=0))
            inliers = np.flatnonzero((np.abs((P - centre) @ normal) < DISTANCE_M) & (N @ normal > NORMAL_COSINE))
        if len(inliers) < LEAST_INLIERS:
            break
        free[inliers] = False
        cells = np.floor((P[inliers] - centre) @ axes[:2].T / CELL_M).astype(int)
        area = CELL_M**2 * len(np.unique(cells, axis=0))
        in_front = float(((P - centre) @ normal > FRONT_M).mean())
        if area > MIN_AREA_M2 and (area > BIG_AREA_M2 or in_front > FRONT_SHARE):
            planes.append(Plane(normal, float(centre @ normal)))
    return planes
