"""Figures of a boundary network on generated views of kept-aside styles and on recordings with exact truth.

`python -m offline_training.boundaries.measure --recording FOLDER --recording FOLDER`; recordings in ScanNet's exported
layout with `instance/NNNNNN.png` (uint16 ids at the depth image's size) and `instances.json` (id -> is_stuff) beside them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from gcseg_ros.config import InputConfig
from gcseg_ros.errors import UserError
from gcseg_ros.masks.boundary_network import WEIGHTS, BoundaryMaps, BoundaryNetwork
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.synthetic.styles import HELD_OUT_STYLES
from gcseg_ros.views import ViewBuilder, image_of_view
from offline_training.boundaries.evaluation import evaluate
from offline_training.boundaries.views import LabelledView, ViewCache
from offline_training.commands import run

CACHE = Path(tempfile.gettempdir()) / "gcseg_views"


def main(
    network: Annotated[Path, typer.Option(help="ONNX file")] = WEIGHTS,
    recording: Annotated[list[Path] | None, typer.Option(help="folder; may be given several times")] = None,
    views: Annotated[int, typer.Option(min=0, help="generated views of kept-aside styles")] = 200,
    every: Annotated[int, typer.Option(min=1, help="measure every n-th frame of a recording")] = 5,
    cache: Annotated[Path, typer.Option(help="folder that keeps generated views")] = CACHE,
) -> None:
    """Print one JSON line a data set: f1, f2, iou, level, iou_at_half, achievable, structure."""
    run = BoundaryNetwork(network)

    def predict(view: LabelledView) -> BoundaryMaps:
        return run(view.colour, view.depth_m, view.intrinsics, view.up)

    def report(name: str, labelled: Iterator[LabelledView]) -> None:
        figures = {key: round(value, 4) for key, value in evaluate(predict, labelled).items()}
        print(json.dumps({"data": name, **figures}), flush=True)

    if views:
        report("kept-aside styles", map(ViewCache(cache, HELD_OUT_STYLES), range(views)))
    for folder in recording or []:
        report(folder.name, recording_views(folder, every))


def recording_views(folder: Path, every: int) -> Iterator[LabelledView]:
    """Every n-th view of a recording as the mapper sees it (working size, filtered depth), with its truth."""
    try:
        ids = json.loads((folder / "instances.json").read_text())
        structure = [int(number) for number, item in ids.items() if item["is_stuff"]]
    except (OSError, ValueError) as error:
        raise UserError(
            f"The truth of {folder} cannot be read ({error}): expected instances.json and instance/."
        ) from None
    except (AttributeError, LookupError, TypeError):
        raise UserError(
            f"{folder / 'instances.json'} is no recording's truth, which has an id and its `is_stuff` each: measure a recording, not a map."
        ) from None
    builder = ViewBuilder(InputConfig())
    for number, frame in enumerate(open_recording(folder)):
        view = builder(frame)
        if number % every:
            continue
        instance = cv2.imread(str(folder / "instance" / f"{frame.name}.png"), cv2.IMREAD_UNCHANGED)
        if instance is None:
            raise UserError(f"There is no truth {folder}/instance/{frame.name}.png: measure a recording that has it.")
        instance = image_of_view(instance, view)
        yield LabelledView(view.colour, view.depth_m, instance, np.isin(instance, structure), view.intrinsics, view.up)


if __name__ == "__main__":
    sys.exit(run(main))
