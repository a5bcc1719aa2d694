"""Matching of two sets of masks, one to one, by IoU (Eq. 9)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def iou_of_counts(common: npt.NDArray, area_a: npt.NDArray, area_b: npt.NDArray) -> npt.NDArray[np.float64]:
    """IoU (n, m) from common pixels (n, m) and areas (n,), (m,); 0 where both are empty."""
    union = area_a[:, None] + area_b[None, :] - common
    return common / np.maximum(union, 1)


def match(iou: npt.NDArray[np.float64], threshold: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the one-to-one assignment with the greatest sum of IoU, only pairs with IoU > threshold.

    >>> match(np.array([[0.9, 0.6], [0.7, 0.0]]), 0.5)
    [(0, 1), (1, 0)]
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and the default association does without

    allowed = np.where(iou > threshold, iou, 0.0)
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns) if allowed[i, j] > 0]
