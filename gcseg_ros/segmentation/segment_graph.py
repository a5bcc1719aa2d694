"""The graph of a cloud's geometric segments, and what is known of pairs: shape, colour, contact, what the network's masks say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gcseg_ros.clouds.neighbours import neighbour_pairs
from gcseg_ros.joining.agglomeration import (
    AREA,
    AXES,
    CONTACT,
    UNIT_M,
    Floats,
    Graph,
    Two,
    axis_features,
    box_features,
    extents,
    principal_lengths,
    smaller_first,
    sums_of_pairs,
    symmetric,
)  # fmt: skip
from gcseg_ros.segmentation.query_masks import QueryMasks, voted_pairs
from gcseg_ros.segmentation.segments import SegmentedCloud

TOUCH_VOXELS = 1.8
"""Voxels nearer than this many edges touch."""

# Columns of `nodes`: sums over a segment's voxels. ORIENTATION: products of the normals, whose sign is not known.
POINT, COLOUR, COLOUR2, ORIENTATION, PRODUCTS = slice(1, 4), slice(4, 7), slice(7, 10), slice(10, 16), slice(16, 22)
NODE = 22
COVERAGE = slice(NODE, None)  # by each query's mask
# Columns of `edges`: sums over pairs of touching voxels.
TOUCHING = slice(1, 4)
EDGE = 4

NAMES = """parallel_touching step colour_step contact contact_smaller contact_larger area_smaller area_larger
colour colour_mean colour_spread_smaller colour_spread_larger flat_smaller flat_larger parallel upright_smaller upright_larger
off_plane_smaller off_plane_larger lows highs low_over_high high_over_low gap
width_smaller length_smaller height_smaller width_larger length_larger height_larger inside
thickness_smaller thickness_larger thickness_joined breadth_smaller breadth_larger reach_smaller reach_larger"""
OBJECT_NAMES = "area doubt_1 doubt_2 doubt_3 width depth length thickness breadth reach flat contact"


@dataclass(frozen=True)
class SegmentGraph(Graph):
    """What is known of n segments and of the m pairs of them that touch or that the masks of q queries put together.

    masks  of the queries
    """

    NAMES: ClassVar[tuple[str, ...]] = (*QueryMasks.PAIR_NAMES, *NAMES.split())
    OBJECT_NAMES: ClassVar[tuple[str, ...]] = (*QueryMasks.OBJECT_NAMES, *OBJECT_NAMES.split())

    masks: QueryMasks

    def features(self, nodes: Two, low: Two, high: Two, edges: Floats) -> Floats:
        """As `Graph.features`."""
        (a, b), low, high = smaller_first(nodes, low, high)
        area_a, area_b = a[:, AREA], b[:, AREA]
        columns = self.masks.pair_features((area_a, area_b), (a[:, COVERAGE], b[:, COVERAGE]))
        with np.errstate(divide="ignore", invalid="ignore"):
            contact = edges[:, CONTACT]
            columns += list(np.where(contact > 0, edges[:, TOUCHING].T / contact, np.nan))
            columns += [np.log1p(contact), contact / area_a**0.5, contact / area_b**0.5, np.log(area_a), np.log(area_b)]
        mean_a, mean_b = a[:, COLOUR] / area_a[:, None], b[:, COLOUR] / area_b[:, None]
        difference = np.abs(mean_a - mean_b)
        columns += [difference.max(1), difference.mean(1)]
        columns += [
            np.maximum(x[:, COLOUR2] / x[:, [AREA]] - mean**2, 0).mean(1) ** 0.5
            for x, mean in ((a, mean_a), (b, mean_b))
        ]
        (flat_a, normal_a), (flat_b, normal_b) = _orientation(a), _orientation(b)
        between = a[:, POINT] / area_a[:, None] - b[:, POINT] / area_b[:, None]
        columns += [
            flat_a,
            flat_b,
            np.abs((normal_a * normal_b).sum(1)),
            np.abs(normal_a[:, 2]),
            np.abs(normal_b[:, 2]),
        ]
        columns += [np.abs((between * normal).sum(1)) for normal in (normal_a, normal_b)]
        apart = np.maximum(np.maximum(*low) - np.minimum(*high), 0).max(1)
        boxes = box_features(low, high)
        columns += [*boxes[:4], apart, *boxes[4:]]
        columns += axis_features(*(_principal_lengths(x) for x in (a, b, a[:, :NODE] + b[:, :NODE])))
        return np.stack(columns, axis=1)

    def object_features(
        self, nodes: Floats, low: Floats, high: Floats, doubts: Floats, missing: Floats, contact: Floats
    ) -> Floats:
        """As `Graph.object_features`."""
        area, extent = nodes[:, AREA], np.sort(high - low, axis=1)
        columns = [
            *self.masks.object_features(area, nodes[:, COVERAGE]), np.log(area), *doubts.T,
            *np.log(extent + UNIT_M).T, *np.log(_principal_lengths(nodes) + 0.005).T, _orientation(nodes)[0],
            contact / np.sqrt(area),
        ]  # fmt: skip
        return np.stack(columns, axis=1)


def segment_graph(cloud: SegmentedCloud, objectness: Floats, coverage: Floats) -> SegmentGraph:
    """objectness (Q,), coverage (Q, S) as of `coverage_of`."""
    normals, colours, segments = cloud.normals, cloud.colours, cloud.segments
    count = int(segments.max(initial=-1)) + 1
    positions = cloud.positions - cloud.positions.mean(0)
    columns = [
        np.ones(len(segments)), *positions.T, *colours.T, *(colours**2).T, *(normals[:, i] * normals[:, j] for i, j in AXES),
        *(positions[:, i] * positions[:, j] for i, j in AXES),
    ]  # fmt: skip
    sums = np.stack([np.bincount(segments, column, minlength=count) for column in columns], axis=1)
    nodes = np.concatenate([sums, (coverage * sums[:, AREA]).T], axis=1)
    low, high = extents(positions, segments, count)

    touching = neighbour_pairs(positions, radius_m=TOUCH_VOXELS * cloud.voxel_m)
    touching = touching[segments[touching[:, 0]] != segments[touching[:, 1]]]
    one, other = touching.T
    offset = positions[other] - positions[one]
    columns = [
        np.ones(len(touching)),
        np.abs((normals[one] * normals[other]).sum(1)),
        (np.abs((normals[one] * offset).sum(1)) + np.abs((normals[other] * offset).sum(1))) / 2,
        np.abs(colours[one] - colours[other]).max(1),
    ]
    contacts, summed = sums_of_pairs(segments[one], segments[other], columns, count)
    pairs = np.unique(np.concatenate([contacts, voted_pairs(objectness, coverage)]), axis=0)
    edges = np.zeros((len(pairs), EDGE))
    edges[np.searchsorted(pairs @ (count, 1), contacts @ (count, 1))] = summed
    return SegmentGraph(nodes, low, high, pairs, edges, QueryMasks(objectness, (coverage * sums[:, AREA]).sum(1)))


def _orientation(nodes: Floats) -> tuple[Floats, Floats]:
    """How much of a segment faces one way, 1/3..1, and that direction (n, 3) of either sign."""
    values, vectors = np.linalg.eigh(symmetric(nodes[:, ORIENTATION] / nodes[:, [AREA]]))
    return values[:, 2], vectors[:, :, 2]


def _principal_lengths(nodes: Floats) -> Floats:
    return principal_lengths(nodes[:, AREA], nodes[:, POINT], nodes[:, PRODUCTS])
