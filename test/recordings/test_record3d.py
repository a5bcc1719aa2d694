"""Record3D's own files, written by hand from what its author tells of them."""

import importlib.util
import json
import struct
import zipfile

import cv2
import numpy as np
import pytest
from recording_builders import check_ahead_and_right

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording, record3d

WIDTH, HEIGHT = 48, 64  # of colour, held upright; depth has a quarter
HERE = [0, 0, 0, 1, 0, 0, 0]
AHEAD = [0, 0, 0, 1, 1, 1.5, 2]
"""OpenGL's camera 1.5 m above the origin (y is up), upright; it looks along its own -z axis, and here along the world's."""
RIGHT = [0, -(0.5**0.5), 0, 0.5**0.5, 1, 1.5, 2]
"""Turned to the right from there by a right angle, to look along the world's x axis."""
METADATA = {"w": WIDTH, "h": HEIGHT, "dw": 12, "dh": 16, "fps": 60, "initPose": HERE, "cameraType": 1}
K = [50, 0, 0, 0, 50, 0, 23.5, 31.5, 1]  # by columns


def write(file, poses=(AHEAD, RIGHT), compress=bytes, without=(), parts=None, **metadata):
    """Frame i is grey, 50 i, all of it at 2 m."""
    depth, levels = np.full((16, 12), 2, "<f4"), np.full((16, 12), 2, np.uint8)
    files = {
        "metadata": json.dumps({**METADATA, "K": K, "poses": list(poses), **metadata}),
        "icon": b"",
        "sound.m4a": b"",
    }
    for i in range(len(poses)):
        files[f"rgbd/{i}.jpg"] = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 50 * i, np.uint8))[1].tobytes()
        files[f"rgbd/{i}.depth"] = compress(depth.tobytes())
        files[f"rgbd/{i}.conf"] = compress(levels.tobytes())
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**files, **(parts or {})}.items():
            if name not in without:
                archive.writestr(name, data)
    return file


def test_points_lie_where_they_should_in_a_world_with_z_up(tmp_path):
    recording = open_recording(write(tmp_path / "scan.r3d", frameTimestamps=[0.25, 0.5]))
    ahead, right = recording
    assert (recording.format, len(recording), ahead.z_up) == ("record3d", 2, True)
    assert [(frame.name, frame.stamp_s, round(frame.colour.mean())) for frame in (ahead, right)] == [
        ("0", 0.25, 0),
        ("1", 0.5, 50),
    ]
    check_ahead_and_right(ahead, right, 2 * 5.5 / 12.5, 2 * 7.5 / 12.5)


def test_poses_go_on_from_the_initial_one(tmp_path):
    """It looks along x at first, and goes a metre ahead: along its own -z axis."""
    recording = open_recording(write(tmp_path / "scan.r3d", (HERE, [0, 0, 0, 1, 0, 0, -1]), initPose=RIGHT))
    first, second = recording
    np.testing.assert_allclose(first.pose[:3, 3], (1, -2, 1.5))
    np.testing.assert_allclose(second.pose[:3, 3], (2, -2, 1.5), atol=1e-9)
    np.testing.assert_allclose(second.pose[:3, 2], (1, 0, 0), atol=1e-9)
    assert not any("held level" in note for note in recording.notes)
    recording = open_recording(write(tmp_path / "old.r3d", (HERE, RIGHT)))
    assert len(list(recording)) == 2
    told = "Poses begin with that of the first frame: the map is level if the phone was held level then."
    assert told in recording.notes


def test_the_camera_is_that_of_the_frame_where_the_app_wrote_it(tmp_path):
    numbers = [[60, 60, 23.5, 31.5], [56, 56, 21.5, 31.5]]
    first, second = open_recording(write(tmp_path / "scan.r3d", perFrameIntrinsicCoeffs=numbers))
    assert (first.intrinsics.fx, first.intrinsics.cx, first.intrinsics.cy) == (15, 5.5, 7.5)
    assert (second.intrinsics.fx, second.intrinsics.cx, second.intrinsics.cy) == (14, 5, 7.5)
    first, _ = open_recording(write(tmp_path / "scan.r3d"))
    assert (first.intrinsics.fx, first.intrinsics.cx, first.intrinsics.cy) == (12.5, 5.5, 7.5), "by K"
    assert open_recording(tmp_path / "scan.r3d").files[1].stamp_s == pytest.approx(1 / 60), "by fps"


@pytest.mark.parametrize(("confidence", "kept"), [("0", (1, 1, 1)), (None, (0, 1, 1)), ("2", (0, 0, 1))])
def test_depth_counts_from_the_confidence_that_is_told(tmp_path, confidence, kept):
    levels = np.tile(np.array([0, 1, 2], np.uint8), (16, 4)).tobytes()
    write(tmp_path / "scan.r3d", parts={"rgbd/0.conf": levels})
    first, _ = open_recording(tmp_path / "scan.r3d", confidence=confidence)
    assert tuple((first.depth_m[:, :3] > 0).all(0)) == kept


def test_depth_that_is_not_finite_is_none(tmp_path):
    depth = np.full((16, 12), 2, "<f4")
    depth[0, :3] = np.nan, np.inf, -1
    first, _ = open_recording(write(tmp_path / "scan.r3d", parts={"rgbd/0.depth": depth.tobytes()}))
    assert (first.depth_m[0, :4] > 0).tolist() == [False, False, False, True]


def test_frames_without_a_part_are_counted(tmp_path):
    lost = [0, 0, 0, 0, 0, 0, 0]
    file = write(tmp_path / "scan.r3d", (AHEAD, RIGHT, lost, AHEAD), without=("rgbd/0.depth", "rgbd/1.jpg"))
    recording = open_recording(file)
    assert [frame.name for frame in recording] == ["3"]
    assert recording.skipped == {
        "no depth image": 1,
        "no colour image": 1,
        "the pose is lost (not finite or zero)": 1,
    }


def test_lzfse_is_decompressed(tmp_path):
    lzfse = pytest.importorskip("lzfse")
    first, _ = open_recording(write(tmp_path / "scan.r3d", compress=lzfse.compress))
    assert (first.depth_m == 2).all()
    noise = np.random.default_rng(0).random((256, 192)).astype("<f4") + 1
    for depth in (noise, np.cumsum(noise, 1)):
        parts = {"rgbd/0.depth": lzfse.compress(depth.tobytes())}
        file = write(tmp_path / "scan.r3d", (AHEAD,), parts=parts, dh=256, dw=192)
        (first,) = open_recording(file, confidence="0")
        np.testing.assert_array_equal(first.depth_m, depth)
    for wrong in (lzfse.compress(bytes(100)), lzfse.compress(bytes(4 * 16 * 12))[:-8]):
        with pytest.raises(UserError, match=r"rgbd/0.depth of .*scan.r3d is not 12x16 pixels by LZFSE"):
            list(open_recording(write(tmp_path / "scan.r3d", parts={"rgbd/0.depth": wrong})))


@pytest.mark.skipif(importlib.util.find_spec("lzfse") is not None, reason="lzfse is installed")
def test_without_the_package_it_is_said_how_to_install_it(tmp_path):
    stored = b"bvx-" + struct.pack("<I", 768) + bytes(768) + b"bvx$"
    file = write(tmp_path / "scan.r3d", parts={"rgbd/0.depth": stored})
    with pytest.raises(UserError, match=r"needs the package lzfse, which is not installed: .*pip install .*record3d"):
        list(open_recording(file))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"bvx2",
        bytes(700),
        b"bvx-" + struct.pack("<I", 1 << 30) + b"bvx$",  # a gigabyte
        b"bvx2" + struct.pack("<I3Q", 0, 0, 0, 0),  # goes on for ever
        b"bvx-" + struct.pack("<I", 4) + bytes(4) + b"bvx$",
        bytes(4000),
    ],
)
def test_what_is_not_as_much_as_the_pixels_is_not_decompressed(tmp_path, data):
    file = write(tmp_path / "scan.r3d", parts={"rgbd/0.depth": data})
    with pytest.raises(UserError, match=r"rgbd/0.depth of .*scan.r3d is not 12x16 pixels by LZFSE: copy or export"):
        list(open_recording(file))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"w": None}, "metadata must hold w, h, K, fps and poses"),
        ({"K": [1, 2]}, "found an error: cannot reshape"),
        ({"K": [0] * 9}, "Focal lengths must be positive"),
        ({"poses": [[0, 0, 0, 1]]}, "not enough values"),
        ({"poses": ["four"]}, "metadata must hold"),
        ({"dh": 10**9}, "depth of 12x1000000000 pixels"),
        ({"fps": 0}, "division by zero"),
        ({"poses": [HERE, HERE]}, "has one pose for all frames: record with the LiDAR"),
        ({"poses": []}, "No frame of .* can be used: it holds none"),
        ({"w": 64, "h": 48}, "The images are 48x64, but the metadata of .* describes 64x48"),
    ],
)
def test_broken_metadata_is_one_sentence(tmp_path, changes, says):
    file = write(tmp_path / "scan.r3d", **changes)
    with pytest.raises(UserError, match=says):
        list(open_recording(file))


def test_other_broken_parts_are_one_sentence(tmp_path):
    file = write(tmp_path / "scan.r3d")
    whole = file.read_bytes()
    with pytest.raises(UserError, match=r"The option confidence is 0, 1 or 2; found '3'"):
        open_recording(file, confidence="3")
    for data in (b"", whole[: len(whole) // 2]):
        file.write_bytes(data)
        with pytest.raises(UserError, match=r"scan.r3d is no whole .r3d file .*: copy or export it again"):
            open_recording(file)
    at = whole.index(b"rgbd/0.jpg") + 100
    file.write_bytes(whole[:at] + b"broken" + whole[at + 6 :])
    with pytest.raises(UserError, match=r"rgbd/0.jpg of .*scan.r3d is broken .*CRC"):
        list(open_recording(file))
    with pytest.raises(UserError, match=r"scan.r3d has no metadata: expected a .r3d file"):
        open_recording(write(file, without=("metadata",)))
    with pytest.raises(UserError, match=r"metadata must hold .*; found an error: Expecting property"):
        open_recording(write(file, parts={"metadata": "{"}))
    with pytest.raises(UserError, match=r"rgbd/0.jpg of .* is not a whole jpeg or png image"):
        list(open_recording(write(file, parts={"rgbd/0.jpg": b"no image"})))


def test_an_archive_that_would_fill_the_memory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(record3d, "MOST_BYTES", 10_000)
    assert len(list(open_recording(write(tmp_path / "scan.r3d")))) == 2
    with zipfile.ZipFile(tmp_path / "scan.r3d", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata", bytes(10_001))
    with pytest.raises(UserError, match=r"metadata of .*scan.r3d would be 10001 bytes: is it a recording"):
        open_recording(tmp_path / "scan.r3d")
