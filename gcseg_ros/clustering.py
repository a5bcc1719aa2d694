"""DBSCAN (Ester et al., KDD 1996) of a cloud, or of many parts of one cloud whose neighbours are found only once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from gcseg_ros.jit import njit

Labels = npt.NDArray[np.int64]


def radius_graph(points: npt.NDArray, radius_m: float) -> csr_array:
    """(N, N) bool: which points (N, 3) lie within the radius of each other; the diagonal is empty."""
    n = len(points)
    pairs = cKDTree(points).query_pairs(radius_m, output_type="ndarray").astype(np.int32)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    return coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(n, n)).tocsr()


def dbscan(near: csr_array, min_points: int, members: npt.NDArray[np.integer] | None = None) -> Labels:
    """DBSCAN of the points `members` (M,) of a radius graph (None: all), as if there were no others: (M,) labels from 1, 0 = noise.

    Core points have `min_points` within the radius (itself included); clusters are their connected components; a border
    point goes to the first cluster that reaches it.
    """
    if members is None:
        members = np.arange(near.shape[0])
    place = np.full(near.shape[0], -1, np.int64)
    place[members] = np.arange(len(members))
    return _clusters(near.indptr, near.indices, np.asarray(members, np.int64), place, min_points)


@njit
def _clusters(starts, neighbours, members, place, min_points):
    count = len(members)
    core = np.zeros(count, np.bool_)
    for i in range(count):
        within = 1
        for e in range(starts[members[i]], starts[members[i] + 1]):
            if within >= min_points:
                break
            if place[neighbours[e]] >= 0:
                within += 1
        core[i] = within >= min_points
    # the core points' components, by union-find: a root is the first point of its component
    parent = np.arange(count)
    for i in range(count):
        if not core[i]:
            continue
        root = i
        for e in range(starts[members[i]], starts[members[i] + 1]):
            j = place[neighbours[e]]
            if 0 <= j < i and core[j]:
                while parent[j] != j:
                    parent[j] = parent[parent[j]]
                    j = parent[j]
                parent[max(root, j)] = min(root, j)
                root = min(root, j)
    labels = np.zeros(count, np.int64)
    cluster = 0
    for i in range(count):
        if core[i] and parent[i] == i:
            cluster += 1
            labels[i] = cluster
        elif core[i]:
            labels[i] = labels[parent[i]]
    for i in range(count):
        if core[i]:
            continue
        for e in range(starts[members[i]], starts[members[i] + 1]):
            j = place[neighbours[e]]
            if j >= 0 and core[j] and (labels[i] == 0 or labels[j] < labels[i]):
                labels[i] = labels[j]
    return labels
