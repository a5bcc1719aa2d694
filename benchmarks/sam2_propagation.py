"""SAM 2 propagation: time a frame against the number of objects, and memory over a long video.

    python benchmarks/sam2_propagation.py                               tiny network with random weights on the CPU
    python benchmarks/sam2_propagation.py --configuration configs/sam2.1/sam2.1_hiera_l.yaml --device cuda [--weights sam2.1-large]
    python benchmarks/sam2_propagation.py --memory 300                  both parts, SAM and SAM 2, over so many frames: resident memory

Random weights take the time of trained ones. Medians; each number of objects in windows of 10 frames of 640x480. On a CPU it is
the processor's time with one thread, which does not depend on what else runs.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import FoundationConfig, load_config
from gcseg_ros.consoles import print_table
from gcseg_ros.files import write_json_atomic
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.mapper import Mapper
from gcseg_ros.networks.runtime import Runtime
from gcseg_ros.networks.sam2 import build_sam2, load_sam2
from gcseg_ros.propagation.sam2_window import Sam2Window

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))
from tiny_networks import CONFIGURATION, TINY_SAM2, tiny_sam, tiny_sam2

HEIGHT, WIDTH, WINDOW = 480, 640, 10
OBJECTS = 1, 8, 32


def network(options: argparse.Namespace, runtime: Runtime) -> Any:
    foundation = FoundationConfig(device=options.device, precision=options.precision)
    if options.weights:
        return load_sam2(options.weights, options.configuration, options.overrides, foundation, runtime)
    if options.configuration is None:
        built = tiny_sam2()
    else:
        torch.manual_seed(0)
        built = build_sam2(options.configuration, tuple(options.overrides.split()))
    runtime.place(built, built.image_encoder, built.image_size)
    return built


def discs(count: int) -> np.ndarray:
    """(count, 480, 640) bool."""
    rng = np.random.default_rng(0)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    centres, radii = rng.uniform((60, 60), (420, 580), (count, 2)), rng.uniform(15, 50, count)
    return np.stack([(v - y) ** 2 + (u - x) ** 2 < r * r for (y, x), r in zip(centres, radii)])


def time_a_frame(window: Sam2Window, objects: int, frames: int) -> dict[str, float]:
    """Median ms of encoding a picture, of prompting and of following all objects."""
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 255, (WINDOW, HEIGHT, WIDTH, 3), dtype=np.uint8)
    masks, ids = discs(objects), list(range(1, objects + 1))
    encode, prompt, track = [], [], []
    for t in range(frames + WINDOW):  # the first window warms up
        encode.append(timed(window, lambda t=t: window.encode(pictures[t % WINDOW])))
        if t % WINDOW == 0:
            prompt.append(timed(window, lambda: window.prompt(ids, masks)))
        else:
            track.append(timed(window, lambda: window.track((HEIGHT, WIDTH))))
    medians = {name: statistics.median(times[len(times) // 3 :]) for name, times in
               (("encode_ms", encode), ("prompt_ms", prompt), ("track_ms", track))}  # fmt: skip
    return {"objects": objects, **medians, "frame_ms": medians["encode_ms"] + medians["track_ms"]}


def timed(window: Sam2Window, work: Any) -> float:
    if window.runtime.on_gpu:
        torch.cuda.synchronize()
    clock = time.perf_counter if window.runtime.on_gpu else time.process_time
    start = clock()
    work()
    if window.runtime.on_gpu:
        torch.cuda.synchronize()
    return 1000 * (clock() - start)


def walk(count: int) -> Iterator[Frame]:
    """A camera that goes to and fro before a wall with two boxes, 96x72."""
    camera = CameraIntrinsics(96, 72, 90, 90, 47.5, 35.5)
    for i in range(count):
        step = abs(i % 40 - 20)
        depth, colour = np.full((72, 96), 2.0, np.float32), np.full((72, 96, 3), 60, np.uint8)
        for left, shade in ((20, 160), (60, 220)):
            depth[20:50, left - step // 2 : left + 20 - step // 2] = 1.5
            colour[20:50, left - step // 2 : left + 20 - step // 2] = shade
        pose = np.eye(4)
        pose[0, 3] = 0.008 * step
        yield Frame(f"{i:06}", i / 30, colour, depth, camera, pose)


def resident_mb() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def memory_over(frames: int) -> list[dict[str, float]]:
    """Resident memory while mapping with both parts, tiny networks."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(tiny_sam().state_dict(), f"{folder}/sam.pth")
        torch.save({"model": tiny_sam2().state_dict()}, f"{folder}/sam2.pt")
        settings = ["masks.generator=sam", "propagation.method=sam2", "foundation.device=cpu"]
        settings += [f"masks.sam.weights={folder}/sam.pth", f"propagation.sam2.weights={folder}/sam2.pt"]
        settings += [f"propagation.sam2.configuration={CONFIGURATION}", f"propagation.sam2.overrides={TINY_SAM2}"]
        settings += ["masks.sam.points_per_side=4", "masks.sam.crop_n_layers=0", "masks.sam.pred_iou_thresh=0"]
        settings += [
            "masks.sam.box_nms_thresh=1",
            "propagation.sam2.max_growth=1000",
            "propagation.sam2.min_object_px=5",
        ]
        settings += ["masks.sam.stability_score_thresh=0", "tracking.keyframe_stride=10", "input.working_width_px=96"]
        mapper = Mapper(load_config(None, settings))
    rows = []
    for i, frame in enumerate(walk(frames), 1):
        mapper.step(frame)
        if i % max(frames // 6, 1) == 0:
            count, size = mapper.tracker.propagate.window.tensors()  # type: ignore[attr-defined]
            rows.append({"frame": i, "resident_mb": round(resident_mb(), 1), "tensors": count, "tensor_mb": size / 1e6})
    return rows


def shown(rows: list[dict[str, float]]) -> Table:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configuration", help="of the package sam2; default: a tiny network")
    parser.add_argument("--weights", help="name of gcseg weights list, or a file; default: random")
    parser.add_argument("--overrides", default="", help="changes to the configuration, as image_size=512")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--compile", action="store_true", help="compile the image encoder")
    parser.add_argument(
        "--batch", type=int, default=0, metavar="N", help="objects at once; default: 1 on a CPU, else 16"
    )
    parser.add_argument("--objects", type=int, nargs="+", default=OBJECTS, metavar="N", help="numbers of objects")
    parser.add_argument("--frames", type=int, default=20, help="frames for each number of objects")
    parser.add_argument("--memory", type=int, metavar="FRAMES", help="measure memory instead of time")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.memory:
        rows = memory_over(options.memory)
    else:
        runtime = Runtime.of(
            FoundationConfig(device=options.device, precision=options.precision, compile=options.compile)
        )
        window = Sam2Window(network(options, runtime), runtime, objects_per_batch=options.batch)
        if not runtime.on_gpu:
            torch.set_num_threads(1)
        rows = [time_a_frame(window, objects, options.frames) for objects in options.objects]
        if runtime.on_gpu:
            print(f"{torch.cuda.get_device_name()}, at most {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
    print_table(shown(rows))
    if options.json:
        write_json_atomic(options.json, rows)


if __name__ == "__main__":
    sys.exit(plainly(main))
