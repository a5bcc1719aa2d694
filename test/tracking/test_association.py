"""Algorithm 1, its choices where the paper is silent, and association through the map, on label images drawn by hand."""

import numpy as np
import pytest

from gcseg_ros.config import TrackingConfig
from gcseg_ros.tracking.algorithm1 import Algorithm1
from gcseg_ros.tracking.map_association import MapAssociation
from gcseg_ros.tracking.objects import Objects

NOTHING = np.zeros((40, 40), np.int32)


def box(labels: np.ndarray, id: int, v: slice, u: slice) -> np.ndarray:
    out = labels.copy()
    out[v, u] = id
    return out


def algorithm1(**settings) -> Algorithm1:
    return Algorithm1(TrackingConfig(association="algorithm1", **settings))


def start(associate, detections):
    """The first keyframe: everything is new."""
    objects = Objects(100)
    labels = associate(detections, NOTHING, NOTHING, objects, "0", 0)
    objects.update(np.unique(labels[labels > 0]).tolist(), "0", 0)
    return labels, objects


LEFT, RIGHT = slice(2, 18), slice(22, 38)


@pytest.fixture
def two():
    return box(box(NOTHING, 7, LEFT, LEFT), 3, LEFT, RIGHT)


def test_first_keyframe_makes_new_objects(two):
    labels, objects = start(algorithm1(), two)
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert objects.counts()["active"] == 2
    np.testing.assert_array_equal(labels > 0, two > 0)


def test_a_matched_object_takes_the_detections_mask(two):
    associate = algorithm1()
    labels, objects = start(associate, two)
    moved = np.roll(two, 1, axis=0)  # the propagated masks have drifted by a pixel
    again = associate(moved, labels, NOTHING, objects, "1", 1)
    np.testing.assert_array_equal(again, np.roll(labels, 1, axis=0))


def test_low_iou_is_a_new_object_and_the_old_one_sleeps(two):
    associate = algorithm1(granularity="letter")
    labels, objects = start(associate, two)
    gone = box(two * 0, 1, RIGHT, LEFT)
    again = associate(gone, labels, NOTHING, objects, "1", 1)
    objects.update(np.unique(again[again > 0]).tolist(), "1", 1)
    assert objects.counts() == {"active": 1, "dormant": 2, "terminated": 0}


@pytest.mark.parametrize("dormant_view", ["points", "last_mask"])
def test_a_dormant_object_comes_back_under_its_id(two, dormant_view):
    associate = algorithm1(dormant_view=dormant_view)
    first, objects = start(associate, two)
    only_left = np.where(two == 7, two, 0)
    labels = associate(only_left, first, NOTHING, objects, "1", 1)
    objects.update([1 if (first[LEFT, LEFT] == 1).all() else 2], "1", 1)
    labels = associate(two, labels, first, objects, "2", 2)  # the map still knows both
    np.testing.assert_array_equal(labels, first)


@pytest.mark.parametrize("dormant_view", ["points", "last_mask"])
def test_an_object_that_propagation_lost_within_the_window_keeps_its_id(two, dormant_view):
    associate = algorithm1(dormant_view=dormant_view)
    first, objects = start(associate, two)
    for now, propagated in enumerate((np.where(first == 1, first, 0), NOTHING), start=1):  # one of them, then both
        labels = associate(two, propagated, first, objects, str(now), now)
        objects.update(np.unique(labels[labels > 0]).tolist(), str(now), now)
        np.testing.assert_array_equal(labels, first)
    assert objects.counts() == {"active": 2, "dormant": 0, "terminated": 0}


@pytest.mark.parametrize("dormant_view", ["points", "last_mask"])
def test_a_wall_is_no_mug_because_the_mug_was_before_it(dormant_view):
    """What is small and lies within a detection is not the same object: the IoU decides (Eq. 9), not what is covered."""
    associate = algorithm1(dormant_view=dormant_view, granularity="letter")
    mug = box(NOTHING, 1, slice(4, 14), slice(4, 14))
    first, objects = start(associate, mug)
    objects.update([], "1", 1)
    known = np.where(first > 0, first, 9)  # the map knows all of the wall, as something else
    labels = associate(np.full_like(NOTHING, 5), NOTHING, known, objects, "2", 2)
    assert np.unique(labels).tolist() == [2]


def test_a_part_that_is_propagated_is_not_the_whole():
    associate = algorithm1(granularity="letter")
    part = box(NOTHING, 1, slice(4, 12), slice(4, 12))
    first, objects = start(associate, part)
    labels = associate(box(NOTHING, 8, slice(2, 38), slice(2, 38)), first, NOTHING, objects, "1", 1)
    assert np.unique(labels).tolist() == [0, 2]


def test_dormant_objects_are_matched_together_and_the_best_pairs_win():
    """The older one fits the detection too, the younger one better."""
    associate, objects = algorithm1(dormant_view="last_mask", granularity="letter"), Objects(100)
    older, younger = box(NOTHING, 1, slice(2, 20), slice(2, 38)), box(NOTHING, 1, slice(2, 32), slice(2, 38))
    for mask in (older, younger):
        associate.last_masks[objects.new("0", 0)] = np.packbits(mask > 0), mask.shape
    objects.update([1, 2], "0", 0)
    objects.update([], "1", 1)
    labels = associate(younger, NOTHING, NOTHING, objects, "2", 2)
    assert np.unique(labels).tolist() == [0, 2]


def test_granularity_inside_an_object(two):
    """A seat is detected where a chair is propagated."""
    chair = box(NOTHING, 1, slice(2, 38), slice(2, 38))
    seat = box(NOTHING, 9, slice(10, 18), slice(10, 18))
    for granularity, expected in (("persistent", 1), ("letter", 2)):
        associate = algorithm1(granularity=granularity)
        _, objects = start(associate, chair)
        labels = associate(seat, chair, NOTHING, objects, "1", 1)
        assert np.unique(labels[labels > 0]).tolist() == [expected]


@pytest.mark.parametrize(("granularity", "ids"), [("persistent", [1, 2, 3]), ("letter", [4])])
def test_granularity_over_several_objects(granularity, ids):
    """One detection covers three objects that are propagated."""
    three = np.tile(np.repeat(np.array([1, 2, 3], np.int32), [13, 13, 14]), (40, 1))
    associate = algorithm1(granularity=granularity)
    first, objects = start(associate, three)
    labels = associate(np.full_like(three, 5), first, np.zeros_like(three), objects, "1", 1)
    assert np.unique(labels).tolist() == ids


def test_map_association_follows_the_map(two):
    associate = MapAssociation(TrackingConfig())
    first, objects = start(associate, two)
    labels = associate(two + (two > 0) * 10, NOTHING, first, objects, "1", 1)
    np.testing.assert_array_equal(labels, first)


def test_two_touching_detections_on_one_label_are_two_objects():
    associate = MapAssociation(TrackingConfig())
    whole = box(NOTHING, 1, slice(2, 38), slice(2, 38))
    _, objects = start(associate, whole)
    halves = box(whole, 2, slice(2, 38), slice(24, 38))
    labels = associate(halves, NOTHING, whole, objects, "1", 1)
    assert labels[10, 10] == 1  # the larger piece keeps the id
    assert labels[10, 30] == 2


def test_two_detections_that_an_occluder_cuts_apart_are_one_object():
    associate = MapAssociation(TrackingConfig())
    whole = box(NOTHING, 1, slice(2, 38), slice(2, 38))
    _, objects = start(associate, whole)
    cut = box(box(whole, 2, slice(2, 38), slice(24, 38)), 0, slice(None), slice(18, 24))
    labels = associate(cut, NOTHING, whole, objects, "1", 1)
    assert np.unique(labels).tolist() == [0, 1]


@pytest.mark.parametrize("associate", [MapAssociation(TrackingConfig()), algorithm1()])
def test_no_detections_and_specks(associate):
    objects = Objects(100)
    speck = box(NOTHING, 1, slice(0, 2), slice(0, 2))
    for detections in (NOTHING, speck):
        assert not associate(detections, NOTHING, NOTHING, objects, "0", 0).any()
    assert len(objects) == 0
