"""From a recording to an output folder: what `gcseg map`, the demo and the tests do."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TypeVar

from gcseg_ros.config import Config
from gcseg_ros.errors import UserError
from gcseg_ros.files import resolved
from gcseg_ros.frames import Frame
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.mapper import Detections, Mapper
from gcseg_ros.output import OutputFolder, recover
from gcseg_ros.recordings import Recording, prefetch
from gcseg_ros.state import STATE

T = TypeVar("T")
AHEAD = 2  # frames whose views wait for their masks, and whose masks wait to be tracked


def map_recording(
    recording: Recording,
    output: str | Path,
    config: Config | None = None,
    frames: slice = slice(None),
    overwrite: bool = True,
    resume: str | Path | None = None,
    state: bool = True,
    progress: Callable[[int], None] = lambda frames: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> tuple[InstanceMap, dict[str, Any]]:
    """Map the chosen `frames` of a recording into the folder `output`: the map and what `summary.json` holds.

    frames       which of the usable frames; start, stop and step count from 0 and are not negative
    resume       an earlier output to go on from; it may be `output` itself, if that gets a state again
    state        whether `output` gets what is needed to go on from it
    progress     called after each frame with the number of frames mapped so far
    interrupted  asked after each frame; once true, the map of the frames so far, and of those few begun, is written

    Raises UserError if the recording, the chosen frames, `resume` or `output` cannot be used; `output` is then as it
    was. Where only a later part of the recording is broken, a network fails at a later frame (the GPU's memory is
    full), or the disk has become full, the map of the frames before that is written first, as if interrupted there,
    without label images, views and state if only so it fits.
    """
    start = time.perf_counter()
    if resume is not None and not state and resolved(resume) in (out := resolved(output), out / STATE):
        raise UserError(
            f"{output} would lose the saved map that is gone on with: name another output, or leave out --no-state."
        )
    mapper = Mapper(config)
    if resume is not None:
        recover(resolved(resume))
        mapper.resume(resume)
    with OutputFolder(output, overwrite) as folder:
        chosen = islice(iter(recording), frames.start, frames.stop, frames.step)
        mapped, stopped, problems = map_frames(mapper, chosen, folder, progress, interrupted)
        if mapped == 0 and problems:
            raise problems[0]
        if mapped == 0:
            raise UserError(
                f"The chosen frames {frames.start or 0}:{frames.stop or ''} of {recording.path} are none: "
                f"it has {len(recording)}."
            )
        left = f"the map of the {mapped} frames" + (" before that" if problems else "")
        instances = mapper.instances()
        summary = {
            "recording": str(recording.path),
            "format": recording.format,
            "skipped_frames": dict(recording.skipped),
            "notes": [*recording.notes, *mapper.notes(), *map(str, problems)],
            "complete": not (stopped or problems),
            "resumed": str(resume) if resume is not None else None,
            **summarise(mapper, instances, mapped, time.perf_counter() - start),
        }
        if state:
            folder.add_state(mapper.save_state)
        folder.add_views(mapper.gatherer.views)
        folder.finish(instances, summary)
        if folder.left_out:
            problems.append(UserError(folder.why_left_out()))
            left += f", without {' and '.join(folder.left_out)}"
    if problems:
        raise UserError(f"{str(problems[0]).removesuffix('.')}; {output} holds {left}.")
    return instances, summary


def map_frames(
    mapper: Mapper,
    frames: Iterator[Frame],
    folder: OutputFolder,
    progress: Callable[[int], None],
    interrupted: Callable[[], bool],
) -> tuple[int, bool, list[UserError]]:
    """How many frames were mapped, whether that was interrupted, and what else ended it, if anything."""
    mapped, stopped = 0, False
    problems: list[UserError] = []
    with closing(prefetch(frames)) as read:
        # what has been detected when the mapping is stopped is still mapped
        wanted = takewhile(lambda _: not stopped, read)
        with closing(detected_ahead(mapper, wanted)) as detected:
            for _ in before_error(steps(mapper, detected, folder), problems):
                mapped += 1
                progress(mapped)
                stopped = stopped or interrupted()
    return mapped, stopped, problems


def steps(mapper: Mapper, detected: Iterator[Detections], folder: OutputFolder) -> Iterator[None]:
    """Map, frame by frame. A frame whose labels cannot be written has been mapped all the same: they are written before
    the next one."""
    for detections in detected:
        tracked = mapper.track(detections)
        yield
        folder.add(detections.frame.name, tracked.index, tracked.labels)


def before_error(items: Iterator[T], problems: list[UserError]) -> Iterator[T]:
    """The items up to the first UserError, which is put with the `problems`."""
    try:
        yield from items
    except UserError as error:
        problems.append(error)


def detected_ahead(mapper: Mapper, frames: Iterator[Frame]) -> Generator[Detections, None, None]:
    """What is to be tracked. Views, and masks in them, are made AHEAD of need, each in a thread of its own."""
    with closing(prefetch(((frame, mapper.view_of(frame)) for frame in frames), AHEAD)) as views:
        yield from prefetch((mapper.detect(*seen) for seen in views), AHEAD)


def summarise(mapper: Mapper, instances: InstanceMap, frames: int, seconds: float) -> dict[str, Any]:
    """What `summary.json` holds whatever the frames came from.

    frames, seconds  mapped by this process, and how long that took; `total_frames` counts those before a resume as well
    """
    statistics = mapper.statistics()
    return {
        "frames": frames,
        "total_frames": statistics["frames"],
        "keyframes": statistics["keyframes"],
        "instances": len(instances.objects),
        "objects": statistics["objects"],
        "ids": statistics["ids"],
        "voxels": statistics["voxels"],
        "poses": statistics["poses"],
        "views": mapper.gatherer.counts(),
        "wall_seconds": round(seconds, 3),
        "frames_per_second": round(frames / seconds, 2) if seconds else 0.0,
        "seconds_per_stage": statistics["seconds"],
        "peak_memory_mb": peak_memory_mb(),
        "config": mapper.config.model_dump(),
    }


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, in MB (10^6 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
