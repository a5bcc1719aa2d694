"""Where a query's mask may lie: an ellipsoid around the query, as a term of the mask's logits that is linear in
features of positions.

Mask features come from the backbone, which sees two equal chairs as the same. The term -(p - c)^T A (p - c) + b, with
centre c, shape A (positive semidefinite) and b told by the query, is the product of a (Q, 10) embedding with the (N,
10) monomials of the positions p: masks stay products of embeddings and features, and their means over coarser voxels
stay exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MONOMIALS = 10
FIRST_BIAS = 2.0
"""At first a window reaches sqrt(2) m."""


def monomials(p: Tensor) -> Tensor:
    """(N, 3) -> (N, 10): x^2, y^2, z^2, xy, xz, yz, x, y, z, 1."""
    x, y, z = p.unbind(1)
    return torch.stack([x * x, y * y, z * z, x * y, x * z, y * z, x, y, z, torch.ones_like(x)], 1)


class WindowHead(nn.Module):
    """Queries (Q, D) and where they start (Q, 3) -> embeddings (Q, 10) of their windows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, MONOMIALS)
        with torch.no_grad():
            self.linear.weight *= 0.1
            self.linear.bias.zero_()[-1] = FIRST_BIAS

    def forward(self, queries: Tensor, starts: Tensor) -> Tensor:
        values = self.linear(queries).float()
        diagonal, below, offset, bias = values.split([3, 3, 3, 1], 1)
        L = torch.diag_embed(diagonal.clamp(-4, 3).exp())  # ellipsoids from 5 cm to 50 m
        rows, columns = torch.tril_indices(3, 3, -1, device=L.device)
        L = L.index_put((torch.arange(len(L), device=L.device)[:, None], rows, columns), below)
        A = L @ L.transpose(1, 2)
        centre = (starts + offset)[:, :, None]
        Ac = A @ centre
        constant = bias - (centre * Ac).sum(1)
        squares = -A.diagonal(dim1=1, dim2=2)
        mixed = -2 * torch.stack([A[:, 0, 1], A[:, 0, 2], A[:, 1, 2]], 1)
        return torch.cat([squares, mixed, 2 * Ac[:, :, 0], constant], 1)


def product(embeddings: Tensor, features: Tensor) -> Tensor:
    """(Q, D), (N, D) -> (Q, N) in float32 also under autocast: squares of metres need it."""
    with torch.autocast(embeddings.device.type, enabled=False):
        return embeddings.float() @ features.float().t()
