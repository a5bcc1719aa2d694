"""Sparse convolution in plain PyTorch, on any device, with gradients.

Kernels are laid out as MinkowskiEngine's: (K, C_in, C_out), offset index k = ix + size * iy + size^2 * iz.
out[u] = sum over k of features[u + offset_k] @ kernel[k].

Why it is fast on a CPU: for each tile of a few thousand output voxels, which stays in the cache, one gather of input rows,
one matrix product for each offset on a contiguous run of them, and one ordered sum (`embedding_bag`), which is four times as
fast as `index_add_`.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gcseg_ros.segmentation.coordinates import Level
from gcseg_ros.segmentation.kernel_maps import KernelMap, NeighbourTable, kernel_map, neighbour_table, strided_pairs

FEW_CHANNELS = 8
"""Up to this many input channels all offsets of a voxel are gathered at once (the first layer)."""
PACKED_CHANNELS = 4
"""Rows of up to so many are read as one number."""
GATHERED_ROWS = 4096
"""Voxels whose offsets are gathered at once."""


class _Scratch(threading.local):
    """Memory that a CPU thread uses again in every layer: fresh pages would cost a fifth of the time."""

    def __init__(self) -> None:
        self.buffers: dict[tuple[str, torch.dtype], Tensor] = {}

    def __call__(self, name: str, rows: int, columns: int, like: Tensor) -> Tensor:
        if like.device.type != "cpu":
            return like.new_empty(rows, columns)
        buffer = self.buffers.get((name, like.dtype))
        if buffer is None or buffer.numel() < rows * columns:
            with torch.inference_mode(False):
                buffer = self.buffers[name, like.dtype] = torch.empty(rows * columns, dtype=like.dtype, device="cpu")
        return buffer[: rows * columns].view(rows, columns)


_scratch = _Scratch()


def tile_rows(channels: int, device: torch.device) -> int:
    """Output voxels in a tile, for this many input and output channels together: what fits the cache, or fills a GPU."""
    if device.type != "cpu":
        return 65536
    return 8192 if channels <= 64 else 4096 if channels <= 128 else 2048 if channels <= 256 else 1024


def kernel_size(kernel: Tensor) -> int:
    """Edge of a cubic kernel (K, C_in, C_out)."""
    return round(len(kernel) ** (1 / 3))


def ordered_sum(values: Tensor, order: Tensor, ends: Tensor) -> Tensor:
    """(M, C): row m is the sum of values[order[ends[m] : ends[m + 1]]]."""
    return functional.embedding_bag(order, values, ends, mode="sum", include_last_offset=True)


def gathers(features: Tensor) -> bool:
    """Whether all offsets are gathered into one matrix: for few channels, and for bf16 on a CPU (AMX wants large, equal
    products)."""
    return features.shape[1] <= FEW_CHANNELS or (features.dtype == torch.bfloat16 and features.device.type == "cpu")


class Finish(NamedTuple):
    """What becomes of a convolution's outputs (N, C) in inference, while they are still in the cache: y * scale + shift
    + added, rectified.

    scale, shift  (C,), a batch norm's
    added         (N, C), a shortcut; None: nothing
    kernel        (C', C): `added` is (N, C') and multiplied with this first
    rectified     negative numbers become 0
    """

    scale: Tensor
    shift: Tensor
    added: Tensor | None = None
    kernel: Tensor | None = None
    rectified: bool = True

    def write(self, y: Tensor, to: Tensor, rows: slice = slice(None)) -> None:
        """y (R, C), the outputs of these rows, finished, into `to` (R, C), which may be y."""
        if y.dtype == self.scale.dtype:
            torch.addcmul(self.shift, y, self.scale, out=to)
        else:
            # The only operation that mixes both types at full speed. GPUs refuse an eps of 0.
            nothing, one = torch.zeros_like(self.shift), torch.ones_like(self.scale)
            to.copy_(functional.batch_norm(y, nothing, one, self.scale, self.shift, eps=1e-20))
        if self.added is not None and self.kernel is not None:
            to.addmm_(self.added[rows].to(to.dtype), self.kernel.to(to.dtype))
        elif self.added is not None:
            to += self.added[rows]
        if self.rectified:
            to.relu_()


def finished(y: Tensor, finish: Finish | None) -> Tensor:
    """y (N, C) itself, finished in place."""
    if finish is not None:
        finish.write(y, y)
    return y


def convolve(features: Tensor, kernel: Tensor, level: Level, dilation: int, finish: Finish | None = None) -> Tensor:
    """Submanifold convolution without gradients: (N, C_in) -> (N, C_out)."""
    size = kernel_size(kernel)
    if gathers(features):
        return _convolve_gathered(features, kernel, level, dilation, finish)
    return _convolve_tiled(features, kernel, kernel_map(level, size, dilation), finish)


def _convolve_tiled(features: Tensor, kernel: Tensor, pairs: KernelMap, finish: Finish | None) -> Tensor:
    _, c_in, c_out = kernel.shape
    result = features.new_empty(len(features), c_out)
    weights = kernel.unbind(0)
    tiles = pairs.tiles(tile_rows(c_in + c_out, features.device))
    most = max((len(tile.inputs) for tile in tiles), default=0)
    gathered, products = _scratch("gathered", most, c_in, features), _scratch("products", most, c_out, features)
    for tile in tiles:
        count = len(tile.inputs)
        torch.index_select(features, 0, tile.inputs, out=gathered[:count])
        runs = gathered[:count].split(tile.lengths), products[:count].split(tile.lengths)
        for offset, taken, product in zip(tile.offsets, *runs):
            torch.mm(taken, weights[offset], out=product)
        rows = slice(tile.start, tile.stop)
        sums = ordered_sum(products[:count], tile.by_output, tile.ends)
        if finish is None:
            result[rows] = sums
        else:
            finish.write(sums, result[rows], rows)
    return result


class _Windows:
    """For each voxel the features at all offsets side by side, a block of voxels at a time: (rows, K * width)."""

    def __init__(self, features: Tensor, size: int, level: Level, dilation: int) -> None:
        # In bf16 every layer comes here; else only the first, whose table is large and not wanted again.
        kept = features.dtype == torch.bfloat16
        self.table = neighbour_table(level, size, dilation) if kept else NeighbourTable(level, size // 2 * dilation)
        self.steps = self.table.steps(size, dilation)
        count, channels = features.shape
        # Rows of four numbers are read as one element of 16 (or 8) bytes, which is five times as fast; rows of eight
        # are fast by themselves.
        wide = {torch.float32: torch.complex128, torch.bfloat16: torch.float64, torch.float16: torch.float64}
        packed = channels <= PACKED_CHANNELS and features.dtype in wide
        self.width = PACKED_CHANNELS if packed else max(channels, FEW_CHANNELS)
        padded = features.new_zeros(count + 1, self.width)
        padded[:-1, :channels] = features
        self.dtype = features.dtype
        self.rows = padded.view(wide[features.dtype]) if packed else padded
        self.count = count

    def __iter__(self):  # type: ignore[no-untyped-def]
        for start in range(0, self.count, GATHERED_ROWS):
            block = slice(start, min(start + GATHERED_ROWS, self.count))
            neighbours = self.table.neighbours(self.steps, block)
            window = self.rows.index_select(0, neighbours.view(-1))
            yield block, window.view(self.dtype).view(len(neighbours), -1)

    def flat_kernel(self, kernel: Tensor) -> Tensor:
        """(K, C_in, C_out) -> (K * width, C_out)"""
        return functional.pad(kernel, (0, 0, 0, self.width - kernel.shape[1])).reshape(-1, kernel.shape[2])


def _convolve_gathered(features: Tensor, kernel: Tensor, level: Level, dilation: int, finish: Finish | None) -> Tensor:
    windows = _Windows(features, kernel_size(kernel), level, dilation)
    weights = windows.flat_kernel(kernel)
    result = features.new_empty(len(features), kernel.shape[2])
    for block, window in windows:
        torch.mm(window, weights, out=result[block])
        if finish is not None:
            finish.write(result[block], result[block], block)
    return result


def _kernel_gradient_gathered(
    features: Tensor, kernel: Tensor, gradient: Tensor, level: Level, dilation: int
) -> Tensor:
    windows = _Windows(features, kernel_size(kernel), level, dilation)
    total = torch.zeros_like(windows.flat_kernel(kernel))
    for block, window in windows:
        total.addmm_(window.t(), gradient[block])
    return total.view(len(kernel), -1, kernel.shape[2])[:, : kernel.shape[1]]


def _gradients_tiled(
    features: Tensor, kernel: Tensor, gradient: Tensor, pairs: KernelMap, need_features: bool, need_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Both gradients in one pass over tiles of input voxels.

    The map is symmetric: if voxel j lies at offset k of voxel i, then i lies at offset K - 1 - k of j. So the pairs of a tile,
    read as (input i, offset K - 1 - k, output j), give features' gradient sum gradient[j] @ kernel^T and kernel's gradient
    sum features[i]^T gradient[j].
    """
    K, c_in, c_out = kernel.shape
    to_features = torch.empty_like(features) if need_features else None
    to_kernel = torch.zeros_like(kernel) if need_kernel else None
    transposed = kernel.transpose(1, 2).contiguous().unbind(0)
    tiles = pairs.tiles(tile_rows(c_in + c_out, features.device))
    most = max((len(tile.inputs) for tile in tiles), default=0)
    gathered, products = _scratch("gathered", most, c_out, gradient), _scratch("products", most, c_in, gradient)
    own = _scratch("own", most, c_in, features)
    for tile in tiles:
        count = len(tile.inputs)
        torch.index_select(gradient, 0, tile.inputs, out=gathered[:count])
        if to_kernel is not None:
            torch.index_select(features[tile.start : tile.stop], 0, tile.outputs, out=own[:count])
        runs = (rows[:count].split(tile.lengths) for rows in (gathered, products, own))
        for offset, taken, product, input in zip(tile.offsets, *runs):
            if to_features is not None:
                torch.mm(taken, transposed[K - 1 - offset], out=product)
            if to_kernel is not None:
                to_kernel[K - 1 - offset].addmm_(input.t(), taken)
        if to_features is not None:
            to_features[tile.start : tile.stop] = ordered_sum(products[:count], tile.by_output, tile.ends)
    return to_features, to_kernel


class SubmanifoldConvolution(torch.autograd.Function):
    """apply(features (N, C_in), kernel (K, C_in, C_out) of odd size, level, dilation) -> (N, C_out)"""

    @staticmethod
    def forward(ctx, features: Tensor, kernel: Tensor, level: Level, dilation: int) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.level, ctx.dilation = level, dilation
        return convolve(features.contiguous(), kernel, level, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        features, kernel = ctx.saved_tensors
        features, gradient = features.contiguous(), gradient.contiguous()
        need_features, need_kernel = ctx.needs_input_grad[:2]
        to_kernel = None
        if need_kernel and gathers(features):
            to_kernel = _kernel_gradient_gathered(features, kernel, gradient, ctx.level, ctx.dilation)
            need_kernel = False
        if not (need_features or need_kernel):
            return None, to_kernel, None, None
        pairs = kernel_map(ctx.level, kernel_size(kernel), ctx.dilation)
        to_features, tiled = _gradients_tiled(features, kernel, gradient, pairs, need_features, need_kernel)
        return to_features, to_kernel if tiled is None else tiled, None, None


def _to_coarse(features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
    """(N, C_in) of the fine voxels -> (M, C_out) of the coarse ones. Of size 2: each child has its own weights,
    children are summed."""
    scale = fine.coarser
    if len(kernel) != 8:
        pairs = strided_pairs(fine, kernel_size(kernel))
        return _along_pairs(features, kernel, pairs, len(scale.level))
    products = features.new_empty(len(features), kernel.shape[2])
    children = scale.order.split(scale.counts), products.split(scale.counts)
    for weights, rows, product in zip(kernel, *children):
        torch.mm(features.index_select(0, rows), weights, out=product)
    return ordered_sum(products, scale.place, scale.starts)


def _to_fine(features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
    """(M, C_in) of the coarse voxels -> (N, C_out). Of size 2: each child has its own weights."""
    scale = fine.coarser
    if len(kernel) != 8:
        pairs = [(coarse, rows) for rows, coarse in strided_pairs(fine, kernel_size(kernel))]
        return _along_pairs(features, kernel, pairs, len(fine))
    result = features.new_empty(len(fine), kernel.shape[2])
    for weights, rows in zip(kernel, scale.order.split(scale.counts)):
        result.index_copy_(0, rows, features.index_select(0, scale.parent[rows]) @ weights)
    return result


def _along_pairs(features: Tensor, kernel: Tensor, pairs: list[tuple[Tensor, Tensor]], count: int) -> Tensor:
    """(count, C_out): for each offset's (sources, targets), the sources' features times its weights are added to the targets."""
    result = features.new_zeros(count, kernel.shape[2])
    for weights, (sources, targets) in zip(kernel, pairs):
        result.index_add_(0, targets, features.index_select(0, sources) @ weights)
    return result


def _scale_kernel_gradient(fine: Tensor, coarse: Tensor, level: Level, offsets: int) -> Tensor:
    """(offsets, C_fine, C_coarse): for each offset the sum of fine[n]^T coarse[m] over the pairs n, m that meet there."""
    if offsets != 8:
        pairs = strided_pairs(level, round(offsets ** (1 / 3)))
        return torch.stack([fine.index_select(0, n).t() @ coarse.index_select(0, m) for n, m in pairs])
    scale = level.coarser
    fine, coarse = fine.index_select(0, scale.order), coarse.index_select(0, scale.parent[scale.order])
    result = fine.new_empty(8, fine.shape[1], coarse.shape[1])
    a = 0
    for child, count in enumerate(scale.counts):
        torch.mm(fine[a : a + count].t(), coarse[a : a + count], out=result[child])
        a += count
    return result


class StridedConvolution(torch.autograd.Function):
    """apply(features (N, C_in) of the level `fine`, kernel (K, C_in, C_out), fine) -> (M, C_out) of the coarser level.

    Stride 2, size 2 (K = 8) or odd.
    """

    @staticmethod
    def forward(ctx, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.fine = fine
        return _to_coarse(features, kernel, fine)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        gradient = gradient.contiguous()
        need_features, need_kernel = ctx.needs_input_grad[:2]
        to_features = _to_fine(gradient, kernel.transpose(1, 2), ctx.fine) if need_features else None
        to_kernel = _scale_kernel_gradient(features, gradient, ctx.fine, len(kernel)) if need_kernel else None
        return to_features, to_kernel, None


class TransposedConvolution(torch.autograd.Function):
    """The adjoint: apply(features (M, C_in) of the coarser level, kernel (K, C_in, C_out), fine) -> (N, C_out) of the
    level `fine`."""

    @staticmethod
    def forward(ctx, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.fine = fine
        return _to_fine(features, kernel, fine)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, kernel = ctx.saved_tensors
        gradient = gradient.contiguous()
        need_features, need_kernel = ctx.needs_input_grad[:2]
        to_features = _to_coarse(gradient, kernel.transpose(1, 2), ctx.fine) if need_features else None
        to_kernel = None
        if need_kernel:
            to_kernel = _scale_kernel_gradient(gradient, features, ctx.fine, len(kernel)).transpose(1, 2)
        return to_features, to_kernel, None
