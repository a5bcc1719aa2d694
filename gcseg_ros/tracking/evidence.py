"""Granularity by accumulated evidence: how often do masks join two touching labels of the map?

Which masks a view is cut into changes from frame to frame; whether two touching pieces are one object does not. So pieces
are tracked, every keyframe votes on each pair of touching pieces at every level of granularity, and pairs are joined by the
share of votes. Works with any mask generator. Memory: one record per touching pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.depth import Image
from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS, APPEARANCE_PIXELS
from gcseg_ros.masks.masks import Labels, overlaps
from gcseg_ros.masks.proposals import Proposals
from gcseg_ros.state import Saved
from gcseg_ros.tracking.label_pairs import Pair, touching
from gcseg_ros.tracking.linkage import Groups, add_vote, average_linkage

MIN_CONTACT_PX = 6  # at which two labels touch in a view, or it says nothing of the two
MIN_SIZE_PX = 15  # of a label in the view's masks, or it says nothing of the label
DOUBT = 3.0  # the weight of a prior "no"
TINY = 1e-300  # the least weight of a vote

Floats = npt.NDArray[np.float64]


class Evidence:
    """Votes of the keyframes.

    weight, same       per pair of labels (a < b): the weight of the votes, and of those that say "same object"
    seen, structural   per label: the weight of the views, and of those that say "part of the room itself"
    appearance         per label: (1 + APPEARANCE_CHANNELS,) the weight of the views, and the sum of its mean appearance
                       in each times that
    """

    def __init__(self) -> None:
        self.weight: dict[Pair, float] = {}
        self.same: dict[Pair, float] = {}
        self.seen: dict[int, float] = {}
        self.structural: dict[int, float] = {}
        self.appearance: dict[int, Floats] = {}

    def __len__(self) -> int:
        return len(self.weight)

    def put(self, pair: Pair, same: float, weight: float) -> None:
        """One vote on a pair: `same` 0..1, 1 = the same object."""
        add_vote(self.weight, self.same, pair, same, weight)

    def add(self, in_map: Labels, proposals: Proposals, depth_m: Image) -> None:
        """One keyframe. in_map, depth_m (h, w): the map's label at each pixel and its depth, 0 = none.

        The vote of a level is the cosine between the two labels' distributions over its masks: 1 = all in one mask.
        """
        levels = proposals.levels
        valid = (in_map > 0) & (depth_m > 0) & (levels[0] > 0)
        masked = np.where(valid, in_map, 0)
        if proposals.maps is not None:
            self._add_structure(masked, proposals.maps.structure)
            if proposals.maps.appearance is not None:
                self._add_appearance(masked, proposals.maps.appearance)
        pairs, contact = touching(masked, depth_m)
        pairs = pairs[contact >= MIN_CONTACT_PX]
        if not len(pairs):
            return
        for level in levels:
            ids, mask_ids, common = overlaps(masked, np.where(valid, level, 0))
            counts = common[:, mask_ids > 0].astype(float)
            unit = counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)
            rows = np.searchsorted(ids, pairs)
            same = np.einsum("ij,ij->i", unit[rows[:, 0]], unit[rows[:, 1]])
            size = np.minimum(*counts.sum(axis=1)[rows.T])
            for k in np.flatnonzero(size >= MIN_SIZE_PX):
                self.put((int(pairs[k, 0]), int(pairs[k, 1])), float(same[k]), float(size[k]) ** 0.5)

    def forget(self, labels: set[int]) -> None:
        """As if these labels had never been seen."""
        for of_pair in (self.weight, self.same):
            for pair in [pair for pair in of_pair if pair[0] in labels or pair[1] in labels]:
                del of_pair[pair]
        for of_label in (self.seen, self.structural, self.appearance):
            for label in labels & of_label.keys():
                del of_label[label]

    def _add_structure(self, masked: Labels, structure: Image) -> None:
        pixels = np.bincount(masked.ravel())
        said = np.bincount(masked.ravel(), structure.ravel())
        for label in (np.flatnonzero(pixels[1:] >= MIN_SIZE_PX) + 1).tolist():
            weight = float(pixels[label]) ** 0.5
            self.seen[label] = self.seen.get(label, 0.0) + weight
            self.structural[label] = self.structural.get(label, 0.0) + weight * float(said[label] / pixels[label])

    def _add_appearance(self, masked: Labels, appearance: Image) -> None:
        label = masked[APPEARANCE_PIXELS]
        known = label > 0
        labels, at, pixels = np.unique(label[known], return_inverse=True, return_counts=True)
        channels = appearance[:, : label.shape[0], : label.shape[1]][:, known]
        sums = np.array([pixels, *(np.bincount(at, channel, len(labels)) for channel in channels)])
        for of, row in zip(labels.tolist(), (sums / np.sqrt(pixels)).T):
            self.appearance[of] = self.appearance[of] + row if of in self.appearance else row

    def state(self) -> dict[str, Any]:
        """Pairs (m, 2) with their `weight` and `same`; labels (k,) with `seen` and `structural`;
        `described` labels (j,) with `looks`, their appearance. The order matters to ties."""
        return {
            "pairs": np.array(list(self.weight), np.int64).reshape(-1, 2),
            "weight": np.array(list(self.weight.values())),
            "same": np.array(list(self.same.values())),
            "labels": np.array(list(self.seen), np.int64),
            "seen": np.array(list(self.seen.values())),
            "structural": np.array(list(self.structural.values())),
            "described": np.array(list(self.appearance), np.int64),
            "looks": np.array(list(self.appearance.values())).reshape(-1, 1 + APPEARANCE_CHANNELS),
        }

    def restore(self, saved: Saved) -> None:
        """Take over the `state` of other evidence. Raises UserError."""
        pairs = saved.array("pairs", np.int64, (None, 2), 1, saved.objects)
        labels = saved.array("labels", np.int64, (None,), 1, saved.objects).tolist()
        described = saved.array("described", np.int64, (None,), 1, saved.objects).tolist()
        looks = saved.array("looks", np.float64, (len(described), 1 + APPEARANCE_CHANNELS))
        keys = [(a, b) for a, b in pairs.tolist()]
        if len({*keys}) < len(keys) or len({*labels}) < len(labels) or (pairs[:, 0] >= pairs[:, 1]).any():
            raise saved.wrong("pairs and labels", "all different, pairs with the smaller label first", "others")
        if len({*described}) < len(described) or (looks[:, 0] < TINY).any():
            raise saved.wrong("described and looks", "different labels, weights above 0", "others")
        self.weight = dict(zip(keys, saved.array("weight", np.float64, (len(keys),), TINY).tolist()))
        self.same = dict(zip(keys, saved.array("same", np.float64, (len(keys),), 0).tolist()))
        self.seen = dict(zip(labels, saved.array("seen", np.float64, (len(labels),), 0).tolist()))
        self.structural = dict(zip(labels, saved.array("structural", np.float64, (len(labels),), 0).tolist()))
        self.appearance = dict(zip(described, looks))

    def structure(self, label: int) -> float:
        """0 = a thing, 1 = part of the room itself, 0.5 = nobody knows."""
        return (self.structural.get(label, 0.0) + 0.5 * DOUBT) / (self.seen.get(label, 0.0) + DOUBT)

    def join(
        self,
        threshold: float,
        alike: Callable[[int, int], float] = lambda a, b: 1.0,
        allowed: Callable[[int, int], bool] = lambda a, b: True,
        extra: Iterable[tuple[Pair, float, float]] = (),
    ) -> Groups:
        """Average-linkage joining of allowed pairs while their share of "same" votes exceeds `threshold`.

        A vote of "same" counts the less, the more the two differ in being part of the room, and the less `alike` 0..1
        they are otherwise. extra: further votes (pair, same, weight).
        """
        weights: dict[Pair, float] = {}
        same: dict[Pair, float] = {}
        for pair, weight in self.weight.items():
            if allowed(*pair):
                part = 1 - abs(self.structure(pair[0]) - self.structure(pair[1])) if self.seen else 1.0
                weights[pair], same[pair] = weight, self.same[pair] * part * alike(*pair)
        for pair, share, weight in extra:
            if allowed(*pair):
                add_vote(weights, same, pair, share, weight)
        return average_linkage(weights, same, threshold, DOUBT)
