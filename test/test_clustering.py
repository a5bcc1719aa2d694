"""DBSCAN against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.clustering import dbscan, radius_graph


def assert_same_clusters(found, expected):
    np.testing.assert_array_equal(found > 0, expected > 0)
    pairs = np.unique(np.stack([found, expected]), axis=1)
    assert pairs.shape[1] == len(np.unique(found)) == len(np.unique(expected))


@given(seed=st.integers(0, 10_000), n=st.integers(0, 300), min_points=st.integers(1, 8), part=st.booleans())
def test_dbscan_equals_scikit_learns(seed, n, min_points, part):
    """Of a whole cloud, and of a part of it as if the rest were not there."""
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(seed)
    points = rng.random((n, 3)) * 0.5
    members = np.flatnonzero(rng.random(n) < 0.6) if part else None
    found = dbscan(radius_graph(points, 0.07), min_points, members)
    alone = points if members is None else points[members]
    model = cluster.DBSCAN(eps=0.07, min_samples=min_points)
    assert_same_clusters(found, model.fit_predict(alone) + 1 if len(alone) else np.zeros(0))
