"""Speed of the synthetic generator: `python benchmarks/synthetic.py [--views N] [--json FILE]`.

One thread a measurement; the first views are left out (compilation).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from gcseg_ros.commands.endings import plainly
from gcseg_ros.files import write_json_atomic
from gcseg_ros.recordings.synthetic import TRAINING_STYLES, build_room, random_view, render, training_view
from gcseg_ros.recordings.synthetic.recording import CAMERA
from gcseg_ros.recordings.synthetic.sensor import SENSORS, ColourSensor, sense_colour, sense_depth


def main() -> None:
    """Print a table of milliseconds a step and frames a second."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--views", type=int, default=240, help="training views to time")
    arguments.add_argument("--json", type=Path, help="also write the figures to this file")
    options = arguments.parse_args()
    training_view(0)
    spent = dict.fromkeys(
        ("room", "viewpoint", "render 320x240", "render 640x480", "depth sensor", "colour sensor"), 0.0
    )
    count = dict.fromkeys(spent, 0)

    def timed(name: str, function, *values):
        start = time.perf_counter()
        result = function(*values)
        spent[name] += time.perf_counter() - start
        count[name] += 1
        return result

    for k, style in enumerate(TRAINING_STYLES):
        room = timed("room", build_room, 500 + k, style)
        rng = np.random.default_rng(k)
        for _ in range(3):
            camera, pose = timed("viewpoint", random_view, room, rng)
            view = timed("render 320x240", render, room, camera, pose)
            timed("depth sensor", sense_depth, view, SENSORS["kinect"], rng)
            timed("colour sensor", sense_colour, view.colour, ColourSensor(), rng)
        timed("render 640x480", render, room, CAMERA, pose)
    steps_ms = {name: 1000 * seconds / count[name] for name, seconds in spent.items()}
    for name, step_ms in steps_ms.items():
        print(f"{name:16s} {step_ms:7.1f} ms")
    start = time.perf_counter()
    for seed in range(24_000, 24_000 + options.views):
        training_view(seed)
    rate = options.views / (time.perf_counter() - start)
    print(f"training_view    {rate:7.1f} frames/s (one thread, 320x240, everything)")
    if options.json:
        write_json_atomic(options.json, {"steps_ms": steps_ms, "training_views_per_second": rate})


if __name__ == "__main__":
    sys.exit(plainly(main))
