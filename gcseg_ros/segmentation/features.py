"""What the network sees of a voxel: its colour, and where the configuration says so the direction of its surface."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.segmentation.network import NetworkConfig

COLOUR, COLOUR_AND_NORMAL = 3, 6
"""Numbers of input channels."""


def normalised_colours(colours: npt.NDArray, config: NetworkConfig) -> npt.NDArray[np.float32]:
    """(N, 3) 0..255 -> (N, 3) float32 with the mean 0 and deviation 1 of the training."""
    mean, std = np.array(config.colour_mean), np.array(config.colour_std)
    return ((colours / 255.0 - mean) / std).astype(np.float32)


def surface_directions(normals: npt.NDArray) -> npt.NDArray[np.float32]:
    """Of unit normals (N, 3), whose signs are not known: z^2, x^2 - y^2, 2 x y, (N, 3)."""
    x, y, z = normals.T
    return np.stack([z * z, x * x - y * y, 2 * x * y], 1).astype(np.float32)
