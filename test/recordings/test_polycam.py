"""Raw data as Polycam exports it, written by hand from its own notes' conventions."""

import json
import shutil

import numpy as np
import pytest
from recording_builders import check_ahead_and_right, save_image

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording

WIDTH, HEIGHT = 64, 48  # of colour; depth has a quarter
CAMERA = {"width": WIDTH, "height": HEIGHT, "fx": 50.0, "fy": 50.0, "cx": 31.5, "cy": 23.5, "blur_score": 9.0}
AHEAD = [[1, 0, 0, 1], [0, 1, 0, 1.5], [0, 0, 1, 2]]
"""ARKit's camera 1.5 m above the origin (y is up), upright; it looks along its own -z axis, and here along the world's."""
RIGHT = [[0, 0, -1, 1], [0, 1, 0, 1.5], [1, 0, 0, 2]]
"""Turned to the right from there by a right angle, to look along the world's x axis."""
STAMPS_US = (999_900_000, 1_000_000_000, 1_000_400_000)


def write_camera(file, pose, **changes):
    file.parent.mkdir(parents=True, exist_ok=True)
    numbers = {f"t_{row}{column}": pose[row][column] for row in range(3) for column in range(4)}
    file.write_text(json.dumps({**CAMERA, **numbers, **changes}))


def write(folder, poses=(AHEAD, RIGHT), corrected=True, corrected_images=True, names=STAMPS_US):
    """ARKit's poses have drifted by 10 cm. Colours are 100, straightened ones 200."""
    keyframes = folder / "keyframes"
    for name, pose in zip(names, poses):
        drifted = np.array(pose, float)
        drifted[0, 3] += 0.1
        write_camera(keyframes / f"cameras/{name}.json", drifted.tolist(), timestamp=999_900_000, tracking_segment=0)
        save_image(keyframes / f"images/{name}.jpg", np.full((HEIGHT, WIDTH, 3), 100, np.uint8))
        if corrected:
            write_camera(keyframes / f"corrected_cameras/{name}.json", pose)
        if corrected and corrected_images:
            save_image(keyframes / f"corrected_images/{name}.jpg", np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
        for suffix in ("", ".Clean"):  # newer exports have both
            save_image(keyframes / f"depth/{name}{suffix}.png", np.full((HEIGHT // 4, WIDTH // 4), 2000, np.uint16))
            level = np.full((HEIGHT // 4, WIDTH // 4), 255, np.uint8)
            save_image(keyframes / f"confidence/{name}{suffix}.png", level)
    return folder


def colours(recording):
    return [round(frame.colour.mean()) for frame in recording]


def test_points_lie_where_they_should_in_a_world_with_z_up(tmp_path):
    recording = open_recording(write(tmp_path))
    ahead, right = recording
    assert (recording.format, len(recording), ahead.z_up) == ("polycam", 2, True)
    assert [(frame.name, frame.stamp_s) for frame in (ahead, right)] == [("999900000", 999.9), ("1000000000", 1000)]
    check_ahead_and_right(ahead, right, 2 * 7.5 / 12.5, 2 * 5.5 / 12.5)


@pytest.mark.parametrize(
    ("there", "poses", "x", "colour"),
    [
        ({}, None, 1, 200),
        ({}, "corrected_cameras", 1, 200),
        ({}, "cameras", 1.1, 100),
        ({"corrected_images": False}, None, 1, 100),
        ({"corrected": False}, None, 1.1, 100),
    ],
)
def test_what_polycam_corrected_is_taken_where_it_is_there(tmp_path, there, poses, x, colour):
    recording = open_recording(write(tmp_path, (AHEAD,), **there), poses=poses)
    (frame,) = recording
    np.testing.assert_allclose(frame.pose[:3, 3], (x, -2, 1.5))
    assert colours(recording) == [colour]
    told = "There are no corrected_cameras: poses are ARKit's, and drift." in recording.notes
    assert told == (there == {"corrected": False})


def test_straightened_colour_is_brought_into_depth_s_camera(tmp_path):
    """Depth is not straightened: its camera is that of before. The corrected one sees the same 8 pixels further to the right."""
    write(tmp_path, (AHEAD,))
    write_camera(tmp_path / "keyframes/corrected_cameras/999900000.json", AHEAD, cx=39.5)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, 40:] = 255
    save_image(tmp_path / "keyframes/corrected_images/999900000.jpg", image)
    (frame,) = open_recording(tmp_path)
    assert (frame.intrinsics.fx, frame.intrinsics.cx, frame.intrinsics.cy) == (12.5, 7.5, 5.5)
    edge = frame.colour.mean((0, 2))  # it is before the camera, at x = 7.5
    assert edge[:7].max() < 20
    assert edge[9:].min() > 235


@pytest.mark.parametrize("medium", [54, 127])
@pytest.mark.parametrize(("confidence", "kept"), [("0", (1, 1, 1)), (None, (0, 1, 1)), ("2", (0, 0, 1))])
def test_depth_counts_from_the_confidence_that_is_told(tmp_path, medium, confidence, kept):
    write(tmp_path, (AHEAD,))
    levels = np.tile(np.array([0, medium, 255, 255], np.uint8), (HEIGHT // 4, WIDTH // 16))
    save_image(tmp_path / "keyframes/confidence/999900000.png", levels)
    (frame,) = open_recording(tmp_path, confidence=confidence)
    assert tuple((frame.depth_m[:, :3] > 0).all(0)) == kept


def test_frames_without_a_part_are_counted(tmp_path):
    write(tmp_path, (AHEAD, RIGHT, AHEAD))
    keyframes = tmp_path / "keyframes"
    (keyframes / "corrected_cameras/999900000.json").unlink()
    (keyframes / "corrected_images/1000400000.jpg").unlink()
    recording = open_recording(tmp_path)
    assert [frame.name for frame in recording] == ["1000000000"]
    assert recording.skipped == {"no pose": 1, "no colour image": 1}
    (keyframes / "depth/1000000000.png").unlink()
    with pytest.raises(UserError, match=r"No frame of .* can be used: .*no depth image \(1\)"):
        list(open_recording(tmp_path))


def test_a_corrected_camera_alone_is_enough(tmp_path):
    shutil.rmtree(write(tmp_path) / "keyframes/cameras")
    assert len(list(open_recording(tmp_path))) == 2


def test_numbered_frames_follow_30_hz(tmp_path):
    write(tmp_path, (AHEAD, RIGHT, AHEAD), names=("00000", "00001", "00002"))
    assert [frame.stamp_s for frame in open_recording(tmp_path)] == pytest.approx([0, 1 / 30, 2 / 30])


@pytest.mark.parametrize("part", ["corrected_cameras cameras", "corrected_images images", "depth"])
def test_an_export_without_a_part_says_what_to_do_in_the_app(tmp_path, part):
    write(tmp_path)
    for folder in part.split():
        shutil.rmtree(tmp_path / "keyframes" / folder)
    says = rf"keyframes has no files in {part.split()[-1]}: expected .*; turn on Polycam's developer mode, and export"
    with pytest.raises(UserError, match=says):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not valid JSON"),
        ("[]", "must hold the numbers width, height, fx, .* and t_00 to t_23; found an error"),
        (json.dumps(CAMERA), "must hold .* found an error: 't_00'"),
        (json.dumps({**CAMERA, "fx": None}), "must hold the numbers"),
        (
            json.dumps({**CAMERA, "fx": 0, **{f"t_{i}{j}": 0 for i in range(3) for j in range(4)}}),
            "must hold .* found fx=0",
        ),
    ],
)
def test_a_broken_camera_is_one_sentence(tmp_path, text, says):
    (write(tmp_path) / "keyframes/corrected_cameras/999900000.json").write_text(text)
    with pytest.raises(UserError, match=rf"999900000.json {says}"):
        list(open_recording(tmp_path))


def test_other_broken_parts_are_one_sentence(tmp_path):
    scan = tmp_path / "scan"
    write(scan)
    with pytest.raises(UserError, match=r"The option poses is corrected_cameras or cameras; found 'best'"):
        open_recording(scan, poses="best")
    with pytest.raises(UserError, match=r"it holds the recordings scan: give one of them"):
        open_recording(tmp_path)
    with pytest.raises(UserError, match=r"is a recording: give that"):
        open_recording(scan / "keyframes")
    write_camera(scan / "keyframes/corrected_cameras/999900000.json", AHEAD, width=HEIGHT, height=WIDTH)
    with pytest.raises(UserError, match=r"Frame 999900000: The images are 64x48, but .*json describes 48x64"):
        list(open_recording(scan))


def test_an_archive_is_to_be_unpacked(tmp_path):
    write(tmp_path / "scan")
    archive = shutil.make_archive(str(tmp_path / "scan"), "zip", tmp_path / "scan")
    with pytest.raises(UserError, match=r"fits .*scan.zip; it is an archive: unpack it, and give the folder"):
        open_recording(archive)
