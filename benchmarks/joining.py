"""Joining of rooms whose styles it has not learned from: `python benchmarks/joining.py out/joining [--json FILE]`.

The training styles of designed furniture are dealt into parts. Joining is trained on all rooms but those of one part, and
joins these: by trees alone, and with the graph network; where the truth decides, each piece goes to what most of it is. AP / AP50 / AP25
over the pieces of the map (no cloud, no smoothing), by its own confidences and by equal ones. Rooms are those of `python -m offline_training.joining --output out/joining`, which keeps
them mapped; what is not there yet is mapped. Unlike the styles kept aside, this may be used to choose between variants. The
boundary network has seen all of these styles.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import FinishingConfig
from gcseg_ros.consoles import console, print_table
from gcseg_ros.evaluation.average_precision import Overlap, average_precision
from gcseg_ros.files import write_json_atomic
from gcseg_ros.joining.agglomeration import Floats, Ids
from gcseg_ros.joining.model import JoiningModel
from gcseg_ros.recordings.synthetic import INVENTED_STYLES, TRAINING_STYLES
from offline_training.joining.labelled import LabelledGraph
from offline_training.joining.rooms import mapped_rooms, training_rooms
from offline_training.joining.training import Settings, train

LEAST_POINTS = 100  # of an object, as in ScanNet's protocol


def scores(room: LabelledGraph, model: JoiningModel, threshold: float) -> list[list[float]]:
    """AP, AP50 and AP25 in percent by the model's own confidences, and by equal ones."""
    state, roots, iou = model.join(room.graph, threshold)
    return scores_of(room, room.truth_of(state, roots), iou)


def scores_of_truth(room: LabelledGraph) -> list[list[float]]:
    """The same where each piece goes to the true instance of most of it; by the objects' IoU with these, and by equal confidences."""
    known = room.truth[:, 1:].any(1)
    objects = np.zeros((room.truth.shape[1] - 1, room.truth.shape[1]), np.int64)
    np.add.at(objects, room.truth[known, 1:].argmax(1), room.truth[known])
    return scores_of(room, objects, room.best_iou(objects))


def scores_of(room: LabelledGraph, truth: Ids, confidence: Floats) -> list[list[float]]:
    """The same of objects (k,), of which `truth` (k, instances) is known, as of `LabelledGraph.truth_of`, by a confidence (k,)."""
    size = room.truth.sum(0)
    large, names = truth.sum(1) >= LEAST_POINTS, np.arange(1, len(size))
    found = [
        average_precision([Overlap(truth[large, 1:], truth[large, 0], by[large], size[1:], names)])
        for by in (confidence, np.ones(len(confidence)))
    ]
    return [[100 * part.ap, 100 * part.ap50, 100 * part.ap25] for part in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of offline_training.joining, with its mapped rooms")
    parser.add_argument("--rooms", type=int, default=149, help="of all training styles in turn")
    parser.add_argument("--invented", type=int, default=34, help="more, of invented things")
    parser.add_argument("--frames", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1100, help="of the rooms")
    parser.add_argument("--parts", type=int, default=3, help="that the styles are dealt into")
    parser.add_argument("--measure", type=int, default=1, help="so many of the parts are left out in turn")
    parser.add_argument("--trees", type=int, default=Settings.trees)
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    parser.add_argument("--networks", type=int, default=Settings.networks)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    names = training_rooms(options.rooms, options.invented, options.frames, options.seed)
    found = mapped_rooms(names, options.folder / "rooms")
    rooms = [room for (room,) in track(found, "rooms", total=len(names), console=console)]
    designed = [style for style in TRAINING_STYLES if style not in INVENTED_STYLES]
    order = np.random.default_rng(0).permutation(designed).tolist()
    part = np.array([order.index(s) % options.parts if s in order else -1 for s in (n.split(":")[2] for n in names)])
    finishing = FinishingConfig()
    settings = Settings(
        finishing.join_probability,
        finishing.min_voxels,
        trees=options.trees,
        epochs=options.epochs,
        networks=options.networks,
    )
    results: dict[str, list[list[list[float]]]] = {"trees alone": [], "with the network": [], "the truth": []}
    for left_out in range(options.measure):
        model = train([room for room, p in zip(rooms, part) if p != left_out], settings, console.print)
        for room in (room for room, p in zip(rooms, part) if p == left_out):
            results["trees alone"].append(scores(room, replace(model, network=None), settings.threshold))
            results["with the network"].append(scores(room, model, settings.threshold))
            results["the truth"].append(scores_of_truth(room))
    table = Table("joined by", "own confidences", "equal ones", title=f"{len(results['trees alone'])} rooms")
    for name, found in results.items():
        table.add_row(name, *(" / ".join(f"{x:.1f}" for x in row) for row in np.mean(found, axis=0)))
    print_table(table)
    if options.json:
        arguments = vars(options) | {"folder": str(options.folder), "json": None}
        write_json_atomic(options.json, {"arguments": arguments, "rooms": results})


if __name__ == "__main__":
    sys.exit(plainly(main, "Interrupted: the rooms that are mapped stay; the same command goes on."))
