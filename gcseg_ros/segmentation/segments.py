"""Geometric segments of a cloud: pieces of smooth surface of one colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.clouds.graph_segmentation import graph_segmentation
from gcseg_ros.clouds.neighbours import neighbour_pairs
from gcseg_ros.joining.agglomeration import Ids

COLOUR_WEIGHT = 0.14
"""Of a colour's difference, in deviations of the training's colours, beside 1 - cos of the normals' angle."""
SCALE, SMALLEST_VOXELS = 0.3, 10
"""Of the graph segmentation: how much a segment may change, and its least size."""
MOST_SEGMENTS = 4000
"""Joining compares all pairs of segments."""


@dataclass(frozen=True)
class SegmentedCloud:
    """The voxels of a scene.

    positions  (N, 3) metres
    normals    (N, 3), of either sign
    colours    (N, 3) normalised as the network's
    segments   (N,) the geometric segment of each, from 0
    """

    positions: npt.NDArray
    normals: npt.NDArray
    colours: npt.NDArray
    segments: Ids
    voxel_m: float

    @classmethod
    def of(cls, positions: npt.NDArray, normals: npt.NDArray, colours: npt.NDArray, voxel_m: float) -> SegmentedCloud:
        return cls(positions, normals, colours, geometric_segments(positions, normals, colours, voxel_m), voxel_m)


def geometric_segments(
    positions: npt.NDArray, normals: npt.NDArray, colours: npt.NDArray, voxel_m: float
) -> npt.NDArray[np.int64]:
    """(N,) from 0: pieces of smooth surface of one colour, by Felzenszwalb and Huttenlocher's graph segmentation (IJCV 2004).

    positions (N, 3) metres; normals (N, 3), of either sign; colours (N, 3) normalised as the network's (all equal where
    there are none).
    """
    pairs = neighbour_pairs(positions, radius_m=3 * voxel_m)
    a, b = pairs.T
    weight = 1 - np.abs((normals[a] * normals[b]).sum(1)) + COLOUR_WEIGHT * np.abs(colours[a] - colours[b]).max(1)
    smallest = SMALLEST_VOXELS
    segments = graph_segmentation(len(positions), pairs, weight, SCALE, smallest) - 1
    while segments.max(initial=-1) >= MOST_SEGMENTS and smallest < len(positions):
        smallest *= 2
        segments = graph_segmentation(len(positions), pairs, weight, SCALE, smallest) - 1
    if segments.max(initial=-1) < MOST_SEGMENTS:
        return segments
    # Specks without a neighbour that they could be merged with: the smallest are taken together.
    rank = np.argsort(np.argsort(-np.bincount(segments), kind="stable"))
    return np.minimum(rank, MOST_SEGMENTS - 1)[segments]


def middles(positions: npt.NDArray, segments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(S,) rows: of each segment the voxel nearest to its centre."""
    sizes = np.bincount(segments)
    centres = np.stack([np.bincount(segments, axis) for axis in positions.T], 1) / sizes[:, None]
    distance = np.square(positions - centres[segments]).sum(1)
    return np.lexsort((distance, segments))[sizes.cumsum() - sizes]


def snapped(
    voxels: npt.NDArray, probability: npt.NDArray, segments: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray, npt.NDArray]:
    """The mask of all segments that lie in it by more than half; added voxels get the mask's mean probability."""
    sizes = np.bincount(segments)
    share = np.bincount(segments[voxels], minlength=len(sizes)) / np.maximum(sizes, 1)
    inside = np.flatnonzero(share[segments] > 0.5)
    values = np.full(count, probability.mean(), np.float32)
    values[voxels] = probability
    return inside, values[inside]
