"""Folders as the app Stray Scanner exports them, written by hand from its own code's conventions."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from recording_builders import check_ahead_and_right, save_image

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording

WIDTH, HEIGHT = 64, 48  # of the video; depth has a quarter
K = "50.0, 0.0, 31.5\n0.0, 50.0, 23.5\n0.0, 0.0, 1.0"
HEADER = "timestamp, frame, x, y, z, qx, qy, qz, qw"
AHEAD = "1.0, 1.5, 2.0, 1.0, 0.0, 0.0, 0.0"
"""1.5 m above ARKit's origin (y is up), upright, looking along ARKit's -z axis: its own quaternion is then 0 0 0 1, the app's 1 0 0 0."""
RIGHT = "1.0, 1.5, 2.0, 0.7071068, 0.0, 0.7071068, 0.0"
"""Turned to the right from there by a right angle, to look along ARKit's x axis: (0, -s, 0, s) times half a turn about x."""


def save_video(file, greys, size=(WIDTH, HEIGHT)):
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 60, size)
    for grey in greys:
        writer.write(np.full((size[1], size[0], 3), grey, np.uint8))
    writer.release()


def hide_first_image(file):
    """By its edit list, as in the files of the app, whose first image is 1/60 s before the start."""
    data = bytearray(file.read_bytes())
    (timescale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    struct.pack_into(">i", data, data.index(b"elst") + 16, timescale // 60)
    file.write_bytes(data)


def turn_when_shown(file):
    """A player is told to turn it by a right angle, as versions of 2021 did."""
    data = bytearray(file.read_bytes())
    matrix = (0, 1 << 16, 0, -1 << 16, 0, 0, HEIGHT << 16, 0, 1 << 30)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *matrix)
    file.write_bytes(data)


def write(folder, poses=(AHEAD,) * 4, depth_mm=2000, header=HEADER, ends=("",) * 100):
    """Frame i is grey, 40 i, and seen at 100 + i / 60 s."""
    depth = np.full((HEIGHT // 4, WIDTH // 4), depth_mm, np.uint16)
    for i in range(len(poses)):
        save_image(folder / f"depth/{i:06d}.png", depth)
        save_image(folder / f"confidence/{i:06d}.png", np.full(depth.shape, 2, np.uint8))
    rows = [f"{100 + i / 60}, {i:06d}, {pose}{end}" for i, (pose, end) in enumerate(zip(poses, ends))]
    (folder / "odometry.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "camera_matrix.csv").write_text(K)
    save_video(folder / "rgb.mp4", [40 * i for i in range(len(poses))])
    return folder


def greys(frames):
    return [int(np.round(frame.colour.mean() / 40)) for frame in frames]


def test_points_lie_where_they_should_in_a_world_with_z_up(tmp_path):
    recording = open_recording(write(tmp_path, (AHEAD, RIGHT)))
    ahead, right = recording
    assert (recording.format, len(recording), ahead.z_up) == ("stray_scanner", 2, True)
    assert [(frame.name, frame.stamp_s) for frame in (ahead, right)] == [("000000", 100), ("000001", 100 + 1 / 60)]
    check_ahead_and_right(ahead, right, 2 * 7.5 / 12.5, 2 * 5.5 / 12.5, atol=1e-5)
    assert ["y axis points up: its poses are turned" in note for note in recording.notes] == [True]


@pytest.mark.parametrize("change", [hide_first_image, turn_when_shown, lambda file: None])
def test_an_image_belongs_to_the_frame_of_its_number_however_a_player_shows_the_video(tmp_path, change):
    change(write(tmp_path) / "rgb.mp4")
    recording = open_recording(tmp_path)
    for _ in range(2):
        assert greys(recording) == [0, 1, 2, 3]
    assert not recording.skipped


def open_videos():
    """How many this process has open."""
    links = (file for file in Path("/proc/self/fd").iterdir() if file.is_symlink())
    return sum(link.resolve().name == "rgb.mp4" for link in links)


def test_the_video_is_open_only_while_frames_are_read(tmp_path):
    recordings = [open_recording(write(tmp_path)) for _ in range(3)]
    assert open_videos() == 0
    for recording in recordings:
        assert greys(recording) == [0, 1, 2, 3]
        frames = iter(recording)
        next(frames)
        assert open_videos() == 1
        frames.close()
        assert open_videos() == 0
    first, second = iter(recordings[0]), iter(recordings[0])
    assert [greys(pair) for pair in zip(first, second)] == [[i, i] for i in range(4)]
    assert [greys(second), greys(recordings[0])] == [[], [0, 1, 2, 3]]
    assert open_videos() == 0


def test_what_has_no_depth_no_pose_or_is_lost_is_counted_and_shifts_no_image(tmp_path):
    lost = "0, 0, 0, 0, 0, 0, 0"
    write(tmp_path, (AHEAD, lost, AHEAD, AHEAD, AHEAD))
    (tmp_path / "depth/000002.png").unlink()
    rows = (tmp_path / "odometry.csv").read_text().splitlines()
    (tmp_path / "odometry.csv").write_text("\n".join([*rows[:4], rows[5]]))
    recording = open_recording(tmp_path)
    assert greys(recording) == [0, 4]
    assert recording.skipped == {"the pose is lost (not finite or zero)": 1, "no depth image": 1, "no pose": 1}


def test_frames_whose_stamp_is_not_finite_are_counted_and_the_order_of_the_others_still_is(tmp_path):
    rows = (write(tmp_path, (AHEAD,) * 5) / "odometry.csv").read_text().splitlines()
    for number, stamp in enumerate(("100", "nan", "inf", "99", "101")):
        rows[number + 1] = stamp + rows[number + 1][rows[number + 1].index(",") :]
    (tmp_path / "odometry.csv").write_text("\n".join(rows))
    recording = open_recording(tmp_path)
    assert greys(recording) == [0, 4]
    assert recording.skipped == {"the stamp is not finite": 2, "not later than the frame before": 1}


@pytest.mark.parametrize(
    ("confidence", "kept"), [("0", (1, 1, 1)), (None, (0, 1, 1)), ("1", (0, 1, 1)), ("2", (0, 0, 1))]
)
def test_depth_counts_from_the_confidence_that_is_told(tmp_path, confidence, kept):
    write(tmp_path, (AHEAD,))
    levels = np.tile(np.array([0, 1, 2, 2], np.uint8), (HEIGHT // 4, WIDTH // 16))
    save_image(tmp_path / "confidence/000000.png", levels)
    (frame,) = open_recording(tmp_path, confidence=confidence)
    assert tuple((frame.depth_m[:, :3] > 0).all(0)) == kept


def test_without_confidence_all_depth_counts_and_that_is_told(tmp_path):
    write(tmp_path, (AHEAD, AHEAD))
    (tmp_path / "confidence/000001.png").unlink()
    recording = open_recording(tmp_path)
    assert all((frame.depth_m == 2).all() for frame in recording)
    assert "The depth of 1 of 2 frames has no image of its confidence: all of it counts." in recording.notes
    whole = open_recording(tmp_path, confidence="0")
    assert len(list(whole)) == 2
    assert not any("confidence" in note for note in whole.notes)


def test_the_camera_is_that_of_the_frame_where_the_app_wrote_it(tmp_path):
    header = f"{HEADER}, fx, fy, cx, cy, distortion_center_x, distortion_center_y"
    write(tmp_path, (AHEAD,) * 3, header=header, ends=(", 60, 56, 29.5, 21.5, , ", ", 52, 52, 31.5, 23.5, 30, 20", ""))
    first, second, third = (frame.intrinsics for frame in open_recording(tmp_path))
    # a quarter of the size: the middle of four pixels is that of one
    assert (first.fx, first.fy, first.cx, first.cy) == (15, 14, 7, 5)
    assert (second.fx, second.cx) == (13, 7.5)
    assert third.fx == 12.5, "camera_matrix.csv has it"
    (tmp_path / "camera_matrix.csv").unlink()
    with pytest.raises(UserError, match=r"camera_matrix.csv cannot be read"):
        open_recording(tmp_path)


def test_depth_is_repeated_where_colour_is_finer(tmp_path):
    write(tmp_path, (AHEAD,))
    save_video(tmp_path / "rgb.mp4", [0], (1280, 960))
    (tmp_path / "camera_matrix.csv").write_text("1000, 0, 639.5\n0, 1000, 479.5\n0, 0, 1")
    (frame,) = open_recording(tmp_path)
    assert frame.depth_m.shape == (480, 640)
    assert (frame.intrinsics.fx, frame.intrinsics.cx) == (500, 319.5)


def test_a_video_of_fewer_images_is_told(tmp_path):
    write(tmp_path)
    save_video(tmp_path / "rgb.mp4", [40, 80, 120])
    recording = open_recording(tmp_path)
    assert greys(recording) == [1, 2, 3]
    assert recording.skipped == {"rgb.mp4 has no image of it, or is broken before it": 1}
    assert f"{tmp_path / 'rgb.mp4'} has 3 images for 4 frames: the first is taken to be lost." in recording.notes
    save_video(tmp_path / "rgb.mp4", [0, 40])
    recording = open_recording(tmp_path)
    assert greys(recording) == [0, 1]
    assert recording.skipped == {"rgb.mp4 has no image of it, or is broken before it": 2}
    assert any("has 2 images for 4 frames: colours may be those of other" in note for note in recording.notes)


@pytest.mark.parametrize("step", [1, 3])
def test_no_frame_gets_the_image_of_another_where_the_video_is_broken(tmp_path, step):
    """From the broken image on it is not known which is which: ffmpeg may pass over more than that one."""
    file = write(tmp_path, (AHEAD,) * 6) / "rgb.mp4"
    data = bytearray(file.read_bytes())
    sizes = struct.unpack_from(">2I", data, data.index(b"stsz") + 16)
    (at,) = struct.unpack_from(">I", data, data.index(b"stco") + 12)
    data[at + sizes[0] : at + sum(sizes)] = bytes(sizes[1])
    file.write_bytes(data)
    recording = open_recording(tmp_path)
    recording.files = recording.files[::step]
    for _ in range(2):
        assert greys(recording) == [0]
        assert recording.skipped == {"rgb.mp4 has no image of it, or is broken before it": len(recording) - 1}


def test_a_video_whose_end_is_missing_or_that_is_none(tmp_path):
    file = write(tmp_path) / "rgb.mp4"
    whole = file.read_bytes()
    for broken in (b"", b"no video", whole[: len(whole) // 2]):
        file.write_bytes(broken)
        with pytest.raises(UserError, match=r"rgb.mp4 is no whole video that OpenCV decodes: copy or export it again"):
            open_recording(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=r"There is no .*rgb.mp4: export the whole recording again"):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        AHEAD,  # of 2021
        f"{HEADER}\n100, 000000, {AHEAD}\n100.1, 000001, 1.0, 1.5",
        f"{HEADER}\n100, 000000, {AHEAD.replace('1.5', 'high')}",
        f"{HEADER}\n100, first, {AHEAD}",
        HEADER.replace("qw", "w") + f"\n100, 000000, {AHEAD}",
        f"{HEADER}\n100, 000000, {AHEAD}\0",
        f"{HEADER}\n100, {'x' * 1000}",
    ],
)
def test_a_broken_odometry_is_one_sentence(tmp_path, text):
    (write(tmp_path) / "odometry.csv").write_text(text)
    with pytest.raises(
        UserError, match=r"odometry.csv must begin with the line timestamp, frame, x, .*; found .{,100}: export it"
    ):
        open_recording(tmp_path)


def test_other_broken_parts_are_one_sentence(tmp_path):
    write(tmp_path, (AHEAD,))
    with pytest.raises(UserError, match=r"The option confidence is 0, 1 or 2; found 'high'"):
        open_recording(tmp_path, confidence="high")
    with pytest.raises(UserError, match=r"one of x, -x, y, -y, z, -z; found 'up'"):
        open_recording(tmp_path, up="up")
    save_image(tmp_path / "confidence/000000.png", np.full((3, 4), 2, np.uint8))
    with pytest.raises(UserError, match=r"000000.png has 4x3 pixels and its depth 16x12: .*confidence=0"):
        list(open_recording(tmp_path))
    (tmp_path / "confidence/000000.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"confidence/000000.png must be a whole png of one 8-bit channel"):
        list(open_recording(tmp_path))
    assert len(list(open_recording(tmp_path, confidence="0"))) == 1
    (tmp_path / "camera_matrix.csv").write_text("50, 0, 31.5")
    with pytest.raises(UserError, match=r"camera_matrix.csv must hold a 3x3 matrix"):
        open_recording(tmp_path)
    (tmp_path / "camera_matrix.csv").write_text("1500, 0, 960\n0, 1500, 720\n0, 0, 1")
    with pytest.raises(UserError, match=r"camera_matrix.csv: the principal point .* belong to another image size"):
        list(open_recording(tmp_path, confidence="0"))
    (tmp_path / "depth/000000.png").unlink()
    with pytest.raises(UserError, match=r"has no depth/NNNNNN.png: record with a LiDAR"):
        open_recording(tmp_path)
