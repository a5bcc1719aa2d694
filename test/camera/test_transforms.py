"""Trajectories and the tree of frames."""

import timeit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.transforms import SECOND_NS, Trajectory, TransformTree, interpolate


def turn(degrees, x=0.0):
    """Rotation about z, translation along x."""
    T = np.eye(4)
    T[:3, :3], T[0, 3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix(), x
    return T


def random_pose(rng):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.random(random_state=rng).as_matrix(), rng.normal(size=3)
    return T


@given(st.floats(0, 1))
def test_interpolation_is_linear_in_angle_and_translation(share):
    np.testing.assert_allclose(
        interpolate(turn(10, 1), turn(70, 3), share), turn(10 + 60 * share, 1 + 2 * share), atol=1e-12
    )


@given(st.permutations(range(5)))
def test_order_of_arrival_does_not_matter(order):
    track = Trajectory()
    for i in order:
        track.add(i * SECOND_NS // 10, turn(10 * i, i))
    np.testing.assert_allclose(track.at(SECOND_NS // 4), turn(25, 2.5), atol=1e-12)
    np.testing.assert_array_equal(track.at(SECOND_NS // 5), turn(20, 2))


def test_outside_its_range_a_trajectory_gives_only_the_nearest_within_the_tolerance():
    track = Trajectory()
    assert track.at(0, tolerance_s=9) is None
    track.add(SECOND_NS, turn(5))
    assert track.at(SECOND_NS + 10**7) is None
    np.testing.assert_array_equal(track.at(SECOND_NS + 10**7, tolerance_s=0.02), turn(5))
    assert track.at(SECOND_NS - 3 * 10**7, tolerance_s=0.02) is None


def test_no_pose_in_a_gap():
    track = Trajectory(max_gap_s=0.5)
    track.add(0, turn(0))
    track.add(SECOND_NS, turn(90))
    assert track.at(SECOND_NS // 2, tolerance_s=0.02) is None
    np.testing.assert_array_equal(track.at(10**7, tolerance_s=0.02), turn(0))


@pytest.mark.parametrize(("degrees", "x", "known"), [(0, 0.05, True), (4, 0, True), (0, 0.3, False), (90, 0, False)])
def test_a_gap_of_tf_is_bridged_where_the_link_rests_only(degrees, x, known):
    tree = TransformTree()
    tree.add("map", "odom", 0, turn(0), static=True)
    tree.add("odom", "base", 0, turn(0))
    tree.add("odom", "base", SECOND_NS, turn(degrees, x))
    found = tree.lookup("map", "base", SECOND_NS // 2)
    assert (found is not None) == known
    assert tree.in_gap("map", "base", SECOND_NS // 2) == (not known)
    assert tree.lookup("map", "base", SECOND_NS) is not None
    assert not tree.in_gap("map", "base", 2 * SECOND_NS), "a later one may come"
    if known:
        np.testing.assert_allclose(found, turn(degrees / 2, x / 2), atol=1e-12)


def test_the_past_is_forgotten():
    track = Trajectory(keep_s=1)
    for i in range(1000):
        track.add(i * SECOND_NS // 10, turn(i))
    assert len(track) == 11


def test_one_stamp_of_another_clock_does_not_take_what_follows_with_it():
    track = Trajectory(keep_s=20)
    for second in (1, 2, 3600, 3, 4):
        track.add(second * SECOND_NS, turn(second))
    assert track.at(2 * SECOND_NS) is None, "what came before the clock was set back is of another time"
    np.testing.assert_array_equal(track.at(4 * SECOND_NS), turn(4))


def test_poses_without_a_stamp_among_others_do_no_harm():
    """An odometry's while it is lost."""
    track = Trajectory(keep_s=20)
    for i in range(30):
        track.add(10**6 * SECOND_NS + i * SECOND_NS // 30, turn(i))
        if i % 5 == 0:
            track.add(0, turn(0))
            track.add(0, turn(0))
    assert len(track) == 30


def test_a_stamp_that_comes_twice_keeps_the_later_pose():
    track = Trajectory()
    track.add(5, turn(1))
    track.add(5, turn(2))
    np.testing.assert_array_equal(track.at(5), turn(2))


def test_lookup_composes_up_and_down_the_tree():
    rng = np.random.default_rng(0)
    map_odom, odom_base, base_camera, base_arm = (random_pose(rng) for _ in range(4))
    tree = TransformTree()
    tree.add("map", "odom", 0, map_odom, static=True)
    tree.add("/base", "camera", 0, base_camera, static=True)
    tree.add("base", "arm", 0, base_arm, static=True)
    tree.add("odom", "base", 100, odom_base)
    np.testing.assert_allclose(tree.lookup("map", "/camera", 100), map_odom @ odom_base @ base_camera, atol=1e-12)
    np.testing.assert_allclose(tree.lookup("arm", "camera", 7), np.linalg.inv(base_arm) @ base_camera, atol=1e-12)
    np.testing.assert_array_equal(tree.lookup("base", "base", 0), np.eye(4))
    assert tree.frames() == ["arm", "base", "camera", "map", "odom"]


def test_lookup_interpolates_but_does_not_extrapolate():
    tree = TransformTree(max_gap_s=1)
    tree.add("odom", "base", 0, turn(0))
    tree.add("odom", "base", SECOND_NS, turn(90, 2))
    np.testing.assert_allclose(tree.lookup("odom", "base", SECOND_NS // 2), turn(45, 1), atol=1e-12)
    assert tree.lookup("odom", "base", SECOND_NS + 1) is None
    assert tree.lookup("odom", "base", -1) is None


def test_a_link_that_is_late_is_found_out_without_interpolating_the_others():
    tree = TransformTree(max_gap_s=1)
    for child, parent in (("base", "odom"), ("mast", "base"), ("camera", "mast"), ("odom", "map")):
        tree.add(parent, child, 0, turn(0))
        tree.add(parent, child, SECOND_NS if parent != "map" else SECOND_NS // 4, turn(90, 2))
    assert tree.lookup("map", "camera", SECOND_NS // 2) is None

    def quickest(stamp):
        return min(timeit.repeat(lambda: tree.lookup("map", "camera", stamp), number=20, repeat=5))

    assert tree.lookup("map", "camera", SECOND_NS // 8) is not None
    assert quickest(SECOND_NS // 2) < quickest(SECOND_NS // 8) / 5


@pytest.mark.parametrize(("target", "source"), [("map", "base"), ("nowhere", "base"), ("base", "nowhere")])
def test_unconnected_frames_have_no_transform(target, source):
    tree = TransformTree()
    tree.add("odom", "base", 0, turn(0), static=True)
    tree.add("map", "kitchen", 0, turn(0), static=True)
    assert tree.lookup(target, source, 0) is None


def test_a_cycle_ends():
    tree = TransformTree()
    tree.add("a", "b", 0, turn(0), static=True)
    tree.add("b", "a", 0, turn(0), static=True)
    assert tree.lookup("c", "a", 0) is None


def test_a_child_follows_its_newest_parent():
    tree = TransformTree()
    tree.add("odom", "base", 0, turn(10))
    tree.add("lift", "base", 1, turn(20))
    assert tree.lookup("odom", "base", 0) is None
    np.testing.assert_array_equal(tree.lookup("lift", "base", 1), turn(20))


def camera_on_mast(*told):
    """A camera on a mast of a robot in `map`, and what is told at 10 Hz: (parent, child, T, static)."""
    tree = TransformTree()
    tree.add("mast", "camera", 0, turn(0), static=True)
    for i in range(20):
        tree.add("map", "base", i * SECOND_NS // 10, turn(0, 0.05 * i))
        for offset, (parent, child, T, static) in enumerate(told):
            tree.add(parent, child, (10 * i + offset) * SECOND_NS // 100, T, static)
    return tree


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([("base", "mast", turn(0), True), ("other", "mast", turn(0), True)], "mast under base and under other"),
        ([("base", "mast", turn(0), True), ("other", "mast", turn(0), False)], "mast under base and under other"),
        ([("base", "mast", turn(0), False), ("other", "mast", turn(0), False)], "mast under base and under other"),
        ([("base", "mast", turn(0), True), ("base", "mast", turn(0, 0.03), True)], "mast at two places under base"),
        ([("base", "mast", turn(0), True), ("base", "mast", turn(3), True)], "mast at two places under base"),
        ([("base", "mast", turn(0), True), ("base", "mast", turn(30), False)], "mast at two places under base"),
        ([("base", "mast", turn(0), True), ("map", "base", turn(0, 9), False)], "base at two places under map"),
        ([("base", "mast", turn(0), True), ("map", "base", turn(0, 9), True)], "base at two places under map"),
    ],
)
def test_what_two_publishers_tell_otherwise_of_the_camera_is_said(told, found):
    assert f"TF has the frame {found}: two publishers" in camera_on_mast(*told).disputed("map", "/camera")


@pytest.mark.parametrize(
    "told",
    [
        [("base", "mast", turn(0), True), ("base", "mast", turn(0), True)],  # twice the same
        [("base", "mast", turn(0), True), ("base", "mast", turn(0), False)],
        [("base", "mast", turn(0), True), ("base", "mast", turn(1, 0.01), True)],  # a data sheet and a calibration
        [
            ("base", "mast", turn(0), True),
            ("a", "hand", turn(0), True),
            ("b", "hand", turn(0), True),
        ],  # not the camera's
    ],
)
def test_publishers_that_agree_or_do_not_matter_to_the_camera_are_not(told):
    assert camera_on_mast(*told).disputed("map", "camera") == ""


def changes_hands(i):
    """(parent, child, stamp in ms, T): a SLAM begins, the map jumps once, the head turns."""
    yield "map" if i < 20 else "slam", "odom", 100 * i, turn(0, 3.0 * (i > 10))
    yield "odom", "head", 100 * i, turn(40 * np.sin(i / 3))


def rides_a_lift(i):
    yield "lift" if 30 < i % 100 < 60 else "odom", "head", 100 * i, turn(0)


def corrects(i):
    """slam_toolbox: the transform of the latest scan, sent three times, the second time corrected now and then."""
    for again in range(3):
        yield "map", "odom", 200 * i, turn(0, 0.3 * ((i + (again > 0)) // 7))
    yield "odom", "head", 200 * i, turn(0)


def sweeps(i):
    """A camera that turns to and fro by 20 degrees at 60 degrees/s, five poses a second."""
    yield "odom", "head", 200 * i, turn(12.0 * (i % 2))


def glitches(i):
    """Once in 11 seconds."""
    yield "odom", "head", 20 * i, turn(0, 5.0 * (i % 550 == 300))


def loops(i):
    """A bag of 15 s is played again, and a SLAM goes on; the new loop's images have not come yet, which begin the poses anew."""
    yield "map", "odom", 20 * i if i < 750 else 20 * (i - 750) + 3, turn(0, 0.5 * (i >= 750))
    yield "odom", "head", 20 * (i % 750), turn(0)


@pytest.mark.parametrize(
    ("told", "steps"),
    [
        (changes_hands, 40),
        (rides_a_lift, 300),
        (corrects, 200),
        (sweeps, 100),
        (glitches, 3500),
        (loops, 757),
    ],
)
def test_what_one_publisher_tells_of_an_ordinary_robot_is_not_disputed(told, steps):
    tree = TransformTree(keep_s=20.0)
    for i in range(steps):
        for parent, child, ms, T in told(i):
            tree.add(parent, child, ms * SECOND_NS // 1000, T)
    assert tree.disputed("map", "head") == ""


def test_two_publishers_that_stamp_alike_are_found_too():
    tree = TransformTree()
    for i in range(20):
        for ahead in (0, 9):
            tree.add("map", "base", i * SECOND_NS // 10, turn(0, ahead))
    assert "base at two places under map" in tree.disputed("map", "base")


def test_only_what_lies_between_the_frames_is_told():
    tree = TransformTree()
    tree.add("base", "camera", 0, turn(0), static=True)
    for i in range(20):
        tree.add("map", "odom", i * SECOND_NS // 20, turn(0, 9.0 * (i % 2)))
        tree.add("odom", "base", i * SECOND_NS // 20, turn(0))
    assert "odom at two places under map" in tree.disputed("map", "camera")
    assert "odom at two places under map" in tree.disputed("camera", "map")
    assert tree.disputed("odom", "camera") == tree.disputed("base", "camera") == ""


def test_a_frame_that_another_publisher_takes_from_the_world_is_told():
    tree = TransformTree()
    tree.add("map", "base", 0, turn(0))
    tree.add("other", "base", 0, turn(0), static=True)
    tree.add("base", "camera", 0, turn(0), static=True)
    assert "base under map and under other" in tree.disputed("map", "camera")
    assert tree.disputed("unheard_of", "camera") == ""
