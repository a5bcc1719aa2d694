"""mapping_node saved, killed and resumed: as processes over DDS, and in process."""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from geometry_msgs.msg import PoseStamped
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_graph import DOMAIN_ID, Camera, tiny_frame
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger

from gcseg_ros.files import read_json
from gcseg_ros.instances.export import read_instance_map
from gcseg_ros.mapper import Mapper
from gcseg_ros.nodes import graph
from gcseg_ros.nodes.mapping_node import MappingNode
from gcseg_ros.output import recover
from gcseg_ros.recordings import open_recording
from gcseg_ros.run import map_recording
from gcseg_ros.state import read_state

KILLED_ONCE_THERE_IS = ("labels", "state.npz", "summary.json")
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def processes(ros, tmp_path):
    """start(parameters) -> an active mapping_node process in the test's namespace; its output is in `process.log`."""
    running = []
    quiet = {**os.environ, **graph.mapping({}).environment, "ROS_DOMAIN_ID": str(DOMAIN_ID), "PYTHONUNBUFFERED": "1"}

    def start(**parameters):
        command = [sys.executable, "-m", "gcseg_ros.nodes.mapping_node", "--ros-args", "-r", f"__ns:={ros.namespace}"]
        for name, value in {"mode": "bag", "topic_queue_size": 50, **parameters}.items():
            command += ["-p", f"{name}:={value}"]
        log = tmp_path / f"{len(running)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=quiet, stdout=file, stderr=subprocess.STDOUT, cwd=tmp_path)
        process.log = log
        running.append(process)
        ros.until(lambda: "Mapping in bag mode" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_killed_while_it_saves_the_map_is_the_one_before_or_after(ros, processes, tmp_path):
    """Each process goes on with what the last one, killed -9 at some moment of its save, has left."""
    out, moments = tmp_path / "map", random.Random(6)
    saved, at = 0, 0
    for written in (None, *KILLED_ONCE_THERE_IS):
        ros.namespace = f"/t{uuid.uuid4().hex[:8]}"  # DDS takes a while to forget the dead
        node = processes(output_dir=out, **({"resume": out} if saved else {}))
        if saved:
            assert f"Going on with the map of {saved} frames" in node.log.read_text()
        camera, labels = Camera(ros), heard_labels(ros)
        camera.wait()
        ros.until(lambda: camera.node.count_publishers(f"{ros.namespace}/mapping_node/labels"))  # noqa: B023
        ros.spin_for(1.0)  # between processes, one side may know of a match before the other
        for _ in range(2):
            camera.send(tiny_frame(at))
            at += 1
        ros.until(lambda: len(labels) == 2)  # noqa: B023 - called at once
        client = camera.node.create_client(Trigger, "mapping_node/save")
        ros.until(client.service_is_ready)
        answer = client.call_async(Trigger.Request())
        if written:
            ros.until(lambda: list(tmp_path.glob(f".map.*/{written}")) or answer.done())  # noqa: B023
            time.sleep(moments.uniform(0, 0.05))  # any moment after that
        else:
            ros.until(answer.done)
        node.send_signal(signal.SIGKILL)
        node.wait()
        recover(out)
        before, saved = saved, read_state(out).header["frames"]
        assert saved in (before, before + 2)
        assert read_json(out / "summary.json")["total_frames"] == saved
        mapper = Mapper()
        mapper.resume(out)
        np.testing.assert_array_equal(mapper.instances().instance, read_instance_map(out).instance)
        assert [p.name for p in tmp_path.iterdir() if p.suffix != ".log"] == ["map"], "nothing is left lying about"


def test_ended_by_a_signal_it_says_what_is_lost_and_no_more(ros, processes, tmp_path):
    node = processes(output_dir=tmp_path / "map")
    camera, labels = Camera(ros), heard_labels(ros)
    camera.wait()
    ros.until(lambda: camera.node.count_publishers(f"{ros.namespace}/mapping_node/labels"))
    ros.spin_for(1.0)
    before = node.log.read_text()
    camera.send(tiny_frame(0))
    ros.until(lambda: labels)
    node.send_signal(signal.SIGINT)
    assert node.wait(60) == 0
    (said,) = node.log.read_text().removeprefix(before).splitlines()
    assert "mapping_node: 1 of 1 mapped frames are in no saved map and are gone" in said


def heard_labels(ros):
    """The label images that come from the test's mapping_node."""
    heard = []
    ros.helper("listener").create_subscription(Image, f"{ros.namespace}/mapping_node/labels", heard.append, 50)
    return heard


def test_saved_and_resumed_it_is_the_map_of_one_go(ros, camera, frames, tmp_path):
    heard = heard_labels(ros)
    parameters = {"mode": "bag", "topic_queue_size": 50, "output_dir": str(tmp_path / "first")}
    first = ros.add(MappingNode, **parameters)
    first.start()
    camera.wait()
    for frame in frames[:3]:
        camera.send(frame, map_frame="odom")
    ros.until(lambda: len(heard) == 3)
    assert ros.call(camera.node, "mapping_node/save").success
    first.stop()
    ros.executor.remove_node(first)
    ros.nodes.remove(first)
    first.destroy_node()

    clouds, views = [], []
    viewer, topics = ros.helper("viewer"), f"{ros.namespace}/mapping_node"
    viewer.create_subscription(PointCloud2, f"{topics}/cloud", clouds.append, LATCHED)
    viewer.create_subscription(PoseStamped, f"{topics}/views/pose", views.append, LATCHED)
    parameters |= {"resume": str(tmp_path / "first"), "output_dir": str(tmp_path / "second")}
    ros.add(MappingNode, **parameters).start()
    ros.until(lambda: clouds and views)  # the saved map is seen before anything new is
    assert clouds[0].width == len(read_instance_map(tmp_path / "first").points)
    assert {message.header.frame_id for message in (*clouds, *views)} == {"odom"}
    camera.wait()
    for frame in frames[3:]:
        camera.send(frame, map_frame="odom")
    ros.until(lambda: len(heard) == len(frames))
    answer = ros.call(camera.node, "mapping_node/save")
    assert answer.success
    assert answer.message.endswith(f"labels are those of the {len(frames) - 3} frames since the map was resumed.")
    summary = read_json(tmp_path / "second" / "summary.json")
    assert (summary["frames"], summary["total_frames"]) == (len(frames) - 3, len(frames))
    names = sorted(file.stem for file in (tmp_path / "second" / "labels").iterdir())
    assert names == [frame.name for frame in frames[3:]]

    mapper = Mapper()
    for frame in frames:
        mapper.step(frame)
    whole, resumed = mapper.instances(), read_instance_map(tmp_path / "second")
    for name in ("points", "colours", "instance", "confidence"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))


@pytest.mark.parametrize("map_frame", ["odom", ""])
def test_a_map_of_gcseg_map_is_published_when_a_pose_has_named_its_frame(ros, camera, frames, tmp_path, map_frame):
    mapper = Mapper()
    mapper.step(frames[0])
    mapper.save_state(tmp_path / "state.npz")
    clouds = []
    ros.helper("viewer").create_subscription(PointCloud2, f"{ros.namespace}/mapping_node/cloud", clouds.append, LATCHED)
    node = ros.add(MappingNode, mode="bag", resume=str(tmp_path / "state.npz"))
    node.start()
    camera.wait()
    ros.until(lambda: node.count_subscribers(f"{ros.namespace}/mapping_node/cloud"))
    ros.until(node._worker.call(lambda: None).done)
    ros.spin_for(0.3)
    assert clouds == []
    camera.send(frames[1], map_frame=map_frame)
    ros.until(lambda: clouds)
    assert clouds[0].header.frame_id == (map_frame or "map")


@pytest.mark.parametrize("told", ["", "map"])
def test_poses_in_another_frame_than_the_map_s_are_left_out_unless_told(ros, camera, frames, tmp_path, capfd, told):
    mapper = Mapper()
    mapper.map_frame.id = "map"
    mapper.step(frames[0])
    mapper.save_state(tmp_path / "state.npz")
    heard, clouds = heard_labels(ros), []
    ros.helper("viewer").create_subscription(PointCloud2, f"{ros.namespace}/mapping_node/cloud", clouds.append, LATCHED)
    node = ros.add(MappingNode, mode="bag", resume=str(tmp_path / "state.npz"), map_frame_id=told)
    node.start()
    camera.wait().send(frames[1], map_frame="odom")
    if not told:
        ros.until(lambda: node._drops.reasons == {"poses in another frame than the map": 1})
        assert "set map_frame_id:=map if both are the same world" in capfd.readouterr().err
        camera.send(frames[2], map_frame="map")
    ros.until(lambda: heard and clouds)
    assert {cloud.header.frame_id for cloud in clouds} == {"map"}
    assert ros.call(camera.node, "mapping_node/reset").success
    camera.send(frames[3], map_frame="odom")
    ros.until(lambda: len(heard) == 2 and clouds[-1].width and clouds[-1].header.frame_id == (told or "odom"))


@pytest.mark.parametrize(
    ("saved", "told", "warned"),
    [("odom", "map", True), ("/map", "map", False), ("odom", "", False), ("", "map", False)],
)
def test_a_map_that_is_gone_on_with_in_another_frame_is_told_of(ros, frames, tmp_path, capfd, saved, told, warned):
    mapper = Mapper()
    mapper.map_frame.id = saved
    mapper.step(frames[0])
    mapper.save_state(tmp_path / "state.npz")
    ros.add(MappingNode, resume=str(tmp_path / "state.npz"), map_frame_id=told).start()
    assert ("was saved in the frame 'odom'" in (said := capfd.readouterr().err)) == warned
    assert ("leave map_frame_id empty unless both are the same world" in said) == warned


def test_a_map_that_gcseg_map_has_gone_on_with_is_in_the_frame_that_it_was_saved_in(ros, frames, recording, tmp_path):
    mapper, clouds = Mapper(), []
    mapper.map_frame.id = "odom"
    mapper.step(frames[0])
    mapper.save_state(tmp_path / "state.npz")
    map_recording(open_recording(recording), tmp_path / "out", frames=slice(1, 3), resume=tmp_path / "state.npz")
    ros.helper("viewer").create_subscription(PointCloud2, f"{ros.namespace}/mapping_node/cloud", clouds.append, LATCHED)
    ros.add(MappingNode, resume=str(tmp_path / "out")).start()
    ros.until(lambda: clouds)
    assert clouds[0].header.frame_id == "odom"


def test_new_views_of_a_resumed_map_are_published_whatever_its_frames_were_called(ros, camera, frames, tmp_path):
    mapper = Mapper()
    mapper.map_frame.id = "map"
    mapper.step(replace(frames[0], name="000001"))  # as the node would call the next one
    mapper.save_state(tmp_path / "state.npz")
    views, many = [], QoSProfile(depth=100, reliability=LATCHED.reliability, durability=LATCHED.durability)
    ros.helper("viewer").create_subscription(
        PoseStamped, f"{ros.namespace}/mapping_node/views/pose", views.append, many
    )
    ros.add(MappingNode, mode="bag", tracking__keyframe_stride=1, resume=str(tmp_path / "state.npz")).start()
    ros.until(lambda: views)
    elsewhere = frames[1].pose.copy()
    elsewhere[1, 3] += 30
    camera.wait().send(replace(frames[1], pose=elsewhere))
    ros.until(lambda: len(views) == 2)


def test_a_map_that_was_begun_anew_is_not_said_to_be_a_resumed_one(ros, camera, frames, tmp_path):
    mapper = Mapper()
    mapper.step(frames[0])
    mapper.save_state(tmp_path / "state.npz")
    heard = heard_labels(ros)
    resume, out = str(tmp_path / "state.npz"), tmp_path / "map"
    ros.add(MappingNode, mode="bag", resume=resume, output_dir=str(out)).start()
    camera.wait()
    for frame, resumed in ((frames[1], resume), (frames[2], None)):
        camera.send(frame)
        ros.until(lambda: heard)
        assert ros.call(camera.node, "mapping_node/save").success
        assert read_json(out / "summary.json")["resumed"] == resumed
        assert ros.call(camera.node, "mapping_node/reset").success
        heard.clear()


def test_nothing_to_resume_is_said(ros, tmp_path):
    node = ros.add(MappingNode, resume=str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit):
        node.start()
