"""Pairs of labels, against a loop over pixels."""

from collections import Counter

import numpy as np
import pytest

from gcseg_ros.tracking.label_pairs import DEPTH_TOLERANCE_M, REACH_PX, pair_codes, pairs_of, touching


@pytest.mark.parametrize("shape", [(9, 12), (2, 7), (1, 1)])
def test_labels_that_touch_by_the_letter(shape):
    rng = np.random.default_rng(0)
    labels, depth_m = rng.integers(0, 4, shape, np.int32), rng.uniform(1, 1.1, shape).astype(np.float32)
    for depth in (None, depth_m):
        expected = Counter()
        for (v, u), label in np.ndenumerate(labels):
            for i, j in ((v + REACH_PX, u), (v, u + REACH_PX)):
                if i >= shape[0] or j >= shape[1] or label == labels[i, j] or 0 in (label, labels[i, j]):
                    continue
                if depth is None or abs(depth[v, u] - depth[i, j]) < DEPTH_TOLERANCE_M:
                    expected[min(label, labels[i, j]), max(label, labels[i, j])] += 1
        pairs, contact = touching(labels, depth)
        assert dict(zip(map(tuple, pairs.tolist()), contact.tolist())) == expected
        assert pairs.tolist() == sorted(pairs.tolist())


def test_codes_give_the_pairs_back():
    one, other = np.array([1, 65535, 70000]), np.array([2, 3, 0])
    assert pairs_of(pair_codes(one, other)).tolist() == [[1, 2], [3, 65535], [0, 70000]]
