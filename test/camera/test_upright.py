"""Which way is up, by the poses of a camera that looks about."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.upright import (
    UP,
    other_axis_up,
    quarters_to_upright,
    rotation_to_z,
    shares_aligned,
    turned_upright,
    up_of_surfaces,
)  # fmt: skip

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


def turned_room(seed, floor=300, walls=300, things=200):
    """Normals of a room's floor and walls, with a sensor's noise, and of things that face anywhere; all turned. And what points up then."""
    rng = np.random.default_rng(seed)
    headings = rng.uniform(0, 2 * np.pi) + np.pi / 2 * rng.integers(0, 4, walls)
    normals = np.concatenate(
        [
            np.tile(UP, (floor, 1)),
            np.column_stack([np.cos(headings), np.sin(headings), np.zeros(walls)]),
            rng.normal(size=(things, 3)),
        ]
    )
    normals += rng.normal(0, 0.05, normals.shape)
    turn = Rotation.random(random_state=seed).as_matrix()
    return normals / np.linalg.norm(normals, axis=1, keepdims=True) @ turn.T, turn @ UP


def degrees(a, b):
    return np.degrees(np.arccos(np.clip(a @ b, -1, 1)))


def tilted(up, by_degrees, seed):
    """A unit vector so far from `up`."""
    across = np.cross(up, np.random.default_rng(seed).normal(size=3))
    return Rotation.from_rotvec(np.radians(by_degrees) * across / np.linalg.norm(across)).apply(up)


@given(st.integers(0, 10_000), st.floats(0, 35))
def test_floors_and_walls_say_what_points_up(seed, off):
    normals, up = turned_room(seed)
    assert degrees(up_of_surfaces(normals, tilted(up, off, seed)), up) < 3


@given(st.integers(0, 10_000), st.floats(0, 35))
def test_walls_or_a_floor_alone_are_enough(seed, off):
    for parts in ({"floor": 0}, {"walls": 0}):
        normals, up = turned_room(seed, things=0, **parts)
        assert degrees(up_of_surfaces(normals, tilted(up, off, seed)), up) < 5


@given(st.integers(0, 10_000))
def test_the_guess_stays_where_surfaces_do_not_say_what_points_up(seed):
    rng = np.random.default_rng(seed)
    guess = tilted(UP, rng.uniform(0, 180), seed)
    assert (up_of_surfaces(np.zeros((5000, 3), np.float32), guess) == guess).all(), "normals that are not known"
    assert (up_of_surfaces(turned_room(seed)[0][:50], guess) == guess).all(), "hardly any"
    wall = tilted(guess, 90, seed) + rng.normal(0, 1e-3, (1000, 3))
    assert degrees(up_of_surfaces(wall, guess), guess) < 3, "one wall, which leaves open how far its top is tilted"
    assert degrees(up_of_surfaces(turned_room(seed)[0], guess), guess) <= 45


def test_aligned_is_what_is_level_or_upright():
    slope = np.array([[0, np.sin(np.radians(a)), np.cos(np.radians(a))] for a in (0, 9, 11, 45, 79, 81, 90, 180)])
    assert shares_aligned(slope, UP).tolist() == [3 / 8, 2 / 8]
    assert (shares_aligned(np.zeros((3, 3)), UP) == 0).all()


@given(st.integers(0, 10_000))
def test_a_world_is_turned_so_that_up_becomes_z(seed):
    for up in (tilted(UP, np.random.default_rng(seed).uniform(0, 180), seed), UP, -UP):
        turn = rotation_to_z(up)
        np.testing.assert_allclose(turn @ up, UP, atol=1e-9)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(turn) > 0
