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
from gcseg_ros.mapping.pose_refinement import PoseRefinement, moved
from gcseg_ros.mapping.voxel_map import VoxelMap
from gcseg_ros.recordings.synthetic.path import look_from
from gcseg_ros.state import read_state, write_state
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
    turn = Rotation.from_matrix(pose[:3, :3] @ true[:3, :3].T).magnitude()
    return 1000 * np.linalg.norm(pose[:3, 3] - true[:3, 3]), np.degrees(turn)


def by(turn=(0, 0, 0), shift=(0, 0, 0)):
    return np.concatenate([turn, shift]).astype(float)


def walked(seed, count, *scales):
    """(count, 6) A random walk of corrections: steps of so many radians and m; it starts where poses are right."""
    steps = np.random.default_rng(seed).normal(0, np.repeat(scales, 3), (count, 6))
    return np.cumsum(steps, 0) - steps[0]


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_poses_that_drift_are_found_again_where_three_walls_are_seen(seed):
    refine = refinement(CORNER)
    for correction in walked(seed, 20, np.radians(0.1), 0.003):
        said = moved(CORNER, correction)
        mm, degrees = off(refine(seen(CORNER, said)).pose, CORNER)
    assert mm < max(4, 0.3 * off(said, CORNER)[0])
    assert degrees < max(0.12, 0.3 * off(said, CORNER)[1])


def test_along_a_single_wall_the_given_motion_stays():
    at_wall = look_from([2.0, 2.5, 1.25], [0.0, 2.5, 1.25001])
    wide = np.array([[0.0, -50.0, -50.0], [50.0, 50.0, 50.0]])
    voxel_map = VoxelMap(MapConfig())
    integrate(voxel_map, seen(at_wall, room=wide))
    refine = PoseRefinement(voxel_map)
    said = [moved(at_wall, correction) for correction in walked(2, 30, 1e-9, 0.003)]
    off_by, left = (
        np.array([pose[:3, 3] - at_wall[:3, 3] for pose in poses])
        for poses in (said, [refine(seen(at_wall, pose, wide)).pose for pose in said])
    )
    assert (np.abs(off_by).max(0) > 0.006).all()
    assert left[:, 1:] == pytest.approx(off_by[:, 1:], abs=5e-4)
    assert np.abs(left[15:, 0]).max() < 0.001, "towards the wall the map knows better"


def test_a_view_of_nothing_known_keeps_the_correction_which_fades():
    refine = refinement(CORNER)
    for correction in walked(2, 20, 1e-9, 0.003):
        refine(seen(CORNER, moved(CORNER, correction)))
    corrected = refine.counts()["corrected_m"]
    assert corrected > 0.01
    away = look_from([2.0, 2.5, 1.3], [3.8, 4.8, 2.0])
    assert off(refine(seen(away)).pose, away)[0] == pytest.approx(1000 * corrected, rel=0.02)
    assert refine.counts()["lost"] == 1
    dark = replace(seen(away), measured_m=np.zeros((120, 160), np.float32))
    for _ in range(200):
        refine(dark)
    assert refine.counts()["corrected_m"] < 0.15 * corrected


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
    refine, given, refined = refinement(), [], []
    for pose, correction in zip(turning(120), walked(0, 120, np.radians(0.1), 0.003)):
        said = moved(pose, correction)
        view = refine(seen(pose, said))
        integrate(refine.voxel_map, view)
        given.append(off(said, pose))
        refined.append(off(view.pose, pose))
    assert (np.max(given, 0) > (25, 1)).all()
    assert (np.mean(refined, 0) < 0.6 * np.mean(given, 0)).all()


def test_drift_in_steps_too_small_to_see_is_noticed_when_they_have_added_up():
    refine, poses = refinement(), turning(240)
    for i, pose in enumerate(poses):
        said = moved(pose, by(turn=[0, 0, np.radians(0.02) * i]))
        view = refine(seen(pose, said))
        integrate(refine.voxel_map, view)
    assert off(said, pose)[1] > 4.5
    assert off(view.pose, pose)[1] < 0.6 * off(said, pose)[1]


def test_exact_poses_stay():
    refine = refinement()
    for pose in turning(120):
        view = refine(seen(pose))
        integrate(refine.voxel_map, view)
        mm, degrees = off(view.pose, pose)
        assert mm < 1
        assert degrees < 0.05


def test_poses_that_jump_back_to_where_they_should_be_are_believed():
    """As those of a SLAM do that has closed a loop."""
    refine = refinement(*turning(60))
    for i, pose in enumerate(turning(240)[:120]):
        refine(seen(pose, moved(pose, by(shift=[0.004 * i, -0.003 * i, 0]))))
    assert refine.counts()["corrected_m"] > 0.5
    after = turning(240)[120]
    assert off(refine(seen(after)).pose, after)[0] < 5
    assert refine.counts()["corrected_m"] < 0.01
    assert refine.drift.variance()[3] < 0.01**2, "the jump is no drift"


def test_no_depth_and_too_few_points_are_nothing_to_go_by():
    refine, view = refinement(CORNER), seen(CORNER)
    for depth in (np.zeros_like(view.depth_m), np.where(np.arange(160) < 1, view.depth_m, np.float32(0))):
        assert off(refine(replace(view, measured_m=depth)).pose, CORNER)[0] < 1e-6
    assert refine.counts() == {"corrected_m": 0, "corrected_deg": 0, "lost": 0}, "nor to call poses wrong by"


def test_it_goes_on_from_what_was_saved(tmp_path):
    first, after = (seen(CORNER, moved(CORNER, by(shift=[x, 0, 0]))) for x in (0.01, 0.013))
    refine = refinement(CORNER)
    refine(first)
    write_state(tmp_path / "state.npz", {"objects": 1}, {"poses": refine.state()})
    again = PoseRefinement(refine.voxel_map)
    again.restore(read_state(tmp_path / "state.npz").part("poses"))
    assert (again(after).pose == refine(after).pose).all()

    for damaged, said in (
        ({"correction": np.zeros(7)}, r"correction.*float64 of shape \(6\)"),
        ({"count": np.zeros(1)}, "count"),
    ):
        write_state(tmp_path / "state.npz", {"objects": 1}, {"poses": {**refine.state(), **damaged}})
        with pytest.raises(UserError, match=said):
            again.restore(read_state(tmp_path / "state.npz").part("poses"))


@pytest.mark.parametrize(("scale", "told"), [(1.0, False), (0.9, False), (0.4, True)])
def test_poses_of_another_scale_are_told(scale, told):
    refine = refinement(*(moved(CORNER, by(shift=(x, 0, 0))) for x in (0.0, 0.3, 0.6)))
    for x in np.arange(0, 0.8, 0.03):
        refine(seen(moved(CORNER, by(shift=(x, 0, 0))), said=moved(CORNER, by(shift=(scale * x, 0, 0)))))
    assert refine.lost == 0
    assert bool(refine.notes(24)) == told
    assert not told or "fits the map 0.4" in refine.notes(24)[0]
