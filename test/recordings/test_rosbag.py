"""rosbag2 recordings: kinds of messages, synchronisation, poses from topics and TF, and everything a bag can lack."""

import re
import shutil
import tracemalloc

import cv2
import numpy as np
import pytest
from recording_builders import (
    HEIGHT,
    SECOND,
    WIDTH,
    BagBuilder,
    K,
    check_frames,
    make_views,
    write_scannet,
    write_seven_scenes,
    write_tum,
)
from rosbags.rosbag2 import CompressionMode
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.bag_files import BagFiles, unpacked
from gcseg_ros.recordings.bag_topics import choose_topics

MS = 10**6


def write_bag(path, views, storage="mcap", colour=True, depth=True, info=True, pose=True):
    with BagBuilder(path, storage) as bag:
        for view in views:
            if info:
                bag.camera_info("/camera/rgb/camera_info", view.stamp_ns)
            if colour:
                bag.image("/camera/rgb/image_raw", view.stamp_ns, view.colour, "rgb8")
            if depth:
                bag.image("/camera/depth/image", view.stamp_ns, view.depth_mm, "16UC1")
            if pose:
                bag.pose("/pose", view.stamp_ns, view.pose)
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_frames_are_what_was_written(tmp_path, storage):
    views = make_views()
    recording = open_recording(write_bag(tmp_path / "bag", views, storage))
    assert (recording.format, recording.name, len(recording)) == ("rosbag", "bag", 4)
    for _ in range(2):
        frames = list(recording)
        check_frames(frames, views)
        assert [frame.stamp_s for frame in frames] == [view.stamp_ns / SECOND for view in views]
        assert [frame.name for frame in frames] == ["000000", "000001", "000002", "000003"]
    assert not recording.skipped


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bare_file_and_a_folder_without_metadata(tmp_path, storage):
    views = make_views()
    write_bag(tmp_path / "bag", views, storage)
    (tmp_path / "bag/metadata.yaml").unlink()
    check_frames(open_recording(tmp_path / "bag"), views)
    (file,) = (tmp_path / "bag").iterdir()
    check_frames(open_recording(file), views)


def test_a_bag_that_was_split_into_files(tmp_path):
    views = make_views(4)
    folder = tmp_path / "split"
    folder.mkdir()
    for part, some in (("bag_2", views[:2]), ("bag_10", views[2:])):
        write_bag(tmp_path / part, some)
        (tmp_path / part / f"{part}.mcap").rename(folder / f"{part}.mcap")
    recording = open_recording(folder)
    check_frames(recording, views)
    assert len(recording) == 4


def test_every_kind_of_image(tmp_path):
    views = make_views(1)
    colour, depth, stamp = views[0].colour, views[0].depth_mm, views[0].stamp_ns
    metres = depth.astype(np.float32) * np.float32(0.001)
    metres[depth == 0] = np.nan
    png, depth_png = cv2.imencode(".png", colour[..., ::-1])[1], cv2.imencode(".png", depth)[1]
    for number, (rgb, z) in enumerate(
        [
            (lambda bag: bag.image("/rgb", stamp, colour[..., ::-1], "bgr8"), None),
            (lambda bag: bag.image("/rgb", stamp, np.dstack([colour, depth.astype(np.uint8)]), "rgba8"), None),
            (lambda bag: bag.compressed("/rgb/compressed", stamp, png, "bgr8; png compressed bgr8"), None),
            (None, lambda bag: bag.image("/depth", stamp, metres, "32FC1")),
            (None, lambda bag: bag.image("/depth", stamp, depth, "mono16")),
            (None, lambda bag: bag.compressed("/depth/compressed", stamp, depth_png, "16UC1; png compressed")),
            (
                None,
                lambda bag: bag.compressed(
                    "/depth/compressedDepth", stamp, bytes(12) + depth_png.tobytes(), "16UC1; compressedDepth png"
                ),
            ),
        ]
    ):
        with BagBuilder(tmp_path / f"bag{number}") as bag:
            (rgb or (lambda bag: bag.image("/rgb", stamp, colour, "rgb8")))(bag)
            (z or (lambda bag: bag.image("/depth", stamp, depth, "16UC1")))(bag)
            bag.camera_info("/info", stamp)
            bag.pose("/robot/pose", stamp, views[0].pose)
        check_frames(open_recording(tmp_path / f"bag{number}"), views)


@pytest.mark.parametrize("kind", ["pose", "pose_with_covariance", "odometry"])
def test_every_kind_of_pose(tmp_path, kind):
    views = make_views(2)
    write_bag(tmp_path / "bag", views, pose=False)
    with BagBuilder(tmp_path / "poses") as bag:
        for view in views:
            options = {"child": "optical"} if kind == "odometry" else {}
            getattr(bag, kind)("/slam", view.stamp_ns, view.pose, **options)
    folder = tmp_path / "both"
    folder.mkdir()
    (tmp_path / "bag/bag.mcap").rename(folder / "bag.mcap")
    (tmp_path / "poses/poses.mcap").rename(folder / "poses.mcap")
    check_frames(open_recording(folder), views)


def write_images(bag, views, frame="optical", namespace="", matrix=lambda view: K):
    for view in views:
        bag.camera_info(f"{namespace}/camera/rgb/camera_info", view.stamp_ns, matrix(view))
        bag.image(f"{namespace}/camera/rgb/image_raw", view.stamp_ns, view.colour, "rgb8", frame)
        bag.image(f"{namespace}/camera/depth/image", view.stamp_ns, view.depth_mm, "16UC1", frame)


def shift(x, y=0.0, z=0.0):
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


OPTICAL = np.array([[0.0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1]])  # REP-103, on a base


def test_odometry_of_the_base_is_carried_to_the_optical_frame(tmp_path):
    views = make_views(3)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.odometry("/odom", view.stamp_ns, view.pose)
        write_images(bag, views)
        bag.tf(0, ("base_link", "mast", shift(0, 0, 1)), topic="/tf_static", log_ns=views[-1].stamp_ns)  # recorded late
        bag.tf(0, ("mast", "optical", OPTICAL), topic="/tf_static", log_ns=views[-1].stamp_ns)
    for view in views:
        view.pose = view.pose @ shift(0, 0, 1) @ OPTICAL
    check_frames(open_recording(tmp_path / "bag", pose_topic="/odom"), views)


def test_a_body_frame_can_be_told(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        bag.tf(0, ("body", "optical", OPTICAL), topic="/tf_static", log_ns=views[0].stamp_ns)
        for view in views:
            bag.pose("/mocap/pose", view.stamp_ns, view.pose)
        write_images(bag, views)
    check_frames(open_recording(tmp_path / "bag"), views)
    for view in views:
        view.pose = view.pose @ OPTICAL
    check_frames(open_recording(tmp_path / "bag", body_frame="body"), views)


@pytest.mark.parametrize("kind", ["pose", "odometry"])
def test_a_pose_that_does_not_say_whose_it_is_is_told_without_tf_as_well(tmp_path, kind):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            getattr(bag, kind)("/slam", view.stamp_ns, view.pose, **({"child": ""} if kind == "odometry" else {}))
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    assert recording.notes[1:] == [
        "/slam does not say of what it is the pose: it is taken for the camera's optical frame; if it is a robot's, "
        "record TF, which says where the camera sits."
    ]


def test_odometry_without_a_mount_says_so(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.odometry("/odom", view.stamp_ns, view.pose)
        write_images(bag, views)
    with pytest.raises(UserError, match=r"no transform from base_link to optical on TF \(2\)"):
        list(open_recording(tmp_path / "bag"))


def write_robot(path, views, links):
    """TF between the images' stamps, moving 1 m/s along x; the mount is static."""
    with BagBuilder(path) as bag:
        bag.tf(0, ("base_link", "optical", OPTICAL), topic="/tf_static", log_ns=views[0].stamp_ns - SECOND)
        for ns in range(views[0].stamp_ns - SECOND // 20, views[-1].stamp_ns + SECOND // 10, SECOND // 10):
            for parent, child in links:
                moving = child == "base_link"
                bag.tf(ns, (parent, child, shift((ns - views[0].stamp_ns) / SECOND if moving else 5.0)))
        write_images(bag, views)
    for view in views:
        view.pose = shift((view.stamp_ns - views[0].stamp_ns) / SECOND + 5.0 * (len(links) - 1)) @ OPTICAL
    return path


def test_poses_from_tf_are_interpolated_and_the_map_is_the_world(tmp_path):
    views = make_views(3)
    write_robot(tmp_path / "bag", views, [("map", "odom"), ("odom", "base_link")])
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    for view in views:
        view.pose[0, 3] -= 5
    check_frames(open_recording(tmp_path / "bag", fixed_frame="odom"), views)


@pytest.mark.parametrize("source", ["tf", "pose"])
def test_images_in_a_gap_of_the_poses_are_left_out(tmp_path, source):
    views = make_views(12)
    start = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        for ns in range(0, 2 * SECOND, SECOND // 20):
            if not 0.35 * SECOND < ns < 0.95 * SECOND:
                pose = shift(ns / SECOND)
                bag.tf(start + ns, ("map", "optical", pose)) if source == "tf" else bag.pose("/pose", start + ns, pose)
        write_images(bag, views)
    for view in views:
        view.pose = shift((view.stamp_ns - start) / SECOND)
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, [view for view in views if not 0.35 * SECOND < view.stamp_ns - start < 0.95 * SECOND])
    assert set(recording.skipped) == {"poses further apart than 0.5 s at the image's time"}


def test_a_gap_of_the_joint_that_the_camera_hangs_on_costs_the_images_in_it(tmp_path):
    """A pan-tilt head: odometry moves the base, TF the head, but not for 0.6 s."""
    views = make_views(12)
    start = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        for ns in range(0, 2 * SECOND, SECOND // 20):
            bag.odometry("/odom", start + ns, shift(ns / SECOND))
            if not 0.35 * SECOND < ns < 0.95 * SECOND:
                bag.tf(start + ns, ("base_link", "head", pan(ns)))
        bag.tf(0, ("head", "optical", OPTICAL), topic="/tf_static", log_ns=start)
        write_images(bag, views)
    for view in views:
        view.pose = shift((view.stamp_ns - start) / SECOND) @ pan(view.stamp_ns - start) @ OPTICAL
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, [view for view in views if not 0.35 * SECOND < view.stamp_ns - start < 0.95 * SECOND])
    assert set(recording.skipped) == {"poses further apart than 0.5 s at the image's time"}


def pan(ns):
    """1 rad/s about z."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", ns / SECOND).as_matrix()
    return T


def write_two_robots(path, views, namespace, robots=("/robot1", "/robot2")):
    """Whose frames are called the same; the second is 50 m ahead. The camera is in this namespace."""
    start = views[0].stamp_ns
    with BagBuilder(path) as bag:
        for robot, ahead in zip(robots, (0.0, 50.0)):
            bag.tf(0, ("base_link", "optical", OPTICAL), topic=f"{robot}/tf_static", log_ns=start)
            for ns in range(0, SECOND, SECOND // 10):
                bag.tf(start + ns, ("odom", "base_link", shift(ahead + ns / SECOND)), topic=f"{robot}/tf")
                bag.odometry(f"{robot}/odom", start + ns, shift(ahead + ns / SECOND))
        write_images(bag, views, namespace=namespace)
    for view in views:
        view.pose = shift((view.stamp_ns - start) / SECOND) @ OPTICAL
    return path


def test_of_two_robots_the_tf_and_the_odometry_are_taken_that_are_nearest_to_depth_or_told(tmp_path):
    first, second = make_views(3), make_views(3)
    bag = write_two_robots(tmp_path / "bag", first, "/robot2")
    for view in first:
        view.pose[0, 3] += 50
    recording = open_recording(bag)
    check_frames(recording, first)
    assert recording.notes[1:] == [
        "/robot1/tf is passed over: it tells otherwise of the frame base_link than /robot2/tf; if it is that of the camera's robot, choose it "
        "with pose_topic=/robot1/tf."
    ]
    recording = open_recording(bag, body_frame="base_link")
    check_frames(recording, first)
    assert "poses are /robot2/odom" in recording.notes[0]
    bag = write_two_robots(tmp_path / "unclear", second, "")
    check_frames(open_recording(bag), second)
    for told in ("/robot2/tf", "robot2/tf", "/robot2/odom"):
        check_frames(open_recording(bag, pose_topic=told), first)


def test_a_camera_is_no_robot_whose_poses_are_before_another_s(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.pose("/slam/pose", view.stamp_ns, view.pose)
            bag.pose("/camera/pose", view.stamp_ns, shift(0))
        write_images(bag, views)
    check_frames(open_recording(tmp_path / "bag"), views)


def test_topics_of_tf_that_do_not_contradict_each_other_are_one_robot_s(tmp_path):
    """A SLAM with a namespace of its own, beside a camera whose driver tells where its parts are."""
    views = make_views(3)
    start = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        bag.tf(0, ("camera_link", "optical", OPTICAL), topic="/camera/tf_static", log_ns=start)
        bag.tf(0, ("base_link", "camera_link", shift(0, 0, 1)), topic="/tf_static", log_ns=start)
        for ns in range(0, SECOND, SECOND // 10):
            bag.tf(start + ns, ("map", "odom", shift(5.0)), topic="/slam/tf")
            bag.tf(start + ns, ("odom", "base_link", shift(ns / SECOND)))
            if ns % (SECOND // 5) == 0:
                bag.tf(start + ns, ("odom", "base_link", shift(ns / SECOND)), topic="/throttled/tf")
        write_images(bag, views)
    for view in views:
        view.pose = shift(5 + (view.stamp_ns - start) / SECOND, 0, 1) @ OPTICAL
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    assert len(recording.notes) == 1


def test_tf_that_the_camera_hangs_on_is_not_passed_over_for_another(tmp_path):
    """A driver tells of the camera's parts, and otherwise of where it sits than the robot does: TF leads to it through both only."""
    views = make_views(3)
    start = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        bag.tf(0, ("camera_link", "optical", OPTICAL), topic="/camera/tf_static", log_ns=start)
        bag.tf(0, ("base_link", "camera_link", shift(0, 0, 1)), topic="/camera/tf_static", log_ns=start)
        bag.tf(0, ("base_link", "camera_link", shift(0, 0, 1.5)), topic="/tf_static", log_ns=start + 1)
        for ns in range(0, SECOND, SECOND // 10):
            bag.tf(start + ns, ("map", "base_link", shift(ns / SECOND)))
        write_images(bag, views)
    for view in views:
        view.pose = shift((view.stamp_ns - start) / SECOND, 0, 1.5) @ OPTICAL
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    assert recording.notes[1:] == [
        "TF has the frame camera_link at two places under base_link: two publishers tell of it, or one told it otherwise "
        "later. The latest counts, and poses may be wrong or missing: let one of them be silent, or correct what is wrong."
    ]


def test_the_mount_of_a_camera_is_not_passed_over_where_the_poses_are_an_odometry_s(tmp_path):
    """A driver tells of the camera's parts, and where they would sit by default; the robot's description knows better."""
    views = make_views(3)
    start = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        bag.tf(0, ("camera_link", "optical", OPTICAL), topic="/camera/tf_static", log_ns=start)
        bag.tf(0, ("base", "camera_link", shift(0)), topic="/camera/tf_static", log_ns=start)
        bag.tf(0, ("base_link", "base", shift(0)), topic="/tf_static", log_ns=start)
        bag.tf(0, ("base", "camera_link", shift(0, 0, 1)), topic="/tf_static", log_ns=start + 1)
        for ns in range(0, SECOND, SECOND // 10):
            bag.odometry("/odom", start + ns, shift(ns / SECOND))
        write_images(bag, views)
    for view in views:
        view.pose = shift((view.stamp_ns - start) / SECOND, 0, 1) @ OPTICAL
    for told in ({}, {"pose_topic": "/odom"}, {"body_frame": "base_link"}):
        check_frames(open_recording(tmp_path / "bag", **told), views)


@pytest.mark.parametrize(
    ("told", "notes"),
    [({}, 2), ({"pose_topic": "/odom"}, 1), ({"fixed_frame": "odom"}, 1), ({"fixed_frame": "map"}, 2)],
)
def test_two_localisations_are_told_only_where_the_poses_are_theirs(tmp_path, told, notes):
    views = make_views(10)
    start = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        bag.tf(0, ("base_link", "optical", OPTICAL), topic="/tf_static", log_ns=start)
        for i in range(30):
            ns = i * SECOND // 20
            bag.tf(start + ns, ("map", "odom", shift(9.0 * (i % 2))), ("odom", "base_link", shift(ns / SECOND)))
            bag.odometry("/odom", start + ns, shift(ns / SECOND))
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag", **told)
    assert len(list(recording)) == len(views)
    assert len(recording.notes) == notes


@pytest.mark.parametrize("told", [{}, {"fixed_frame": "odom"}, {"pose_topic": "tf"}])
def test_that_tf_is_told_does_not_mean_the_topic_without_a_namespace(tmp_path, told):
    views = make_views(3)
    recording = open_recording(write_two_robots(tmp_path / "bag", views, "/robot1", robots=("", "/robot1")), **told)
    for view in views:
        view.pose[0, 3] += 50
    check_frames(recording, views)


@pytest.mark.parametrize("world", ["odom", "world"])
def test_without_a_map_odom_or_world_is_the_world(tmp_path, world):
    views = make_views(3)
    check_frames(open_recording(write_robot(tmp_path / "bag", views, [(world, "base_link")])), views)


def write_robot_with_pose(path, views, links):
    """The same, with a topic that gives the pose of base_link, as a ZED or slam_toolbox do: not the camera's."""
    write_robot(path / "tf", views, links)
    with BagBuilder(path / "poses") as bag:
        for view in views:
            bag.pose("/zed/zed_node/pose", view.stamp_ns, view.pose @ np.linalg.inv(OPTICAL))
    for part in ("tf", "poses"):
        (path / f"{part}/{part}.mcap").rename(path / f"{part}.mcap")
        shutil.rmtree(path / part)
    return path


def test_tf_that_leads_to_the_camera_wins_over_a_pose_that_may_be_a_body_s(tmp_path):
    views = make_views(3)
    bag = write_robot_with_pose(tmp_path, views, [("map", "odom"), ("odom", "base_link")])
    recording = open_recording(bag)
    check_frames(recording, views)
    (note,) = recording.notes
    assert note.endswith("poses are TF, in the frame map (/zed/zed_node/pose is not used: choose it with pose_topic).")
    check_frames(open_recording(bag, pose_topic="/zed/zed_node/pose", body_frame="base_link"), views)
    check_frames(open_recording(bag, body_frame="base_link"), views)
    told = open_recording(bag, pose_topic="/zed/zed_node/pose")
    bodies = [frame.pose for frame in told]
    np.testing.assert_allclose(bodies, [view.pose @ np.linalg.inv(OPTICAL) for view in views])
    assert "if it is a robot's, name its frame with --option body_frame=" in told.notes[-1]
    for view in views:
        view.pose[0, 3] -= 5
    check_frames(open_recording(bag, fixed_frame="odom"), views)


def test_options_that_contradict_each_other_are_refused(tmp_path):
    bag = write_robot_with_pose(tmp_path, make_views(1), [("map", "base_link")])
    topic = {"pose_topic": "/zed/zed_node/pose"}
    for told in (topic, {"body_frame": "base_link"}):
        with pytest.raises(
            UserError, match=r"fixed_frame is the world of TF, but .* those of /zed/zed_node/pose: leave out"
        ):
            open_recording(bag, fixed_frame="map", **told)
    with pytest.raises(UserError, match=r"body_frame says whose pose a topic gives, but here TF gives the poses: name"):
        open_recording(bag, body_frame="base_link", pose_topic="tf")
    for tf in ("tf", "/tf"):
        assert len(list(open_recording(bag, fixed_frame="map", pose_topic=tf))) == 1


def test_tf_that_does_not_lead_to_the_camera_leaves_it_to_a_pose(tmp_path):
    views = make_views(3)
    recording = open_recording(write_robot_with_pose(tmp_path, views, [("earth", "base_link")]))
    assert len(list(recording)) == 3
    assert recording.notes[-1].startswith("/zed/zed_node/pose does not say of what it is the pose")


def test_tf_that_only_tells_the_camera_s_mount_leaves_it_to_the_odometry(tmp_path):
    """A robot with publish_tf: false."""
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        bag.tf(0, ("base_link", "optical", OPTICAL), topic="/tf_static", log_ns=views[0].stamp_ns)
        for view in views:
            bag.pose("/amcl", view.stamp_ns, np.eye(4))
            bag.odometry("/odometry/filtered", view.stamp_ns, view.pose @ np.linalg.inv(OPTICAL))
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    (note,) = recording.notes
    assert note.endswith(
        "poses are /odometry/filtered (TF does not lead from map or odom or world to the images' frame)."
    )
    with pytest.raises(UserError, match="TF does not lead from map or odom or world to the images' frame_id 'optical'"):
        list(open_recording(tmp_path / "bag", pose_topic="tf"))


@pytest.mark.parametrize("mounted", [True, False])
def test_odometry_that_says_of_what_it_is_the_pose_wins_where_tf_leads_from_there_to_the_camera(tmp_path, mounted):
    """A ZED without /tf: its pose and its odometry are of zed_camera_link."""
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        link = "zed_camera_link" if mounted else "another_link"
        bag.tf(0, (link, "optical", OPTICAL), topic="/tf_static", log_ns=views[0].stamp_ns)
        for view in views:
            body = view.pose @ np.linalg.inv(OPTICAL)
            bag.pose("/zed/zed_node/pose", view.stamp_ns, body)
            bag.odometry("/zed/zed_node/odom", view.stamp_ns, body, child="zed_camera_link")
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag")
    frames = list(recording)
    if mounted:
        check_frames(frames, views)
        (note,) = recording.notes
        assert note.endswith(
            "poses are /zed/zed_node/odom (TF does not lead from map or odom or world to the images' frame; "
            "/zed/zed_node/pose is not used: choose it with pose_topic)."
        )
    else:
        np.testing.assert_allclose(frames[0].pose, views[0].pose @ np.linalg.inv(OPTICAL))
        assert recording.notes[-1].endswith(
            "name its frame with --option body_frame=FRAME (TF has another_link, optical)."
        )


def test_a_map_that_comes_late_is_the_world_nevertheless(tmp_path):
    """Images of before are left out: the odometry drifts, and half a map in it would not fit the other half."""
    views = make_views(6)
    with BagBuilder(tmp_path / "bag") as bag:
        bag.tf(0, ("base_link", "optical", OPTICAL), topic="/tf_static", log_ns=views[0].stamp_ns - SECOND)
        for ns in range(views[0].stamp_ns, views[-1].stamp_ns + 1, SECOND // 100):
            bag.tf(ns, ("odom", "base_link", shift((ns - views[0].stamp_ns) / SECOND)))
            if ns >= views[3].stamp_ns:
                bag.tf(ns, ("map", "odom", shift(5.0)))
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag")
    for view in views:
        view.pose = shift(5.0 + (view.stamp_ns - views[0].stamp_ns) / SECOND) @ OPTICAL
    check_frames(recording, views[3:])
    assert recording.skipped == {"no transform from map to optical on TF": 3}
    (note,) = recording.notes
    assert note.endswith(
        "depth /camera/depth/image, calibration /camera/rgb/camera_info, poses are TF, in the frame map."
    )


def test_tf_without_a_world_says_so(tmp_path):
    write_robot(tmp_path / "bag", make_views(3), [("earth", "base_link")])
    expected = (
        r"from map or odom or world to the images' frame_id 'optical' .* TF has the frames base_link, earth, optical"
    )
    with pytest.raises(UserError, match=expected) as raised:
        list(open_recording(tmp_path / "bag"))
    assert "tf_static" not in str(raised.value)


def test_tf_of_a_bag_that_begins_after_the_static_transforms_says_so(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.tf(view.stamp_ns, ("map", "base_link", view.pose))
        write_images(bag, views)
    with pytest.raises(
        UserError, match=r"frame_id 'optical' .* frames base_link, map, and the bag no /tf_static, which"
    ):
        list(open_recording(tmp_path / "bag"))


def test_images_before_the_first_and_after_the_last_pose_are_counted(tmp_path):
    views = make_views(6)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views[2:4]:
            bag.pose("/pose", view.stamp_ns, view.pose)
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views[2:4])
    late = "poses end before the image's time, or come later in the bag than an image waits, 2 s"
    assert recording.skipped == {"no pose at the image's time": 2, late: 2}


def write_late(path, source, views, lag_s):
    """Poses that come so long after their images."""
    with BagBuilder(path) as bag:
        for view in views:
            log_ns = view.stamp_ns + round(lag_s * SECOND)
            if source == "tf":
                bag.tf(view.stamp_ns, ("map", "optical", view.pose), log_ns=log_ns)
            else:
                bag.pose("/pose", view.stamp_ns, view.pose, log_ns=log_ns)
        write_images(bag, views)
    return open_recording(path)


@pytest.mark.parametrize("source", ["tf", "pose"])
def test_poses_that_come_late_are_awaited(tmp_path, source):
    views = make_views(30)
    check_frames(write_late(tmp_path / "bag", source, views, 1.8), views)


@pytest.mark.parametrize("source", ["tf", "pose"])
def test_poses_that_come_later_than_images_wait_are_said(tmp_path, source):
    with pytest.raises(UserError, match=r"poses end .*, or come later in the bag than an image waits, 2 s \(\d\d\)"):
        list(write_late(tmp_path / "bag", source, make_views(40), 3))


def test_colour_of_a_fast_camera_is_not_lost_while_poses_are_awaited(tmp_path):
    """At 100 Hz; the poses begin after 3 s."""
    views = make_views(60)
    start = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        bag.camera_info("/camera/rgb/camera_info", start)
        for i in range(600):
            colour = views[i // 10].colour
            bag.image(
                "/camera/rgb/image_raw", start + i * SECOND // 100, colour if i % 10 == 0 else 255 - colour, "rgb8"
            )
        for i, view in enumerate(views):
            bag.image("/camera/depth/image", view.stamp_ns, view.depth_mm, "16UC1")
            if i >= 30:
                bag.pose("/pose", view.stamp_ns, view.pose, log_ns=view.stamp_ns + 50 * MS)
    check_frames(open_recording(tmp_path / "bag"), views[30:])


def test_poses_between_the_images_are_interpolated_however_late_they_come(tmp_path):
    views = make_views(4)
    with BagBuilder(tmp_path / "bag") as bag:
        for i, view in enumerate(views):
            view.pose = shift(i)
            for half in (-1, 1):
                stamp = view.stamp_ns + half * SECOND // 20
                if half < 0 or i == len(views) - 1:
                    bag.pose("/pose", stamp, shift(i + half / 2), log_ns=stamp + SECOND // 2)
        write_images(bag, views)
    check_frames(open_recording(tmp_path / "bag"), views)


def test_broken_poses_are_passed_over(tmp_path):
    views = make_views(3)
    with BagBuilder(tmp_path / "bag") as bag:
        for view, broken in zip(views, (0.0, np.nan, 0.0)):
            bag.pose("/pose", view.stamp_ns, view.pose + shift(broken) - np.eye(4))
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag")
    frames = list(recording)
    assert any(
        re.match("Poses that were passed over: 1. The first: A pose must have a", note) for note in recording.notes
    )
    between = (views[0].pose[:3, 3] + views[2].pose[:3, 3]) / 2
    np.testing.assert_allclose(
        [frame.pose[:3, 3] for frame in frames], [views[0].pose[:3, 3], between, views[2].pose[:3, 3]]
    )


def test_a_bag_without_a_usable_pose_says_what_was_wrong_with_them(tmp_path):
    views = make_views(3)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.pose("/pose", view.stamp_ns, shift(np.nan))
        write_images(bag, views)
    with pytest.raises(
        UserError, match=r"no pose .* \(3\); .* poses are /pose\. .* passed over: 3\. The first: A pose must"
    ):
        list(open_recording(tmp_path / "bag"))


@pytest.mark.parametrize(("link", "told"), [("wheel", False), ("optical", True)])
def test_a_broken_transform_is_told_of_by_name_where_images_go_without_a_pose(tmp_path, link, told):
    views = make_views(4)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.tf(view.stamp_ns, ("map", "base_link", view.pose))
            broken = shift(np.nan) if link == "wheel" or view.number > 1 else np.eye(4)
            bag.tf(view.stamp_ns, *([("base_link", "optical", np.eye(4))] if link == "wheel" else []))
            bag.tf(view.stamp_ns, ("base_link", link, broken))
        write_images(bag, views)
    recording = open_recording(tmp_path / "bag")
    assert len(list(recording)) == (2 if told else 4)
    notes = [note.partition(" must")[0] for note in recording.notes if "passed over" in note]
    assert notes == ["Transforms from base_link to optical that were passed over: 2. The first: A transform"] * told
    assert "odometry" not in str(recording.notes)


@pytest.mark.parametrize(("source", "late_s"), [("pose", 5), ("tf", 3600), ("depth", 5)])
def test_a_bag_of_two_clocks_says_how_far_they_are_apart(tmp_path, source, late_s):
    views = make_views(3)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            late = view.stamp_ns + late_s * SECOND
            if source == "tf":
                bag.tf(late, ("map", "optical", view.pose), log_ns=view.stamp_ns)
            else:
                bag.pose("/pose", late if source == "pose" else view.stamp_ns, view.pose, log_ns=view.stamp_ns)
            bag.camera_info("/camera/rgb/camera_info", view.stamp_ns)
            bag.image("/camera/rgb/image_raw", view.stamp_ns, view.colour, "rgb8")
            stamp = late if source == "depth" else view.stamp_ns
            bag.image("/camera/depth/image", stamp, view.depth_mm, "16UC1", log_ns=view.stamp_ns)
    topic = {"depth": "/camera/depth/image"}.get(source, f"/{source}")
    expected = f"{topic} {100 + late_s}.00 to {100 + late_s}.20 s"
    with pytest.raises(UserError, match=r"Stamps are .*/camera/rgb/image_raw 100.00 to 100.20 s.*one clock") as raised:
        list(open_recording(tmp_path / "bag"))
    assert expected in str(raised.value)


def test_a_bag_whose_only_link_to_the_world_is_broken_says_so(tmp_path):
    views = make_views(3)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.tf(view.stamp_ns, ("map", "optical", shift(np.nan)))
        write_images(bag, views)
    with pytest.raises(
        UserError, match=r"TF does not lead .* Transforms from map to optical .* passed over: 3\. The first"
    ):
        list(open_recording(tmp_path / "bag"))


def test_poses_too_far_apart_are_not_blamed_on_clocks(tmp_path):
    views = make_views(3)
    with BagBuilder(tmp_path / "bag") as bag:
        for away in (-2, 8):
            bag.pose("/pose", views[0].stamp_ns + away * SECOND, np.eye(4), log_ns=views[0].stamp_ns)
        write_images(bag, views)
    with pytest.raises(UserError, match=r"poses further apart than .* /pose 98.00 to 108.00 s, .* 100.20 s\.$"):
        list(open_recording(tmp_path / "bag"))


def test_stamps_that_nearly_fit_are_paired_and_others_counted(tmp_path):
    views = make_views(5)
    offsets = [0, 12 * MS, -12 * MS, 45 * MS, 29 * MS]
    with BagBuilder(tmp_path / "bag") as bag:
        bag.camera_info("/camera/rgb/camera_info", views[0].stamp_ns)
        for view, offset in zip(views, offsets):
            bag.image("/camera/rgb/image_raw", view.stamp_ns + offset, view.colour, "rgb8", log_ns=view.stamp_ns)
            bag.image("/camera/depth/image", view.stamp_ns, view.depth_mm, "16UC1")
            bag.pose("/pose", view.stamp_ns, view.pose)
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, [view for view, offset in zip(views, offsets) if abs(offset) <= 30 * MS])
    assert recording.skipped == {"no colour image within 0.03 s": 1}


def test_an_exact_partner_is_awaited(tmp_path):
    views = make_views(3)
    with BagBuilder(tmp_path / "bag") as bag:
        bag.camera_info("/camera/rgb/camera_info", views[0].stamp_ns)
        for view in views:
            bag.pose("/pose", view.stamp_ns, view.pose)
            bag.image("/camera/depth/image", view.stamp_ns, view.depth_mm, "16UC1")
            wrong = 255 - view.colour
            bag.image("/camera/rgb/image_raw", view.stamp_ns - 20 * MS, wrong, "rgb8", log_ns=view.stamp_ns)
            bag.image("/camera/rgb/image_raw", view.stamp_ns, view.colour, "rgb8", log_ns=view.stamp_ns + 90 * MS)
    check_frames(open_recording(tmp_path / "bag"), views)


def test_messages_out_of_order_are_put_in_order(tmp_path):
    views = make_views(6)
    with BagBuilder(tmp_path / "bag", "sqlite3") as bag:
        bag.camera_info("/camera/rgb/camera_info", views[0].stamp_ns)
        start = views[0].stamp_ns
        for i, view in enumerate(views):
            bag.image("/camera/rgb/image_raw", view.stamp_ns, view.colour, "rgb8", log_ns=start + (5 - i) * MS)
            bag.image("/camera/depth/image", view.stamp_ns, view.depth_mm, "16UC1", log_ns=start + (i ^ 1) * MS)
            bag.pose("/pose", view.stamp_ns, view.pose, log_ns=start + 300 * MS)
    check_frames(open_recording(tmp_path / "bag"), views)


def test_a_clock_that_jumps_back_is_counted(tmp_path):
    views = make_views(6)
    log_ns = views[0].stamp_ns
    with BagBuilder(tmp_path / "bag") as bag:
        bag.camera_info("/camera/rgb/camera_info", log_ns)
        for view in [*views, *views[:2]]:  # a bag that was recorded over a loop of another
            bag.image("/camera/rgb/image_raw", view.stamp_ns, view.colour, "rgb8", log_ns=log_ns)
            bag.image("/camera/depth/image", view.stamp_ns, view.depth_mm, "16UC1", log_ns=log_ns)
            bag.pose("/pose", view.stamp_ns, view.pose, log_ns=log_ns)
            log_ns += 2 * SECOND
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    assert recording.skipped == {"not later than the frame before": 2}


def test_stamps_of_zero_give_way_to_the_log_time(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        bag.camera_info("/camera/rgb/camera_info", views[0].stamp_ns)
        for view in views:
            bag.image("/camera/rgb/image_raw", 0, view.colour, "rgb8", log_ns=view.stamp_ns)
            bag.image("/camera/depth/image", 0, view.depth_mm, "16UC1", log_ns=view.stamp_ns)
            bag.pose("/pose", view.stamp_ns, view.pose)
    check_frames(open_recording(tmp_path / "bag"), views)


def test_a_stamp_of_zero_among_others_is_the_start_of_a_simulator_s_time(tmp_path):
    """Recorded by the wall clock: taken for stamps, its log times would be decades ahead of the others."""
    views = make_views(4)
    with BagBuilder(tmp_path / "bag") as bag:
        bag.camera_info("/camera/rgb/camera_info", SECOND)
        for number, view in enumerate(views):
            stamp, now = number * SECOND // 10, 1_700_000_000 * SECOND + number * SECOND // 10
            bag.image("/camera/rgb/image_raw", stamp, view.colour, "rgb8", log_ns=now)
            bag.image("/camera/depth/image", stamp, view.depth_mm, "16UC1", log_ns=now)
            bag.pose("/pose", stamp, view.pose, log_ns=now)
    recording = open_recording(tmp_path / "bag")
    frames = list(recording)
    check_frames(frames, views)
    assert [frame.stamp_s for frame in frames] == [0, 0.1, 0.2, 0.3]
    assert not recording.skipped


def test_larger_colour_is_registered_by_its_own_camera_info(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            double = view.colour.repeat(2, 0).repeat(2, 1)
            bag.image("/camera/color/image_raw", view.stamp_ns, double, "rgb8")
            bag.camera_info(
                "/camera/color/camera_info",
                view.stamp_ns,
                np.array([[28.0, 0, 15.5], [0, 29, 11.5], [0, 0, 1]]),
                (32, 24),
            )
            bag.image("/camera/depth/image_raw", view.stamp_ns, view.depth_mm, "16UC1")
            bag.camera_info("/camera/depth/camera_info", view.stamp_ns)
            bag.pose("/pose", view.stamp_ns, view.pose)
    check_frames(open_recording(tmp_path / "bag"), views)


def test_depth_of_few_pixels_is_repeated_to_colour_s(tmp_path):
    depth, colour = (np.random.default_rng(0).integers(1, 5, size) for size in ((192, 256), (240, 320, 3)))
    K = np.array([[200.0, 0, 127.5], [0, 200, 95.5], [0, 0, 1]])
    with BagBuilder(tmp_path / "bag") as bag:
        bag.image("/camera/color/image_raw", 1, colour.astype(np.uint8), "rgb8")
        bag.image("/camera/depth/image_raw", 1, (depth * 1000).astype(np.uint16), "16UC1")
        bag.camera_info("/camera/depth/camera_info", 1, K, (256, 192))
        bag.pose("/pose", 1, np.eye(4))
    (frame,) = open_recording(tmp_path / "bag")
    np.testing.assert_array_equal(frame.colour, colour)
    np.testing.assert_array_equal(frame.depth_m[2::5, 2::5].round(3), depth[2::4, 2::4])
    assert (frame.intrinsics.width, frame.intrinsics.height, frame.intrinsics.fx) == (320, 240, 250)


@pytest.mark.parametrize("uncalibrated", [0, 2])
def test_a_camera_info_that_is_not_calibrated_is_passed_over_and_told(tmp_path, uncalibrated):
    views = make_views()
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.pose("/pose", view.stamp_ns, view.pose)
        write_images(bag, views, matrix=lambda view: K * (view.number != uncalibrated))
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    (note,) = [note for note in recording.notes if "Focal" in note]
    assert note.startswith("/camera/rgb/camera_info: Focal lengths must be positive")
    assert note.endswith("The calibration before or after it is taken instead.")


def test_a_bag_of_a_camera_that_nobody_calibrated_is_refused(tmp_path):
    views = make_views()
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.pose("/pose", view.stamp_ns, view.pose)
        write_images(bag, views, matrix=lambda view: K * 0)
    with pytest.raises(
        UserError, match=r"/camera/rgb/camera_info: Focal lengths must be positive .* is not calibrated"
    ):
        list(open_recording(tmp_path / "bag"))


def test_a_colour_camera_that_nobody_calibrated_is_taken_for_depth_s(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.image("/camera/color/image_raw", view.stamp_ns, view.colour, "rgb8")
            bag.camera_info("/camera/color/camera_info", view.stamp_ns, np.zeros((3, 3)))
            bag.image("/camera/depth/image_raw", view.stamp_ns, view.depth_mm, "16UC1")
            bag.camera_info("/camera/depth/camera_info", view.stamp_ns)
            bag.pose("/pose", view.stamp_ns, view.pose)
    recording = open_recording(tmp_path / "bag")
    check_frames(recording, views)
    assert (
        "/camera/color/camera_info is that of no calibrated camera in its first 100 messages: colour is taken for"
        in str(recording.notes)
    )
    with pytest.raises(UserError, match="/camera/color/camera_info: Focal lengths must be positive"):
        list(open_recording(tmp_path / "bag", camera_info_topic="/camera/color/camera_info"))


def test_a_bag_is_not_read_to_its_end_for_the_calibration_of_its_colour_camera(tmp_path, monkeypatch):
    with BagBuilder(tmp_path / "bag") as bag:
        for view in (views := make_views(300)):
            bag.camera_info("/camera/color/camera_info", view.stamp_ns, np.zeros((3, 3)))
        for view in views[:2]:
            bag.image("/camera/color/image_raw", view.stamp_ns, view.colour, "rgb8")
            bag.image("/camera/depth/image_raw", view.stamp_ns, view.depth_mm, "16UC1")
            bag.camera_info("/camera/depth/camera_info", view.stamp_ns)
            bag.pose("/pose", view.stamp_ns, view.pose)
    read, messages = [], BagFiles.messages
    monkeypatch.setattr(BagFiles, "messages", lambda *of: (read.append(m[0]) or m for m in messages(*of)))
    next(iter(open_recording(tmp_path / "bag")))
    assert 0 < read.count("/camera/color/camera_info") < 150


def write_realsense(path, views, depth_frame, info="/camera/color/camera_info"):
    """One camera_info, of colour unless told."""
    with BagBuilder(path) as bag:
        for view in views:
            bag.image("/camera/color/image_raw", view.stamp_ns, view.colour, "rgb8", "colour_optical")
            bag.image("/camera/depth/image_rect_raw", view.stamp_ns, view.depth_mm, "16UC1", depth_frame)
            frame = depth_frame if "depth" in info else "colour_optical"
            bag.camera_info(info, view.stamp_ns, frame=frame)
            bag.pose("/pose", view.stamp_ns, view.pose)
    return path


def test_depth_does_not_get_the_calibration_of_colour_s_camera(tmp_path):
    views = make_views(1)
    bag = write_realsense(tmp_path / "bag", views, "depth_optical")
    expected = (
        "/camera/depth/image_rect_raw is of the camera depth_optical, but /camera/color/camera_info of colour_optical, "
        "and there is no /camera/depth/camera_info: choose .* a calibration with camera_info_topic"
    )
    with pytest.raises(UserError, match=expected):
        list(open_recording(bag))
    check_frames(open_recording(bag, camera_info_topic="/camera/color/camera_info"), views)
    for aligned in ("/colour_optical", ""):
        check_frames(open_recording(write_realsense(tmp_path / f"aligned{len(aligned)}", views, aligned)), views)


def test_colour_with_depth_s_calibration_is_told(tmp_path):
    views = make_views(1)
    recording = open_recording(write_realsense(tmp_path / "bag", views, "depth_optical", "/camera/depth/camera_info"))
    check_frames(recording, views)
    assert "of depth_optical, and there is no /camera/color/camera_info: colour is taken for that of" in str(
        recording.notes
    )


def test_colour_of_another_shape_than_its_camera_info_is_refused(tmp_path):
    view = make_views(1)[0]
    write_bag(tmp_path / "bag", [view], colour=False)
    with BagBuilder(tmp_path / "colour") as bag:
        bag.image("/camera/rgb/image_raw", view.stamp_ns, view.colour[:9], "rgb8")
    (tmp_path / "colour/colour.mcap").rename(tmp_path / "bag/colour.mcap")
    (tmp_path / "bag/metadata.yaml").unlink()
    expected = "/camera/rgb/image_raw at 100.0 s: The images are 16x9, but their camera_info describes 16x12"
    with pytest.raises(UserError, match=expected):
        list(open_recording(tmp_path / "bag"))


def test_a_colour_camera_beside_the_depth_camera_is_registered_through_tf(tmp_path):
    ramp = np.repeat(np.tile(np.arange(WIDTH, dtype=np.uint8) * 10, (HEIGHT, 1))[..., None], 3, 2)
    with BagBuilder(tmp_path / "bag") as bag:
        # 2 pixels of disparity: 14 px * 0.2 m / 1.4 m
        bag.tf(0, ("colour_optical", "depth_optical", shift(0.2)), topic="/tf_static", log_ns=SECOND)
        bag.image("/camera/color/image_raw", SECOND, ramp, "rgb8", "colour_optical")
        bag.camera_info("/camera/color/camera_info", SECOND)
        bag.image(
            "/camera/depth/image_raw", SECOND, np.full((HEIGHT, WIDTH), 1400, np.uint16), "16UC1", "depth_optical"
        )
        bag.camera_info("/camera/depth/camera_info", SECOND)
        bag.pose("/pose", SECOND, np.eye(4))
    recording = open_recording(tmp_path / "bag")
    (frame,) = recording
    np.testing.assert_array_equal(frame.colour[:, :-2], ramp[:, 2:])
    assert "stands beside" not in str(recording.notes)


@pytest.mark.parametrize(
    ("told", "used", "skipped"),
    [((0, 1, 7), 3, {"poses further apart than 0.5 s at the image's time": 5}), ((0,), 8, {})],
    ids=["moving, with a gap", "told once, not latched"],
)
def test_colour_and_depth_are_not_taken_for_one_place_in_a_gap_of_what_moves_them(tmp_path, told, used, skipped):
    views = make_views(8)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            if view.number in told:
                bag.tf(view.stamp_ns, ("colour_optical", "depth_optical", shift(0.2 * view.number)))
            bag.image("/camera/color/image_raw", view.stamp_ns, view.colour, "rgb8", "colour_optical")
            bag.camera_info("/camera/color/camera_info", view.stamp_ns)
            bag.image("/camera/depth/image_raw", view.stamp_ns, view.depth_mm, "16UC1", "depth_optical")
            bag.camera_info("/camera/depth/camera_info", view.stamp_ns)
            bag.pose("/pose", view.stamp_ns, view.pose)
    recording = open_recording(tmp_path / "bag")
    assert len(list(recording)) == used
    assert recording.skipped == skipped
    assert ("to be at one place" in str(recording.notes)) == (used == 8)


def write_two_cameras(path, views, T_colour_depth, colour_matrix=K):
    with BagBuilder(path) as bag:
        bag.tf(0, ("colour_optical", "depth_optical", T_colour_depth), topic="/tf_static", log_ns=views[0].stamp_ns)
        for view in views:
            bag.image("/front/color", view.stamp_ns, view.colour, "rgb8", "colour_optical")
            bag.camera_info("/front/camera_info", view.stamp_ns, colour_matrix)
            bag.image("/back/depth", view.stamp_ns, view.depth_mm, "16UC1", "depth_optical")
            bag.camera_info("/back/camera_info", view.stamp_ns)
            bag.pose("/pose", view.stamp_ns, view.pose)
    return path


def test_colour_that_looks_elsewhere_than_depth_is_refused(tmp_path):
    bag = write_two_cameras(tmp_path / "bag", make_views(1), np.diag([-1.0, 1, -1, 1]))
    expected = (
        "/front/color at 100.0 s: it sees almost nothing of what /back/depth sees: choose rgb_topic or depth_topic"
    )
    with pytest.raises(UserError, match=expected):
        list(open_recording(bag))


@pytest.mark.parametrize("zoom", [1.0, 1.5])
def test_colour_that_sees_less_than_depth_is_told_once(tmp_path, zoom):
    """As a D435's does."""
    bag = write_two_cameras(tmp_path / "bag", make_views(3), shift(0.01), np.diag([zoom, zoom, 1]) @ K)
    recording = open_recording(bag)
    assert len(list(recording)) == 3
    told = [
        note for note in recording.notes if re.match(r"Colour sees only \d\d% of what depth sees.*align depth", note)
    ]
    assert len(told) == (zoom > 1)


@pytest.mark.parametrize(("depth_frame", "told"), [("depth_optical", 1), ("/colour_optical", 0), ("", 0)])
def test_two_cameras_without_tf_between_them_are_told(tmp_path, depth_frame, told):
    views = make_views(2)
    bag = write_realsense(tmp_path / "bag", views, depth_frame)
    recording = open_recording(bag, camera_info_topic="/camera/color/camera_info")
    check_frames(recording, views)
    expected = (
        "TF does not say where colour_optical (colour) stands beside depth_optical (depth): they are taken to be at one"
    )
    assert sum(note.startswith(expected) for note in recording.notes) == told


def test_raw_images_are_straightened_where_asked_to(tmp_path):
    """A wall, slanted: through this lens it is not plane."""
    size, matrix, bent = (80, 60), np.array([[60.0, 0, 39], [0, 60, 30], [0, 0, 1]]), (-0.3, 0.1, 0, 0, 0)
    pixels = np.stack(np.meshgrid(np.arange(80), np.arange(60)), -1).reshape(-1, 1, 2).astype(float)
    x = cv2.undistortPoints(pixels, matrix, np.array(bent)).reshape(60, 80, 2)[..., 0]
    with BagBuilder(tmp_path / "bag") as bag:
        bag.camera_info("/camera/rgb/camera_info", SECOND, matrix, size, distortion=bent)
        bag.image("/camera/rgb/image_raw", SECOND, np.full((60, 80, 3), 90, np.uint8), "rgb8")
        bag.image("/camera/depth/image", SECOND, (2 / (1 - 0.3 * x)).astype(np.float32), "32FC1")
        bag.pose("/pose", SECOND, np.eye(4))
    wall = 2 / (1 - 0.3 * (np.arange(80) - 39) / 60) * np.ones((60, 1))
    found = {}
    for rectify in ("no", "yes"):
        recording = open_recording(tmp_path / "bag", rectify=rectify)
        (frame,) = recording
        found[rectify] = np.abs(frame.depth_m - wall)[5:-5, 5:-5].max()
        assert (frame.colour[5:-5, 5:-5] == 90).all()
        told = [note for note in recording.notes if "tells of lens distortion" in note]
        assert bool(told) == (rectify == "no")
    assert found["yes"] < 0.02 < 0.05 < found["no"]
    with pytest.raises(UserError, match="rectify is yes or no; found 'perhaps'"):
        open_recording(tmp_path / "bag", rectify="perhaps")


def test_camera_info_of_another_size_is_refused(tmp_path):
    view = make_views(1)[0]
    write_bag(tmp_path / "bag", [view], info=False)
    with BagBuilder(tmp_path / "info") as bag:
        bag.camera_info("/camera/rgb/camera_info", view.stamp_ns, size=(640, 480))
    (tmp_path / "info/info.mcap").rename(tmp_path / "bag/info.mcap")
    (tmp_path / "bag/metadata.yaml").unlink()
    expected = "/camera/depth/image at 100.0 s: the images are 16x12, but /camera/rgb/camera_info describes 640x480"
    with pytest.raises(UserError, match=expected):
        list(open_recording(tmp_path / "bag"))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (
            "colour",
            r"has no colour images .*choose one with rgb_topic; topics found: /camera/depth/image \[sensor_msgs",
        ),
        ("depth", r"has no depth images .*choose one with depth_topic; topics found: /camera/rgb/camera_info \[sensor"),
        ("info", r"has no camera calibration .*expected on /camera/depth/camera_info or /camera/rgb/camera_info"),
        ("pose", r"has no poses \(TF on /tf, or PoseStamped.*choose one with pose_topic"),
    ],
)
def test_what_a_bag_lacks(tmp_path, missing, message):
    with pytest.raises(UserError, match=message):
        open_recording(write_bag(tmp_path / "bag", make_views(1), **{missing: False}))


def test_topics_can_be_told(tmp_path):
    views = make_views(2)
    with BagBuilder(tmp_path / "bag") as bag:
        for view in views:
            bag.image("/a", view.stamp_ns, view.colour, "rgb8")
            bag.image("/b", view.stamp_ns, view.depth_mm, "16UC1")
            bag.camera_info("/c", view.stamp_ns)
            bag.camera_info("/d", view.stamp_ns)
            bag.pose("/goal_pose", view.stamp_ns, view.pose)
    told = {"rgb_topic": "a", "depth_topic": "/b", "camera_info_topic": "/c", "pose_topic": "/goal_pose"}
    check_frames(open_recording(tmp_path / "bag", **told), views)
    with pytest.raises(UserError, match=r"has no depth images .* on /z; choose one with depth_topic; topics found: /a"):
        open_recording(tmp_path / "bag", **{**told, "depth_topic": "/z"})
    with pytest.raises(UserError, match="which has no option 'depth'; its options: rgb_topic"):
        open_recording(tmp_path / "bag", depth="/b")


IMAGE, PNG = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO, TF, ODOMETRY = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage", "nav_msgs/msg/Odometry"
POSE = "geometry_msgs/msg/PoseStamped"


def test_topics_of_a_realsense_on_a_robot():
    types = {
        "/camera/infra1/image_rect_raw": IMAGE,
        "/camera/color/image_raw": IMAGE,
        "/camera/color/image_raw/compressed": PNG,
        "/camera/color/camera_info": INFO,
        "/camera/depth/image_rect_raw": IMAGE,
        "/camera/depth/camera_info": INFO,
        "/camera/aligned_depth_to_color/image_raw": IMAGE,
        "/camera/aligned_depth_to_color/image_raw/compressedDepth": PNG,
        "/camera/aligned_depth_to_color/camera_info": INFO,
        "/camera/depth/color/points": "sensor_msgs/msg/PointCloud2",
        "/odom": ODOMETRY,
        "/goal_pose": POSE,
        "/tf": TF,
        "/tf_static": TF,
    }
    found = choose_topics(types, {}, "bag")
    assert found.rgb == "/camera/color/image_raw"
    assert found.depth == "/camera/aligned_depth_to_color/image_raw"
    assert found.camera_info == "/camera/aligned_depth_to_color/camera_info"
    assert found.rgb_camera_info == "/camera/color/camera_info"
    assert found.pose == "/odom"
    del types["/camera/aligned_depth_to_color/image_raw"]
    types["/camera/aligned_depth_to_infra1/image_raw"] = IMAGE
    assert choose_topics(types, {}, "bag").depth == "/camera/aligned_depth_to_color/image_raw/compressedDepth"
    assert choose_topics(types, {"pose_topic": "tf"}, "bag").pose is None


def test_colour_of_the_camera_that_depth_belongs_to():
    types = {f"/{camera}/{kind}/image": IMAGE for camera in ("back", "front") for kind in ("rgb", "depth")}
    types |= {f"/{camera}/depth/camera_info": INFO for camera in ("back", "front")} | {"/tf": TF}
    found = choose_topics(types, {"depth_topic": "/front/depth/image"}, "bag")
    assert (found.rgb, found.camera_info) == ("/front/rgb/image", "/front/depth/camera_info")


def test_depth_of_a_camera_whose_colour_is_there():
    """Of the camera at the back only depth was recorded."""
    types = {"/front_camera/color/image_raw": IMAGE, "/front_camera/depth/image_raw": IMAGE} | {
        f"/{camera}/depth/camera_info": INFO for camera in ("front_camera", "back")
    }
    for rear in ("/back/depth/image_raw", "/back/depth/image_rect_raw"):
        found = choose_topics(types | {rear: IMAGE, "/pose": POSE}, {}, "bag")
        assert (found.rgb, found.depth) == ("/front_camera/color/image_raw", "/front_camera/depth/image_raw")
        two = types | {rear: IMAGE, "/back/rgb": IMAGE, "/pose": POSE}
        assert choose_topics(two, {"rgb_topic": "back/rgb"}, "bag").depth == rear


def test_only_compressed_images_and_a_pose_beside_tf():
    types = {
        "/cam/image_raw/compressed": PNG,
        "/cam/depth/compressed": PNG,
        "/cam/depth/compressedDepth": PNG,
        "/cam/camera_info": INFO,
        "/slam/pose": POSE,
        "/tf": TF,
    }
    found = choose_topics(types, {}, "bag")
    assert (found.rgb, found.depth) == ("/cam/image_raw/compressed", "/cam/depth/compressedDepth")
    assert (found.camera_info, found.pose) == ("/cam/camera_info", "/slam/pose")
    assert choose_topics(types, {"pose_topic": "tf"}, "bag").pose is None


def test_a_picture_of_depth_beside_colour_is_no_depth():
    types = {
        "/camera/color/image_raw": IMAGE,
        "/camera/color/camera_info": INFO,
        "/camera/color/depth_preview/compressed": PNG,
        "/camera/depth/image_rect_raw": IMAGE,
        "/camera/depth/camera_info": INFO,
        "/tf": TF,
    }
    assert choose_topics(types, {}, "bag").depth == "/camera/depth/image_rect_raw"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_that_is_compressed_as_files_is_decompressed_once_for_each_reading(tmp_path, monkeypatch, storage):
    views = make_views()
    with BagBuilder(tmp_path / "bag", storage, compressed=CompressionMode.FILE) as bag:
        for view in views:
            bag.tf(view.stamp_ns, ("map", "optical", view.pose))
        write_images(bag, views)
    assert [path.suffix for path in sorted((tmp_path / "bag").iterdir())] == [".zstd", ".yaml"]
    decompressed, copy = [], shutil.copyfileobj
    monkeypatch.setattr(shutil, "copyfileobj", lambda *files: decompressed.append(files) or copy(*files))
    recording = open_recording(tmp_path / "bag")
    assert len(decompressed) == 1
    for times in (2, 3):
        check_frames(recording, views)
        assert len(decompressed) == times


def write_compressed_without_metadata(folder, storage, mode):
    views = make_views()
    with BagBuilder(folder, storage, compressed=mode) as bag:
        for view in views:
            bag.pose("/pose", view.stamp_ns, view.pose)
        write_images(bag, views)
    (folder / "metadata.yaml").unlink()
    return views


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_compressed_messages_are_read_where_the_metadata_is_lost(tmp_path, storage):
    views = write_compressed_without_metadata(tmp_path / "bag", storage, CompressionMode.MESSAGE)
    check_frames(open_recording(tmp_path / "bag"), views)
    check_frames(open_recording(next((tmp_path / "bag").iterdir())), views)


def test_compressed_files_whose_metadata_is_lost_are_to_be_unpacked(tmp_path):
    views = write_compressed_without_metadata(tmp_path / "bag", "mcap", CompressionMode.FILE)
    (file,) = (tmp_path / "bag").iterdir()
    for path in (tmp_path / "bag", file):
        with pytest.raises(UserError, match=rf"is compressed as files, .* no metadata.yaml, .* `zstd -d {file}`"):
            open_recording(path)
    file.with_suffix("").write_bytes(unpacked(file.read_bytes()))
    check_frames(open_recording(tmp_path / "bag"), views)


def test_an_mcap_file_that_is_not_of_ros_2_says_so(tmp_path):
    write_bag(tmp_path / "bag", make_views(1))
    file = tmp_path / "bag/bag.mcap"
    file.write_bytes(file.read_bytes().replace(b"ros2msg", b"ros1msg"))
    for path in (file, tmp_path / "bag"):
        with pytest.raises(UserError, match=r"holds messages of the encoding ros1msg, and only ROS 2's are read: conv"):
            open_recording(path)


def test_a_truncated_bag(tmp_path):
    write_bag(tmp_path / "bag", make_views(4))
    file = tmp_path / "bag/bag.mcap"
    data = file.read_bytes()
    for size in (0, 5, len(data) // 2, len(data) - 10):
        file.write_bytes(data[:size])
        with pytest.raises(UserError, match=r"cannot be read .* repair it with `ros2 bag reindex`"):
            list(open_recording(tmp_path / "bag"))


def test_broken_metadata(tmp_path):
    write_bag(tmp_path / "bag", make_views(1))
    for text in ("", "a: 1", "{"):
        (tmp_path / "bag/metadata.yaml").write_text(text)
        with pytest.raises(UserError, match="cannot be read"):
            open_recording(tmp_path / "bag")


def test_a_bag_beside_the_frames_made_of_it_does_not_hide_them(tmp_path):
    views = make_views(2)
    write_bag(tmp_path / "walk", views[:1])
    for name, write in (("scannet", write_scannet), ("seven_scenes", write_seven_scenes), ("tum", write_tum)):
        write(tmp_path / name, views)
        (tmp_path / name / "metadata.yaml").write_text((tmp_path / "walk/metadata.yaml").read_text())
        shutil.copy(tmp_path / "walk/walk.mcap", tmp_path / name)
        assert open_recording(tmp_path / name).format == name


def test_only_files_of_a_bag_make_a_folder_a_bag(tmp_path):
    (tmp_path / "notes.mcap").mkdir()
    (tmp_path / "metadata.yaml").write_text("name: a data set\n")
    with pytest.raises(UserError, match="No known recording format fits"):
        open_recording(tmp_path)


def test_a_bag_that_is_named_as_a_sequence_of_7_scenes(tmp_path):
    views = make_views(1)
    check_frames(open_recording(write_bag(tmp_path / "seq-01", views)), views)


def test_a_broken_image_names_topic_and_time(tmp_path):
    views = make_views(1)
    with BagBuilder(tmp_path / "bag") as bag:
        bag.compressed("/rgb/compressed", SECOND, b"\xff\xd8\xff half a jpeg", "jpeg")
        bag.image("/depth", SECOND, views[0].depth_mm, "16UC1")
        bag.camera_info("/camera_info", SECOND)
        bag.pose("/pose", SECOND, views[0].pose)
    with pytest.raises(UserError, match=r"/rgb/compressed at 1.0 s: A compressed colour image must be a whole jpeg"):
        list(open_recording(tmp_path / "bag"))


def test_a_ros_1_bag_says_how_to_convert_it(tmp_path):
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(UserError, match="is a ROS 1 bag: convert it with `rosbags-convert --src"):
        open_recording(tmp_path / "old.bag")


def test_memory_does_not_grow_with_the_bag(tmp_path):
    """400 colour and depth images that never find a pose: at most two seconds of them (21) are held."""
    image = np.zeros((200, 300, 3), np.uint8)
    with BagBuilder(tmp_path / "bag", "sqlite3") as bag:
        bag.camera_info("/camera_info", 0, size=(300, 200))
        bag.pose("/pose", 0, np.eye(4))
        for number in range(400):
            bag.image("/rgb", number * SECOND // 10, image, "rgb8")
            bag.image("/depth", number * SECOND // 10, image[..., :2].copy().view(np.uint16)[..., 0], "16UC1")
    recording = open_recording(tmp_path / "bag")
    tracemalloc.start()
    try:
        frames = sum(1 for _ in recording)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert frames + sum(recording.skipped.values()) == 400
    assert peak < 60 * image.nbytes
