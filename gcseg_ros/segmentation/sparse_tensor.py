"""A sparse tensor: features on the voxels of a level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gcseg_ros.segmentation.coordinates import Level


@dataclass(frozen=True)
class SparseTensor:
    """features: (N, C), a row for each voxel of the level, in its order."""

    features: Tensor
    level: Level

    def __post_init__(self) -> None:
        if len(self.features) != len(self.level):
            raise ValueError(f"{len(self.features)} rows of features for {len(self.level)} voxels")

    @classmethod
    def of_points(cls, coordinates: Tensor, features: Tensor, backend: str = "auto") -> tuple[SparseTensor, Tensor]:
        """From (P, 4) integer coordinates batch, x, y, z and (P, C) features, averaged where several share a voxel.

        Also returns (P,) int64, the voxel of each point. backend: auto | torch | spconv | minkowski. Raises UserError.
        """
        level, rows = Level.of_coordinates(coordinates, backend)
        return cls(voxel_means(features, rows, len(level)), level), rows

    @property
    def coordinates(self) -> Tensor:
        """(N, 4) int64 batch, x, y, z."""
        return self.level.coordinates

    def scenes(self) -> list[Tensor]:
        """The features of each scene of the batch, (N_b, C)."""
        return [self.features[a:b] for a, b in pairwise(self.level.scene_ends)]

    def with_features(self, features: Tensor) -> SparseTensor:
        return SparseTensor(features, self.level)


def voxel_means(values: Tensor, rows: Tensor, voxels: int) -> Tensor:
    """(P, C) values of points, (P,) the voxel of each -> (voxels, C) means."""
    counts = torch.bincount(rows, minlength=voxels)
    sums = values.new_zeros(voxels, values.shape[1]).index_add_(0, rows, values)
    return sums / counts[:, None].to(values.dtype).clamp_(min=1)
