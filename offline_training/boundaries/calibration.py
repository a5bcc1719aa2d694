"""The scale and bias that make the mean of the boundary map along a border the probability that its sides are two objects."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from offline_training.boundaries.evaluation import overlap_counts, segment


def borders(
    logits: npt.NDArray[np.float32], regions: npt.NDArray[np.int32], truth: npt.NDArray[np.uint16]
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Along all borders of `regions` (H, W): the larger logit of both pixels (P,), the border's number (P,), and for each
    border whether its regions belong to different true objects (B,)."""
    count = int(regions.max()) + 1
    owner = overlap_counts(regions, truth).argmax(1)
    values, codes = [], []
    for near, far in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        crosses = (regions[near] != regions[far]) & (truth[near] > 0) & (truth[far] > 0)
        a, b = regions[near][crosses].astype(np.int64), regions[far][crosses].astype(np.int64)
        values.append(np.maximum(logits[near][crosses], logits[far][crosses]))
        codes.append(np.minimum(a, b) * count + np.maximum(a, b))
    pairs, number = np.unique(np.concatenate(codes), return_inverse=True)
    return np.concatenate(values), number, owner[pairs // count] != owner[pairs % count]


def calibrate(views: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint16]]]) -> tuple[float, float]:
    """Boundary logits and true instances of views -> scale, bias: maximum likelihood over borders, weighted by the root of
    their length."""
    values, numbers, differ = [], [], []
    start = 0
    for logits, truth in views:
        v, n, d = borders(logits, segment(expit(logits)).regions, truth)
        values.append(v)
        numbers.append(n + start)
        differ.append(d)
        start += len(d)
    value, number, different = np.concatenate(values), np.concatenate(numbers), np.concatenate(differ)
    if len(np.unique(different)) < 2:
        return 1.0, 0.0
    length = np.bincount(number)

    def surprise(parameters: npt.NDArray[np.float64]) -> float:
        mean = np.bincount(number, expit(parameters[0] * value + parameters[1])) / length
        p = np.clip(np.where(different, mean, 1 - mean), 1e-3, 1)
        return float(-(np.sqrt(length) * np.log(p)).sum() / np.sqrt(length).sum())

    simplex = np.array([[1.0, 0.0], [1.5, 0.0], [1.0, -1.0]])
    options = {"initial_simplex": simplex, "xatol": 0.01, "fatol": 1e-5}
    best = minimize(surprise, simplex[0], method="Nelder-Mead", options=options)
    return float(best.x[0]), float(best.x[1])
