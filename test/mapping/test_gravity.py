"""Which way is up in the map's world: told, contradicted by what is seen, or found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.upright import UP
from gcseg_ros.config import load_config
from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.mapper import Mapper
from gcseg_ros.mapping.gravity import Gravity
from gcseg_ros.recordings import open_recording
from gcseg_ros.state import Saved

TILTED = Rotation.from_euler("xy", [20, 10], degrees=True).as_matrix()
TURNED = Rotation.from_euler("xy", [-70, 25], degrees=True).as_matrix()
LEVEL = np.eye(4)
LEVEL[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
"""Camera to world, in which it looks along the x axis."""


def normals(world=UP, sloped=0, seed=0):
    """Of a floor, of walls and of a slope of 20 degrees."""
    rng = np.random.default_rng(seed)
    slope = [0, np.sin(np.radians(20)), np.cos(np.radians(20))]
    faces = [[0, 0, 1]] * 400 + [[1, 0, 0]] * 200 + [[0, 1, 0]] * 200 + [slope] * sloped
    return (np.array(faces) + rng.normal(0, 0.03, (len(faces), 3))) @ world.T


def looked(world, z_up, down=15.0):
    """After views of a camera that looks about and a little down in a world that was turned so."""
    gravity = Gravity()
    for heading in range(0, 360, 20):
        pose = LEVEL.copy()
        pose[:3, :3] = world @ Rotation.from_euler("ZY", [heading, down], degrees=True).as_matrix() @ LEVEL[:3, :3]
        gravity(pose, z_up)
    return gravity


def test_a_z_axis_that_points_up_is_believed_to_the_bit():
    gravity = looked(np.eye(3), True)
    assert (gravity.up(normals(np.eye(3))) == UP).all()
    assert (gravity.up(normals(np.eye(3), sloped=600)) == UP).all(), "an attic"
    assert (gravity.up(np.zeros((0, 3), np.float32)) == UP).all(), "nothing is mapped yet"
    assert gravity.notes() == []


@pytest.mark.parametrize("beside", [[], [[1, 0, 0]] * 100, [[0, 0, 1]] * 300], ids=["alone", "walls", "a floor"])
def test_a_slope_is_no_reason_to_doubt_the_z_axis(beside):
    """A ramp, a hill or a slanted desk, with walls along it or a floor before it."""
    gravity, slope = looked(np.eye(3), True), [0, np.sin(np.radians(25)), np.cos(np.radians(25))]
    faces = np.array([slope] * 500 + beside) + np.random.default_rng(0).normal(0, 0.03, (500 + len(beside), 3))
    assert (gravity.up(faces) == UP).all()
    assert gravity.notes() == []


def test_a_z_axis_that_floors_and_walls_contradict_is_not_believed_and_that_is_told():
    gravity = looked(TILTED, True)
    assert gravity.up(normals(TILTED)) @ TILTED[:, 2] > np.cos(np.radians(1))
    (note,) = gravity.notes()
    assert "The world's z axis does not point up: floors, tops and walls are 22 degrees off it" in note
    gravity.up(normals(np.eye(3)))
    assert gravity.notes() == [], "it is said of the map that was last looked at"


def test_a_slam_that_begins_at_a_camera_which_looks_down_and_says_z_is_up_is_not_believed():
    first = Rotation.from_euler("x", -35, degrees=True).as_matrix() @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]])
    world = first.T  # of the first camera, whose z axis points ahead and down
    gravity = looked(world, True)
    assert gravity.up(normals(world)) @ world[:, 2] > np.cos(np.radians(1))
    assert "floors, tops and walls are 125 degrees off it" in gravity.notes()[0]


def test_a_slam_whose_z_axis_points_ahead_is_told_by_its_poses():
    """A level camera's: floors and walls lie along its axes, so that they do not say which of these points up."""
    world = LEVEL[:3, :3].T
    gravity = looked(world, True)
    assert gravity.up(normals(world)) @ world[:, 2] > np.cos(np.radians(1))
    (note,) = gravity.notes()
    assert "z axis does not point up: by the poses it is about its -y axis that does" in note


@pytest.mark.parametrize("heading", [0, 90, 180])
@pytest.mark.parametrize(("sign", "axis"), [(1, "y"), (-1, "-y")])
def test_an_axis_is_told_by_poses_also_where_the_z_axis_had_images_turned(sign, axis, heading):
    """By the first pose of such a world its z axis may point to the side of the image."""
    world = np.array([[1, 0, 0], [0, 0, sign], [0, -sign, 0.0]])
    camera, size = CameraIntrinsics(48, 48, 40.0, 40.0, 23.5, 23.5), (48, 48)
    mapper = Mapper(load_config(None, ["masks.generator=geometric", "poses.refine=false", "views.most=0"]))
    for i, further in enumerate(range(0, 200, 10)):
        pose = LEVEL.copy()
        looks = Rotation.from_euler("ZY", [heading + further, 15], degrees=True).as_matrix()
        pose[:3, :3] = world @ looks @ LEVEL[:3, :3]
        colour, depth = np.full((*size, 3), 100, np.uint8), np.full(size, 2, np.float32)
        mapper.step(Frame(str(i), i / 10, colour, depth, camera, pose))
    assert any("Images are turned" in note for note in mapper.notes()) == (heading != 90)
    assert mapper.gravity.up(normals(world)) @ world[:, 2] > np.cos(np.radians(1))
    assert f"by the poses it is about its {axis} axis that does" in mapper.gravity.notes()[0]


def test_a_camera_on_its_side_is_no_reason_to_doubt_the_z_axis():
    gravity, aside = looked(np.eye(3), True), Rotation.from_euler("z", 90, degrees=True).as_matrix()
    other = Gravity()
    for rotation in gravity.state()["rotations"]:
        pose = np.eye(4)
        pose[:3, :3] = rotation @ aside
        other(pose, True)
    assert (other.up(normals(np.eye(3))) == UP).all()


def test_what_is_remembered_of_the_poses_is_bounded():
    gravity = looked(np.eye(3), True)
    for i in range(5000):
        pose = LEVEL.copy()
        pose[:3, :3] = Rotation.from_euler("Z", i, degrees=True).as_matrix() @ LEVEL[:3, :3]
        gravity(pose, True)
    assert 150 <= len(gravity.state()["rotations"]) <= 300


def test_a_camera_that_looks_straight_down_says_nothing_of_up():
    gravity = looked(TILTED, True, down=90)
    assert gravity.up(normals(TILTED)) @ TILTED[:, 2] > np.cos(np.radians(1))


@pytest.mark.parametrize("world", [TURNED, TURNED @ TURNED, np.diag([1, -1, -1.0])])
def test_where_up_is_not_known_it_is_found(world):
    gravity = looked(world, False)
    assert gravity.up(normals(world)) @ world[:, 2] > np.cos(np.radians(1))
    assert gravity.up(np.zeros((0, 3))) @ world[:, 2] > np.cos(np.radians(16)), "the images' upper edge is above"
    assert gravity.notes() == []


def test_it_goes_on_where_it_was_saved():
    gravity, other = looked(TURNED, False), Gravity()
    other.restore(Saved("gravity", 0, gravity.state()))
    assert (other.up(normals(TURNED)) == gravity.up(normals(TURNED))).all()
    for broken in (
        {"z_up": 2},
        {"views": -1},
        {"every": 0},
        {"rotations": np.zeros((2, 3))},
        {"upwards": np.zeros(2)},
        {"upwards": np.array([0, 0, np.nan])},
    ):
        with pytest.raises(UserError):
            other.restore(Saved("gravity", 0, {**gravity.state(), **broken}))


@pytest.mark.parametrize(("world", "z_up"), [(TURNED, False), (TILTED, True)])
def test_a_map_in_a_world_that_is_not_upright_has_upright_boxes_and_the_objects_of_one_that_is(world, z_up):
    turn = np.eye(4)
    turn[:3, :3] = world
    frames = list(open_recording("synthetic:7:demo:12"))
    maps = []
    for moved in (frames, [replace(frame, pose=turn @ frame.pose, z_up=z_up) for frame in frames]):
        mapper = Mapper(load_config(None, ["views.most=0"]))
        for frame in moved:
            mapper.step(frame)
        maps.append(mapper.instances())
        assert len(mapper.gravity.notes()) == (moved is not frames and z_up)
    for found in maps[1].objects:
        assert found.oriented_box[1][:, 2] @ world[:, 2] > np.cos(np.radians(1.5))
    heights = [np.ptp(np.percentile(found.upright_points[:, 2], (1, 99))) for found in maps]
    assert heights[1] == pytest.approx(heights[0], abs=0.1)
    large = [sum(found.points > 500 for found in one.objects) for one in maps]
    assert large[1] == pytest.approx(large[0], abs=1)


@pytest.mark.parametrize("down", [-15.0, 0.0, 30.0, 50.0])
def test_a_table_seen_from_one_side_is_no_wall(down):
    """All that an arm's camera sees, in a world that begins at it."""
    gravity = Gravity()
    for heading in range(-20, 21, 5):
        pose = LEVEL.copy()
        pose[:3, :3] = TURNED @ Rotation.from_euler("ZY", [heading, down], degrees=True).as_matrix() @ LEVEL[:3, :3]
        gravity(pose, False)
    table = np.tile(UP, (500, 1)) + np.random.default_rng(0).normal(0, 0.03, (500, 3))
    assert gravity.up(table @ TURNED.T) @ TURNED[:, 2] > np.cos(np.radians(1))
