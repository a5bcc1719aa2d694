"""Layers on sparse tensors, with MinkowskiEngine's parameter names and shapes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gcseg_ros.segmentation.convolution import Finish, finished
from gcseg_ros.segmentation.sparse_tensor import SparseTensor


class SparseConvolution(nn.Module):
    """Convolution over a cube of `size` voxels.

    size odd, stride 1        submanifold: outputs on the input's voxels; may be dilated
    size 2 or odd, stride 2   onto the voxels of twice the stride

    kernel (K, C_in, C_out), or (C_in, C_out) for size 1; bias (1, C_out).
    """

    def __init__(
        self, c_in: int, c_out: int, size: int, stride: int = 1, dilation: int = 1, bias: bool = False
    ) -> None:
        super().__init__()
        strided = stride == 2 and (size == 2 or (size % 2 == 1 and size > 1)) and dilation == 1
        if not strided and not (stride == 1 and size % 2 == 1):
            raise ValueError(
                f"size {size} with stride {stride} and dilation {dilation}: there are odd sizes with stride 1, and size 2, 3, 5 ... "
                "with stride 2 and dilation 1"
            )
        self.size, self.stride, self.dilation = size, stride, dilation
        self.kernel = nn.Parameter(initial_kernel(c_in, c_out, size))
        self.bias = nn.Parameter(torch.zeros(1, c_out)) if bias else None

    def forward(self, x: SparseTensor, finish: Finish | None = None) -> SparseTensor:
        """finish: only in inference, and of a layer without bias."""
        features, kernel = autocast(x.features, self.kernel)
        level = x.level
        with torch.autocast(features.device.type, enabled=False):  # the types are chosen
            if self.size == 1:
                result = finished(features @ kernel, finish)
            elif self.stride == 1:
                result = level.backend.submanifold(features, kernel, level, self.dilation, finish)
            else:
                result = finished(level.backend.strided(features, kernel, level), finish)
                level = level.coarser.level
        return SparseTensor(result if self.bias is None else result + self.bias, level)


class SparseTransposedConvolution(nn.Module):
    """The adjoint of stride 2, size 2 or odd: from the voxels of twice the stride onto given finer ones. kernel (K,
    C_in, C_out)."""

    def __init__(self, c_in: int, c_out: int, size: int = 2) -> None:
        super().__init__()
        if not (size == 2 or (size % 2 == 1 and size > 1)):
            raise ValueError(f"size {size} with stride 2: there are sizes 2, 3, 5 ...")
        self.kernel = nn.Parameter(initial_kernel(c_in, c_out, size))

    def forward(self, x: SparseTensor, onto: SparseTensor, finish: Finish | None = None) -> SparseTensor:
        """onto: a tensor on the finer level, whose `coarser` is x's level. finish: only in inference."""
        features, kernel = autocast(x.features, self.kernel)
        with torch.autocast(features.device.type, enabled=False):
            return onto.with_features(finished(x.level.backend.transposed(features, kernel, onto.level), finish))


class SparseBatchNorm(nn.Module):
    """Batch normalisation over all voxels of the batch. A level of fewer than two voxels uses the running statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(channels, momentum=0.02)

    def forward(self, x: SparseTensor) -> SparseTensor:
        if self.training and len(x.features) < 2:
            bn = self.bn
            return x.with_features(
                functional.batch_norm(x.features, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps)
            )
        return x.with_features(self.bn(x.features))

    def affine(self) -> tuple[Tensor, Tensor]:
        """(scale, shift), (C,) each: what the running statistics make of it."""
        bn = self.bn
        assert bn.running_mean is not None
        assert bn.running_var is not None
        scale = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        return scale, bn.bias - bn.running_mean * scale


def normalised(
    convolution: SparseConvolution | SparseTransposedConvolution,
    norm: SparseBatchNorm,
    *inputs: SparseTensor,
    added: SparseTensor | None = None,
    through: nn.Sequential | None = None,
) -> SparseTensor:
    """relu(norm(convolution(inputs)) + through(added)), in inference without a copy of the features for each of these.

    through: a 1x1x1 convolution and its norm; None: nothing
    """
    if norm.training or torch.is_grad_enabled():
        y = norm(convolution(*inputs))
        if added is not None:
            y = y.with_features(y.features + (through(added) if through else added).features)
        return y.with_features(functional.relu(y.features))
    scale, shift = norm.affine()
    kernel = None
    if through is not None:
        pointwise, its_norm = through
        assert isinstance(pointwise, SparseConvolution)
        assert isinstance(its_norm, SparseBatchNorm)
        its_scale, its_shift = its_norm.affine()
        kernel, shift = pointwise.kernel * its_scale, shift + its_shift
    return convolution(*inputs, finish=Finish(scale, shift, None if added is None else added.features, kernel))


class BasicBlock(nn.Module):
    """Residual block of two 3x3x3 convolutions (He et al., CVPR 2016)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = SparseConvolution(c_in, c_out, 3), SparseBatchNorm(c_out)
        self.conv2, self.norm2 = SparseConvolution(c_out, c_out, 3), SparseBatchNorm(c_out)
        self.downsample = (
            nn.Sequential(SparseConvolution(c_in, c_out, 1), SparseBatchNorm(c_out)) if c_in != c_out else None
        )

    def forward(self, x: SparseTensor) -> SparseTensor:
        y = normalised(self.conv1, self.norm1, x)
        return normalised(self.conv2, self.norm2, y, added=x, through=self.downsample)


def initial_kernel(c_in: int, c_out: int, size: int) -> Tensor:
    """Kaiming's normal initialisation for outputs of which about 0.4 of the offsets are occupied (surfaces)."""
    offsets = size**3
    shape = (c_in, c_out) if size == 1 else (offsets, c_in, c_out)
    return torch.randn(shape) * (2 / (c_out * max(1.0, 0.4 * offsets))) ** 0.5


def autocast(features: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Both in autocast's type where it is on. bf16 on a CPU is for inference only: gradients are summed in the same type."""
    device = features.device.type
    if torch.is_autocast_enabled(device) and not (device == "cpu" and torch.is_grad_enabled()):
        dtype = torch.get_autocast_dtype(device)
        return features.to(dtype), kernel.to(dtype)
    return features.to(kernel.dtype), kernel
