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
from offline_training.commands import run

SEEDS_APART = 1000  # a model's seed and those that it counts up from it, from the next one's


def main(
    output: Annotated[Path, typer.Option(help="folder for the weights, their figures and the mapped rooms")],
    rooms: Annotated[int, typer.Option(min=2, help="generated rooms of training styles, in turn")] = 234,
    invented: Annotated[int, typer.Option(min=0, help="more rooms, of things that nobody has ever built")] = 52,
    frames: Annotated[int, typer.Option(min=2, help="frames of each")] = 80,
    test_rooms: Annotated[int, typer.Option(min=1, help="further rooms that are only measured")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="of the rooms and of the trees")] = 1100,
    rounds: Annotated[int, typer.Option(min=0, help="rounds of agglomeration and training of the trees")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="of the network that sees pieces in their surroundings")] = 40,
    models: Annotated[int, typer.Option(min=1, help="trained one after the other; their mean counts")] = 2,
    networks: Annotated[int, typer.Option(min=1, help="of other seeds, in each of the models")] = 1,
    network: Annotated[
        bool, typer.Option(help="for joining: network, with what the shipped 3D segmenter says")
    ] = False,
) -> None:
    """Train the decision that joins pieces, on generated rooms. Same settings, same result. Mapped rooms are kept: resumable."""
    require_packages("Training", ("sklearn", "torch"), "train")
    from gcseg_ros.config import FinishingConfig
    from gcseg_ros.joining_model import JoiningModel
    from gcseg_ros.mapping.joining import WEIGHTS, Joining, save_model
    from offline_training.joining.rooms import mapped_rooms, room_names, training_rooms
    from offline_training.joining.training import Settings, measure, train

    console, finishing = Console(), FinishingConfig()
    joining: Joining = "network" if network else "learned"
    segmenter = None
    if network:
        from gcseg_ros.segmentation import Segmenter

        segmenter = Segmenter.load(device="cpu")
    names = training_rooms(rooms, invented, frames, seed) + room_names(rooms + test_rooms, frames, seed)[rooms:]
    count = rooms + invented
    mapped = track(mapped_rooms(names, output / "rooms"), "mapping", total=len(names), console=console)
    graphs = [room.labelled(segmenter) for room in mapped]
    settings = Settings(
        finishing.join_probability, finishing.min_voxels, rounds=rounds, epochs=epochs, networks=networks
    )
    seeds = [seed + SEEDS_APART * i for i in range(models)]
    model = JoiningModel.mean([train(graphs[:count], replace(settings, seed=own), console.print) for own in seeds])
    figures = measure(graphs[count:], model.trees)
    file = output / WEIGHTS[joining].name
    with atomic_path(file) as part, open(part, "wb") as out:
        save_model(model, out, joining)
    write_json_atomic(file.with_suffix(".json"), {"rooms": names[:count], "test": names[count:], **figures})
    console.print(figures)


if __name__ == "__main__":
    sys.exit(run(main, interrupted="Interrupted: the rooms that are mapped stay; the same command goes on."))
