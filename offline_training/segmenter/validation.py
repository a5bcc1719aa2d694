"""Average precision of a network on labelled clouds, during the training and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import Overlap, average_precision, is_counted
from gcseg_ros.evaluation.truth import load_truth
from gcseg_ros.segmentation.network import Mask3D
from gcseg_ros.segmentation.segmenter import Segmenter
from offline_training.labelling.samples import INDEX, Entry, SampleFolder
from offline_training.segmenter.settings import Training


@dataclass(frozen=True)
class Cloud:
    """points (N, 3) metres, colours (N, 3) uint8 or None, instance (N,), 0 = none: what should be found."""

    name: str
    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8] | None
    instance: npt.NDArray[np.integer]


def validation_clouds(paths: Sequence[Path], most: int, kinds: Sequence[str]) -> list[Cloud]:
    """From folders of samples (their labels count as true) and from scenes with their truth, evenly drawn. Raises UserError."""
    sources: list[Path | tuple[SampleFolder, Entry]] = []
    for path in paths:
        if (path / INDEX).is_file():
            folder = SampleFolder(path)
            sources += [(folder, entry) for entry in folder.choose(kinds)]
        else:
            sources.append(path)
    clouds = [cloud_of(source) for source in sources[:: max(1, -(-len(sources) // most))]]
    if clouds and not any(is_counted(cloud.instance) for cloud in clouds):
        raise UserError(
            f"None of the {len(clouds)} clouds to validate with, first {clouds[0].name}, has a true instance of 100 points or more: average "
            "precision cannot be measured; give others with --validate, or leave it out."
        )
    return clouds


def cloud_of(source: Path | tuple[SampleFolder, Entry]) -> Cloud:
    """Raises UserError."""
    if isinstance(source, Path):
        truth = load_truth(source)
        if truth.points is None:
            raise UserError(
                f"{source} has instances but no points: give a folder with gt_cloud.npz, an NPZ or a PLY file."
            )
        return Cloud(str(source), truth.points, truth.colours, truth.instance)
    folder, entry = source
    sample = folder.read(entry)
    return Cloud(entry.file, sample.points, sample.colours, np.maximum(sample.instance, 0))


def average_precision_of(network: Mask3D, clouds: Sequence[Cloud], settings: Training) -> dict[str, float]:
    """{"validation/AP", "validation/AP50", "validation/AP25"}, 0 to 1, the clouds pooled."""
    device = next(network.parameters()).device
    segmenter = Segmenter(network, settings.evaluation, str(device))
    overlaps = []
    for cloud in clouds:
        found = segmenter(cloud.points, cloud.colours, settings.evaluation_queries)
        overlaps.append(Overlap.of_labels(cloud.instance, found.labels(), dict(enumerate(found.scores.tolist(), 1))))
    figures = average_precision(overlaps)
    return {"validation/AP": figures.ap, "validation/AP50": figures.ap50, "validation/AP25": figures.ap25}
