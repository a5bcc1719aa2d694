"""Poses at an image's stamp, without ROS: messages are stood in for by rosbags' classes."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.nodes.poses import MountedPoses, TfPoses, TopicPoses, matrix_from_xyz_quaternion
from gcseg_ros.nodes.synchroniser import Synchroniser

TYPES = get_typestore(Stores.ROS2_KILTED).types
MS = 10**6


def header(stamp_ns, frame_id):
    time = TYPES["builtin_interfaces/msg/Time"](stamp_ns // 10**9, stamp_ns % 10**9)
    return TYPES["std_msgs/msg/Header"](time, frame_id)


def pose_stamped(stamp_ns, x=0.0, yaw=0.0):
    q = Rotation.from_euler("z", yaw).as_quat()
    pose = TYPES["geometry_msgs/msg/Pose"](
        TYPES["geometry_msgs/msg/Point"](x, 0.0, 0.0), TYPES["geometry_msgs/msg/Quaternion"](*q)
    )
    return TYPES["geometry_msgs/msg/PoseStamped"](header(stamp_ns, "odom"), pose)


def transform(stamp_ns, parent, child, x):
    moved = TYPES["geometry_msgs/msg/Transform"](
        TYPES["geometry_msgs/msg/Vector3"](x, 0.0, 0.0), TYPES["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    )
    return TYPES["geometry_msgs/msg/TransformStamped"](header(stamp_ns, parent), child, moved)


def x_at(poses, stamp_ns):
    found = poses.at(stamp_ns, "camera")
    return None if found is None else float(found.matrix[0, 3])


def test_exact_takes_equal_stamps_only():
    poses = TopicPoses(exact=True, slop_s=0.02, gap_s=0.1)
    for i in range(3):
        poses.add(pose_stamped(i * 10 * MS, x=float(i)))
    assert x_at(poses, 10 * MS) == 1.0
    assert x_at(poses, 11 * MS) is None
    assert poses.at(10 * MS, "camera").frame_id == "odom"


def test_between_two_poses_it_interpolates():
    poses = TopicPoses(exact=False, slop_s=0.02, gap_s=0.1)
    poses.add(pose_stamped(0, x=0.0, yaw=0.0))
    poses.add(pose_stamped(40 * MS, x=4.0, yaw=0.4))
    found = poses.at(10 * MS, "camera")
    assert found.matrix[0, 3] == pytest.approx(1.0)
    assert Rotation.from_matrix(found.matrix[:3, :3]).as_euler("zyx")[0] == pytest.approx(0.1)


def test_it_waits_for_the_later_pose_and_does_not_bridge_gaps():
    poses = TopicPoses(exact=False, slop_s=0.02, gap_s=0.1)
    poses.add(pose_stamped(0))
    assert x_at(poses, 10 * MS) is None, "a later pose may come"
    poses.add(pose_stamped(500 * MS, x=5.0))
    assert x_at(poses, 10 * MS) == 0.0, "the nearest within the slop"
    assert x_at(poses, 250 * MS) is None
    assert x_at(poses, 490 * MS) == 5.0


def test_forget():
    poses = TopicPoses(exact=True, slop_s=0, gap_s=0)
    poses.add(pose_stamped(0))
    poses.forget()
    assert x_at(poses, 0) is None


def test_odometry_that_has_not_started_is_refused():
    message = pose_stamped(0)
    message.pose.orientation.w = 0.0
    with pytest.raises(UserError, match="odometry has not started"):
        TopicPoses(exact=True, slop_s=0, gap_s=0).add(message)


def test_tf_chains_moving_and_static_frames_and_keeps_what_is_static():
    poses = TfPoses("map")
    poses.add([transform(0, "base", "camera", 0.5)], static=True)
    poses.add([transform(0, "map", "odom", 10.0), transform(0, "odom", "base", 1.0)], static=False)
    poses.add([transform(100 * MS, "map", "odom", 10.0), transform(100 * MS, "odom", "base", 2.0)], static=False)
    assert x_at(poses, 50 * MS) == pytest.approx(12.0)
    assert x_at(poses, 150 * MS) is None, "not known yet"
    assert poses.between("base", "camera", 10**18)[0, 3] == 0.5
    poses.forget()
    assert x_at(poses, 50 * MS) is None
    assert poses.between("base", "camera", 0)[0, 3] == 0.5


def test_what_two_publishers_tell_otherwise_of_what_the_camera_hangs_on_is_said():
    poses = TfPoses("map")
    for parent in ("base", "mast"):
        poses.add([transform(0, parent, "mount", 0.0), transform(0, parent, "lidar", 0.0)], static=True)
    poses.add([transform(0, "map", "base", 0.0), transform(0, "mount", "camera", 0.5)], static=True)
    assert poses.disputed() == "", "nobody has asked for a camera"
    poses.at(0, "camera")
    assert poses.disputed().startswith("TF has the frame mount under base and under mast: two publishers tell of it")


@pytest.mark.parametrize(("frame", "found"), [("map", True), ("odom", False)])
def test_what_two_publishers_tell_otherwise_of_beyond_the_map_s_frame_is_not_said(frame, found):
    poses = TfPoses(frame)
    poses.add([transform(0, "base", "camera", 0.5)], static=True)
    poses.at(0, "camera")
    for i in range(20):
        poses.add(
            [transform(50 * MS * i, "map", "odom", 9.0 * (i % 2)), transform(50 * MS * i, "odom", "base", 0.0)],
            static=False,
        )
    assert bool(poses.disputed()) == found


def test_of_a_topic_s_poses_only_what_is_told_otherwise_of_the_mount_is_said():
    tf = TfPoses("map")
    tf.add([transform(0, "base", "camera", 0.5)], static=True)
    tf.unknown_then("base", "camera", 0)
    tf.unknown_then("", "camera", 0)
    for i in range(20):
        tf.add(
            [transform(50 * MS * i, "map", "odom", 9.0 * (i % 2)), transform(50 * MS * i, "odom", "base", 0.0)],
            static=False,
        )
    assert tf.disputed() == ""
    tf.unknown_then("base", "camera", 0)
    tf.add([transform(0, "base", "camera", 0.0)], static=True)
    assert "camera at two places under base" in tf.disputed()


def test_a_late_transform_of_a_bag_s_last_loop_costs_the_next_loop_no_more_than_its_own_moment():
    poses, found = TfPoses("map"), 0
    poses.forget()  # an image of the new loop has shown that the clock went back
    for i in range(100):
        if i == 2:
            poses.add([transform(60 * 10**9, "map", "camera", 0.0)], static=False)
        poses.add([transform(i * 10 * MS, "map", "camera", 0.0)], static=False)
        found += x_at(poses, i * 10 * MS) is not None
    assert found >= 99


def test_a_gap_of_tf_costs_the_images_in_it_and_is_said():
    """The robot moves at 1 m/s; map -> odom comes once a second."""
    poses, dropped, found = TfPoses("map", gap_s=0.5), Counter(), []
    synchroniser = Synchroniser(poses, 0, 30, lambda reason: dropped.update([reason]))
    synchroniser.camera_info = "info"
    for ms in range(0, 4001, 20):
        if ms % 1000 == 0:
            poses.add([transform(ms * MS, "map", "odom", 10 + ms / 1e5)], static=False)
        if not 800 < ms < 1600:
            poses.add([transform(ms * MS, "odom", "camera", ms / 1000)], static=False)
        if ms % 100 == 0:
            for stream in ("colour", "depth"):
                synchroniser.add(stream, (ms + 10) * MS, "camera", None)
        found += synchroniser.ready()
    assert dropped == {"poses further apart than pose_gap_s": 8}
    assert [round(frame.stamp_ns / MS) for frame in found] == [
        ms + 10 for ms in range(0, 4000, 100) if not 800 <= ms < 1600
    ]
    np.testing.assert_allclose([f.pose.matrix[0, 3] - 10 for f in found], [f.stamp_ns / 1e9 * 1.01 for f in found])


def odometry(stamp, x):
    message = pose_stamped(stamp, x)
    return SimpleNamespace(header=message.header, child_frame_id="base", pose=message.pose)


def test_the_joint_that_the_camera_hangs_on_is_awaited_and_its_gap_is_said():
    """A pan-tilt head at 10 Hz, told of 0.2 s later than the odometry, and not at all for 0.8 s."""
    poses, tf, dropped, found = TopicPoses(False, 0.02, 0.5), TfPoses("map", gap_s=0.5), Counter(), []
    synchroniser = Synchroniser(MountedPoses(poses, tf, ""), 0, 30, lambda reason: dropped.update([reason]))
    synchroniser.camera_info = "info"
    tf.add([transform(0, "head", "camera", 10.0)], static=True)
    for ms in range(0, 4001, 20):
        poses.add(odometry(ms * MS, ms / 1000))
        if ms % 100 == 0 and not 800 < ms - 200 < 1600:
            tf.add([transform((ms - 200) * MS, "base", "head", (ms - 200) / 1000)], static=False)
        if ms % 100 == 0 and ms < 3500:
            for stream in ("colour", "depth"):
                synchroniser.add(stream, (ms + 10) * MS, "camera", None)
        found += synchroniser.ready()
    assert dropped == {"poses further apart than pose_gap_s": 8}
    assert [f.stamp_ns // MS for f in found] == [ms + 10 for ms in range(0, 3500, 100) if not 800 <= ms < 1600]
    mounts = [tf.between("base", "camera", f.stamp_ns)[0, 3] for f in found]
    np.testing.assert_allclose(mounts, [10 + f.stamp_ns / 1e9 for f in found])


def test_a_camera_that_tf_does_not_connect_to_the_body_is_not_waited_for():
    poses, tf = TopicPoses(False, 0.02, 0.5), TfPoses("map")
    mounted = MountedPoses(poses, tf, "")
    poses.add(odometry(0, 1.0))
    assert mounted.at(0, "camera") is not None, "who asks says that there is no mount"
    tf.add([transform(10 * MS, "base", "camera", 1.0)], static=False)
    assert mounted.at(0, "camera") is None
    mounted.forget()
    assert poses.at(0, "camera") is None
    assert not tf.frames()


def test_tf_that_does_not_connect_the_frames_is_said_with_the_frame_to_take():
    poses = TfPoses("map")
    poses.add([transform(0, "odom", "base_link", 1.0)], static=False)
    poses.add([transform(0, "base_link", "camera", 0.5)], static=True)
    assert poses.disconnected() == "", "nobody has asked"
    assert x_at(poses, 0) is None
    expected = "TF does not connect 'map' to 'camera'; it has base_link, camera, odom: set map_frame_id:=odom."
    assert poses.disconnected() == expected
    poses.add([transform(0, "map", "odom", 1.0)], static=False)
    assert poses.disconnected() == "", "poses may be late"


def test_the_last_stamp_of_a_pose_is_that_of_the_link_that_ends_first():
    poses = TfPoses("map")
    poses.add([transform(0, "base", "camera", 0.5)], static=True)
    poses.add([transform(9 * MS, "map", "odom", 1.0), transform(7 * MS, "odom", "base", 1.0)], static=False)
    assert poses.newest() == {}, "nobody has asked"
    assert x_at(poses, 8 * MS) is None
    assert poses.newest() == {"tf": 7 * MS}


@pytest.mark.parametrize(("camera", "said"), [("lens", "'lens'"), ("", "images without a frame_id")])
def test_a_camera_that_tf_does_not_know_is_said(camera, said):
    poses = TfPoses("map")
    poses.add([transform(0, "map", "base_link", 1.0)], static=False)
    assert poses.at(0, camera) is None
    expected = f"TF does not connect 'map' to {said}; it has base_link, map: publish what is missing"
    assert poses.disconnected().startswith(expected)


def test_tf_takes_the_frame_that_it_was_told():
    poses = TfPoses("map", "base")
    poses.add([transform(0, "map", "base", 1.0), transform(0, "base", "camera", 5.0)], static=False)
    assert x_at(poses, 0) == 1.0


@pytest.mark.parametrize(
    "numbers", [[], [0.0] * 7, [1.0, 2.0], [0, 0, 0, 0, 0, 0, float("nan")], [0, 0, 0, 1, 1, 0, 0]]
)
def test_a_wrong_transform_is_one_sentence(numbers):
    with pytest.raises(UserError, match="body_to_camera must be"):
        matrix_from_xyz_quaternion(numbers, "body_to_camera")


def test_transform_from_numbers():
    matrix = matrix_from_xyz_quaternion([1, 2, 3, 0, 0, np.sin(0.1), np.cos(0.1)], "p")
    assert matrix[:3, 3].tolist() == [1, 2, 3]
    np.testing.assert_allclose(matrix[:3, :3], Rotation.from_euler("z", 0.2).as_matrix())


def test_a_transform_that_is_not_usable_takes_no_other_one_with_it():
    broken = transform(0, "odom", "base", 1.0)
    broken.transform.rotation.w = 0.0
    for static in (False, True):
        poses = TfPoses("map")
        with pytest.raises(UserError, match="from 'odom' to 'base' is left out"):
            poses.add([broken, transform(0, "map", "camera", 3.0)], static)
        assert x_at(poses, 0) == 3.0
    poses.forget()
    assert x_at(poses, 0) == 3.0, "what is static stays, and nothing is said again"


def posed(rate_hz, gap_s):
    """How many of 60 images at 30 Hz get a pose, when poses come at this rate and a few milliseconds early or late; what is dropped."""
    poses, dropped = TopicPoses(exact=False, slop_s=0.02, gap_s=gap_s), Counter()
    synchroniser = Synchroniser(poses, 0, 30, lambda reason: dropped.update([reason]))
    synchroniser.camera_info = "info"
    jitter = np.random.default_rng(0).normal(0, 3, 10 * rate_hz)
    count, at_ms = 0, sorted(1000 * i / rate_hz + jitter[i] + 5 for i in range(3 * rate_hz))
    for i in range(60):
        for stream in ("colour", "depth"):
            synchroniser.add(stream, (200 + 33 * i) * MS, "camera", None)
        while at_ms and at_ms[0] <= 200 + 33 * i:
            poses.add(pose_stamped(round(max(0, at_ms.pop(0)) * MS)))
        count += len(synchroniser.ready())
    return count, dropped


@pytest.mark.parametrize("rate_hz", [10, 5, 3])
def test_poses_that_come_seldom_are_enough(rate_hz):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    from gcseg_ros.nodes.parameters import MappingNodeConfig

    count, dropped = posed(rate_hz, MappingNodeConfig().pose_gap_s)
    assert dropped == {}
    assert count >= 60 - 30 / rate_hz - 1, "the last ones wait for the next pose"


def test_poses_that_come_too_seldom_are_said():
    count, dropped = posed(5, 0.1)
    assert 0 < count < 30
    assert set(dropped) == {"poses further apart than pose_gap_s"}
