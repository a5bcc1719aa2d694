"""7-Scenes sequences and tsdf-fusion-python's copy."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from recording_builders import K, check_frames, make_views, save_image, save_matrix, write_seven_scenes

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.seven_scenes import KINECT

SHARED = Path(__file__).parents[2] / "../shared/data/kitchen_real"


def test_frames_are_what_was_written(tmp_path):
    views = make_views()
    for view in views:
        view.number *= 6  # every sixth frame
    recording = open_recording(write_seven_scenes(tmp_path, views))
    frames = list(recording)
    check_frames(frames, views)
    assert recording.format == "seven_scenes"
    assert [frame.name for frame in frames][:2] == ["frame-000000", "frame-000006"]
    assert [frame.stamp_s for frame in frames] == pytest.approx([0, 0.2, 0.4, 0.6])


def test_the_original_has_the_kinects_camera(tmp_path):
    write_seven_scenes(tmp_path / "seq-01", make_views(1))
    (tmp_path / "seq-01/camera-intrinsics.txt").unlink()
    recording = open_recording(tmp_path / "seq-01")
    camera = next(iter(recording)).intrinsics.scaled(640, 480)
    (note,) = recording.notes
    assert "the camera is taken for the publication's Kinect (f = 585 at 640x480)" in note
    np.testing.assert_allclose([camera.fx, camera.fy, camera.cx, camera.cy], [585, 585, 320, 240])


def write_wall(folder, number, depth_m, matrix):
    """A wall, and a ramp of 2 gray levels a pixel around pixel 320 of colour."""
    ramp = np.clip(2 * (np.arange(640) - 320) + 128, 0, 255).astype(np.uint8)
    save_image(folder / f"frame-{number:06d}.color.png", np.tile(ramp[:, None], (480, 1, 3)))
    save_image(folder / f"frame-{number:06d}.depth.png", np.full((480, 640), 1000 * depth_m, np.uint16))
    save_matrix(folder / f"frame-{number:06d}.pose.txt", np.eye(4))
    if matrix is not None:
        save_matrix(folder / "camera-intrinsics.txt", matrix)


@pytest.mark.parametrize("matrix", [None, KINECT.matrix])
@pytest.mark.parametrize("depth_m", [1, 4])
def test_the_published_colour_is_that_of_a_camera_beside_depth_s(tmp_path, matrix, depth_m):
    write_wall(tmp_path, 0, depth_m, matrix)
    recording = open_recording(tmp_path)
    (frame,) = recording
    u = np.array([300, 320, 340])
    seen = (u - 320) / 585 * 525 - 0.025 / depth_m * 525 + 319.5
    np.testing.assert_allclose(frame.colour[240, u, 0], 2 * (seen - 320) + 128, atol=1)
    (note,) = recording.notes
    assert "whose colour camera has f = 525 and stands 25 mm beside depth's: if that was done before, take" in note
    (frame,) = open_recording(tmp_path, registered="yes")
    np.testing.assert_array_equal(frame.colour[240, u, 0], 2 * (u - 320) + 128)


def test_with_another_matrix_colour_lies_on_depth(tmp_path):
    write_wall(tmp_path, 0, 1, np.array([[525.0, 0, 319.5], [0, 525, 239.5], [0, 0, 1]]))
    recording = open_recording(tmp_path)
    (frame,) = recording
    np.testing.assert_array_equal(frame.colour[240, 300:341, 0], 2 * (np.arange(300, 341) - 320) + 128)
    assert recording.notes == []


TWELVE_SCENES = """m_versionNumber = 4
m_sensorName = StructureSensor
m_depthShift = 2000
m_calibrationColorIntrinsic = 1170.19 0 647.75 0 0 1170.19 483.75 0 0 0 1 0 0 0 0 1
m_calibrationColorExtrinsic = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1
m_calibrationDepthIntrinsic = 571.62 0 319.5 0 0 571.62 239.5 0 0 0 1 0 0 0 0 1
m_calibrationDepthExtrinsic = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1
"""


@pytest.mark.parametrize("info", ["data/_info.txt", "info.txt"])
def test_the_cameras_of_12_scenes_are_in_an_info_file(tmp_path, info):
    ramp = np.clip(2 * (np.arange(1296) - 648) + 128, 0, 255).astype(np.uint8)
    save_image(tmp_path / "data/frame-000000.color.jpg", np.tile(ramp[:, None], (968, 1, 3)))
    save_image(tmp_path / "data/frame-000000.depth.png", np.full((480, 640), 3000, np.uint16))
    save_matrix(tmp_path / "data/frame-000000.pose.txt", np.eye(4))
    with pytest.raises(
        UserError, match=r"color.jpg has 1296x968 pixels and its depth 640x480: expected the two of a raw K"
    ):
        list(open_recording(tmp_path / "data"))
    (tmp_path / info).write_text("Kitchen, lights on\n")  # about something else
    with pytest.raises(UserError, match=r"put the info.txt of these cameras"):
        list(open_recording(tmp_path / "data"))
    (tmp_path / info).write_text(TWELVE_SCENES)
    recording = open_recording(tmp_path / "data")
    (frame,) = recording
    assert (frame.intrinsics.fx, frame.intrinsics.cx, frame.depth_m[0, 0]) == (571.62, 319.5, pytest.approx(1.5))
    u = np.array([300, 320, 340])
    seen = (u - 319.5) / 571.62 * 1170.19 + 647.75
    np.testing.assert_allclose(frame.colour[240, u, 0], 2 * (seen - 648) + 128, atol=3)
    assert recording.notes == []
    for wrong in (TWELVE_SCENES.replace("571.62 0 319.5", "571.62 319.5"), TWELVE_SCENES.replace("2000", "0")):
        (tmp_path / info).write_text(wrong)
        with pytest.raises(
            UserError, match=r"info.txt must hold m_calibrationColorIntrinsic and m_calibrationDepthIntr"
        ):
            open_recording(tmp_path / "data")


def test_an_info_file_about_something_else_does_not_hide_the_cameras(tmp_path):
    save_image(tmp_path / "data/frame-000000.color.jpg", np.zeros((968, 1296, 3), np.uint8))
    save_image(tmp_path / "data/frame-000000.depth.png", np.full((480, 640), 3000, np.uint16))
    save_matrix(tmp_path / "data/frame-000000.pose.txt", np.eye(4))
    (tmp_path / "data/info.txt").write_text("Kitchen, lights on\n")
    (tmp_path / "info.txt").write_text(TWELVE_SCENES)
    (frame,) = open_recording(tmp_path / "data")
    assert frame.intrinsics.fx == 571.62


def test_depth_may_be_pgm(tmp_path):
    """3RScan's."""
    views = make_views(2)
    write_seven_scenes(tmp_path, views)
    for view in views:
        depth = tmp_path / f"frame-{view.number:06d}.depth.png"
        depth.unlink()
        save_image(depth.with_suffix(".pgm"), view.depth_mm)
    check_frames(open_recording(tmp_path), views)


def test_the_camera_may_be_that_of_the_scene(tmp_path, monkeypatch):
    views = make_views(1)
    write_seven_scenes(tmp_path / "seq-01", views)
    (tmp_path / "seq-01/camera-intrinsics.txt").rename(tmp_path / "camera-intrinsics.txt")
    monkeypatch.chdir(tmp_path / "seq-01")
    for path in (tmp_path, tmp_path / "seq-01", "."):
        recording = open_recording(path)
        check_frames(recording, views)
        assert recording.notes == []


def test_colour_of_another_shape_than_depth_is_refused(tmp_path):
    views = make_views(1)
    write_seven_scenes(tmp_path, views)
    save_image(tmp_path / "frame-000000.color.png", views[0].colour[:9])
    with pytest.raises(
        UserError, match="The images are 16x9, but the depth camera describes 16x12, which is another shape"
    ):
        list(open_recording(tmp_path))


def test_jpeg_colour(tmp_path):
    write_seven_scenes(tmp_path, make_views(2), "jpg")
    assert len(list(open_recording(tmp_path))) == 2


def test_a_scene_with_one_sequence_is_that_sequence(tmp_path):
    views = make_views(2)
    write_seven_scenes(tmp_path / "seq-03", views)
    check_frames(open_recording(tmp_path), views)


def test_a_scene_with_several_sequences_asks_for_one(tmp_path):
    write_seven_scenes(tmp_path / "seq-01", make_views(1))
    write_seven_scenes(tmp_path / "seq-02", make_views(1))
    with pytest.raises(UserError, match="give one of its sequences; found seq-01, seq-02"):
        open_recording(tmp_path)


def test_a_scene_of_archives(tmp_path):
    (tmp_path / "seq-01.zip").touch()
    with pytest.raises(UserError, match="only archives: unzip one"):
        open_recording(tmp_path)


def test_incomplete_frames_are_counted(tmp_path):
    views = make_views(4)
    write_seven_scenes(tmp_path, views)
    (tmp_path / "frame-000001.depth.png").unlink()
    (tmp_path / "frame-000002.pose.txt").unlink()
    recording = open_recording(tmp_path)
    check_frames(recording, [views[0], views[3]])
    assert recording.skipped == {"no depth image": 1, "no pose": 1}


def test_no_poses(tmp_path):
    write_seven_scenes(tmp_path, make_views(1))
    (tmp_path / "frame-000000.pose.txt").unlink()
    with pytest.raises(UserError, match=r"has no poses: expected frame-NNNNNN.pose.txt"):
        open_recording(tmp_path)


def test_a_frame_of_another_size_is_named(tmp_path):
    first, second = make_views(2)
    write_seven_scenes(
        tmp_path, [first, replace(second, colour=second.colour[::2, ::2], depth_mm=second.depth_mm[::2, ::2])]
    )
    frames = iter(open_recording(tmp_path))
    next(frames)
    with pytest.raises(
        UserError, match=r"^Frame frame-000001: .*intrinsics.txt: the principal point .* another image size"
    ):
        next(frames)


def test_intrinsics_of_another_size(tmp_path):
    write_seven_scenes(tmp_path, make_views(1))
    np.savetxt(tmp_path / "camera-intrinsics.txt", K * 10)
    with pytest.raises(UserError, match=r"camera-intrinsics.txt: the principal point \(75.0, 55.0\) lies outside"):
        list(open_recording(tmp_path))


@pytest.mark.skipif(not SHARED.exists(), reason="the shared recordings are not here")
def test_the_real_kitchen():
    frames = list(open_recording(SHARED))
    assert len(frames) == 60
    assert frames[0].depth_m.max() < 10
    assert 0.3 < (frames[0].depth_m > 0).mean() < 1
    as_they_are = list(open_recording(SHARED, registered="yes"))
    assert np.mean([edge_gradient(f) for f in frames]) > 1.3 * np.mean([edge_gradient(f) for f in as_they_are])


def edge_gradient(frame):
    """Mean gradient of colour where a surface ends before a further one: high where colour lies on depth."""
    near = (frame.depth_m > 0) & (cv2.dilate(frame.depth_m, np.ones((3, 3))) - frame.depth_m > 0.08 * frame.depth_m)
    gray = cv2.cvtColor(frame.colour, cv2.COLOR_RGB2GRAY)
    return np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))[near].mean()
