"""Stage 3 (Sec. 3.3): the network's own predictions of whole scenes, filtered, as training samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.segmentation.instances import Instances
from gcseg_ros.segmentation.segmenter import Segmenter
from offline_training.labelling.samples import Entry, Sample, SampleFolder, begin, write_index, write_sample
from offline_training.segmenter.settings import PseudoLabels, Training


def predict_labels(
    checkpoint: Path,
    folders: Sequence[SampleFolder],
    output: Path,
    settings: Training,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> SampleFolder:
    """The scenes of `folders`, of the first of the settings' kinds that a scene has, with the network's labels, in `output`.

    Scenes that are in `output` already are left as they are. A scene without a confident mask gives no sample.
    Raises UserError if none has one.
    """
    filters = settings.pseudo_labels
    changes = {
        **settings.evaluation.model_dump(),
        "min_score": filters.min_confidence,
        "split_m": filters.split_m,
        "split_neighbours": filters.split_neighbours,
    }
    segmenter = Segmenter.load(checkpoint, changes)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16]
    protocol = {"stage": 3, "network": digest, "kinds": settings.kinds, **filters.model_dump(mode="json")}
    protocol["evaluation"] = settings.evaluation.model_dump(mode="json")
    entries = begin(output, protocol)
    known = {entry.scene for entry in entries}
    scenes = [pair for pair in whole_scenes(folders, settings.kinds) if pair[1].scene not in known]
    for number, (folder, entry) in enumerate(scenes):
        sample = folder.read(entry)
        found = segmenter(sample.points, sample.colours, filters.queries)
        labels = confident_labels(found, filters)
        file = f"samples/{Path(entry.file).name}" if labels.any() else ""
        if file:
            write_sample(output / file, Sample(sample.points, sample.colours, labels))
        instances = len(np.unique(labels[labels > 0]))
        entries.append(Entry(entry.scene, entry.kind, file, "", len(labels), instances))
        write_index(output, entries)
        progress(number + 1, len(scenes))
    if not any(entry.file for entry in entries):
        raise UserError(
            f"{checkpoint} is confident of no mask in any of {len(entries)} scenes: train it longer, or lower pseudo_labels.min_confidence "
            f"(now {filters.min_confidence})."
        )
    return SampleFolder(output)


def whole_scenes(folders: Sequence[SampleFolder], kinds: Sequence[str]) -> list[tuple[SampleFolder, Entry]]:
    """One sample a scene: of the first of `kinds` that it has."""
    chosen: dict[str, tuple[SampleFolder, Entry]] = {}
    for kind in kinds:
        for folder in folders:
            for entry in folder.entries:
                if entry.file and entry.kind == kind:
                    chosen.setdefault(entry.scene, (folder, entry))
    return list(chosen.values())


def confident_labels(found: Instances, filters: PseudoLabels) -> npt.NDArray[np.int32]:
    """(N,) labels of the instances that keep enough points where better ones are on top; 0 = none."""
    labels = found.labels()
    return np.where(np.bincount(labels)[labels] >= filters.min_points, labels, 0).astype(np.int32)
