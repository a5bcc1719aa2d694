"""The graph of a map's pieces: facets of tracked labels as nodes; as edges pairs that touch, are near, may be of one
wall, floor or ceiling, or were seen together.

A tracked label may reach over a corner, from one wall to the next, or from a table to the book on it. So labels are cut
into facets, where the surface bends or changes its colour, and joining decides which of them belong together. What
stands before an object cuts it into parts that do not touch: a wall behind a cupboard, the floor beyond a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.clouds.graph_segmentation import graph_segmentation
from gcseg_ros.finishing.piece_columns import (
    BORDERS,
    DIRECTIONS,
    EDGE,
    KNOWN,
    NEAR,
    NODE,
    NORMAL,
    ONE_LABEL,
    POINT,
    SAME,
    SEEN,
    STRUCTURAL,
    UP,
    VOTES,
    WHERE_PRODUCTS,
    structure,
)  # fmt: skip
from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.jit import njit
from gcseg_ros.joining.agglomeration import AREA, AXES, CONTACT, UNIT_M, Floats, Ids, extents, sums_of_pairs
from gcseg_ros.mapping.voxel_map import LEAST_VOXELS, Surface
from gcseg_ros.tracking.borders import Borders
from gcseg_ros.tracking.evidence import Evidence

TOUCH = 1.85  # voxels nearer than this many edges touch
FACET_SCALE, FACET_VOXELS = 0.5, 20  # of the graph segmentation: how much a facet may change, and its least size
FACET_COLOUR = 0.01  # Lab difference x this weighs as much as 1 - the cosine of an angle; lightness counts half, for shade and light
FACET_STEPS = 1 << 15  # of a change's square root, that changes are ordered by: 16 bits are sorted by radix
CELL, REACH = 2, 5  # voxels: the edge of cells, and how far apart those of near pieces may be
IN_PLANE = 8  # pieces in one plane, of a large hall's floor, that each knows of
# What may be parts of one plane: pieces so probably of the room, so flat and so large, whose normals and planes differ
# by no more.
PLANE_STRUCTURE, PLANE_FLAT, PLANE_AREA, PLANE_PARALLEL, PLANE_OFF_M = 0.4, 0.9, 80, 0.95, 0.1
WALL_LEVEL = 0.3  # a wall's normal rises by no more, of a length of 1


def piece_graph(surface: Surface, evidence: Evidence, borders: Borders) -> tuple[PieceGraph, Ids]:
    """The graph of a map's pieces of at least LEAST_VOXELS voxels, and the piece of each voxel (-1 = none)."""
    voxels = np.flatnonzero(surface.label > 0)
    points, label = surface.points[voxels].astype(np.float64), surface.label[voxels]
    normals, lab = surface.normals[voxels].astype(np.float64), surface.lab[voxels].astype(np.float64)
    touching = cKDTree(points).query_pairs(TOUCH * surface.voxel_m, output_type="ndarray").astype(np.int64, copy=False)
    piece, labels = _facets(label, normals, lab, touching)
    area = (surface.voxel_m / UNIT_M) ** 2
    with ThreadPoolExecutor(1) as pool:
        nearness = pool.submit(_near, points, piece, surface.voxel_m)
        columns = [
            np.ones(len(voxels)), *points.T, *normals.T, *lab.T, *(lab**2).T, *(points[:, i] * points[:, j] for i, j in AXES),
            surface.share[voxels], np.sqrt(surface.weight[voxels]),
        ]  # fmt: skip
        nodes = np.zeros((len(labels), NODE))
        nodes[:, : len(columns)] = area * _sums(columns, piece, len(labels))
        _add_views(nodes, labels, evidence)
        inside = piece >= 0
        low, high = extents(points[inside] @ DIRECTIONS.T, piece[inside], len(labels))
        pairs, sums = _contacts(points, normals, lab, piece, _across(piece, touching))
        edges = np.zeros((len(pairs), EDGE))
        edges[:, : WHERE_PRODUCTS.stop] = area * sums
        edges[:, ONE_LABEL] = np.where(labels[pairs[:, 0]] == labels[pairs[:, 1]], edges[:, CONTACT], 0)
        near, sums = nearness.result()
    pairs, edges = _with_bridges(pairs, edges, near, area * sums, _of_the_room(nodes))
    pairs, edges = _with_views(pairs, edges, labels, nodes[:, AREA], evidence, borders)
    piece_of_voxel = np.full(len(surface.label), -1)
    piece_of_voxel[voxels] = piece
    return PieceGraph(nodes, low, high, pairs, edges, labels), piece_of_voxel


def _sums(columns: Sequence[npt.NDArray], piece: Ids, count: int) -> Floats:
    """(count, columns) of each piece, the sum of what its voxels have in each column (v,). piece (v,): -1 = none."""
    inside = piece >= 0
    of = piece[inside]
    return np.stack([np.bincount(of, column[inside], minlength=count) for column in columns], axis=1)


def _add_views(nodes: Floats, labels: Ids, evidence: Evidence) -> None:
    """What the views said of a label is shared among its pieces by their areas; each looks as the label does."""
    share = nodes[:, AREA] / np.bincount(labels, nodes[:, AREA])[labels]
    nodes[:, SEEN] = share * [evidence.seen.get(label, 0.0) for label in labels.tolist()]
    nodes[:, STRUCTURAL] = share * [evidence.structural.get(label, 0.0) for label in labels.tolist()]
    for i, label in enumerate(labels.tolist()):
        if (looks := evidence.appearance.get(label)) is not None:
            nodes[i, KNOWN:] = nodes[i, AREA] * (looks / looks[0])


def _facets(label: Ids, normals: Floats, lab: Floats, touching: Ids) -> tuple[Ids, Ids]:
    """Facet of each voxel, -1 = too small, and the label of each facet.

    Voxels of one label that touch are one facet as long as their normals turn slowly and their colours are alike
    (Felzenszwalb and Huttenlocher, by the angle between normals or the difference of colours, whichever is more).
    """
    within, change = _changes(label, normals, lab, touching)
    steps = np.minimum(FACET_STEPS * np.sqrt(change), 65535).astype(np.uint16)
    order = np.argsort(steps, kind="stable")
    facet = graph_segmentation(len(label), within, change, FACET_SCALE, FACET_VOXELS, order)
    size = np.bincount(facet)
    index = np.full(len(size), -1)
    large = np.flatnonzero(size >= LEAST_VOXELS)
    index[large] = np.arange(len(large))
    label_of = np.zeros(len(size), np.int64)
    label_of[facet] = label
    return index[facet], label_of[large]


@njit
def _changes(label: Ids, normals: Floats, lab: Floats, touching: Ids) -> tuple[Ids, Floats]:
    """Of pairs of voxels (k, 2) those of one label, and how much the surface changes from one voxel to the other."""
    within, change = np.empty_like(touching), np.empty(len(touching))
    m = 0
    for i, j in touching:
        if label[i] == label[j]:
            within[m, 0], within[m, 1] = i, j
            lightness, red, yellow = (lab[i, 0] - lab[j, 0]) / 2, lab[i, 1] - lab[j, 1], lab[i, 2] - lab[j, 2]
            bend = 1.0
            for k in range(3):
                bend -= normals[i, k] * normals[j, k]
            colour = FACET_COLOUR * np.sqrt(lightness**2 + red**2 + yellow**2)
            change[m] = max(bend, colour, 0.0)
            m += 1
    return within[:m], change[:m]


@njit
def _across(piece: Ids, touching: Ids) -> Ids:
    """Of pairs of voxels (k, 2) those of two pieces."""
    across = np.empty_like(touching)
    m = 0
    for i, j in touching:
        if piece[i] >= 0 and piece[j] >= 0 and piece[i] != piece[j]:
            across[m, 0], across[m, 1] = i, j
            m += 1
    return across[:m]


def _near(points: Floats, piece: Ids, voxel_m: float) -> tuple[Ids, Floats]:
    """Pairs (m, 2) of pieces that are near, and (m, 2) how many pairs of their cells are, and the sum of the distances (m).

    The first voxel of a piece in a cell stands for what the cell has of it.
    """
    inside = np.flatnonzero(piece >= 0)
    _, first = np.unique(cells(points[inside], piece[inside], CELL * voxel_m), return_index=True)
    at, of = points[inside[first]], piece[inside[first]]
    one, other = cKDTree(at).query_pairs(REACH * voxel_m, output_type="ndarray").astype(np.int64).T
    two = of[one] != of[other]
    one, other = one[two], other[two]
    distance = np.linalg.norm(np.take(at, one, axis=0) - np.take(at, other, axis=0), axis=1)
    return sums_of_pairs(of[one], of[other], [np.ones(len(one)), distance], int(piece.max(initial=0)) + 1)


def cells(points: Floats, of: Ids, edge_m: float) -> Ids:
    """Where points (n, 3) are, as one number (n,): that of what they are `of`, and the cell of a grid."""
    at = np.floor(points / edge_m).astype(np.int64)
    at -= at.min(0, initial=np.iinfo(np.int64).max)
    x, y, z = (at.max(0, initial=0) + 1).tolist()
    return np.asarray(((of * x + at[:, 0]) * y + at[:, 1]) * z + at[:, 2])


def _of_the_room(nodes: Floats) -> Ids:
    """Pairs (m, 2) of pieces that may be parts of the walls, of the floor or of the ceiling: of each the IN_PLANE
    nearest in its plane, and of an upright one the largest that is upright, for the walls are one object, even where
    cupboards hide their corners.
    """
    area = nodes[:, AREA]
    normal, middle = nodes[:, NORMAL] / area[:, None], nodes[:, POINT] / area[:, None]
    flat = np.linalg.norm(normal, axis=1)
    large = np.flatnonzero((structure(nodes) > PLANE_STRUCTURE) & (flat > PLANE_FLAT) & (area > PLANE_AREA))
    normal, middle = normal[large] / flat[large, None], middle[large]
    offset = (middle * normal).sum(1)  # of each one's plane
    found = [np.zeros((0, 2), np.int64)]
    for i in range(len(large)):
        off = np.maximum(abs(middle @ normal[i] - offset[i]), abs(offset - normal @ middle[i]))
        fits = np.flatnonzero((normal @ normal[i] > PLANE_PARALLEL) & (off < PLANE_OFF_M))
        fits = fits[fits != i]
        nearest = fits[np.argsort(np.linalg.norm(middle[fits] - middle[i], axis=1), kind="stable")[:IN_PLANE]]
        found.append(np.column_stack([np.full(len(nearest), large[i]), large[nearest]]))
    upright = large[abs(normal[:, UP]) < WALL_LEVEL]
    if len(upright):
        largest = upright[area[upright].argmax()]
        others = upright[upright != largest]
        found.append(np.column_stack([np.full(len(others), largest), others]))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _with_bridges(pairs: Ids, edges: Floats, near: Ids, sums: Floats, of_room: Ids) -> tuple[Ids, Floats]:
    """Pairs and edges with how near pieces are, and new edges between those that do not touch."""
    every, at = np.unique(np.concatenate([pairs, near, of_room]), axis=0, return_inverse=True)
    at = at.ravel()  # numpy 2.0.0 gives a column
    found = np.zeros((len(every), EDGE))
    found[at[: len(pairs)]] = edges
    found[at[len(pairs) :][: len(near)], NEAR] = sums
    return every, found


def _with_views(
    pairs: Ids, edges: Floats, labels: Ids, area: Floats, evidence: Evidence, borders: Borders
) -> tuple[Ids, Floats]:
    """Pairs and edges with what the views said of two labels, shared among their pieces by contact.

    Of labels that do not touch it is said of their largest pieces, which get a new edge if they have none.
    """
    seen: dict[tuple[int, int], Floats] = {}
    for pair, weight in evidence.weight.items():
        seen.setdefault(pair, np.zeros(EDGE))[[VOTES, SAME]] = weight, evidence.same[pair]
    for pair, row in borders.row_of.items():
        seen.setdefault(pair, np.zeros(EDGE))[BORDERS] = borders.sums[row].ravel()
    contact = edges[:, CONTACT]
    of_labels: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(contact).tolist():
        a, b = sorted(labels[pairs[row]].tolist())
        of_labels.setdefault((a, b), []).append(row)
    row_of = {(a, b): row for row, (a, b) in enumerate(pairs.tolist())}
    ascending = np.argsort(area, kind="stable").tolist()
    largest = dict(zip(labels[ascending].tolist(), ascending))
    apart, said_apart = [], []
    for pair, said in seen.items():
        rows = of_labels.get(pair)
        if rows:
            edges[rows] += said * (contact[rows] / contact[rows].sum())[:, None]
        elif pair[0] in largest and pair[1] in largest:
            a, b = sorted(largest[label] for label in pair)
            if (a, b) in row_of:
                edges[row_of[a, b]] += said
            else:
                apart.append((a, b))
                said_apart.append(said)
    if not apart:
        return pairs, edges
    return np.concatenate([pairs, apart]), np.concatenate([edges, said_apart])


def _contacts(points: Floats, normals: Floats, lab: Floats, piece: Ids, touching: Ids) -> tuple[Ids, Floats]:
    """Pairs (m, 2) of pieces with touching voxels, and the first columns of their edges. touching (k, 2): voxels of two pieces.

    Sums over pairs of voxels of: 1, the dot product of the normals, whether the edge is convex (> 0) or concave, the
    step from one's plane to the other's (m), the steps of lightness and of colour (Lab units), the distance (m), the
    point between the two and products of its coordinates.
    """
    a, b = np.ascontiguousarray(touching.T)
    (point_a, point_b), (one, other), (lab_a, lab_b) = (
        (np.take(of, a, axis=0), np.take(of, b, axis=0)) for of in (points, normals, lab)
    )
    offset, step = point_b - point_a, np.abs(lab_a - lab_b)
    distance = np.linalg.norm(offset, axis=1) + 1e-6
    columns = [
        np.ones(len(a)),
        (one * other).sum(1),
        ((other - one) * offset).sum(1) / distance,
        (np.abs((one * offset).sum(1)) + np.abs((other * offset).sum(1))) / 2,
        step[:, 0],
        np.hypot(step[:, 1], step[:, 2]),
        distance,
    ]
    middle = (point_a + point_b) / 2
    columns += [*middle.T, *(middle[:, i] * middle[:, j] for i, j in AXES)]
    return sums_of_pairs(piece[a], piece[b], columns, int(piece.max(initial=0)) + 1)
