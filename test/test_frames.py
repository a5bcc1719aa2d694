"""Back-projection and its inverse (Eq. 3-4), depth conventions (REP-118), pose checks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.frames import (
    CameraIntrinsics,
    Frame,
    back_project,
    depth_to_metres,
    project,
    rigid,
)

CAMERA = CameraIntrinsics(8, 6, 10.0, 12.0, 3.5, 2.5)


def pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    T[:3, 3] = rng.normal(size=3)
    return T


@given(st.integers(0, 50), st.integers(-4, 8))
def test_a_turned_frame_shows_the_same_points(seed, quarters):
    rng = np.random.default_rng(seed)
    depth, colour = rng.uniform(1, 3, (6, 8)).astype(np.float32), rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    frame = Frame("0", 0.0, colour, depth, CAMERA, pose(seed))
    turned = frame.turned(quarters)
    assert turned.depth_m.shape == ((6, 8), (8, 6))[quarters % 2]
    expected, found = (back_project(f.depth_m, f.intrinsics, f.pose) for f in (frame, turned))
    np.testing.assert_allclose(np.rot90(found, quarters), expected, atol=1e-6)
    np.testing.assert_array_equal(np.rot90(turned.colour, quarters), colour)


def test_a_quarter_turn_clockwise_by_hand():
    """What was on the left is above."""
    colour = np.zeros((6, 8, 3), np.uint8)
    colour[:, 0] = 255
    turned = Frame("0", 0.0, colour, np.ones((6, 8), np.float32), CAMERA, np.eye(4)).turned(1)
    assert turned.colour[0].all()
    assert not turned.colour[1:].any()
    assert turned.intrinsics == CameraIntrinsics(6, 8, 12.0, 10.0, 2.5, 3.5)
    np.testing.assert_allclose(turned.pose[:3, 1], [1, 0, 0], atol=1e-9)  # down in the image is the former right


def test_back_projection_by_hand():
    depth = np.zeros((6, 8), np.float32)
    depth[2, 5] = 2.0
    T = np.eye(4)
    T[:3, 3] = 10, 20, 30
    X = back_project(depth, CAMERA, T)
    # (5 - 3.5) / 10 * 2 = 0.3; (2 - 2.5) / 12 * 2 = -1/12
    np.testing.assert_allclose(X[2, 5], [10.3, 20 - 1 / 12, 32])


@given(st.integers(0, 10_000))
def test_projection_undoes_back_projection(seed):
    depth = np.random.default_rng(seed).uniform(0.2, 6, (6, 8)).astype(np.float32)
    T = rigid(pose(seed))
    uv, z = project(back_project(depth, CAMERA, T).reshape(-1, 3), CAMERA, T)
    v, u = np.mgrid[:6, :8]
    np.testing.assert_allclose(uv, np.stack([u.ravel(), v.ravel()], 1), atol=1e-6)
    np.testing.assert_allclose(z, depth.ravel(), atol=1e-6)


@given(st.integers(0, 10_000))
def test_a_pose_survives_its_quaternion(seed):
    T = rigid(pose(seed))
    again = T.copy()
    again[:3, :3] = Rotation.from_quat(Rotation.from_matrix(T[:3, :3]).as_quat()).as_matrix()
    assert np.abs(rigid(again) - T).max() <= 1.01e-9


@pytest.mark.parametrize(
    "bad",
    [
        np.full((4, 4), np.nan),
        np.full((4, 4), -np.inf),  # ScanNet's "no pose"
        np.eye(3),
        np.diag([2.0, 2, 2, 1]),
        np.diag([1.0, 1, -1, 1]),  # a mirror
        np.diag([1.0, 1, 1, 0]),  # a last row of zeros
    ],
)
def test_bad_poses_are_refused_in_one_sentence(bad):
    with pytest.raises(UserError, match="pose"):
        rigid(bad)


def test_depth_conventions():
    np.testing.assert_allclose(depth_to_metres(np.array([[0, 1500]], np.uint16)), [[0, 1.5]])
    np.testing.assert_allclose(depth_to_metres(np.array([[np.nan, np.inf, -1, 1.5]], np.float32)), [[0, 0, 0, 1.5]])
    np.testing.assert_allclose(depth_to_metres(np.array([[5000]], np.uint16), unit_m=1 / 5000), [[1]])


def test_scaling_keeps_the_rays():
    half = CameraIntrinsics(640, 480, 525, 525, 319.5, 239.5).scaled(320, 240)
    assert (half.fx, half.cx, half.cy) == (262.5, 159.5, 119.5)


@pytest.mark.parametrize("size", [(30, 20), (31, 23), (2, 1)])
def test_the_camera_of_every_third_pixel_sees_their_points(size):
    camera = CameraIntrinsics(*size, 25.0, 26.0, 14.2, 9.7)
    depth = np.random.default_rng(0).uniform(1, 3, size[::-1])
    few, every = depth[::3, ::3], camera.every(3)
    assert (every.height, every.width) == few.shape
    points = back_project(depth, camera, np.eye(4))[::3, ::3]
    np.testing.assert_allclose(back_project(few, every, np.eye(4)), points, atol=1e-12)


def test_a_frame_checks_its_images():
    colour, depth = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.float32)
    assert Frame("0", 0.0, colour, depth, CAMERA, np.eye(4)).pose.shape == (4, 4)
    with pytest.raises(UserError, match="camera_info"):
        Frame("0", 0.0, colour[:3], depth[:3], CAMERA, np.eye(4))
    with pytest.raises(UserError, match="register depth to colour"):
        Frame("0", 0.0, colour, depth[:3], CAMERA, np.eye(4))
    with pytest.raises(UserError, match="uint8"):
        Frame("0", 0.0, colour.astype(float), depth, CAMERA, np.eye(4))
    survey = np.eye(4)
    survey[:2, 3] = 512_000, 5_400_000
    with pytest.raises(UserError, match=r"camera is 5400 km from the origin.*subtract the same offset"):
        Frame("0", 0.0, colour, depth, CAMERA, survey)
    with pytest.raises(UserError, match="calibrated"):
        CameraIntrinsics(8, 6, 0, 0, 0, 0)
