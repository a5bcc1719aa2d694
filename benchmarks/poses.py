"""Poses before and after `poses.refine`: `python benchmarks/poses.py RECORDING... [--json FILE]`.

RECORDING is a folder in ScanNet's exported layout with exact poses in pose/ and drifting ones in pose_noisy/, or
`synthetic:SEED:STYLE:FRAMES`. Nothing is segmented: views are registered with the map and lifted into it. The table has the mean
distance and angle from the exact poses, of poses of three kinds:

exact     as they are
drifting  pose_noisy: the position and the rotation are off by bounded random walks, each by itself
odometry  every motion is off by noise (0.05 degrees, 2 % of its length) and a bias (of the recording: 0.02 degrees of yaw, 1 sigma;
          1 % of the length); the errors add up
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from scipy.spatial.transform import Rotation

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import Config
from gcseg_ros.consoles import print_table
from gcseg_ros.files import write_json_atomic
from gcseg_ros.frames import Array, Frame
from gcseg_ros.mapping.pose_refinement import PoseRefinement
from gcseg_ros.mapping.voxel_map import VoxelMap
from gcseg_ros.recordings import open_recording
from gcseg_ros.views import ViewBuilder

SEED = 7


def odometry(exact: Array, number: int) -> Array:
    """(n, 4, 4) What adds up of measured motions."""
    random = np.random.default_rng([SEED, number])
    bias = np.array([0, random.normal(0, np.radians(0.02)), 0])  # camera frame: y points down
    poses = [exact[0]]
    for before, after in pairwise(exact):
        motion = np.linalg.inv(before) @ after
        off = Rotation.from_rotvec(random.normal(0, np.radians(0.05), 3) + bias)
        motion[:3, :3] = motion[:3, :3] @ off.as_matrix()
        motion[:3, 3] *= 1 + random.normal(0.01, 0.02)
        poses.append(poses[-1] @ motion)
    return np.array(poses)


def off(poses: Array, exact: Array) -> list[float]:
    """Mean distance in mm and angle in degrees."""
    turn = Rotation.from_matrix(poses[:, :3, :3] @ exact[:, :3, :3].transpose(0, 2, 1)).magnitude()
    shift = np.linalg.norm(poses[:, :3, 3] - exact[:, :3, 3], axis=1)
    return [round(1000 * float(shift.mean()), 1), round(float(np.degrees(turn.mean())), 2)]


def refined(frames: list[Frame], poses: Array) -> tuple[Array, float]:
    """(n, 4, 4) corrected poses, and median ms a view."""
    config = Config()
    build, voxel_map = ViewBuilder(config.input), VoxelMap(config.map)
    refine, result, seconds = PoseRefinement(voxel_map), [], []
    for frame, pose in zip(frames, poses):
        view = build(replace(frame, pose=pose))
        start = time.perf_counter()
        view = refine(view)
        seconds.append(time.perf_counter() - start)
        voxel_map.integrate(view, np.ones(view.depth_m.shape, np.int32))
        result.append(view.pose)
    return np.array(result), round(1000 * float(np.median(seconds)), 1)


def measure(name: str, number: int) -> list[dict[str, Any]]:
    frames = list(open_recording(name))
    exact = np.array([frame.pose for frame in frames])
    kinds: dict[str, Callable[[], Array]] = {
        "exact": lambda: exact,
        "drifting": lambda: np.array([frame.pose for frame in open_recording(name, poses="pose_noisy")]),
        "odometry": lambda: odometry(exact, number),
    }
    rows = []
    for kind, poses_of in kinds.items():
        given = poses_of()
        found, ms = refined(frames, given)
        rows.append(
            {"recording": name, "poses": kind, "given": off(given, exact), "refined": off(found, exact), "ms": ms}
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rows = [row for number, name in enumerate(options.recordings) for row in measure(name, number)]
    table = Table("recording", "poses", "given: mm, degrees", "refined: mm, degrees", "ms a view")
    for kind in ("exact", "drifting", "odometry"):
        of_kind = [row for row in rows if row["poses"] == kind]
        mean = {
            key: np.mean([row[key] for row in of_kind], axis=0).round(2).tolist() for key in ("given", "refined", "ms")
        }
        for row in (*of_kind, {"recording": "mean", "poses": kind, **mean}):
            cells = (f"{row[key][0]}, {row[key][1]}" for key in ("given", "refined"))
            table.add_row(row["recording"], row["poses"], *cells, str(row["ms"]))
    print_table(table)
    if options.json:
        write_json_atomic(options.json, {"seed": SEED, "rows": rows})


if __name__ == "__main__":
    sys.exit(plainly(main))
