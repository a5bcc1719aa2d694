"""`Masks`: binary masks with their scores, kept in parallel arrays, and the pixel counts that all matching starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Masks:
    """Masks that may overlap.

    binary  (N, H, W) bool
    score   (N,) float32, higher is better
    fine    (N,) bool: found on the full image (fine, Eq. 1) rather than on crops at a larger scale

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
        """Pixels in common, (N, M), from the masks' sparse rows rather than from N x M images."""
        return (self._sparse() @ other._sparse().T).toarray()

    def _flat(self) -> npt.NDArray[np.bool_]:
        count, height, width = self.binary.shape
        return self.binary.reshape(count, height * width)

    def _sparse(self) -> csr_matrix:
        flat = self._flat()
        columns = np.flatnonzero(flat) % max(flat.shape[1], 1)
        return csr_matrix((np.ones(len(columns), np.int64), columns, np.r_[0, np.cumsum(self.area)]), shape=flat.shape)


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
