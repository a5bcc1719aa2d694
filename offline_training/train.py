"""Train the 3D segmenter: `python -m offline_training.train SAMPLES... --stage 1|2|3 -o OUT`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from gcseg_ros.consoles import progress
from gcseg_ros.errors import UserError
from gcseg_ros.packages import require_packages
from offline_training.commands import deferred, run
from offline_training.labelling.samples import Entry, SampleFolder

INTERRUPTED = "Interrupted: what is predicted and the state as last saved stay; the same command goes on, with --resume if OUT has a state.pt."


def main(
    samples: Annotated[list[Path], typer.Argument(metavar="SAMPLES...", help="Folders of offline_training.label.")],
    stage: Annotated[int, typer.Option(min=1, max=3, help="1: fragments; 2: tracked labels; 3: own predictions.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Gets the network, the state, curves.")],
    config: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="published, small (for two processors), or a YAML file.")
    ] = "published",
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One setting.")] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="The network to begin with: stage 2 of 1's, stage 3 of 2's."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in OUT.")] = False,
    validate: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Samples, or scenes with their truth; may be repeated.")
    ] = None,
    accelerator: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="What to train on.")] = "auto",
    devices: Annotated[int, typer.Option(min=0, help="Of this machine; 0: all. Under torchrun: its processes.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Of the processor; 0: PyTorch's choice.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare examples.")] = 0,
) -> None:
    """One stage of the curriculum. OUT gets segmenter.pt, for `gcseg segment --checkpoint`; Ctrl-C saves the state for --resume."""
    require_packages("Training", ("torch", "lightning", "tensorboard"), "train")
    import torch

    from gcseg_ros.segmentation.network import Mask3D
    from offline_training.segmenter.pseudo_labels import await_labels, predict_labels, whole_scenes
    from offline_training.segmenter.settings import load_settings
    from offline_training.segmenter.training import STATE, check_state, load_parameters, rank, train
    from offline_training.segmenter.validation import validation_clouds

    if threads:
        torch.set_num_threads(threads)
    chosen = load_settings(config, stage, settings or ())
    if stage == 3 and start is None:
        raise UserError("Stage 3 learns from the predictions of stage 2: give its network with --from.")
    if resume:
        check_state(output / STATE)
    elif (output / STATE).exists():
        raise UserError(f"{output} holds a training already: go on with it (--resume), or give a new folder.")
    folders = [SampleFolder(path) for path in samples]
    if stage == 3:
        entries = whole_scenes(folders, chosen.kinds)
    else:
        entries = [(folder, entry) for folder in folders for entry in folder.choose(chosen.kinds)]
    check_spacing(entries, chosen.network.voxel_m)
    clouds = validation_clouds(validate or [], chosen.validation_clouds, chosen.kinds)
    if stage == 3:
        assert start is not None
        load_parameters(Mask3D(chosen.network), start)  # another network is found before hours of predictions
        labels = output / "labels"
        if rank():  # one process predicts, the others wait
            predicted = await_labels(folders, labels, chosen)
        else:
            with progress("predicting") as advance:
                predicted = predict_labels(start, folders, labels, chosen, accelerator, advance)
        entries = [(predicted, entry) for entry in predicted.choose(chosen.kinds)]
    with progress("training") as advance, deferred() as asked:
        network = train(
            chosen, entries, output, start, resume, clouds, accelerator, devices or "auto", workers, advance, asked
        )
    print(f"Wrote {network}; curves: tensorboard --logdir {output}")


def check_spacing(samples: Iterable[tuple[SampleFolder, Entry]], voxel_m: float) -> None:
    """Raises UserError where points are further apart than the network's voxels, which would have few neighbours then."""
    for folder, kind in dict.fromkeys((folder, entry.kind) for folder, entry in samples):
        spacing_m = folder.spacing_m(kind)
        if spacing_m > voxel_m:
            finer = f"--voxel-m {voxel_m:g}" + (f" --set map.voxel_m={voxel_m:g}" if kind == "map" else "")
            raise UserError(
                f"The {kind} samples of {folder.path} have one point every {spacing_m:g} m, the network has voxels of {voxel_m:g} m: label "
                f"with {finer}, or train with --set network.voxel_m={spacing_m:g}."
            )


if __name__ == "__main__":
    sys.exit(run(main, interrupted=INTERRUPTED))
