"""Boosted decision trees, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from gcseg_ros.jit import njit

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
        return {name: np.asarray(value) for name, value in vars(self).items()}

    def total(self, x: Floats) -> Floats:
        """Features (m, F) -> (m,) what the trees add up to."""
        arrays = self.feature, self.threshold, self.left, self.right, self.missing_left, self.value, self.roots
        return np.asarray(self.bias + _sum_of_leaves(np.ascontiguousarray(x), *arrays))

    def __call__(self, x: Floats) -> Floats:
        """Features (m, F) -> probabilities (m,), where the trees add up to log-odds."""
        return np.asarray(expit(self.total(x)))


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
