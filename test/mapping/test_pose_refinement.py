"""Poses corrected by the map: a camera in an empty room of known walls, whose depth is exact."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gcseg_ros.config import MapConfig
from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics
from gcseg_ros.mapping.pose_refinement import PoseRefinement, difference, moved
from gcseg_ros.mapping.state import read_state, write_state
from gcseg_ros.mapping.voxel_map import VoxelMap
from gcseg_ros.recordings.synthetic.path import look_from
from gcseg_ros.views import View

CAMERA = CameraIntrinsics(160, 120, 131.0, 131.0, 79.5, 59.5)
ROOM = np.array([[0.0, 0.0, 0.0], [4.0, 5.0, 2.5]])
CORNER = look_from([2.0, 2.5, 1.3], [0.2, 0.3, 0.6])


def seen(pose, said=None, room=ROOM) -> View:
    """What a camera at `pose` in the room sees, its pose said to be another one."""
    v, u = np.mgrid[: CAMERA.height, : CAMERA.width]
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)], -1) @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        walls = np.maximum((room[0] - pose[:3, 3]) / rays, (room[1] - pose[:3, 3]) / rays)
    depth = walls.min(-1).astype(np.float32)
    colour = np.full((*depth.shape, 3), 128, np.uint8)
    return View.of("frame", colour, depth, depth, CAMERA, pose if said is None else said)


def integrate(voxel_map, view) -> None:
    for _ in range(2):
        voxel_map.integrate(view, np.ones(view.depth_m.shape, np.int32))


def refinement(*poses) -> PoseRefinement:
    """With the map of what was seen from these poses."""
    voxel_map = VoxelMap(MapConfig())
    for pose in poses:
        integrate(voxel_map, seen(pose))
    return PoseRefinement(voxel_map)


def off(pose, true) -> tuple[float, float]:
    """mm and degrees"""
    turn, shift = difference(true, pose)
    return 1000 * np.linalg.norm(shift), np.degrees(np.linalg.norm(turn))


small = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array)


@given(small, small)
@settings(max_examples=25, deadline=None)
def test_a_pose_that_is_a_little_off_is_found_again_where_three_walls_are_seen(turn, shift):
    refine, said = refinement(CORNER), moved(CORNER, 0.006 * turn, 0.012 * shift)
    for _ in range(4):
        refined = refine(seen(CORNER, said)).pose
    mm, degrees = off(refined, CORNER)
    assert mm < 1.5
    assert degrees < 0.08


def test_along_a_single_wall_the_given_motion_stays():
    at_wall = look_from([2.0, 2.5, 1.25], [0.0, 2.5, 1.25001])
    wide = np.array([[0.0, -50.0, -50.0], [50.0, 50.0, 50.0]])
    voxel_map = VoxelMap(MapConfig())
    integrate(voxel_map, seen(at_wall, room=wide))
    said = moved(at_wall, np.zeros(3), np.array([0.012, 0.008, -0.009]))
    refined = PoseRefinement(voxel_map)(seen(at_wall, said, wide)).pose
    assert abs(refined[0, 3] - 2.0) < 0.002, "towards the wall the map knows better"
    assert refined[1:3, 3] == pytest.approx(said[1:3, 3], abs=1e-4)


def test_a_view_of_nothing_known_keeps_the_correction_which_fades():
    refine = refinement(CORNER)
    refine(seen(CORNER, moved(CORNER, np.zeros(3), np.array([0.01, 0, 0]))))
    corrected = refine.counts()["corrected_m"]
    assert corrected > 0.007
    away = look_from([2.0, 2.5, 1.3], [3.8, 4.8, 2.0])
    assert off(refine(seen(away)).pose, away)[0] == pytest.approx(1000 * corrected, rel=0.02)
    assert refine.counts()["lost"] == 1
    dark = replace(seen(away), measured_m=np.zeros((120, 160), np.float32))
    for _ in range(600):
        refine(dark)
    assert refine.counts()["corrected_m"] == pytest.approx(corrected * np.exp(-2), rel=0.05)


def turning(count):
    """Poses of a camera that looks around in the room, and goes a little way."""
    angles = np.linspace(0, 2 * np.pi, count)
    return [
        look_from(
            [2 + 0.5 * np.cos(a), 2.5 + 0.5 * np.sin(a), 1.3],
            [2 + 1.9 * np.cos(2 * a), 2.5 + 2.3 * np.sin(2 * a), 0.5 + 0.4 * np.sin(3 * a)],
        )
        for a in angles
    ]


def test_a_walk_with_drift_is_mapped_where_it_was():
    random = np.random.default_rng(0)
    refine, turn, shift, worst = refinement(), np.zeros(3), np.zeros(3), 0.0
    poses = turning(120)
    for pose in poses:
        view = refine(seen(pose, moved(pose, turn, shift)))
        integrate(refine.voxel_map, view)
        worst = max(worst, off(view.pose, pose)[0])
        turn, shift = turn + random.normal(0.0005, 0.001, 3), shift + random.normal(0.001, 0.002, 3)
    given = off(moved(poses[-1], turn, shift), poses[-1])
    assert given[0] > 100
    assert worst < 25
    assert off(view.pose, poses[-1])[1] < 0.25 * given[1]


def test_exact_poses_stay():
    refine = refinement()
    for pose in turning(120):
        view = refine(seen(pose))
        integrate(refine.voxel_map, view)
        mm, degrees = off(view.pose, pose)
        assert mm < 3
        assert degrees < 0.1


def test_poses_that_jump_back_to_where_they_should_be_are_believed():
    """As those of a SLAM do that has closed a loop."""
    refine = refinement(*turning(60))
    for i, pose in enumerate(turning(240)[:120]):
        refine(seen(pose, moved(pose, np.zeros(3), np.array([0.004, -0.003, 0]) * i)))
    assert refine.counts()["corrected_m"] > 0.5
    after = turning(240)[120]
    assert off(refine(seen(after)).pose, after)[0] < 5
    assert refine.counts()["corrected_m"] < 0.01


def test_no_depth_and_too_few_points_are_nothing_to_go_by():
    refine, view = refinement(CORNER), seen(CORNER)
    for depth in (np.zeros_like(view.depth_m), np.where(np.arange(160) < 1, view.depth_m, np.float32(0))):
        assert (refine(replace(view, measured_m=depth)).pose == refine.refined).all()
        assert off(refine.refined, CORNER)[0] < 1e-6
    assert refine.counts() == {"corrected_m": 0, "corrected_deg": 0, "lost": 2}


def test_it_goes_on_from_what_was_saved(tmp_path):
    first, after = (seen(CORNER, moved(CORNER, np.zeros(3), np.array([x, 0, 0]))) for x in (0.01, 0.013))
    refine = refinement(CORNER)
    refine(first)
    write_state(tmp_path / "state.npz", {"objects": 1}, {"poses": refine.state()})
    again = PoseRefinement(refine.voxel_map)
    again.restore(read_state(tmp_path / "state.npz").part("poses"))
    assert (again(after).pose == refine(after).pose).all()

    write_state(tmp_path / "state.npz", {"objects": 1}, {"poses": {**refine.state(), "given": np.zeros((4, 4))}})
    with pytest.raises(UserError, match="must be a rotation"):
        again.restore(read_state(tmp_path / "state.npz").part("poses"))


@given(small, small, small)
@settings(max_examples=50, deadline=None)
def test_moved_undoes_difference(axis, turn, shift):
    one = np.eye(4)
    one[:3, :3], one[:3, 3] = Rotation.from_rotvec(2 * axis).as_matrix(), 3 * axis
    other = moved(one, turn, shift)
    found = difference(one, other)
    assert np.concatenate(found) == pytest.approx(np.concatenate([turn, shift]), abs=1e-9)
