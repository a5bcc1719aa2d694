"""Which pieces are one object: greedy agglomeration by a learned decision (after GALA, Nunez-Iglesias et al., PLoS ONE 2013).

The two pieces that are most probably one object are joined, what is known of the joined piece follows from the sums of its
parts, its neighbours are judged anew, and so on until no pair is probable enough. The probability comes from boosted trees
trained on generated rooms (`joining.npz`, `python -m offline_training.joining`; docs/joining.md). How good an object has
become, and how much it still looks like being one with a neighbour, gives its confidence.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.jit import njit
from gcseg_ros.mapping.pieces import (
    AREA,
    CONTACT,
    FEATURES,
    NORMAL,
    SEEN,
    SEEN_WELL,
    SHARE,
    UNIT_M,
    Floats,
    Ids,
    PieceGraph,
    features,
    principal_lengths,
    structure,
)  # fmt: skip

WEIGHTS = Path(__file__).with_name("joining.npz")

DOUBTS = 3
OBJECT_NAMES = """area agreement seen_well doubt_1 doubt_2 doubt_3 structure flat width depth length thickness breadth reach
contact seen"""
OBJECT_FEATURES = OBJECT_NAMES.split()

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

    def __call__(self, x: Floats) -> Floats:
        """Features (m, len(FEATURES)) -> probabilities (m,)."""
        arrays = self.feature, self.threshold, self.left, self.right, self.missing_left, self.value, self.roots
        return 1 / (1 + np.exp(-self.bias - _sum_of_leaves(np.ascontiguousarray(x), *arrays)))


@dataclass(frozen=True)
class Model:
    """What is learned: trees for joining; confidence (len(OBJECT_FEATURES) + 1,) the weights and the bias of the expected IoU."""

    trees: Trees
    confidence: Floats

    @classmethod
    def load(cls, file: Path) -> Model:
        """Raises UserError if the file is missing, broken or of another version."""
        try:
            with np.load(file, allow_pickle=False) as saved:
                arrays = {name: saved[name] for name in saved.files}
            if arrays.pop("features").tolist() != [*FEATURES, *OBJECT_FEATURES]:
                raise ValueError("it was trained on other features")
            confidence, bias = arrays.pop("confidence"), float(arrays.pop("bias"))
            return cls(Trees(**arrays, bias=bias), confidence)
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise UserError(
                f"The joining weights {file} cannot be used ({error}): reinstall the package or make them with "
                "`python -m offline_training.joining`."
            ) from None

    def save(self, file: BinaryIO) -> None:
        names = np.array([*FEATURES, *OBJECT_FEATURES])
        np.savez_compressed(file, features=names, confidence=self.confidence, **vars(self.trees))

    def expected_iou(self, objects: Floats) -> Floats:
        """(m,) 0..1 from (m, len(OBJECT_FEATURES)): what IoU such objects had with true ones on generated rooms."""
        return np.clip(objects @ self.confidence[:-1] + self.confidence[-1], 0, 1)


@cache
def shipped_model() -> Model:
    """The model that comes with the package."""
    return Model.load(WEIGHTS)


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

    def objects(self) -> tuple[Ids, Floats]:
        """The roots (m,), and what their confidence rests on (m, len(OBJECT_FEATURES))."""
        roots = np.unique(self.groups())
        nodes, extent = self.nodes[roots], np.sort(self.high[roots] - self.low[roots], axis=1)
        area = nodes[:, AREA]
        doubts = np.zeros((len(self.root), DOUBTS))
        for pair, value in sorted(self.current.items(), key=lambda item: item[1]):
            for i in pair:
                doubts[i] = value, *doubts[i, :-1]
        contact = np.array([sum(edge[CONTACT] for edge in self.near[i].values()) for i in roots.tolist()])
        columns = [
            np.log(area), nodes[:, SHARE] / area, np.log(nodes[:, SEEN_WELL] / area), *doubts[roots].T, structure(nodes),
            np.linalg.norm(nodes[:, NORMAL], axis=1) / area, *np.log(extent + UNIT_M).T,
            *np.log(principal_lengths(nodes) + 0.005).T, contact / np.sqrt(area), np.log1p(nodes[:, SEEN]),
        ]  # fmt: skip
        return roots, np.stack(columns, axis=1)


def join(graph: PieceGraph, threshold: float, probability: Trees) -> Agglomeration:
    """Join the pieces of a graph until no pair is as probable as `threshold`."""
    state = Agglomeration(graph, probability)
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
