"""DBSCAN against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.clouds.clustering import Cells, dbscan


def assert_same_clusters(found, expected):
    np.testing.assert_array_equal(found > 0, expected > 0)
    pairs = np.unique(np.stack([found, expected]), axis=1)
    assert pairs.shape[1] == len(np.unique(found)) == len(np.unique(expected))


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 300),
    radius_m=st.sampled_from((0.03, 0.07, 0.2)),
    min_points=st.integers(1, 8),
    part=st.booleans(),
)
def test_dbscan_equals_scikit_learns(seed, n, radius_m, min_points, part):
    """Of a whole cloud, and of a part of it as if the rest were not there."""
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(seed)
    points = rng.random((n, 3)) * 0.5
    members = np.flatnonzero(rng.random(n) < 0.6) if part else None
    found = dbscan(Cells.of(points, radius_m), min_points, members)
    alone = points if members is None else points[members]
    model = cluster.DBSCAN(eps=radius_m, min_samples=min_points)
    assert_same_clusters(found, model.fit_predict(alone) + 1 if len(alone) else np.zeros(0))


@pytest.mark.parametrize("radius_m", [0.95, 1000])
def test_memory_does_not_grow_with_the_radius(radius_m):
    """0.95 m is Mask3D's published eps: at 2 cm a room's points have so many neighbours that their pairs took gigabytes."""
    plane = np.stack(np.meshgrid(np.arange(100), np.arange(100)), -1).reshape(-1, 2) * 0.02
    points = np.concatenate([np.column_stack([plane, np.full(len(plane), height)]) for height in (0, 2000)])
    cells = Cells.of(points, radius_m)
    assert cells.near.nnz < len(points)
    assert_same_clusters(dbscan(cells, 5), np.repeat([1, 2], len(plane)))
