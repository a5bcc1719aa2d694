"""Working resolution: decimation, normals, the temporal depth filter."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.registration import as_fine_as_colour
from gcseg_ros.camera.upright import CARRIED
from gcseg_ros.config import InputConfig
from gcseg_ros.depth import decimate, normals_from, sigma, solid
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.views import TURNS, ViewBuilder, image_of_view

CAMERA = CameraIntrinsics(640, 480, 525, 525, 319.5, 239.5)


def frame(depth: np.ndarray, pose: np.ndarray | None = None, camera: CameraIntrinsics = CAMERA) -> Frame:
    colour = np.zeros((*depth.shape, 3), np.uint8)
    return Frame("0", 0.0, colour, depth.astype(np.float32), camera, np.eye(4) if pose is None else pose)


def test_decimation_does_not_mix_front_and_back():
    depth = np.full((4, 4), 1.0, np.float32)
    depth[:, 2:] = 3.0
    depth[0, 0] = 0
    depth[3, 3] = np.float32(3.002)
    half = decimate(depth, 2, np.float32(6))
    np.testing.assert_allclose(half, [[1, 3], [1, 3.0005]], atol=1e-4)


def test_decimation_by_hand_with_an_edge_inside_the_block():
    block = np.array([[1.0, 1.0], [1.0, 3.0]], np.float32)
    assert decimate(block, 2, np.float32(6))[0, 0] == pytest.approx(3.0)  # the middle pixel's surface
    block[1, 1] = 0
    assert decimate(block, 2, np.float32(6))[0, 0] == pytest.approx(1.0)


def test_depth_beyond_the_limit_is_ignored():
    assert not decimate(np.full((2, 2), 7, np.float32), 2, np.float32(6)).any()


def test_blocks_without_depth_have_none_however_far_the_limit():
    assert not decimate(np.zeros((2, 2), np.float32), 2, np.float32(1e9)).any()
    assert not decimate(np.zeros((2, 2), np.float32), 2, np.float32(np.inf)).any()


@pytest.mark.parametrize("size", [(640, 480), (256, 192), (1280, 720), (641, 481)])
def test_working_size_is_a_whole_fraction(size):
    width, height = size
    camera = CameraIntrinsics(width, height, width, width, (width - 1) / 2, (height - 1) / 2)
    view = ViewBuilder(InputConfig())(frame(np.full((height, width), 2.0), camera=camera))
    factor = max(1, round(width / 320))
    assert view.depth_m.shape == (height // factor, width // factor)
    assert view.intrinsics.fx == pytest.approx(width / factor)


def test_normals_of_a_slanted_plane():
    """z = 2 + 0.5 x in camera coordinates: n ~ (0.5, 0, -1)."""
    camera = (260.0, 260.0, 159.5, 119.5)
    u = (np.arange(320) - 159.5) / 260
    depth = np.tile(2 / (1 - 0.5 * u), (240, 1)).astype(np.float32)
    normals = normals_from(depth, camera)
    expected = np.array([0.5, 0, -1]) / np.linalg.norm([0.5, 0, -1])
    np.testing.assert_allclose(normals[20:-20, 20:-20].reshape(-1, 3), np.tile(expected, (200 * 280, 1)), atol=2e-3)


def test_the_filter_averages_noise_away_and_keeps_steps():
    rng = np.random.default_rng(0)
    truth = np.full((480, 640), 2.0)
    truth[:, 320:] = 3.0
    build = ViewBuilder(InputConfig())
    errors = []
    for _ in range(10):
        view = build(frame(truth + rng.normal(size=truth.shape) * sigma(truth)))
        errors.append(np.abs(view.depth_m[:, :155] - 2).mean())
    assert errors[-1] < 0.5 * errors[0]
    assert np.abs(view.depth_m[:, 165:] - 3).mean() < 0.01


@pytest.mark.parametrize("z", [1.5, 3.0, 4.5])
def test_the_filter_of_a_moving_camera_does_not_draw_surfaces_nearer(z):
    """A wall behind the sensor's noise, seen by a camera that goes sideways and turns a little. The truth of each view by geometry."""
    rng = np.random.default_rng(0)
    builder = ViewBuilder(InputConfig(depth_max_m=10))
    u = (np.arange(640) - CAMERA.cx) / CAMERA.fx
    errors = []
    for k in range(12):
        angle = 0.004 * k
        pose = np.eye(4)
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        pose[0, 3] = 0.013 * k
        truth = np.tile(z / (np.cos(angle) - np.sin(angle) * u), (480, 1))  # the wall is where the world's z is `z`
        seen = builder(frame(truth + rng.normal(0, sigma(z), truth.shape), pose))
        errors.append(seen.depth_m - decimate(truth.astype(np.float32), 2, np.float32(10)))
    inside = np.array(errors[6:])[:, 20:-20, 20:-20]
    assert abs(inside.mean()) < 0.1 * sigma(z)
    assert inside.std() < 0.35 * sigma(z)


def test_the_filter_goes_on_when_the_focal_length_changes():
    """A slanted wall that stands still, before a camera that stands still: only autofocus moves."""
    rng = np.random.default_rng(0)
    build = ViewBuilder(InputConfig())
    errors = []
    for k in range(8):
        focal = 525 * (1 + 0.015 * (k % 2))
        camera = CameraIntrinsics(640, 480, focal, focal, 319.5, 239.5)
        truth = np.tile(2 / (1 - 0.3 * (np.arange(640) - 319.5) / focal), (480, 1))
        view = build(frame(truth + rng.normal(size=truth.shape) * sigma(truth), camera=camera))
        error = view.depth_m - decimate(truth.astype(np.float32), 2, np.float32(6))
        errors.append(error[20:-20, 20:-20])
    assert np.std(errors[-1]) < 0.6 * np.std(errors[0])
    assert abs(np.mean(errors[-1])) < 1e-3


def test_the_filter_fills_a_flickering_hole():
    depth = np.full((480, 640), 2.0)
    build = ViewBuilder(InputConfig())
    for _ in range(5):
        build(frame(depth))
    holed = depth.copy()
    holed[100:120, 100:120] = 0
    view = build(frame(holed))
    assert (view.depth_m[52:58, 52:58] > 1.9).all()
    assert not view.measured_m[52:58, 52:58].any()  # what is lifted is what was measured


def test_flying_pixels_are_not_lifted():
    depth = np.full((20, 20), 3.0, np.float32)
    depth[:, :10] = 1.0
    depth[:, 10] = 2.0  # in mid-air between front and back
    kept = solid(depth)
    assert not kept[1:-1, 10].any()
    assert (kept[1:-1, 1:8] == 1).all()


@pytest.mark.parametrize("turn", TURNS)
def test_an_image_of_depth_s_pixels_is_seen_as_the_view_sees_depth_that_was_made_finer(turn):
    truth = np.random.default_rng(0).integers(1, 5, (192, 256)).astype(np.uint16)
    colour, camera = np.zeros((480, 640, 3), np.uint8), CameraIntrinsics(256, 192, 200.0, 200.0, 127.5, 95.5)
    depth, fine = as_fine_as_colour(truth.astype(np.float32), camera, colour)
    view = ViewBuilder(InputConfig(turn=turn))(Frame("0", 0.0, colour, depth, fine, np.eye(4)))
    np.testing.assert_array_equal(image_of_view(truth, view), image_of_view(depth.astype(np.uint16), view))


def test_empty_depth():
    view = ViewBuilder(InputConfig())(frame(np.zeros((480, 640))))
    assert not view.depth_m.any()
    assert not view.normals.any()


@pytest.mark.parametrize(
    ("size", "mapped"),
    [
        ((640, 480), (320, 240)),
        ((480, 640), (240, 320)),
        ((848, 480), (424, 240)),
        ((1280, 720), (320, 180)),
        ((640, 360), (320, 180)),
        ((1296, 968), (324, 242)),
        ((256, 192), (256, 192)),
    ],
)
def test_frames_are_mapped_with_about_as_many_pixels_whatever_their_shape(size, mapped):
    width, height = size
    camera = CameraIntrinsics(width, height, 500.0, 500.0, width / 2, height / 2)
    view = ViewBuilder(InputConfig(turn="none"))(frame(np.ones((height, width), np.float32), camera=camera))
    assert (view.intrinsics.width, view.intrinsics.height) == mapped


@pytest.mark.parametrize("tilt", [-25.0, 10.0, 50.0])
def test_a_view_of_a_world_without_up_finds_it_in_what_it_sees(tilt):
    """A floor 1.4 m below a camera that looks down by `tilt` degrees, and a wall 3 m ahead; the world's z axis points ahead."""
    up = Rotation.from_euler("x", tilt, degrees=True).apply([0, -1.0, 0])
    ahead = Rotation.from_euler("x", tilt, degrees=True).apply([0, 0, 1.0])
    v, u = np.mgrid[:480, :640]
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones_like(u)], -1)
    down = rays @ -up
    depth = np.minimum(3 / (rays @ ahead), np.where(down > 0.01, 1.4 / np.maximum(down, 0.01), 99))
    seen = frame(depth)
    assert ViewBuilder(InputConfig())(replace(seen, z_up=False)).up @ up > np.cos(np.radians(1))
    assert (ViewBuilder(InputConfig())(seen).up == [0, 0, 1]).all()
    nothing = ViewBuilder(InputConfig())(replace(seen, z_up=False, depth_m=np.zeros_like(seen.depth_m)))
    assert (nothing.up == CARRIED).all()
