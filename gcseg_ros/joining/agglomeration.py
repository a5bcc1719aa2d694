"""Greedy agglomeration of pieces by a learned decision (GALA, Nunez-Iglesias et al., PLoS ONE 2013).

The pieces that are most probably one object are joined, two by two, what is known of a joined piece follows from the
sums of its parts, its neighbours are judged anew, and so on until no pair is probable enough. The probability comes
from boosted trees, which see the two, and from a network, which sees them among all others. It looks again whenever
some of the pieces have been joined.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from gcseg_ros.joining.boosted_trees import Trees
from gcseg_ros.joining.graph_network import GraphNetwork

AREA, CONTACT = 0, 0
"""The first column of nodes, and of edges."""
SAID, BY_TREES = slice(-3, -1), -1
"""The last columns of edges while they are joined: the weight of what the network says of a pair, and that times the
log-odds; and the log-odds by the trees, which stay as long as neither of the two is joined."""
AXES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Of the six columns of products."""
DOUBTS = 3
"""So many of the highest probabilities of being one with a neighbour are known of an object."""
UNIT_M = 0.03
"""Areas of a map are counted in squares of this edge; shorter extents matter little."""
NUMBERS_AT_ONCE = 1 << 22
"""Of nodes, where pairs are judged."""
LOOK_AGAIN = 0.85
"""The network looks at all pieces again when so many are left of those that it saw last."""
APART = 0.3
"""What the network says of a pair weighs its contact and this, when both become part of another pair."""

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Pair = tuple[int, int]
Two = tuple[Floats, Floats]


@dataclass(frozen=True)
class Graph:
    """What is known of n pieces and of m pairs of them that may be one object. All of it adds up when pieces are joined.

    nodes      (n, columns) sums over a piece, first its area
    low, high  (n, k) m: its extent along directions, the first three of which are the world's axes
    pairs      (m, 2) pieces, the smaller index first
    edges      (m, columns) sums over a pair, first its contact
    """

    NAMES: ClassVar[tuple[str, ...]] = ()
    """Of the features of a pair."""
    PIECE_NAMES: ClassVar[tuple[str, ...]] = ()
    """Of the features of a piece."""
    OBJECT_NAMES: ClassVar[tuple[str, ...]] = ()
    """Of the features of an object."""
    AT_ONCE: ClassVar[float] = 0.0
    """So many of the pieces that are left are joined before their neighbours are judged anew, but one at least."""

    nodes: Floats
    low: Floats
    high: Floats
    pairs: Ids
    edges: Floats

    def __len__(self) -> int:
        return len(self.nodes)

    @classmethod
    def feature_names(cls) -> list[str]:
        """The names of all features, in the order in which what is learned of them expects them."""
        return [*cls.NAMES, *cls.PIECE_NAMES, *cls.OBJECT_NAMES]

    def features(self, nodes: Two, low: Two, high: Two, edges: Floats) -> Floats:
        """What the decision to join pairs of pieces rests on, (m, len(NAMES)); NaN = not known.

        nodes, low, high: of the first and of the second piece of each pair. Nothing may depend on which is first.
        """
        raise NotImplementedError

    def piece_features(self, nodes: Floats, low: Floats, high: Floats) -> Floats:
        """What a network is told of pieces, (k, len(PIECE_NAMES))."""
        raise NotImplementedError

    def object_features(
        self, nodes: Floats, low: Floats, high: Floats, doubts: Floats, missing: Floats, contact: Floats
    ) -> Floats:
        """What the expected quality of objects rests on, (k, len(OBJECT_NAMES)).

        doubts   (k, DOUBTS) the highest probabilities of being one with a neighbour
        missing  (k,) the areas of neighbours (or its own, if that is smaller) times these probabilities
        contact  (k,) with all neighbours
        """
        raise NotImplementedError


class Agglomeration:
    """The state of joining the pieces of a graph.

    root     (n,) the piece that each was joined into; itself if it was not, or if others were joined into it
    quality  (n,) of pieces that are left, the IoU with a true object that the network expected when it looked last

    Without trees nothing is judged and `offers` are none; without a network the trees decide alone.
    """

    def __init__(self, graph: Graph, trees: Trees | None, network: GraphNetwork | None = None) -> None:
        self.graph, self.trees, self.network = graph, trees, network
        self.nodes, self.low, self.high = graph.nodes.copy(), graph.low.copy(), graph.high.copy()
        self.root, self.quality = np.arange(len(graph)), np.zeros(len(graph))
        self.near: list[dict[int, Floats]] = [{} for _ in range(len(graph))]
        edges = np.column_stack([graph.edges, np.zeros((len(graph.pairs), 3))])  # and SAID, BY_TREES
        for (a, b), edge in zip(graph.pairs.tolist(), edges):
            self.near[a][b] = self.near[b][a] = edge
        self.current: dict[Pair, float] = {}
        self.heap: list[tuple[float, Pair]] = []
        self.changed: set[int] = set()  # pieces that were joined since their neighbours were judged
        self.left = self.seen = len(graph)
        if network is not None:
            self._ask_network()
        self._ask_trees(graph.pairs)
        self._judge(graph.pairs)

    def offers(self, threshold: float) -> list[Pair]:
        """The most probable pairs that are at least as probable as the threshold, at most AT_ONCE of the pieces left,
        but one if there is one.

        Each is the most probable of all pairs of its two pieces, so none rests on another. They are not offered again before they
        are judged anew.
        """
        most, met, found, later = max(1, int(self.graph.AT_ONCE * self.left)), set[int](), list[Pair](), []
        while self.heap and -self.heap[0][0] >= threshold and len(found) < most:
            negative, pair = heapq.heappop(self.heap)
            if self.current.get(pair) != -negative:
                continue
            if met.isdisjoint(pair):
                found.append(pair)
                del self.current[pair]
            else:
                later.append((negative, pair))
            met.update(pair)
        for item in later:
            heapq.heappush(self.heap, item)
        return found

    def features_of(self, pairs: Ids) -> Floats:
        """(m, len(graph.NAMES)) of pairs (m, 2) of roots that are neighbours."""
        (a, b), nodes, low, high = pairs.T, self.nodes, self.low, self.high
        return self.graph.features((nodes[a], nodes[b]), (low[a], low[b]), (high[a], high[b]), self._edges(pairs))

    def _edges(self, pairs: Ids) -> Floats:
        return np.array([self.near[i][j] for i, j in pairs.tolist()])

    def join(self, a: int, b: int) -> int:
        """Make one piece of two; the index that stands for it. `judge` it before the next `offers`."""
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
        self.left -= 1
        self.changed.add(a)
        self.changed.discard(b)
        return a

    def judge(self) -> None:
        """Judge anew the pairs of what has been joined; all, if enough has been joined for the network to look again."""
        pairs = {(min(a, c), max(a, c)) for a in self.changed for c in self.near[a]}
        self.changed.clear()
        self._ask_trees(_ascending(pairs))
        if self.network is not None and self.left < LOOK_AGAIN * self.seen:
            self._ask_network()
            self.heap.clear()
            pairs |= self.current.keys()
        self._judge(_ascending(pairs))

    def some_at_once(self, pairs: Ids) -> Iterator[Ids]:
        """The pairs in parts whose nodes are few enough to be looked at together."""
        step = max(1, NUMBERS_AT_ONCE // self.nodes.shape[1])
        return (pairs[i : i + step] for i in range(0, len(pairs), step))

    def known(self) -> tuple[Ids, Ids, Floats, Floats]:
        """The roots (n,) of the pieces that are left, their pairs (m, 2) as rows of these, the features of pieces and
        of pairs."""
        roots = np.flatnonzero(self.root == np.arange(len(self.root)))
        pairs = np.array([(i, j) for i in roots.tolist() for j in self.near[i] if i < j], np.int64).reshape(-1, 2)
        features = [self.features_of(some) for some in self.some_at_once(pairs)]
        pieces = self.graph.piece_features(self.nodes[roots], self.low[roots], self.high[roots])
        between = np.concatenate([np.zeros((0, len(self.graph.NAMES))), *features])
        return roots, np.searchsorted(roots, pairs), pieces, between

    def _ask_network(self) -> None:
        """The network says anew what it thinks of all pairs and of all pieces that are left."""
        assert self.network is not None
        roots, pairs, pieces, between = self.known()
        same, self.quality[roots] = self.network(pieces, pairs, between)
        for (i, j), said in zip(roots[pairs].tolist(), same.tolist()):
            edge = self.near[i][j]
            weight = edge[CONTACT] + APART
            edge[SAID] = weight, weight * said
        self.seen = len(roots)

    def _ask_trees(self, pairs: Ids) -> None:
        if self.trees is None:
            return
        for some in self.some_at_once(pairs):
            for (i, j), odds in zip(some.tolist(), self.trees.total(self.features_of(some)).tolist()):
                self.near[i][j][BY_TREES] = odds

    def _judge(self, pairs: Ids) -> None:
        if self.trees is None:
            return
        for some in self.some_at_once(pairs):
            edges = self._edges(some)
            odds = edges[:, BY_TREES]
            if self.network is not None:
                weight, said = edges[:, SAID].T
                odds = (odds + said / weight) / 2
            for pair, value in zip(map(tuple, some.tolist()), expit(odds).tolist()):
                self.current[pair] = value
                heapq.heappush(self.heap, (-value, pair))

    def groups(self) -> Ids:
        """(n,) the root of each piece."""
        root = self.root.copy()
        while (root[root] != root).any():
            root = root[root]
        return root

    def objects(self) -> tuple[Ids, Floats]:
        """The roots (k,) of what was joined, and the features (k, len(graph.OBJECT_NAMES)) that their quality rests on."""
        roots = np.unique(self.groups())
        doubts, missing = np.zeros((len(self.root), DOUBTS)), np.zeros(len(self.root))
        for pair, value in sorted(self.current.items(), key=lambda item: item[1]):
            smaller = min(self.nodes[i, AREA] for i in pair)
            for i in pair:
                doubts[i] = value, *doubts[i, :-1]
                missing[i] += value * smaller
        contact = np.array([sum(edge[CONTACT] for edge in self.near[i].values()) for i in roots.tolist()], np.float64)
        sums = self.nodes[roots], self.low[roots], self.high[roots]
        return roots, self.graph.object_features(*sums, doubts[roots], missing[roots], contact)


def join(graph: Graph, threshold: float, trees: Trees, network: GraphNetwork | None = None) -> Agglomeration:
    """Join the pieces of a graph until no pair is as probable as `threshold`."""
    state = Agglomeration(graph, trees, network)
    while pairs := state.offers(threshold):
        for pair in pairs:
            state.join(*pair)
        state.judge()
    if network is not None:
        state._ask_network()
    return state


def _ascending(pairs: set[Pair]) -> Ids:
    """(m, 2)"""
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def smaller_first(nodes: Two, *others: Two) -> tuple[Two, ...]:
    """Both sides of pairs, of nodes and of whatever else, so that the first is the piece of less area."""
    larger = (nodes[0][:, AREA] > nodes[1][:, AREA])[:, None]
    return tuple((np.where(larger, b, a), np.where(larger, a, b)) for a, b in (nodes, *others))


def extents(points: Floats, piece: Ids, count: int) -> Two:
    """Extent of each of `count` pieces along k directions: low, high (count, k). points (n, k) along these, piece (n,)
    of each point."""
    low, high = np.full((count, points.shape[1]), np.inf), np.full((count, points.shape[1]), -np.inf)
    order = np.argsort(piece, kind="stable")
    present, first = np.unique(piece[order], return_index=True)
    if len(present):
        points = points[order]
        low[present], high[present] = np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)
    return low, high


def sums_of_pairs(one: Ids, other: Ids, columns: Sequence[Floats], count: int) -> tuple[Ids, Floats]:
    """The different pairs (m, 2) of `count` pieces, ascending, the smaller index first, and the sum of each column over
    them (m, columns).

    one, other  (k,) pieces, two different ones each time; columns: (k,) each
    """
    code, at = np.unique(np.minimum(one, other) * count + np.maximum(one, other), return_inverse=True)
    sums = [np.bincount(at, column, minlength=len(code)) for column in columns]
    return np.stack([code // count, code % count], axis=1), np.stack(sums, axis=1)


def symmetric(products: Floats) -> Floats:
    """(n, 3, 3) matrices of six products each (n, 6), as in AXES."""
    matrix = np.empty((len(products), 3, 3))
    for k, (i, j) in enumerate(AXES):
        matrix[:, i, j] = matrix[:, j, i] = products[:, k]
    return matrix


def principal_lengths(area: Floats, points: Floats, products: Floats) -> Floats:
    """Standard deviations (n, 3) m of points along their principal axes, ascending. Sums: (n,), (n, 3), (n, 6) as in AXES."""
    mean = points / area[:, None]
    covariance = products / area[:, None] - np.stack([mean[:, i] * mean[:, j] for i, j in AXES], axis=1)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(symmetric(covariance)), 0))


def box_features(low: Two, high: Two) -> list[Floats]:
    """Of pairs of axis-aligned boxes, the second with the larger piece: lows, highs, low_over_high, high_over_low (m),
    width, length and height of the first and of the second (m), share of the first inside the second."""
    (low_a, low_b), (high_a, high_b) = low, high
    extent_a, extent_b = high_a - low_a, high_b - low_b
    common = np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0)
    return [
        low_a[:, 2] - low_b[:, 2], high_a[:, 2] - high_b[:, 2], low_a[:, 2] - high_b[:, 2], high_a[:, 2] - low_b[:, 2],
        *(part for x in (extent_a, extent_b) for part in (x[:, :2].min(1), x[:, :2].max(1), x[:, 2])),
        (common + UNIT_M).prod(1) / (extent_a + UNIT_M).prod(1),
    ]  # fmt: skip


def axis_features(one: Floats, other: Floats, joined: Floats) -> list[Floats]:
    """Of the `principal_lengths` of both pieces and of the two together: thickness of all three, breadth and reach of both."""
    return [one[:, 0], other[:, 0], joined[:, 0], one[:, 1], other[:, 1], one[:, 2], other[:, 2]]
