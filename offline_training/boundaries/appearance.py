"""Principal components of what the trained network knows: the numbers by which pieces of a map are told to look alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS, APPEARANCE_PIXELS

LEAST_CELLS = 6  # of an instance in a view
FLOOR = 0.02  # of the largest variance: what varies less is not made as large as the rest
STEADY = 1e-3  # a channel that varies less is not made larger

Floats = npt.NDArray[np.float64]


def principal_components(
    views: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint16]]],
) -> tuple[Floats, Floats]:
    """What the network knows of views (C, h, w), and true instances (H, W) -> mean (C,), components (C, APPEARANCE_CHANNELS).

    Of the means over the instances of each view, channels scaled to spread 1 before; (x - mean) @ components has a spread of about 1 in each.
    """
    means = []
    for known, instance in views:
        small = instance[APPEARANCE_PIXELS]
        for k in np.flatnonzero(np.bincount(small.ravel())[1:] >= LEAST_CELLS) + 1:
            means.append(known[:, small == k].mean(1, dtype=np.float64))
    x = np.array(means).reshape(len(means), -1)
    mean, spread = x.mean(0), x.std(0) + STEADY
    _, singular, directions = np.linalg.svd((x - mean) / spread, full_matrices=False)
    variance = singular**2 / len(x)
    components = np.zeros((x.shape[1], APPEARANCE_CHANNELS))
    scaled = directions.T / spread[:, None] / np.sqrt(variance + FLOOR * variance[0])
    few = min(APPEARANCE_CHANNELS, scaled.shape[1])  # of a few instances there are no more
    components[:, :few] = scaled[:, :few]
    return mean, components
