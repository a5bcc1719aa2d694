"""Average linkage: labels joined into groups by the votes on pairs of them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from gcseg_ros.tracking.label_pairs import Pair


@dataclass(frozen=True)
class Groups:
    """Labels joined into groups; a group goes by its lowest label.

    nearest  group -> the highest share of "same" votes with a neighbour that stayed apart
    """

    root: dict[int, int]
    nearest: dict[int, float]

    def of(self, label: int) -> int:
        """The group that a label is in."""
        while label in self.root:
            label = self.root[label]
        return label


def add_vote(weights: dict[Pair, float], same: dict[Pair, float], pair: Pair, share: float, weight: float) -> None:
    """One vote more on a pair, of which this `share` says "same"."""
    weights[pair] = weights.get(pair, 0.0) + weight
    same[pair] = same.get(pair, 0.0) + weight * share


def average_linkage(weights: dict[Pair, float], same: dict[Pair, float], threshold: float, doubt: float) -> Groups:
    """Join the pair with the highest share of "same" votes, add up the votes on either with each neighbour, and so on
    while the share exceeds `threshold`.

    weights, same  of pairs (a < b): the weight of the votes, and of those that say "same"; they are used up
    doubt          the weight of a prior "no" on each pair
    """
    near: dict[int, set[int]] = {}
    for a, b in weights:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    root: dict[int, int] = {}
    share = {pair: same[pair] / (weights[pair] + doubt) for pair in weights}
    heap = [(-value, pair) for pair, value in share.items()]
    heapq.heapify(heap)
    while heap:
        negative, (a, b) = heapq.heappop(heap)
        if -negative < threshold:
            break
        if share.get((a, b)) != -negative:
            continue  # joined or changed since
        root[b] = a
        for c in near.pop(b):
            pair = min(b, c), max(b, c)
            says_same, weight = same.pop(pair), weights.pop(pair)
            del share[pair]
            near[c].discard(b)
            if c == a:
                continue
            pair = min(a, c), max(a, c)
            add_vote(weights, same, pair, says_same / weight, weight)
            near[a].add(c)
            near[c].add(a)
            share[pair] = same[pair] / (weights[pair] + doubt)
            heapq.heappush(heap, (-share[pair], pair))
    nearest: dict[int, float] = {}
    for pair, value in share.items():
        for label in pair:
            nearest[label] = max(nearest.get(label, 0.0), value)
    return Groups(root, nearest)
