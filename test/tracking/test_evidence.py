"""Granularity by accumulated evidence."""

import numpy as np
import pytest

from gcseg_ros.masks import Proposals
from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS, APPEARANCE_PIXELS, BoundaryMaps
from gcseg_ros.tracking.evidence import Evidence

DEPTH = np.ones((30, 40), np.float32)


def columns(*ids: int) -> np.ndarray:
    """Label image of equally wide columns."""
    return np.repeat(np.array(ids, np.int32), 40 // len(ids))[None].repeat(30, axis=0)


def test_what_masks_join_often_is_one_object():
    evidence = Evidence()
    for i in range(10):
        joined = columns(1, 1, 2, 2) if i % 5 else columns(1, 2, 3, 4)
        evidence.add(columns(11, 12, 13, 14), Proposals(joined, (joined,)), DEPTH)
    find = evidence.join(0.5).of
    assert find(11) == find(12)
    assert find(13) == find(14)
    assert find(11) != find(13)
    assert find(99) == 99


def test_what_is_forgotten_was_never_seen():
    masks = columns(1, 2)
    said = BoundaryMaps(np.zeros_like(DEPTH), np.zeros((0, 15, 20), np.float32), np.full_like(DEPTH, 0.7))
    with_five, without = Evidence(), Evidence()
    for evidence, other in ((with_five, 5), (without, 0)):
        evidence.add(columns(3, other, 7, 9), Proposals(masks, (masks,), said), DEPTH)
    with_five.forget({5, 6})
    assert without.state()["labels"].tolist() == [3, 7, 9]
    for name, value in without.state().items():
        np.testing.assert_array_equal(with_five.state()[name], value)


def test_a_single_view_is_doubted():
    evidence = Evidence()
    evidence.put((1, 2), 1.0, weight=1.0)
    find = evidence.join(0.5).of
    assert find(1) != find(2)


def test_a_chain_is_not_one_object_when_its_ends_disagree():
    """Average linkage: 1-2 and 2-3 are joined by most views, but 1 and 3 are seen apart very often."""
    evidence = Evidence()
    evidence.put((1, 2), 0.9, 20)
    evidence.put((2, 3), 0.7, 20)
    evidence.put((1, 3), 0.0, 100)
    find = evidence.join(0.4).of
    assert find(1) == find(2) != find(3)


def test_labels_at_different_depths_do_not_touch():
    depth = DEPTH.copy()
    depth[:, 20:] = 2.0
    evidence = Evidence()
    evidence.add(columns(1, 2), Proposals(columns(1, 1), (columns(1, 1),)), depth)
    assert len(evidence) == 0


def test_not_allowed_pairs_stay_apart():
    evidence = Evidence()
    evidence.put((1, 2), 1.0, 50)
    find = evidence.join(0.4, allowed=lambda a, b: False).of
    assert find(1) != find(2)


def test_what_is_part_of_the_room_is_not_joined_with_a_thing():
    """Masks say that all three are one; the first two are wall, the third is not."""
    structure = np.repeat(np.array([1, 1, 0], np.float32), 12)[None].repeat(30, axis=0)
    labels = np.repeat(np.array([1, 2, 3], np.int32), 12)[None].repeat(30, axis=0)
    one = np.ones_like(labels)
    said = BoundaryMaps(np.zeros_like(structure), np.zeros((0, 1, 1), np.float32), structure)
    for given, apart in ((said, True), (None, False)):
        evidence = Evidence()
        for _ in range(10):
            evidence.add(labels, Proposals(one, (one,), given), DEPTH[:, :36])
        groups = evidence.join(0.5)
        assert groups.of(1) == groups.of(2)
        assert (groups.of(3) != groups.of(1)) == apart


def test_how_nearly_a_group_was_joined_with_a_neighbour():
    evidence = Evidence()
    evidence.put((1, 2), 0.9, 100)
    evidence.put((2, 3), 0.05, 100)
    evidence.put((4, 5), 0.6, 100)
    evidence.put((5, 6), 0.4, 100)
    groups = evidence.join(0.5)
    assert groups.nearest[1] < 0.1
    assert 0.3 < groups.nearest[4] < 0.5


def test_votes_count_the_less_the_less_alike_two_labels_are():
    evidence = Evidence()
    evidence.put((1, 2), 0.9, 50)
    assert evidence.join(0.5).of(2) == 1
    assert evidence.join(0.5, alike=lambda a, b: 0.3).of(2) == 2


def test_a_label_looks_like_the_mean_of_its_views_by_the_root_of_their_pixels():
    labels = columns(1, 2)
    one = np.ones_like(labels)
    height, width = labels.shape
    evidence = Evidence()
    for of_one in (0.0, 6.0):
        appearance = np.zeros((APPEARANCE_CHANNELS, -(-height // 4), -(-width // 4)), np.float32)
        appearance[:, labels[APPEARANCE_PIXELS] == 1] = of_one
        in_map = labels.copy()
        if of_one:
            in_map[height // 2 :] = 0  # half of it is seen
        maps = BoundaryMaps(
            np.zeros(labels.shape, np.float32), np.zeros((0, 1, 1), np.float32), one.astype(np.float32), appearance
        )
        evidence.add(in_map, Proposals(one, (one,), maps), DEPTH[:, :width])
    pixels = [(in_map[APPEARANCE_PIXELS] == 1).sum() for in_map in (labels, in_map)]
    weight = np.sqrt(pixels)
    assert evidence.appearance[1][0] == pytest.approx(weight.sum())
    assert evidence.appearance[1][1:] / evidence.appearance[1][0] == pytest.approx(6 * weight[1] / weight.sum())
    assert not evidence.appearance[2][1:].any()
    evidence.forget({1})
    assert list(evidence.appearance) == [2]
