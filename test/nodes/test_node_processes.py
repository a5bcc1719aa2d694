"""The nodes as processes, as launch and `make demo` start them: signals, exit status, every frame over DDS."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ros_graph import DOMAIN_ID

pytest.importorskip("rclpy", reason="rclpy is not installed")

from gcseg_ros.files import read_json
from gcseg_ros.instances.export import read_instance_map
from gcseg_ros.nodes import demo, graph
from gcseg_ros.recordings import open_recording
from gcseg_ros.ros_types.dds import profiles_variable
from gcseg_ros.run import map_recording

DEADLINE_S = 60


@pytest.fixture
def environment():
    return {
        **os.environ,
        **graph.mapping({}).environment,
        "ROS_DOMAIN_ID": str(DOMAIN_ID),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def started(environment, tmp_path):
    """start(executable, *arguments) -> process; its output is in `process.log`. What still runs at the end is killed."""
    processes = []

    def start(executable, *arguments):
        command = [sys.executable, "-m", f"gcseg_ros.nodes.{executable}", *arguments]
        log = tmp_path / f"{len(processes)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT, cwd=tmp_path)
        process.log = log
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(process, text):
    deadline = time.monotonic() + DEADLINE_S
    while text not in process.log.read_text():
        assert process.poll() is None, process.log.read_text()
        assert time.monotonic() < deadline, process.log.read_text()
        time.sleep(0.02)  # until the log has it


def test_what_is_missing_is_said_and_ctrl_c_twice_ends_it_quietly(started):
    node = started("mapping_node", "--ros-args", "-p", "warn_after_s:=0.5", "-r", "depth/image:=/nobody/sends/this")
    wait_for(node, "no complete frame for")
    node.send_signal(signal.SIGINT)
    node.send_signal(signal.SIGINT)
    assert node.wait(DEADLINE_S) == 0
    said = node.log.read_text()
    assert "depth: /nobody/sends/this, 0 messages: nobody publishes it" in said
    assert "Traceback" not in said


def test_a_wrong_parameter_ends_with_a_sentence(started):
    node = started("mapping_node", "--ros-args", "-p", "map.voxel_m:=thick")
    assert node.wait(DEADLINE_S) == 2
    said = "mapping_node: The parameter map.voxel_m must be a number > 0, <= 1; found 'thick'.\n"
    assert node.log.read_text() == said


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_prepares_ends_it_quietly(started, told):
    node = started("mapping_node")
    wait_for(node, "Preparing the mapper")
    node.send_signal(told)
    assert node.wait(DEADLINE_S) == 0, node.log.read_text()
    said = node.log.read_text()
    assert "Traceback" not in said
    assert "ERROR" not in said


def test_a_missing_params_file_ends_with_a_sentence(started):
    node = started("replay_node", "--ros-args", "--params-file", "nowhere.yaml")
    assert node.wait(DEADLINE_S) == 2
    assert "Traceback" not in node.log.read_text()
    assert "nowhere.yaml" in node.log.read_text()


def test_parameters_for_a_node_of_another_name_are_told_of(started, tmp_path):
    (tmp_path / "my.yaml").write_text("mapper:\n  ros__parameters:\n    mode: bag\n")
    files = ["--params-file", "my.yaml", "-p", "mapper:mode:=bag", "-p", "autostart:=false"]
    node = started("mapping_node", "--ros-args", *files)
    wait_for(node, "Waiting to be configured")
    said = node.log.read_text()
    assert said.count("for /mapper has no effect here: this node is /mapping_node") == 2


def test_ctrl_c_while_it_replays(started, recording):
    node = started(
        "replay_node",
        "--ros-args",
        "-p",
        f"recording:={recording}",
        "-p",
        "loop:=true",
        "-p",
        "wait_for_subscribers_s:=0.0",
    )
    wait_for(node, "Replaying")
    node.send_signal(signal.SIGINT)
    node.send_signal(signal.SIGINT)
    assert node.wait(DEADLINE_S) == 0, node.log.read_text()
    assert "Traceback" not in node.log.read_text()


def test_the_demo_gives_what_gcseg_map_gives(recording, tmp_path, capfd, monkeypatch):
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", profiles_variable()):
        monkeypatch.setenv(name, "")  # put back afterwards
        monkeypatch.delenv(name)
    assert demo.main(["--recording", str(recording), "-o", str(tmp_path / "demo"), "--domain-id", str(DOMAIN_ID)]) == 0
    said = capfd.readouterr().out
    assert "has no truth" in said
    map_recording(open_recording(recording), tmp_path / "map")
    over_ros, alone = read_instance_map(tmp_path / "demo"), read_instance_map(tmp_path / "map")
    assert (over_ros.points == alone.points).all()
    assert (over_ros.instance == alone.instance).all()
    assert read_json(tmp_path / "demo" / "summary.json")["frames"] == 6
    labels = sorted(file.name for file in (tmp_path / "demo" / "labels").iterdir())
    assert labels == sorted(file.name for file in (tmp_path / "map" / "labels").iterdir())


def test_a_demo_that_is_told_to_end_leaves_no_node_behind(recording, started):
    """By SIGTERM too, which `timeout` and `docker stop` send: nodes have sessions of their own."""
    demonstrated = started("demo", "--recording", str(recording), "-o", "demo", "--domain-id", str(DOMAIN_ID))
    deadline, nodes = time.monotonic() + DEADLINE_S, []
    while len(nodes) < 2:
        assert time.monotonic() < deadline, demonstrated.log.read_text()
        assert demonstrated.poll() is None, demonstrated.log.read_text()
        nodes = Path(f"/proc/{demonstrated.pid}/task/{demonstrated.pid}/children").read_text().split()
    demonstrated.send_signal(signal.SIGTERM)
    assert demonstrated.wait(DEADLINE_S) == 143, demonstrated.log.read_text()
    assert demonstrated.log.read_text().endswith("demo: interrupted; everything that was started has ended.\n")
    assert not any(Path(f"/proc/{node}").exists() for node in nodes)


QUICK = """
from rclpy.node import Node
from rclpy.task import Future
from gcseg_ros.nodes.run import run

class Quick(Node):
    def __init__(self):
        super().__init__("quick")
        self.done = Future()

    def start(self):
        self.executor.create_task(self.done.set_result, 3)

run("quick", Quick)
"""


def test_a_node_that_is_done_as_soon_as_it_is_started_ends_with_its_status(environment):
    """As replay_node's thread is where no frame can be used: it would go on for ever if the executor came after the start."""
    ended = subprocess.run(
        [sys.executable, "-c", QUICK], env=environment, stderr=subprocess.PIPE, text=True, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (3, "")
