"""What masks say of pairs of pieces, against the same in plain numpy."""

import numpy as np
import pytest

from gcseg_ros.segmentation.query_masks import MOST_VOTES, QueryMasks, together_of, voted_pairs


@pytest.fixture
def scene():
    """Objectness (q,), coverage (q, p), areas (p,)."""
    rng = np.random.default_rng(4)
    return rng.uniform(0.1, 1, 40), rng.random((40, 6)) ** 3, rng.uniform(10, 90, 6)


def test_pairs(scene):
    objectness, coverage, areas = scene
    inside = coverage.T * areas[:, None]
    masks = QueryMasks(objectness, inside.sum(0))
    one, other = np.triu_indices(6, 1)
    said = masks.pair_features((areas[one], areas[other]), (inside[one], inside[other]))
    known = dict(zip(QueryMasks.PAIR_NAMES, said, strict=True))
    together = together_of(objectness, coverage)
    assert known["together"] == pytest.approx(together[one, other])
    for row, (a, b) in enumerate(zip(one, other)):
        of_a, of_b = coverage[:, a], coverage[:, b]
        assert known["loosely_smaller"][row] == pytest.approx(np.average(of_b, weights=of_a**2 * objectness))
        assert known["alike"][row] == pytest.approx(
            (objectness * of_a * of_b).sum() / np.sqrt((objectness * of_a**2).sum() * (objectness * of_b**2).sum())
        )
        assert known["strongest"][row] == pytest.approx((objectness * np.minimum(of_a, of_b)).max())
        assert known["dividing"][row] == pytest.approx((objectness * np.abs(of_a - of_b)).max())
        shared = of_a * areas[a] + of_b * areas[b]
        union = inside.sum(0) + areas[a] + areas[b] - shared
        assert known["fit_joined"][row] == pytest.approx((objectness * shared / union).max())
        assert known["sure_larger"][row] == pytest.approx(np.average(objectness, weights=of_b**8))


def test_a_mask_that_is_the_object_fits_it_and_others_do_not():
    coverage = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    areas, objectness = np.array([30.0, 10.0, 20.0]), np.array([0.8, 0.6])
    inside = coverage.T * areas[:, None]
    masks = QueryMasks(objectness, inside.sum(0))
    fit, fit_mean, sure = masks.object_features(np.array([40.0, 20.0]), np.stack([inside[0] + inside[1], inside[2]]))
    assert fit == pytest.approx([0.8, 0.6])
    assert fit_mean == pytest.approx([0.8, 0.6])
    assert sure == pytest.approx([0.8, 0.6])
    assert voted_pairs(objectness, coverage).tolist() == [[0, 1]]


def test_the_number_of_voted_pairs_is_bounded():
    pairs = voted_pairs(np.ones(1), np.ones((1, 200)))
    assert len(pairs) <= 200 * MOST_VOTES
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert voted_pairs(np.zeros(0), np.zeros((0, 0))).shape == (0, 2)
    assert len(voted_pairs(np.ones(1), np.ones((1, 1)))) == 0
