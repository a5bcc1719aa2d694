"""Replica as NICE-SLAM shares it. What the conventions are is worked out by hand here, from its own loader."""

import json

import numpy as np
import pytest
from recording_builders import make_views, save_image, write_replica

from gcseg_ros.errors import UserError
from gcseg_ros.frames import back_project
from gcseg_ros.recordings import open_recording


def test_frames_are_what_was_written(tmp_path):
    views = make_views()
    recording = open_recording(write_replica(tmp_path / "room0", views))
    frames = list(recording)
    assert (recording.format, len(recording), recording.skipped, recording.notes) == ("replica", 4, {}, [])
    assert [frame.name for frame in frames] == [f"frame00000{i}" for i in range(4)]
    assert [frame.stamp_s * 30 for frame in frames] == pytest.approx([0, 1, 2, 3])
    for frame, view in zip(frames, views):
        np.testing.assert_array_equal(frame.colour, view.colour)
        np.testing.assert_allclose(frame.depth_m, view.depth_mm / 1000, atol=0.5 / 6553.5 + 1e-6)
        np.testing.assert_allclose(frame.pose, view.pose, atol=1e-8)
        assert (frame.intrinsics.fx, frame.intrinsics.cy, frame.z_up) == (14.0, 5.5, True)


def test_points_lie_where_the_publication_has_them(tmp_path):
    """A camera at (1, 2, 1.5) that looks along the world's x axis, upright where z is up: its x axis is the world's -y, its y axis -z.

    300 pixels to the right of its middle, at f = 600, a point 2 m ahead is 1 m to the right, which is y = 1.
    """
    depth = np.zeros((680, 1200), np.uint16)
    depth[489, 899] = 13107  # 2 m at 6553.5 a metre; 299.5 pixels to the right of cx = 599.5, 149.5 below cy = 339.5
    save_image(tmp_path / "results/depth000000.png", depth)
    save_image(tmp_path / "results/frame000000.jpg", np.full((680, 1200, 3), 90, np.uint8))
    (tmp_path / "traj.txt").write_text("0 0 1 1  -1 0 0 2  0 -1 0 1.5  0 0 0 1\n")
    (frame,) = recording = open_recording(tmp_path)
    world = back_project(frame.depth_m, frame.intrinsics, frame.pose)[frame.depth_m > 0]
    np.testing.assert_allclose(world, [[3, 2 - 2 * 299.5 / 600, 1.5 - 2 * 149.5 / 600]], atol=1e-4)
    (note,) = recording.notes
    assert note.endswith(
        "cam_params.json: the camera is taken for that of NICE-SLAM's images (f = 600 at 1200x680, 6553.5 depth units a metre)."
    )


def test_left_out_images_leave_the_others_their_poses(tmp_path):
    views = make_views(6)
    room = write_replica(tmp_path / "room0", views)
    for number in (0, 3):
        (room / f"results/frame00000{number}.png").unlink()
        (room / f"results/depth00000{number}.png").unlink()
    (room / "results/depth000004.png").unlink()
    recording = open_recording(room)
    frames = list(recording)
    assert [frame.name[-1] for frame in frames] == ["1", "2", "5"]
    assert recording.skipped == {"no depth image": 1}
    for frame in frames:
        np.testing.assert_allclose(frame.pose, views[int(frame.name[-1])].pose, atol=1e-8)


def test_images_that_are_numbered_otherwise_follow_the_lines(tmp_path):
    views = make_views(3)
    for view, number in zip(views, (8, 9, 10)):
        view.number = number
    for frame, view in zip(open_recording(write_replica(tmp_path / "room0", views)), views, strict=True):
        np.testing.assert_allclose(frame.pose, view.pose, atol=1e-8)


def test_images_behind_the_last_line_have_no_pose(tmp_path):
    room = write_replica(tmp_path / "room0", make_views(5))
    lines = (room / "traj.txt").read_text().splitlines()
    lines[1] = " ".join(["nan"] * 16)
    (room / "traj.txt").write_text("\n".join(lines[:3]))
    recording = open_recording(room)
    assert [frame.name[-1] for frame in recording] == ["0", "2"]
    assert recording.skipped == {"the pose is lost (not finite or zero)": 1, "no pose": 2}


def test_the_camera_may_lie_in_the_folder(tmp_path):
    room = write_replica(tmp_path / "room0", make_views(1))
    content = json.loads((tmp_path / "cam_params.json").read_text())
    content["camera"] |= {"fx": 13.5, "scale": 1000}
    (room / "cam_params.json").write_text(json.dumps(content))
    (before,) = open_recording(room)
    (room / "cam_params.json").unlink()
    (after,) = open_recording(room)
    assert (before.intrinsics.fx, after.intrinsics.fx) == (13.5, 14)
    np.testing.assert_allclose(before.depth_m, after.depth_m * 6.5535, rtol=1e-5)


def test_the_folder_of_the_rooms_says_which_there_are(tmp_path):
    for name in ("office0", "room0"):
        write_replica(tmp_path / name, make_views(1))
    with pytest.raises(UserError, match="it holds the recordings office0, room0: give one of them"):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("room0/traj.txt", "1 2 3", r"traj.txt has the line '1 2 3': expected lines `T11 T12 T13 T14 T21"),
        ("room0/traj.txt", None, r"traj.txt cannot be read \(No such file or directory\): expected lines `T11"),
        ("room0/traj.txt", "", r"No frame of .*room0 can be used: no pose \(1\); expected results/frame"),
        ("room0/traj.txt", "2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1", r"can be used: the pose is no rotation and translation"),
        ("room0/results/frame000000.png", "text", "frame000000.png is not a whole jpeg or png image"),
        ("room0/results/depth000000.png", "text", "depth000000.png is not a whole depth image"),
        ("cam_params.json", "{", "cam_params.json is not valid JSON"),
        ("cam_params.json", "[]", r"cam_params.json must hold a `camera` with the numbers w, h, fx, fy, cx, cy \(pixels\)"),
        ("cam_params.json", '{"camera": {"w": 16}}', r"must hold a `camera` .* found an error: 'scale'"),
        ("cam_params.json", '{"camera": {"scale": 0}}', "the scale 0 is no number of depth units a metre"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path, file, text, message):
    room = write_replica(tmp_path / "room0", make_views(1))
    (tmp_path / file).unlink() if text is None else (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=message):
        list(open_recording(room))


def test_images_of_another_shape_and_other_options_are_refused(tmp_path):
    views = make_views(1)
    room = write_replica(tmp_path / "room0", views)
    with pytest.raises(UserError, match="is a replica recording, which has no option 'poses'; its options: up "):
        open_recording(room, poses="pose")
    (tmp_path / "cam_params.json").unlink()
    with pytest.raises(
        UserError, match=r"images are 16x12, but the camera of NICE-SLAM's images \(there is no cam_params.json\) describes 1200x680"
    ):  # fmt: skip
        list(open_recording(room))
