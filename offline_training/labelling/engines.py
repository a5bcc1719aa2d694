"""Where scenes are labelled: one after the other in this process, or as Ray tasks."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gcseg_ros.errors import UserError
from gcseg_ros.packages import extra
from offline_training.labelling.scene import Labelled, Labelling, label_scene

Result = tuple[str, "Labelled | str"]
"""A scene, and its labels or one sentence about what went wrong."""


def label_here(
    scenes: Sequence[str], folder: Path, settings: Labelling, progress: Callable[[str, int, int], None]
) -> Iterator[Result]:
    """progress: called with scene, frames done and frames."""
    for scene in scenes:
        try:
            yield scene, label_scene(scene, folder, settings, lambda done, of: progress(scene, done, of))  # noqa: B023
        except UserError as error:
            yield scene, str(error)


def label_with_ray(scenes: Sequence[str], folder: Path, settings: Labelling) -> Iterator[Result]:
    """One scene a task of one processor, on the cluster that RAY_ADDRESS names or on this machine; in order of completion.

    A task whose worker dies is tried once more. `folder` must be the same storage on all machines. Raises UserError without Ray.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"The Ray engine needs ray, which is not installed: {extra('ray')}, or use --engine local.")
    import ray

    started_here = not ray.is_initialized()
    if started_here:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        task = ray.remote(num_cpus=1, max_retries=1)(label_scene)
        running = {task.remote(scene, folder.resolve(), settings): scene for scene in scenes}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            scene = running.pop(done)
            try:
                yield scene, ray.get(done)
            except ray.exceptions.RayTaskError as error:
                yield scene, " ".join(str(error.cause).split())
            except ray.exceptions.RayError as error:
                yield scene, f"its Ray worker died twice ({type(error).__name__})"
    finally:
        if started_here:
            ray.shutdown()
