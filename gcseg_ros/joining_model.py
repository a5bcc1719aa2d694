"""What is learned for joining a kind of graph: when two pieces are one object, and how good an object has become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.agglomeration import Agglomeration, Floats, Graph, Ids, join
from gcseg_ros.boosted_trees import Trees
from gcseg_ros.graph_network import GraphNetwork

LEAST_IOU = 0.01  # what was found is not expected to be nothing
OF_NETWORK = "network."
"""The names of its arrays begin with this in a file."""


@dataclass(frozen=True)
class JoiningModel:
    """What is learned of a kind of graph (`gcseg_ros.agglomeration`).

    trees       the log-odds that two pieces are one object, by what is known of the two
    network     the same and the IoU to be expected, by what is known of all; None: nothing of its own
    confidence  (object features + 1,) the weights and the bias of the IoU to be expected, by what is known of an object
    """

    trees: Trees
    network: GraphNetwork | None
    confidence: Floats

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray], graph: type[Graph]) -> JoiningModel:
        """From the arrays of a file. Raises ValueError, KeyError or TypeError if they are not a model of such graphs."""
        confidence = arrays["confidence"]
        if confidence.dtype != np.float64 or confidence.shape != (len(graph.OBJECT_NAMES) + 1,):
            raise ValueError(f"its confidence is {confidence.dtype} of shape {confidence.shape}")
        weights = {name.removeprefix(OF_NETWORK): a for name, a in arrays.items() if name.startswith(OF_NETWORK)}
        if weights and not graph.PIECE_NAMES:
            raise ValueError("its graph network is for other graphs")
        network = GraphNetwork.of(weights, len(graph.PIECE_NAMES), len(graph.NAMES)) if weights else None
        return cls(Trees.of(arrays, len(graph.NAMES)), network, confidence)

    def arrays(self) -> dict[str, npt.NDArray]:
        """What `of` takes."""
        weights = self.network.weights if self.network is not None else {}
        return {
            "confidence": self.confidence,
            **self.trees.arrays(),
            **{OF_NETWORK + name: a for name, a in weights.items()},
        }

    def join(self, graph: Graph, threshold: float) -> tuple[Agglomeration, Ids, Floats]:
        """Join pieces until no pair is as probable as `threshold`: the state then, the roots (k,) of objects, and the
        IoU LEAST_IOU..1 (k,) with a true one that is to be expected of each, by the mean of the two."""
        state = join(graph, threshold, self.trees, self.network)
        roots, known = state.objects()
        expected = known @ self.confidence[:-1] + self.confidence[-1]
        if self.network is not None:
            expected = (np.clip(expected, 0, 1) + state.quality[roots]) / 2
        return state, roots, np.clip(expected, LEAST_IOU, 1)
