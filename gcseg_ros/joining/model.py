"""What is learned for joining a kind of graph: when two pieces are one object, and how good an object has become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.joining.agglomeration import Agglomeration, Floats, Graph, Ids, join
from gcseg_ros.joining.boosted_trees import Trees
from gcseg_ros.joining.graph_network import GraphNetwork

LEAST_IOU = 0.01  # what was found is not expected to be nothing
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
    """What is learned of a kind of graph (`gcseg_ros.joining.agglomeration`).

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

    def join(self, graph: Graph, threshold: float) -> tuple[Agglomeration, Ids, Floats]:
        """Join pieces until no pair is as probable as `threshold`: the state then, the roots (k,) of objects, and the
        IoU LEAST_IOU..1 (k,) with a true one that is to be expected of each, by the mean of the two."""
        state = join(graph, threshold, self.trees, self.network)
        roots, known = state.objects()
        expected = self.confidence.total(known)
        if self.network is not None:
            expected = (np.clip(expected, 0, 1) + state.quality[roots]) / 2
        return state, roots, np.clip(expected, LEAST_IOU, 1)
