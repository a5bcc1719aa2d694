"""Boosted decision trees, as arrays, evaluated all at once (QuickScorer, Lucchese et al., SIGIR 2015)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from gcseg_ros.jit import njit

LEAVES = 64
"""Of one tree, at most: each is a bit."""
LOWEST_BIT = np.uint64(0x03F79D71B4CB0A89)  # times a power of two: its highest six bits differ (a de Bruijn sequence)
INDEX_OF_BIT = np.zeros(64, np.uint64)
INDEX_OF_BIT[[(int(LOWEST_BIT) << k) % 2**64 >> 58 for k in range(64)]] = np.arange(64)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """Boosted decision trees: for the log-odds that two pieces are one object, or the IoU to be expected of an object.

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
    def of(cls, arrays: Mapping[str, npt.NDArray], features: int) -> Trees:
        """From the arrays of a file. Raises ValueError, KeyError or TypeError if they are not trees over so many features."""
        values = {name: arrays[name] for name in cls.__dataclass_fields__ if name != "bias"}
        kinds = {"threshold": np.float64, "value": np.float64, "missing_left": np.bool_}
        nodes, index = len(values["feature"]), np.arange(len(values["feature"]))
        for name, array in values.items():
            if array.dtype != kinds.get(name, np.int32) or array.ndim != 1 or (name != "roots" and len(array) != nodes):
                raise ValueError(f"{name} of its trees is {array.dtype} of shape {array.shape}")
        trees = cls(**values, bias=float(arrays["bias"]))
        inner = trees.feature >= 0
        below = np.stack([trees.left, trees.right])[:, inner]  # children come after their parent: no way is endless
        if (below <= index[inner]).any() or (below >= nodes).any() or (trees.feature >= features).any():
            raise ValueError("its trees lead nowhere")
        if (trees.roots < 0).any() or (trees.roots >= nodes).any():
            raise ValueError("its trees have no roots")
        if (np.bincount(np.append(below, trees.roots), minlength=nodes) != 1).any():
            raise ValueError("its trees are not apart from each other")
        if (most := int(trees._leaves_below[trees.roots].max(initial=0))) > LEAVES:
            raise ValueError(f"one of its trees has {most} leaves, more than {LEAVES}")
        return trees

    @classmethod
    def mean(cls, several: Sequence[Trees]) -> Trees:
        """Trees that add up to the mean of what these add up to."""
        starts = np.cumsum([0] + [len(trees.feature) for trees in several[:-1]], dtype=np.int32)
        parts = [
            replace(
                trees,
                left=trees.left + start,
                right=trees.right + start,
                value=trees.value / len(several),
                roots=trees.roots + start,
            ).arrays()
            for trees, start in zip(several, starts)
        ]
        bias = sum(trees.bias for trees in several) / len(several)
        return cls(
            **{name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "bias"}, bias=bias
        )

    def arrays(self) -> dict[str, npt.NDArray]:
        """What `of` takes."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    def total(self, x: Floats) -> Floats:
        """Features (m, F) -> (m,) what the trees add up to."""
        return np.asarray(self.bias + _sum_of_leaves(np.ascontiguousarray(x), *self._by_feature))

    def __call__(self, x: Floats) -> Floats:
        """Features (m, F) -> probabilities (m,), where the trees add up to log-odds."""
        return np.asarray(expit(self.total(x)))

    @cached_property
    def _leaves_below(self) -> npt.NDArray[np.int64]:
        """Of each node the number of leaves, 1 of a leaf."""
        return _leaves_below(self.feature, self.left, self.right)

    @cached_property
    def _by_feature(self) -> tuple[npt.NDArray, ...]:
        """The inner nodes of all trees, by feature and ascending threshold: where each feature's begin (F + 1,), their
        thresholds, whether NaN goes left, their trees, and the leaves (bits, from the left) that remain where a sample
        goes right; the values of the trees' leaves (trees, LEAVES).

        Indices are unsigned, for compiled code need not ask then whether they count from the end.
        """
        tree, first = _places(self.feature, self.left, self.right, self.roots, self._leaves_below)
        leaf = np.flatnonzero(self.feature < 0)
        values = np.zeros((len(self.roots), LEAVES))
        values[tree[leaf], first[leaf]] = self.value[leaf]
        inner = np.flatnonzero(self.feature >= 0)
        inner = inner[np.lexsort((self.threshold[inner], self.feature[inner]))]
        starts = np.searchsorted(self.feature[inner], np.arange(self.feature.max(initial=-1) + 2))
        one, begin, count = np.uint64(1), first[inner].astype(np.uint64), self._leaves_below[self.left[inner]]
        to_the_left = ((one << count.astype(np.uint64)) - one) << begin
        return (
            starts.astype(np.uint64),
            self.threshold[inner],
            self.missing_left[inner],
            tree[inner].astype(np.uint32),
            ~to_the_left,
            values,
        )


@njit
def _leaves_below(feature, left, right):
    count = np.ones(len(feature), np.int64)
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] >= 0:
            count[node] = count[left[node]] + count[right[node]]
    return count


@njit
def _places(feature, left, right, roots, leaves_below):
    """Of each node the tree, and how many leaves of the tree are further left than all of its own."""
    tree, first = np.zeros(len(feature), np.int64), np.zeros(len(feature), np.int64)
    tree[roots] = np.arange(len(roots))
    for node in range(len(feature)):
        if feature[node] >= 0:
            tree[left[node]] = tree[right[node]] = tree[node]
            first[left[node]] = first[node]
            first[right[node]] = first[node] + leaves_below[left[node]]
    return tree, first


@njit
def _sum_of_leaves(x, starts, threshold, missing_left, tree, remaining, values):
    """(m,) A sample (m, F) ends in the leftmost leaf that no node which it leaves to the right has ruled out."""
    out = np.zeros(len(x))
    leaves = np.empty(len(values), np.uint64)
    for i in range(len(x)):
        leaves[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for f in range(len(starts) - 1):
            v = x[i, f]
            for k in range(starts[f], starts[f + 1]):
                if threshold[k] >= v:
                    break
                if not (np.isnan(v) and missing_left[k]):
                    leaves[tree[k]] &= remaining[k]
        for t in range(len(values)):
            leftmost = leaves[t] & (~leaves[t] + np.uint64(1))
            out[i] += values[t, INDEX_OF_BIT[(leftmost * LOWEST_BIT) >> np.uint64(58)]]
    return out
