"""The graph of pieces: facets of tracked labels as nodes, pairs that touch or were seen together as edges, and what is known of both.

A tracked label may reach over a corner, from one wall to the next. So labels are cut into facets, where the surface bends,
and joining decides which of them belong together. All that is known is held as sums (and extents), so that the statistics of two
joined pieces follow from those of the pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial import cKDTree

from gcseg_ros.agglomeration import (
    AREA,
    AXES,
    CONTACT,
    UNIT_M,
    Floats,
    Graph,
    Ids,
    Two,
    axis_features,
    box_features,
    extents,
    principal_lengths,
    smaller_first,
    sums_of_pairs,
)  # fmt: skip
from gcseg_ros.graph_segmentation import graph_segmentation
from gcseg_ros.jit import njit
from gcseg_ros.mapping.voxel_map import Surface
from gcseg_ros.tracking.borders import KINDS, Borders
from gcseg_ros.tracking.evidence import DOUBT, Evidence

TOUCH = 1.85  # voxels nearer than this many edges touch
LEAST_VOXELS = 10  # smaller pieces are none
FACET_SCALE, FACET_VOXELS = 0.3, 40  # of the graph segmentation: how much a facet may bend, and its least size

# Columns of `nodes`: sums over a piece's voxels, weighted by the area of a voxel.
POINT, NORMAL, LAB, LAB2, PRODUCTS, SHARE, SEEN_WELL = (
    slice(1, 4),
    slice(4, 7),
    slice(7, 10),
    slice(10, 13),
    slice(13, 19),
    19,
    20,
)
SEEN, STRUCTURAL = 21, 22  # sums over views
NODE = 23

# Columns of `edges`: sums over pairs of touching voxels, weighted likewise; sums over views; sums of `Borders`.
TOUCHING = slice(1, 7)
VOTES, SAME = 7, 8
BORDERS = slice(9, 9 + 2 * KINDS)
ONE_LABEL = 9 + 2 * KINDS  # the contact of facets of one label
EDGE = 10 + 2 * KINDS


# No count of views is among them: videos are longer and shorter than those of the training.
NAMES = """share normals convexity step lightness_step colour_step gap contact contact_smaller contact_larger
area_smaller area_larger lightness colour lightness_spread_smaller colour_spread_smaller lightness_spread_larger
colour_spread_larger structure_smaller structure_larger flat_smaller flat_larger parallel off_plane_smaller off_plane_larger
upright_smaller upright_larger lows highs low_over_high high_over_low width_smaller length_smaller height_smaller
width_larger length_larger height_larger inside boundary affinity_near affinity_middle affinity_far
thickness_smaller thickness_larger thickness_joined breadth_smaller breadth_larger reach_smaller reach_larger
agreement_smaller agreement_larger one_label"""

PIECE_NAMES = """area lightness redness yellowness lightness_spread redness_spread yellowness_spread upright flat bottom top
depth length height thickness breadth reach agreement structure seen_well"""

OBJECT_NAMES = """area agreement seen_well doubt_1 doubt_2 doubt_3 missing structure flat width depth length thickness
breadth reach contact seen"""


@dataclass(frozen=True)
class PieceGraph(Graph):
    """What is known of n pieces and of the m pairs of them that touch or were seen together.

    labels  (n,) tracked label that each piece is a facet of
    """

    NAMES: ClassVar[tuple[str, ...]] = tuple(NAMES.split())
    PIECE_NAMES: ClassVar[tuple[str, ...]] = tuple(PIECE_NAMES.split())
    OBJECT_NAMES: ClassVar[tuple[str, ...]] = tuple(OBJECT_NAMES.split())

    labels: Ids

    def features(self, nodes: Two, low: Two, high: Two, edges: Floats) -> Floats:
        """As `Graph.features`. But for `convexity` and `gap`, which are of both, heights and the order of size matter and
        nothing else of where pieces are in the room and which way they face.
        """
        (a, b), low, high = smaller_first(nodes, low, high)
        area_a, area_b = a[:, AREA], b[:, AREA]
        with np.errstate(divide="ignore", invalid="ignore"):
            votes, contact = edges[:, VOTES], edges[:, CONTACT]
            columns = [(edges[:, SAME] + 0.3) / (votes + 1)]
            columns += list(np.where(contact > 0, edges[:, TOUCHING].T / contact, np.nan))
            columns += [np.log1p(contact), contact / area_a**0.5, contact / area_b**0.5, np.log(area_a), np.log(area_b)]

            mean_a, mean_b = a[:, LAB].T / area_a, b[:, LAB].T / area_b
            spread_a = np.maximum(a[:, LAB2].T / area_a - mean_a**2, 0) ** 0.5
            spread_b = np.maximum(b[:, LAB2].T / area_b - mean_b**2, 0) ** 0.5
            difference = np.abs(mean_a - mean_b)
            for lab in (difference, spread_a, spread_b):
                columns += [lab[0], np.hypot(lab[1], lab[2])]
            columns += [structure(a), structure(b)]

            normal_a, normal_b = a[:, NORMAL] / area_a[:, None], b[:, NORMAL] / area_b[:, None]
            flat_a, flat_b = np.linalg.norm(normal_a, axis=1) + 1e-6, np.linalg.norm(normal_b, axis=1) + 1e-6
            between = a[:, POINT] / area_a[:, None] - b[:, POINT] / area_b[:, None]
            columns += [flat_a, flat_b, (normal_a * normal_b).sum(1) / flat_a / flat_b]
            columns += [np.abs((between * normal_a).sum(1)) / flat_a, np.abs((between * normal_b).sum(1)) / flat_b]
            columns += [normal_a[:, 2], normal_b[:, 2]]
            columns += box_features(low, high)
            said = edges[:, BORDERS].reshape(len(edges), KINDS, 2)
            columns += list(((said[:, :, 1] + 0.5 * DOUBT) / (said[:, :, 0] + DOUBT)).T)
            columns += axis_features(*(principal_lengths_of(x) for x in (a, b, a + b)))
            columns += [a[:, SHARE] / area_a, b[:, SHARE] / area_b]
            columns += [np.where(contact > 0, edges[:, ONE_LABEL] / contact, 0)]
        return np.stack(columns, axis=1)

    def piece_features(self, nodes: Floats, low: Floats, high: Floats) -> Floats:
        """As `Graph.piece_features`."""
        area, normal, mean = nodes[:, AREA], nodes[:, NORMAL].T / nodes[:, AREA], nodes[:, LAB].T / nodes[:, AREA]
        spread = np.maximum(nodes[:, LAB2].T / area - mean**2, 0) ** 0.5
        width, height = np.sort((high - low)[:, :2], axis=1), (high - low)[:, 2]
        columns = [
            np.log(area), *mean, *spread, normal[2], np.linalg.norm(normal, axis=0), low[:, 2], high[:, 2],
            *np.log(width + UNIT_M).T, np.log(height + UNIT_M), *np.log(principal_lengths_of(nodes) + 0.005).T,
            nodes[:, SHARE] / area, structure(nodes), np.log(nodes[:, SEEN_WELL] / area),
        ]  # fmt: skip
        return np.stack(columns, axis=1)

    def object_features(
        self, nodes: Floats, low: Floats, high: Floats, doubts: Floats, missing: Floats, contact: Floats
    ) -> Floats:
        """As `Graph.object_features`."""
        area, extent = nodes[:, AREA], np.sort(high - low, axis=1)
        columns = [
            np.log(area), nodes[:, SHARE] / area, np.log(nodes[:, SEEN_WELL] / area), *doubts.T, missing / area,
            structure(nodes), np.linalg.norm(nodes[:, NORMAL], axis=1) / area, *np.log(extent + UNIT_M).T,
            *np.log(principal_lengths_of(nodes) + 0.005).T, contact / np.sqrt(area), np.log1p(nodes[:, SEEN]),
        ]  # fmt: skip
        return np.stack(columns, axis=1)


def piece_graph(surface: Surface, evidence: Evidence, borders: Borders) -> tuple[PieceGraph, Ids]:
    """The graph of a map's pieces of at least LEAST_VOXELS voxels, and the piece of each voxel (-1 = none)."""
    voxels = np.flatnonzero(surface.label > 0)
    points, label = surface.points[voxels].astype(np.float64), surface.label[voxels]
    normals, lab = surface.normals[voxels].astype(np.float64), surface.lab[voxels].astype(np.float64)
    touching = cKDTree(points).query_pairs(TOUCH * surface.voxel_m, output_type="ndarray").astype(np.int64)
    piece, labels = _facets(label, normals, touching)

    area = (surface.voxel_m / UNIT_M) ** 2
    columns = [
        np.ones(len(voxels)), *points.T, *normals.T, *lab.T, *(lab**2).T, *(points[:, i] * points[:, j] for i, j in AXES),
        surface.share[voxels], np.sqrt(surface.weight[voxels]),
    ]  # fmt: skip
    inside = piece >= 0
    nodes = np.zeros((len(labels), NODE))
    of = piece[inside]
    for k, column in enumerate(columns):
        nodes[:, k] = area * np.bincount(of, column[inside], minlength=len(labels))
    share = nodes[:, AREA] / np.bincount(labels, nodes[:, AREA])[labels]  # of its label
    nodes[:, SEEN] = share * [evidence.seen.get(label, 0.0) for label in labels.tolist()]
    nodes[:, STRUCTURAL] = share * [evidence.structural.get(label, 0.0) for label in labels.tolist()]
    low, high = extents(points[inside], of, len(labels))

    pairs, sums = _contacts(points, normals, lab, piece, _across(piece, touching))
    edges = np.zeros((len(pairs), EDGE))
    edges[:, : sums.shape[1]] = area * sums
    edges[:, ONE_LABEL] = np.where(labels[pairs[:, 0]] == labels[pairs[:, 1]], edges[:, CONTACT], 0)
    pairs, edges = _with_views(pairs, edges, labels, nodes[:, AREA], evidence, borders)
    graph = PieceGraph(nodes, low, high, pairs, edges, labels)
    piece_of_voxel = np.full(len(surface.label), -1)
    piece_of_voxel[voxels] = piece
    return graph, piece_of_voxel


def _facets(label: Ids, normals: Floats, touching: Ids) -> tuple[Ids, Ids]:
    """Facet of each voxel, -1 = too small, and the label of each facet.

    Voxels of one label that touch are one facet as long as their normals turn slowly (Felzenszwalb and Huttenlocher, by the
    angle between normals).
    """
    within, bend = _bends(label, normals, touching)
    facet = graph_segmentation(len(label), within, bend, FACET_SCALE, FACET_VOXELS)
    size = np.bincount(facet)
    index = np.full(len(size), -1)
    large = np.flatnonzero(size >= LEAST_VOXELS)
    index[large] = np.arange(len(large))
    label_of = np.zeros(len(size), np.int64)
    label_of[facet] = label
    return index[facet], label_of[large]


@njit
def _bends(label: Ids, normals: Floats, touching: Ids) -> tuple[Ids, Floats]:
    """Of pairs of voxels (k, 2) those of one label, and 1 - the cosine of the angle between their normals."""
    within, bend = np.empty_like(touching), np.empty(len(touching))
    m = 0
    for i, j in touching:
        if label[i] == label[j]:
            within[m, 0], within[m, 1] = i, j
            bend[m] = 1 - (
                normals[i, 0] * normals[j, 0] + normals[i, 1] * normals[j, 1] + normals[i, 2] * normals[j, 2]
            )
            m += 1
    return within[:m], bend[:m]


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


def _with_views(
    pairs: Ids, edges: Floats, labels: Ids, area: Floats, evidence: Evidence, borders: Borders
) -> tuple[Ids, Floats]:
    """Pairs and edges with what the views said of two labels, shared among their pieces by contact.

    Labels that were seen together but do not touch get a new edge between their largest pieces.
    """
    seen: dict[tuple[int, int], Floats] = {}
    for pair, weight in evidence.weight.items():
        seen.setdefault(pair, np.zeros(EDGE))[[VOTES, SAME]] = weight, evidence.same[pair]
    for pair, row in borders.row_of.items():
        seen.setdefault(pair, np.zeros(EDGE))[BORDERS] = borders.sums[row].ravel()
    both = np.sort(labels[pairs], axis=1)
    contact = edges[:, CONTACT]
    of_labels: dict[tuple[int, int], list[int]] = {}
    for row, (a, b) in enumerate(both.tolist()):
        of_labels.setdefault((a, b), []).append(row)
    largest = dict(zip(labels[np.argsort(area, kind="stable")].tolist(), np.argsort(area, kind="stable").tolist()))
    apart, said_apart = [], []
    for pair, said in seen.items():
        rows = of_labels.get(pair)
        if rows:
            edges[rows] += said * (contact[rows] / contact[rows].sum())[:, None]
        elif pair[0] in largest and pair[1] in largest:
            apart.append(sorted((largest[pair[0]], largest[pair[1]])))
            said_apart.append(said)
    if not apart:
        return pairs, edges
    return np.concatenate([pairs, apart]), np.concatenate([edges, said_apart])


def _contacts(points: Floats, normals: Floats, lab: Floats, piece: Ids, touching: Ids) -> tuple[Ids, Floats]:
    """Pairs (m, 2) of pieces with touching voxels, and the first columns of their edges. touching (k, 2): voxels of two pieces.

    Sums over pairs of voxels of: 1, the dot product of the normals, whether the edge is convex (> 0) or concave, the step
    from one's plane to the other's (m), the steps of lightness and of colour (Lab units), the distance (m).
    """
    a, b = touching.T
    offset = points[b] - points[a]
    distance = np.linalg.norm(offset, axis=1) + 1e-6
    one, other, step = normals[a], normals[b], np.abs(lab[a] - lab[b])
    columns = [
        np.ones(len(a)),
        (one * other).sum(1),
        ((other - one) * offset).sum(1) / distance,
        (np.abs((one * offset).sum(1)) + np.abs((other * offset).sum(1))) / 2,
        step[:, 0],
        np.hypot(step[:, 1], step[:, 2]),
        distance,
    ]
    return sums_of_pairs(piece[a], piece[b], columns, int(piece.max(initial=0)) + 1)


def structure(nodes: Floats) -> Floats:
    """(n,) 0 = a thing, 1 = part of the room itself, 0.5 = nobody knows."""
    return (nodes[:, STRUCTURAL] + 0.5 * DOUBT) / (nodes[:, SEEN] + DOUBT)


def principal_lengths_of(nodes: Floats) -> Floats:
    """(n, 3) m, ascending."""
    return principal_lengths(nodes[:, AREA], nodes[:, POINT], nodes[:, PRODUCTS])
