"""Ids across labellings: growth, renumbering, merging, splitting, vanishing, coming back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.clouds.neighbours import cells_of
from gcseg_ros.instances.identity import Identities, difference

VOXEL_M = 0.05


def line(cells):
    """One point in each of so many cells, in a row."""
    return np.column_stack([(np.arange(cells) + 0.5) * VOXEL_M, np.zeros(cells), np.zeros(cells)])


def ids_of(identities, labels):
    labels = np.asarray(labels)
    return identities(line(len(labels)), labels).tolist()


LABELLINGS = st.lists(st.integers(0, 6), min_size=1, max_size=60)


@given(LABELLINGS, st.permutations(range(1, 7)))
def test_renumbering_changes_nothing(labels, permutation):
    identities = Identities(VOXEL_M)
    before = ids_of(identities, labels)
    assert ids_of(identities, np.append(0, permutation)[labels]) == before


@given(st.lists(LABELLINGS, min_size=1, max_size=4))
def test_one_instance_one_id_and_none_is_none(labellings):
    identities = Identities(VOXEL_M)
    for labels in labellings:
        ids = ids_of(identities, labels)
        pairs = set(zip(labels, ids))
        assert len(pairs) == len(set(labels)) == len(set(ids))
        assert all((label == 0) == (id == 0) for label, id in pairs)
        assert max(ids) <= identities.given


@given(st.lists(st.integers(1, 5), min_size=1, max_size=60), st.integers(1, 60))
def test_an_object_grows_under_its_id(labels, seen):
    """What was seen first keeps its id however much more of it comes into view; what is new has a new id."""
    identities = Identities(VOXEL_M)
    first = ids_of(identities, labels[:seen])
    later = ids_of(identities, labels)
    assert later[: len(first)] == first
    old = dict(zip(labels[:seen], first))
    assert all(id == old.get(label, id) and (label in old or id not in first) for label, id in zip(labels, later))


@given(LABELLINGS, LABELLINGS)
def test_where_nothing_was_shown_before_ids_are_new(before, now):
    identities = Identities(VOXEL_M)
    first = ids_of(identities, before)
    now = np.asarray(now)
    second = identities(line(len(now)) + np.array([0, 1, 0]), now)
    assert not set(first) & set(second.tolist()) - {0}


@given(LABELLINGS)
def test_what_is_lost_for_a_while_comes_back_under_its_id(labels):
    identities = Identities(VOXEL_M)
    before = ids_of(identities, labels)
    ids_of(identities, np.zeros(len(labels), int))
    assert ids_of(identities, []) == []
    assert ids_of(identities, labels) == before


def test_a_merger_has_the_id_of_the_larger_and_can_be_undone():
    identities = Identities(VOXEL_M)
    apart, together = [1] * 6 + [2] * 4, [5] * 10
    assert ids_of(identities, apart) == apart
    assert ids_of(identities, together) == [1] * 10
    assert ids_of(identities, together) == [1] * 10
    assert ids_of(identities, apart) == apart


def test_of_what_is_split_the_larger_part_keeps_the_id():
    identities = Identities(VOXEL_M)
    assert ids_of(identities, [1] * 10) == [1] * 10
    assert ids_of(identities, [1] * 4 + [2] * 6) == [2] * 4 + [1] * 6


def test_a_neighbour_does_not_inherit_the_id_of_what_vanishes():
    identities = Identities(VOXEL_M)
    ids_of(identities, [1] * 10 + [2] * 10)
    assert ids_of(identities, [0] * 9 + [2] * 11) == [0] * 9 + [2] * 11
    assert ids_of(identities, [0] * 9 + [3] * 2 + [0] * 9) == [0] * 9 + [2] * 2 + [0] * 9


def test_points_of_one_cell_may_disagree():
    identities = Identities(VOXEL_M)
    points = np.repeat(line(3), 2, axis=0)
    assert identities(points, np.array([1, 2] * 3)).tolist() == [1, 2] * 3


def test_the_longest_dormant_are_forgotten():
    identities = Identities(VOXEL_M, most_dormant=1)
    assert ids_of(identities, [1, 1, 1, 2, 2, 2]) == [1, 1, 1, 2, 2, 2]
    ids_of(identities, [0, 0, 0, 2, 2, 2])
    ids_of(identities, [0, 0, 0, 0, 0, 0])
    assert len(identities) == 1
    assert ids_of(identities, [1, 1, 1, 2, 2, 2]) == [3, 3, 3, 2, 2, 2]


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.0, 0.2))
def test_noise_at_the_borders_switches_nothing(seed, noise):
    """Twelve blocks of 20 cells whose labels are noisy and numbered anew each time."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(1, 13), 20)
    identities, first = Identities(VOXEL_M), None
    for _ in range(4):
        noisy = np.where(rng.random(truth.size) < noise, rng.integers(0, 13, truth.size), truth)
        ids = identities(line(truth.size), np.append(0, rng.permutation(100)[:12] + 1)[noisy])
        most = [int(np.bincount(ids[truth == block]).argmax()) for block in range(1, 13)]
        first = first or most
        assert most == first


@given(st.lists(st.tuples(*[st.integers(-(10**6), 10**6)] * 3), min_size=2, max_size=2, unique=True))
def test_cells_are_told_apart(pair):
    here, there = (np.array(pair) + 0.5) * VOXEL_M
    assert cells_of(here[None], VOXEL_M) != cells_of(there[None], VOXEL_M)
    assert cells_of(here[None], VOXEL_M) == cells_of(here[None] + 0.02, VOXEL_M)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [([], [], 0), ([1], [], 1), ([], [1], 1), ([1, 2], [2, 1], 0), ([1, 2, 3], [2], 2 / 3)],
)
def test_difference(before, now, expected):
    assert difference(np.array(before, np.uint64), np.array(now, np.uint64)) == pytest.approx(expected)
