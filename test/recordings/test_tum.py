"""TUM RGB-D recordings."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_builders import HEIGHT, WIDTH, make_views, save_image, write_tum
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.folders import associate


def test_frames_are_what_was_written(tmp_path):
    views = make_views()
    recording = open_recording(write_tum(tmp_path, views))
    frames = list(recording)
    assert (recording.format, len(recording), recording.skipped) == ("tum", 4, {})
    for frame, view in zip(frames, views):
        np.testing.assert_allclose(frame.depth_m, view.depth_mm / 1000, rtol=1e-6)
        view.depth_mm = np.rint(frame.depth_m * 1000)
    assert [frame.name for frame in frames][:2] == ["100.004000", "100.104000"]  # of the colour images
    assert [frame.stamp_s for frame in frames] == [view.stamp_ns / 1e9 for view in views]  # of the depth images
    for frame, view in zip(frames, views):
        np.testing.assert_array_equal(frame.colour, view.colour)
        np.testing.assert_allclose(frame.pose, view.pose, atol=1e-8)
        assert frame.intrinsics.fx == pytest.approx(14)


def test_lists_may_have_what_windows_adds(tmp_path):
    write_tum(tmp_path, make_views())
    for name in ("rgb", "depth", "groundtruth"):
        file = tmp_path / f"{name}.txt"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert len(list(open_recording(tmp_path))) == 4


def test_poses_are_interpolated(tmp_path):
    write_tum(tmp_path, make_views(3))
    lines = []
    for i in range(-1, 4):  # a rotation of 20 degrees and 0.1 m in 0.1 s, between the depth images' stamps
        x, y, z, w = Rotation.from_euler("z", 20 * i, degrees=True).as_quat()
        lines.append(f"{100.05 + i / 10:.4f} {i / 10} 0 0 {x} {y} {z} {w}")
    (tmp_path / "groundtruth.txt").write_text("\n".join(lines))
    for i, frame in enumerate(open_recording(tmp_path)):
        np.testing.assert_allclose(frame.pose[0, 3], (i - 0.5) / 10, atol=1e-6)
        expected = Rotation.from_euler("z", 20 * (i - 0.5), degrees=True).as_matrix()
        np.testing.assert_allclose(frame.pose[:3, :3], expected, atol=1e-6)


def test_frames_without_partner_file_or_pose_are_counted(tmp_path):
    views = make_views(6)
    write_tum(tmp_path, views)
    rgb = (tmp_path / "rgb.txt").read_text().splitlines()
    rgb[2] = rgb[2].replace("100.104", "100.130", 1)  # 30 ms after its depth image
    (tmp_path / "rgb.txt").write_text("\n".join(rgb))
    (tmp_path / "rgb/100.204000.png").unlink()
    (tmp_path / "depth/100.300000.png").unlink()
    truth = (tmp_path / "groundtruth.txt").read_text().splitlines()
    (tmp_path / "groundtruth.txt").write_text("\n".join(truth[:-1]))
    recording = open_recording(tmp_path)
    assert [frame.name for frame in recording] == ["100.004000", "100.404000"]
    assert recording.skipped == {"no colour image": 2, "no depth image": 1, "no pose": 1}


@pytest.mark.parametrize("stamp", ["nan", "inf"])
def test_an_image_whose_stamp_is_not_finite_is_counted(tmp_path, stamp):
    lines = (write_tum(tmp_path, make_views(3)) / "depth.txt").read_text()
    (tmp_path / "depth.txt").write_text(f"{lines}\n{stamp} depth/{stamp}.png\n")
    recording = open_recording(tmp_path)
    assert len(list(recording)) == 3
    assert recording.skipped == {"the stamp is not finite": 1}


def test_lists_need_not_be_sorted(tmp_path):
    write_tum(tmp_path, make_views(4))
    for name in ("rgb", "depth", "groundtruth"):
        lines = (tmp_path / f"{name}.txt").read_text().splitlines()
        (tmp_path / f"{name}.txt").write_text("\n".join([lines[0], *lines[:0:-1]]))
    assert [frame.stamp_s for frame in open_recording(tmp_path)] == pytest.approx([100, 100.1, 100.2, 100.3])


@pytest.mark.parametrize(
    ("name", "fx"),
    [
        ("rgbd_dataset_freiburg1_desk", 517.3),
        ("rgbd_dataset_freiburg2_xyz", 520.9),
        ("fr3_office", 535.4),
        ("my_desk", 525.0),
    ],
)
def test_intrinsics_follow_the_name(tmp_path, name, fx):
    write_tum(tmp_path / name, make_views(1))
    (tmp_path / name / "camera.yaml").unlink()
    camera = next(iter(open_recording(tmp_path / name))).intrinsics
    assert (camera.width, camera.height) == (WIDTH, HEIGHT)
    assert camera.scaled(640, 480).fx == pytest.approx(fx)


@pytest.mark.parametrize("number", [1, 2])
def test_raw_images_are_straightened(tmp_path, number):
    """A wall, slanted, darker on the left: with the calibrated camera alone it would be neither plane nor in its place."""
    scene = tmp_path / f"rgbd_dataset_freiburg{number}_desk"
    calibrated = {1: [517.3, 516.5, 318.6, 255.3], 2: [520.9, 521.0, 325.1, 249.7]}[number]
    bent = {1: [0.2624, -0.9531, -0.0054, 0.0026, 1.1633], 2: [0.2312, -0.7849, -0.0033, -0.0001, 0.9172]}[number]
    matrix = np.array([[calibrated[0], 0, calibrated[2]], [0, calibrated[1], calibrated[3]], [0, 0, 1]])
    pixels = np.stack(np.meshgrid(np.arange(640), np.arange(480)), -1).reshape(-1, 1, 2).astype(float)
    x = cv2.undistortPoints(pixels, matrix, np.array(bent)).reshape(480, 640, 2)[..., 0]
    (view,) = make_views(1)
    view.colour = np.repeat(np.rint(128 + 180 * x).astype(np.uint8)[..., None], 3, 2)
    view.depth_mm = np.rint(2000 / (1 - 0.3 * x)).astype(np.uint16)
    write_tum(scene, [view])
    (scene / "camera.yaml").unlink()
    recording = open_recording(scene)
    (frame,) = recording
    x = (np.arange(640) - calibrated[2]) / calibrated[0] * np.ones((480, 1))
    inner = (slice(30, -30), slice(30, -30))
    np.testing.assert_allclose(frame.depth_m[inner], (2 / (1 - 0.3 * x))[inner], atol=0.002)
    np.testing.assert_allclose(frame.colour[..., 0][inner], (128 + 180 * x)[inner], atol=1)
    assert recording.notes[0].endswith("Its images are raw: what its lens bends is straightened.")


def test_an_assumed_camera_is_told_and_other_shapes_are_refused(tmp_path):
    """Images of 16:9 would be stretched to the benchmark's 4:3."""
    views = make_views(1)
    write_tum(tmp_path, views)
    list(recording := open_recording(tmp_path))
    assert recording.notes == []
    (tmp_path / "camera.yaml").unlink()
    list(recording := open_recording(tmp_path))
    (note,) = recording.notes
    assert note.endswith(
        "camera.yaml: the camera is taken for one of the benchmark (fx, fy, cx, cy = 525, 525, 319.5, 239.5 at 640x480)."
    )
    for file, image in (("rgb/100.004000", views[0].colour), ("depth/100.000000", views[0].depth_mm)):
        save_image(tmp_path / f"{file}.png", image[:9])
    with pytest.raises(
        UserError, match=r"images are 16x9, but the assumed camera \(there is no camera.yaml\) describes 640"
    ):
        list(recording)


def test_depth_factor(tmp_path):
    views = make_views(1)
    write_tum(tmp_path, views)
    text = (tmp_path / "camera.yaml").read_text().replace("}", ', "depth_factor": 1000}')
    (tmp_path / "camera.yaml").write_text(text)
    frame = next(iter(open_recording(tmp_path)))
    np.testing.assert_allclose(frame.depth_m, views[0].depth_mm * 5 / 1000, rtol=1e-6)


@pytest.mark.parametrize("factor", ["0", "-5000", ".nan", ".inf"])
def test_an_impossible_depth_factor(tmp_path, factor):
    write_tum(tmp_path, make_views(1))
    text = (tmp_path / "camera.yaml").read_text().replace("}", f', "depth_factor": {factor}}}')
    (tmp_path / "camera.yaml").write_text(text)
    with pytest.raises(UserError, match=r"camera.yaml must hold .*: the depth_factor .* is no number of units a metre"):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fx: 1",
        "[1, 2]",
        "{",
        "{width: 16, height: 12, fx: a, fy: 1, cx: 1, cy: 1}",
        "{width: .inf, height: 12, fx: 1, fy: 1, cx: 1, cy: 1}",
        "{width: !!int '', height: 12, fx: 1, fy: 1, cx: 1, cy: 1}",
    ],
)
def test_a_broken_camera_file(tmp_path, text):
    write_tum(tmp_path, make_views(1))
    (tmp_path / "camera.yaml").write_text(text)
    with pytest.raises(UserError, match=r"camera.yaml must hold the numbers width, height, fx"):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("rgb.txt", "1.0", "rgb.txt has the line '1.0'"),
        ("depth.txt", "abc depth/1.png", "depth.txt has the line 'abc depth/1.png'"),
        ("groundtruth.txt", "1.0 0 0 0 0 0 1", "groundtruth.txt has the line"),
        ("groundtruth.txt", "# nothing", "groundtruth.txt holds no pose"),
        ("groundtruth.txt", "1.0 0 0 0 0 0 0 0", "groundtruth.txt holds no pose"),  # no rotation
        ("groundtruth.txt", None, "groundtruth.txt cannot be read"),
    ],
)
def test_broken_lists(tmp_path, file, text, message):
    write_tum(tmp_path, make_views(1))
    (tmp_path / file).unlink() if text is None else (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=message):
        open_recording(tmp_path)


def test_no_pair_at_all(tmp_path):
    write_tum(tmp_path, make_views(3), colour_delay_s=0.05)
    with pytest.raises(UserError, match=r"can be used: no colour image \(3\)"):
        list(open_recording(tmp_path))


STAMPS = st.lists(st.integers(0, 300).map(lambda ms: ms / 1000), max_size=12)


@settings(max_examples=60)
@given(STAMPS, STAMPS)
def test_association_is_that_of_the_benchmark(first, second):
    """associate.py: all pairs within the tolerance, by difference, each stamp used once."""
    candidates = sorted(
        (abs(a - b), i, j) for i, a in enumerate(first) for j, b in enumerate(second) if abs(a - b) < 0.02 - 1e-9
    )
    expected = {}
    for _, i, j in candidates:
        if i not in expected and j not in expected.values():
            expected[i] = j
    found = associate(first, second, 0.02 - 1e-9)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)
    assert sorted(expected.items()) == found
