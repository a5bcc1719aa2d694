"""Furnished synthetic rooms as RGB-D recordings with exact truth: `synthetic:SEED[:STYLE[:FRAMES]]`.

styles -> look (materials) -> designs and furniture (items) -> programs and planner (what stands where) -> room ->
render (exact) -> sensor (noise) -> recording. What needs the ray caster is imported on first use.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from gcseg_ros.recordings.synthetic.recording import SyntheticRecording, TruthCloud, export
from gcseg_ros.recordings.synthetic.styles import HELD_OUT_STYLES, INVENTED_STYLES, STYLES, TRAINING_STYLES, Style

if TYPE_CHECKING:
    from gcseg_ros.recordings.synthetic.path import random_view, walk
    from gcseg_ros.recordings.synthetic.rendering import View, render
    from gcseg_ros.recordings.synthetic.room import Room, build_room
    from gcseg_ros.recordings.synthetic.training import TrainingView, training_view

__all__ = [
    "HELD_OUT_STYLES",
    "INVENTED_STYLES",
    "STYLES",
    "TRAINING_STYLES",
    "Room",
    "Style",
    "SyntheticRecording",
    "TrainingView",
    "TruthCloud",
    "View",
    "build_room",
    "export",
    "random_view",
    "render",
    "sources",
    "training_view",
    "walk",
]

_LATER = {
    "Room": "room",
    "TrainingView": "training",
    "View": "rendering",
    "build_room": "room",
    "random_view": "path",
    "render": "rendering",
    "training_view": "training",
    "walk": "path",
}


def sources() -> list[Path]:
    """The files that generated rooms follow from: what is kept of rooms holds for as long as these are the same."""
    return sorted(Path(__file__).parent.rglob("*.py"))


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
