"""Colour seen from a camera beside the depth camera."""

import numpy as np
import pytest

from gcseg_ros.camera.registration import as_fine_as_colour, register_colour, reproject_colour, share_in_colour
from gcseg_ros.frames import CameraIntrinsics

CAMERA = CameraIntrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
RAMP = np.repeat(np.tile(np.arange(64, dtype=np.uint8) * 2, (48, 1))[..., None], 3, 2)


def test_colour_of_another_size_lands_on_the_same_rays():
    """A colour camera with four times the pixels and its own principal point; colour encodes the ray."""
    colour_camera = CameraIntrinsics(256, 192, 200, 200, 130, 90)
    depth_camera = CameraIntrinsics(64, 48, 50, 50, 31, 23)
    v, u = np.mgrid[:192, :256]
    ramp = np.stack([(u - 130) / 200 * 150 + 128, (v - 90) / 200 * 150 + 128, 0 * u], -1)
    registered = register_colour(ramp.round().astype(np.uint8), colour_camera, depth_camera)
    assert registered.shape == (48, 64, 3)
    v, u = np.mgrid[5:43, 5:59]
    expected = np.stack([(u - 31) / 50 * 150 + 128, (v - 23) / 50 * 150 + 128], -1)
    assert np.abs(registered[5:43, 5:59, :2] - expected).max() < 2.5


def test_colour_of_the_same_camera_with_other_rows_is_cropped():
    """16:10 colour over 16:9 depth, one matrix: the rows that depth lacks are cut off."""
    colour = np.random.default_rng(0).integers(0, 256, (10, 16, 3), np.uint8)
    colour_camera, depth_camera = CameraIntrinsics(16, 10, 14, 14, 7.5, 4), CameraIntrinsics(16, 9, 14, 14, 7.5, 4)
    np.testing.assert_array_equal(register_colour(colour, colour_camera, depth_camera), colour[:9])


def test_without_a_baseline_it_is_the_plain_registration():
    target = CameraIntrinsics(32, 24, 40.0, 40.0, 15.5, 11.5)
    depth = np.full((24, 32), 1.5, np.float32)
    found = reproject_colour(RAMP, CAMERA, depth, target, np.eye(4))
    np.testing.assert_allclose(found.astype(int), register_colour(RAMP, CAMERA, target).astype(int), atol=2)


def test_a_baseline_shifts_by_its_disparity():
    T = np.eye(4)
    T[0, 3] = 0.1  # the depth camera stands 0.1 m right of the colour camera: 60 * 0.1 / z pixels
    for depth_m, disparity in ((1.0, 6), (2.0, 3)):
        found = reproject_colour(RAMP, CAMERA, np.full((48, 64), depth_m, np.float32), CAMERA, T)
        np.testing.assert_array_equal(found[:, :50], RAMP[:, disparity : 50 + disparity])


def test_pixels_without_depth_take_the_median_depth():
    T = np.eye(4)
    T[0, 3] = 0.1
    depth = np.full((48, 64), 1.0, np.float32)
    whole = reproject_colour(RAMP, CAMERA, depth, CAMERA, T)
    depth[10:20, 10:20] = 0
    np.testing.assert_array_equal(reproject_colour(RAMP, CAMERA, depth, CAMERA, T), whole)
    assert reproject_colour(RAMP, CAMERA, np.zeros_like(depth), CAMERA, T).shape == RAMP.shape


@pytest.mark.parametrize(
    ("T_colour_depth", "share"),
    [(None, 1.0), (np.eye(4), 1.0), (np.diag([-1.0, 1, -1, 1]), 0.0)],
)
def test_share_of_depth_that_colour_sees(T_colour_depth, share):
    depth = np.full((48, 64), 2.0, np.float32)
    assert share_in_colour(CAMERA, depth, CAMERA, T_colour_depth) == share


def test_share_of_depth_that_a_narrow_colour_camera_sees():
    narrow = CameraIntrinsics(64, 48, 120.0, 60.0, 31.5, 23.5)
    depth = np.zeros((48, 64), np.float32)
    assert share_in_colour(narrow, depth, CAMERA, None) is None
    depth[:, :32] = 1
    assert share_in_colour(narrow, depth, CAMERA, None) == pytest.approx(0.5, abs=0.02)
    beside = np.eye(4)
    beside[0, 3] = -5.0  # a wall of 1 m breadth, at 1 m
    assert share_in_colour(narrow, depth, CAMERA, beside) == 0


def test_depth_of_few_pixels_is_made_finer_where_colour_is():
    camera = CameraIntrinsics(256, 192, 200.0, 200.0, 127.5, 95.5)
    depth = np.random.default_rng(0).choice([1.0, 2, 3, 4], (192, 256)).astype(np.float32)
    found, fine = as_fine_as_colour(depth, camera, np.zeros((1440, 1920, 3), np.uint8))
    assert (fine.width, fine.height, fine.fx) == (640, 480, 500.0)
    v, u = np.mgrid[:480, :640]
    # every pixel has the depth of the one in which its middle lies
    x, y = (u - fine.cx) / fine.fx * camera.fx + camera.cx, (v - fine.cy) / fine.fy * camera.fy + camera.cy
    np.testing.assert_allclose(
        found, depth[np.floor(y + 0.5 + 1e-9).astype(int), np.floor(x + 0.5 + 1e-9).astype(int)], rtol=1e-6
    )


@pytest.mark.parametrize("size", [(160, 120), (256, 192), (192, 256)])
def test_a_surface_stays_smooth_in_depth_that_was_made_finer_and_its_edges_sharp(size):
    """A floor seen from 1.3 m, with a box of 1 m before it and a hole. Were pixels repeated it would be stairs of some centimetres."""

    def seen(camera):
        v, u = np.mgrid[: camera.height, : camera.width]
        floor = 1.3 / ((v - camera.cy) / camera.fy * np.cos(0.4) + np.sin(0.4))
        depth = np.where((floor > 0) & (floor < 4), floor, 0)
        x, y = (u + 0.5) / camera.width, (v + 0.5) / camera.height
        return np.where((abs(x - 0.5) < 0.1) & (y > 0.5), 1.0, depth).astype(np.float32)

    camera = CameraIntrinsics(*size, 0.8 * max(size), 0.8 * max(size), (size[0] - 1) / 2, (size[1] - 1) / 2)
    found, fine = as_fine_as_colour(seen(camera), camera, np.zeros((size[1] * 8, size[0] * 8, 3), np.uint8))
    true = seen(fine)
    both = (found > 0) & (true > 0) & ((found == 1) == (true == 1))
    away_from_the_edge = both.copy()
    away_from_the_edge[:, abs(np.arange(fine.width) / fine.width - 0.5) < 0.13] = False
    off = np.abs(found - true)[away_from_the_edge]
    assert np.quantile(off, 0.95) < 0.005
    assert off.mean() < 0.0015
    assert not ((found > 0) & (found < 0.999)).any()  # nothing is between a surface and no depth
    assert (np.minimum(np.abs(found - 1), np.abs(found - true))[both] < 0.1).all()  # nor between the box and the floor


@pytest.mark.parametrize(
    ("depth", "colour", "side"),
    [
        ((192, 256), (360, 480), 320),
        ((192, 256), (192, 256), 256),
        ((256, 192), (640, 480), 640),
        ((240, 320), (480, 640), 320),
    ],
)
def test_depth_stays_as_it_is_where_colour_shows_no_more_or_its_pixels_suffice(depth, colour, side):
    camera = CameraIntrinsics(depth[1], depth[0], 200.0, 200.0, depth[1] / 2, depth[0] / 2)
    found, fine = as_fine_as_colour(np.ones(depth, np.float32), camera, np.zeros((*colour, 3), np.uint8))
    assert max(found.shape) == side
    assert found.shape == (fine.height, fine.width)
