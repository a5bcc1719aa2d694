"""mapping_node over real DDS, with the real mapper, on tiny frames."""

import json
import shutil
import tempfile
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import Odometry
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_graph import CAMERA, tiny_frame
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from gcseg_ros.instances.export import read_instance_map
from gcseg_ros.mapper import Mapper
from gcseg_ros.nodes import diagnostics, managed, mapping_node, session
from gcseg_ros.nodes.mapping_node import MappingNode
from gcseg_ros.nodes.messages import header
from gcseg_ros.ros_types.messages import nanoseconds, stamp_ns
from gcseg_ros.tracked_labels import SUFFIX
from gcseg_ros.tracking.background import BackgroundGenerator

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def start(ros, **parameters):
    """An active node in bag mode that reads quickly."""
    node = ros.add(
        MappingNode,
        **{"mode": "bag", "diagnostics_rate_hz": 20.0, "cloud_rate_hz": 30.0, "topic_queue_size": 50, **parameters},
    )
    node.start()
    return node


def listen(ros, kind, topic, qos=10):
    """The messages that come on a topic of the node."""
    heard = []
    node = ros.helper("listener_" + topic.replace("/", "_"))
    node.create_subscription(kind, f"{ros.namespace}/mapping_node/{topic}", heard.append, qos)
    return heard


def labels_of(message):
    assert message.encoding == "16UC1"
    return np.frombuffer(message.data, np.uint16).reshape(message.height, message.width)


def reasons(node):
    return dict(node._drops.reasons)


def test_every_frame_gives_the_labels_that_the_mapper_gives(ros, camera, frames):
    node = start(ros)
    heard = listen(ros, Image, "labels")
    camera.wait()
    mapper = Mapper()
    expected = [mapper.step(frame).labels for frame in frames]
    for frame in frames:
        camera.send(frame)
    ros.until(lambda: len(heard) == len(frames))
    for message, frame, labels in zip(heard, frames, expected, strict=True):
        assert stamp_ns(message.header.stamp) == nanoseconds(frame.stamp_s)
        assert message.header.frame_id == "camera"
        np.testing.assert_array_equal(labels_of(message), labels)
    assert expected[-1].any(), "something was tracked"
    assert reasons(node) == {}


def test_map_markers_and_overlay(ros, camera, frames):
    start(ros)
    overlays = listen(ros, Image, "overlay")
    camera.wait()
    for frame in frames:
        camera.send(frame)
    ros.until(lambda: len(overlays) == len(frames))
    # who comes late still gets the latest map
    clouds, markers = listen(ros, PointCloud2, "cloud", LATCHED), listen(ros, MarkerArray, "instances", LATCHED)
    ros.until(lambda: clouds and clouds[-1].width and markers and markers[-1].markers[1:])
    assert overlays[0].encoding == "rgb8"
    assert clouds[-1].header.frame_id == "map", "the frame of the poses"
    assert clouds[-1].width > 500
    assert {marker.ns for marker in markers[-1].markers[1:]} == {"boxes", "ids"}


def test_frames_do_not_wait_for_the_clouds_of_a_large_map(ros, camera, frames):
    node, heard = start(ros), listen(ros, Image, "labels")
    of_session, clouds = node._session.cloud, []

    def cloud():
        clouds.append(time.monotonic())
        time.sleep(0.1)
        return of_session()

    node._session.cloud = cloud
    camera.wait()
    for some, shown in ((frames[:3], 1), (frames[3:], 2)):  # what is new is shown in the end
        for frame in some:
            camera.send(frame)
        ros.until(lambda shown=shown: len(clouds) >= shown)
    ros.until(lambda: len(heard) == len(frames))
    assert np.diff(clouds).min() > 9 * 0.1


def test_a_new_map_does_not_wait_for_the_clouds_of_the_one_before(ros, camera, frames):
    node, heard, clouds = start(ros), listen(ros, PointCloud2, "cloud"), []

    def cloud():
        clouds.append(node)
        time.sleep(0.5)
        return type(node._session).cloud(node._session)

    node._session.cloud = cloud
    camera.wait().send(frames[0])
    ros.until(lambda: clouds)
    del node._session.cloud
    assert ros.call(camera.node, "mapping_node/reset").success
    ros.until(lambda: heard and not heard[-1].width)
    camera.send(frames[1])
    ros.until(lambda: heard[-1].width, timeout_s=3)  # 4.5 s was the wait


@pytest.mark.parametrize(
    ("kind", "frame_id", "told"),
    [
        ("PoseStamped", "", True),
        ("PoseWithCovarianceStamped", "", True),
        ("PoseWithCovarianceStamped", "camera", False),
        ("Odometry", "", False),
    ],
)
def test_the_pose_topic_may_be_of_three_types(ros, frames, capfd, kind, frame_id, told):
    from ros_graph import Camera

    heard = listen(ros, Image, "labels")
    camera = Camera(ros, kind)
    start(ros, frame_id=frame_id)
    camera.wait()
    for frame in frames[:2]:
        camera.send(frame)
    ros.until(lambda: len(heard) == 2)
    assert capfd.readouterr().err.count("pose does not say of what it is the pose") == told


@pytest.mark.parametrize("told", ["", "/map"])
def test_frames_are_published_without_the_slash_that_ros_2_refuses(ros, camera, frames, capfd, told):
    labels, clouds = listen(ros, Image, "labels"), listen(ros, PointCloud2, "cloud", LATCHED)
    start(ros, map_frame_id=told)
    camera.wait()
    for i, frame in enumerate(frames[:2]):
        slash = "/" if i == 0 else ""
        camera.send(frame, map_frame=f"{slash}map", camera_frame=f"{slash}camera", body_frame="camera")
    ros.until(lambda: len(labels) == 2)
    ros.until(lambda: clouds and clouds[-1].width)
    assert {message.header.frame_id for message in labels} == {"camera"}
    assert clouds[-1].header.frame_id == "map"
    assert "[WARN]" not in capfd.readouterr().err, "a name with and without it is one frame"


def test_best_effort_publishers_are_followed_in_bag_mode(ros, frames):
    from ros_graph import Camera

    heard = listen(ros, Image, "labels")
    camera = Camera(ros, best_effort=True)
    start(ros)
    camera.wait().send(frames[0])
    ros.until(lambda: heard)


@pytest.mark.parametrize("qos", ["auto", "sensor_data"])
def test_a_calibration_that_was_sent_once_before_the_node_came(ros, camera, frames, qos):
    heard = listen(ros, Image, "labels")
    camera.node.destroy_publisher(camera.camera_info)
    camera.camera_info = camera.node.create_publisher(CameraInfo, "rgb/camera_info", LATCHED)
    colour, depth, camera_info, pose = camera.messages(frames[0])
    camera.publish(None, None, camera_info, None)
    start(ros, mode="live", qos=qos)
    camera.wait().publish(colour, depth, None, pose)
    ros.until(lambda: heard, timeout_s=10)
    # a driver that comes later and offers less is heard as well
    driver = camera.node.create_publisher(
        CameraInfo, "rgb/camera_info", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    ros.until(driver.get_subscription_count, timeout_s=10)


def test_compressed_colour(ros, camera, frames):
    import cv2

    heard = listen(ros, Image, "labels")
    publisher = camera.node.create_publisher(CompressedImage, "rgb/compressed", 10)
    start(ros, topics__rgb="rgb/compressed")
    ros.until(lambda: publisher.get_subscription_count() and camera.depth.get_subscription_count())
    ros.until(lambda: camera.pose.get_subscription_count())
    colour, depth, info, pose = camera.messages(frames[0])
    png = cv2.imencode(".png", frames[0].colour[..., ::-1])[1].tobytes()
    for p, m in zip((camera.depth, camera.camera_info, camera.pose), (depth, info, pose), strict=True):
        p.publish(m)
    publisher.publish(CompressedImage(header=colour.header, format="png", data=png))
    ros.until(lambda: heard)


def test_depth_in_millimetres_gives_the_same_labels(ros, camera, frames):
    from gcseg_ros.nodes import messages

    heard = listen(ros, Image, "labels")
    start(ros)
    camera.wait()
    expected = Mapper().step(frames[0]).labels
    colour, depth, info, pose = camera.messages(frames[0])
    millimetres = (frames[0].depth_m * 1000).round().astype(np.uint16)
    camera.publish(colour, messages.image_message(millimetres, "16UC1", depth.header), info, pose)
    ros.until(lambda: heard)
    np.testing.assert_array_equal(labels_of(heard[0]), expected)


def test_frames_that_cannot_be_used_are_counted_and_the_node_lives_on(ros, camera, frames):
    heard = listen(ros, Image, "labels")
    node = start(ros)
    camera.wait()

    def broken(i, change):
        colour, depth, info, pose = camera.messages(frames[i])
        change(colour, depth, info, pose)
        camera.publish(colour, depth, info, pose)
        ros.until(lambda: sum(reasons(node).values()) == i + 1)

    broken(0, lambda colour, depth, info, pose: setattr(depth, "encoding", "8UC3"))
    broken(1, lambda colour, depth, info, pose: setattr(colour, "height", 4800))
    broken(2, lambda colour, depth, info, pose: setattr(info, "width", 640))
    broken(3, lambda colour, depth, info, pose: info.k.__setitem__(0, 0.0) or info.p.__setitem__(0, 0.0))
    broken(4, lambda colour, depth, info, pose: setattr(pose.pose.pose.orientation, "w", float("nan")))
    camera.send(frames[5])
    ros.until(lambda: len(heard) == 2)  # the frame whose pose was not usable has one between its neighbours
    assert reasons(node) == {
        "depth not readable": 1,
        "colour not readable": 1,
        "sizes or pose do not fit": 1,
        "camera_info not usable": 1,
        "pose not usable": 1,
    }


def test_diagnostics_warn_while_no_frame_can_be_mapped(ros, camera, frames):
    said, heard = [], listen(ros, Image, "labels")
    ros.helper("monitor").create_subscription(DiagnosticArray, "/diagnostics", said.append, 10)
    start(ros)
    camera.wait()

    def state():
        return (said[-1].status[0].level, said[-1].status[0].message) if said else None

    colour, depth, info, pose = camera.messages(frames[0])
    depth.encoding = "8UC1"
    camera.publish(colour, depth, info, pose)
    warned = (DiagnosticStatus.WARN, "frames come and cannot be mapped: depth not readable")
    ros.until(lambda: state() == warned)
    camera.send(frames[1])
    ros.until(lambda: heard)
    ros.until(lambda: state() == (DiagnosticStatus.OK, "1 frames mapped"))


def test_diagnostics_warn_while_frames_fail(ros, camera, frames):
    said, heard = [], listen(ros, Image, "labels")
    ros.helper("monitor").create_subscription(DiagnosticArray, "/diagnostics", said.append, 10)
    node = start(ros)
    camera.wait()
    mapper, node._session._mapper = node._session._mapper, None  # a defect
    camera.send(frames[0])
    ros.until(lambda: said and said[-1].status[0].message == "frames come and cannot be mapped: failed")
    node._session._mapper = mapper
    camera.send(frames[1])
    ros.until(lambda: heard)
    ros.until(lambda: said[-1].status[0].message == "1 frames mapped")


def test_diagnostics_warn_while_the_camera_s_place_is_not_known(ros, camera, frames):
    said, static = [], tf(camera, "/tf_static", durability=DurabilityPolicy.TRANSIENT_LOCAL)
    ros.helper("monitor").create_subscription(DiagnosticArray, "/diagnostics", said.append, 10)
    node = start(ros)
    camera.wait().send(frames[0], body_frame="base_link")
    expected = "frames come and cannot be mapped: no transform from body to camera"
    ros.until(lambda: said and said[-1].status[0].message == expected)
    static("base_link", "camera", np.eye(4), 0)
    ros.until(lambda: "base_link" in node._tf.frames())
    camera.send(frames[1], body_frame="base_link")
    ros.until(lambda: said[-1].status[0].message == "1 frames mapped")


def test_depth_of_few_pixels_is_repeated_to_colour_s(ros, camera, frames):
    heard = listen(ros, Image, "labels")
    start(ros, depth_scaled_to_colour=True)
    camera.wait()
    for frame in frames:
        fine = frame.colour.repeat(5, 0).repeat(5, 1)
        colour, depth, camera_info, pose = camera.messages(
            replace(frame, colour=fine, depth_m=np.ones((240, 320), np.float32), intrinsics=CAMERA.scaled(320, 240))
        )
        depth = camera.messages(frame)[1]
        camera.publish(colour, depth, camera_info, pose)
    ros.until(lambda: len(heard) == len(frames))
    labels = labels_of(heard[-1])
    assert labels.shape == (240, 320)
    assert labels[70:150, 80:160].any(), "the box"


def test_padded_big_endian_depth_with_holes(ros, camera, frames):
    heard = listen(ros, Image, "labels")
    node = start(ros)
    camera.wait()
    depth_m = frames[0].depth_m.copy()
    depth_m[:4] = np.nan
    rows = np.zeros((48, 64 * 4 + 12), np.uint8)
    rows[:, : 64 * 4] = depth_m.astype(">f4").view(np.uint8).reshape(48, -1)
    colour, depth, info, pose = camera.messages(frames[0])
    depth.is_bigendian, depth.step, depth.data = 1, rows.shape[1], rows.tobytes()
    camera.publish(colour, depth, info, pose)
    ros.until(lambda: heard)
    assert labels_of(heard[0]).any()
    assert not labels_of(heard[0])[:4].any()
    assert reasons(node) == {}


def test_a_body_pose_with_the_camera_s_place_on_the_body(ros, camera, frames):
    heard = listen(ros, PointCloud2, "cloud", LATCHED)
    start(ros, body_to_camera=[0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 1.0])
    camera.wait()
    camera.send(frames[0], body_frame="base_link")
    ros.until(lambda: heard and heard[-1].width)
    x = np.frombuffer(heard[-1].data, np.float32).reshape(-1, 6)[:, 0]
    assert x.min() > 11, "the camera looks along the world's x, and sits 10 m further along its own z"


def test_save_and_reset(ros, camera, frames, tmp_path):
    start(ros, output_dir=str(tmp_path / "map"))
    heard = listen(ros, Image, "labels")
    client = ros.helper("client")
    empty = ros.call(client, "mapping_node/save")
    assert not empty.success
    assert "no frame has been mapped" in empty.message
    camera.wait()
    for frame in frames:  # in a frame that nobody knew when nothing could be saved
        camera.send(frame, map_frame="odom")
    ros.until(lambda: len(heard) == len(frames))
    saved = ros.call(client, "mapping_node/save")
    assert saved.success, saved.message
    assert read_instance_map(tmp_path / "map").points.shape[0] > 500
    assert len(list((tmp_path / "map" / "labels").iterdir())) == len(frames)
    assert json.loads((tmp_path / "map" / "summary.json").read_text())["frames"] == len(frames)
    assert (tmp_path / "map" / "picture.png").is_file()
    assert ros.call(client, "mapping_node/reset").success
    assert not ros.call(client, "mapping_node/save").success
    camera.send(frames[0], map_frame="world")
    ros.until(lambda: len(heard) == len(frames) + 1)
    assert ros.call(client, "mapping_node/save").success
    assert json.loads((tmp_path / "map" / "summary.json").read_text())["frames"] == 1


def test_a_reset_does_not_end_the_node(ros, camera):
    """In the worker's thread it destroys publishers, while the executor may be about to wait for what happens to them."""
    node = start(ros)
    resets = [node._worker.call(node._reset_now) for _ in range(20)]
    ros.until(lambda: all(reset.done() for reset in resets))
    assert {reset.result() for reset in resets} == {"The map is empty."}


def test_a_map_that_goes_unsaved_is_told_of(ros, camera, frames, tmp_path, capfd):
    heard = listen(ros, Image, "labels")
    node = start(ros, output_dir=str(tmp_path / "map"))
    camera.wait()
    for i, frame in enumerate(frames[:3]):
        camera.send(frame)
        ros.until(lambda: len(heard) == i + 1)  # noqa: B023 - called within the loop
        if i == 1:
            assert ros.call(camera.node, "mapping_node/save").success
    assert "gone" not in capfd.readouterr().err
    ros.context.try_shutdown()  # as Ctrl-C does before the node is stopped
    node.stop()
    assert "1 of 3 mapped frames are in no saved map and are gone: call ~/save" in capfd.readouterr().err
    node.stop()
    assert capfd.readouterr().err == "", "it is said once"


def test_a_map_of_nothing_is_told_of(ros, camera, frames, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(session, "TELL_EVERY", 2)
    heard = listen(ros, Image, "labels")
    start(ros, output_dir=str(tmp_path / "map"), input__depth_max_m=0.2)
    camera.wait()
    for frame in frames:
        camera.send(frame)
    ros.until(lambda: len(heard) == len(frames))
    assert capfd.readouterr().err.count("Nothing is mapped") == 1
    saved = ros.call(ros.helper("client"), "mapping_node/save")
    assert "Nothing is mapped" in saved.message
    (note,) = json.loads((tmp_path / "map" / "summary.json").read_text())["notes"]
    assert note in saved.message


def test_each_note_is_told_once_whatever_was_told_before(ros, camera, frames, monkeypatch, capfd):
    monkeypatch.setattr(session, "TELL_EVERY", 2)
    heard = listen(ros, Image, "labels")
    start(ros)
    camera.wait()
    for number, frame in enumerate([*frames, *frames]):  # without depth first, then with it and with a covered lens
        frame = replace(frame, stamp_s=100 + number / 10)
        if number < 2:
            camera.send(replace(frame, depth_m=np.zeros_like(frame.depth_m)))
        else:
            camera.send(replace(frame, colour=np.zeros_like(frame.colour)))
    ros.until(lambda: len(heard) == 2 * len(frames))
    said = capfd.readouterr().err
    assert said.count("Nothing is mapped") == 1
    assert said.count("keyframes have colour images all of one colour") == 1, "its numbers change"


def service_call(ros, node, kind, service):
    """The future of a call of a service of mapping_node."""
    client = node.create_client(kind, f"{ros.namespace}/mapping_node/{service}")
    ros.until(client.service_is_ready)
    return client.call_async(kind.Request())


def saving(ros, camera, frames, tmp_path):
    """A node at work on ~/save: the node, the coming answer, and what lets it go on."""
    node, heard = start(ros, output_dir=str(tmp_path / "map")), listen(ros, Image, "labels")
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    go_on = threading.Event()
    node._worker.call(go_on.wait)
    answer = service_call(ros, camera.node, Trigger, "save")
    ros.until(lambda: node._answering)
    return node, answer, go_on


def test_it_listens_while_it_saves(ros, camera, frames, tmp_path):
    said, heard = [], listen(ros, Image, "labels")
    ros.helper("monitor").create_subscription(DiagnosticArray, "/diagnostics", said.append, 10)
    node, answer, go_on = saving(ros, camera, frames, tmp_path)
    for frame in frames[1:]:
        camera.send(frame)
    ros.until(lambda: status(said).get("depth received") == str(len(frames)))
    state = service_call(ros, camera.node, GetState, "get_state")
    ros.until(state.done)
    assert state.result().current_state.id == State.PRIMARY_STATE_ACTIVE
    assert not answer.done()
    go_on.set()
    ros.until(answer.done)
    assert "from 1 frames" in answer.result().message, "what came later is mapped later"
    ros.until(lambda: len(heard) == len(frames))
    assert reasons(node) == {}


def test_a_map_that_is_being_saved_is_not_cleaned_up(ros, camera, frames, tmp_path):
    node, answer, go_on = saving(ros, camera, frames, tmp_path)
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_cleanup() == TransitionCallbackReturn.FAILURE
    go_on.set()
    ros.until(answer.done)
    assert answer.result().success
    assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    late = ros.call(camera.node, "mapping_node/save")
    assert (late.success, late.message) == (False, "mapping_node is not configured: configure it first.")
    assert not ros.call(camera.node, "mapping_node/reset").success


def test_a_node_that_is_still_at_work_is_not_cleaned_up(ros, camera, frames):
    heard, at_work, go_on = listen(ros, Image, "labels"), threading.Event(), threading.Event()
    node = start(ros)
    node.stop_timeout_s = 0.2
    camera.wait()
    step = node._session.step
    node._session.step = lambda found: (at_work.set(), go_on.wait(60), step(found))[-1]
    camera.send(frames[0])
    ros.until(at_work.is_set)
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_cleanup() == TransitionCallbackReturn.FAILURE
    go_on.set()
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    camera.wait().send(frames[1])
    ros.until(lambda: len(heard) == 2)
    assert node._session.frames == 2, "what was at work has gone on"
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS


def test_a_node_that_is_shut_down_still_answers(ros, camera, frames, tmp_path):
    node, answer, go_on = saving(ros, camera, frames, tmp_path)
    go_on.set()
    assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
    ros.until(answer.done)
    assert answer.result().success or "nothing was done" in answer.result().message


def test_a_map_whose_saving_outlasts_a_shutdown_is_answered_for(ros, camera, frames, tmp_path):
    node, heard = start(ros, output_dir=str(tmp_path / "map")), listen(ros, Image, "labels")
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    written, go_on, save = threading.Event(), threading.Event(), node._session.save
    node._session.save = lambda where: (save(where), written.set(), go_on.wait(60))[0]
    answer = service_call(ros, camera.node, Trigger, "save")
    ros.until(written.is_set)
    node.stop_timeout_s = 0.05
    assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
    go_on.set()
    ros.until(answer.done)
    assert answer.result().success, answer.result().message


def test_a_map_that_is_still_being_saved_is_not_called_gone(ros, camera, frames, tmp_path, capfd):
    node, heard = start(ros, output_dir=str(tmp_path / "map")), listen(ros, Image, "labels")
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    at_work, go_on, save = threading.Event(), threading.Event(), node._session.save
    node._session.save = lambda where: (at_work.set(), go_on.wait(60), save(where))[-1]
    answer = service_call(ros, camera.node, Trigger, "save")
    ros.until(at_work.is_set)
    node.stop_timeout_s = 0.05
    assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
    assert "1 of 1 mapped frames are in no saved map and are gone unless the ~/save that is" in capfd.readouterr().err
    go_on.set()
    ros.until(answer.done)
    assert answer.result().success, answer.result().message


def test_what_cannot_be_written_to_one_folder_is_saved_to_another(ros, camera, frames, tmp_path):
    (tmp_path / "disk").touch()
    node, heard = start(ros, output_dir=str(tmp_path / "disk")), listen(ros, Image, "labels")
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    answer = ros.call(camera.node, "mapping_node/save")
    assert not answer.success
    assert "disk is a file: name a folder" in answer.message
    assert node.set_parameters([Parameter("output_dir", value=str(tmp_path / "other"))])[0].successful
    answer = ros.call(camera.node, "mapping_node/save")
    assert answer.success, answer.message
    assert len(read_instance_map(tmp_path / "other").points)


def test_robots_in_one_folder_save_to_folders_of_their_own(ros, camera, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heard = listen(ros, Image, "labels")
    start(ros)
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    answer = ros.call(camera.node, "mapping_node/save")
    assert answer.success, answer.message
    assert (tmp_path / f"gcseg_map_{ros.namespace.strip('/')}" / "instances.ply").is_file()
    alone = ros.add(lambda **arguments: MappingNode(**{**arguments, "namespace": "/"}), autostart=False)
    assert alone.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert alone._output_dir() == "gcseg_map"


def test_save_to_a_place_that_is_taken_fails_with_a_sentence(ros, camera, frames, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("work of years")
    heard = listen(ros, Image, "labels")
    start(ros, output_dir=str(tmp_path / "mine"))
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    answer = ros.call(ros.helper("client"), "mapping_node/save")
    assert not answer.success
    assert "name another folder" in answer.message
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "work of years"


def test_a_full_disk_loses_labels_and_not_the_map(ros, camera, frames, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    start(ros, output_dir=str(tmp_path / "map"))
    heard = listen(ros, Image, "labels")
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    (kept,) = tmp_path.glob("gcseg_kept_labels_*")
    for i in (1, 2):
        (kept / f"{i:06}{SUFFIX}").symlink_to("/dev/full")
    for frame in frames[1:]:
        camera.send(frame)
    ros.until(lambda: len(heard) == len(frames))
    assert capfd.readouterr().err.count("Labels of frames are lost from frame 000001 on") == 1
    saved = ros.call(ros.helper("client"), "mapping_node/save")
    assert saved.success, saved.message
    assert f"The labels of 2 of {len(frames)} frames are lost" in saved.message
    assert len(list((tmp_path / "map" / "labels").iterdir())) == len(frames) - 2
    summary = json.loads((tmp_path / "map" / "summary.json").read_text())
    assert summary["frames"] == len(frames)
    assert "The labels of 2" in summary["notes"][-1]


def test_who_empties_the_folder_of_temporary_files_takes_labels_and_not_the_map(
    ros, camera, frames, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    start(ros, output_dir=str(tmp_path / "map"))
    heard, client = listen(ros, Image, "labels"), ros.helper("client")

    def empty():
        for kept in tmp_path.glob("gcseg_kept_labels_*"):
            shutil.rmtree(kept)

    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    empty()
    saved = ros.call(client, "mapping_node/save")
    assert saved.success, saved.message
    assert "The labels of 1 of 1 frames are lost" in saved.message
    camera.send(frames[1])
    ros.until(lambda: len(heard) == 2)
    empty()
    assert ros.call(client, "mapping_node/reset").success
    camera.send(frames[2])
    ros.until(lambda: len(heard) == 3)
    assert len(list(tmp_path.glob("gcseg_kept_labels_*/*"))) == 1


def test_a_label_image_that_is_removed_while_the_map_is_saved_is_lost_alone(ros, camera, frames, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    start(ros, output_dir=str(tmp_path / "map"))
    heard = listen(ros, Image, "labels")
    camera.wait()
    for frame in frames[:2]:
        camera.send(frame)
    ros.until(lambda: len(heard) == 2)
    (kept,) = tmp_path.glob("gcseg_kept_labels_*")
    (kept / f"000000{SUFFIX}").unlink()
    (kept / f"000000{SUFFIX}").symlink_to(tmp_path / "nowhere")  # in the list, and not there when it is read
    saved = ros.call(ros.helper("client"), "mapping_node/save")
    assert saved.success, saved.message
    assert "The labels of 1 of 2 frames are lost" in saved.message
    assert [file.name for file in (tmp_path / "map" / "labels").iterdir()] == ["000001.png"]


def test_labels_that_nobody_wants_are_not_missed(ros, camera, frames, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    heard = listen(ros, Image, "labels")
    start(ros, output_dir=str(tmp_path / "map"), save_labels=False)
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    saved = ros.call(camera.node, "mapping_node/save")
    assert saved.success, saved.message
    assert "lost" not in saved.message
    assert not (tmp_path / "map" / "labels").exists()


def test_a_bag_that_starts_again_goes_on_with_the_same_map(ros, camera, frames):
    heard = listen(ros, Image, "labels")
    node = start(ros)
    camera.wait()
    slow = [replace(frame, stamp_s=100.0 + 2 * i) for i, frame in enumerate(frames)]
    for loop in (1, 2):
        for frame in slow:
            camera.send(frame)
        ros.until(lambda: len(heard) == loop * len(frames))  # noqa: B023 - called within the loop
    assert reasons(node) == {}
    assert node._session.frames == 2 * len(frames)


def test_poses_of_two_clocks_are_told_of_once_in_a_while(ros, camera, frames, capfd, monkeypatch):
    monkeypatch.setattr(mapping_node, "WARN_EVERY_S", 1e9)
    node = start(ros)
    camera.wait()

    def send(count):
        before = pose.received.count
        for i in range(count):
            camera.publish(None, None, None, camera.messages(replace(frames[0], stamp_s=150.0 - 50 * (i % 2)))[3])
        ros.until(lambda: pose.received.count == before + count)

    (pose,) = (input_ for input_ in node._inputs if input_.name == "pose")
    send(10)
    assert capfd.readouterr().err.count("The clock went back by 50.0 s (does a bag start again?)") == 1
    monkeypatch.setattr(mapping_node, "WARN_EVERY_S", 0.0)
    send(2)
    assert "The clock went back 5 times since it was last told: do two nodes publish" in capfd.readouterr().err


def test_live_mode_keeps_the_latest_frame(ros, camera, frames):
    heard = listen(ros, Image, "labels")
    node = start(ros, mode="live", qos="reliable", topic_queue_size=30)
    camera.wait()
    for frame in frames * 5:
        camera.send(frame)
    last = nanoseconds(frames[-1].stamp_s)
    ros.until(lambda: heard and stamp_ns(heard[-1].header.stamp) == last and len(node._worker) == 0)
    ros.until(lambda: len(heard) + node._drops.total == 30)
    assert set(reasons(node)) <= {"replaced by a newer frame"}


@pytest.mark.parametrize("reset", [False, True])
def test_a_node_that_stops_while_masks_are_being_found_says_that_it_is_busy(ros, camera, frames, reset):
    heard, found = listen(ros, Image, "labels"), threading.Event()
    node = start(ros, mode="live", qos="reliable")
    node._session._mapper.tracker.background = BackgroundGenerator(lambda view: found.wait(60))
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    if reset:
        assert ros.call(camera.node, "mapping_node/reset").success
    node.stop()
    busy = node.busy
    found.set()
    assert busy, "or the process would end only when the masks are there"


def status(heard):
    return {value.key: value.value for value in heard[-1].status[0].values} if heard else {}


def test_diagnostics_and_the_silence_warning(ros, camera, frames, capfd):
    node = start(ros, warn_after_s=0.3)
    heard = []
    ros.helper("monitor").create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    name = f"{ros.namespace}/mapping_node: mapping"
    ros.until(lambda: heard and heard[-1].status[0].level == b"\x01")
    assert heard[-1].status[0].name == name
    camera.wait()
    colour, depth, info, _ = camera.messages(frames[0])
    camera.publish(colour, depth, info, None)
    ros.until(lambda: status(heard).get("depth received") == "1")
    ros.until(lambda: "pose: " in (said := capfd.readouterr().err) and "colour: " in said)
    for frame in frames:
        camera.send(frame)
    ros.until(lambda: status(heard).get("frames mapped") in ("6", "7"))
    assert status(heard)["mode"] == "bag"
    assert float(status(heard)["latency_s"]) < 60
    assert any(message.status[0].level == b"\x00" for message in heard)  # silence is a warning again 0.3 s later
    assert node._session.frames == int(status(heard)["frames"])


def test_a_camera_that_stops_is_told_of_but_not_its_calibration(ros, camera, frames, capfd, monkeypatch):
    monkeypatch.setattr(diagnostics, "STOPPED_S", 0.2)
    start(ros, warn_after_s=0.3)
    camera.wait().send(frames[0])
    ros.until(lambda: "Nothing comes any more of colour, depth, pose: " in capfd.readouterr().err)


@pytest.mark.parametrize(("mode", "most"), [("live", 100), ("bag", 300)])
def test_the_latest_poses_are_read_where_there_is_no_time_for_all(ros, camera, frames, mode, most):
    node = start(ros, mode=mode)
    poses = ros.helper("odometry").create_publisher(Odometry, "pose", 1000)
    camera.wait()
    ros.until(poses.get_subscription_count)
    colour, depth, info, pose = camera.messages(frames[0])
    for i in range(300):
        pose.header.stamp = header(nanoseconds(99 + i / 299), "").stamp
        poses.publish(pose)
    camera.publish(colour, depth, info, None)
    ros.until(lambda: node._session.frames)
    ros.spin_for(0.2)
    received = {input_.name: input_.received.count for input_ in node._inputs}
    assert most - 5 <= received["pose"] <= most + 5


def test_a_second_node_of_the_same_name_is_told_of(ros, camera, capfd, monkeypatch):
    monkeypatch.setattr(managed, "RIVAL_S", 0.2)
    start(ros)
    ros.spin_for(0.5)
    assert "Another node" not in capfd.readouterr().err
    start(ros)
    ros.until(lambda: f"Another node is called {ros.namespace}/mapping_node too: " in capfd.readouterr().err)


def test_a_second_publisher_of_poses_is_told_of(ros, camera, capfd, monkeypatch):
    monkeypatch.setattr(managed, "RIVAL_S", 0.2)
    start(ros)
    camera.wait()
    camera.node.create_publisher(CameraInfo, "rgb/camera_info", 10)  # as a driver of two images that share it
    ros.spin_for(0.5)
    assert "is published by" not in capfd.readouterr().err
    ros.helper("wheels").create_publisher(Odometry, "pose", 10)
    name = ros.namespace
    ros.until(lambda: f"{name}/pose is published by {name}/camera and {name}/wheels: " in capfd.readouterr().err)


@pytest.mark.parametrize("posed", [True, False])
def test_messages_without_stamps_are_told_of(ros, camera, frames, capfd, posed):
    node = start(ros)
    camera.wait()
    for frame in frames[:2]:
        messages = camera.messages(frame)
        for message in messages if posed else messages[:3]:
            message.header.stamp = header(0, "").stamp
        camera.publish(*messages)
    said = []
    ros.until(lambda: said.append(capfd.readouterr().err) or "depth have no stamp" in "".join(said))
    ros.until(lambda: node._session.frames == 2 * posed)
    assert "".join(said).count("colour have no stamp") == 1


def test_simulated_time_may_begin_at_0(ros, camera, frames, capfd):
    node = start(ros)
    camera.wait()
    for loop in (1, 2):  # a simulation that is begun anew
        for i, frame in enumerate(frames):
            camera.send(replace(frame, stamp_s=float(i)))
        ros.until(lambda: node._session.frames == loop * len(frames))  # noqa: B023 - called within the loop
    assert "stamp" not in capfd.readouterr().err


def test_poses_of_another_clock_are_told_of(ros, camera, frames, capfd):
    start(ros, warn_after_s=0.3)
    camera.wait()
    colour, depth, info, _ = camera.messages(frames[0])
    *_, pose = camera.messages(replace(frames[0], stamp_s=frames[0].stamp_s - 3600))
    camera.publish(colour, depth, info, pose)
    ros.until(lambda: "The latest stamps are apart: pose 3600.0 s before colour: " in capfd.readouterr().err)


def test_that_no_id_is_left_is_told_once_and_counted(ros, camera, frames, capfd):
    node = start(ros)
    node._session._mapper.tracker.objects.most = 1
    heard = []
    ros.helper("monitor").create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    camera.wait()
    for frame in frames:
        camera.send(frame)
    ros.until(lambda: status(heard).get("frames mapped") == "6")
    assert status(heard)["ids in_use"] == "1"
    assert int(status(heard)["ids refused"]) > 1
    assert capfd.readouterr().err.count("because all 1 ids belong to other pieces of the map") == 1


def test_in_bag_mode_frames_that_come_while_the_node_is_held_up_are_mapped(ros, camera):
    heard = listen(ros, Image, "labels", 50)
    start(ros, topic_queue_size=1)
    camera.wait()
    for i in range(15):
        camera.send(tiny_frame(i))  # without spinning the node
    ros.until(lambda: len(heard) == 15)


def test_frames_that_wait_when_a_bag_has_ended_are_work_still(ros, camera, frames, capfd):
    node, heard = start(ros, warn_after_s=0.3), []
    camera.wait()
    go_on = threading.Event()
    node._worker.call(go_on.wait)
    for frame in frames:
        camera.send(frame)
    ros.until(lambda: len(node._worker) == len(frames))
    camera.node.destroy_node()
    ros.nodes.remove(camera.node)
    ros.helper("monitor").create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    ros.until(lambda: len(heard) >= 16)  # 0.8 s
    assert {found.status[0].level for found in heard} == {DiagnosticStatus.OK}
    assert "Nobody publishes any more" not in capfd.readouterr().err
    go_on.set()
    said = []
    ros.until(lambda: said.append(capfd.readouterr().err) or "any more; 6 frames are mapped" in "".join(said))


def test_a_camera_info_that_becomes_another_one_is_told_of(ros, camera, frames, capfd):
    heard = listen(ros, Image, "labels")
    start(ros)
    camera.wait()
    for i, focus in enumerate((60.0, 61.0, 75.0, 60.0)):
        camera.send(replace(frames[i], intrinsics=replace(CAMERA, fx=focus, fy=focus)))
        ros.until(lambda: len(heard) == i + 1)  # noqa: B023 - called at once
    said = capfd.readouterr().err
    assert said.count("rgb/camera_info has changed from 64x48, fx 61, cx 31.5, cy 23.5 to 64x48, fx 75,") == 1
    assert said.count("has changed") == 1


def test_lifecycle(ros, camera, frames):
    heard = listen(ros, Image, "labels")
    node = ros.add(MappingNode, autostart=False, mode="bag")
    node.start()
    success = TransitionCallbackReturn.SUCCESS
    assert not camera.depth.get_subscription_count()
    assert node.trigger_configure() == success
    assert node.trigger_activate() == success
    camera.wait().send(frames[0])
    ros.until(lambda: len(heard) == 1)
    refused = node.set_parameters([Parameter("mode", value="live")])[0]
    assert not refused.successful
    assert "clean it up" in refused.reason
    assert node.trigger_deactivate() == success
    ros.until(lambda: not camera.depth.get_subscription_count())
    assert node._session.frames == 1, "the map is kept"
    assert node.trigger_activate() == success
    camera.wait().send(frames[1])
    ros.until(lambda: len(heard) == 2)
    assert node.trigger_deactivate() == success
    assert node.trigger_cleanup() == success
    assert node.set_parameters([Parameter("mode", value="live")])[0].successful
    refused = node.set_parameters([Parameter("mode", value="fast")])[0]
    assert not refused.successful
    assert "mode = 'fast' is not allowed" in refused.reason
    assert node.trigger_configure() == success
    assert node._config.mode == "live"
    assert node.trigger_shutdown() == success


def test_wrong_parameters_are_put_right_one_after_the_other(ros):
    node = ros.add(MappingNode, autostart=False, mode="slow", qos="best")
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    for name, value in (("mode", "live"), ("qos", "auto")):
        assert node.set_parameters([Parameter(name, value=value)])[0].successful
    assert not node.set_parameters([Parameter("mode", value="slow")])[0].successful


@pytest.mark.parametrize(("service", "points"), [("save", True), ("reset", False)])
def test_what_was_made_of_the_map_while_inactive_is_published_when_active(
    ros, camera, frames, tmp_path, service, points
):
    heard = listen(ros, Image, "labels")
    node = start(ros, output_dir=str(tmp_path / "map"), cloud_rate_hz=0.0)
    camera.wait().send(frames[0])
    ros.until(lambda: heard)
    ros.until(node._worker.call(lambda: None).done)  # the cloud of the start, too, has been published
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert ros.call(camera.node, f"mapping_node/{service}").success
    clouds = listen(ros, PointCloud2, "cloud", LATCHED)
    ros.until(lambda: clouds)
    assert not clouds.pop().width, "that of the start"
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    ros.until(lambda: clouds)
    assert bool(clouds[-1].width) == points


@pytest.mark.parametrize("rectify", [False, True])
def test_raw_images_of_a_lens_that_bends(ros, camera, frames, capfd, rectify):
    heard = listen(ros, Image, "labels")
    node = start(ros, rectify=rectify)
    camera.wait()
    for frame in frames[:3]:
        colour, depth, camera_info, pose = camera.messages(frame)
        camera_info.d = [-0.4, 0.1, 0.0, 0.0, 0.0]
        camera.publish(colour, depth, camera_info, pose)
    ros.until(lambda: len(heard) == 3)
    assert capfd.readouterr().err.count("tells of lens distortion") == (not rectify)
    assert reasons(node) == {}
    plain = mapped_labels(frames[:3])
    same = [np.array_equal(labels_of(found), labels) for found, labels in zip(heard, plain)]
    assert all(same) != rectify


@pytest.mark.parametrize(
    ("frame_ids", "told"),
    [
        (("optical", "optical", "optical"), ""),
        (("optical", "/optical", ""), ""),
        (("color", "depth", "color"), "depth from 'depth', colour from 'color', camera_info from 'color'"),
        (("color", "color", "depth"), "depth from 'color', colour from 'color', camera_info from 'depth'"),
    ],
)
def test_images_of_two_cameras_are_mapped_and_told_of_once(ros, camera, frames, capfd, frame_ids, told):
    heard = listen(ros, Image, "labels")
    node = start(ros)
    camera.wait()
    for frame in frames[:2]:
        *images, pose = camera.messages(frame, body_frame=frame_ids[1])
        for message, frame_id in zip(images, frame_ids, strict=True):
            message.header = header(nanoseconds(frame.stamp_s), frame_id)
        camera.publish(*images, pose)
    ros.until(lambda: len(heard) == 2)
    assert reasons(node) == {}
    error = capfd.readouterr().err
    assert error.count("is depth registered to colour") == bool(told)
    assert told in error


def mapped_labels(frames):
    mapper = Mapper()
    return [mapper.step(frame).labels for frame in frames]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"mode": "fast"}, "mode = 'fast' is not allowed"),
        (
            {"topics__depth": "/camera-1/depth"},
            "The topic of depth is given as '/camera-1/depth', which is no name in ROS: topic",
        ),
    ],
)
def test_a_wrong_value_ends_the_start(ros, capfd, parameters, sentence):
    node = ros.add(MappingNode, **parameters)
    with pytest.raises(SystemExit) as ended:
        node.start()
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def tf(camera, topic="/tf", **qos):
    """A publisher of transforms: publish(parent, child, matrix, stamp_ns)."""
    from gcseg_ros.nodes import messages

    kind = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs comes with a ROS distribution only").TFMessage
    publisher = camera.node.create_publisher(kind, topic, QoSProfile(depth=100, **qos))

    def publish(parent, child, matrix, stamp):
        publisher.publish(messages.tf_message(matrix, messages.header(stamp, parent), child))

    publish.publisher = publisher
    return publish


@pytest.mark.parametrize("topic", ["/tf", "tf"])
def test_poses_from_tf(ros, camera, frames, topic):
    moving = tf(camera, topic)
    heard, clouds = listen(ros, Image, "labels"), listen(ros, PointCloud2, "cloud", LATCHED)
    node = start(ros, pose_source="tf", map_frame_id="odom", topics__tf=topic)
    ros.until(moving.publisher.get_subscription_count)
    ros.until(camera.depth.get_subscription_count)
    # the second frame comes before its transform, and waits for it
    for frame in frames[:2]:
        camera.send(frame)
    ros.until(lambda: len(node._synchroniser) == 2)
    for frame in frames:
        moving("odom", "camera", frame.pose, nanoseconds(frame.stamp_s))
    for frame in frames[2:]:
        camera.send(frame)
    ros.until(lambda: len(heard) == len(frames))
    ros.until(lambda: clouds)
    assert clouds[-1].header.frame_id == "odom"
    assert reasons(node) == {}


def test_the_camera_s_place_on_a_frame_that_tf_moves(ros, camera, frames):
    moving, clouds = tf(camera), listen(ros, PointCloud2, "cloud", LATCHED)
    node = start(ros, pose_source="tf", map_frame_id="odom", frame_id="base_link")
    ros.until(moving.publisher.get_subscription_count)
    ros.until(camera.depth.get_subscription_count)
    ahead = np.eye(4)
    ahead[2, 3] = 10
    for parent, child, matrix in (("odom", "base_link", frames[0].pose), ("base_link", "camera", ahead)):
        moving(parent, child, matrix, nanoseconds(frames[0].stamp_s))
    ros.until(lambda: "camera" in node._tf.frames())
    camera.send(frames[0])
    ros.until(lambda: clouds and clouds[-1].width)
    assert np.frombuffer(clouds[-1].data, np.float32).reshape(-1, 6)[:, 0].min() > 11


@pytest.mark.parametrize("topic", ["/tf_static", "tf_static"])
def test_the_camera_s_place_on_the_body_from_tf(ros, camera, frames, topic):
    static = tf(camera, topic, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    clouds = listen(ros, PointCloud2, "cloud", LATCHED)
    node = start(ros, topics__tf_static=topic)
    camera.wait()
    camera.send(frames[0], body_frame="base_link")
    ros.until(lambda: reasons(node) == {"no transform from body to camera": 1})
    ahead = np.eye(4)
    ahead[2, 3] = 10
    static("base_link", "camera", ahead, 0)
    ros.until(lambda: "base_link" in node._tf.frames())
    camera.send(frames[1], body_frame="base_link")
    ros.until(lambda: clouds and clouds[-1].width)
    assert np.frombuffer(clouds[-1].data, np.float32).reshape(-1, 6)[:, 0].min() > 11


def test_the_camera_s_place_on_a_joint_of_the_body_from_tf(ros, camera, frames):
    moving, heard = tf(camera), listen(ros, Image, "labels")
    node = start(ros)
    camera.wait()
    camera.send(frames[0], body_frame="base_link")
    ros.until(lambda: reasons(node) == {"no transform from body to camera": 1})
    ros.until(moving.publisher.get_subscription_count)
    for i in (1, 3):
        moving("base_link", "camera", np.eye(4), nanoseconds(frames[i].stamp_s))
    ros.until(lambda: "base_link" in node._tf.frames())
    for frame in frames[1:5]:  # the last one waits for the joint
        camera.send(frame, body_frame="base_link")
    ros.until(lambda: len(heard) == 3)
    moving("base_link", "camera", np.eye(4), nanoseconds(frames[4].stamp_s))
    ros.until(lambda: len(heard) == 4)
    assert reasons(node) == {"no transform from body to camera": 1}


def test_detections(ros, camera, frames):
    kind = pytest.importorskip(
        "vision_msgs.msg", reason="vision_msgs comes with a ROS distribution only"
    ).Detection3DArray
    start(ros)
    camera.wait()
    for frame in frames:
        camera.send(frame)
    heard = listen(ros, kind, "detections", LATCHED)
    ros.until(lambda: heard and heard[-1].detections)
