"""What is learned for joining a kind of graph: when two pieces are one object, and how good an object has become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.agglomeration import AREA, Agglomeration, Floats, Graph, Ids
from gcseg_ros.boosted_trees import Trees
from gcseg_ros.graph_network import GraphNetwork

LEAST_IOU = 0.01  # what was found is not expected to be nothing
LEVELS = 9  # of probability, at which objects are compared
OF_NETWORK, OF_CONFIDENCE, LINEAR = "network.", "confidence.", "confidence"
"""The names of arrays of a network and of trees for the confidence begin with these in a file; what a linear one is called."""


@dataclass(frozen=True)
class Linear:
    """weights (F + 1,): of features, and the bias. Where there are few scenes to learn from it does as well as trees."""

    weights: Floats

    def total(self, x: Floats) -> Floats:
        """Features (m, F) -> (m,)."""
        return np.asarray(x @ self.weights[:-1] + self.weights[-1])


@dataclass(frozen=True)
class JoiningModel:
    """What is learned of a kind of graph (`gcseg_ros.agglomeration`).

    trees       the log-odds that two pieces are one object, by what is known of the two
    network     the same and the IoU to be expected, by what is known of all; None: nothing of its own
    confidence  the IoU to be expected, by what is known of an object
    """

    trees: Trees
    network: GraphNetwork | None
    confidence: Trees | Linear

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray], graph: type[Graph]) -> JoiningModel:
        """From the arrays of a file. Raises ValueError, KeyError or TypeError if they are not a model of such graphs."""
        weights, confidence = (
            {name.removeprefix(of): array for name, array in arrays.items() if name.startswith(of)}
            for of in (OF_NETWORK, OF_CONFIDENCE)
        )
        if weights and not graph.PIECE_NAMES:
            raise ValueError("its graph network is for other graphs")
        network = GraphNetwork.of(weights, len(graph.PIECE_NAMES), len(graph.NAMES)) if weights else None
        trees, count = Trees.of(arrays, len(graph.NAMES)), len(graph.OBJECT_NAMES)
        if LINEAR not in arrays:
            return cls(trees, network, Trees.of(confidence, count))
        linear = arrays[LINEAR]
        if linear.dtype != np.float64 or linear.shape != (count + 1,):
            raise ValueError(f"its confidence is {linear.dtype} of shape {linear.shape}")
        return cls(trees, network, Linear(linear))

    @classmethod
    def mean(cls, models: Sequence[JoiningModel]) -> JoiningModel:
        """What several models, with networks and trees for the confidence, say on the average: of log-odds and of the IoU."""
        networks = [model.network.weights for model in models if model.network is not None]
        confidences = [model.confidence for model in models if isinstance(model.confidence, Trees)]
        assert len(networks) == len(confidences) == len(models)
        network = GraphNetwork({name: np.concatenate([weights[name] for weights in networks]) for name in networks[0]})
        return cls(Trees.mean([model.trees for model in models]), network, Trees.mean(confidences))

    def arrays(self) -> dict[str, npt.NDArray]:
        """What `of` takes."""
        weights = self.network.weights if self.network is not None else {}
        found = {**self.trees.arrays(), **{OF_NETWORK + name: array for name, array in weights.items()}}
        if isinstance(self.confidence, Linear):
            return {**found, LINEAR: self.confidence.weights}
        return {**found, **{OF_CONFIDENCE + name: array for name, array in self.confidence.arrays().items()}}

    def join(self, graph: Graph, probability: float, margin: float = 0.0) -> tuple[Ids, Ids, Floats]:
        """Join pieces that are one object: the object (n,) of each, named by one of its pieces; the objects (k,), ascending; and the IoU
        LEAST_IOU..1 (k,) with a true one that is to be expected of each.

        Pieces are joined as long as two are as probable as `probability` + `margin`, then step by step on to `probability` - `margin`. Of an
        object and those that it was joined from, `best_cut` takes those of which more is expected.
        """
        state = Agglomeration(graph, self.trees, self.network)
        levels = []
        for step in np.linspace(1, -1, LEVELS) if margin else [0]:
            state.join_up_to(probability + step * margin)
            levels.append((state.groups(), self._expected(state)))
        return best_cut(levels, graph.nodes[:, AREA])

    def _expected(self, state: Agglomeration) -> Floats:
        """(n,) The IoU with a true one that is to be expected of each piece that is left, by the mean of the two; 0 of others."""
        roots, known = state.objects()
        expected = np.zeros(len(state.root))
        expected[roots] = np.clip(self.confidence.total(known), 0, 1)
        if self.network is not None:
            expected[roots] = (expected[roots] + state.quality[roots]) / 2
        return expected


def best_cut(levels: Sequence[tuple[Ids, Floats]], area: Floats) -> tuple[Ids, Ids, Floats]:
    """Of all objects those that cover every piece once and of which most is expected: the sum of their IoUs, weighed by the roots of areas.

    levels  the object (n,) of each piece, named by one of its pieces, and what is expected (n,) of the object of that name; an object
            of a level is one of the level before, or was joined from some of them and is named as one of these
    area    (n,) of the pieces

    Returns what `JoiningModel.join` does; of an object that stands at several levels the mean is expected.
    """
    n, cut = len(area), levels[0][0]
    said, times, worth = np.zeros(n), np.zeros(n), np.zeros(n)  # by name, of the objects in the cut
    for groups, expected in levels:
        weight, chosen = np.sqrt(np.bincount(groups, area, n)), np.unique(cut)
        parts, worth_of_parts = (np.bincount(groups[chosen], of, n) for of in (None, worth[chosen]))
        joined = (parts > 1) & (weight * expected >= worth_of_parts)
        cut = np.where(joined[groups], groups, cut)
        said[joined] = times[joined] = 0
        stands = joined | (parts == 1)
        said[stands] += expected[stands]
        times[stands] += 1
        worth[stands] = (weight * said / np.maximum(times, 1))[stands]
    objects = np.unique(cut)
    return cut, objects, np.clip(said[objects] / times[objects], LEAST_IOU, 1)
