"""Sparse convolution engine by engine, and the whole Segmenter: `python benchmarks/sparse_conv.py [--json FILE]`.

Res16UNet34C, forward and backward, on generated rooms of about 50k, 100k and 150k voxels of 2 cm, in one run: median time,
its ratio to ours, peak memory of a process of its own, and the share of this machine's dense fp32 matrix product's rate. The engines
take turns, several rounds long, since machines become slower and faster meanwhile. Engines: ours in fp32 and
bf16, spconv and MinkowskiEngine where they are installed, and with --prototype FILE another file with the interface of our
first prototype. Weights are random: nothing is learned here. The Segmenter runs with every architecture on the room of 100k.
`--device cuda` does the same on a GPU; peak memory is then the GPU's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.consoles import print_table
from gcseg_ros.files import write_json_atomic
from gcseg_ros.segmentation.kernel_maps import kernel_map
from gcseg_ros.segmentation.layers import SparseConvolution, SparseTransposedConvolution
from gcseg_ros.segmentation.network import Mask3D, NetworkConfig
from gcseg_ros.segmentation.res16unet import ARCHITECTURES, Res16UNet
from gcseg_ros.segmentation.segmenter import Segmenter
from gcseg_ros.segmentation.sparse_tensor import SparseTensor

VOXEL_M = 0.02


def room(voxels: int, seed: int = 0) -> np.ndarray:
    """(N, 3) points of a furnished room of about so many 2 cm voxels: floor, walls, boxes at any angle, 3 mm of noise."""
    low, high = 1.0, 15.0
    for _ in range(12):
        length = (low + high) / 2
        points = room_of(length, np.random.default_rng(seed))
        if len(np.unique(np.floor(points / VOXEL_M), axis=0)) > voxels:
            high = length
        else:
            low = length
    return points


def room_of(length: float, rng: np.random.Generator) -> np.ndarray:
    width, height = 0.8 * length, 1.8
    parts = []

    def surface(corner, u, v):  # type: ignore[no-untyped-def]
        u, v = np.array(u, float), np.array(v, float)
        along = rng.random((int(np.linalg.norm(u) * np.linalg.norm(v) / 0.011**2), 2))
        parts.append(np.array(corner, float) + along[:, :1] * u + along[:, 1:] * v)

    surface([0, 0, 0], [length, 0, 0], [0, width, 0])
    for corner, along in (([0, 0, 0], [length, 0, 0]), ([0, width, 0], [length, 0, 0]), ([0, 0, 0], [0, width, 0])):
        surface(corner, along, [0, 0, height])
    surface([length, 0, 0], [0, width, 0], [0, 0, height])
    for _ in range(int(length * width / 2.5)):
        x, y = rng.random(2) * [length, width]
        a, b, h = 0.3 + 0.7 * rng.random(3)
        angle = rng.random() * math.pi
        u = np.array([a * math.cos(angle), a * math.sin(angle), 0])
        v = np.array([-b * math.sin(angle), b * math.cos(angle), 0])
        corner = np.array([x, y, 0])
        surface(corner + np.array([0, 0, h]), u, v)
        for start, along in ((corner, u), (corner, v), (corner + v, u), (corner + u, v)):
            surface(start, along, [0, 0, h])
    points = np.concatenate(parts)
    turn = np.array([[math.cos(0.37), math.sin(0.37), 0], [-math.sin(0.37), math.cos(0.37), 0], [0, 0, 1]])
    return (points + rng.normal(0, 0.003, points.shape)) @ turn + [0, 0, 0.009]


def multiplications(network: Res16UNet, x: SparseTensor) -> float:
    """Floating point operations of a forward pass: 2 C_in C_out for each pair of voxels that meet in a kernel."""
    total = 0.0

    def count(layer, inputs, keywords, output):  # type: ignore[no-untyped-def]
        if isinstance(layer, SparseTransposedConvolution):
            pairs = len(output.level)
        elif layer.size % 2 and layer.size > 1:
            pairs = kernel_map(output.level, layer.size, layer.dilation).pairs
        else:
            pairs = len(inputs[0].level)
        nonlocal total
        total += 2.0 * pairs * layer.kernel.shape[-2] * layer.kernel.shape[-1]

    hooks = [
        module.register_forward_hook(count, with_kwargs=True)
        for module in network.modules()
        if isinstance(module, SparseConvolution | SparseTransposedConvolution)
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return total


def dense_rate(device: str) -> float:
    """Operations a second of a 2048 x 2048 fp32 matrix product, the median of nine."""
    a = torch.randn(2048, 2048, device=device)
    a @ a
    times = [timed(lambda: a @ a, device) for _ in range(9)]
    return 2 * 2048**3 / statistics.median(times)


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds until the work is done, on the GPU too."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_gb(device: str) -> float:
    """Resident memory of this process so far, or of the GPU for its tensors."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def load_prototype(file: str):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("prototype", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runner(engine: str, coordinates: torch.Tensor, features: torch.Tensor, prototype: str) -> Callable[[bool], None]:
    """What runs the engine once from coordinates on, maps included; its argument: whether backward too."""
    torch.manual_seed(0)
    if engine == "prototype":
        module = load_prototype(prototype)
        network = module.Res16UNet34C(3, 20)

        def run(backward: bool) -> None:
            level, order = module.make_level(coordinates[:, 1:] - coordinates[:, 1:].amin(0))
            network.train(backward)
            out, _ = network(module.ST(features[order], level))
            if backward:
                out.F.square().mean().backward()

        return run
    device = coordinates.device.type
    network = Res16UNet("34C").to(device)
    backend = "torch" if engine in ("ours", "ours bf16") else engine

    def run(backward: bool) -> None:
        network.train(backward)
        with torch.autocast(device, torch.bfloat16, enabled=engine == "ours bf16"):
            x, _ = SparseTensor.of_points(coordinates, features, backend)
            out = network(x)[-1]
        if backward:
            out.features.square().mean().backward()

    return run


def measure(engine: str, voxels: int, backward: bool, repeats: int, prototype: str, device: str) -> dict[str, float]:
    """In this process: median seconds, peak memory added by the runs (GB, maps and activations, not the libraries)."""
    cells = np.unique(np.floor(room(voxels) / VOXEL_M).astype(np.int64), axis=0)
    coordinates = torch.from_numpy(np.column_stack([np.zeros(len(cells), np.int64), cells]))
    coordinates = coordinates[torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))].to(device)
    features = torch.randn(len(cells), 3).to(device)
    run = runner(engine, coordinates, features, prototype)
    before = peak_gb(device)
    with torch.set_grad_enabled(backward):
        times = [timed(lambda: run(backward), device) for _ in range(repeats + 1)]
    peak = peak_gb(device)
    result = {
        "voxels": len(cells),
        "seconds": statistics.median(times[1:]),
        "fastest_s": min(times[1:]),
        "peak_gb": peak,
        "added_gb": peak - before,
    }
    if not backward:
        x, _ = SparseTensor.of_points(coordinates, features, "torch")
        operations = multiplications(Res16UNet("34C").to(device).eval(), x)
        result["dense_share"] = operations / result["seconds"] / dense_rate(device)
    return result


def measure_segmenter(architecture: str, voxels: int, repeats: int, device: str) -> dict[str, float]:
    """In this process: the whole Segmenter with 100 queries on points, random weights."""
    torch.manual_seed(0)
    points = room(voxels)
    colours = np.random.default_rng(0).integers(0, 256, points.shape).astype(np.uint8)
    result = {}
    for precision in ("fp32", "bf16"):
        segmenter = Segmenter(Mask3D(NetworkConfig(architecture)), device=device, precision=precision)  # type: ignore[arg-type]
        times = [timed(lambda: segmenter(points, colours), device) for _ in range(repeats + 1)]  # noqa: B023
        result[f"seconds_{precision}"] = statistics.median(times[1:])
        if precision == "fp32":
            result["peak_gb"] = peak_gb(device)
    result["parameters_m"] = sum(p.numel() for p in segmenter.network.parameters()) / 1e6
    result["points"] = len(points)
    return result


def in_turns(engines: list[str], rounds: int, *arguments: object) -> dict[str, dict[str, float]]:
    """Of each engine: medians over the rounds, the fastest run, the highest peak, and the median of its times' ratios to the first one's."""
    measured: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    for number in range(rounds):
        # in every other round backwards, so that no engine always follows the same one
        for engine in engines[:: 1 if number % 2 == 0 else -1]:
            measured[engine].append(in_its_own_process("engine", arguments[0], engine, *arguments[1:]))
    first = [run["seconds"] for run in measured[engines[0]]]
    results = {}
    for engine, runs in measured.items():
        result = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        result["fastest_s"] = min(run["fastest_s"] for run in runs)
        result["peak_gb"] = max(run["peak_gb"] for run in runs)
        result["ratio"] = statistics.median(run["seconds"] / ours for run, ours in zip(runs, first))
        results[engine] = result
    return results


def in_its_own_process(*arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments} failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, nargs="*", default=[50_000, 100_000, 150_000])
    parser.add_argument("--rounds", type=int, default=3, help="turns of every engine")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs in a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--prototype", default="", metavar="FILE")
    parser.add_argument("--no-backward", action="store_true")
    parser.add_argument("--no-segmenter", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, threads, *arguments = json.loads(options.one)
        torch.set_num_threads(threads)
        print(json.dumps((measure if kind == "engine" else measure_segmenter)(*arguments)))
        return
    optional = [
        name
        for name, package in (("spconv", "spconv"), ("minkowski", "MinkowskiEngine"))
        if importlib.util.find_spec(package)
    ]
    engines = ["ours", *(["prototype"] if options.prototype else []), "ours bf16", *optional]
    rows = []
    for voxels in options.voxels:
        for backward in (False,) if options.no_backward else (False, True):
            able = [engine for engine in engines if not (backward and engine == "ours bf16")]
            arguments = options.threads, voxels, backward, options.repeats, options.prototype, options.device
            for engine, figures in in_turns(able, options.rounds, *arguments).items():
                rows.append({"engine": engine, "pass": "both" if backward else "forward", **figures})
    table = Table("engine", "pass", "voxels", "s", "fastest", "to ours", "peak GB", "added", "of dense fp32")
    for row in rows:
        share = f"{100 * row['dense_share']:.0f} %" if "dense_share" in row else ""
        seconds, fastest = f"{row['seconds']:.2f}", f"{row['fastest_s']:.2f}"
        memory, added = f"{row['peak_gb']:.2f}", f"{row['added_gb']:.2f}"
        ratio = f"{row['ratio']:.2f}"
        table.add_row(
            row["engine"], row["pass"], f"{row['voxels']:,.0f}", seconds, fastest, ratio, memory, added, share
        )
    if rows:
        print_table(table)
    segmenters = []
    if not options.no_segmenter:
        for architecture in ARCHITECTURES:
            figures = in_its_own_process(
                "segmenter", options.threads, architecture, 100_000, options.repeats, options.device
            )
            segmenters.append({"architecture": architecture, **figures})
        table = Table("Segmenter, 100k voxels, 100 queries", "parameters, million", "fp32 s", "bf16 s", "peak GB")
        for row in segmenters:
            figures = [f"{row[name]:.2f}" for name in ("parameters_m", "seconds_fp32", "seconds_bf16", "peak_gb")]
            table.add_row(str(row["architecture"]), *figures)
        print_table(table)
    if options.json:
        write_json_atomic(options.json, {"engines": rows, "segmenters": segmenters})


if __name__ == "__main__":
    sys.exit(plainly(main))
