"""The loss of a segmenter (Eq. 7, 13, 14): Dice, binary cross-entropy and objectness, at every decoder layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gcseg_ros.segmentation.network import ScenePrediction, Step
from offline_training.labelling.samples import UNKNOWN
from offline_training.segmenter.matcher import Weights, match


def segmenter_loss(
    predictions: Sequence[ScenePrediction],
    labels: Sequence[Tensor],
    weights: Weights | None = None,
    points: int = 20_000,
    generator: torch.Generator | None = None,
    by_anchors: bool = False,
) -> dict[str, Tensor]:
    """{"objectness", "mask", "dice": means over the scenes and sums over the decoder's layers, "total": their weighted sum}.

    labels     for each scene (N,) int64, the instance of each voxel; 0 = none, UNKNOWN is not counted
    points     each scene's masks are compared at this many voxels, drawn at random: memory is bounded by queries x points
    generator  on the CPU; what the voxels are drawn with
    by_anchors each query learns the instance that it starts on (`anchor_losses`), instead of one to one (`step_losses`)
    """
    weights = weights or Weights()
    sums: dict[str, Tensor] = {}
    for prediction, label in zip(predictions, labels, strict=True):
        voxels, masks = drawn_masks(label, points, generator)
        for step in prediction.steps:
            logits = prediction.mask_logits(step, voxels)
            if by_anchors:
                found = anchor_losses(step, logits, label[voxels], label[prediction.anchors], weights)
            else:
                found = step_losses(step, logits, masks, weights, label[prediction.anchors] == UNKNOWN)
            for name, value in found.items():
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


def step_losses(step: Step, logits: Tensor, masks: Tensor, weights: Weights, unknown: Tensor) -> dict[str, Tensor]:
    """Losses of one decoder layer in one scene: logits (Q, P), masks (G, P), and which queries (Q,) start where the label is unknown."""
    query, instance = match(step.scores, logits, masks, weights)
    return {
        "objectness": objectness_loss(step.scores, query, weights.no_object, unknown),
        **mask_losses(logits[query], masks[instance]),
    }


def anchor_losses(step: Step, logits: Tensor, labels: Tensor, anchors: Tensor, weights: Weights) -> dict[str, Tensor]:
    """Losses of one decoder layer in one scene: logits (Q, P), labels (P,) of the voxels, anchors (Q,) labels where the queries start.

    Several queries may learn one instance; every instance counts the same. The objectness learns the IoU of the query's own
    mask. It converges in far fewer steps than one-to-one matching; repetitions are left to the post-processing.
    """
    on = (anchors > 0).nonzero().squeeze(1)
    masks = (labels == anchors[on, None]).float()
    chosen = logits[on].float()
    _, instance, count = torch.unique(anchors[on], return_inverse=True, return_counts=True)
    share = 1 / (count[instance] * max(len(count), 1))
    with torch.no_grad():
        inside = chosen > 0
        shared = (inside * masks).sum(1)
        iou = shared / (inside.sum(1) + masks.sum(1) - shared).clamp(min=1)
        wanted = torch.zeros(len(anchors), step.scores.shape[1], device=anchors.device)
        wanted[on, 0] = iou
        wanted[:, -1] = 1 - wanted[:, 0]
        counted = torch.full_like(wanted[:, 0], weights.no_object)
        counted[on] = share * len(on)
        counted[anchors == UNKNOWN] = 0
    surprise = functional.cross_entropy(step.scores.float(), wanted, reduction="none")
    probability = chosen.sigmoid()
    dice = 1 - (2 * (probability * masks).sum(1) + 1) / (probability.sum(1) + masks.sum(1) + 1)
    entropy = functional.binary_cross_entropy_with_logits(chosen, masks, reduction="none").mean(1)
    return {
        "objectness": (surprise * counted).sum() / counted.sum().clamp(min=1e-6),
        "mask": (entropy * share).sum(),
        "dice": (dice * share).sum(),
    }


def objectness_loss(scores: Tensor, matched: Tensor, no_object: float, unknown: Tensor) -> Tensor:
    """Cross-entropy of (Q, classes): matched queries are objects (class 0), the others none (the last), which weighs less.

    Of the others those that are `unknown` (Q,) are not counted. 0 where no query is.
    """
    scores = scores.float()
    wanted = torch.full((len(scores),), scores.shape[1] - 1, device=scores.device)
    counted = torch.where(unknown, 0, torch.full_like(scores[:, 0], no_object))
    wanted[matched], counted[matched] = 0, 1
    surprise = functional.cross_entropy(scores, wanted, reduction="none")
    return (surprise * counted).sum() / counted.sum().clamp(min=1e-6)


def mask_losses(logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Means over the pairs of (G, P) logits and masks; 0 where there are none."""
    if not logits.numel():
        return {"mask": logits.sum() * 0, "dice": logits.sum() * 0}
    probability = logits.sigmoid()
    dice = 1 - (2 * (probability * masks).sum(1) + 1) / (probability.sum(1) + masks.sum(1) + 1)
    return {"mask": functional.binary_cross_entropy_with_logits(logits, masks), "dice": dice.mean()}
