"""Which pieces are one object: greedy agglomeration by a learned decision (after GALA, Nunez-Iglesias et al., PLoS ONE 2013).

The two pieces that are most probably one object are joined, what is known of the joined piece follows from the sums of its
parts, its neighbours are judged anew, and so on until no pair is probable enough. The probability comes from boosted trees
trained on generated rooms (`joining.npz`, `python -m offline_training.joining`; docs/joining.md).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from gcseg_ros.jit import njit
from gcseg_ros.mapping.pieces import AREA, FEATURES, Floats, Ids, PieceGraph, features

WEIGHTS = Path(__file__).with_name("joining.npz")

Pair = tuple[int, int]


@dataclass(frozen=True)
class Trees:
    """Boosted decision trees for the log-odds that two pieces are one object.

    Per node of all trees, one after the other: feature (int32, -1 = leaf), threshold (float64), left, right (int32, absolute),
    missing_left (bool: where NaN goes), value (float64, of leaves). roots (int32); bias (float).
    """

    feature: npt.NDArray[np.int32]
    threshold: Floats
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    missing_left: npt.NDArray[np.bool_]
    value: Floats
    roots: npt.NDArray[np.int32]
    bias: float

    @classmethod
    def load(cls, file: Path = WEIGHTS) -> Trees:
        with np.load(file, allow_pickle=False) as saved:
            names = saved["names"].tolist()
            if names != FEATURES:
                raise ValueError(f"{file} was trained on other features: train it again")
            arrays = {name: saved[name] for name in ("feature", "threshold", "left", "right", "missing_left", "value")}
            return cls(**arrays, roots=saved["roots"], bias=float(saved["bias"]))

    def save(self, file: BinaryIO) -> None:
        np.savez_compressed(file, names=np.array(FEATURES), **vars(self))

    def __call__(self, x: Floats) -> Floats:
        """Features (m, len(FEATURES)) -> probabilities (m,)."""
        arrays = self.feature, self.threshold, self.left, self.right, self.missing_left, self.value, self.roots
        return 1 / (1 + np.exp(-self.bias - _sum_of_leaves(np.ascontiguousarray(x), *arrays)))


@cache
def shipped_trees() -> Trees:
    return Trees.load()


class Agglomeration:
    """The state of joining the pieces of a graph.

    root  (n,) the piece that each was joined into; itself if it was not, or if others were joined into it

    Without a probability nothing is judged and `next` offers nothing.
    """

    def __init__(self, graph: PieceGraph, probability: Trees | None) -> None:
        self.probability = probability
        self.nodes, self.low, self.high = graph.nodes.copy(), graph.low.copy(), graph.high.copy()
        self.root = np.arange(len(graph))
        self.near: list[dict[int, Floats]] = [{} for _ in range(len(graph))]
        for (a, b), edge in zip(graph.pairs.tolist(), graph.edges):
            self.near[a][b] = self.near[b][a] = edge
        self.current: dict[Pair, float] = {}
        self.heap: list[tuple[float, Pair]] = []
        self._judge(graph.pairs)

    def next(self, threshold: float) -> Pair | None:
        """The most probable pair, if it is at least as probable as the threshold; it is not offered again."""
        while self.heap and -self.heap[0][0] >= threshold:
            negative, pair = heapq.heappop(self.heap)
            if self.current.get(pair) == -negative:
                del self.current[pair]
                return pair
        return None

    def features_of(self, pairs: Ids) -> Floats:
        """(m, len(FEATURES)) of pairs (m, 2) of roots that are neighbours."""
        a, b = pairs.T
        edges = np.array([self.near[i][j] for i, j in pairs.tolist()])
        return features((self.nodes[a], self.nodes[b]), (self.low[a], self.low[b]), (self.high[a], self.high[b]), edges)

    def join(self, a: int, b: int) -> int:
        """Make one piece of two; the index that stands for it."""
        if self.nodes[b, AREA] > self.nodes[a, AREA]:
            a, b = b, a
        self.root[b] = a
        self.nodes[a] += self.nodes[b]
        self.low[a], self.high[a] = np.minimum(self.low[a], self.low[b]), np.maximum(self.high[a], self.high[b])
        for c, edge in self.near[b].items():
            del self.near[c][b]
            self.current.pop((min(b, c), max(b, c)), None)
            if c != a:
                self.near[a][c] = self.near[c][a] = edge + self.near[a][c] if c in self.near[a] else edge
        self.near[b] = {}
        self._judge(np.array([(min(a, c), max(a, c)) for c in self.near[a]], np.int64).reshape(-1, 2))
        return a

    def _judge(self, pairs: Ids) -> None:
        if self.probability is None or not len(pairs):
            return
        for pair, value in zip(map(tuple, pairs.tolist()), self.probability(self.features_of(pairs)).tolist()):
            self.current[pair] = value
            heapq.heappush(self.heap, (-value, pair))

    def groups(self) -> Ids:
        """(n,) the root of each piece."""
        root = self.root.copy()
        while (root[root] != root).any():
            root = root[root]
        return root

    def doubts(self) -> Floats:
        """(n,) per root: the highest probability of being one with a neighbour that it was not joined with; 0 without any."""
        highest = np.zeros(len(self.root))
        for pair, value in self.current.items():
            highest[list(pair)] = np.maximum(highest[list(pair)], value)
        return highest


def join(graph: PieceGraph, threshold: float, probability: Trees | None = None) -> Agglomeration:
    """Join the pieces of a graph until no pair is as probable as `threshold`."""
    state = Agglomeration(graph, probability or shipped_trees())
    while (pair := state.next(threshold)) is not None:
        state.join(*pair)
    return state


@njit
def _sum_of_leaves(x, feature, threshold, left, right, missing_left, value, roots):
    out = np.zeros(len(x))
    for i in range(len(x)):
        for node in roots:
            while feature[node] >= 0:
                v = x[i, feature[node]]
                go_left = missing_left[node] if np.isnan(v) else v <= threshold[node]
                node = left[node] if go_left else right[node]
            out[i] += value[node]
    return out
