"""What a lens bends is made straight. Independent: OpenCV's own way from raw pixels to rays (undistortPoints)."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.ros_types.messages import bends, lens_from_info

WIDTH, HEIGHT = 160, 120
K = np.array([[120.0, 0, 79], [0, 121, 60], [0, 0, 1]])
LENSES = {
    "plumb_bob": (-0.25, 0.08, 0.001, -0.002, 0.01),
    "rational_polynomial": (0.45, -2.4, 0.0003, -0.0005, 1.4, 0.33, -2.2, 1.3),
    "equidistant": (-0.05, 0.02, -0.003, 0.001),
}


def info(model="plumb_bob", d=LENSES["plumb_bob"], p=(110.0, 0, 78, 0, 0, 112, 61, 0, 0, 0, 1, 0), **given):
    region = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    fields = {"width": WIDTH, "height": HEIGHT, "k": K.ravel(), "r": np.eye(3).ravel(), "binning_x": 0, "binning_y": 0}
    return SimpleNamespace(**{**fields, "roi": region, "distortion_model": model, "d": d, "p": np.array(p), **given})


def raw_rays(model, d):
    """(H, W, 2) x and y, at depth 1, of what each raw pixel sees."""
    pixels = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).reshape(-1, 1, 2).astype(np.float64)
    undistort = cv2.fisheye.undistortPoints if model == "equidistant" else cv2.undistortPoints
    return undistort(pixels, K, np.array(d)).reshape(HEIGHT, WIDTH, 2)


def straight_rays(camera):
    v, u = np.mgrid[: camera.height, : camera.width]
    return np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], -1)


@pytest.mark.parametrize("model", LENSES)
@pytest.mark.parametrize("scale", [1, 0.5])
def test_a_slanted_wall_becomes_plane(model, scale):
    """z = 2 / (1 - 0.3 x + 0.2 y) where a plane is seen along the ray (x, y, 1); colour tells the ray."""
    lens = lens_from_info(info(model, LENSES[model]))
    x, y = np.moveaxis(raw_rays(model, LENSES[model]), -1, 0)
    raw_depth = (2 / (1 - 0.3 * x + 0.2 * y)).astype(np.float32)
    raw_colour = np.stack([x, y, 0 * x], -1) * 100 + 128
    size = round(WIDTH * scale), round(HEIGHT * scale)
    if scale != 1:
        raw_depth = cv2.resize(raw_depth, size, interpolation=cv2.INTER_LINEAR)
        raw_colour = cv2.resize(raw_colour, size, interpolation=cv2.INTER_LINEAR)
    x, y = np.moveaxis(straight_rays(lens.straight.scaled(*size)), -1, 0)
    inside = np.zeros(size[::-1], bool)
    inside[size[1] // 6 : -size[1] // 6, size[0] // 6 : -size[0] // 6] = True
    depth = lens.straightened_depth(raw_depth)
    assert np.abs(depth - 2 / (1 - 0.3 * x + 0.2 * y))[inside].max() < 0.02, "the nearest pixel: half of one off"
    colour = lens.straightened(np.clip(raw_colour, 0, 255).round().astype(np.uint8)).astype(float)
    assert np.abs(colour[..., 0] - x * 100 - 128)[inside].max() < 1.6
    assert np.abs(colour[..., 1] - y * 100 - 128)[inside].max() < 1.6


def test_depths_are_not_mixed_and_nothing_is_invented():
    depth = np.where(np.arange(WIDTH) < 80, 1.0, 3.0).astype(np.float32) * np.ones((HEIGHT, 1), np.float32)
    depth[40:60] = 0
    lens = lens_from_info(info(p=(60.0, 0, 78, 0, 0, 60, 61, 0, 0, 0, 1, 0)))
    assert set(np.unique(lens.straightened_depth(depth))) == {0.0, 1.0, 3.0}
    assert lens.straightened_depth(depth)[0, 0] == 0, "the straight image reaches beyond the raw one"


def test_a_region_and_binning_are_of_the_raw_image():
    region = SimpleNamespace(x_offset=20, y_offset=10, width=100, height=80)
    lens = lens_from_info(info(roi=region, binning_x=2, binning_y=2))
    assert (lens.raw.width, lens.raw.height, lens.raw.fx, lens.raw.cx) == (50, 40, 60, 29.5)
    assert (lens.straight.fx, lens.straight.cx) == (55, 29)


def test_without_a_projection_or_rotation_the_camera_stays():
    lens = lens_from_info(info(p=np.zeros(12), r=np.zeros(9)))
    assert lens.straight == lens.raw
    assert lens.rotation == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_what_bends():
    assert bends(info())
    assert not bends(info(d=()))
    assert not bends(info(d=(1e-4, 0, 0, 0, 0)))


@pytest.mark.parametrize(
    ("model", "d"), [("magic", (0.1,) * 5), ("plumb_bob", (0.1,) * 3), ("equidistant", (float("nan"),) * 4), ("", ())]
)
def test_an_unknown_distortion_is_one_sentence(model, d):
    with pytest.raises(UserError, match=r"known are plumb_bob of 4 or 5 or 8.*have image_proc rectify"):
        lens_from_info(info(model, d))
