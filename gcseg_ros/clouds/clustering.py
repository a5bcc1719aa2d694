"""DBSCAN (Ester et al., KDD 1996) of a cloud, or of many parts of one cloud whose cells are found only once.

As in Gunawan's (2013), points lie in cells so small that all of one are within the radius of each other: no pair is listed, and
memory does not grow with the radius.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from gcseg_ros.clouds.union_find import find
from gcseg_ros.jit import njit

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """A cloud in cubes whose diagonal is the radius.

    points  (N, 3)
    cell    (N,) the cube of each
    near    (cubes, cubes) bool: which may hold points within the radius of each other's; the diagonal is empty
    """

    points: npt.NDArray[np.float64]
    radius_m: float
    cell: Ids
    near: csr_array

    @classmethod
    def of(cls, points: npt.NDArray, radius_m: float) -> Cells:
        points = np.asarray(points, np.float64)
        edge = (1 - 1e-6) * radius_m / np.sqrt(3)  # rounded, a diagonal is still within the radius
        cubes = np.floor((points - points.min(0, initial=0)) / edge)
        order = np.lexsort(cubes.T)
        first = np.ones(len(points), bool)  # of its cube
        first[1:] = (np.diff(cubes[order], axis=0) != 0).any(1)
        cell = np.empty(len(points), np.int64)
        cell[order] = first.cumsum() - 1
        cubes = cubes[order][first]
        pairs = cKDTree(cubes).query_pairs(2.5, p=np.inf, output_type="ndarray").astype(np.int32)
        rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
        near = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(cubes), len(cubes))).tocsr()
        return cls(points, radius_m, cell, near)


def dbscan(cells: Cells, min_points: int, members: npt.NDArray[np.integer] | None = None) -> Ids:
    """DBSCAN of the points `members` (M,) of a cloud (None: all), as if there were no others: (M,) labels from 1, 0 = noise.

    Core points have `min_points` within the radius (itself included); clusters are their connected components; a border
    point goes to the first cluster that reaches it.
    """
    points, cell = (cells.points, cells.cell) if members is None else (cells.points[members], cells.cell[members])
    order = np.argsort(cell, kind="stable")
    ends = np.append(0, np.bincount(cell, minlength=cells.near.shape[0]).cumsum())
    labels = np.empty(len(points), np.int64)
    near = cells.near
    labels[order] = _clusters(
        points[order], cell[order], order, ends, near.indptr, near.indices, cells.radius_m, min_points
    )
    return labels


@njit
def _clusters(points, cell, order, ends, near_ends, near, radius, min_points):
    """Of points that are sorted by their cells: those of cell c are ends[c] to ends[c + 1]. order: their places before."""
    core = _core_points(points, cell, ends, near_ends, near, radius, min_points)
    parent = _components(points, cell, ends, near_ends, near, radius, core)
    labels = np.zeros(len(points), np.int64)
    place = np.empty(len(points), np.int64)
    place[order] = np.arange(len(points))
    number = np.zeros(len(parent), np.int64)  # of the component with this root
    clusters = 0
    for member in place:
        if core[member]:
            root = find(parent, cell[member])
            if number[root] == 0:
                clusters += 1
                number[root] = clusters
            labels[member] = number[root]
    _label_borders(labels, points, cell, ends, near_ends, near, radius, core)
    return labels


@njit
def _core_points(points, cell, ends, near_ends, near, radius, min_points):
    core = np.zeros(len(points), np.bool_)
    for i in range(len(points)):
        c = cell[i]
        within = ends[c + 1] - ends[c]
        for e in range(near_ends[c], near_ends[c + 1]):
            if within >= min_points:
                break
            for j in range(ends[near[e]], ends[near[e] + 1]):
                within += _is_within(points, i, j, radius)
        core[i] = within >= min_points
    return core


@njit
def _components(points, cell, ends, near_ends, near, radius, core):
    """Union-find of the cells: those whose core points hang together have one root."""
    parent = np.arange(len(ends) - 1)
    for i in range(len(points)):
        if not core[i]:
            continue
        for e in range(near_ends[cell[i]], near_ends[cell[i] + 1]):
            other = near[e]
            if other > cell[i]:
                continue  # seen from there
            root, other_root = find(parent, cell[i]), find(parent, other)
            if root == other_root:
                continue
            for j in range(ends[other], ends[other + 1]):
                if core[j] and _is_within(points, i, j, radius):
                    parent[max(root, other_root)] = min(root, other_root)
                    break
    return parent


@njit
def _label_borders(labels, points, cell, ends, near_ends, near, radius, core):
    """Points that are no core points get the least label of the core points within the radius."""
    for i in range(len(points)):
        if core[i]:
            continue
        c = cell[i]
        for j in range(ends[c], ends[c + 1]):
            if core[j] and (labels[i] == 0 or labels[j] < labels[i]):
                labels[i] = labels[j]
        for e in range(near_ends[c], near_ends[c + 1]):
            for j in range(ends[near[e]], ends[near[e] + 1]):
                if core[j] and (labels[i] == 0 or labels[j] < labels[i]) and _is_within(points, i, j, radius):
                    labels[i] = labels[j]


@njit
def _is_within(points, i, j, radius):
    x, y, z = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1], points[i, 2] - points[j, 2]
    return x * x + y * y + z * z <= radius * radius
