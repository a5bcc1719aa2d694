"""Propagation by reprojection: a plane seen from two places, an occluder, holes."""

from dataclasses import replace

import numpy as np

from gcseg_ros.depth import normals_from
from gcseg_ros.frames import CameraIntrinsics
from gcseg_ros.propagation import ReprojectionPropagator
from gcseg_ros.views import View

CAMERA = CameraIntrinsics(80, 60, 80, 80, 39.5, 29.5)


def view(depth: np.ndarray, x: float = 0.0) -> View:
    """A camera at (x, 0, 0) that looks along z; depth (60, 80)."""
    pose = np.eye(4)
    pose[0, 3] = x
    depth = depth.astype(np.float32)
    black = np.zeros((60, 80, 3), np.uint8)
    normals = normals_from(depth, (80.0, 80.0, 39.5, 29.5))
    return View("0", black, depth, depth, normals, black.astype(np.float32), CAMERA, pose, black)


WALL = np.full((60, 80), 2.0)


def test_before_the_first_prompt_there_is_nothing():
    assert not ReprojectionPropagator()(view(WALL)).any()


def test_labels_stay_with_the_wall_while_the_camera_moves():
    propagate = ReprojectionPropagator()
    propagate.prompt(view(WALL), np.tile(np.where(np.arange(80) < 40, 1, 2).astype(np.int32), (60, 1)))
    labels = propagate(view(WALL, x=0.25))  # 0.25 m at 2 m depth is 10 pixels
    assert (labels[:, :29] == 1).all()
    assert (labels[:, 31:69] == 2).all()
    assert not labels[:, 74:].any()  # came into view since (but for the closed rim)


def test_a_depth_test_keeps_labels_off_what_was_hidden():
    """A box stands before the wall; from the side, the wall behind it was never labelled."""
    key = WALL.copy()
    key[20:40, 30:50] = 1.0
    labels = np.where(key < 2, 7, 1).astype(np.int32)
    propagate = ReprojectionPropagator()
    propagate.prompt(view(key), labels)
    now = WALL.copy()
    now[20:40, 10:30] = 1.0  # the box at 1 m moves by 20 pixels, the wall by 10
    result = propagate(view(now, x=0.25))
    assert (result[21:39, 11:29] == 7).all()
    assert not (result[25:35, 32:38] == 7).any()  # the wall that the box hid does not get the box's label
    assert (result[:, 50:65] == 1).all()


def test_pinholes_are_closed_where_depth_supports_it():
    labels = np.ones((60, 80), np.int32)
    labels[30, 40] = 0
    labels[10:20, 10:20] = 0
    depth = WALL.copy()
    depth[10:20, 10:20] = 1.0  # something in front: no wall label may leak onto it
    propagate = ReprojectionPropagator()
    propagate.prompt(view(depth), labels)
    result = propagate(view(depth))
    assert result[30, 40] == 1
    assert not result[10:20, 10:20].any()


def test_labels_follow_a_camera_whose_focal_length_changes():
    """An iPhone's autofocus: the same wall, 2 m away, through 80 and through 88 pixels of focal length."""
    propagate = ReprojectionPropagator()
    propagate.prompt(view(WALL), np.tile(np.where(np.arange(80) < 30, 1, 2).astype(np.int32), (60, 1)))
    labels = propagate(replace(view(WALL), intrinsics=CameraIntrinsics(80, 60, 88, 88, 39.5, 29.5)))
    edge = 39.5 + 1.1 * (29.5 - 39.5)
    assert (labels[:, : int(edge)] == 1).all()
    assert (labels[:, int(edge) + 2 :] == 2).all()


def test_a_change_of_size_ends_the_window():
    propagate = ReprojectionPropagator()
    propagate.prompt(view(WALL), np.ones((60, 80), np.int32))
    now = view(WALL)
    smaller = replace(now, depth_m=now.depth_m[:30, :40], intrinsics=CAMERA.scaled(40, 30))
    labels = propagate(smaller)
    assert labels.shape == (30, 40)
    assert not labels.any()
