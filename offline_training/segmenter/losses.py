"""The loss of a segmenter (Eq. 7, 13, 14): Dice, binary cross-entropy and objectness, at every decoder layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gcseg_ros.segmentation.network import ScenePrediction, Step
from offline_training.segmenter.matcher import Weights, match

UNKNOWN = -1


def segmenter_loss(
    predictions: Sequence[ScenePrediction],
    labels: Sequence[Tensor],
    weights: Weights | None = None,
    points: int = 20_000,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """{"objectness", "mask", "dice": means over the scenes and sums over the decoder's layers, "total": their weighted sum}.

    labels     for each scene (N,) int64, the instance of each voxel; 0 = none, -1 = unknown, which is not counted
    points     each scene's masks are compared at this many voxels, drawn at random: memory is bounded by queries x points
    generator  on the CPU; what the voxels are drawn with
    """
    weights = weights or Weights()
    sums: dict[str, Tensor] = {}
    for prediction, label in zip(predictions, labels, strict=True):
        voxels, masks = drawn_masks(label, points, generator)
        for step in prediction.steps:
            logits = prediction.mask_logits(step, voxels)
            for name, value in step_losses(step, logits, masks, weights).items():
                sums[name] = sums.get(name, value.new_zeros(())) + value / len(predictions)
    sums["total"] = weights.objectness * sums["objectness"] + weights.mask * sums["mask"] + weights.dice * sums["dice"]
    return sums


def drawn_masks(label: Tensor, points: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """(P,) voxels of known label and the instances' masks at them, (G, P) float. Instances that no voxel drawn belongs to are left out."""
    known = (label != UNKNOWN).nonzero().squeeze(1)
    if len(known) > points:
        known = known[torch.randperm(len(known), generator=generator)[:points].to(known.device)]
    at = label[known]
    instances = torch.unique(at[at > 0])
    return known, (at == instances[:, None]).float()


def step_losses(step: Step, logits: Tensor, masks: Tensor, weights: Weights) -> dict[str, Tensor]:
    """Losses of one decoder layer in one scene: logits (Q, P), masks (G, P)."""
    query, instance = match(step.scores, logits, masks, weights)
    return {
        "objectness": objectness_loss(step.scores, query, weights.no_object),
        **mask_losses(logits[query], masks[instance]),
    }


def objectness_loss(scores: Tensor, matched: Tensor, no_object: float) -> Tensor:
    """Cross-entropy of (Q, classes): matched queries are objects (class 0), the others none (the last), which weighs less. 0 of no query."""
    if not len(scores):
        return scores.sum()
    wanted = torch.full((len(scores),), scores.shape[1] - 1, device=scores.device)
    wanted[matched] = 0
    balance = scores.new_ones(scores.shape[1])
    balance[-1] = no_object
    return functional.cross_entropy(scores, wanted, balance)


def mask_losses(logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Means over the pairs of (G, P) logits and masks; 0 where there are none."""
    if not logits.numel():
        return {"mask": logits.sum() * 0, "dice": logits.sum() * 0}
    probability = logits.sigmoid()
    dice = 1 - (2 * (probability * masks).sum(1) + 1) / (probability.sum(1) + masks.sum(1) + 1)
    return {"mask": functional.binary_cross_entropy_with_logits(logits, masks), "dice": dice.mean()}
