"""What computes the convolutions: our own engine, or a faster one where it is installed."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gcseg_ros.errors import UserError
from gcseg_ros.segmentation.convolution import (
    Finish,
    StridedConvolution,
    SubmanifoldConvolution,
    TransposedConvolution,
    convolve,
    finished,
    kernel_size,
)
from gcseg_ros.segmentation.coordinates import Level, morton_keys
from gcseg_ros.segmentation.kernel_maps import find


class Backend:
    """Three convolutions; each backend has its own. Kernels and row orders are the same for all."""

    name = "torch"

    def submanifold(
        self, features: Tensor, kernel: Tensor, level: Level, dilation: int, finish: Finish | None = None
    ) -> Tensor:
        """(N, C_in), (K, C_in, C_out) of odd size -> (N, C_out) on the same voxels. finish: only without gradients."""
        if finish is None:
            return SubmanifoldConvolution.apply(features, kernel, level, dilation)
        return convolve(features.contiguous(), kernel, level, dilation, finish)

    def strided(self, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        """(N, C_in) of `fine`, (K, C_in, C_out) of size 2 or odd -> (M, C_out) of `fine.coarser.level`."""
        return StridedConvolution.apply(features, kernel, fine)

    def transposed(self, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        """(M, C_in) of `fine.coarser.level`, (K, C_in, C_out) of size 2 or odd -> (N, C_out) of `fine`."""
        return TransposedConvolution.apply(features, kernel, fine)


class SpconvBackend(Backend):
    """spconv 2 (packages spconv-cu126 and others, spconv-triton): the same layers on a GPU's tensor cores.

    Strided kernels of odd size are ours: spconv gives them more output voxels.
    """

    name = "spconv"

    def __init__(self) -> None:
        import spconv.pytorch

        self.spconv = spconv.pytorch

    def submanifold(
        self, features: Tensor, kernel: Tensor, level: Level, dilation: int, finish: Finish | None = None
    ) -> Tensor:
        size = kernel_size(kernel)
        c_in, c_out = kernel.shape[1:]
        name = f"submanifold {size} {dilation}"
        layer = self.spconv.SubMConv3d(c_in, c_out, size, dilation=dilation, bias=False, indice_key=name)
        return finished(self._run(layer, kernel, features, level).features, finish)

    def strided(self, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        if len(kernel) != 8:
            return super().strided(features, kernel, fine)
        layer = self.spconv.SparseConv3d(kernel.shape[1], kernel.shape[2], 2, 2, bias=False, indice_key="strided")
        return self._run(layer, kernel, features, fine).features[self._coarse_rows(fine)]

    def transposed(self, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        if len(kernel) != 8:
            return super().transposed(features, kernel, fine)
        rows = self._coarse_rows(fine)
        coarse = fine.derived("spconv coarse", dict)["tensor"]
        theirs = torch.empty_like(features).index_copy(0, rows, features)
        layer = self.spconv.SparseInverseConv3d(kernel.shape[1], kernel.shape[2], 2, bias=False, indice_key="strided")
        return self._apply(layer, kernel, coarse.replace_feature(theirs)).features

    def _coarse_rows(self, fine: Level) -> Tensor:
        """(M,) spconv's row of each of our coarse voxels; it orders them as its hash table has them."""

        def match() -> Tensor:
            layer = self.spconv.SparseConv3d(1, 1, 2, 2, bias=False, indice_key="strided")
            ones = torch.ones(len(fine), 1, device=fine.keys.device)
            coarse = self._run(layer, torch.ones(8, 1, 1, device=fine.keys.device), ones, fine)
            fine.derived("spconv coarse", dict)["tensor"] = coarse
            coordinates = coarse.indices.long()
            coordinates[:, 1:] += self._corner(fine) // 2
            return torch.argsort(find(fine.coarser.level.keys, morton_keys(coordinates, fine.doublings + 1)))

        return fine.derived("spconv rows", match)

    def _run(self, layer: Any, kernel: Tensor, features: Tensor, level: Level) -> Any:
        return self._apply(layer, kernel, self._input(level).replace_feature(features))

    def _corner(self, level: Level) -> Tensor:
        """(3,) even: what is taken off the keys' coordinates, in voxels of the level. spconv's tables grow with the extent."""
        return level.derived("spconv corner", lambda: self._cells(level).amin(0) // 2 * 2)

    def _cells(self, level: Level) -> Tensor:
        return (level.coordinates[:, 1:] - level.origin) // level.stride

    def _input(self, level: Level) -> Any:
        """The level as spconv's tensor; its dictionary of index pairs is shared by all layers."""

        def make() -> Any:
            cells = self._cells(level) - self._corner(level)
            shape = (cells.amax(0) // 2 * 2 + 2).tolist()
            empty = torch.zeros(len(level), 1, device=cells.device)
            indices = torch.cat([level.batch[:, None], cells], 1).int()
            return self.spconv.SparseConvTensor(empty, indices, shape, len(level.scene_ends) - 1)

        return level.derived("spconv", make)

    def _apply(self, layer: Any, kernel: Tensor, tensor: Any) -> Any:
        size = kernel_size(kernel)
        weight = kernel.view(size, size, size, *kernel.shape[1:]).permute(4, 2, 1, 0, 3).contiguous()
        del layer.weight
        layer.weight = weight
        return layer(tensor)


class MinkowskiBackend(Backend):
    """MinkowskiEngine 0.5, for comparison. Its rows are matched with ours by coordinate."""

    name = "minkowski"

    def __init__(self) -> None:
        import MinkowskiEngine

        self.engine = MinkowskiEngine

    def submanifold(
        self, features: Tensor, kernel: Tensor, level: Level, dilation: int, finish: Finish | None = None
    ) -> Tensor:
        layer = self.engine.MinkowskiConvolution(
            *kernel.shape[1:], kernel_size=kernel_size(kernel), dilation=dilation, dimension=3
        )
        return finished(self._run(layer, kernel, features, level, level), finish)

    def strided(self, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        layer = self.engine.MinkowskiConvolution(
            *kernel.shape[1:], kernel_size=kernel_size(kernel), stride=2, dimension=3
        )
        return self._run(layer, kernel, features, fine, fine.coarser.level)

    def transposed(self, features: Tensor, kernel: Tensor, fine: Level) -> Tensor:
        layer = self.engine.MinkowskiConvolutionTranspose(
            *kernel.shape[1:], kernel_size=kernel_size(kernel), stride=2, dimension=3
        )
        return self._run(layer, kernel, features, fine.coarser.level, fine)

    def _run(self, layer: Any, kernel: Tensor, features: Tensor, source: Level, target: Level) -> Tensor:
        del layer.kernel
        layer.kernel = kernel
        given = self.engine.SparseTensor(features, source.coordinates.int(), tensor_stride=source.stride)
        wanted = self.engine.SparseTensor(
            features.new_zeros(len(target), 1),
            target.coordinates.int(),
            tensor_stride=target.stride,
            coordinate_manager=given.coordinate_manager,
        )
        result = layer(given, coordinates=wanted.coordinate_map_key)
        return result.features_at_coordinates(target.coordinates.to(features.dtype))


BACKENDS: dict[str, type[Backend]] = {"torch": Backend, "spconv": SpconvBackend, "minkowski": MinkowskiBackend}
PACKAGES = {"spconv": "spconv", "minkowski": "MinkowskiEngine"}


def choose_backend(name: str, device: torch.device) -> Backend:
    """The backend of this name; `auto` is spconv on a GPU where it is installed, else torch. Raises UserError."""
    if name == "auto":
        name = "spconv" if device.type == "cuda" and importlib.util.find_spec("spconv") else "torch"
    if name not in BACKENDS:
        raise UserError(f"There is no backend {name!r} for convolutions: choose auto, {', '.join(BACKENDS)}.")
    return _loaded(name)


@cache
def _loaded(name: str) -> Backend:
    try:
        return BACKENDS[name]()
    except (ImportError, OSError) as error:
        raise UserError(
            f"The backend {name} needs the package {PACKAGES[name]}, which cannot be imported ({error}): install it or choose the backend torch."
        ) from None
