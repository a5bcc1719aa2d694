"""Labels laid over the colour image that they belong to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.viewer.colours import instance_colours

OPACITY = 0.55  # of what is not an outline


def overlay(colour: npt.NDArray[np.uint8], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB and (H, W) ids, 0 = none -> (H, W, 3) uint8 RGB: objects tinted, their outlines in full colour."""
    ids = np.arange(int(labels.max(initial=0)) + 1)
    table = instance_colours(ids)
    weight = np.round(256 * np.where(ids > 0, OPACITY, 0)).astype(np.uint16)
    outline = np.zeros(labels.shape, bool)
    outline[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    outline[1:] |= labels[1:] != labels[:-1]
    outline &= labels > 0
    share = weight[labels]
    share[outline] = 256
    share = share[..., None]
    return ((table[labels] * share + colour * (256 - share)) >> 8).astype(np.uint8)
