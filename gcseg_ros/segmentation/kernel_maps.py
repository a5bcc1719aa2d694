"""Kernel maps: which input voxel meets which output voxel at each offset of a convolution's kernel."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from gcseg_ros.segmentation.coordinates import AXES, Level, compact


class NeighbourTable:
    """Looks up the voxel at any offset of at most `reach` voxels along each axis.

    Voxels are grouped into cubes of 8 voxels (contiguous in Morton order). Each cube has a dense table of its own cells
    and a margin of `reach` cells around them, filled once; a query is then one addition and one read:
    table[address[n] + step].
    """

    def __init__(self, level: Level, reach: int) -> None:
        device, count = level.keys.device, len(level)
        bits = max(3, (reach - 1).bit_length())
        edge = 1 << bits
        self.side = edge + 2 * reach
        cells = self.side**3
        cubes, cube = torch.unique_consecutive(level.keys >> 3 * bits, return_inverse=True)
        local = [compact((level.keys & ((1 << 3 * bits) - 1)) >> axis) for axis in range(3)]
        within = self._cell(*(axis + reach for axis in local))
        self.address = cube * cells + within
        self.table = torch.full((len(cubes) * cells,), count, dtype=torch.int32, device=device)
        rows = torch.arange(count, dtype=torch.int32, device=device)
        sides = [
            {-1: axis < reach, 0: torch.ones_like(axis, dtype=torch.bool), 1: axis >= edge - reach} for axis in local
        ]
        for direction in product((-1, 0, 1), repeat=3):
            # These voxels lie in the margin of the cube that is next to theirs in this direction.
            near = (sides[0][direction[0]] & sides[1][direction[1]] & sides[2][direction[2]]).nonzero().squeeze(1)
            beside = find(cubes, stepped(cubes, direction))[cube[near]]
            there = (beside >= 0).nonzero().squeeze(1)
            near, beside = near[there], beside[there]
            self.table[beside * cells + within[near] - edge * self._cell(*direction)] = rows[near]
        if len(self.table) < 2**31:
            self.address = self.address.int()

    def _cell(self, x, y, z):  # type: ignore[no-untyped-def]
        return x + self.side * (y + self.side * z)

    def steps(self, size: int, dilation: int) -> Tensor:
        """(K,) what to add to an address for each offset of a cubic kernel of odd size, x fastest."""
        along = range(-(size // 2) * dilation, (size // 2) * dilation + 1, dilation)
        steps = [self._cell(x, y, z) for z, y, x in product(along, repeat=3)]
        return torch.tensor(steps, dtype=self.address.dtype, device=self.address.device)

    def neighbours(self, steps: Tensor, rows: slice = slice(None)) -> Tensor:
        """(R, K) int32: the voxel at each of the steps from each of the rows; the number of voxels where there is none."""
        return self.at(self.address[rows], steps)

    def at(self, addresses: Tensor, steps: Tensor) -> Tensor:
        """The same from any (R,) addresses within a voxel's cube, whether there is a voxel or not."""
        addresses = addresses[:, None] + steps
        return self.table.index_select(0, addresses.view(-1)).view(addresses.shape)


def stepped(keys: Tensor, direction: tuple[int, ...]) -> Tensor:
    """Keys one voxel further along each axis (-1, 0 or 1): additions that carry over the bits of the other axes."""
    result = keys & ~(AXES[0] | AXES[1] | AXES[2])
    for axis, (bits, step) in enumerate(zip(AXES, direction)):
        if step > 0:
            result = result | ((keys | ~bits) + (1 << axis)) & bits
        elif step < 0:
            result = result | ((keys & bits) - (1 << axis)) & bits
        else:
            result = result | (keys & bits)
    return result


def find(keys: Tensor, wanted: Tensor) -> Tensor:
    """Rows of `wanted` in the ascending `keys`, -1 where it is not there."""
    row = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return torch.where(keys[row] == wanted, row, -1)


class Tile(NamedTuple):
    """A few thousand output voxels in a row, and the pairs (input voxel, kernel offset) that contribute to them.

    start, stop  the output voxels
    inputs       (P,) int32 input voxel of each pair; pairs are ordered by offset, then by output
    by_output    (P,) int32 the pairs ordered by output; `ends` (stop - start + 1,): where each output's begin
    offsets      those that occur, ascending; `lengths`: how many pairs each has
    """

    start: int
    stop: int
    inputs: Tensor
    by_output: Tensor
    ends: Tensor
    offsets: list[int]
    lengths: list[int]

    @property
    def outputs(self) -> Tensor:
        """(P,) int64 output voxel of each pair, counted from `start`; only gradients need it."""
        ascending = torch.repeat_interleave(self.ends.diff().long(), output_size=len(self.inputs))
        return torch.empty_like(ascending).index_copy_(0, self.by_output.long(), ascending)


class KernelMap:
    """The pairs of a submanifold convolution (Graham et al., CVPR 2018): outputs are the input voxels themselves.

    neighbours  (N, K) int32 input voxel of each output voxel and offset, N where there is none
    """

    def __init__(self, level: Level, size: int, dilation: int) -> None:
        table = NeighbourTable(level, size // 2 * dilation)
        self.neighbours = table.neighbours(table.steps(size, dilation))
        self.pairs = int((self.neighbours < len(level)).sum())
        self._tiles: dict[int, list[Tile]] = {}

    def tiles(self, rows: int) -> list[Tile]:
        """The map cut into tiles of this many output voxels."""
        rows = min(rows, max(len(self.neighbours), 1))
        if rows not in self._tiles:
            self._tiles[rows] = self._cut(rows)
        return self._tiles[rows]

    def _cut(self, rows: int) -> list[Tile]:
        count, K = self.neighbours.shape
        device = self.neighbours.device
        tiles = -(-count // rows)
        missing = self.neighbours.new_full((tiles * rows - count, K), count)
        by_row = torch.cat([self.neighbours, missing]).view(tiles, rows, K)
        by_offset = by_row.transpose(1, 2).contiguous()
        present = by_offset < count
        inputs = torch.masked_select(by_offset, present)
        place = present.view(tiles, K * rows).cumsum(1, dtype=torch.int32).sub_(1).view(tiles, K, rows)
        by_output = torch.masked_select(place.transpose(1, 2), by_row < count)
        ends = torch.zeros(tiles, rows + 1, dtype=torch.int32, device=device)
        ends[:, 1:] = present.sum(1, dtype=torch.int32).cumsum(1)
        totals, counts = ends[:, -1].tolist(), present.sum(2).tolist()
        cut, first = [], 0
        for tile in range(tiles):
            start, stop = tile * rows, min((tile + 1) * rows, count)
            pairs = slice(first, first + totals[tile])
            ends_here = ends[tile, : stop - start + 1]
            offsets = [offset for offset, length in enumerate(counts[tile]) if length]
            lengths = [counts[tile][offset] for offset in offsets]
            cut.append(Tile(start, stop, inputs[pairs], by_output[pairs], ends_here, offsets, lengths))
            first = pairs.stop
        return cut


def neighbour_table(level: Level, size: int, dilation: int) -> NeighbourTable:
    """The level's table that reaches as far as this kernel, made on first use."""
    reach = size // 2 * dilation
    return level.derived(("neighbours", reach), lambda: NeighbourTable(level, reach))


def kernel_map(level: Level, size: int, dilation: int) -> KernelMap:
    """The level's map for this kernel, made on first use and shared by all layers."""
    return level.derived(("map", size, dilation), lambda: KernelMap(level, size, dilation))


def strided_pairs(fine: Level, size: int) -> list[tuple[Tensor, Tensor]]:
    """For each offset of a kernel of odd size and stride 2: rows of `fine`, and of the coarser voxels that they contribute to.

    Outputs are the voxels of `fine.coarser.level`, offsets count from their low corner: MinkowskiEngine's convention. On a full
    grid that is dense convolution padded by size // 2.
    """

    def make() -> list[tuple[Tensor, Tensor]]:
        scale, table = fine.coarser, NeighbourTable(fine, size // 2)
        first = scale.starts[:-1]
        child = scale.child[first]
        corners = table.address[first] - table._cell(child & 1, child >> 1 & 1, child >> 2).to(table.address.dtype)
        found = table.at(corners, table.steps(size, 1))
        targets = [(inputs < len(fine)).nonzero().squeeze(1) for inputs in found.unbind(1)]
        return [(inputs[target], target) for inputs, target in zip(found.unbind(1), targets)]

    return fine.derived(("strided", size), make)
