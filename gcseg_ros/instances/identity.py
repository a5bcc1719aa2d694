"""Ids that stay with their objects while a cloud grows and is labelled anew again and again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from gcseg_ros.clouds.neighbours import cells_of

Cells = npt.NDArray[np.uint64]


class Identities:
    """Gives the instances of each new labelling the ids of the objects that they are.

    An object and an instance are compared where both labellings have surface: what only one of them shows says nothing, so
    an object may grow. They may be the same if they share more than a third of the smaller one; of such pairs those are
    taken, one to one, whose IoUs have the largest sum. So a merger has the id of its largest part, and of what is split
    the largest part keeps the id. An object that is not found is dormant, with the surface that it had last, until it is
    found again: a merger may be undone. Ids count from 1 and are never given twice.

    given  how many ids have been given

    voxel_m       surface is compared in cells of this size
    most_dormant  of more dormant objects, those that have been dormant longest are forgotten
    """

    def __init__(self, voxel_m: float = 0.05, most_dormant: int = 1000) -> None:
        self.given = 0
        self._voxel_m, self._most_dormant = voxel_m, most_dormant
        self._surface: dict[int, Cells] = {}  # by id, in the order of their last sight
        self._shown = np.zeros(0, np.uint64)

    def __len__(self) -> int:
        """Objects that are remembered."""
        return len(self._surface)

    def __call__(self, points: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
        """points (N, 3) finite, metres, in a fixed frame; labels (N,), 0 = none -> (N,) ids, 0 = none."""
        cells = cells_of(points, self._voxel_m)
        shown, column = np.unique(cells, return_inverse=True)
        names, row = np.unique(np.append(labels, 0).clip(0), return_inverse=True)  # names[0] is 0
        row = row[:-1]
        pairs = np.divmod(np.unique((row * len(shown) + column)[row > 0]), max(len(shown), 1))
        instances = csr_array(
            (np.ones(len(pairs[0]), np.int64), (pairs[0] - 1, pairs[1])), shape=(len(names) - 1, len(shown))
        )
        ids = self._matched(instances, shown)
        new = ids == 0
        ids[new] = np.arange(self.given + 1, self.given + 1 + new.sum())
        self.given += int(new.sum())
        for id, start, end in zip(ids.tolist(), instances.indptr, instances.indptr[1:]):
            self._surface.pop(id, None)
            self._surface[id] = shown[instances.indices[start:end]]
        for id in list(self._surface)[: max(0, len(self) - len(ids) - self._most_dormant)]:
            del self._surface[id]
        self._shown = shown
        return np.append(0, ids).astype(np.int32)[row]

    def _matched(self, instances: csr_array, shown: Cells) -> npt.NDArray[np.int64]:
        """The known id of each of I instances, 0 = none. instances (I, C): which of the cells `shown` (C,) they have."""
        ids = np.zeros(instances.shape[0], np.int64)
        if not self._surface or not len(ids):
            return ids
        known = np.array(list(self._surface))
        cells = np.concatenate(list(self._surface.values()))
        row = np.repeat(np.arange(len(known)), [len(surface) for surface in self._surface.values()])
        here = np.isin(cells, shown)
        column = np.searchsorted(shown, cells[here])
        objects = csr_array((np.ones(len(column), np.int64), (row[here], column)), shape=(len(known), len(shown)))
        shared = (objects @ instances.T).toarray()
        seen_before = (np.isin(shown, self._shown) | np.isin(shown, cells)).astype(np.int64)
        size, other = objects.sum(axis=1)[:, None], (instances @ seen_before)[None]
        iou = shared / np.maximum(size + other - shared, 1) * (3 * shared > np.minimum(size, other))
        for o, i in zip(*linear_sum_assignment(iou, maximize=True)):
            if iou[o, i] > 0:
                ids[i] = known[o]
        return ids


def difference(before: Cells, now: Cells) -> float:
    """1 - IoU of two sets of keys, each without repetitions: 0 = equal, 1 = nothing in common or one is empty."""
    shared = len(np.intersect1d(before, now, assume_unique=True))
    return 1 - shared / max(len(before) + len(now) - shared, 1) if len(before) or len(now) else 0.0
