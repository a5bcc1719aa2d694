"""The voxel map: lifting, votes, bounded slots, growth; against a dictionary that does the same slowly."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.config import MapConfig
from gcseg_ros.frames import CameraIntrinsics, back_project
from gcseg_ros.mapping.voxel_map import EXTENT, SLOTS, VoxelMap, _find, _key, _vote, corner
from gcseg_ros.views import View

CAMERA = CameraIntrinsics(40, 30, 40, 40, 19.5, 14.5)


def view(depth: np.ndarray, pose: np.ndarray | None = None) -> View:
    depth = depth.astype(np.float32)
    h, w = depth.shape
    grey = np.full((h, w, 3), 50, np.float32)
    normals = np.zeros((h, w, 3), np.float32)
    normals[..., 2] = -1
    pose = np.eye(4) if pose is None else pose
    colour = grey.astype(np.uint8)
    return View("0", colour, depth, depth, normals, grey, CAMERA.scaled(w, h), pose, colour)


def test_points_land_in_their_voxels():
    depth = np.full((30, 40), 2.0)
    voxels = VoxelMap(MapConfig(voxel_m=0.05))
    voxels.integrate(view(depth), np.ones((30, 40), np.int32))
    points = back_project(depth, CAMERA, np.eye(4)).reshape(-1, 3)
    assert len(voxels) == len(np.unique(np.floor(points / 0.05), axis=0))
    surface = voxels.surface()
    np.testing.assert_allclose(surface.points[:, 2], 2.0, rtol=1e-5)
    assert (surface.label == 1).all()
    np.testing.assert_allclose(surface.lab, 50, rtol=1e-5)


@pytest.mark.parametrize("far_m", [0.0, 300.0, -9000.0])
def test_a_camera_that_stands_still_far_from_the_origin_knows_points_to_a_millimetre(far_m):
    """Sums of float32 metres from the origin would be rounded by centimetres, and always the same way."""
    pose, rng, voxels = np.eye(4), np.random.default_rng(0), VoxelMap(MapConfig())
    pose[:3, 3] = far_m, 0.7 * far_m, 1.0
    for _ in range(300):
        voxels.integrate(view(1 + 0.002 * rng.normal(size=(30, 40)), pose), np.zeros((30, 40), np.int32))
    offset = voxels.surface().points.astype(np.float64) - np.column_stack(corner(voxels.state()["key"], voxels.voxel_m))
    assert ((offset > -0.001) & (offset < voxels.voxel_m + 0.001)).all(), "a mean of points is in their voxel"


def test_whether_points_were_seen_among_the_first_voxels_costs_the_frame_and_not_the_map():
    voxels, near, far = VoxelMap(MapConfig()), view(np.full((30, 40), 2.0)), view(np.full((30, 40), 3.0))
    voxels.integrate(near, np.zeros((30, 40), np.int32))
    first = len(voxels)
    voxels.integrate(far, np.zeros((30, 40), np.int32))
    assert voxels.known(near, first).all()
    assert not voxels.known(far, first).any()
    assert voxels.known(far, len(voxels)).all()
    tracemalloc.start()
    voxels.known(far, first)
    assert tracemalloc.get_traced_memory()[1] < len(voxels.labels), "not a byte a voxel that the map has room for"
    tracemalloc.stop()


def test_the_label_is_the_most_voted_and_the_share_says_how_clearly():
    depth = np.full((30, 40), 2.0)
    voxels = VoxelMap(MapConfig())
    for label in (5, 5, 5, 9):
        voxels.integrate(view(depth), np.full((30, 40), label, np.int32))
    surface = voxels.surface()
    assert (surface.label == 5).all()
    np.testing.assert_allclose(surface.share, 0.75, rtol=1e-4)


def test_a_label_that_is_forgotten_leaves_the_others_as_they_were():
    depth = np.full((30, 40), 2.0)
    with_five, without = VoxelMap(MapConfig()), VoxelMap(MapConfig())
    for voxels, label in [(v, label) for v in (with_five, without) for label in (5, 5, 5, 9, 9, 2)]:
        voxels.integrate(view(depth), np.full((30, 40), label if voxels is with_five or label != 5 else 0, np.int32))
    assert with_five.led(9)[[2, 5, 9]].tolist() == [0, len(with_five), 0]
    with_five.forget({5, 6}, 9)
    assert with_five.led(9)[[2, 5, 9]].tolist() == [0, 0, len(with_five)]
    np.testing.assert_array_equal(with_five.labels, without.labels)
    np.testing.assert_array_equal(with_five.votes, without.votes)


def test_look_up_sees_only_what_is_there():
    depth = np.full((30, 40), 2.0)
    voxels = VoxelMap(MapConfig())
    voxels.integrate(view(depth), np.full((30, 40), 3, np.int32))
    assert (voxels.look_up(view(depth).depth_m, view(depth)) == 3).all()
    closer = view(depth - 0.5)
    assert not voxels.look_up(closer.depth_m, closer).any()


def test_unlabelled_pixels_add_surface_but_no_vote():
    voxels = VoxelMap(MapConfig())
    voxels.integrate(view(np.full((30, 40), 2.0)), np.zeros((30, 40), np.int32))
    assert len(voxels) > 0
    assert not voxels.surface().label.any()


def test_mask_edges_can_be_kept_from_voting():
    halves = np.ones((30, 40), np.int32)
    halves[:, 20:] = 2
    for vote, unlabelled in ((True, 0), (False, 2)):
        voxels = VoxelMap(MapConfig(voxel_m=0.04, mask_edges_vote=vote))
        voxels.integrate(view(np.full((30, 40), 1.61)), halves)  # a pixel is a voxel
        surface = voxels.surface()
        columns = {float(x) for x in surface.points[surface.label == 0][:, 0].round(3)}
        assert len(columns) == unlabelled


def test_memory_follows_the_surface_not_the_time():
    voxels = VoxelMap(MapConfig())
    depth = view(np.full((30, 40), 2.0))
    voxels.integrate(depth, np.ones((30, 40), np.int32))
    count, size = len(voxels), len(voxels.keys)
    for i in range(200):
        voxels.integrate(depth, np.full((30, 40), i % 50 + 1, np.int32))
    assert (len(voxels), len(voxels.keys)) == (count, size)


def test_a_camera_that_stands_for_hours_moves_nothing():
    """Float32 sums of millions of points round to elsewhere."""
    depth = np.full((30, 40), 1.0)
    depth[15:, 20:] = 0
    pose = np.eye(4)
    pose[0, 3] = 5.3
    voxels = VoxelMap(MapConfig(voxel_m=0.5))
    for _ in range(2000):
        voxels.integrate(view(depth, pose), np.ones((30, 40), np.int32))
    before = voxels.surface()
    assert before.weight.max() > 60_000
    for _ in range(20_000):
        voxels.integrate(view(depth, pose), np.full((30, 40), 2, np.int32))
    after = voxels.surface()
    assert np.abs(after.points - before.points).max() < 0.01
    assert np.abs(np.linalg.norm(after.normals, axis=1) - 1).max() < 1e-3
    assert (after.label == 2).all()


@pytest.mark.parametrize(("views", "shape"), [(1, (480, 640)), (3, (300, 400))])
def test_views_of_which_every_pixel_is_a_new_voxel(views, shape):
    voxels = VoxelMap(MapConfig(voxel_m=0.001))
    pose = np.eye(4)
    for label in range(1, views + 1):
        pose[2, 3] += 10
        voxels.integrate(view(np.full(shape, 2.0), pose.copy()), np.full(shape, label, np.int32))
    assert len(voxels) == views * shape[0] * shape[1]
    assert np.array_equal(np.unique(voxels.surface().label), np.arange(1, views + 1))


def test_growing_loses_nothing():
    voxels = VoxelMap(MapConfig(voxel_m=0.01))
    pose = np.eye(4)
    first = None
    while len(voxels.keys) == 1 << 18:
        voxels.integrate(view(np.full((30, 40), 2.0), pose.copy()), np.full((30, 40), 4, np.int32))
        first = first or len(voxels)
        pose[1, 3] += 2.0
    here = view(np.full((30, 40), 2.0))
    assert (voxels.look_up(here.depth_m, here) == 4).all()
    assert (voxels.surface().label == 4).all()


def test_points_far_outside_are_left_out_rather_than_wrapped():
    pose = np.eye(4)
    pose[0, 3] = 1e7
    voxels = VoxelMap(MapConfig())
    voxels.integrate(view(np.full((30, 40), 2.0), pose), np.ones((30, 40), np.int32))
    assert len(voxels) == 0


@given(st.integers(-EXTENT + 1, EXTENT - 1), st.integers(-EXTENT + 1, EXTENT - 1), st.integers(-EXTENT + 1, EXTENT - 1))
@settings(deadline=None)
def test_keys_are_unique_and_undone_by_their_bits(i, j, k):
    key = _key(i + 0.5, j + 0.5, k + 0.5, 1.0)
    assert (key >> 42) - EXTENT == i
    assert ((key >> 21) & (2 * EXTENT - 1)) - EXTENT == j
    assert (key & (2 * EXTENT - 1)) - EXTENT == k


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=40, unique=True))
@settings(deadline=None)
def test_the_hash_finds_what_was_put_in(keys):
    table = np.full(64, -1, np.int64)
    for key in keys:
        slot = _find(table, key)
        assert table[slot] == -1
        table[slot] = key
    assert all(table[_find(table, key)] == key for key in keys)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=200))
@settings(deadline=None)
def test_a_label_with_more_than_a_fifth_of_the_votes_is_never_lost(votes):
    """Misra-Gries: with k slots every label above 1/(k+1) of the votes survives; the slots stay sorted."""
    labels, counts = np.zeros(SLOTS, np.int32), np.zeros(SLOTS, np.float32)
    for label in votes:
        _vote(labels, counts, label, np.float32(1))
    for label in set(votes):
        if votes.count(label) > len(votes) / (SLOTS + 1) + 1:
            assert label in labels
    assert (np.diff(counts) <= 0).all()
