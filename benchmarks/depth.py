"""What the temporal depth filter is worth: `python benchmarks/depth.py synthetic:SEED:STYLE:FRAMES ... [--json FILE]`.

Of generated walks the exact depth is known. The table has, by distance, the bias and the root mean square error of the depth that was measured and
of the filtered one (`input.filter_frames`), at working resolution, and how far the normals of the latter are off those of the exact depth. The first frames, of which
the filter knows little, and pixels whose measured depth is more than 15 cm off (beside edges) are left out.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import InputConfig, load_config
from gcseg_ros.consoles import print_table
from gcseg_ros.depth import decimate, normals_from
from gcseg_ros.errors import UserError
from gcseg_ros.files import write_json_atomic
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.synthetic import SyntheticRecording
from gcseg_ros.views import ViewBuilder

DISTANCES_M = (0.0, 1.5, 2.5, 3.5, 5.0, 8.0)
FIRST_FRAMES = 5
WRONG_M = 0.15


def errors(name: str, config: InputConfig) -> np.ndarray:
    """(pixels, 4) exact depth, error of the measured and of the filtered depth (m), angle between normals (degrees, NaN = one is unknown)."""
    recording = open_recording(name)
    if not isinstance(recording, SyntheticRecording):
        raise UserError(
            f"Exact depth is known of generated walks only: expected synthetic:SEED:STYLE:FRAMES, found {name}."
        )
    build, found = ViewBuilder(config), []
    for number, (frame, rendered) in enumerate(recording.views()):
        view = build(frame)
        if number < FIRST_FRAMES:
            continue
        factor = rendered.depth_m.shape[1] // view.depth_m.shape[1]
        exact = decimate(rendered.depth_m.astype(np.float32), factor, np.float32(config.depth_max_m))
        normals = normals_from(exact, view.intrinsics.pinhole)
        cosine = (normals * view.normals).sum(2)
        angle = np.where(cosine == 0, np.nan, np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        of = (exact > 0) & (view.measured_m > 0) & (np.abs(view.measured_m - exact) < WRONG_M)
        found.append(np.stack([exact, view.measured_m - exact, view.depth_m - exact, angle], axis=2)[of])
    if not found:
        raise UserError(
            f"{name} has too few frames: expected more than {FIRST_FRAMES}, of which the filter knows little."
        )
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", metavar="synthetic:SEED:STYLE:FRAMES")
    parser.add_argument("--filter-frames", type=float, default=InputConfig().filter_frames)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    config = load_config(None, [f"input.filter_frames={options.filter_frames}"]).input
    pixels = np.concatenate([errors(name, config) for name in options.recordings])
    columns = (
        "distance m",
        "bias mm, measured",
        "filtered",
        "RMSE mm, measured",
        "filtered",
        "normals: median degrees",
        "over 15",
    )
    table, rows = Table(*columns), list[dict[str, Any]]()
    for low, high in pairwise(DISTANCES_M):
        exact, measured, filtered, angle = pixels[(pixels[:, 0] >= low) & (pixels[:, 0] < high)].T
        if not len(exact):
            continue
        angle = angle[np.isfinite(angle)]
        bias = [1000 * float(error.mean()) for error in (measured, filtered)]
        rmse = [1000 * float(np.sqrt((error**2).mean())) for error in (measured, filtered)]
        median, far_off = float(np.median(angle)), float((angle > 15).mean())
        figures = {"bias_mm": bias, "rmse_mm": rmse, "normals_median_deg": median, "normals_over_15_deg": far_off}
        rows.append({"from_m": low, "to_m": high, **figures})
        table.add_row(f"{low} - {high}", *(f"{x:.1f}" for x in (*bias, *rmse, median)), f"{100 * far_off:.1f} %")
    print_table(table)
    if options.json:
        write_json_atomic(options.json, {"arguments": vars(options) | {"json": None}, "rows": rows})


if __name__ == "__main__":
    sys.exit(plainly(main))
