"""The graph of pieces, with what the masks of the 3D segmenter say of them (`finishing.joining: network`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gcseg_ros.agglomeration import AREA, Floats, Ids, Two, smaller_first
from gcseg_ros.mapping.pieces import NODE, PieceGraph
from gcseg_ros.mapping.voxel_map import Surface
from gcseg_ros.query_masks import QueryMasks, voted_pairs

COVERAGE = slice(NODE, None)
"""Columns of `nodes`: the area that each query's mask covers."""


@dataclass(frozen=True)
class MaskedPieceGraph(PieceGraph):
    """What is known of n pieces and of the m pairs of them that touch, were seen together, or that masks put together.

    masks  of the network's queries
    """

    NAMES: ClassVar[tuple[str, ...]] = (*PieceGraph.NAMES, *QueryMasks.PAIR_NAMES)
    OBJECT_NAMES: ClassVar[tuple[str, ...]] = (*PieceGraph.OBJECT_NAMES, *QueryMasks.OBJECT_NAMES)

    masks: QueryMasks

    def features(self, nodes: Two, low: Two, high: Two, edges: Floats) -> Floats:
        """As `Graph.features`."""
        ((a, b),) = smaller_first(nodes)
        said = self.masks.pair_features((a[:, AREA], b[:, AREA]), (a[:, COVERAGE], b[:, COVERAGE]))
        first, second = nodes
        return np.column_stack([super().features((first[:, :NODE], second[:, :NODE]), low, high, edges), *said])

    def object_features(self, nodes: Floats, low: Floats, high: Floats, doubts: Floats, contact: Floats) -> Floats:
        """As `Graph.object_features`."""
        known = super().object_features(nodes, low, high, doubts, contact)
        return np.column_stack([known, *self.masks.object_features(nodes[:, AREA], nodes[:, COVERAGE])])


def with_masks(graph: PieceGraph, objectness: Floats, coverage: Floats) -> MaskedPieceGraph:
    """objectness (q,) of queries; coverage (q, n) the mean probability of their masks over each piece."""
    covered = coverage.T * graph.nodes[:, [AREA]]
    known = set(map(tuple, graph.pairs.tolist()))
    voted = np.array(
        [pair for pair in voted_pairs(objectness, coverage).tolist() if tuple(pair) not in known], np.int64
    )
    pairs = np.concatenate([graph.pairs, voted.reshape(-1, 2)])
    edges = np.concatenate([graph.edges, np.zeros((len(voted), graph.edges.shape[1]))])
    nodes = np.concatenate([graph.nodes, covered], axis=1)
    masks = QueryMasks(objectness, covered.sum(0))
    return MaskedPieceGraph(nodes, graph.low, graph.high, pairs, edges, graph.labels, masks)


def seen_by_network(graph: PieceGraph, surface: Surface, piece: Ids) -> MaskedPieceGraph:
    """With the masks of the shipped segmenter. piece: as of `piece_graph`."""
    from gcseg_ros.segmentation.joining import masks_of_pieces
    from gcseg_ros.segmentation.segmenter import shipped_segmenter

    return with_masks(graph, *masks_of_pieces(shipped_segmenter(), surface.points, surface.colours, piece))
