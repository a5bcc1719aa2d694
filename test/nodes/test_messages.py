"""Messages: what other nodes and the functions that read messages get back."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from gcseg_ros.frames import CameraIntrinsics
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance
from gcseg_ros.nodes import messages
from gcseg_ros.retrieval.answers import Answer
from gcseg_ros.retrieval.heat import heat_colours
from gcseg_ros.retrieval.retrieval import Hit
from gcseg_ros.retrieval.views import StoredView
from gcseg_ros.ros_types.clouds import to_point_cloud
from gcseg_ros.ros_types.messages import image_to_depth_m, image_to_rgb, intrinsics_from_info, pose_matrix, stamp_ns
from gcseg_ros.viewer.colours import instance_colours

HEAD = messages.header(1_700_000_000_123_456_789, "camera")
RNG = np.random.default_rng(0)


def an_object(id=3):
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    return ObjectInstance(
        id,
        9,
        np.ones(3),
        (np.zeros(3), np.full(3, 2.0)),
        (np.ones(3), turned, np.array([1.0, 2, 0])),
        0.5,
        "a",
        "b",
        "active",
    )


def test_header():
    assert stamp_ns(HEAD.stamp) == 1_700_000_000_123_456_789
    assert HEAD.frame_id == "camera"


def test_images_come_back():
    colour = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    depth_m = RNG.random((5, 7)).astype(np.float32)
    labels = RNG.integers(0, 60000, (5, 7)).astype(np.uint16)
    np.testing.assert_array_equal(image_to_rgb(messages.image_message(colour, "rgb8", HEAD)), colour)
    np.testing.assert_array_equal(image_to_depth_m(messages.image_message(depth_m, "32FC1", HEAD)), depth_m)
    message = messages.image_message(labels[:, ::-1], "16UC1", HEAD)  # not contiguous
    assert (message.height, message.width, message.step) == (5, 7, 14)
    np.testing.assert_array_equal(np.frombuffer(message.data, "<u2").reshape(5, 7), labels[:, ::-1])


def test_an_image_of_another_type_is_refused():
    with pytest.raises(TypeError, match="16UC1 needs uint16; found int64"):
        messages.image_message(np.zeros((2, 2), np.int64), "16UC1", HEAD)


def test_camera_info_comes_back():
    camera = CameraIntrinsics(640, 480, 600.5, 601.5, 319.25, 239.75)
    assert intrinsics_from_info(messages.camera_info_message(camera, HEAD)) == camera


@pytest.mark.parametrize("kind", ["PoseStamped", "PoseWithCovarianceStamped", "Odometry"])
def test_poses_come_back(kind):
    matrix = np.eye(4)
    matrix[:3] = [[0, 0, 1, 1.5], [-1, 0, 0, -2], [0, -1, 0, 0.25]]
    message = messages.pose_message(matrix, kind, HEAD, "optical")
    assert type(message).__name__ == kind
    np.testing.assert_allclose(pose_matrix(message), matrix, atol=1e-12)
    assert getattr(message, "child_frame_id", "optical") == "optical"


def a_map(n=4):
    points = RNG.random((n, 3)).astype(np.float32)
    colours = RNG.integers(0, 256, (n, 3), np.uint8)
    return InstanceMap(points, colours, np.arange(n, dtype=np.int32), RNG.random(n).astype(np.float32), [an_object()])


@pytest.mark.parametrize("colours", ["instance", "camera"])
def test_cloud(colours):
    instances = a_map()
    message = messages.cloud_message(instances, HEAD, colours)
    assert [field.name for field in message.fields] == ["x", "y", "z", "rgb", "instance_id", "confidence"]
    assert (message.width, message.height, message.point_step, message.row_step) == (4, 1, 24, 96)
    kinds = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 8: "<f8"}
    layout = np.dtype(
        {
            "names": [field.name for field in message.fields],
            "formats": [kinds[field.datatype] for field in message.fields],
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )
    points = np.frombuffer(message.data, layout)
    np.testing.assert_array_equal(np.stack([points["x"], points["y"], points["z"]], 1), instances.points)
    np.testing.assert_array_equal(points["instance_id"], instances.instance)
    np.testing.assert_array_equal(points["confidence"], instances.confidence)
    packed = np.frombuffer(points["rgb"].tobytes(), np.uint8).reshape(-1, 4)[:, 2::-1]  # little endian: b g r
    expected = instance_colours(instances.instance) if colours == "instance" else instances.colours
    np.testing.assert_array_equal(packed, expected)


def test_an_empty_cloud():
    message = messages.cloud_message(
        InstanceMap(
            np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32)
        ),
        HEAD,
        "instance",
    )
    assert (message.width, len(message.data)) == (0, 0)


def test_markers():
    first, box, text = messages.markers_message([an_object()], HEAD).markers
    assert first.action == first.DELETEALL
    assert (box.id, box.ns, text.text) == (3, "boxes", "3")
    assert (box.scale.x, box.scale.y) == (1.0, 2.0)
    assert box.scale.z > 0, "RViz refuses a scale of 0"
    assert (box.pose.orientation.z, box.pose.orientation.w) == pytest.approx((np.sqrt(0.5), np.sqrt(0.5)))
    assert text.pose.position.z > 2


def test_detections():
    pytest.importorskip("vision_msgs", reason="vision_msgs comes with a ROS distribution only")
    found = messages.detections_message([an_object()], HEAD).detections[0]
    assert (found.id, found.results[0].hypothesis.score) == ("3", 0.5)
    assert found.bbox.size.y == 2.0


def test_tf():
    pytest.importorskip("tf2_msgs", reason="tf2_msgs comes with a ROS distribution only")
    matrix = np.eye(4)
    matrix[0, 3] = 2
    assert messages.tf_message(matrix, HEAD, "camera").transforms[0].transform.translation.x == 2


def test_diagnostics():
    message = messages.diagnostics_message("n", b"\x01", "slow", {"rate_hz": 1.23456, "frames": 7}, HEAD.stamp)
    assert [(value.key, value.value) for value in message.status[0].values] == [("rate_hz", "1.23"), ("frames", "7")]
    assert message.status[0].level == b"\x01"


def test_views_come_back():
    camera, depth_camera = (
        CameraIntrinsics(64, 48, 60.0, 61.0, 31.5, 23.5),
        CameraIntrinsics(32, 24, 30.0, 30.5, 15.5, 11.5),
    )
    pose = np.eye(4)
    pose[:3] = [[0, 0, 1, 1.5], [-1, 0, 0, -2], [0, -1, 0, 0.25]]
    colour = np.full((48, 64, 3), 90, np.uint8)
    depth_m = RNG.random((24, 32)).astype(np.float32)
    view = StoredView.encoded("000007", pose, camera, colour, depth_camera, depth_m)
    *sent, began = messages.view_messages(view, HEAD, messages.header(7, "map"), messages.time_message(9))
    back = messages.view_of(*sent)
    assert (began.header, began.time_ref.nanosec) == (HEAD, 9)
    assert (back.jpeg, back.png, back.camera, back.depth_camera) == (view.jpeg, view.png, camera, depth_camera)
    np.testing.assert_array_equal(back.pose, view.pose)
    assert back.name == "7"


def test_heat():
    scores = np.array([0.1, 0.3, 0.2, np.nan], np.float32)
    cloud = to_point_cloud(messages.heat_message(a_map(), scores, HEAD))
    np.testing.assert_array_equal(cloud.colours, heat_colours(scores))
    np.testing.assert_array_equal(cloud.instance, np.arange(4))


def test_answers():
    hits = [Hit(an_object(id), score, 5) for id, score in ((3, 0.3), (1, 0.2), (2, 0.1))]
    answers = [Answer(text, np.zeros(3, np.float32), hits) for text in ("mug", "красная кружка")]
    removed, *markers = messages.answers_message(answers, 2, HEAD).markers
    assert removed.action == removed.DELETEALL
    assert len(markers) == 2 * 2 * 2
    assert len({(marker.ns, marker.id) for marker in markers}) == len(markers)
    assert [m.text for m in markers if m.text] == ["mug 0.30", "mug 0.20", "красная кружка 0.30", "красная кружка 0.20"]
