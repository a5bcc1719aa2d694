"""ARKitScenes as its download_data.py leaves it. The conventions are worked out by hand here, after its tenFpsDataLoader.py."""

import math

import numpy as np
import pytest
from recording_builders import check_frames, make_views, save_image, write_arkitscenes
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.frames import back_project
from gcseg_ros.recordings import open_recording

HELD = {  # rotation vector of world-to-camera, where a pixel to the right of the middle and one below it lie in the world
    "upright": ((math.pi / 2, 0, 0), (1, 0, 0), (0, 0, -1)),
    # a third of a turn about (1, 1, 1) takes the world's x, y and z to the camera's y (down), z (ahead) and x (right)
    "on its side": (np.array((1, 1, 1)) / math.sqrt(3) * 2 * math.pi / 3, (0, 0, 1), (1, 0, 0)),
}


def write_ahead(video, rotation_vector):
    """One view of a camera at (1, 2, 1.5) that looks along the world's y axis, at a wall 2 m ahead; z points up."""
    stem = "41069021_6845.706"
    save_image(video / f"lowres_wide/{stem}.png", np.full((192, 256, 3), 90, np.uint8))
    depth = np.zeros((192, 256), np.uint16)
    depth[96, 181] = depth[149, 128] = 2000  # 53 pixels right of the middle, and as many below it
    save_image(video / f"lowres_depth/{stem}.png", depth)
    (video / "lowres_wide_intrinsics").mkdir(parents=True)
    (video / f"lowres_wide_intrinsics/{stem}.pincam").write_text("256 192 212.0 212.0 128.0 96.0")
    # into the camera: X_cam = R X + t, so that the camera's place is where R X + t = 0
    t = -Rotation.from_rotvec(rotation_vector).apply((1, 2, 1.5))
    numbers = ["6845.706057", *map(repr, map(float, (*rotation_vector, *t)))]
    (video / "lowres_wide.traj").write_text(" ".join(numbers) + "\n")


@pytest.mark.parametrize("held", HELD)
def test_points_lie_where_the_publication_has_them(tmp_path, held):
    """At f = 212 and a depth of 2 m, 53 pixels are half a metre."""
    rotation_vector, right, below = HELD[held]
    write_ahead(tmp_path, rotation_vector)
    if held == "upright":
        numbers = (tmp_path / "lowres_wide.traj").read_text().split()
        np.testing.assert_allclose(np.float64(numbers[4:]), [-1, 1.5, -2])
    (frame,) = recording = open_recording(tmp_path)
    world = back_project(frame.depth_m, frame.intrinsics, frame.pose)
    wall = np.array([1, 4, 1.5])
    np.testing.assert_allclose(world[96, 181], wall + 0.5 * np.array(right), atol=1e-6)
    np.testing.assert_allclose(world[149, 128], wall + 0.5 * np.array(below), atol=1e-6)
    assert (frame.z_up, frame.name, frame.stamp_s) == (True, "41069021_6845.706", 6845.706)
    assert recording.notes == ["The depth of 1 of 1 frames has no image of its confidence: all of it counts."]


def test_frames_are_what_was_written(tmp_path):
    views = make_views(11)
    recording = open_recording(write_arkitscenes(tmp_path / "41069021", views))
    frames = list(recording)
    check_frames(frames, views)
    assert (recording.format, len(recording), recording.skipped, recording.notes) == ("arkitscenes", 11, {}, [])
    assert [frame.stamp_s for frame in frames] == [view.stamp_ns / 1e9 for view in views]


def test_images_of_3dod_lie_in_a_folder_of_their_own(tmp_path):
    views = make_views(2)
    write_arkitscenes(tmp_path / "41069021", views).rename(tmp_path / "41069021_frames")
    (tmp_path / "3dod" / "41069021").mkdir(parents=True)
    (tmp_path / "41069021_frames").rename(tmp_path / "3dod/41069021/41069021_frames")
    for path in ("3dod/41069021", "3dod/41069021/41069021_frames"):
        check_frames(open_recording(tmp_path / path), views)
    with pytest.raises(UserError, match="it holds the recordings 41069021: give one of them"):
        open_recording(tmp_path / "3dod")


def test_poses_come_ten_times_a_second_and_are_interpolated(tmp_path):
    """Sixty images a second, of a camera that turns by 20 degrees and moves by 0.1 m in 0.1 s. A gap of half a second is left open."""
    views = make_views(60)
    for view in views:
        view.pose = np.eye(4)
        view.pose[:3, :3] = Rotation.from_euler("z", 20 * view.number, degrees=True).as_matrix()
        view.pose[0, 3] = view.number / 10
    video = write_arkitscenes(tmp_path, views)
    lines = (video / "lowres_wide.traj").read_text().splitlines()
    (video / "lowres_wide.traj").write_text("\n".join([*lines[:31:2], *lines[40::2]]))
    recording = open_recording(tmp_path)
    frames = list(recording)
    assert len(frames) == 31 + 20 - 1
    assert recording.skipped == {"no pose": 10}  # 31 to 39, and the last
    for frame in frames:
        number = round((frame.stamp_s - 100) * 10)
        np.testing.assert_allclose(frame.pose[:3, 3], [number / 10, 0, 0], atol=1e-9)
        turned = Rotation.from_euler("z", 20 * number, degrees=True).as_matrix()
        np.testing.assert_allclose(frame.pose[:3, :3], turned, atol=1e-9)


def test_parts_of_a_frame_may_be_a_millisecond_apart_or_missing(tmp_path):
    views = make_views(6)
    video = write_arkitscenes(tmp_path, views)
    stem = f"{video.name}_100."
    for folder, suffix in (("lowres_depth", "png"), ("lowres_wide_intrinsics", "pincam"), ("confidence", "png")):
        (video / folder / f"{stem}100.{suffix}").rename(video / folder / f"{stem}101.{suffix}")
    (video / f"lowres_depth/{stem}200.png").unlink()
    (video / f"confidence/{stem}300.png").unlink()
    (video / f"lowres_wide/{stem}400.png").unlink()
    (video / f"lowres_wide_intrinsics/{stem}500.pincam").unlink()  # that of the frame before is as good
    recording = open_recording(tmp_path)
    check_frames(recording, [views[0], views[1], views[3], views[5]])
    assert recording.skipped == {"no depth image": 1}
    assert recording.notes == ["The depth of 1 of 5 frames has no image of its confidence: all of it counts."]


def test_the_camera_is_that_of_the_nearest_stamp(tmp_path):
    video = write_arkitscenes(tmp_path / "V", make_views(7))
    cameras = video / "lowres_wide_intrinsics"
    for file in cameras.iterdir():
        file.unlink()
    for stamp, f in (("100.140", 20), ("100.360", 30), ("100.430", 40)):
        (cameras / f"V_{stamp}.pincam").write_text(f"16 12 {f} {f} 7.5 5.5")
    assert [frame.intrinsics.fx for frame in open_recording(video)] == [20, 20, 20, 30, 40, 40, 40]


@pytest.mark.parametrize("name", ["V_nan", "V_inf", "V_1e400", "V_", "V_-1.0", "notes", "V_0.3(1)"])
def test_images_whose_name_has_no_stamp_are_none(tmp_path, name):
    views = make_views(2)
    video = write_arkitscenes(tmp_path / "V", views)
    for folder in ("lowres_wide", "lowres_depth"):
        save_image(video / folder / f"{name}.png", np.zeros((12, 16), np.uint16))
    recording = open_recording(video)
    check_frames(recording, views)
    assert len(recording) == 2


def test_depth_counts_from_a_level_of_confidence_on(tmp_path):
    views = make_views(1)
    video = write_arkitscenes(tmp_path, views)
    levels = np.tile(np.array([0, 1, 2, 2], np.uint8), (12, 4))
    save_image(video / f"confidence/{video.name}_100.000.png", levels)
    for options, least in (({}, 1), ({"confidence": "0"}, 0), ({"confidence": "1"}, 1), ({"confidence": "2"}, 2)):
        (frame,) = open_recording(video, **options)
        expected = np.where(levels >= least, views[0].depth_mm, 0) / 1000
        np.testing.assert_allclose(frame.depth_m, expected, atol=1e-6)


def test_the_finer_colour_of_raw_is_taken(tmp_path):
    """vga_wide has the same camera in 640x480: the frame has its pixels, their middle ones have the depth of the LiDAR's."""
    (view,) = make_views(1)
    video = write_arkitscenes(tmp_path, [view])
    stem = f"{video.name}_100.000"
    fine = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    save_image(video / f"vga_wide/{stem}.png", fine)
    ((video / "vga_wide_intrinsics").mkdir())
    (video / f"vga_wide_intrinsics/{stem}.pincam").write_text("640 480 530.0 531.0 320.0 241.0")
    (frame,) = open_recording(video)
    np.testing.assert_array_equal(frame.colour, fine)
    np.testing.assert_allclose(frame.intrinsics.matrix, [[530, 0, 320], [0, 531, 241], [0, 0, 1]])
    # half a pixel from the middle of 40, between neighbours that may be of one surface
    np.testing.assert_allclose(frame.depth_m[20::40, 20::40], view.depth_mm / 1000, atol=0.003)
    for file in (video / "vga_wide_intrinsics").iterdir():
        file.unlink()
    check_frames(open_recording(video), [view])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("lowres_wide.traj", None, r"There is no .*lowres_wide.traj, which has the poses: download it; .* `upsampling`"),
        ("lowres_wide.traj", "1 2 3", r"lowres_wide.traj has the line '1 2 3': expected lines `stamp rx ry rz tx ty tz`"),
        ("lowres_wide.traj", "1 2 3 4 5 nan 7", "lowres_wide.traj holds no pose: expected lines `stamp rx"),
        ("lowres_wide.traj", "1 2 3 4 5 6 7", r"No frame of .* can be used: no pose \(1\); expected lowres_wide/ID_STAMP.png"),
        ("lowres_wide_intrinsics/V_100.000.pincam", "", "V_100.000.pincam must hold one line of numbers, `width height fx"),
        ("lowres_wide_intrinsics/V_100.000.pincam", "16 12 a 1 1 1", "V_100.000.pincam has the line '16 12 a 1 1 1'"),
        ("lowres_wide_intrinsics/V_100.000.pincam", "16 12 0 1 1 1", r"V_100.000.pincam: Focal lengths must be positive"),
        ("lowres_wide_intrinsics/V_100.000.pincam", "16 9 9 9 8 4", r"images are 16x12, but .*pincam describes 16x9"),
        ("lowres_wide_intrinsics/V_100.000.pincam", None, r"no colour images with their cameras: expected lowres_wide/ID"),
        ("lowres_wide/V_100.000.png", None, r"no colour images with their cameras: expected lowres_wide/ID"),
        ("lowres_wide/V_100.000.png", "text", "V_100.000.png is not a whole jpeg or png image"),
        ("lowres_depth/V_100.000.png", "text", "V_100.000.png is not a whole depth image"),
        ("confidence/V_100.000.png", "text", "V_100.000.png must be a whole png of one 8-bit channel"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path, file, text, message):
    video = write_arkitscenes(tmp_path / "V", make_views(1))
    (video / file).unlink() if text is None else (video / file).write_text(text)
    with pytest.raises(UserError, match=message):
        list(open_recording(video))


@pytest.mark.parametrize("level", ["3", "-1", "high", ""])
def test_an_unknown_level_of_confidence(tmp_path, level):
    with pytest.raises(UserError, match=rf"The option confidence is 0, 1 or 2; found '{level}'"):
        open_recording(write_arkitscenes(tmp_path, make_views(1)), confidence=level)
