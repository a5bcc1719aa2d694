"""What the masks of a segmentation network's queries say of pieces of a scene: which belong together, and how well objects fit.

Many queries learn every object, so their masks are votes. A piece keeps how much of its area each mask covers; these
are sums, so what is known of two joined pieces follows from the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gcseg_ros.jit import njit
from gcseg_ros.joining.agglomeration import Floats, Ids

LEAST_VOTE, MOST_VOTES = 0.1, 30
"""Pieces that do not touch are a pair where the masks put them together this much; of each piece the best so many."""

PAIR_NAMES = """together together_smaller together_larger loosely_smaller loosely_larger alike strongest dividing
fit_joined fit_smaller fit_larger sure_smaller sure_larger"""
OBJECT_NAMES = "fit fit_mean sure"


@dataclass(frozen=True)
class QueryMasks:
    """objectness (q,) of the queries; sizes (q,) of their masks: the area that they cover, by probability."""

    PAIR_NAMES: ClassVar[tuple[str, ...]] = tuple(PAIR_NAMES.split())
    OBJECT_NAMES: ClassVar[tuple[str, ...]] = tuple(OBJECT_NAMES.split())

    objectness: Floats
    sizes: Floats

    def pair_features(self, areas: tuple[Floats, Floats], inside: tuple[Floats, Floats]) -> list[Floats]:
        """Of m pairs, in the order of PAIR_NAMES: what those masks that cover one say of the other, sharply and loosely; the
        masks that fit best, both and each.

        areas (m,) of the first, the second piece; inside (m, q): how much of it each mask covers
        """
        return list(_pair_features(*areas, *inside, self.objectness, self.sizes).T)

    def object_features(self, area: Floats, inside: Floats) -> list[Floats]:
        """Of k objects, in the order of OBJECT_NAMES. area (k,), inside (k, q)."""
        of, fits = inside / area[:, None], self._fits(inside, area[:, None])
        return [fits.max(1, initial=0), _mean(of, fits), _mean(sharpened(of), self.objectness)]

    def _fits(self, inside: Floats, area: Floats) -> Floats:
        """(m, q) objectness times IoU of masks with pieces, by what is inside (m, q) of their area (m, 1)."""
        return np.asarray(self.objectness * inside / np.maximum(self.sizes + area - inside, 1e-9))


def together_of(objectness: Floats, coverage: Floats) -> Floats:
    """(p, p) what the queries that cover one piece say of another, averaged: the probability that it belongs to the same object.

    objectness (q,); coverage (q, p) mean probability of each mask over each piece
    """
    weight = sharpened(coverage) * objectness[:, None]
    together = weight.T @ coverage / np.maximum(weight.sum(0)[:, None], 1e-9)
    return np.asarray((together + together.T) / 2)


def voted_pairs(objectness: Floats, coverage: Floats) -> Ids:
    """(m, 2) pairs of pieces, the smaller index first, that the masks put together. As `together_of`."""
    together = together_of(objectness, coverage)
    if not len(together):
        return np.zeros((0, 2), np.int64)
    np.fill_diagonal(together, 0)
    most = min(MOST_VOTES, len(together))
    best = np.argpartition(-together, most - 1, axis=1)[:, :most]
    one, other = np.repeat(np.arange(len(together)), most), best.ravel()
    likely = together[one, other] >= LEAST_VOTE
    return np.unique(np.sort(np.stack([one[likely], other[likely]], axis=1), axis=1), axis=0)


def sharpened(coverage: Floats) -> Floats:
    """How much masks say of what they cover: what they cover well counts most."""
    return np.asarray(np.square(np.square(np.square(coverage))))


def _mean(weights: Floats, values: Floats) -> Floats:
    """(m,) of each row."""
    return np.asarray((weights * values).sum(1) / np.maximum(weights.sum(1), 1e-9))


@njit
def _pair_features(area_a, area_b, inside_a, inside_b, objectness, sizes):
    out = np.zeros((len(area_a), 13))
    for i in range(len(area_a)):
        sharp_a, sharp_b, loose_a, loose_b = 0.0, 0.0, 0.0, 0.0  # sums of weights: coverage to the 8th, to the square
        sure_a, sure_b, said_a, said_b = 0.0, 0.0, 0.0, 0.0  # and what they are weights of
        loosely_a, loosely_b = 0.0, 0.0
        both = 0.0
        strongest, dividing, fit, fit_a, fit_b = 0.0, 0.0, 0.0, 0.0, 0.0
        for q in range(len(objectness)):
            o, in_a, in_b = objectness[q], inside_a[i, q], inside_b[i, q]
            a, b = in_a / area_a[i], in_b / area_b[i]
            aa, bb = a * a, b * b
            a8, b8 = (aa * aa) * (aa * aa), (bb * bb) * (bb * bb)
            sharp_a, sharp_b, sure_a, sure_b = sharp_a + a8, sharp_b + b8, sure_a + a8 * o, sure_b + b8 * o
            said_a, said_b = said_a + a8 * o * b, said_b + b8 * o * a
            loose_a, loose_b, both = loose_a + aa * o, loose_b + bb * o, both + a * b * o
            loosely_a, loosely_b = loosely_a + aa * o * b, loosely_b + bb * o * a
            strongest, dividing = max(strongest, o * min(a, b)), max(dividing, o * abs(a - b))
            fit = max(fit, o * (in_a + in_b) / max(sizes[q] + area_a[i] + area_b[i] - in_a - in_b, 1e-9))
            fit_a = max(fit_a, o * in_a / max(sizes[q] + area_a[i] - in_a, 1e-9))
            fit_b = max(fit_b, o * in_b / max(sizes[q] + area_b[i] - in_b, 1e-9))
        together_a, together_b = said_a / max(sure_a, 1e-9), said_b / max(sure_b, 1e-9)
        out[i, 0], out[i, 1], out[i, 2] = (together_a + together_b) / 2, together_a, together_b
        out[i, 3], out[i, 4] = loosely_a / max(loose_a, 1e-9), loosely_b / max(loose_b, 1e-9)
        out[i, 5] = both / np.sqrt(max(loose_a * loose_b, 1e-12))
        out[i, 6], out[i, 7], out[i, 8], out[i, 9], out[i, 10] = strongest, dividing, fit, fit_a, fit_b
        out[i, 11], out[i, 12] = sure_a / max(sharp_a, 1e-9), sure_b / max(sharp_b, 1e-9)
    return out
