"""What the masks of a segmentation network's queries say of pieces of a scene: which belong together, and how well objects fit.

Many queries learn every object, so their masks are votes. A piece keeps how much of its area each mask covers; these are sums, so what
is known of two joined pieces follows from the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gcseg_ros.agglomeration import Floats, Ids

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
        (area_a, area_b), (inside_a, inside_b) = (areas[0][:, None], areas[1][:, None]), inside
        of_a, of_b = inside_a / area_a, inside_b / area_b
        sharp_a, sharp_b, loose_a, loose_b = sharpened(of_a), sharpened(of_b), of_a * of_a, of_b * of_b
        objectness = self.objectness
        together_a, together_b = _mean(sharp_a * objectness, of_b), _mean(sharp_b * objectness, of_a)
        both = of_a * of_b
        return [
            (together_a + together_b) / 2,
            together_a,
            together_b,
            _mean(loose_a * objectness, of_b),
            _mean(loose_b * objectness, of_a),
            both @ objectness / np.sqrt(np.maximum((loose_a @ objectness) * (loose_b @ objectness), 1e-12)),
            (objectness * np.minimum(of_a, of_b)).max(1, initial=0),
            (objectness * np.abs(of_a - of_b)).max(1, initial=0),
            self._fits(inside_a + inside_b, area_a + area_b).max(1, initial=0),
            self._fits(inside_a, area_a).max(1, initial=0),
            self._fits(inside_b, area_b).max(1, initial=0),
            _mean(sharp_a, objectness),
            _mean(sharp_b, objectness),
        ]

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
