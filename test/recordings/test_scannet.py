"""Exported ScanNet folders, and what all folders of image files share."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from recording_builders import K, check_frames, four, make_views, save_image, save_matrix, write_scannet
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.upright import other_axis_up
from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.folders import in_order, stamps_from_names

SHARED = Path(__file__).parents[2] / "../shared/data/small_house_bedroom"


def test_frames_are_what_was_written(tmp_path):
    views = make_views()
    recording = open_recording(write_scannet(tmp_path / "scene", views))
    assert (recording.format, recording.name, len(recording)) == ("scannet", "scene", 4)
    frames = list(recording)
    check_frames(frames, views)
    assert [frame.name for frame in frames] == ["000000", "000001", "000002", "000003"]
    assert [frame.stamp_s for frame in frames] == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30])
    assert not recording.skipped


@pytest.mark.parametrize("name", ["{}", "frame-{}", "{:03d}.rgbd", "IMG {:d}"])
def test_odd_names_sort_naturally_and_need_not_be_contiguous(tmp_path, name):
    views = make_views(4)
    for view, number in zip(views, (0, 7, 20, 100)):
        view.number = number
    frames = list(open_recording(write_scannet(tmp_path, views, name)))
    check_frames(frames, views)
    assert [frame.name for frame in frames] == [name.format(view.number) for view in views]
    assert [round(frame.stamp_s * 30) for frame in frames] == [0, 7, 20, 100]


def test_names_without_rising_numbers_are_stamped_by_position(tmp_path):
    views = make_views(2)
    write_scannet(tmp_path, views, "{:d}_000")
    assert [round(frame.stamp_s * 30) for frame in open_recording(tmp_path)] == [0, 1]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_names_that_are_stamps_are_stamped_by_position(tmp_path, unit):
    views = make_views(3)
    for view in views:
        view.number = 1305031102 * unit + 33 * view.number
    frames = list(open_recording(write_scannet(tmp_path, views)))
    check_frames(frames, views)
    assert [round(frame.stamp_s * 30) for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize(
    "names",
    [
        [str(round(1305031102 + i / 30, 6)) for i in range(33)],  # 102.0, 102.033333, 102.066667, 102.1
        [str(i / 30) for i in range(5)],
        [str(1305031102 + i / 4) for i in range(5)],  # 102.0, 102.25, 102.5
        [f"{1305031102 + i / 30:.6f}" for i in range(5)],
        [f"1305031102.{33333333 * i}" for i in (0, 1, 2, 3, 6, 30)],  # nanoseconds without leading zeros
        [f"1305031102.{99000000 + 700000 * i}" for i in range(4)],
        [f"1305031102.{33 * i}" for i in range(20)],  # and milliseconds
    ],
)
def test_names_that_are_stamps_in_seconds_are_in_order_of_time(names):
    assert in_order(set(names)) == names
    assert stamps_from_names(names) == pytest.approx([i / 30 for i in range(len(names))])


def test_jpeg_colour_is_decoded_to_rgb(tmp_path):
    views = make_views(1)
    write_scannet(tmp_path, views)
    (tmp_path / "color/000000.png").unlink()
    blue = np.full((12, 16, 3), (20, 40, 220), np.uint8)
    save_image(tmp_path / "color/000000.JPG", blue)
    np.testing.assert_allclose(next(iter(open_recording(tmp_path))).colour, blue, atol=4)


def test_incomplete_frames_are_left_out_and_counted(tmp_path):
    views = make_views(8)
    write_scannet(tmp_path, views)
    (tmp_path / "color/000001.png").unlink()
    (tmp_path / "depth/000002.png").unlink()
    (tmp_path / "pose/000003.txt").unlink()
    save_matrix(tmp_path / "pose/000004.txt", np.full((4, 4), -np.inf))  # ScanNet's mark of lost tracking
    save_matrix(tmp_path / "pose/000005.txt", np.full((4, 4), np.nan))
    far = np.eye(4)
    far[0, 3] = 1e5  # where the odometry has lost its way
    save_matrix(tmp_path / "pose/000006.txt", far)
    (tmp_path / "color/._000000.png").write_bytes(b"not an image: a Mac's resource fork")
    recording = open_recording(tmp_path)
    for _ in range(2):  # counted anew each time
        check_frames(recording, [views[0], views[7]])
        assert len(recording) == 8
        assert recording.skipped == {
            "no colour image": 1,
            "no depth image": 1,
            "no pose": 1,
            "the pose is lost (not finite or zero)": 2,
            "the camera is more than 10 km from the origin (is it UTM? subtract an offset from all poses)": 1,
        }


def test_depth_may_be_all_zero(tmp_path):
    views = make_views(1)
    views[0].depth_mm[:] = 0
    check_frames(open_recording(write_scannet(tmp_path, views)), views)


def test_larger_colour_is_registered_to_depth(tmp_path):
    views = make_views(1)
    write_scannet(tmp_path, views)
    save_image(tmp_path / "color/000000.png", views[0].colour.repeat(2, 0).repeat(2, 1))
    save_matrix(tmp_path / "intrinsic/intrinsic_color.txt", four([[28.0, 0, 15.5], [0, 29.0, 11.5], [0, 0, 1]]))
    check_frames(open_recording(tmp_path), views)


def test_colour_that_sees_less_than_depth_is_told_once(tmp_path):
    write_scannet(tmp_path, make_views())
    save_matrix(tmp_path / "intrinsic/intrinsic_color.txt", four([[21.0, 0, 7.5], [0, 21.0, 5.5], [0, 0, 1]]))
    recording = open_recording(tmp_path)
    assert len(list(recording)) == 4
    (note,) = recording.notes
    assert note.startswith("Colour sees only 51% of what depth sees")


def test_without_colour_intrinsics_colour_of_any_size_has_depths_camera(tmp_path):
    views = make_views(1)
    write_scannet(tmp_path, views)
    save_image(tmp_path / "color/000000.png", views[0].colour.repeat(2, 0).repeat(2, 1))
    (tmp_path / "intrinsic/intrinsic_color.txt").unlink()
    check_frames(open_recording(tmp_path), views)


def test_without_colour_intrinsics_colour_of_another_shape_is_refused(tmp_path):
    """But ScanNet's own two sizes, which are not quite of one shape, are not."""
    views = make_views(1)
    write_scannet(tmp_path, views)
    (tmp_path / "intrinsic/intrinsic_color.txt").unlink()
    save_image(tmp_path / "color/000000.png", np.zeros((720, 1280, 3), np.uint8))
    with pytest.raises(
        UserError, match=r"images are 1280x720, but .*/intrinsic_depth.txt describes 16x12, which is anot"
    ):
        list(open_recording(tmp_path))
    save_image(tmp_path / "color/000000.png", np.zeros((968, 1296, 3), np.uint8))
    assert len(list(open_recording(tmp_path))) == 1


def test_without_depth_intrinsics_depth_has_colours_camera(tmp_path):
    views = make_views(1)
    write_scannet(tmp_path, views)
    (tmp_path / "intrinsic/intrinsic_depth.txt").unlink()
    check_frames(open_recording(tmp_path), views)


def test_other_poses_can_be_chosen(tmp_path):
    views = make_views(2)
    write_scannet(tmp_path, views)
    for view in views:
        view.pose[:3, 3] += 1
        save_matrix(tmp_path / f"pose_noisy/{view.number:06d}.txt", view.pose)
    check_frames(open_recording(tmp_path, poses="pose_noisy"), views)
    with pytest.raises(UserError, match=r"expected pose_nosy/NAME.txt.*there are poses in pose, pose_noisy"):
        open_recording(tmp_path, poses="pose_nosy")


def test_no_poses_at_all(tmp_path):
    write_scannet(tmp_path, make_views(1))
    (tmp_path / "pose/000000.txt").unlink()
    with pytest.raises(UserError, match=r"has no poses: expected pose/NAME.txt"):
        open_recording(tmp_path)


def test_no_usable_frame_is_an_error_with_the_reasons(tmp_path):
    write_scannet(tmp_path, make_views(3))
    for file in (tmp_path / "pose").iterdir():
        save_matrix(file, np.full((4, 4), -np.inf))
    with pytest.raises(UserError, match=r"No frame of .* can be used: the pose is lost \(not finite or zero\) \(3\)"):
        list(open_recording(tmp_path))


def test_folders_without_images(tmp_path):
    write_scannet(tmp_path, make_views(1))
    (tmp_path / "color/000000.png").unlink()
    (tmp_path / "depth/000000.png").unlink()
    with pytest.raises(UserError, match="it holds none"):
        list(open_recording(tmp_path))


def test_no_folder_of_depth(tmp_path):
    write_scannet(tmp_path, make_views(1))
    (tmp_path / "depth/000000.png").unlink()
    (tmp_path / "depth").rmdir()
    with pytest.raises(UserError, match=r"can be used: no depth image \(1\); expected color/NAME.jpg, depth/NAME.png"):
        list(open_recording(tmp_path))


@pytest.mark.parametrize("part", ["color", "depth"])
@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_a_truncated_image_is_named(tmp_path, part, share):
    write_scannet(tmp_path, make_views(2))
    file = tmp_path / part / "000001.png"
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=rf"{part}/000001.png is not a whole"):
        list(open_recording(tmp_path))


def test_a_truncated_jpeg_is_named(tmp_path):
    write_scannet(tmp_path, make_views(1))
    (tmp_path / "color/000000.png").unlink()
    file = tmp_path / "color/000000.jpg"
    data = cv2.imencode(".jpg", make_views(1)[0].colour)[1].tobytes()
    file.write_bytes(data[:-40])
    with pytest.raises(UserError, match=r"000000.jpg is not a whole jpeg"):
        list(open_recording(tmp_path))


@pytest.mark.parametrize("file", ["color/000000.png", "color/000000.jpg", "depth/000000.png"])
def test_a_small_file_that_would_fill_the_memory_is_named(tmp_path, file):
    """A black image compresses a thousandfold: its size is looked at before it is unpacked."""
    write_scannet(tmp_path, make_views(1))
    (tmp_path / Path(file).with_suffix(".png")).unlink()
    data = bytearray(cv2.imencode(file[-4:], np.zeros((9, 9001), np.uint8))[1].tobytes())
    at = data.find(b"IHDR") + 10 if "png" in file else data.find(b"\xff\xc0") + 5  # the height
    data[at : at + 2] = (60000).to_bytes(2, "big")
    (tmp_path / file).write_bytes(data)
    with pytest.raises(UserError, match=rf"{file} has 9001x60000 pixels, more than 8192 a side"):
        list(open_recording(tmp_path))


@pytest.mark.parametrize("factor", [0.5, 2])
@pytest.mark.parametrize("of", ["color", "depth"])
def test_intrinsics_of_half_and_double_the_size_are_refused(tmp_path, factor, of):
    write_scannet(tmp_path, make_views(1))
    other = K * factor + [[0, 0, (factor - 1) / 2], [0, 0, (factor - 1) / 2], [0, 0, 1 - factor]]
    save_matrix(tmp_path / f"intrinsic/intrinsic_{of}.txt", four(other))
    with pytest.raises(UserError, match=r"the principal point .* lies outside the middle of the 16x12 image"):
        list(open_recording(tmp_path))


def test_a_picture_of_depth_is_refused(tmp_path):
    views = make_views(1)
    write_scannet(tmp_path, views)
    save_image(tmp_path / "depth/000000.png", views[0].colour)
    with pytest.raises(UserError, match=r"depth/000000.png must be a depth image of one 16-bit channel; found uint8"):
        list(open_recording(tmp_path))


@pytest.mark.parametrize("text", ["", "1 2 3", "1 0 0 0 1 0 0 0 1", "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 x", "\x00\xff\xfe"])
def test_a_broken_pose_file_is_named(tmp_path, text):
    write_scannet(tmp_path, make_views(1))
    (tmp_path / "pose/000000.txt").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"pose/000000.txt must hold a 4x4 matrix"):
        list(open_recording(tmp_path))


WRONG_POSES = {
    "scaled": lambda pose: np.diag([2.0, 2, 2, 1]),
    "transposed": lambda pose: pose.T,  # it would put every camera at the origin
    "mirrored": lambda pose: pose @ np.diag([-1.0, 1, 1, 1]),
}


@pytest.mark.parametrize("wrong", WRONG_POSES)
def test_poses_that_are_no_rotation_and_translation_are_refused(tmp_path, wrong):
    views = make_views(3)
    write_scannet(tmp_path, views)
    for i, view in enumerate(views):
        save_matrix(tmp_path / f"pose/{i:06d}.txt", WRONG_POSES[wrong](view.pose))
    with pytest.raises(UserError, match=r"No frame .* can be used: the pose is no rotation and translation .* \(3\);"):
        list(open_recording(tmp_path))


@pytest.mark.parametrize("wrong", WRONG_POSES)
def test_one_wrong_pose_costs_its_frame_alone(tmp_path, wrong):
    views = make_views(3)
    write_scannet(tmp_path, views)
    save_matrix(tmp_path / "pose/000001.txt", WRONG_POSES[wrong](views[1].pose))
    recording = open_recording(tmp_path)
    assert [frame.name for frame in recording] == ["000000", "000002"]
    assert list(recording.skipped.values()) == [1]


@pytest.mark.parametrize("principal_point", [(7.5, 40.0), (60.0, 0.0), (-20.0, 5.5)])
def test_a_principal_point_far_beside_the_image_is_refused(tmp_path, principal_point):
    write_scannet(tmp_path, make_views(1))
    cx, cy = principal_point
    save_matrix(tmp_path / "intrinsic/intrinsic_depth.txt", four(np.array([[20, 0, cx], [0, 20, cy], [0, 0, 1]])))
    with pytest.raises(UserError, match=r"the principal point .* lies outside the middle of the 16x12 image"):
        list(open_recording(tmp_path))


@pytest.mark.parametrize("cx", [-0.5, 15.5])
def test_the_half_of_an_image_is_an_image(tmp_path, cx):
    write_scannet(tmp_path, make_views(1))
    for of in ("color", "depth"):
        save_matrix(tmp_path / f"intrinsic/intrinsic_{of}.txt", four(np.array([[20, 0, cx], [0, 20, 5.5], [0, 0, 1]])))
    (frame,) = open_recording(tmp_path)
    assert frame.intrinsics.cx == cx


def test_intrinsics_of_another_size_are_refused(tmp_path):
    write_scannet(tmp_path, make_views(1))
    save_matrix(
        tmp_path / "intrinsic/intrinsic_depth.txt", four(K * [[1], [1], [1]] + [[0, 0, 300], [0, 0, 200], [0, 0, 0]])
    )
    with pytest.raises(UserError, match="the intrinsics belong to another image size"):
        list(open_recording(tmp_path))


def test_missing_intrinsics(tmp_path):
    write_scannet(tmp_path, make_views(1))
    for file in (tmp_path / "intrinsic").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"has no intrinsics: expected .*intrinsic_depth.txt"):
        list(open_recording(tmp_path))


@pytest.mark.skipif(not SHARED.exists(), reason="the shared recordings are not here")
def test_a_rendered_walk():
    recording = open_recording(SHARED)
    frame = next(iter(recording))
    assert (len(recording), frame.name, frame.intrinsics.fx) == (240, "000000", 525.0)
    np.testing.assert_allclose(frame.pose, np.loadtxt(SHARED / "pose/000000.txt"), atol=1e-8)
    depth = cv2.imread(str(SHARED / "depth/000000.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(np.rint(frame.depth_m * 1000), depth)


def test_matrices_may_have_comments_and_what_windows_adds(tmp_path):
    views = make_views(2)
    write_scannet(tmp_path, views)
    for file in (*(tmp_path / "pose").iterdir(), tmp_path / "intrinsic/intrinsic_depth.txt"):
        rows = [", ".join(f"{number:.10e}" for number in row) for row in np.loadtxt(file)]
        file.write_bytes("\r\n".join(["\ufeff# camera to world, 1 2 3", *rows, "# the end"]).encode())
    check_frames(open_recording(tmp_path), views)


@pytest.mark.parametrize(
    ("cx", "cy", "fits"), [(239.5, 319.5, False), (245, 310, False), (260, 290, True), (240, 240, True)]
)
def test_intrinsics_of_turned_images_are_refused(tmp_path, cx, cy, fits):
    write_scannet(tmp_path, make_views(1))
    save_image(tmp_path / "depth/000000.png", np.full((480, 640), 1000, np.uint16))
    save_matrix(tmp_path / "intrinsic/intrinsic_depth.txt", np.array([[525, 0, cx], [0, 525, cy], [0, 0, 1.0]]))
    (tmp_path / "intrinsic/intrinsic_color.txt").unlink(missing_ok=True)
    if fits:
        assert len(list(open_recording(tmp_path))) == 1
    else:
        with pytest.raises(
            UserError, match="is the middle of a 480x640 image, and this one has 640x480: were the images turned"
        ):
            list(open_recording(tmp_path))


def test_depth_may_be_pgm(tmp_path):
    (view,) = views = make_views(1)
    write_scannet(tmp_path, views)
    (tmp_path / "depth/000000.png").unlink()
    file = tmp_path / "depth/000000.pgm"
    whole = b"P5\n# 16 bit, mm\n16 12\n# nearest first\n10000\n" + view.depth_mm.astype(">u2").tobytes()
    file.write_bytes(whole)
    check_frames(open_recording(tmp_path), views)
    for broken, says in (
        (whole[:-1], "000000.pgm is not a whole depth image"),
        (b"P5 16 12 255\n" + bytes(16 * 12), "000000.pgm must be a depth image of one 16-bit channel; found uint8"),
        (b"P5 9999999 12 65535\n" + bytes(100), "000000.pgm is not a whole depth image"),
        (b"P2 16 12 65535\n" + b"1 " * 16 * 12, "000000.pgm is not a whole depth image"),
    ):
        file.write_bytes(broken)
        with pytest.raises(UserError, match=says):
            list(open_recording(tmp_path))


@pytest.mark.parametrize("axis", ["y", "-z"])
def test_a_world_whose_z_axis_does_not_point_up_is_told(tmp_path, axis):
    """ARKit's and a drone's. Images would else be turned by what its z axis, which is level or points down, says."""
    world = Rotation.from_euler("x", -90 if axis == "-z" else 0, degrees=True).as_matrix()
    views = make_views(20)
    write_scannet(tmp_path, views)
    for i in range(20):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("YX", [180 + 10 * i, -10], degrees=True).as_matrix() @ np.diag([1, -1, -1.0])
        pose[:3, :3] = world @ pose[:3, :3]
        save_matrix(tmp_path / f"pose/{i:06d}.txt", pose)
    recording = open_recording(tmp_path)
    assert {frame.z_up for frame in recording} == {False}
    (note,) = recording.notes
    assert f"world's {axis} axis that points up, and not z: images are not turned" in note
    assert f"Take --option up={axis}, and" in note
    told = open_recording(tmp_path, up=axis)
    assert {frame.z_up for frame in told} == {True}
    assert [f"The world's {axis} axis points up: its poses are turned" in note for note in told.notes] == [True]
    assert other_axis_up([frame.pose for frame in told]) is None
    assert {frame.z_up for frame in open_recording(tmp_path, up="z")} == {True}, "who tells is believed"


@pytest.mark.parametrize(
    ("up", "place"),
    {"x": (2, 3, 1), "-x": (2, -3, -1), "y": (1, -3, 2), "-y": (1, 3, -2), "z": (1, 2, 3), "-z": (1, -2, -3)}.items(),
)
def test_poses_are_turned_so_that_the_axis_that_is_told_is_z(tmp_path, up, place):
    """Where the camera was at (1, 2, 3) the axis that points up has the third coordinate; the world is not mirrored."""
    (view,) = views = make_views(1)
    view.pose = np.eye(4)
    view.pose[:3, 3] = 1, 2, 3
    (frame,) = open_recording(write_scannet(tmp_path, views), up=up)
    np.testing.assert_allclose(frame.pose[:3, 3], place)
    np.testing.assert_allclose(frame.pose[:3, :3] @ (1, 2, 3), place)
    assert np.linalg.det(frame.pose[:3, :3]) > 0


@pytest.mark.parametrize("up", ["Y", "", "yes", "--y"])
def test_an_axis_that_is_none_is_a_sentence(tmp_path, up):
    with pytest.raises(UserError, match=rf"that points up, one of x, -x, y, -y, z, -z; found '{up}'"):
        open_recording(write_scannet(tmp_path, make_views(1)), up=up)
