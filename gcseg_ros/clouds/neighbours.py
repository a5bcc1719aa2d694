"""What the points near a point tell of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]
MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
"""Odd numbers: sums of their products with a cell's three indices, modulo 2^64, tell cells apart."""


def normals_of(points: Floats) -> Floats:
    """(N, 3) unit normals of points (N, 3): the direction of least spread of each point's 12 nearest."""
    if not len(points):
        return points
    _, near = cKDTree(points).query(points, min(12, len(points)), workers=-1)
    offsets = points[near.reshape(len(points), -1)]
    offsets -= offsets.mean(1, keepdims=True)
    _, axes = np.linalg.eigh(offsets.transpose(0, 2, 1) @ offsets)
    return axes[:, :, 0]


def neighbour_pairs(points: Floats, neighbours: int = 10, radius_m: float = 0.06) -> npt.NDArray[np.int64]:
    """(E, 2) undirected edges from each point to its nearest ones within the radius, i < j, each once."""
    n = len(points)
    _, near = cKDTree(points).query(points, range(2, neighbours + 2), distance_upper_bound=radius_m, workers=-1)
    pairs = np.stack([np.repeat(np.arange(n), neighbours), near.reshape(-1)], 1)
    pairs = np.sort(pairs[pairs[:, 1] < n], 1)
    return np.stack(np.divmod(np.unique(pairs[:, 0] * n + pairs[:, 1]), max(n, 1)), 1)


def spacing(tree: cKDTree) -> float:
    """The median distance of a point of a cloud to its nearest neighbour."""
    nearest, _ = tree.query(tree.data[:: max(1, tree.n // 20_000)], k=[2])
    return float(np.median(nearest))


def cells_of(points: npt.NDArray[np.floating], edge_m: float) -> npt.NDArray[np.uint64]:
    """(N, 3) -> (N,): points of one cell have the same key, points of two have two, but for chances of 1 to 2^64."""
    return (np.floor(points / edge_m).astype(np.int64).astype(np.uint64) * MIX).sum(axis=1, dtype=np.uint64)


def distinct(points: npt.NDArray[np.floating], cell_m: float) -> npt.NDArray[np.int64]:
    """The first point, of points (N, 3), in each cell of this edge: indices, ascending."""
    return np.sort(np.unique(cells_of(points, cell_m), return_index=True)[1])
