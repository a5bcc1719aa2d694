"""What the boundary network says about pairs of labels."""

import numpy as np
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.masks.boundary_network import AFFINITY_OFFSETS, BoundaryMaps
from gcseg_ros.masks.proposals import Proposals
from gcseg_ros.state import Saved
from gcseg_ros.tracking.borders import REACHES, Borders
from gcseg_ros.tracking.evidence import Evidence

HEIGHT, WIDTH = 40, 100
DEPTH = np.ones((HEIGHT, WIDTH), np.float32)


def halves(left: int, right: int) -> np.ndarray:
    labels = np.full((HEIGHT, WIDTH), left, np.int32)
    labels[:, WIDTH // 2 :] = right
    return labels


def maps(boundary: float, affinity: float) -> BoundaryMaps:
    """A boundary along the middle, and the same affinity everywhere."""
    line = np.zeros((HEIGHT, WIDTH), np.float32)
    line[:, WIDTH // 2] = boundary
    affinities = np.full((len(AFFINITY_OFFSETS), HEIGHT // 2, WIDTH // 2), affinity, np.float32)
    return BoundaryMaps(line, affinities, np.zeros((HEIGHT, WIDTH), np.float32))


def test_sums_of_a_straight_contact():
    borders = Borders()
    borders.add(halves(4, 2), maps(boundary=0.75, affinity=0.25), DEPTH)
    assert list(borders.row_of) == [(2, 4)]
    looked_at, said = borders.sums[0].T
    assert looked_at[0] == 3 * HEIGHT  # pixels 3 apart on both sides of the line
    assert said[0] == pytest.approx(0.75 * looked_at[0])
    for kind, reach in enumerate(REACHES, 1):
        rows = HEIGHT // 2
        assert looked_at[kind] == reach * rows + 2 * reach * (rows - reach)  # to the right, and along both diagonals
        assert said[kind] == pytest.approx(0.25 * looked_at[kind])


@pytest.mark.parametrize("shape", [(1, 90), (2, 90), (24, 90), (90, 2), (90, 24), (1, 1)])
def test_images_smaller_than_the_reach(shape):
    height, width = shape
    labels = np.where(np.arange(height * width).reshape(shape) % max(width, 2) < width / 2, 1, 2).astype(np.int32)
    affinities = np.full((len(AFFINITY_OFFSETS), -(-height // 2), -(-width // 2)), 0.5, np.float32)
    plain = np.ones(shape, np.float32)
    borders, evidence = Borders(), Evidence()
    said = BoundaryMaps(plain, affinities, plain)
    borders.add(labels, said, plain)
    evidence.add(labels, Proposals(labels, (labels,), said), plain)
    assert len(borders) == (width > 2)


def test_views_add_up_and_nothing_is_said_of_pixels_without_label_or_depth():
    borders = Borders()
    for _ in range(3):
        borders.add(halves(1, 2), maps(1, 1), DEPTH)
    once = Borders()
    once.add(halves(1, 2), maps(1, 1), DEPTH)
    assert np.array_equal(borders.sums, 3 * once.sums)
    nothing = Borders()
    nothing.add(halves(1, 0), maps(1, 1), DEPTH)
    nothing.add(halves(1, 2), maps(1, 1), 0 * DEPTH)
    assert len(nothing) == 0


def test_what_is_forgotten_was_never_seen():
    with_five, without = Borders(), Borders()
    with_five.add(halves(1, 5), maps(1, 1), DEPTH)
    for borders in (with_five, without):
        borders.add(halves(1, 2), maps(0.5, 0.5), DEPTH)
    with_five.forget({5, 6})
    for borders in (with_five, without):
        borders.add(halves(2, 3), maps(1, 1), DEPTH)
    for name, value in without.state().items():
        np.testing.assert_array_equal(with_five.state()[name], value)


def test_a_step_in_depth_is_no_contact():
    depth = DEPTH.copy()
    depth[:, WIDTH // 2 :] = 2.0
    borders = Borders()
    borders.add(halves(1, 2), maps(1, 1), depth)
    assert borders.sums[0, 0, 0] == 0 < borders.sums[0, 1, 0]


def test_many_pairs_and_the_way_to_a_file_and_back():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.permutation(24 * 16).reshape(16, 24) + 1, np.ones((5, 5), int)).astype(np.int32)[:80, :120]
    said = BoundaryMaps(
        rng.random(labels.shape, np.float32), rng.random((len(AFFINITY_OFFSETS), 40, 60), np.float32), 0 * labels
    )
    borders = Borders()
    borders.add(labels, said, np.ones(labels.shape, np.float32))
    assert len(borders) > 300
    again = Borders()
    again.restore(Saved("here", 24 * 16, borders.state()))
    assert again.row_of == borders.row_of
    assert np.array_equal(again.sums, borders.sums)
    borders.add(labels, said, np.ones(labels.shape, np.float32))
    again.add(labels, said, np.ones(labels.shape, np.float32))
    assert np.array_equal(again.sums, borders.sums)


@pytest.mark.parametrize("pairs", [[[2, 1]], [[1, 2], [1, 2]], [[1, 9]]])
def test_a_file_with_impossible_pairs_is_refused(pairs):
    state = {"pairs": np.array(pairs, np.int64), "sums": np.zeros((len(pairs), 1 + len(REACHES), 2))}
    with pytest.raises(UserError):
        Borders().restore(Saved("here", 5, state))
