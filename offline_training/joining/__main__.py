"""Command line of the training."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from gcseg_ros.files import atomic_path, write_json_atomic
from gcseg_ros.packages import require_packages
from gcseg_ros.recordings.synthetic.recording import DRIFTING, EXACT
from offline_training.commands import run

POSES = (EXACT, DRIFTING)  # of the rooms that the first model learns from, and the second
SEEDS_APART = 1000  # a model's seed and those that it counts up from it, from the next one's


def main(
    output: Annotated[Path, typer.Option(help="folder for the weights, their figures and the mapped rooms")],
    rooms: Annotated[int, typer.Option(min=2, help="generated rooms of training styles, in turn")] = 338,
    invented: Annotated[int, typer.Option(min=0, help="more rooms, of things that nobody has ever built")] = 124,
    frames: Annotated[int, typer.Option(min=2, help="frames of each")] = 80,
    test_rooms: Annotated[int, typer.Option(min=1, help="further rooms that are only measured")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="of the rooms and of the trees")] = 1100,
    rounds: Annotated[int, typer.Option(min=0, help="rounds of agglomeration and training of the trees")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="of the network that sees pieces in their surroundings")] = 40,
    models: Annotated[
        int,
        typer.Option(
            min=1, help="the first of maps of exact poses, the second of drifting ones, in turn; their mean counts"
        ),
    ] = 2,
    networks: Annotated[int, typer.Option(min=1, help="of other seeds, in each of the models")] = 1,
) -> None:
    """Train the decision that joins pieces, on generated rooms. Same settings, same result. Mapped rooms are kept: resumable."""
    require_packages("Training", ("sklearn", "torch"), "train")
    from gcseg_ros.config import FinishingConfig
    from gcseg_ros.finishing.joining import WEIGHTS, save_model
    from gcseg_ros.joining.model import JoiningModel
    from offline_training.joining.labelled import LabelledGraph
    from offline_training.joining.rooms import mapped_rooms, room_names, training_rooms
    from offline_training.joining.training import Settings, measure, train

    console, finishing = Console(), FinishingConfig()
    names = training_rooms(rooms, invented, frames, seed) + room_names(rooms + test_rooms, frames, seed)[rooms:]
    count, poses = rooms + invented, POSES[:models]
    graphs: list[list[LabelledGraph]] = [[] for _ in poses]
    for room in track(mapped_rooms(names, output / "rooms", poses), "mapping", total=len(names), console=console):
        for kind, mapped in zip(graphs, room):
            kind.append(mapped)
    settings = Settings(
        finishing.join_probability, finishing.min_voxels, rounds=rounds, epochs=epochs, networks=networks
    )
    learned = []
    for i in range(models):
        own = replace(settings, seed=seed + SEEDS_APART * i)
        learned.append(train(graphs[i % len(poses)][:count], own, console.print))
    model = JoiningModel.mean(learned)
    figures = measure(graphs[0][count:], model.trees)
    file = output / WEIGHTS.name
    with atomic_path(file) as part, open(part, "wb") as out:
        save_model(model, out)
    write_json_atomic(file.with_suffix(".json"), {"rooms": names[:count], "test": names[count:], **figures})
    console.print(figures)


if __name__ == "__main__":
    sys.exit(run(main, interrupted="Interrupted: the rooms that are mapped stay; the same command goes on."))
