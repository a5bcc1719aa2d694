"""Pairs of labels: as one number each, and which of them touch in an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.depth import Image
from gcseg_ros.masks.masks import Labels

REACH_PX = 3  # labels nearer than this touch
DEPTH_TOLERANCE_M = 0.06  # and at about the same depth

Pair = tuple[int, int]


def touching(labels: Labels, depth_m: Image | None = None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs (n, 2) of labels above 0, the smaller first, that lie REACH_PX apart in a row or column, and at how many pixels (n,).

    labels and depth_m (h, w); depth_m: only where it is about the same on both sides
    """
    codes = []
    for dv, du in ((0, REACH_PX), (REACH_PX, 0)):
        here = np.s_[: max(0, labels.shape[0] - dv), : max(0, labels.shape[1] - du)]
        there = np.s_[dv:, du:]
        a, b = labels[here], labels[there]
        met = (a != b) & (a > 0) & (b > 0)
        if depth_m is not None:
            met &= np.abs(depth_m[here] - depth_m[there]) < DEPTH_TOLERANCE_M
        codes.append(pair_codes(a[met].astype(np.int64), b[met].astype(np.int64)))
    code, contact = np.unique(np.concatenate(codes), return_counts=True)
    return pairs_of(code), contact


def pair_codes(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """One number a pair of labels, whichever comes first: smaller label << 32 | larger label."""
    return np.minimum(a, b) << 32 | np.maximum(a, b)


def pairs_of(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The pairs (n, 2) that have these codes (n,), first << 32 | second."""
    return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)
