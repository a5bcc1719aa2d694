"""What the network is trained to minimise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from offline_training.boundaries.views import IGNORE

BOUNDARY_GAIN = 3.0  # boundaries are a twentieth of all pixels; `calibration` takes this out again
PARTS = ("boundary", "structure", "affinities")


def boundary_loss(maps: Tensor, affinities: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """Logits maps (B, 2, H, W), affinities (B, K, H/2, W/2) and `views.targets` -> loss by part, and `total`.

    Binary cross-entropy over what is labelled; boundary pixels count BOUNDARY_GAIN times, those of small objects more.
    """
    weight = 1 + (targets["boundary"] == 1) * (BOUNDARY_GAIN * targets["weight"] - 1)
    losses = {
        "boundary": cross_entropy(maps[:, 0].float(), targets["boundary"], weight),
        "structure": cross_entropy(maps[:, 1].float(), targets["structure"]),
        "affinities": cross_entropy(affinities.float(), targets["affinities"]),
    }
    losses["total"] = losses["boundary"] + 0.3 * losses["structure"] + losses["affinities"]
    return losses


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over the pixels whose target is not IGNORE."""
    known = (target != IGNORE).to(logits.dtype)
    value = functional.binary_cross_entropy_with_logits(logits, (target == 1).to(logits.dtype), reduction="none")
    if weight is not None:
        value = value * weight
    return (value * known).sum() / torch.clamp(known.sum(), min=1)
