"""The graph of pieces, with what the masks of the 3D segmenter say of them (`finishing.joining: network`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gcseg_ros.finishing.piece_columns import NODE
from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.joining.agglomeration import AREA, Floats, Ids, Two, smaller_first
from gcseg_ros.joining.query_masks import QueryMasks
from gcseg_ros.mapping.voxel_map import Surface

COVERAGE = slice(NODE, None)
"""Columns of `nodes`: the area that each query's mask covers."""


@dataclass(frozen=True)
class MaskedPieceGraph(PieceGraph):
    """What is known of n pieces and of the m pairs of them that touch, are near, may be of one wall, floor or ceiling, or were seen together.

    masks  of the network's queries
    """

    NAMES: ClassVar[tuple[str, ...]] = (*PieceGraph.NAMES, *QueryMasks.PAIR_NAMES)
    PIECE_NAMES: ClassVar[tuple[str, ...]] = (*PieceGraph.PIECE_NAMES, *QueryMasks.OBJECT_NAMES)
    OBJECT_NAMES: ClassVar[tuple[str, ...]] = (*PieceGraph.OBJECT_NAMES, *QueryMasks.OBJECT_NAMES)

    masks: QueryMasks

    def features(self, nodes: Two, low: Two, high: Two, edges: Floats) -> Floats:
        """As `Graph.features`."""
        ((a, b),) = smaller_first(nodes)
        said = self.masks.pair_features((a[:, AREA], b[:, AREA]), (a[:, COVERAGE], b[:, COVERAGE]))
        first, second = nodes
        return np.column_stack([super().features((first[:, :NODE], second[:, :NODE]), low, high, edges), *said])

    def piece_features(self, nodes: Floats, low: Floats, high: Floats) -> Floats:
        """As `Graph.piece_features`."""
        said = self.masks.object_features(nodes[:, AREA], nodes[:, COVERAGE])
        return np.column_stack([super().piece_features(nodes[:, :NODE], low, high), *said])

    def object_features(
        self, nodes: Floats, low: Floats, high: Floats, doubts: Floats, missing: Floats, contact: Floats
    ) -> Floats:
        """As `Graph.object_features`."""
        known = super().object_features(nodes, low, high, doubts, missing, contact)
        return np.column_stack([known, *self.masks.object_features(nodes[:, AREA], nodes[:, COVERAGE])])


def with_masks(graph: PieceGraph, objectness: Floats, coverage: Floats) -> MaskedPieceGraph:
    """objectness (q,) of queries; coverage (q, n) the mean probability of their masks over each piece."""
    covered = coverage.T * graph.nodes[:, [AREA]]
    nodes, masks = np.concatenate([graph.nodes[:, :NODE], covered], axis=1), QueryMasks(objectness, covered.sum(0))
    return MaskedPieceGraph(nodes, graph.low, graph.high, graph.pairs, graph.edges, graph.labels, masks)


def seen_by_network(graph: PieceGraph, surface: Surface, piece: Ids) -> MaskedPieceGraph:
    """With the masks of the shipped segmenter. piece: as of `piece_graph`."""
    from gcseg_ros.segmentation.joining import masks_of_pieces
    from gcseg_ros.segmentation.segmenter import shipped_segmenter

    return with_masks(graph, *masks_of_pieces(shipped_segmenter(), surface.points, surface.colours, piece))
