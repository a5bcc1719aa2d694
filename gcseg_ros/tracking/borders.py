"""What the boundary network says about pairs of the map's labels, summed over keyframes: what passes between them, near and far.

Masks are cut from these maps view by view; the maps themselves say more, and the sums over many views say it better. Only
generators that have such maps (`masks: learned`) fill this. Memory: one row of 8 numbers per pair that was seen together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.depth import Image
from gcseg_ros.masks.boundary_network import AFFINITY_OFFSETS, AFFINITY_STEP, BoundaryMaps
from gcseg_ros.masks.masks import Labels
from gcseg_ros.state import Saved
from gcseg_ros.tracking.label_pairs import DEPTH_TOLERANCE_M, REACH_PX, Pair, pair_codes, pairs_of

REACHES = tuple(sorted({max(map(abs, offset)) for offset in AFFINITY_OFFSETS}))  # in steps of AFFINITY_STEP pixels
KINDS = 1 + len(REACHES)

Floats = npt.NDArray[np.float64]


class Borders:
    """Sums over the pixels where two labels met.

    row_of  pair (a < b) -> row
    sums    (rows, KINDS, 2) float64: how many pairs of pixels, one in each label, were looked at, and the sum of what the
            network said of them. Kind 0: pixels on both sides of the contact, probability of a boundary in between.
            Kind 1 + i: pixels REACHES[i] steps apart, probability that they belong to one object.
    """

    def __init__(self) -> None:
        self.row_of: dict[Pair, int] = {}
        self._sums = np.zeros((256, KINDS, 2))

    def __len__(self) -> int:
        return len(self.row_of)

    @property
    def sums(self) -> Floats:
        """(rows, KINDS, 2), of which `row_of` tells the rows."""
        return self._sums[: len(self)]

    def add(self, in_map: Labels, maps: BoundaryMaps, depth_m: Image) -> None:
        """One keyframe. in_map, depth_m (h, w): the map's label at each pixel, 0 where it is not to count, and its
        depth, 0 = none."""
        labels = np.where(depth_m > 0, in_map, 0).astype(np.int64)
        self._put(0, *_across_contacts(labels, maps.boundary, depth_m))
        labels = labels[::AFFINITY_STEP, ::AFFINITY_STEP]
        for kind, reach in enumerate(REACHES, 1):
            found = [
                _across(labels, offset, affinity)
                for offset, affinity in zip(AFFINITY_OFFSETS, maps.affinities)
                if max(map(abs, offset)) == reach
            ]
            self._put(kind, np.concatenate([code for code, _ in found]), np.concatenate([said for _, said in found]))

    def forget(self, labels: set[int]) -> None:
        """As if these labels had never been seen."""
        kept = {pair: row for pair, row in self.row_of.items() if pair[0] not in labels and pair[1] not in labels}
        self._keep(self.sums[list(kept.values())])
        self.row_of = {pair: row for row, pair in enumerate(kept)}

    def _keep(self, sums: Floats) -> None:
        self._sums = np.concatenate([sums, np.zeros((max(256 - len(sums), 0), KINDS, 2))])

    def _put(self, kind: int, code: npt.NDArray[np.int64], said: npt.NDArray) -> None:
        codes, index = np.unique(code, return_inverse=True)
        rows = [self.row_of.setdefault((a, b), len(self.row_of)) for a, b in pairs_of(codes).tolist()]
        while len(self.row_of) > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        self._sums[rows, kind, 0] += np.bincount(index, minlength=len(rows))
        self._sums[rows, kind, 1] += np.bincount(index, said, minlength=len(rows))

    def state(self) -> dict[str, Any]:
        """pairs (m, 2) in the order of the rows of sums (m, KINDS, 2)."""
        return {"pairs": np.array(list(self.row_of), np.int64).reshape(-1, 2), "sums": self.sums}

    def restore(self, saved: Saved) -> None:
        """Take over the `state` of others. Raises UserError."""
        pairs = saved.array("pairs", np.int64, (None, 2), 1, saved.objects)
        sums = saved.array("sums", np.float64, (len(pairs), KINDS, 2), 0)
        self.row_of = {(a, b): row for row, (a, b) in enumerate(pairs.tolist())}
        if len(self.row_of) < len(pairs) or (pairs[:, 0] >= pairs[:, 1]).any():
            raise saved.wrong("pairs", "all different, the smaller label first", "others")
        self._keep(sums)


def _across_contacts(labels: npt.NDArray[np.int64], boundary: Image, depth_m: Image) -> tuple[npt.NDArray, npt.NDArray]:
    """Pixels REACH_PX apart at about the same depth: codes of their labels, and the highest boundary from one to the other."""
    codes, said = [], []
    height, width = labels.shape
    for dv, du in ((0, 1), (1, 0)):
        steps = [
            np.s_[k * dv : max(0, height - (REACH_PX - k) * dv), k * du : max(0, width - (REACH_PX - k) * du)]
            for k in range(REACH_PX + 1)
        ]
        a, b = labels[steps[0]], labels[steps[-1]]
        near = np.abs(depth_m[steps[0]] - depth_m[steps[-1]]) < DEPTH_TOLERANCE_M
        met = (a != b) & (a > 0) & (b > 0) & near
        codes.append(pair_codes(a[met], b[met]))
        said.append(np.maximum.reduce([boundary[step][met] for step in steps]))
    return np.concatenate(codes), np.concatenate(said)


def _across(labels: npt.NDArray[np.int64], offset: tuple[int, int], affinity: Image) -> tuple[npt.NDArray, npt.NDArray]:
    """Pixels `offset` apart in different labels: codes of the labels, and what was said of the two."""
    (dv, du), (height, width) = offset, labels.shape
    here = np.s_[max(0, -dv) : max(0, height - max(0, dv)), max(0, -du) : max(0, width - max(0, du))]
    there = np.s_[max(0, dv) : max(0, height - max(0, -dv)), max(0, du) : max(0, width - max(0, -du))]
    a, b = labels[here], labels[there]
    met = (a != b) & (a > 0) & (b > 0)
    return pair_codes(a[met], b[met]), affinity[here][met]
