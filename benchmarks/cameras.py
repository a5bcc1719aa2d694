"""The same rooms through other cameras, and in worlds that do not stand upright: `python benchmarks/cameras.py [SYNTHETIC...] [--json FILE]`.

SYNTHETIC is synthetic:SEED:STYLE:FRAMES; default: three rooms. Each is rendered, mapped with the default settings and scored
(AP / AP50 / AP25 of all instances in percent, ScanNet's protocol, class-agnostic) once for each camera, against what that
camera saw. All have the same path and, per pixel, the same noise of depth. The worlds are turned by 130 degrees, which is not told (that of
a SLAM which begins at the camera), and by 20, told to be upright (a camera's tilt is missing in its odometry).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from accuracy import scores
from rich.table import Table
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.registration import as_fine_as_colour, register_colour
from gcseg_ros.commands.endings import plainly
from gcseg_ros.consoles import console, print_table
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.truth import carry
from gcseg_ros.files import write_json_atomic
from gcseg_ros.frames import CameraIntrinsics, Frame, nearest_pixels
from gcseg_ros.mapper import Mapper
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.synthetic.recording import CAMERA, SyntheticRecording, TruthBuilder

ROOMS = ["synthetic:6001:living:60", "synthetic:6003:office:60", "synthetic:6008:lounge:60"]
THROWN = range(20, 25)  # frames


def of_lidar(frame: Frame, width: int, height: int) -> Frame:
    """As a phone's recording is read: depth of few pixels, colour of many."""
    depth, camera = nearest_pixels(frame.depth_m, height, width), frame.intrinsics.scaled(width, height)
    depth, camera = as_fine_as_colour(depth, camera, frame.colour)
    colour = register_colour(frame.colour, frame.intrinsics, camera)
    return replace(frame, colour=colour, depth_m=depth, intrinsics=camera)


def grey(frame: Frame, index: int) -> Frame:
    return replace(frame, colour=np.repeat(frame.colour.mean(2, keepdims=True).astype(np.uint8), 3, 2))


def thrown(frame: Frame, index: int) -> Frame:
    """Tracking is lost for a moment."""
    pose = frame.pose.copy()
    pose[:3, 3] += (index in THROWN) * np.random.default_rng(index).normal(size=3)
    return replace(frame, pose=pose)


def realsense(width: int, height: int, focal: float) -> CameraIntrinsics:
    return CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def unchanged(frame: Frame, index: int) -> Frame:
    return frame


UPRIGHT, LYING, TILTED = (Rotation.from_rotvec(np.radians(axis)) for axis in ([0, 0, 0], [-110, 60, 30], [16, 12, 0]))


class Seen(NamedTuple):
    """Through which camera, what becomes of its frames, how the world of their poses is turned, and whether its z axis is said to point up."""

    camera: CameraIntrinsics = CAMERA
    as_frame: Callable[[Frame, int], Frame] = unchanged
    world: Rotation = UPRIGHT
    z_up: bool = True


CAMERAS = {
    "640x480, as all other figures": Seen(),
    "held upright, images on their side": Seen(as_frame=lambda frame, index: frame.turned(1)),
    "848x480 (RealSense)": Seen(realsense(848, 480, 615)),
    "1280x720 (RealSense)": Seen(realsense(1280, 720, 920)),
    "depth 256x192 (a phone's LiDAR)": Seen(as_frame=lambda frame, index: of_lidar(frame, 256, 192)),
    "depth 160x120": Seen(as_frame=lambda frame, index: of_lidar(frame, 160, 120)),
    "without colour": Seen(as_frame=grey),
    "five frames a metre off": Seen(as_frame=thrown),
    "a world that lies anyhow": Seen(world=LYING, z_up=False),
    "a world tilted by 20 degrees": Seen(world=TILTED),
}


def room_scores(room: str, seen: Seen) -> list[float]:
    """AP, AP50, AP25 in percent."""
    recording, mapper = open_recording(room), Mapper()
    if not isinstance(recording, SyntheticRecording):
        raise UserError(f"{room} cannot be seen by other cameras: expected synthetic:SEED:STYLE:FRAMES.")
    recording.intrinsics = seen.camera
    turn = np.eye(4)
    turn[:3, :3] = seen.world.as_matrix()
    truth = TruthBuilder(recording.room)
    for index, (frame, view) in enumerate(recording.views()):
        truth.add(view, seen.camera, frame.pose, stride=2)
        frame = seen.as_frame(frame, index)
        mapper.step(replace(frame, pose=turn @ frame.pose, z_up=seen.z_up))
    true, found = truth.cloud(), mapper.instances()
    instance, _ = carry(found.points, found.instance, seen.world.apply(true.points))
    return scores(true, instance, {o.id: o.confidence for o in found.objects})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", default=ROOMS)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rows, table = [], Table("camera", *options.rooms, "mean")
    for name, seen in CAMERAS.items():
        found = [room_scores(room, seen) for room in options.rooms]
        rows.append({"camera": name, "rooms": found, "mean": np.mean(found, axis=0).round(1).tolist()})
        table.add_row(name, *(" / ".join(map(str, figures)) for figures in [*found, rows[-1]["mean"]]))
        console.print(rows[-1])
    print_table(table)
    if options.json:
        write_json_atomic(options.json, {"rooms": options.rooms, "rows": rows})


if __name__ == "__main__":
    sys.exit(plainly(main))
