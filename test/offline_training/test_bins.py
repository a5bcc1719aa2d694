"""Bins of features that boosted trees are fitted to: those that scikit-learn finds, and its trees."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from offline_training.joining.bins import BINS, Bins
from offline_training.joining.training import as_trees


def several(n: int) -> np.ndarray:
    """(n, 5) all different, with ties, sometimes not known, all the same, all the same and sometimes not known. Fractions, halfway
    between which is another one exactly."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 5)).astype(np.float32).astype(float)
    x[:, 1] = (x[:, 1] * 128).round() / 128
    x[:, 3:] = 7
    x[:, 2::2][rng.random((n, 2)) < 0.2] = np.nan
    return x


@pytest.mark.parametrize("most", [1, 9, 200])
def test_a_weight_counts_as_so_many_samples(most):
    """Also none. Of samples that are there so often scikit-learn takes numpy's quantiles."""
    x = several(1530)
    weights = np.random.default_rng(2).geometric(2 / (1 + most), len(x)) - (most > 1)
    edges = Bins.of(x, weights.astype(float)).edges
    assert len(edges[0]) > 150
    for column, found in zip(x.T, edges):
        samples = np.repeat(column, weights)
        samples = samples[~np.isnan(samples)]
        wanted = np.percentile(samples, np.linspace(0, 100, BINS + 1)[1:-1], method="averaged_inverted_cdf")
        assert np.isin(found, wanted).all()
        bins, others = np.searchsorted(found, samples), np.searchsorted(np.unique(wanted), samples)
        assert len(np.unique(np.stack([bins, others]), axis=1).T) == len(np.unique(others)) == len(found) + 1


def test_few_values_are_parted_halfway():
    x = np.array([3.0, 1, np.nan, 1, 8, 5])[:, None]
    assert Bins.of(x, np.array([1.0, 1, 1, 5, 1, 0])).edges[0].tolist() == [2, 5.5]


def test_trees_of_bins_are_the_trees_of_the_features():
    """Of few values, which scikit-learn of every version parts halfway."""
    rng, x = np.random.default_rng(3), several(2000).round(1)
    same = np.nansum(x[:, :3], axis=1) + np.isnan(x[:, 2:]).sum(1) + rng.normal(size=len(x)) > 0.5
    weights = np.exp(rng.normal(size=len(x)) * 2)
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0)
    wanted = as_trees(model.fit(x, same, weights)).arrays()
    assert np.isinf(wanted["threshold"]).any(), "a split by whether a feature is known"
    bins = Bins.of(x, weights)
    found = bins.undo(as_trees(model.fit(bins(x), same, weights)))
    for name, array in found.arrays().items():
        assert np.array_equal(array, wanted[name]), name
