"""replay -> mapping_node -> segmentation_node -> query_node as processes over DDS: ids while the map grows, an answer at the end."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from retrieval.tiny_clip import write_tiny_clip
from ros_graph import CAMERA, DOMAIN_ID
from scannet_folder import write_scannet_folder

pytest.importorskip("rclpy", reason="rclpy is not installed")

from gcseg_ros.files import read_json

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "id_switches.py"
FRAMES = 26
WALL_M, BOX_M = 2.0, 1.5
BOX_Y, BOX_Z = (-0.5, 0.2), (0.8, 1.3)


def seen_from(y):
    """Depth (48, 64) and which pixels show the box, from (0, y, 1), looking along the world's x."""
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    across = y - (u - CAMERA.cx) / CAMERA.fx * BOX_M
    up = 1 - (v - CAMERA.cy) / CAMERA.fy * BOX_M
    box = (across > BOX_Y[0]) & (across < BOX_Y[1]) & (up > BOX_Z[0]) & (up < BOX_Z[1])
    return np.where(box, BOX_M, WALL_M), box


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A box before a wall that comes into view as the camera moves sideways; ScanNet's layout, with the truth."""
    folder = tmp_path_factory.mktemp("room")
    frames = []
    for i in range(FRAMES):
        y = 0.5 - i / FRAMES
        depth_m, box = seen_from(y)
        colour = np.where(box[..., None], (200, 120, 40), 60).astype(np.uint8)
        pose = np.eye(4)
        pose[:3] = [[0, 0, 1, 0], [-1, 0, 0, y], [0, -1, 0, 1]]
        frames.append((f"{i:06d}", colour, 1000 * depth_m, pose))
    write_scannet_folder(folder, frames, CAMERA.matrix)
    y, z = (axis.ravel() for axis in np.meshgrid(np.arange(-2, 2, 0.02), np.arange(0, 2, 0.02)))
    inside = (y > BOX_Y[0]) & (y < BOX_Y[1]) & (z > BOX_Z[0]) & (z < BOX_Z[1])
    points = np.stack([np.where(inside, BOX_M, WALL_M), y, z], axis=1).astype(np.float32)
    np.savez(folder / "gt_cloud.npz", points=points, instance=np.where(inside, 2, 1))
    return folder


def test_objects_keep_their_ids_and_a_text_is_answered(room, tmp_path):
    pytest.importorskip("open_clip", reason="queries need open_clip")
    clip = write_tiny_clip(tmp_path / "clip")
    command = [sys.executable, BENCHMARK, room, "--rate", "0.25", "--hz", "30", "--json", tmp_path / "ids.json"]
    command += ["--domain-id", str(DOMAIN_ID), "--clip-model", clip, "--device", "cpu"]
    command += ["--ask", "box; -wall", "--ask", ""]
    done = subprocess.run(map(str, command), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found = read_json(tmp_path / "ids.json")
    of_segmentation = found["rows"][0]
    assert of_segmentation["publications"] >= 10, done.stdout
    assert of_segmentation["points_last"] > 1.2 * of_segmentation["points_first"], "the map grows"
    assert of_segmentation["found_ten"] == of_segmentation["one_id"] == 2, done.stdout
    assert of_segmentation["switches"] == 0
    assert "“box”: object" in found["answers"][0]
    assert any("A query is one text" in sentence for sentence in found["answers"])
