"""Res16UNet (Choy et al., "4D Spatio-Temporal ConvNets", CVPR 2019) with Mask3D's parameter names and shapes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from gcseg_ros.segmentation.layers import (
    BasicBlock,
    SparseBatchNorm,
    SparseConvolution,
    SparseTransposedConvolution,
    normalised,
)
from gcseg_ros.segmentation.sparse_tensor import SparseTensor


@dataclass(frozen=True)
class Architecture:
    """stem: channels of the first layer; planes, blocks: channels and residual blocks of the four steps down and four up."""

    stem: int
    planes: tuple[int, ...]
    blocks: tuple[int, ...]


ARCHITECTURES = {
    "34C": Architecture(32, (32, 64, 128, 256, 256, 128, 96, 96), (2, 3, 4, 6, 2, 2, 2, 2)),
    "18A": Architecture(32, (32, 64, 128, 256, 128, 128, 96, 96), (2, 2, 2, 2, 2, 2, 2, 2)),
    "14A": Architecture(32, (32, 64, 128, 256, 128, 128, 96, 96), (1, 1, 1, 1, 1, 1, 1, 1)),
    "tiny": Architecture(16, (16, 32, 64, 96, 64, 64, 32, 32), (1, 1, 1, 1, 1, 1, 1, 1)),
}
"""34C is Mask3D's. 18A and 14A are published too; `tiny` is ours, for CPUs."""

DOWN = ("conv1p1s2", "bn1", "block1"), ("conv2p2s2", "bn2", "block2"), ("conv3p4s2", "bn3", "block3"), ("conv4p8s2", "bn4", "block4")  # fmt: skip
UP = ("convtr4p16s2", "bntr4", "block5"), ("convtr5p8s2", "bntr5", "block6"), ("convtr6p4s2", "bntr6", "block7"), ("convtr7p2s2", "bntr7", "block8")  # fmt: skip
"""Names of each step's layers; p is the stride that it starts from."""


class Res16UNet(nn.Module):
    """U-Net over strides 1, 2, 4, 8, 16.

    c_in   channels of the input: 3 colours, or with normals or positions more
    c_out  channels of `final`, a head for semantic classes; only checkpoints need it, `forward` does not use it
    """

    def __init__(self, architecture: str = "34C", c_in: int = 3, c_out: int = 20) -> None:
        super().__init__()
        self.architecture = ARCHITECTURES[architecture]
        stem, planes, blocks = self.architecture.stem, self.architecture.planes, self.architecture.blocks
        self.conv0p1s1, self.bn0 = SparseConvolution(c_in, stem, 5), SparseBatchNorm(stem)
        channels = stem
        for (convolution, norm, block), c, count in zip(DOWN, planes[:4], blocks[:4]):
            self.add_module(convolution, SparseConvolution(channels, channels, 2, stride=2))
            self.add_module(norm, SparseBatchNorm(channels))
            self.add_module(block, residual_blocks(channels, c, count))
            channels = c
        skipped = (planes[2], planes[1], planes[0], stem)
        for (convolution, norm, block), c, count, skip in zip(UP, planes[4:], blocks[4:], skipped):
            self.add_module(convolution, SparseTransposedConvolution(channels, c))
            self.add_module(norm, SparseBatchNorm(c))
            self.add_module(block, residual_blocks(c + skip, c, count))
            channels = c
        self.final = SparseConvolution(channels, c_out, 1, bias=True)

    @property
    def pyramid_channels(self) -> tuple[int, ...]:
        """Channels of what `forward` returns."""
        return self.architecture.planes[3:]

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """Features at strides 16, 8, 4, 2 and 1; the last lie on x's voxels."""
        x = normalised(self.conv0p1s1, self.bn0, x)
        passed = [x]
        for names in DOWN:
            convolution, norm, block = (self.get_submodule(name) for name in names)
            x = block(normalised(convolution, norm, x))  # type: ignore[arg-type]
            passed.append(x)
        pyramid = [passed.pop()]
        for names in UP:
            convolution, norm, block = (self.get_submodule(name) for name in names)
            x = raised(convolution, norm, x, passed.pop())  # type: ignore[arg-type]
            for residual in block:  # type: ignore[attr-defined]
                x = residual(x)
            pyramid.append(x)
        return pyramid


def raised(
    convolution: SparseTransposedConvolution, norm: SparseBatchNorm, x: SparseTensor, beside: SparseTensor
) -> SparseTensor:
    """x on the voxels of the finer `beside`, and next to it what lies there."""
    y = normalised(convolution, norm, x, beside).features
    return beside.with_features(torch.cat([y, beside.features.to(y.dtype)], 1))


def residual_blocks(c_in: int, c_out: int, count: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(c_in, c_out), *(BasicBlock(c_out, c_out) for _ in range(count - 1)))
