"""What the points near a point tell of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]


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
