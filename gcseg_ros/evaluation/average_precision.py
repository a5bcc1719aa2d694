"""Average precision of 3D instances by ScanNet's protocol, class-agnostic.

Source: ScanNet's `evaluate_semantic_instance.py` (Dai et al., CVPR 2017), as Segment3D and its peers use it with one
class. Three steps: `Overlap` counts shared points of one scene, `match` decides at one IoU threshold which predictions
are true, `precision_recall_area` integrates over the scores of all scenes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MIN_POINTS = 100
# Written as the evaluator writes it: the rounding of 0.6000000000000001 decides about an IoU of exactly 0.6.
AP_THRESHOLDS = np.arange(0.5, 0.95, 0.05)
THRESHOLDS = np.append(AP_THRESHOLDS, 0.25)


@dataclass(frozen=True)
class Overlap:
    """How the predictions of one scene lie on its true instances, in points.

    shared      (P, G) int64, points in both; predictions under 100 points are left out, true instances are all there
    void        (P,) int64, points of a prediction that lie on no true instance
    scores      (P,) float64
    true_sizes  (G,) int64
    true_ids    (G,) int64, ascending
    elsewhere   (P,) int64, points of a prediction on things that are not asked for and count against it; 0: none
    """

    shared: Ints
    void: Ints
    scores: Floats
    true_sizes: Ints
    true_ids: Ints
    elsewhere: Ints | int = 0

    @classmethod
    def of_masks(
        cls, truth: npt.NDArray[np.integer], masks: npt.NDArray[np.bool_] | sparse.sparray, scores: npt.ArrayLike
    ) -> Overlap:
        """truth (N,) ids, 0 = none; masks (P, N) bool, dense or scipy.sparse, may overlap; scores (P,)."""
        if sparse.issparse(masks):
            rows, points = sparse.csr_array(masks, dtype=bool).nonzero()
        else:
            rows, points = np.divmod(np.flatnonzero(masks), max(len(truth), 1))
        return cls._of_pairs(truth, rows, points, masks.shape, scores)

    @classmethod
    def of_labels(
        cls,
        truth: npt.NDArray[np.integer],
        labels: npt.NDArray[np.integer],
        confidence: Mapping[int, float] | None = None,
    ) -> Overlap:
        """truth (N,) and labels (N,) ids, 0 = none; confidence of each id in labels (None: all equal)."""
        points = np.flatnonzero(labels)
        ids, rows = np.unique(labels[points], return_inverse=True)
        scores = np.ones(len(ids)) if confidence is None else [confidence[int(i)] for i in ids]
        return cls._of_pairs(truth, rows, points, (len(ids), len(labels)), scores)

    @classmethod
    def _of_pairs(
        cls, truth: npt.NDArray[np.integer], rows: Ints, points: Ints, shape: tuple[int, ...], scores: npt.ArrayLike
    ) -> Overlap:
        """From all (prediction, point) pairs: one count over the pairs (prediction, true instance)."""
        scores = np.asarray(scores, np.float64)
        if truth.shape != shape[1:] or scores.shape != shape[:1]:
            raise ValueError(f"truth is {truth.shape} and scores {scores.shape} for masks of shape {shape}")
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite")
        ids, column, sizes = np.unique(truth, return_inverse=True, return_counts=True)
        if not (len(ids) and ids[0] == 0):
            ids, column, sizes = np.append(0, ids), column + 1, np.append(0, sizes)
        table = np.bincount(rows * len(ids) + column[points], minlength=shape[0] * len(ids)).reshape(shape[0], len(ids))
        large = table.sum(1) >= MIN_POINTS
        return cls(table[large, 1:], table[large, 0], scores[large], sizes[1:], ids[1:].astype(np.int64))

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """(G,) true instances of at least 100 points: the others are left out."""
        return self.true_sizes >= MIN_POINTS

    @property
    def sizes(self) -> Ints:
        """(P,) points of each prediction."""
        return self.shared.sum(1) + self.void + self.elsewhere

    @property
    def iou(self) -> Floats:
        """(P, G) intersection over union."""
        return self.shared / (self.sizes[:, None] + self.true_sizes - self.shared)


def is_counted(truth: npt.NDArray[np.integer]) -> bool:
    """Whether there is a true instance of at least 100 points in truth (N,), ids, 0 = none: without one there is no average precision."""
    return bool((np.unique(truth[truth > 0], return_counts=True)[1] >= MIN_POINTS).any())


@dataclass(frozen=True)
class Matches:
    """What became of one scene at one IoU threshold: scores of true and false positives, and the instances not found."""

    true: Floats
    false: Floats
    missed: int


@dataclass(frozen=True)
class AveragePrecision:
    """0 to 1; NaN where there is no true instance. at: IoU threshold -> average precision."""

    ap: float
    ap50: float
    ap25: float
    at: dict[float, float]


def average_precision(scenes: Sequence[Overlap]) -> AveragePrecision:
    """AP (mean over the thresholds 0.50:0.05:0.90), AP50 and AP25, the scenes pooled."""
    ious = [scene.iou for scene in scenes]
    found = any(scene.counted.any() for scene in scenes)
    at = {}
    for threshold in THRESHOLDS:
        matches = [match(scene, iou, threshold) for scene, iou in zip(scenes, ious, strict=True)]
        at[round(float(threshold), 2)] = precision_recall_area(matches) if found else float("nan")
    ap = float(np.mean([at[round(float(threshold), 2)] for threshold in AP_THRESHOLDS]))
    return AveragePrecision(ap, at[0.5], at[0.25], at)


def match(scene: Overlap, iou: Floats, threshold: float) -> Matches:
    """Greedy matching in the order of ids and predictions, as the evaluator does it.

    A second match of one instance is a false positive with the lower of both scores. A prediction without a match is
    ignored if more than the threshold's share of it lies on void or on instances under 100 points.
    """
    above = iou > threshold
    best = np.full(len(scene.true_ids), -np.inf)
    used = np.zeros(len(scene.scores), bool)
    false: list[float] = []
    for instance, prediction in np.argwhere(above.T & scene.counted[:, None]):
        if used[prediction]:
            continue
        score = scene.scores[prediction]
        if best[instance] == -np.inf:
            best[instance] = score
            used[prediction] = True
        else:
            false.append(min(best[instance], score))
            best[instance] = max(best[instance], score)
    ignored = scene.void + scene.shared[:, ~scene.counted].sum(1)
    wrong = ~above.any(1) & (ignored / scene.sizes <= threshold)
    matched = best > -np.inf
    missed = int((scene.counted & ~matched).sum())
    return Matches(best[matched], np.append(false, scene.scores[wrong]), missed)


def precision_recall_area(matches: Sequence[Matches]) -> float:
    """Precision and recall at each distinct score, an artificial last point (1, 0), and the evaluator's sum over them."""
    true = np.sort(np.concatenate([m.true for m in matches]))
    false = np.sort(np.concatenate([m.false for m in matches]))
    thresholds = np.unique(np.append(true, false))
    true_above = len(true) - np.searchsorted(true, thresholds)
    false_above = len(false) - np.searchsorted(false, thresholds)
    precision = np.append(true_above / (true_above + false_above), 1.0)
    recall = np.append(true_above / max(len(true) + sum(m.missed for m in matches), 1), 0.0)
    steps = np.convolve(np.concatenate([recall[:1], recall, [0.0]]), [-0.5, 0, 0.5], "valid")
    return float(precision @ steps)


def best_ious(scene: Overlap) -> dict[int, float]:
    """True instance id -> IoU of the prediction that fits it best (0 if there is none), for diagnosis."""
    best = scene.iou.max(0, initial=0.0)
    return {int(i): float(v) for i, v, counted in zip(scene.true_ids, best, scene.counted, strict=True) if counted}
