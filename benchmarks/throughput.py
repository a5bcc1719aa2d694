"""Frames per second, memory and their flatness: `python benchmarks/throughput.py RECORDING... [--json FILE]`.

The whole pipeline from files to labels, decoding included, as `gcseg map` runs it. "Second half / first half" compares medians
of the time per frame; memory is the process's resident size after the first half and at the end.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import load_config
from gcseg_ros.consoles import print_table
from gcseg_ros.errors import UserError
from gcseg_ros.files import write_json_atomic
from gcseg_ros.mapper import Mapper
from gcseg_ros.recordings import open_recording, prefetch
from gcseg_ros.run import detected_ahead


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def run(name: str, settings: list[str]) -> dict[str, float | str]:
    """One recording from its first to its last frame."""
    recording = open_recording(name)
    frames, ends, memory = len(recording), [time.perf_counter()], []
    mapper = Mapper(load_config(None, settings))
    for detections in detected_ahead(mapper, prefetch(iter(recording))):
        mapper.track(detections)
        ends.append(time.perf_counter())
        memory.append(resident_mb())
    each = 1000 * np.diff(ends)[5:]  # the first frames compile
    half = len(each) // 2
    if not half:
        raise UserError(f"{name} has {len(memory)} frames: expected at least 7, of which the first 5 are not counted.")
    return {
        "recording": name,
        "frames": frames,
        "frames_per_second": round(1000 * len(each) / each.sum(), 1),
        "median_ms": round(float(np.median(each)), 1),
        "p95_ms": round(float(np.percentile(each, 95)), 1),
        "second_half_over_first": round(float(each[half:].mean() / each[:half].mean()), 2),
        "memory_half_mb": round(memory[len(memory) // 2]),
        "memory_end_mb": round(memory[-1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--set", action="append", default=[], metavar="PART.NAME=VALUE")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rows = [run(name, options.set) for name in options.recordings]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    print_table(table)
    if options.json:
        write_json_atomic(options.json, rows)


if __name__ == "__main__":
    sys.exit(plainly(main))
