"""ScanNet++ scenes extracted by its toolkit."""

import json

import numpy as np
import pytest
from recording_builders import check_frames, make_views, write_scannetpp

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording


def edit_index(scene, change):
    file = scene / "iphone/pose_intrinsic_imu.json"
    index = json.loads(file.read_text())
    change(index)
    file.write_text(json.dumps(index))


def test_frames_are_what_was_written(tmp_path):
    views = make_views()
    write_scannetpp(tmp_path, views)
    for path in (tmp_path, tmp_path / "iphone"):
        recording = open_recording(path)
        frames = list(recording)
        check_frames(frames, views)
        assert (recording.format, len(recording)) == ("scannetpp", 4)
        assert frames[1].name == "frame_000001"
        assert [frame.stamp_s for frame in frames] == [view.stamp_ns / 1e9 for view in views]


def test_sparse_colour_is_the_sequence(tmp_path):
    views = make_views(7)
    recording = open_recording(write_scannetpp(tmp_path, views, every=3))
    check_frames(recording, views[::3])
    assert (len(recording), recording.skipped) == (3, {})


def test_stamps_without_timestamps_follow_60_hz(tmp_path):
    write_scannetpp(tmp_path, make_views(5), every=2)
    edit_index(tmp_path, lambda index: [entry.pop("timestamp") for entry in index.values()])
    assert [frame.stamp_s * 60 for frame in open_recording(tmp_path)] == pytest.approx([0, 2, 4])


def test_arkit_poses_can_be_chosen(tmp_path):
    write_scannetpp(tmp_path, make_views(1))
    (aligned,), (chosen,) = open_recording(tmp_path), open_recording(tmp_path, poses="pose")
    turned = [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]  # ARKit's y axis is up
    np.testing.assert_allclose(chosen.pose, turned, atol=1e-15)
    assert (aligned.z_up, chosen.z_up) == (True, True)
    (kept,) = open_recording(tmp_path, poses="pose", up="z")
    np.testing.assert_array_equal(kept.pose, np.eye(4))
    with pytest.raises(
        UserError, match=r"must have 'posse', a 4x4 matrix; found \['aligned_pose', 'intrinsic', 'pose'"
    ):
        list(open_recording(tmp_path, poses="posse"))


def test_frames_without_depth_or_pose_are_counted(tmp_path):
    views = make_views(4)
    write_scannetpp(tmp_path, views)
    (tmp_path / "iphone/depth/frame_000001.png").unlink()
    edit_index(tmp_path, lambda index: index.pop("frame_000002"))
    recording = open_recording(tmp_path)
    check_frames(recording, [views[0], views[3]])
    assert recording.skipped == {"no depth image": 1, "no pose": 1}


def test_older_names_of_extracted_colour(tmp_path):
    views = make_views(2)
    write_scannetpp(tmp_path, views)
    for file in list((tmp_path / "iphone/rgb").iterdir()):
        file.rename(file.with_name(f"{file.stem}.color.png"))
    check_frames(open_recording(tmp_path), views)


def test_a_scene_that_is_not_extracted_says_what_to_run(tmp_path):
    write_scannetpp(tmp_path, make_views(1))
    (tmp_path / "iphone/rgb.mkv").touch()
    (tmp_path / "iphone/depth.bin").touch()
    (tmp_path / "iphone/depth/frame_000000.png").unlink()
    with pytest.raises(UserError, match=r"no extracted images in depth/: run `python -m iphone.prepare_iphone_data"):
        open_recording(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"frame_000009": {}}', "{", ""])
def test_a_broken_index(tmp_path, text):
    write_scannetpp(tmp_path, make_views(1))
    (tmp_path / "iphone/pose_intrinsic_imu.json").write_text(text)
    with pytest.raises(UserError, match=r"pose_intrinsic_imu.json"):
        open_recording(tmp_path)


@pytest.mark.parametrize("value", [None, [1, 2], "text", [[1, 0, 0], [0, 1, 0]]])
def test_a_broken_matrix_names_the_frame(tmp_path, value):
    write_scannetpp(tmp_path, make_views(1))
    edit_index(tmp_path, lambda index: index["frame_000000"].update(intrinsic=value))
    with pytest.raises(UserError, match=r"frame_000000 of pose_intrinsic_imu.json must have 'intrinsic', a 3x3 matrix"):
        list(open_recording(tmp_path))
