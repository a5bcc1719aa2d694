"""Command line of the training."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gcseg_ros.files import sole_writer
from gcseg_ros.packages import require_packages
from offline_training.commands import run

CACHE = Path(tempfile.gettempdir()) / "gcseg_views"


def main(
    output: Annotated[Path, typer.Option(help="folder for checkpoint.pt, curves.csv, curves.png, boundary.onnx")],
    steps: Annotated[int, typer.Option(min=1, help="steps of training")] = 12000,
    resume: Annotated[bool, typer.Option(help="go on from the checkpoint in OUTPUT")] = False,
    batch: Annotated[int, typer.Option(min=1, help="examples a step")] = 8,
    rate: Annotated[float, typer.Option(min=0, help="highest learning rate")] = 2e-3,
    seed: Annotated[int, typer.Option(min=0, help="of weights, views and augmentation")] = 0,
    pool: Annotated[int, typer.Option(min=1, help="different generated views")] = 8000,
    fresh: Annotated[float, typer.Option(min=0, help="new views an example, until the pool is full")] = 0.3,
    cache: Annotated[Path, typer.Option(help="folder that keeps generated views")] = CACHE,
    workers: Annotated[int, typer.Option(min=0, help="processes that prepare examples")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="threads of the training itself")] = 1,
    validate_every: Annotated[int, typer.Option(min=1, help="steps between measurements and checkpoints")] = 1000,
    held_out: Annotated[int, typer.Option(min=1, help="views of kept-aside styles that are measured")] = 48,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="a GPU wants --workers for every processor")] = "cpu",
) -> None:
    """Train the boundary network on generated rooms and export it. Same settings, same result."""
    require_packages("Training", ("torch",), "train")
    import torch

    from gcseg_ros.networks.runtime import device_of
    from offline_training.boundaries.training import Settings, train

    trained_on = device_of(device, "--device")
    torch.set_num_threads(threads)
    settings = Settings(steps, batch, rate, seed, pool, fresh)
    with sole_writer(output):
        print(train(settings, output, cache, resume, workers, validate_every, held_out, trained_on))


if __name__ == "__main__":
    sys.exit(run(main, interrupted="Interrupted: the same command with --resume goes on from the last checkpoint."))
