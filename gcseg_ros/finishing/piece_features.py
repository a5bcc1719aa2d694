"""Pieces of a map's surface, and the features of them and of pairs of them that joining decides by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gcseg_ros.finishing.piece_columns import (
    AXIS,
    BORDERS,
    LAB,
    LAB2,
    NEAR,
    NORMAL,
    ONE_LABEL,
    POINT,
    SAME,
    SEEN,
    SEEN_WELL,
    SHARE,
    SIDES,
    TOUCHING,
    UP,
    VOTES,
    WHERE,
    WHERE_PRODUCTS,
    appearance,
    principal_lengths_of,
    structure,
)  # fmt: skip
from gcseg_ros.joining.agglomeration import (
    AREA,
    CONTACT,
    UNIT_M,
    Floats,
    Graph,
    Ids,
    Two,
    axis_features,
    box_features,
    principal_lengths,
    smaller_first,
)  # fmt: skip
from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS
from gcseg_ros.tracking.borders import KINDS
from gcseg_ros.tracking.evidence import DOUBT

# No count of views is among them: videos are longer and shorter than those of the training.
NAMES = """share normals convexity step lightness_step colour_step gap contact contact_smaller contact_larger
area_smaller area_larger lightness colour lightness_spread_smaller colour_spread_smaller lightness_spread_larger
colour_spread_larger structure_smaller structure_larger flat_smaller flat_larger parallel off_plane_smaller off_plane_larger
upright_smaller upright_larger lows highs low_over_high high_over_low width_smaller length_smaller height_smaller
width_larger length_larger height_larger inside boundary affinity_near affinity_middle affinity_far
thickness_smaller thickness_larger thickness_joined breadth_smaller breadth_larger reach_smaller reach_larger
agreement_smaller agreement_larger one_label near near_smaller near_distance apart
contact_aside_smaller contact_aside_larger contact_level_smaller contact_level_larger contact_reach contact_breadth
separation overlap least_overlap box_width_smaller box_length_smaller box_fill_smaller box_width_larger box_length_larger
box_fill_larger box_width_joined box_length_joined box_fill_joined growth growth_of_sum unlike unlike_first"""

PIECE_NAMES = """area lightness redness yellowness lightness_spread redness_spread yellowness_spread upright flat bottom top
depth length height thickness breadth reach agreement structure seen_well box_width box_length box_fill"""

OBJECT_NAMES = """area agreement seen_well doubt_1 doubt_2 doubt_3 missing structure flat width depth length thickness
breadth reach contact seen box_width box_length box_fill"""

FIRST_CHANNELS = 8  # of the appearance, which say most


@dataclass(frozen=True)
class PieceGraph(Graph):
    """What is known of n pieces and of the m pairs of them that touch, are near, may be of one wall, floor or ceiling,
    or were seen together.

    labels  (n,) tracked label that each piece is a facet of
    """

    NAMES: ClassVar[tuple[str, ...]] = tuple(NAMES.split())
    PIECE_NAMES: ClassVar[tuple[str, ...]] = (
        *PIECE_NAMES.split(),
        *(f"appearance_{i}" for i in range(APPEARANCE_CHANNELS)),
    )
    OBJECT_NAMES: ClassVar[tuple[str, ...]] = tuple(OBJECT_NAMES.split())
    AT_ONCE: ClassVar[float] = 0.05

    labels: Ids

    def features(self, nodes: Two, low: Two, high: Two, edges: Floats) -> Floats:
        """As `Graph.features`. But for `convexity` and `gap`, which are of both, heights and the order of size matter
        and nothing else of where pieces are in the room and which way they face; boxes, extents and the cells of `near`
        follow the world's axes.
        """
        (a, b), low, high = smaller_first(nodes, low, high)
        area_a, area_b = a[:, AREA], b[:, AREA]
        with np.errstate(divide="ignore", invalid="ignore"):
            votes, contact = edges[:, VOTES], edges[:, CONTACT]
            columns = [(edges[:, SAME] + 0.3) / (votes + 1)]
            columns += list(np.where(contact > 0, edges[:, TOUCHING].T / contact, np.nan))
            columns += [np.log1p(contact), contact / area_a**0.5, contact / area_b**0.5, np.log(area_a), np.log(area_b)]

            mean_a, mean_b = a[:, LAB].T / area_a, b[:, LAB].T / area_b
            spread_a = np.maximum(a[:, LAB2].T / area_a - mean_a**2, 0) ** 0.5
            spread_b = np.maximum(b[:, LAB2].T / area_b - mean_b**2, 0) ** 0.5
            difference = np.abs(mean_a - mean_b)
            for lab in (difference, spread_a, spread_b):
                columns += [lab[0], np.hypot(lab[1], lab[2])]
            columns += [structure(a), structure(b)]

            normal_a, normal_b = a[:, NORMAL] / area_a[:, None], b[:, NORMAL] / area_b[:, None]
            flat_a, flat_b = np.linalg.norm(normal_a, axis=1) + 1e-6, np.linalg.norm(normal_b, axis=1) + 1e-6
            between = a[:, POINT] / area_a[:, None] - b[:, POINT] / area_b[:, None]
            columns += [flat_a, flat_b, (normal_a * normal_b).sum(1) / flat_a / flat_b]
            columns += [np.abs((between * normal_a).sum(1)) / flat_a, np.abs((between * normal_b).sum(1)) / flat_b]
            columns += [normal_a[:, 2], normal_b[:, 2]]
            columns += box_features((low[0][:, AXIS], low[1][:, AXIS]), (high[0][:, AXIS], high[1][:, AXIS]))
            said = edges[:, BORDERS].reshape(len(edges), KINDS, 2)
            columns += list(((said[:, :, 1] + 0.5 * DOUBT) / (said[:, :, 0] + DOUBT)).T)
            lengths = [principal_lengths_of(x) for x in (a, b, a + b)]
            columns += axis_features(*lengths)
            columns += [a[:, SHARE] / area_a, b[:, SHARE] / area_b]
            columns += [np.where(contact > 0, edges[:, ONE_LABEL] / contact, 0)]
            near, distance = edges[:, NEAR].T
            columns += [np.log1p(near), near / area_a**0.5, distance / near]
            columns += _contact_features((a, b), low, high, edges, lengths)
            columns += _shape_features(low, high, (area_a, area_b))
            difference = appearance(a) - appearance(b)
            columns += [np.linalg.norm(part, axis=1) for part in (difference, difference[:, :FIRST_CHANNELS])]
        return np.stack(columns, axis=1)

    def piece_features(self, nodes: Floats, low: Floats, high: Floats) -> Floats:
        """As `Graph.piece_features`."""
        area, normal, mean = nodes[:, AREA], nodes[:, NORMAL].T / nodes[:, AREA], nodes[:, LAB].T / nodes[:, AREA]
        spread = np.maximum(nodes[:, LAB2].T / area - mean**2, 0) ** 0.5
        width, height = np.sort((high - low)[:, :2], axis=1), (high - low)[:, UP]
        box = _box(low, high, area)
        columns = [
            np.log(area), *mean, *spread, normal[2], np.linalg.norm(normal, axis=0), low[:, UP], high[:, UP],
            *np.log(width + UNIT_M).T, np.log(height + UNIT_M), *np.log(principal_lengths_of(nodes) + 0.005).T,
            nodes[:, SHARE] / area, structure(nodes), np.log(nodes[:, SEEN_WELL] / area),
            *np.log(box[:2] + UNIT_M), box[3], *appearance(nodes).T,
        ]  # fmt: skip
        return np.stack(columns, axis=1)

    def object_features(
        self, nodes: Floats, low: Floats, high: Floats, doubts: Floats, missing: Floats, contact: Floats
    ) -> Floats:
        """As `Graph.object_features`."""
        area, extent = nodes[:, AREA], np.sort((high - low)[:, AXIS], axis=1)
        box = _box(low, high, area)
        columns = [
            np.log(area), nodes[:, SHARE] / area, np.log(nodes[:, SEEN_WELL] / area), *doubts.T, missing / area,
            structure(nodes), np.linalg.norm(nodes[:, NORMAL], axis=1) / area, *np.log(extent + UNIT_M).T,
            *np.log(principal_lengths_of(nodes) + 0.005).T, contact / np.sqrt(area), np.log1p(nodes[:, SEEN]),
            *np.log(box[:2] + UNIT_M), box[3],
        ]  # fmt: skip
        return np.stack(columns, axis=1)


def _contact_features(nodes: Two, low: Two, high: Two, edges: Floats, lengths: Sequence[Floats]) -> list[Floats]:
    """Of pairs, the smaller piece first: how far apart their boxes are; where the contact is, from the middle of each
    (in its length) and above its lowest point (in its height); how long and how broad the contact is by the smaller
    piece. A thing that stands on another touches it below, what lies in its middle is touched all around.

    lengths: `principal_lengths` of the first, of the second
    """
    contact = edges[:, CONTACT]
    where = edges[:, WHERE] / contact[:, None]
    columns = [np.linalg.norm(np.maximum(np.maximum(low[0] - high[1], low[1] - high[0])[:, AXIS], 0), axis=1)]
    for piece, length in zip(nodes, lengths):
        aside = np.linalg.norm(where - piece[:, POINT] / piece[:, [AREA]], axis=1)
        columns.append(aside / (length[:, 2] + UNIT_M))
    for bottom, top in zip(low, high):
        columns.append((where[:, UP] - bottom[:, UP]) / (top[:, UP] - bottom[:, UP] + UNIT_M))
    touching = contact > 0
    of_contact = principal_lengths(np.where(touching, contact, 1), edges[:, WHERE], edges[:, WHERE_PRODUCTS])
    for k in (2, 1):
        columns.append(np.where(touching, of_contact[:, k] / (lengths[0][:, k] + UNIT_M / 2), np.nan))
    return columns


def _shape_features(low: Two, high: Two, area: Two) -> list[Floats]:
    """Of pairs, the smaller piece first: how far apart they are along the direction in which they are farthest (m,
    negative: they overlap along all), the mean and the least share of the first's extents that the second covers,
    `_box` of both and of the two together, and how much larger the last is.
    """
    (low_a, low_b), (high_a, high_b) = low, high
    separation = np.maximum(low_a - high_b, low_b - high_a).max(1)
    common = np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0)
    covered = (common + UNIT_M) / (high_a - low_a + UNIT_M)
    joined = _box(np.minimum(low_a, low_b), np.maximum(high_a, high_b), area[0] + area[1])
    boxes = [_box(low_a, high_a, area[0]), _box(low_b, high_b, area[1]), joined]
    first, second, both = ((box[:3] + UNIT_M).prod(0) for box in boxes)
    sides = [box[k] for box in boxes for k in (0, 1, 3)]
    return [separation, covered.mean(1), covered.min(1), *sides, np.log(both / second), np.log(both / (first + second))]


def _box(low: Floats, high: Floats, area: Floats) -> Floats:
    """(4, n) Of the upright box around a piece that covers least ground: width, length and height (m); and the piece's
    area as a share of the box's."""
    extent = high - low
    sides = np.sort(extent[:, SIDES], axis=2)
    width, length = sides[np.arange(len(sides)), sides.prod(2).argmin(1)].T
    x, y, z = (side + UNIT_M for side in (width, length, extent[:, UP]))
    return np.stack([width, length, extent[:, UP], area * UNIT_M**2 / (2 * (x * y + x * z + y * z))])
