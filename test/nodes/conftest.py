"""Fixtures of the ROS graph of one test."""

import pytest
from ros_graph import CAMERA, Camera, Ros, tiny_frame
from scannet_folder import write_scannet_folder


@pytest.fixture
def frames():
    return [tiny_frame(i) for i in range(6)]


@pytest.fixture
def ros():
    pytest.importorskip("rclpy", reason="rclpy is not installed (its wheels need Python 3.11 to 3.13)")
    graph = Ros()
    yield graph
    graph.close()


@pytest.fixture
def camera(ros):
    return Camera(ros)


@pytest.fixture
def recording(tmp_path, frames):
    """The frames as a folder in ScanNet's layout."""
    views = ((frame.name, frame.colour, 1000 * frame.depth_m, frame.pose) for frame in frames)
    return write_scannet_folder(tmp_path / "walk", views, CAMERA.matrix)
