"""The voxel map: a hash of voxels, each with sums of what was seen there and a few label votes.

Bounded: a voxel keeps `SLOTS` labels (Misra-Gries counting: the weakest gives way), so memory follows the surface seen, not
the time spent looking at it. Integrating a frame and looking one up cost the frame's pixels, whatever the map's size.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.config import MapConfig
from gcseg_ros.depth import Image, rotated, sigma, solid, transform
from gcseg_ros.jit import njit
from gcseg_ros.masks.masks import Labels
from gcseg_ros.state import Saved
from gcseg_ros.views import View

WEIGHT, POINT, NORMAL, LAB, SUMS = 0, 1, 4, 7, 10  # where they begin in the sums of a voxel, and how many there are
SLOTS = 4  # labels of a voxel
LEAST_VOXELS = 10  # fewer that one label leads are no piece of an object
VOTE_NOISE_M = 0.005  # depth noise at which a vote has half its weight
FIRST_CAPACITY, ROWS_PER_FRAME = 1 << 18, 1 << 17  # slots of the hash; rows for new voxels beyond half of these
EXTENT = 1 << 20  # voxels either side of the origin
FULLEST = 0.8  # share of the hash's slots that are ever taken: looking for one takes the longer, the fewer are free
WELL_KNOWN = 1 << 16  # weight from which on a voxel's sums stay: float32 would soon round away what is added


class VoxelMap:
    """Voxels in the world frame.

    Per voxel: weighted sums of points (from the voxel's corner, so that float32 is as good far from the origin), normals and Lab
    colours; the `SLOTS` labels with the most votes, best first.

    reach_m  how far from the origin, along an axis, there can be voxels
    """

    def __init__(self, config: MapConfig) -> None:
        self.voxel_m = config.voxel_m
        self.mask_edges_vote = config.mask_edges_vote
        self.reach_m = EXTENT * config.voxel_m
        self.count = 0
        self._allocate(FIRST_CAPACITY)

    def __len__(self) -> int:
        return self.count

    def _allocate(self, capacity: int) -> None:
        rows = capacity // 2 + ROWS_PER_FRAME
        self.keys = np.full(capacity, -1, np.int64)
        self.row_of = np.zeros(capacity, np.int32)
        self.sums = np.zeros((rows, SUMS), np.float32)
        self.labels = np.zeros((rows, SLOTS), np.int32)
        self.votes = np.zeros((rows, SLOTS), np.float32)

    def _grow(self) -> None:
        keys, row_of, sums, labels, votes = self.keys, self.row_of, self.sums, self.labels, self.votes
        self._allocate(2 * len(keys))
        _rehash(keys, row_of, self.keys, self.row_of)
        n = self.count
        self.sums[:n], self.labels[:n], self.votes[:n] = sums[:n], labels[:n], votes[:n]

    def integrate(self, view: View, labels: Labels) -> int:
        """Lift a view (Eq. 3-5, 11) and add its votes; a vote's weight falls with the variance of the depth noise. ->
        how many points are left out, because voxels do not reach them.

        The measured depth is lifted, not the filtered one, and without the pixels beside depth discontinuities.
        """
        most = self.count + view.measured_m.size  # where every pixel is a new voxel
        while most > min(len(self.sums), FULLEST * len(self.keys)):
            self._grow()
        self.count, outside = _integrate(
            self.keys, self.row_of, self.count, self.sums, self.labels, self.votes, solid(view.measured_m),
            view.normals, view.lab, labels if self.mask_edges_vote else _without_edges(labels), view.pose,
            view.intrinsics.pinhole, self.voxel_m,
        )  # fmt: skip
        if self.count > len(self.keys) // 2:
            self._grow()
        return int(outside)

    def look_up(self, depth_m: Image, view: View) -> Labels:
        """The map's label at each pixel's 3D point, (h, w) int32, 0 = none: its points projected with a depth test."""
        return _look_up(
            self.keys, self.row_of, self.labels, depth_m, view.pose, view.intrinsics.pinhole, 1 / self.voxel_m
        )

    def known(self, view: View, first: int) -> npt.NDArray[np.bool_]:
        """Whether each pixel's measured point (h, w) is in one of the `first` voxels, in the order in which they were
        first seen."""
        camera = view.intrinsics.pinhole
        known = _known(self.keys, self.row_of, first, view.measured_m, view.pose, camera, 1 / self.voxel_m)
        return np.asarray(known)

    def led(self, most: int) -> npt.NDArray[np.int64]:
        """(most + 1,) how many voxels each label from 0 to `most` has the most votes of."""
        return np.bincount(self.labels[: self.count, 0], minlength=most + 1)

    def forget(self, labels: set[int], most: int) -> None:
        """Without the votes for these labels, which are `most` at most: what comes after them in a voxel moves up."""
        gone = np.zeros(most + 1, np.bool_)
        gone[list(labels)] = True
        rows = np.flatnonzero(gone[self.labels[: self.count]].any(axis=1))
        voted, votes = self.labels[rows], self.votes[rows]
        votes[gone[voted]] = 0
        voted[gone[voted]] = 0
        order = np.argsort(voted == 0, axis=1, kind="stable")
        self.labels[rows] = np.take_along_axis(voted, order, axis=1)
        self.votes[rows] = np.take_along_axis(votes, order, axis=1)

    def state(self) -> dict[str, Any]:
        """The voxels in the order in which they were first seen."""
        n = self.count
        return {"key": self._key_of_row(), "sums": self.sums[:n], "labels": self.labels[:n], "votes": self.votes[:n]}

    def _key_of_row(self) -> npt.NDArray[np.int64]:
        used = self.keys >= 0
        key = np.empty(self.count, np.int64)
        key[self.row_of[used]] = self.keys[used]
        return key

    def restore(self, saved: Saved) -> None:
        """Take over the `state` of a map of the same voxel size. Raises UserError."""
        key = saved.array("key", np.int64, (None,), 0)
        n = len(key)
        sums = saved.array("sums", np.float32, (n, SUMS))
        labels = saved.array("labels", np.int32, (n, SLOTS), 0, saved.objects)
        votes = saved.array("votes", np.float32, (n, SLOTS), 0)
        if n and sums[:, WEIGHT].min() <= 0:
            raise saved.wrong("sums", "sums over points with a weight", "a voxel without")
        capacity = FIRST_CAPACITY
        while n > capacity // 2:
            capacity *= 2
        self._allocate(capacity)
        _rehash(key, np.arange(n, dtype=np.int32), self.keys, self.row_of)
        if np.count_nonzero(self.keys >= 0) < n:
            raise saved.wrong("key", "one key a voxel", "a key twice")
        self.count = n
        self.sums[:n], self.labels[:n], self.votes[:n] = sums, labels, votes

    def surface(self) -> Surface:
        """Copies of the voxels' contents."""
        n = self.count
        corners = np.column_stack(corner(self._key_of_row(), self.voxel_m))
        return Surface(self.sums[:n], self.labels[:n], self.votes[:n], self.voxel_m, corners)


class Surface:
    """Arrays over the n voxels: points (n, 3) m world, normals (n, 3), lab (n, 3), weight (n,), label (n,), share (n,) 0..1.

    voxel_m  edge of a voxel
    corners  (n, 3) m, what the sums of points are relative to
    """

    def __init__(
        self,
        sums: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int32],
        votes: npt.NDArray[np.float32],
        voxel_m: float,
        corners: npt.NDArray[np.float64] | float = 0.0,
    ) -> None:
        self.voxel_m = voxel_m
        self.weight = sums[:, WEIGHT].copy()
        w, normals = self.weight[:, None], sums[:, NORMAL:LAB]
        self.points = (corners + sums[:, POINT:NORMAL] / w).astype(np.float32)
        self.normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        self.lab = sums[:, LAB:] / w
        self.label = labels[:, 0].astype(np.int64)
        self.share = votes[:, 0] / np.maximum(votes.sum(axis=1), 1e-9)

    def turned(self, rotation: npt.NDArray[np.float64]) -> Surface:
        """The same in a world that is turned (3, 3)."""
        turned = copy(self)
        turned.points = (self.points @ rotation.T).astype(np.float32)
        turned.normals = (self.normals @ rotation.T).astype(np.float32)
        return turned

    @cached_property
    def colours(self) -> npt.NDArray[np.uint8]:
        """(n, 3) RGB."""
        lab = self.lab * np.array([255 / 100, 1, 1], np.float32) + np.array([0, 128, 128], np.float32)
        lab8 = np.clip(lab, 0, 255).astype(np.uint8)
        rgb = cv2.cvtColor(lab8[None], cv2.COLOR_LAB2RGB)[0] if len(lab8) else lab8  # OpenCV refuses nothing
        return np.asarray(rgb, np.uint8)


@njit
def _without_edges(labels):
    """The label image without pixels that have another label beside them."""
    h, w = labels.shape
    out = labels.copy()
    for v in range(h):
        for u in range(w):
            for k in range(4):
                j, i = v + (k == 0) - (k == 1), u + (k == 2) - (k == 3)
                if 0 <= j < h and 0 <= i < w and labels[j, i] != labels[v, u] and labels[j, i] != 0:
                    out[v, u] = 0
    return out


@njit
def _key(x, y, z, inverse):
    """21 bits an axis; -1 outside of the map's extent."""
    i, j, k = np.int64(np.floor(x * inverse)), np.int64(np.floor(y * inverse)), np.int64(np.floor(z * inverse))
    if max(abs(i), abs(j), abs(k)) >= EXTENT:
        return np.int64(-1)
    return ((i + EXTENT) << 42) | ((j + EXTENT) << 21) | (k + EXTENT)


@njit
def corner(key, voxel_m):
    """The corner of a voxel with the lowest coordinates."""
    lowest = (1 << 21) - 1
    x, y, z = (key >> 42) - EXTENT, (key >> 21 & lowest) - EXTENT, (key & lowest) - EXTENT
    return x * voxel_m, y * voxel_m, z * voxel_m


@njit
def _find(keys, key):
    """Slot of the key, or the free one where it belongs (open addressing)."""
    mask = len(keys) - 1
    slot = (key ^ (key >> 21) * 73856093 ^ (key >> 42) * 19349663) & mask
    while keys[slot] != -1 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit
def locate(keys, point, inverse):
    """A point's voxel: its key (-1 outside of the map's extent) and the slot where it is or belongs."""
    key = _key(point[0], point[1], point[2], inverse)
    return key, _find(keys, key) if key >= 0 else np.int64(-1)


@njit
def _row_at(keys, row_of, point, inverse):
    """The row of a point's voxel; -1 where there is none."""
    key, slot = locate(keys, point, inverse)
    return row_of[slot] if key >= 0 and keys[slot] == key else np.int32(-1)


@njit
def _rehash(keys, row_of, new_keys, new_row_of):
    for i in range(len(keys)):
        if keys[i] != -1:
            slot = _find(new_keys, keys[i])
            new_keys[slot], new_row_of[slot] = keys[i], row_of[i]


@njit
def _look_up(keys, row_of, labels, depth, pose, camera, inverse):
    h, w = depth.shape
    out = np.zeros((h, w), np.int32)
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if z <= 0:
                continue
            row = _row_at(keys, row_of, transform(pose, u, v, z, camera), inverse)
            if row >= 0:
                out[v, u] = labels[row, 0]
    return out


@njit
def _known(keys, row_of, first, depth, pose, camera, inverse):
    h, w = depth.shape
    out = np.zeros((h, w), np.bool_)
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if z > 0:
                out[v, u] = 0 <= _row_at(keys, row_of, transform(pose, u, v, z, camera), inverse) < first
    return out


@njit
def _integrate(keys, row_of, count, sums, labels, votes, depth, normals, lab, frame_labels, pose, camera, voxel_m):
    """The map's voxels are now `count`; that, and how many points lie outside of its extent."""
    h, w = depth.shape
    outside = 0
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if z <= 0:
                continue
            point = transform(pose, u, v, z, camera)
            key, slot = locate(keys, point, 1 / voxel_m)
            if key < 0:
                outside += 1
                continue
            if keys[slot] != key:
                keys[slot], row_of[slot] = key, count
                count += 1
            row = row_of[slot]
            normal = rotated(pose, normals[v, u])
            s = sums[row]
            weight = np.float32(1 / (1 + (sigma(z) / VOTE_NOISE_M) ** 2))
            if s[WEIGHT] < WELL_KNOWN:
                s[WEIGHT] += weight
                origin = corner(key, voxel_m)
                for t in range(3):
                    s[POINT + t] += weight * (point[t] - origin[t])
                    s[NORMAL + t] += weight * normal[t]
                    s[LAB + t] += weight * lab[v, u, t]
            if frame_labels[v, u] > 0:
                _vote(labels[row], votes[row], frame_labels[v, u], weight)
    return count, outside


@njit
def _vote(labels, votes, label, weight):
    """One vote; the slots stay sorted by votes."""
    i = 0
    while i < SLOTS and labels[i] != label and labels[i] != 0:
        i += 1
    if i == SLOTS:
        i = SLOTS - 1
        votes[i] -= weight
        if votes[i] <= 0:
            labels[i], votes[i] = label, weight
    else:
        labels[i] = label
        votes[i] += weight
    while i > 0 and votes[i] > votes[i - 1]:
        labels[i], labels[i - 1] = labels[i - 1], labels[i]
        votes[i], votes[i - 1] = votes[i - 1], votes[i]
        i -= 1
