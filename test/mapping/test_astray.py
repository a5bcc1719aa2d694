"""Views whose poses cannot be right are told from cameras that move, jump for good, or are carried elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gcseg_ros.config import load_config
from gcseg_ros.mapper import Mapper
from gcseg_ros.mapping.astray import LATELY, MOST, Astray
from gcseg_ros.recordings import open_recording
from gcseg_ros.state import Saved


def at(x, turned=0.0):
    pose = np.eye(4)
    pose[0, 3] = x
    pose[:3, :3] = Rotation.from_euler("z", turned, degrees=True).as_matrix()
    return pose


def walked(views=LATELY + 1, step_m=0.05, rate_hz=15.0):
    """After so many views of a steady walk; and the time of the next one."""
    astray = Astray()
    for i in range(views):
        assert not astray(i / rate_hz, at(step_m * i), fits=i > 0)
    return astray, views / rate_hz


@pytest.mark.parametrize("pose", [at(5), at(0.5, 90), np.diag([-1.0, -1, 1, 1])], ids=["far away", "turned", "behind"])
def test_a_jump_to_where_nothing_fits_is_astray_until_something_fits(pose):
    astray, now = walked()
    assert [astray(now + i / 15, pose, fits=False) for i in range(3)] == [True] * 3
    assert not astray(now + 0.2, at(0.7), fits=True)
    assert astray.count == 3
    assert "3 frames were not mapped" in astray.notes()[0]


def test_a_jump_to_where_the_map_fits_is_believed():
    astray, now = walked()
    assert not astray(now, at(5), fits=True)
    assert astray.notes() == []


def test_a_camera_that_stays_where_it_has_jumped_to_is_believed():
    astray, now = walked()
    assert [astray(now + i / 15, at(5 + 0.05 * i), fits=False) for i in range(MOST + 20)] == [True] * MOST + [
        False
    ] * 20


@given(st.floats(0.01, 2.0), st.floats(1, 60))
def test_one_that_always_moves_fast_is_believed(step_m, rate_hz):
    astray, now = walked(step_m=step_m, rate_hz=rate_hz)
    assert not any(astray(now + i / rate_hz, at(step_m * (LATELY + 1 + i)), fits=False) for i in range(20))


@pytest.mark.parametrize("gap_s", [-100.0, 0.0, 2.0], ids=["an earlier recording", "the same stamp", "a pause"])
def test_after_a_gap_the_camera_may_be_anywhere(gap_s):
    astray, now = walked()
    assert not astray(now - 1 / 15 + gap_s, at(50), fits=False)


def test_a_slow_start_may_be_followed_by_a_walk():
    astray, now = walked(step_m=0.0)
    assert not any(astray(now + i / 15, at(0.15 * i, 15 * i), fits=False) for i in range(20))


def test_it_goes_on_as_saved():
    whole, now = walked()
    whole(now, at(5), fits=False)
    other = Astray()
    other.restore(Saved("astray", 0, whole.state()))
    for i in range(1, 2 * MOST):
        assert other(now + i / 15, at(5), fits=False) == whole(now + i / 15, at(5), fits=False)
    assert other.count == whole.count == MOST


def test_frames_of_wrong_poses_leave_nothing_in_the_map():
    frames = list(open_recording("synthetic:2:demo:18"))
    mapper = Mapper(load_config(None, ["masks.generator=geometric", "views.most=0"]))
    for i, frame in enumerate(frames):
        wrong = i in (12, 13)
        voxels = len(mapper.voxel_map)
        labels = mapper.step(replace(frame, pose=at(30)) if wrong else frame).labels
        assert labels.any() != wrong
        assert len(mapper.voxel_map) == voxels or not wrong
    assert mapper.statistics()["poses"]["astray"] == 2
    assert any("2 frames were not mapped" in note for note in mapper.notes())


def test_a_map_that_was_saved_in_a_jump_is_gone_on_with_elsewhere():
    astray, now = walked()
    assert astray(now, at(5), fits=False)
    assert not astray(now + 1000, at(50), fits=False)
