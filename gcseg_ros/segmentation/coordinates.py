"""Voxel coordinates: Morton keys, and the levels of a sparse tensor (one set of voxels for each stride).

Voxels are kept in Morton order (Morton, 1966): the bits of x, y and z are interleaved, x lowest, the batch index above
them. Then the voxel's parent at twice the stride is `key >> 3`, its place among the parent's eight children `key & 7`,
coarser levels need no sorting, and neighbours in space are near in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gcseg_ros.errors import UserError

if TYPE_CHECKING:
    from gcseg_ros.segmentation.backends import Backend

AXIS_BITS = 19
BATCH_BITS = 63 - 3 * AXIS_BITS
"""Bits of a key, an int64: the scene above the three interleaved axes."""
X_BITS = sum(1 << 3 * i for i in range(AXIS_BITS))
AXES = X_BITS, X_BITS << 1, X_BITS << 2
"""The bits of a key that belong to x, y and z."""

ALIGNMENT = 1024
"""Keys count from a corner at a multiple of this, so that coarse grids lie as MinkowskiEngine's (multiples of the stride)."""
LARGEST_EXTENT = 2**AXIS_BITS - 3 * ALIGNMENT
"""Voxels along an axis. The rest stays empty, so that stepping to a neighbour never runs over the edge."""

SPREADING = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, X_BITS),
)


def spread(values: Tensor) -> Tensor:
    """Bit i of each of the int64 values moves to bit 3 i."""
    for shift, mask in SPREADING:
        values = (values | (values << shift)) & mask
    return values


def compact(keys: Tensor) -> Tensor:
    """The inverse of `spread`; other bits are dropped."""
    keys = keys & X_BITS
    for (shift, _), mask in zip(
        reversed(SPREADING), [*(mask for _, mask in reversed(SPREADING[:-1])), 2**AXIS_BITS - 1]
    ):
        keys = (keys | (keys >> shift)) & mask
    return keys


def morton_keys(coordinates: Tensor, doublings: int = 0) -> Tensor:
    """(N, 4) int64 batch, x, y, z in voxels, all >= 0 -> (N,) int64. doublings: of the voxels' edge since the finest level."""
    batch, x, y, z = coordinates.unbind(1)
    return (batch << 3 * (AXIS_BITS - doublings)) | spread(x) | (spread(y) << 1) | (spread(z) << 2)


class Level:
    """One set of voxels, in Morton order, at one stride, with what is derived from it and used again by every layer.

    keys     (N,) int64, ascending, each once
    stride   edge of a voxel in voxels of the finest level
    origin   (3,) int64: the coordinates, in voxels of the finest level, that the keys count from
    backend  what computes the convolutions
    """

    def __init__(self, keys: Tensor, stride: int, origin: Tensor, backend: Backend) -> None:
        self.keys, self.stride, self.origin, self.backend = keys, stride, origin, backend
        self._derived: dict[Any, Any] = {}

    @classmethod
    def of_coordinates(cls, coordinates: Tensor, backend: Backend | str = "auto") -> tuple[Level, Tensor]:
        """The finest level of (N, 4) integer coordinates batch, x, y, z, in any order, repeated or negative.

        Also returns (N,) int64, the voxel (row of the level) that each coordinate fell into.
        Raises UserError if the coordinates extend over more than LARGEST_EXTENT voxels or a batch index over BATCH_BITS bits.
        """
        from gcseg_ros.segmentation.backends import Backend, choose_backend

        if coordinates.ndim != 2 or coordinates.shape[1] != 4 or coordinates.dtype.is_floating_point:
            raise UserError(
                f"Voxel coordinates must be integers of shape (N, 4), batch x y z; found {tuple(coordinates.shape)} of {coordinates.dtype}."
            )
        chosen = backend if isinstance(backend, Backend) else choose_backend(backend, coordinates.device)
        coordinates = coordinates.long()
        if not len(coordinates):
            origin = coordinates.new_zeros(3)
            return cls(coordinates.new_zeros(0), 1, origin, chosen), coordinates.new_zeros(0)
        low, high = coordinates.amin(0), coordinates.amax(0)
        extent = int((high - low)[1:].max())
        if extent >= LARGEST_EXTENT:
            raise UserError(
                f"The cloud extends over {extent:,} voxels, of which {LARGEST_EXTENT:,} are possible: remove stray points or use larger voxels."
            )
        if int(low[0]) < 0 or int(high[0]) >= 1 << BATCH_BITS:
            raise UserError(
                f"Batch indices must lie from 0 to {(1 << BATCH_BITS) - 1}; found {int(low[0])} to {int(high[0])}."
            )
        origin = torch.div(low[1:], ALIGNMENT, rounding_mode="floor") * ALIGNMENT - ALIGNMENT
        coordinates = coordinates.clone()
        coordinates[:, 1:] -= origin
        keys, rows = torch.unique(morton_keys(coordinates), return_inverse=True)
        return cls(keys, 1, origin, chosen), rows

    def __len__(self) -> int:
        return len(self.keys)

    def derived(self, name: Any, make: Any) -> Any:
        """`make()`, computed on first use. Two threads may both compute it; they get equal results."""
        if name not in self._derived:
            self._derived[name] = make()
        return self._derived[name]

    @property
    def coordinates(self) -> Tensor:
        """(N, 4) int64 batch, x, y, z in voxels of the finest level: the low corner of each voxel, as MinkowskiEngine
        gives it."""
        within = self.keys & ((1 << self._batch_shift) - 1)
        axes = [compact(within >> axis) * self.stride + self.origin[axis] for axis in range(3)]
        return torch.stack([self.batch, *axes], 1)

    @property
    def batch(self) -> Tensor:
        """(N,) int64, the scene that each voxel belongs to."""
        return self.keys >> self._batch_shift

    @property
    def _batch_shift(self) -> int:
        """Bits of the keys below the batch index: three fewer for each doubling of the stride."""
        return 3 * (AXIS_BITS - self.doublings)

    @property
    def doublings(self) -> int:
        """How often the finest level's voxels were doubled to get these: log2 of the stride."""
        return self.stride.bit_length() - 1

    @property
    def scene_ends(self) -> list[int]:
        """The rows of scene b are [ends[b], ends[b+1]): scenes follow each other. One entry more than scenes, the first 0."""

        def count() -> list[int]:
            scenes = int(self.batch[-1]) + 1 if len(self) else 0
            numbers = torch.arange(scenes + 1, device=self.keys.device)
            return torch.searchsorted(self.batch, numbers).tolist()

        return self.derived("scene_ends", count)

    @property
    def coarser(self) -> CoarserLevel:
        """The level at twice the stride, and how this one's voxels lie in it."""
        return self.derived("coarser", lambda: CoarserLevel(self))


class CoarserLevel:
    """The level at twice the stride of `fine`, and the relation between the two.

    level   the coarser level, M voxels
    parent  (N,) int64: row in `level` of each fine voxel; ascending
    child   (N,) int64 0..7: place among the parent's children, x + 2 y + 4 z (MinkowskiEngine's kernel index for size 2)
    starts  (M + 1,) int64: the children of voxel m are the fine rows [starts[m], starts[m + 1])
    order   (N,) int64: fine rows grouped by `child`; `counts`: how many of each; `place`: where each fine row stands in `order`
    """

    def __init__(self, fine: Level) -> None:
        keys, self.parent, children = torch.unique_consecutive(fine.keys >> 3, return_inverse=True, return_counts=True)
        self.level = Level(keys, 2 * fine.stride, fine.origin, fine.backend)
        self.child = fine.keys & 7
        self.starts = torch.cat([children.new_zeros(1), children.cumsum(0)])
        self.order = torch.argsort(self.child, stable=True)
        self.counts: list[int] = torch.bincount(self.child, minlength=8).tolist()
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(len(fine), device=fine.keys.device)

    def mean(self, features: Tensor) -> Tensor:
        """(N, C) of the fine voxels -> (M, C), the mean over each voxel's children (average pooling of size and stride 2)."""
        rows = torch.arange(len(features), device=features.device)
        return torch.nn.functional.embedding_bag(rows, features, self.starts, mode="mean", include_last_offset=True)
