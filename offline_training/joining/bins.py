"""Bins of features, between which boosted trees may split: about the same weight of samples is in each.

They are scikit-learn's, which sorts the samples anew for each of the 254 edges of each feature: seconds, however few the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gcseg_ros.joining.agglomeration import Floats
from gcseg_ros.joining.boosted_trees import Trees

BINS = 255


@dataclass(frozen=True)
class Bins:
    """edges: of each feature, ascending. Bin i has what is above edge i - 1 and not above edge i."""

    edges: Sequence[Floats]

    @classmethod
    def of(cls, features: Floats, weights: Floats) -> Bins:
        """For samples (m, F) of weights (m,)."""
        return cls([_edges(column, weights) for column in features.T])

    def __call__(self, features: Floats) -> Floats:
        """(m, F) the number of the bin of each feature; NaN stays NaN."""
        numbers = [np.where(np.isnan(x), x, np.searchsorted(edges, x)) for edges, x in zip(self.edges, features.T)]
        return np.stack(numbers, axis=1)

    def undo(self, trees: Trees) -> Trees:
        """Of trees over the numbers of bins, trees over the features."""
        threshold = trees.threshold.copy()
        for feature, edges in enumerate(self.edges):
            here = trees.feature == feature
            number = np.minimum(threshold[here], len(edges)).astype(np.int64)
            threshold[here] = np.append(edges, np.inf)[number]  # above all bins: whether it is known
        return replace(trees, threshold=threshold)


def _edges(column: Floats, weights: Floats) -> Floats:
    """Midpoints of the values, where these are few, else weighted quantiles (Hyndman and Fan 1996, their second definition)."""
    counts = (weights > 0) & ~np.isnan(column)
    values, which = np.unique(column[counts], return_inverse=True)
    edges = (values[:-1] + values[1:]) / 2
    if len(values) > BINS:
        reached = np.cumsum(np.bincount(which, weights[counts]))
        wanted = np.linspace(0, 100, BINS + 1)[1:-1] / 100 * reached[-1]
        at = np.searchsorted(reached[:-1], wanted)
        edges = np.where(reached[at] == wanted, np.append(edges, values[-1])[at], values[at])
    below = np.searchsorted(values, edges, side="right")  # edges with nothing between them are one
    return edges[(below < len(values)) & (np.diff(below, prepend=0) > 0)]
