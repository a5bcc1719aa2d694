"""Scores as colours: green where they are low, through yellow, to red where they are high."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.viewer.colours import NONE

RAMP = np.array([[0, 160, 60], [255, 220, 0], [220, 0, 0]], np.float64)
"""RGB at the lowest, the middle and the highest score."""


def heat_colours(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Scores of any shape (...) -> RGB (..., 3) uint8, green for the least and red for the greatest; if these are equal, all are green.
    What is not finite is grey."""
    scores = np.asarray(scores, np.float64)
    known = np.isfinite(scores)
    if not known.any():
        return np.broadcast_to(np.array(NONE, np.uint8), (*scores.shape, 3)).copy()
    low, high = scores[known].min(), scores[known].max()
    level = (np.where(known, scores, low) - low) / max(high - low, 1e-12)
    colours = np.stack([np.interp(level, [0, 0.5, 1], channel) for channel in RAMP.T], axis=-1)
    return np.where(known[..., None], np.round(colours), NONE).astype(np.uint8)
