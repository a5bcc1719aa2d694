"""The graph of pieces, with what they look like to the boundary network (`finishing.joining: learned`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gcseg_ros.finishing.piece_columns import NODE
from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.joining.agglomeration import AREA, Floats, Two
from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS
from gcseg_ros.tracking.evidence import Evidence

KNOWN, APPEARANCE = NODE, slice(NODE + 1, NODE + 1 + APPEARANCE_CHANNELS)
"""Columns of `nodes`: the area that was seen by the network, and its appearance times that."""
FIRST = 8  # channels, which say most


@dataclass(frozen=True)
class DescribedPieceGraph(PieceGraph):
    """What is known of n pieces, with their appearance, and of the m pairs of them."""

    NAMES: ClassVar[tuple[str, ...]] = (*PieceGraph.NAMES, "unlike", "unlike_first")
    PIECE_NAMES: ClassVar[tuple[str, ...]] = (
        *PieceGraph.PIECE_NAMES,
        *(f"appearance_{i}" for i in range(APPEARANCE_CHANNELS)),
    )

    def features(self, nodes: Two, low: Two, high: Two, edges: Floats) -> Floats:
        """As `Graph.features`. How unlike two pieces look is the distance of their appearances."""
        first, second = nodes
        difference = _appearance(first) - _appearance(second)
        unlike = [np.linalg.norm(part, axis=1) for part in (difference, difference[:, :FIRST])]
        return np.column_stack([super().features(nodes, low, high, edges), *unlike])

    def piece_features(self, nodes: Floats, low: Floats, high: Floats) -> Floats:
        """As `Graph.piece_features`."""
        return np.column_stack([super().piece_features(nodes, low, high), _appearance(nodes)])


def _appearance(nodes: Floats) -> Floats:
    """(n, APPEARANCE_CHANNELS) The mean; NaN where it is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return nodes[:, APPEARANCE] / nodes[:, [KNOWN]]


def with_appearance(graph: PieceGraph, evidence: Evidence) -> DescribedPieceGraph:
    """Each piece looks like the label that it is a facet of."""
    known = np.zeros((len(graph), 1 + APPEARANCE_CHANNELS))
    for piece, label in enumerate(graph.labels.tolist()):
        if label in evidence.appearance:
            known[piece] = evidence.appearance[label] / evidence.appearance[label][0]
    nodes = np.column_stack([graph.nodes, graph.nodes[:, [AREA]] * known])
    return DescribedPieceGraph(nodes, graph.low, graph.high, graph.pairs, graph.edges, graph.labels)
