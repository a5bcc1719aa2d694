"""replay_node over real DDS: what a reader gets of a recording."""

import shutil

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from gcseg_ros.errors import UserError
from gcseg_ros.frames import QUARTER_TURN
from gcseg_ros.mapper import Mapper
from gcseg_ros.nodes.mapping_node import MappingNode
from gcseg_ros.nodes.replay_node import ReplayNode
from gcseg_ros.recordings import open_recording
from gcseg_ros.ros_types.messages import (
    image_to_depth_m,
    image_to_rgb,
    intrinsics_from_info,
    nanoseconds,
    pose_matrix,
    stamp_ns,
)


def replay(ros, recording, **parameters):
    node = ros.add(ReplayNode, **{"recording": str(recording), "rate": 0.0, **parameters})
    node.start()
    return node


class Reader:
    """Everything that is published."""

    def __init__(self, ros, pose_type=Odometry):
        node = ros.helper("reader")
        self.colour, self.depth, self.camera_info, self.pose, self.clock = [], [], [], [], []
        node.create_subscription(Image, "rgb/image", self.colour.append, 50)
        node.create_subscription(Image, "depth/image", self.depth.append, 50)
        node.create_subscription(CameraInfo, "rgb/camera_info", self.camera_info.append, 50)
        node.create_subscription(pose_type, "pose", self.pose.append, 50)
        node.create_subscription(Clock, "/clock", self.clock.append, qos_profile_sensor_data)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_what_is_read_is_the_recording(ros, recording, encoding):
    reader = Reader(ros)
    node = replay(ros, recording, depth_encoding=encoding)
    ros.until(node.done.done)
    assert node.done.result() == 0
    frames = list(open_recording(recording))
    ros.until(lambda: min(map(len, (reader.colour, reader.depth, reader.camera_info, reader.pose))) == len(frames))
    for i, frame in enumerate(frames):
        stamp = nanoseconds(frame.stamp_s)
        published = reader.colour[i], reader.depth[i], reader.camera_info[i], reader.pose[i]
        assert {stamp_ns(message.header.stamp) for message in published} == {stamp}
        np.testing.assert_array_equal(image_to_rgb(reader.colour[i]), frame.colour)
        np.testing.assert_array_equal(image_to_depth_m(reader.depth[i]), frame.depth_m)
        assert intrinsics_from_info(reader.camera_info[i]) == frame.intrinsics
        np.testing.assert_allclose(pose_matrix(reader.pose[i]), frame.pose, atol=1e-8)
    assert reader.depth[0].encoding == encoding
    assert reader.pose[0].child_frame_id == reader.depth[0].header.frame_id == "camera_optical_frame"
    assert reader.pose[0].header.frame_id == "map"
    assert stamp_ns(reader.clock[-1].clock) <= nanoseconds(frames[-1].stamp_s)


def test_the_world_is_turned_as_told(ros, recording):
    reader = Reader(ros)
    node = replay(ros, recording, recording_options="poses=pose up=-y")
    ros.until(node.done.done)
    frames = list(open_recording(recording, up="-y"))
    ros.until(lambda: len(reader.pose) == len(frames))
    for message, frame in zip(reader.pose, frames):
        assert message.header.frame_id == "map"
        np.testing.assert_allclose(pose_matrix(message), frame.pose, atol=1e-8)


def test_flow_control_loses_nothing_and_ends_after_the_last_label(ros, recording):
    mapping = ros.add(MappingNode, mode="bag", topic_queue_size=1, bag_queue_size=1)
    mapping.start()
    node = replay(ros, recording, flow_control=True, in_flight=1)
    ros.until(node.done.done)
    assert (node.done.result(), node.sent, node.mapped) == (0, 6, 6)
    assert mapping._session.frames == 6
    assert mapping._drops.total == 0


def test_flow_control_goes_on_when_frames_are_never_mapped(ros, recording, capfd):
    ros.add(MappingNode, mode="bag", topics__camera_info="no/calibration").start()
    node = replay(ros, recording, flow_control=True, in_flight=2, stall_timeout_s=0.2, wait_for_subscribers_s=0.0)
    ros.until(node.done.done)
    assert (node.done.result(), node.sent, node.mapped) == (0, 6, 0)
    assert "2 frames were not mapped; going on" in capfd.readouterr().err


def test_a_loop_starts_again(ros, recording):
    reader = Reader(ros)
    node = replay(ros, recording, loop=True)
    ros.until(lambda: len(reader.depth) > 8)
    node.stop()
    assert not node.done.done()
    stamps = [stamp_ns(message.header.stamp) for message in reader.depth]
    assert stamps[6:8] == stamps[:2]


def test_paced_replay_lets_time_run_between_frames(ros, recording):
    reader = Reader(ros)
    node = replay(ros, recording, rate=0.5)
    ros.until(node.done.done)
    times = [stamp_ns(message.clock) for message in reader.clock]
    stamps = {nanoseconds(frame.stamp_s) for frame in open_recording(recording)}
    assert times == sorted(times)
    assert set(times) - stamps, "not at frames only"
    assert min(stamps) <= times[0] <= times[-1] <= max(stamps)


def test_what_would_have_no_effect_any_more_is_refused(ros, recording):
    node = replay(ros, recording, wait_for_subscribers_s=60.0)
    refused = node.set_parameters([Parameter("rate", value=0.5)])[0]
    assert not refused.successful
    assert "read when the node starts" in refused.reason
    assert node.set_parameters([Parameter("use_sim_time", value=True)])[0].successful


def test_part_of_a_recording(ros, recording):
    reader = Reader(ros)
    node = replay(ros, recording, start_frame=2, max_frames=3)
    ros.until(node.done.done)
    ros.until(lambda: len(reader.depth) == 3)
    expected = [nanoseconds(frame.stamp_s) for frame in list(open_recording(recording))[2:5]]
    assert [stamp_ns(message.header.stamp) for message in reader.depth] == expected


def test_nobody_reads(ros, recording, capfd):
    node = replay(ros, recording, wait_for_subscribers_s=0.3)
    ros.until(node.done.done)
    assert node.done.result() == 2
    assert "Nobody reads" in capfd.readouterr().err


def test_the_reader_goes_away(ros, recording, capfd):
    mapping = ros.add(MappingNode, mode="bag")
    mapping.start()
    node = replay(ros, recording, flow_control=True, in_flight=1, loop=True)
    ros.until(lambda: node.mapped > 2)
    mapping.stop()
    ros.until(node.done.done)
    assert node.done.result() == 2
    assert "mapping_node has ended" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"recording": ""}, "must name a folder"),
        ({"recording": "/nowhere/at/all"}, "no such file or folder"),
        ({"rate": -1.0}, "rate must be a number >= 0, <= 1000"),
        ({"recording_options": "pose=x"}, "has no option 'pose'"),
        ({"recording_options": "poses"}, "is written name=value; found 'poses'"),
    ],
)
def test_wrong_parameters(ros, recording, parameters, sentence):
    with pytest.raises(UserError, match=sentence):
        ros.add(ReplayNode, **{"recording": str(recording), **parameters})


def test_a_broken_file_is_one_sentence(ros, recording, capfd):
    (recording / "depth" / "000003.png").write_bytes(b"not a picture")
    Reader(ros)
    node = replay(ros, recording)
    ros.until(node.done.done)
    assert node.done.result() == 2
    said = capfd.readouterr().err
    assert "000003.png" in said
    assert "Traceback" not in said


def test_what_the_recording_tells_is_said_once(ros, recording, capfd):
    (recording / "pose/000002.txt").unlink()
    camera = recording / "intrinsic/intrinsic_color.txt"
    np.savetxt(camera, np.loadtxt(camera) * [[1.5, 1, 1, 1], [1, 1.5, 1, 1], [1] * 4, [1] * 4])
    reader = Reader(ros)
    node = replay(ros, recording, loop=True)
    ros.until(lambda: len(reader.depth) > 12)
    node.stop()
    said = capfd.readouterr().err
    assert said.count("1 of 6 frames were left out: no pose.") == 1
    assert said.count("of what depth sees") == 1


def test_stamps_that_are_no_seconds_are_one_sentence(ros, recording, tmp_path, capfd):
    for part, name, file in (("color", "rgb", "x.jpg"), ("depth", "depth", "x.png")):
        shutil.copy(next((recording / part).glob("000005.*")), tmp_path / file)
        (tmp_path / f"{name}.txt").write_text(f"30000000000 {file}\n")
    (tmp_path / "groundtruth.txt").write_text("30000000000 0 0 0 0 0 0 1\n")
    Reader(ros)
    node = replay(ros, tmp_path)
    ros.until(node.done.done)
    assert node.done.result() == 2
    assert "stamped 3e+10 s, which ROS's time cannot hold: stamps are seconds" in capfd.readouterr().err


def test_a_defect_ends_the_replay_rather_than_let_others_wait(ros, recording, capfd, monkeypatch):
    def break_(*_):
        raise RuntimeError("kaboom")

    monkeypatch.setattr(ReplayNode, "_publish", break_)
    Reader(ros)
    node = replay(ros, recording, exit_at_end=False)
    ros.until(node.done.done)
    assert node.done.result() == 1
    assert "RuntimeError: kaboom" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("seven_scenes", "up", "world"), [(False, None, "map"), (True, None, "map_without_up"), (True, "z", "map")]
)
def test_a_world_without_a_known_up_is_mapped_as_by_gcseg_map(ros, recording, tmp_path, seven_scenes, up, world):
    """A camera on its side: its images are turned only where the world's z axis is known to point up."""
    scene = recording
    for file in (recording / "pose").iterdir():
        np.savetxt(file, np.loadtxt(file) @ QUARTER_TURN)
    if seven_scenes:
        scene = tmp_path / "chess"
        scene.mkdir()
        shutil.copy(recording / "intrinsic/intrinsic_depth.txt", scene / "camera-intrinsics.txt")
        for part, name in (("color", "color.png"), ("depth", "depth.png"), ("pose", "pose.txt")):
            for file in (recording / part).iterdir():
                shutil.copy(file, scene / f"frame-{file.stem}.{name}")
    reader, mapping = Reader(ros), ros.add(MappingNode, mode="bag")
    mapping.start()
    node = replay(ros, scene, flow_control=True, recording_options=f"up={up}" if up else "")
    ros.until(node.done.done)
    assert (node.done.result(), mapping._session.frames) == (0, 6)
    assert {message.header.frame_id for message in reader.pose} == {world}
    here = Mapper()
    for frame in open_recording(scene, up=up):
        here.step(frame)
    assert mapping._session._mapper.notes() == here.notes()
    assert any("turned" in note for note in here.notes()) == (world == "map")


def test_poses_on_tf(ros, recording):
    kind = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs comes with a ROS distribution only").TFMessage
    Reader(ros)
    heard = []
    ros.helper("listener").create_subscription(kind, "/tf", heard.append, 50)
    mapping = ros.add(MappingNode, mode="bag", pose_source="tf")
    mapping.start()
    node = replay(ros, recording, publish_tf=True, flow_control=True)
    ros.until(node.done.done)
    assert (node.done.result(), mapping._session.frames) == (0, 6)
    assert heard[0].transforms[0].child_frame_id == "camera_optical_frame"


def test_tf_without_tf2_msgs_is_a_sentence(ros, recording):
    import importlib.util

    if importlib.util.find_spec("tf2_msgs"):
        pytest.skip("tf2_msgs is installed here")
    with pytest.raises(UserError, match="publish_tf needs tf2_msgs"):
        ros.add(ReplayNode, recording=str(recording), publish_tf=True)
