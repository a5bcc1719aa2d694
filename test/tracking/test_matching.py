"""Eq. 9 against brute force over all one-to-one assignments."""

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.tracking.matching import iou_of_counts, match


@given(st.integers(0, 100_000), st.integers(1, 5), st.integers(1, 5), st.floats(0.05, 0.9))
def test_no_assignment_is_better(seed, n, m, threshold):
    iou = np.random.default_rng(seed).random((n, m))
    pairs = match(iou, threshold)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(iou[i, j] > threshold for i, j in pairs)
    wide = iou if n <= m else iou.T
    allowed = np.where(wide > threshold, wide, 0)
    best = max(sum(allowed[i, j] for i, j in enumerate(p)) for p in permutations(range(wide.shape[1]), len(wide)))
    assert np.isclose(sum(iou[i, j] for i, j in pairs), best)


def test_iou_by_hand():
    assert iou_of_counts(np.array([[2, 0]]), np.array([4]), np.array([2, 0])).tolist() == [[0.5, 0.0]]


def test_nothing_to_match():
    assert match(np.zeros((0, 3)), 0.5) == []
    assert match(np.full((2, 2), 0.3), 0.5) == []
