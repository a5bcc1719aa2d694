"""How good boundaries and the masks made from them are.

- Boundary F-score: precision and recall of boundary pixels within a tolerance (Martin, Fowlkes, Malik 2004), one threshold for all views.
- Mean best IoU: for every true object the IoU of the mask that fits it best, averaged over the objects of all views.
- Achievable IoU: the same, if every watershed region were given to the true object that covers most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.masks.boundary_network import BoundaryMaps
from gcseg_ros.masks.regions import EdgeCost, RegionHierarchy, build_hierarchy
from offline_training.boundaries.views import LabelledView, targets

LabelImage = npt.NDArray[np.integer]

THRESHOLDS = np.linspace(0.05, 0.95, 19)
LEVELS = np.linspace(0.1, 0.9, 17)
LEAST_PX = 100  # smaller pieces of objects are not measured


def evaluate(predict: Callable[[LabelledView], BoundaryMaps], views: Iterable[LabelledView]) -> dict[str, float]:
    """Figures over `views`: f1, f2 (F-score within 1 and 2 pixels), iou at the best cut and that `level`, iou at 0.5,
    achievable, structure (accuracy)."""
    counts = {tolerance: np.zeros((len(THRESHOLDS), 4)) for tolerance in (1, 2)}
    cuts: list[list[float]] = [[] for _ in LEVELS]
    achievable: list[float] = []
    right = total = 0
    for view in views:
        maps = predict(view)
        truth = targets(view.instance, view.structure)
        for tolerance, sums in counts.items():
            sums += boundary_counts(maps.boundary, truth["boundary"], tolerance)
        hierarchy = segment(maps.boundary)
        for cut, level in zip(cuts, LEVELS):
            cut += best_ious(hierarchy.cut(level), view.instance)
        achievable += best_ious(majority(hierarchy.regions, view.instance), view.instance)
        known = view.instance > 0
        right += int(((maps.structure > 0.5) == view.structure)[known].sum())
        total += int(known.sum())
    means = np.array([np.mean(cut) if cut else 0.0 for cut in cuts])
    return {
        **{f"f{tolerance}": f_score(sums) for tolerance, sums in counts.items()},
        "iou": float(means.max()),
        "level": float(LEVELS[means.argmax()]),
        "iou_at_half": float(means[len(LEVELS) // 2]),
        "achievable": float(np.mean(achievable)) if achievable else 0.0,
        "structure": right / max(total, 1),
    }


def segment(boundary: npt.NDArray[np.float32]) -> RegionHierarchy:
    """Watershed of a boundary map (H, W), merged by its mean along shared borders."""
    boundary = np.ascontiguousarray(boundary)
    nothing = np.zeros_like(boundary)
    ridge = (boundary * 255).astype(np.uint8)
    lab = np.zeros((*boundary.shape, 3), np.float32)
    return build_hierarchy(ridge, np.ones_like(boundary), lab, (boundary, nothing, nothing, nothing), EdgeCost())


def boundary_counts(boundary: npt.NDArray, truth: npt.NDArray[np.uint8], tolerance: int) -> npt.NDArray[np.float64]:
    """By threshold: predicted pixels, those near true ones, true pixels, those near predicted ones: (T, 4).

    boundary (H, W) 0..1; truth (H, W) uint8: 1 boundary, 255 unknown.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1,) * 2)
    true, known = truth == 1, truth != 255
    near_true = cv2.dilate(true.astype(np.uint8), disc) > 0
    counts = np.zeros((len(THRESHOLDS), 4))
    for row, threshold in zip(counts, THRESHOLDS):
        found = (boundary > threshold) & known
        near_found = cv2.dilate(found.astype(np.uint8), disc) > 0
        row[:] = found.sum(), (found & near_true).sum(), true.sum(), (true & near_found).sum()
    return counts


def f_score(counts: npt.NDArray[np.float64]) -> float:
    """Best F-score over the thresholds of `boundary_counts`."""
    precision = counts[:, 1] / np.maximum(counts[:, 0], 1)
    recall = counts[:, 3] / np.maximum(counts[:, 2], 1)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-9)).max())


def overlap_counts(masks: LabelImage, truth: LabelImage) -> npt.NDArray[np.int64]:
    """Pixels that a mask and a true object share: (masks, objects), by id."""
    objects = int(truth.max()) + 1
    pairs = masks.astype(np.int64).ravel() * objects + truth.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=(int(masks.max()) + 1) * objects).reshape(-1, objects)


def best_ious(masks: LabelImage, truth: LabelImage) -> list[float]:
    """For every true object (id > 0) of LEAST_PX pixels or more: the best IoU of a mask, unlabelled pixels left aside."""
    shared = overlap_counts(masks, truth)[:, 1:]
    size = shared.sum(0)
    iou = shared / np.maximum(shared.sum(1, keepdims=True) + size - shared, 1)
    return iou.max(0)[size >= LEAST_PX].tolist()


def majority(regions: LabelImage, truth: LabelImage) -> LabelImage:
    """Each region under the id of the true object that covers most of it."""
    return overlap_counts(regions, truth).argmax(1)[regions]
