"""Train the decision which segments are one object: `python -m offline_training.join_segments SAMPLES... --checkpoint IN -o OUT`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from gcseg_ros.errors import UserError
from gcseg_ros.packages import require_packages
from offline_training.commands import run

if TYPE_CHECKING:
    from gcseg_ros.segmentation.segmenter import Segmenter
    from offline_training.joining.labelled import LabelledGraph
    from offline_training.labelling.samples import Sample

KINDS = "complete", "map"
DECISION: dict[str, Any] = {
    "networks": 0,
    "linear_confidence": True,
    "trees": 250,
    "rate": 0.06,
    "leaves": 24,
    "least_in_leaf": 60,
}


def main(
    samples: Annotated[list[Path], typer.Argument(metavar="SAMPLES...", help="Folders of offline_training.label.")],
    checkpoint: Annotated[Path, typer.Option(metavar="FILE", help="The network whose masks are put together.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The network with its decision.")],
    rounds: Annotated[int, typer.Option(min=0, help="Of agglomeration and training.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the trees.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Of the processor; 0: PyTorch's choice.")] = 0,
) -> None:
    """Learn from tracked labels of whole scenes which geometric segments are one object, from what a trained network says of them."""
    require_packages("Training", ("torch",), "segmentation")
    require_packages("Training", ("sklearn",), "train")
    import torch

    from gcseg_ros.config import build_config
    from gcseg_ros.segmentation import checkpoint as checkpoints
    from gcseg_ros.segmentation.post_processing import PostProcessing
    from gcseg_ros.segmentation.segmenter import Segmenter
    from offline_training.joining.training import Settings, train
    from offline_training.labelling.samples import SampleFolder
    from offline_training.segmenter.pseudo_labels import whole_scenes

    if threads:
        torch.set_num_threads(threads)
    console = Console(stderr=True)
    folders = [SampleFolder(path) for path in samples]
    for folder in folders:
        if folder.protocol.get("stage") == 3:
            raise UserError(
                f"{folder.path} has a network's own predictions, not all of them known: label with --stage 2."
            )
    scenes = whole_scenes(folders, KINDS)
    if not scenes:
        raise UserError(f"There is no whole scene in {', '.join(map(str, samples))}: label with --stage 2.")
    loaded = checkpoints.load(checkpoints.find(str(checkpoint)))
    changes = {**loaded.post_processing, "segments": "join"}
    segmenter = Segmenter(loaded.network, build_config(changes, PostProcessing))
    looked_at = track(scenes, "looking", console=console, disable=not console.is_terminal)
    found = [labelled_graph(segmenter, folder.read(entry)) for folder, entry in looked_at]
    graphs = [graph for graph in found if graph is not None]
    if len(graphs) < 2:
        raise UserError(
            f"Joining is learned from two scenes or more that have labels and in which the network finds masks: of {len(found)} there "
            f"is {len(graphs)}."
        )
    post = segmenter.settings
    settings = Settings(
        post.join_probability, post.min_voxels, unlabelled_is_wrong=False, seed=seed, rounds=rounds, **DECISION
    )
    model = train(graphs, settings, console.print)
    notes = {**loaded.notes, "joining_settings": f"{len(graphs)} scenes, {settings}"}
    checkpoints.save(loaded.network, output, post_processing=changes, joining=model, **notes)
    print(f"Wrote {output}")


def labelled_graph(segmenter: Segmenter, sample: Sample) -> LabelledGraph | None:
    """What the network says of a scene's segments, and how many points of each have which label; None if it sees nothing there, or nothing
    has a label."""
    from gcseg_ros.segmentation.joining import coverage_of
    from gcseg_ros.segmentation.segment_graph import segment_graph
    from offline_training.joining.labelled import LabelledGraph

    if not (sample.instance > 0).any():
        return None
    seen = segmenter.predict(sample.points, sample.colours)
    assert seen.cloud is not None
    objectness, coverage = coverage_of(
        seen.prediction, np.arange(len(seen.positions)), seen.cloud.segments, segmenter.settings.min_score
    )
    if not len(objectness):
        return None
    graph = segment_graph(seen.cloud, objectness, coverage)
    counts = np.zeros((len(graph), int(sample.instance.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (seen.cloud.segments[seen.rows], sample.instance), 1)
    return LabelledGraph(graph, counts)


if __name__ == "__main__":
    sys.exit(run(main, interrupted="Interrupted: nothing was written."))
