"""One-to-one matching of queries with true instances (Carion et al., ECCV 2020; costs of Mask2Former and Mask3D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Weights:
    """Of the costs and of the losses (Eq. 7): objectness, binary cross-entropy and Dice of masks; and of queries without an object."""

    objectness: float = 2.0
    mask: float = 5.0
    dice: float = 2.0
    no_object: float = 0.1


@torch.no_grad()
def match(scores: Tensor, mask_logits: Tensor, masks: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """The pairs (query, instance) of least total cost: two (min(Q, G),) int64.

    scores       (Q, classes) logits, the first is "object"
    mask_logits  (Q, P) at P voxels
    masks        (G, P) of the true instances at the same voxels, 0 or 1
    """
    logits, masks = mask_logits.float(), masks.float()
    objectness = -scores.float().softmax(1)[:, :1]
    cost = (
        weights.objectness * objectness
        + weights.mask * cross_entropies(logits, masks)
        + weights.dice * dices(logits, masks)
    )
    query, instance = linear_sum_assignment(cost.nan_to_num(1e6, 1e6, -1e6).cpu().numpy())
    return torch.from_numpy(query).to(scores.device), torch.from_numpy(instance).to(scores.device)


def cross_entropies(logits: Tensor, masks: Tensor) -> Tensor:
    """(Q, G): mean binary cross-entropy of every query (Q, P) with every instance (G, P)."""
    inside, outside = functional.softplus(-logits), functional.softplus(logits)
    return (inside @ masks.t() + outside @ (1 - masks).t()) / max(logits.shape[1], 1)


def dices(logits: Tensor, masks: Tensor) -> Tensor:
    """(Q, G): Dice loss of every query (Q, P) with every instance (G, P)."""
    probability = logits.sigmoid()
    shared = 2 * probability @ masks.t()
    total = probability.sum(1)[:, None] + masks.sum(1)
    return 1 - (shared + 1) / (total + 1)
