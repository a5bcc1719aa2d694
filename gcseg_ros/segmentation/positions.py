"""Where voxels are: Fourier encodings of positions, and queries spread over the scene."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierEncoding(nn.Module):
    """Random Fourier features of positions in a box (Tancik et al., NeurIPS 2020): (N, 3) -> (N, channels).

    gauss_B: (3, channels / 2), the random frequencies; they belong to the checkpoint.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gauss_B: Tensor
        self.register_buffer("gauss_B", torch.randn(3, channels // 2))

    @torch.no_grad()
    def forward(self, positions: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """low, high: (3,) corners of the box, which is mapped to the unit cube; an axis without extent to 0."""
        extent = high - low
        within = torch.where(extent > 0, (positions - low) / extent.clamp(min=1e-9), 0.0)
        phases = 2 * math.pi * within.to(self.gauss_B.dtype) @ self.gauss_B
        return torch.cat([phases.sin(), phases.cos()], 1)


@torch.no_grad()
def furthest_points(positions: Tensor, count: int) -> Tensor:
    """Furthest point sampling from the first point on: (N, 3) -> (min(count, N),) int64 rows (Eldar et al., 1997)."""
    if not len(positions):
        return torch.zeros(0, dtype=torch.int64, device=positions.device)
    axes = (positions - positions.amin(0)).float().t().contiguous()
    count = min(count, len(positions))
    distance = torch.full_like(axes[0], math.inf)
    chosen = torch.zeros(count, dtype=torch.int64, device=positions.device)
    for i in range(1, count):
        offsets = axes - axes.index_select(1, chosen[i - 1 : i])
        torch.minimum(distance, offsets.square_().sum(0), out=distance)
        chosen[i] = distance.argmax()
    return chosen
