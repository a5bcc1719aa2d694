"""Disjoint sets as a forest (union-find), inside compiled loops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.jit import njit


@njit
def find(parent: npt.NDArray[np.int64], i: int) -> int:
    """The root of i in `parent` (N,), halving its path."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
