"""`Masks`: binary masks with their scores, kept in parallel arrays, and the pixel counts that all matching starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.jit import njit

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Masks:
    """Masks that may overlap.

    binary  (N, H, W) bool
    score   (N,) float32, higher is better
    fine    (N,) bool: a part or a subpart, or (SAM, `scales: together`) found on the full image (fine, Eq. 1) rather
            than on crops

    >>> masks = Masks(np.ones((1, 2, 2), bool), np.ones(1, np.float32), np.zeros(1, bool))
    >>> len(masks), masks.area.tolist()
    (1, [4])
    """

    binary: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float32]
    fine: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.binary.ndim != 3 or self.binary.dtype != np.bool_:
            raise ValueError(f"binary must be (N, H, W) bool, not {self.binary.shape} {self.binary.dtype}")
        for name in ("score", "fine"):
            if getattr(self, name).shape != (len(self.binary),):
                raise ValueError(
                    f"{name} must have one value a mask: {len(self.binary)}, not {getattr(self, name).shape}"
                )

    def __len__(self) -> int:
        return len(self.binary)

    @property
    def area(self) -> npt.NDArray[np.int64]:
        """Pixels of each mask, (N,)."""
        return np.count_nonzero(self._flat(), axis=1)

    def filter(self, keep: npt.NDArray) -> Masks:
        """Those that a boolean or index array picks."""
        return Masks(self.binary[keep], self.score[keep], self.fine[keep])

    @classmethod
    def cat(cls, parts: Sequence[Masks]) -> Masks:
        """All masks of `parts`, in order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("binary", "score", "fine")))

    @classmethod
    def from_labels(cls, labels: Labels) -> Masks:
        """One mask per id of a label image, in order of id, score 1."""
        ids = np.unique(labels[labels > 0])
        binary = labels[None] == ids[:, None, None]
        return cls(binary, np.ones(len(ids), np.float32), np.zeros(len(ids), bool))

    def to_labels(self) -> Labels:
        """Label image, ids 1..N by position; where masks overlap the smaller one is on top, then the better score."""
        labels = np.zeros(self.binary.shape[1:], np.int32)
        for i in np.lexsort((self.score, -self.area)):
            labels[self.binary[i]] = i + 1
        return labels

    def intersections(self, other: Masks) -> npt.NDArray[np.int64]:
        """Pixels in common, (N, M): one bit a pixel, counted only where both masks can have some."""
        return _common_bits(self._words(), other._words())

    def _flat(self) -> npt.NDArray[np.bool_]:
        count, height, width = self.binary.shape
        return self.binary.reshape(count, height * width)

    def _words(self) -> npt.NDArray[np.uint64]:
        """One bit a pixel, (N, words)."""
        packed = np.packbits(self._flat(), axis=1)
        padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
        return padded.view(np.uint64).reshape(len(self), padded.shape[1] // 8)


def overlaps(a: Labels, b: Labels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ids of label image `a` (n,), ids of `b` (m,), both sorted and with 0 if present, and common pixels (n, m)."""
    ids_a, index_a = _compact(a)
    ids_b, index_b = _compact(b)
    counts = np.bincount(index_a * len(ids_b) + index_b, minlength=len(ids_a) * len(ids_b))
    return ids_a, ids_b, counts.reshape(len(ids_a), len(ids_b))


def _compact(labels: Labels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    present = np.zeros(int(labels.max(initial=0)) + 1, bool)
    present[labels.ravel()] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[labels.ravel()]


@njit
def _common_bits(a, b):
    """Set bits in common of every row of `a` with every row of `b`."""
    from_a, to_a = _spans(a)
    from_b, to_b = _spans(b)
    out = np.zeros((len(a), len(b)), np.int64)
    for i in range(len(a)):
        for j in range(len(b)):
            count = np.uint64(0)
            for k in range(max(from_a[i], from_b[j]), min(to_a[i], to_b[j])):
                x = a[i, k] & b[j, k]
                x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
                x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
                x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
                count += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
            out[i, j] = count
    return out


@njit
def _spans(words):
    """First and past-the-last nonzero word of every row."""
    first, last = np.zeros(len(words), np.int64), np.zeros(len(words), np.int64)
    for i in range(len(words)):
        k = 0
        while k < words.shape[1] and words[i, k] == 0:
            k += 1
        first[i] = k
        k = words.shape[1]
        while k > first[i] and words[i, k - 1] == 0:
            k -= 1
        last[i] = k
    return first, last
