"""A graph of pieces with its truth: which pairs are one object, and how well what agglomeration makes of it fits true objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.joining.agglomeration import AREA, Agglomeration, Floats, Graph, Ids


@dataclass(frozen=True)
class LabelledGraph:
    """graph; truth (n, instances): how much of each piece belongs to each true instance, column 0 = to none."""

    graph: Graph
    truth: Ids

    def same(self, pairs: Ids, truth: Ids | None = None) -> npt.NDArray[np.bool_]:
        """Whether most of both pieces (m, 2) is the same true instance."""
        truth = self.truth if truth is None else truth
        rows = truth[pairs][:, :, 1:]
        return (rows.argmax(2)[:, 0] == rows.argmax(2)[:, 1]) & (rows.max(2) > 0).all(1)

    def importance(self, pairs: Ids) -> npt.NDArray[np.float64]:
        """What a decision about pairs (m, 2) weighs: the square root of the smaller piece's area."""
        return np.sqrt(self.graph.nodes[pairs, AREA].min(1))

    def truth_of(self, state: Agglomeration, roots: Ids) -> Ids:
        """(k, instances) As `truth`, of the pieces that stand for what was joined."""
        truth = np.zeros_like(self.truth)
        np.add.at(truth, state.groups(), self.truth)
        return truth[roots]

    def best_iou(self, truth: Ids) -> Floats:
        """(k,) The best IoU of pieces, of which `truth` (k, instances) is known, with a true instance."""
        iou = truth / np.maximum(truth.sum(1, keepdims=True) + self.truth.sum(0) - truth, 1)
        return np.asarray(iou[:, 1:].max(1, initial=0))

    def offers(
        self, state: Agglomeration, threshold: float, only_true: bool
    ) -> Iterator[tuple[Ids, npt.NDArray[np.bool_]]]:
        """The pairs (m, 2) that agglomeration meets on its way, some at once, and whether each is truly one object: those that are,
        or all in any case, are joined before the next."""
        truth = self.truth.copy()
        while offered := state.offers(threshold):
            pairs = np.array(offered)
            same = self.same(pairs, truth)
            yield pairs, same
            for pair in pairs[same] if only_true else pairs:
                joined = state.join(*pair.tolist())
                truth[joined] = truth[pair].sum(0)
            state.judge()


def partly_labelled(truth: Ids, pairs: Ids) -> npt.NDArray[np.bool_]:
    """Whether anything of either of two pieces (m, 2) has a label. truth (n, instances)."""
    return np.asarray(truth[pairs][:, :, 1:].sum((1, 2)) > 0)


def mostly_labelled(truth: Ids) -> npt.NDArray[np.bool_]:
    """(n,) Whether at least half of each piece has a label. truth (n, instances)."""
    return np.asarray(truth[:, 0] <= truth[:, 1:].sum(1))
