"""Fixtures of the ROS graph of one test."""

import numpy as np
import pytest
from ros_graph import CAMERA, Camera, Ros, tiny_frame


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
    import cv2

    folder = tmp_path / "walk"
    for part in ("color", "depth", "pose", "intrinsic"):
        (folder / part).mkdir(parents=True)
    for frame in frames:
        cv2.imwrite(str(folder / "color" / f"{frame.name}.png"), frame.colour[..., ::-1])
        cv2.imwrite(str(folder / "depth" / f"{frame.name}.png"), (frame.depth_m * 1000).round().astype(np.uint16))
        np.savetxt(folder / "pose" / f"{frame.name}.txt", frame.pose)
    K = np.eye(4)
    K[:3, :3] = CAMERA.matrix
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", K)
    np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", K)
    return folder
