"""What is known of the pieces of a map's surface and of pairs of them: columns of sums, and directions of extents.

Nothing but sums and extents is kept, so that the statistics of two joined pieces follow from those of the pieces.
"""

from __future__ import annotations

import numpy as np

from gcseg_ros.joining.agglomeration import AREA, Floats, principal_lengths
from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS
from gcseg_ros.tracking.borders import KINDS
from gcseg_ros.tracking.evidence import DOUBT

# Columns of `nodes`: sums over a piece's voxels, weighted by the area of a voxel.
POINT, NORMAL, LAB, LAB2, PRODUCTS = slice(1, 4), slice(4, 7), slice(7, 10), slice(10, 13), slice(13, 19)
SHARE, SEEN_WELL = 19, 20
SEEN, STRUCTURAL = 21, 22  # sums over views
KNOWN = 23  # the area that the boundary network has seen, and its appearance times that
APPEARANCE = slice(24, 24 + APPEARANCE_CHANNELS)
NODE = 24 + APPEARANCE_CHANNELS

# Columns of `edges`: sums over pairs of touching voxels, weighted likewise; over pairs of cells that are near,
# likewise; over views; sums of `Borders`.
TOUCHING, WHERE, WHERE_PRODUCTS = slice(1, 7), slice(7, 10), slice(10, 16)
NEAR = slice(16, 18)
VOTES, SAME = 18, 19
BORDERS = slice(20, 20 + 2 * KINDS)
ONE_LABEL = 20 + 2 * KINDS  # the contact of facets of one label
EDGE = 21 + 2 * KINDS

# Extents are known along these directions (k, 3), a discrete oriented polytope (Klosowski et al., 1998): the axes, six more
# horizontal ones, and four between these and upright.
_TURN = np.pi / 8 * np.array([1, 2, 3, 5, 6, 7])
_SLOPE = np.array([[1, 0, 1], [-1, 0, 1], [0, 1, 1], [0, -1, 1]]) / 2**0.5
DIRECTIONS = np.concatenate([np.eye(3), np.stack([np.cos(_TURN), np.sin(_TURN), np.zeros(6)], axis=1), _SLOPE])
AXIS, UP = slice(3), 2
SIDES = np.array([[0, 1], [3, 6], [4, 7], [5, 8]])  # horizontal directions at right angles


def structure(nodes: Floats) -> Floats:
    """(n,) 0 = a thing, 1 = part of the room itself, 0.5 = nobody knows."""
    return (nodes[:, STRUCTURAL] + 0.5 * DOUBT) / (nodes[:, SEEN] + DOUBT)


def appearance(nodes: Floats) -> Floats:
    """(n, APPEARANCE_CHANNELS) The mean of what pieces look like to the boundary network; NaN where it is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return nodes[:, APPEARANCE] / nodes[:, [KNOWN]]


def principal_lengths_of(nodes: Floats) -> Floats:
    """(n, 3) m, ascending."""
    return principal_lengths(nodes[:, AREA], nodes[:, POINT], nodes[:, PRODUCTS])
