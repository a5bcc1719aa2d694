"""A command that waits for a lifecycle node, as a process over DDS."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from ros_graph import DOMAIN_ID

from gcseg_ros.nodes import graph
from gcseg_ros.nodes.mapping_node import MappingNode


@pytest.fixture
def waiting(ros):
    """start(command) -> a process that runs it when the test's mapping_node is active."""
    started = []
    environment = {**os.environ, **graph.environment(), "ROS_DOMAIN_ID": str(DOMAIN_ID)}

    def start(*command):
        whole = [sys.executable, "-m", "gcseg_ros.nodes.when_active", f"{ros.namespace}/mapping_node", *command]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(whole, env=environment, text=True, **pipes)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def asks(ros, node):
    """Whether somebody asks for the node's state."""
    clients = [
        node.get_client_names_and_types_by_node(name, namespace)
        for name, namespace in node.get_node_names_and_namespaces()
        if name == "when_active"
    ]
    return any(f"{ros.namespace}/mapping_node/get_state" in dict(found) for found in clients)


def test_it_runs_once_the_node_is_active_and_not_before(ros, waiting):
    node = ros.add(MappingNode, autostart=False)
    process = waiting("echo", "now")
    ros.until(lambda: asks(ros, node))
    node.trigger_configure()
    ros.spin_for(1.0)
    assert process.poll() is None
    node.trigger_activate()
    ros.until(lambda: process.poll() is not None)
    assert (process.returncode, process.communicate()[0]) == (0, "now\n")


def test_what_cannot_be_run_is_one_sentence(ros, waiting):
    ros.add(MappingNode).start()
    process = waiting("no-such-program")
    ros.until(lambda: process.poll() is not None)
    assert process.returncode == 1
    assert process.communicate()[1].splitlines()[-1] == "no-such-program cannot be run: No such file or directory."


def test_it_is_left_by_ctrl_c(ros, waiting):
    node = ros.add(MappingNode, autostart=False)
    process = waiting("echo", "never")
    ros.until(lambda: asks(ros, node))
    process.send_signal(signal.SIGINT)
    ros.until(lambda: process.poll() is not None)
    assert process.returncode == 130
    assert process.communicate()[0] == ""


@pytest.mark.parametrize("after_s", [0, 0.05, 0.5])
def test_ctrl_c_between_two_calls_of_ros_is_no_error(after_s):
    """ROS answers SIGINT by shutting its context down, here by itself: whatever call comes next finds it gone."""
    program = f"""
import sys, threading, time, rclpy
from gcseg_ros.nodes import when_active

def shut_down():
    while not rclpy.ok():
        time.sleep(0.01)
    time.sleep({after_s})
    rclpy.shutdown()

threading.Thread(target=shut_down, daemon=True).start()
sys.argv = ["when_active", "/nobody/mapping_node", "echo", "never"]
when_active.main()
"""
    environment = {**os.environ, **graph.environment(), "ROS_DOMAIN_ID": str(DOMAIN_ID)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
