"""Redundant masks: those that lie in a larger one (Eq. 1-2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.masks.masks import Masks


def redundant(fine: Masks, coarse: Masks, containment: float) -> npt.NDArray[np.bool_]:
    """Eq. 1: a fine mask m is redundant if max over coarse masks M of |m and M| / |m| > tau_c (`containment`). (N,) bool.

    Containment rather than IoU: the size of the larger mask must not matter.
    """
    if not len(fine) or not len(coarse):
        return np.zeros(len(fine), bool)
    return fine.intersections(coarse).max(axis=1) > containment * fine.area


def remove_redundant(masks: Masks, containment: float) -> Masks:
    """Eq. 2: all masks but the redundant fine ones."""
    fine, coarse = masks.filter(masks.fine), masks.filter(~masks.fine)
    return Masks.cat([coarse, fine.filter(~redundant(fine, coarse, containment))])
