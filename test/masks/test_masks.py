"""`Masks`, pixel counts, and the containment filter (Eq. 1-2), against plain boolean arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.masks import Masks, overlaps
from gcseg_ros.masks.containment import redundant, remove_redundant


def random_masks(seed: int, count: int, shape=(9, 13)) -> Masks:
    rng = np.random.default_rng(seed)
    binary = rng.random((count, *shape)) < rng.random((count, 1, 1))
    return Masks(binary, rng.random(count).astype(np.float32), rng.random(count) < 0.5)


@given(st.integers(0, 10_000), st.integers(0, 6), st.integers(0, 6))
def test_intersections_equal_pairwise_boolean_and(seed, n, m):
    a, b = random_masks(seed, n), random_masks(seed + 1, m)
    expected = np.array([[(x & y).sum() for y in b.binary] for x in a.binary]).reshape(n, m)
    np.testing.assert_array_equal(a.intersections(b), expected)
    np.testing.assert_array_equal(a.area, [x.sum() for x in a.binary])


@given(st.integers(0, 10_000))
def test_overlaps_equal_pairwise_counts(seed):
    rng = np.random.default_rng(seed)
    a = rng.choice([0, 2, 5, 9], (7, 11)).astype(np.int32)
    b = rng.choice([1, 3, 70], (7, 11)).astype(np.int32)
    ids_a, ids_b, counts = overlaps(a, b)
    np.testing.assert_array_equal(ids_a, np.unique(a))
    np.testing.assert_array_equal(ids_b, np.unique(b))
    np.testing.assert_array_equal(counts, [[((a == i) & (b == j)).sum() for j in ids_b] for i in ids_a])


@given(st.integers(0, 10_000))
def test_redundant_masks_by_the_letter_of_eq_1(seed):
    masks = random_masks(seed, 8)
    fine, coarse = masks.filter(masks.fine), masks.filter(~masks.fine)
    expected = [any((m & M).sum() > 0.8 * m.sum() for M in coarse.binary) for m in fine.binary]
    np.testing.assert_array_equal(redundant(fine, coarse, 0.8), expected)
    assert len(remove_redundant(masks, 0.8)) == len(masks) - sum(expected)


def test_a_chair_swallows_its_seat_but_not_the_cup_beside_it():
    chair, seat, cup = np.zeros((3, 10, 10), bool)
    chair[2:8, 2:8] = True
    seat[4:6, 3:7] = True
    cup[4:6, 7:10] = True  # one third on the chair
    masks = Masks(np.stack([chair, seat, cup]), np.ones(3, np.float32), np.array([False, True, True]))
    kept = remove_redundant(masks, 0.8)
    assert kept.area.tolist() == [36, 6]


def test_labels_and_masks_are_two_ways_of_saying_the_same():
    labels = np.array([[0, 4, 4], [7, 7, 0]], np.int32)
    masks = Masks.from_labels(labels)
    np.testing.assert_array_equal(masks.to_labels(), [[0, 1, 1], [2, 2, 0]])


def test_the_smaller_mask_is_on_top():
    big, small = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    small[1, 1] = True
    masks = Masks(np.stack([small, big]), np.array([0.1, 0.9], np.float32), np.zeros(2, bool))
    labels = masks.to_labels()
    assert labels[1, 1] == 1
    assert (labels == 2).sum() == 15


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="binary"):
        Masks(np.ones((2, 2), bool), np.ones(2, np.float32), np.zeros(2, bool))
    with pytest.raises(ValueError, match="score"):
        Masks(np.ones((2, 2, 2), bool), np.ones(1, np.float32), np.zeros(2, bool))
