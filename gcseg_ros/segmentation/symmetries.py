"""The same cloud seen from other sides: quarter turns about z and mirror images, which leave voxels voxels.

A network that learned from turned and mirrored rooms errs differently on each; what it says of all of them, pooled, errs less.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gcseg_ros.segmentation.features import COLOUR, COLOUR_AND_NORMAL
from gcseg_ros.segmentation.network import Mask3D, ScenePrediction
from gcseg_ros.segmentation.sparse_tensor import SparseTensor


class Symmetry(NamedTuple):
    """x and y are mirrored, then swapped."""

    mirror_x: bool = False
    mirror_y: bool = False
    swap: bool = False

    def positions(self, positions: Tensor) -> Tensor:
        """(N, 3) metres, counted from the cloud's corner before and after."""
        x, y, z = positions.unbind(1)
        x = x.amax() - x if self.mirror_x else x
        y = y.amax() - y if self.mirror_y else y
        return torch.stack([y, x, z] if self.swap else [x, y, z], 1)

    def coordinates(self, coordinates: Tensor) -> Tensor:
        """(N, 4) batch, x, y, z: voxel [i, i + 1) becomes [-1 - i, -i)."""
        batch, x, y, z = coordinates.unbind(1)
        x = -1 - x if self.mirror_x else x
        y = -1 - y if self.mirror_y else y
        return torch.stack([batch, y, x, z] if self.swap else [batch, x, y, z], 1)

    def features(self, features: Tensor) -> Tensor:
        """(N, C): of surface directions z^2, x^2 - y^2, 2 x y (features.py) a mirror turns the last one's sign, a swap the second's."""
        if features.shape[1] != COLOUR_AND_NORMAL:
            return features
        signs = features.new_ones(COLOUR_AND_NORMAL)
        signs[COLOUR + 1] = -1.0 if self.swap else 1.0
        signs[COLOUR + 2] = -1.0 if self.mirror_x != self.mirror_y else 1.0
        return features * signs


SYMMETRIES = (
    Symmetry(),
    Symmetry(mirror_x=True, swap=True),
    Symmetry(mirror_x=True, mirror_y=True),
    Symmetry(mirror_y=True, swap=True),
    Symmetry(mirror_x=True),
    Symmetry(mirror_y=True),
    Symmetry(swap=True),
    Symmetry(mirror_x=True, mirror_y=True, swap=True),
)
"""The four quarter turns, then their mirror images."""


def predict(
    network: Mask3D, x: SparseTensor, positions: Tensor, queries: int | None, symmetry: Symmetry
) -> ScenePrediction:
    """What the network says of one scene that it sees so: over the voxels of x, in their order."""
    if symmetry == Symmetry():
        return network(x, positions, queries)[0]
    turned, rows = SparseTensor.of_points(
        symmetry.coordinates(x.coordinates), symmetry.features(x.features), x.level.backend
    )
    there = torch.empty_like(positions).index_copy_(0, rows, symmetry.positions(positions))
    (seen,) = network(turned, there, queries)
    back = torch.empty_like(rows).index_copy_(0, rows, torch.arange(len(rows), device=rows.device))
    return ScenePrediction(seen.features[rows], seen.steps, back[seen.anchors])
