"""Which way is up, by the poses of a camera that looks about."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.upright import other_axis_up, quarters_to_upright, turned_upright

LEVEL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0.0]])
"""Camera to world: along the world's x axis, z up."""
WORLDS = {  # z-up world -> one whose axis of that name points up
    "y": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]]),
    "-y": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]]),
    "x": np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0.0]]),
    "-x": np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0.0]]),
}


def look(heading, down=0.0, quarters=0, world=None):
    """Camera-to-world; angles in degrees. quarters: right angles by which its image is to be turned clockwise."""
    pose = np.eye(4)
    R = Rotation.from_euler("z", heading, degrees=True).as_matrix() @ LEVEL
    R = R @ Rotation.from_euler("x", -down, degrees=True).as_matrix()
    pose[:3, :3] = (
        (np.eye(3) if world is None else world) @ R @ Rotation.from_euler("z", 90 * quarters, degrees=True).as_matrix()
    )
    return pose


@given(st.floats(-180, 180), st.floats(-40, 40), st.integers(0, 3))
def test_a_camera_that_is_held_by_right_angles_is_turned_back(heading, down, quarters):
    assert quarters_to_upright(look(heading, down, quarters)) == quarters


@given(st.floats(-180, 180), st.integers(0, 3))
def test_a_camera_that_looks_down_is_not_told(heading, quarters):
    assert quarters_to_upright(look(heading, 70, quarters)) is None


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("name", WORLDS)
def test_the_axis_that_points_up_is_named(name, quarters):
    poses = [look(heading, 15, quarters, WORLDS[name]) for heading in range(0, 200, 10)]
    found = other_axis_up(poses)
    assert found == name if quarters == 0 else found in (name, name.removeprefix("-"), f"-{name}")


def test_a_z_axis_that_points_down_is_told_from_a_camera_that_hangs_upside_down():
    down = np.diag([1, -1, -1.0])
    assert other_axis_up([look(heading, 15, 0, down) for heading in range(20)]) == "-z"
    assert other_axis_up([look(heading, 15 + 4 * heading, 0, down) for heading in range(20)]) == "-z", (
        "often at a table"
    )
    assert other_axis_up([look(heading, pitch, 2) for heading in range(20) for pitch in (0, 15)]) is None
    assert other_axis_up([look(heading, 0, 0, down) for heading in range(20)]) is None, (
        "level: a robot's, for all one knows"
    )


@given(st.lists(st.floats(-180, 180), min_size=1, max_size=30), st.floats(-40, 40), st.integers(0, 3))
def test_nothing_is_said_of_a_world_whose_z_axis_points_up(headings, down, quarters):
    # a camera that hangs upside down and looks up is not told from one in a world of z down
    assume(quarters != 2 or down > -4)
    assert other_axis_up([look(heading, down, quarters) for heading in headings]) is None


def test_nothing_is_said_where_it_cannot_be_known():
    assert other_axis_up([]) is None
    assert other_axis_up([look(heading, 15, 0, WORLDS["y"]) for heading in (0, 60, 120, 180)]) is None, "a few poses"
    assert other_axis_up([look(heading, 70) for heading in range(0, 40, 5)]) is None, "it looks down at a table"
    assert other_axis_up([look(heading, 15, 0, WORLDS["y"]) for heading in range(10)]) is None, "it hardly looks about"


@pytest.mark.parametrize("name", ["z", *WORLDS])
def test_points_are_turned_upright_and_none_is_mirrored(name):
    room = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    lying = room @ WORLDS.get(name, np.eye(3)).T.astype(np.float32)
    turned = turned_upright(lying, name)
    assert np.allclose(turned[:, 2], room[:, 2]), "up is up"
    rotation = np.linalg.lstsq(lying.astype(float), turned.astype(float), rcond=None)[0]
    assert np.isclose(np.linalg.det(rotation), 1, atol=1e-4)
