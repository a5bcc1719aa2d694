"""Lift + vote of a frame beside Open3D's VoxelBlockGrid: `python benchmarks/integration.py RECORDING [--json FILE]`.

The same frames, the same voxel size, one run, frames alternating, medians. Open3D integrates depth and colour into a TSDF
of the same map; ours lifts the points and adds colour, normals and label votes, once at the working resolution that the
mapper uses and once at the full one. Needs `pip install open3d` (and the system's libusb-1.0).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import InputConfig, MapConfig
from gcseg_ros.consoles import print_table
from gcseg_ros.errors import UserError
from gcseg_ros.files import write_json_atomic
from gcseg_ros.mapping.voxel_map import VoxelMap
from gcseg_ros.recordings import open_recording
from gcseg_ros.views import ViewBuilder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    try:
        import open3d as o3d
        import open3d.core as o3c
    except (ImportError, OSError) as error:
        raise SystemExit(f"This benchmark needs Open3D: pip install open3d ({error}).") from None

    voxel_m = MapConfig().voxel_m
    grid = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight", "color"), (o3c.float32, o3c.float32, o3c.float32), ((1,), (1,), (3,)), voxel_m, 16, 20000
    )
    build = {
        "ours, working resolution": ViewBuilder(InputConfig()),
        "ours, full resolution": ViewBuilder(InputConfig(working_width_px=10_000)),
    }
    maps = {name: VoxelMap(MapConfig()) for name in build}
    times: dict[str, list[float]] = {name: [] for name in (*build, "Open3D VoxelBlockGrid")}
    for frame in itertools.islice(open_recording(options.recording), options.frames):
        for name, view_of in build.items():
            view = view_of(frame)
            labels = np.ones(view.depth_m.shape, np.int32)
            start = time.perf_counter()
            maps[name].integrate(view, labels)
            times[name].append(time.perf_counter() - start)
        depth = o3d.t.geometry.Image(o3c.Tensor((frame.depth_m * 1000).astype(np.uint16)))
        colour = o3d.t.geometry.Image(o3c.Tensor(np.ascontiguousarray(frame.colour)))
        K = o3c.Tensor(frame.intrinsics.matrix)
        extrinsic = o3c.Tensor(np.linalg.inv(frame.pose))
        start = time.perf_counter()
        blocks = grid.compute_unique_block_coordinates(depth, K, extrinsic, 1000.0, InputConfig().depth_max_m)
        grid.integrate(blocks, depth, colour, K, K, extrinsic, 1000.0, InputConfig().depth_max_m)
        times["Open3D VoxelBlockGrid"].append(time.perf_counter() - start)

    frames = len(times["Open3D VoxelBlockGrid"])
    half = frames // 2
    if half <= 5:
        raise UserError(f"There are {frames} frames: expected at least 12, of which the first 5 are not counted.")
    rows = [
        {
            "engine": name,
            "median_ms": 1000 * statistics.median(ts[5:]),
            "second_half_over_first": statistics.median(ts[half:]) / statistics.median(ts[5:half]),
        }
        for name, ts in times.items()
    ]
    table = Table("engine", "ms a frame, median", "second half / first half")
    for row in rows:
        table.add_row(row["engine"], f"{row['median_ms']:.1f}", f"{row['second_half_over_first']:.2f}")
    print_table(table)
    if options.json:
        write_json_atomic(options.json, rows)


if __name__ == "__main__":
    sys.exit(plainly(main))
