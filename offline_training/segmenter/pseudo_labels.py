"""Stage 3 (Sec. 3.3): the network's own predictions of whole scenes, filtered, as training samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.files import sole_writer
from gcseg_ros.segmentation.instances import Instances
from gcseg_ros.segmentation.segmenter import Segmenter
from gcseg_ros.weights.store import sha256
from offline_training.labelling.samples import (
    INDEX,
    PROTOCOL,
    UNKNOWN,
    Entry,
    Sample,
    SampleFolder,
    begin,
    read_index,
    write_index,
    write_sample,
)
from offline_training.segmenter.settings import PseudoLabels, Training

FORMAT = 2  # what is unsure is UNKNOWN


def predict_labels(
    checkpoint: Path,
    folders: Sequence[SampleFolder],
    output: Path,
    settings: Training,
    device: str | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> SampleFolder:
    """The scenes of `folders`, of the first of the settings' kinds that a scene has, with the network's labels, in `output`.

    Scenes that are in `output` already are left as they are. A scene without a confident mask gives no sample.
    Raises UserError if none has one; `output` is then free for other settings.
    """
    filters = settings.pseudo_labels
    changes = {
        **settings.evaluation.model_dump(),
        "min_score": min(filters.min_confidence, settings.evaluation.min_score),
        "split_m": filters.split_m,
        "split_neighbours": filters.split_neighbours,
    }
    segmenter = Segmenter.load(checkpoint, changes, device)
    protocol = {
        "stage": 3,
        "labels": FORMAT,
        "network": sha256(checkpoint)[:16],
        "samples": [folder.digest for folder in folders],
        "kinds": settings.kinds,
        **filters.model_dump(mode="json"),
    }
    protocol["evaluation"] = settings.evaluation.model_dump(mode="json")
    with sole_writer(output):
        entries = begin(output, protocol)
        known = {entry.scene for entry in entries}
        scenes = [pair for pair in whole_scenes(folders, settings.kinds) if pair[1].scene not in known]
        for number, (folder, entry) in enumerate(scenes):
            sample = folder.read(entry)
            found = segmenter(sample.points, sample.colours, filters.queries)
            labels = confident_labels(found, filters)
            file = f"samples/{Path(entry.file).name}" if (labels > 0).any() else ""
            if file:
                write_sample(output / file, Sample(sample.points, sample.colours, labels))
            instances = len(np.unique(labels[labels > 0]))
            entries.append(Entry(entry.scene, entry.kind, file, "", len(labels), instances))
            write_index(output, entries)
            progress(number + 1, len(scenes))
        if not any(entry.file for entry in entries):
            for file in (output / INDEX, output / PROTOCOL):
                file.unlink()
            raise UserError(
                f"{checkpoint} is confident of no mask in any of {len(entries)} scenes: train it longer, or lower pseudo_labels.min_confidence "
                f"(now {filters.min_confidence})."
            )
    return SampleFolder(output)


def await_labels(folders: Sequence[SampleFolder], output: Path, settings: Training) -> SampleFolder:
    """What another process `predict_labels` into `output`, once it is all there."""
    wanted = {entry.scene for _, entry in whole_scenes(folders, settings.kinds)}
    while not wanted <= {entry.scene for entry in read_index(output)}:
        time.sleep(1)
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
    """(N,) The confident instances, where better ones are on top; UNKNOWN where only others are, or too little of one is left; 0 = none.

    So an instance that the network finds, but is not sure of, is not taught to be nothing.
    """
    labels = found.labels()
    kept = np.append(True, found.scores >= filters.min_confidence)
    kept[1:] &= np.bincount(labels, minlength=len(kept))[1:] >= filters.min_points
    return np.where(kept[labels], labels, UNKNOWN).astype(np.int32)
