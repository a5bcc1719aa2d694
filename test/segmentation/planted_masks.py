"""What the network would say of a scene if it found exactly some given masks."""

import numpy as np
import torch

from gcseg_ros.segmentation.network import ScenePrediction, Step


def planted(masks, scores):
    """A prediction of one scene whose queries have exactly these masks (Q, N) and objectness (Q,)."""
    logits = torch.from_numpy(np.where(masks, 8.0, -8.0)).float()
    p = torch.tensor(scores).clamp(1e-6, 1 - 1e-6)
    step = Step(torch.stack([p.log(), (1 - p).log()], 1), logits)
    return ScenePrediction(torch.eye(masks.shape[1]), [step], torch.zeros(len(scores), dtype=torch.int64))
