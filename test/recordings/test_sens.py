"""ScanNet's .sens files."""

import struct
import tracemalloc

import numpy as np
import pytest
from recording_builders import check_frames, make_views, write_scannet, write_sens

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording


def single_precision(views):
    for view in views:
        view.pose = view.pose.astype(np.float32).astype(np.float64)
    return views


@pytest.mark.parametrize("depth_compression", [0, 1])
def test_frames_are_what_was_written(tmp_path, depth_compression):
    views = single_precision(make_views())
    file = write_sens(tmp_path / "scene0000_00/scene0000_00.sens", views, depth_compression=depth_compression)
    for path in (file, file.parent):
        recording = open_recording(path)
        assert (recording.format, len(recording)) == ("scannet_sens", 4)
        for _ in range(2):
            frames = list(recording)
            assert [frame.name for frame in frames] == ["000000", "000001", "000002", "000003"]
            np.testing.assert_allclose([frame.pose for frame in frames], [view.pose for view in views], atol=1e-6)
            for frame, view in zip(frames, views):
                view.pose = frame.pose
            check_frames(frames, views)


def test_the_exported_folder_wins_where_both_are(tmp_path):
    write_scannet(tmp_path, make_views(1))
    write_sens(tmp_path / "scene.sens", make_views(2))
    assert open_recording(tmp_path).format == "scannet"


def test_stamps_and_names_are_those_of_an_exported_folder(tmp_path):
    views = make_views(3)
    folder = open_recording(write_scannet(tmp_path / "folder", views))
    file = open_recording(write_sens(tmp_path / "scene.sens", views))
    assert [(f.name, f.stamp_s) for f in folder] == [(f.name, f.stamp_s) for f in file]


def test_a_colour_camera_beside_the_depth_camera_is_registered(tmp_path):
    """Depth 14 m (the focal length) away, so that a step of the camera to the side is a pixel: the colour of the pixel to the right."""
    (view,) = views = make_views(1)
    view.depth_mm[:] = 14000
    beside = np.eye(4)
    beside[0, 3] = 1.0
    file = write_sens(tmp_path / "scene.sens", views, T_colour_depth=beside)
    folder = write_scannet(tmp_path / "folder", views)
    np.savetxt(folder / "intrinsic/extrinsic_depth.txt", beside)
    for recording in (open_recording(file), open_recording(folder)):
        (frame,) = recording
        np.testing.assert_array_equal(frame.colour[:, :-1], view.colour[:, 1:])
        np.testing.assert_allclose(frame.pose, view.pose, atol=1e-6)
    (frame,) = open_recording(write_sens(tmp_path / "empty.sens", views, T_colour_depth=np.zeros((4, 4))))
    np.testing.assert_array_equal(frame.colour, view.colour)


def test_lost_poses_are_left_out_and_counted(tmp_path):
    views = single_precision(make_views(3))
    views[1].pose[:] = -np.inf
    recording = open_recording(write_sens(tmp_path / "scene.sens", views))
    assert [frame.name for frame in recording] == ["000000", "000002"]
    assert recording.skipped == {"the pose is lost (not finite or zero)": 1}


def test_a_truncated_file(tmp_path):
    file = write_sens(tmp_path / "scene.sens", make_views(3))
    data = file.read_bytes()
    for size in (0, 10, 200, len(data) // 2, len(data) - 100):
        file.write_bytes(data[:size])
        with pytest.raises(UserError, match=r"scene.sens"):
            list(open_recording(file))


def test_broken_images_name_the_frame(tmp_path):
    file = write_sens(tmp_path / "scene.sens", make_views(2))
    data = file.read_bytes()
    second = data.rindex(b"\x89PNG")
    file.write_bytes(data[: second + 20] + bytes(20) + data[second + 40 :])
    with pytest.raises(UserError, match=r"Frame 1 of .*scene.sens is not a whole"):
        list(open_recording(file))


@pytest.mark.parametrize("frames", [2, 1000, 1 << 63, (1 << 64) - 1])
def test_more_frames_than_the_file_holds(tmp_path, frames):
    file = write_sens(tmp_path / "scene.sens", make_views(1), frames=frames)
    with pytest.raises(UserError, match=r"scene.sens is truncated"):
        list(open_recording(file))


@pytest.mark.parametrize("step", [1, 2])
def test_images_larger_than_any(tmp_path, step):
    file = write_sens(tmp_path / "scene.sens", make_views(2), depth_compression=0)
    data = file.read_bytes()
    size = struct.pack("<Q", 2 * 16 * 12)
    at = data.rindex(size)
    file.write_bytes(data[:at] + b"\xff" * 8 + data[at + 8 :])
    with pytest.raises(UserError, match=r"scene.sens is truncated"):
        list(open_recording(file).stored(step))


@pytest.mark.parametrize("pixels", [0, 16 * 12 - 1, 16 * 12 + 1, 50_000_000])
def test_depth_of_another_size_takes_no_memory(tmp_path, pixels):
    (view,) = make_views(1)
    view.depth_mm = np.zeros(pixels, np.uint16)
    file = write_sens(tmp_path / "scene.sens", [view])
    tracemalloc.start()
    with pytest.raises(UserError, match=r"Frame 0 of .*scene.sens: the depth image is broken"):
        list(open_recording(file))
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 3},
        {"colour_compression": 0},
        {"depth_compression": 2},
        *({"units": units} for units in (0.0, -1.0, np.nan, np.inf)),
    ],
)
def test_other_versions_compressions_and_impossible_units_are_refused(tmp_path, changes):
    with pytest.raises(UserError, match=r"scene.sens must"):
        open_recording(write_sens(tmp_path / "scene.sens", make_views(1), **changes))


def test_two_files_in_a_folder(tmp_path):
    write_sens(tmp_path / "a.sens", make_views(1))
    write_sens(tmp_path / "b.sens", make_views(1))
    with pytest.raises(UserError, match=r"holds 2 .sens files: give one of them"):
        open_recording(tmp_path)
