"""A folder of training samples: protocol.json, index.jsonl and one compressed NPZ a sample in samples/.

The index is written whole after every scene, so a scene is either in it with all its samples or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError, quoted
from gcseg_ros.files import atomic_path, read_arrays, read_json, write_json_atomic

UNKNOWN = -1
MOST_COMPRESSED = 1 << 30  # bytes of a sample: forty million points
AGAIN = "delete all lines of its scene in index.jsonl, and the same labelling command makes it again"
PROTOCOL, INDEX = "protocol.json", "index.jsonl"
KINDS = ("fragment", "map", "complete")
"""fragment: one keyframe on its own; map: what all frames saw; complete: the scene's own cloud, labels carried to it."""


@dataclass(frozen=True)
class Sample:
    """A labelled cloud.

    points    (N, 3) float32 metres, z up
    colours   (N, 3) uint8 RGB
    instance  (N,) int32, 0 = none, UNKNOWN = not known: nothing is learned there
    """

    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]
    instance: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Entry:
    """A line of the index. A scene without instances has one line, without a file.

    scene      the recording as it was given
    kind       fragment | map | complete
    file       relative to the folder, "" where there is none
    frame      name of the keyframe of a fragment, else ""
    """

    scene: str
    kind: str
    file: str
    frame: str = ""
    points: int = 0
    instances: int = 0


def write_sample(path: Path, sample: Sample) -> None:
    """Raises UserError where it cannot be written; nothing is left then."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **vars(sample))


def read_sample(path: Path) -> Sample:
    """Raises UserError if the file is missing or broken."""
    try:
        sample = Sample(**read_arrays(path, most=MOST_COMPRESSED))
    except UserError as error:
        raise UserError(f"{error} It is a sample: {AGAIN}.") from None
    except TypeError:
        raise UserError(
            f"The sample {path} must hold points, colours and instance, and nothing else: {AGAIN}."
        ) from None
    count = sample.points.shape[:1]
    shapes = (sample.points.shape, sample.colours.shape, sample.instance.shape)
    kinds = sample.points.dtype.kind, sample.colours.dtype
    if shapes != ((*count, 3), (*count, 3), count) or kinds != ("f", np.uint8):
        raise UserError(
            f"The sample {path} must hold points (N, 3) float, colours (N, 3) uint8, instance (N,); found {shapes}, {sample.points.dtype} and "
            f"{sample.colours.dtype}: {AGAIN}."
        )
    if not len(sample.points):
        raise UserError(f"The sample {path} has no points: {AGAIN}.")
    if not np.isfinite(sample.points).all():
        raise UserError(f"The sample {path} has points that are not finite: {AGAIN}.")
    if sample.instance.dtype.kind != "i" or sample.instance.min(initial=0) < UNKNOWN:
        raise UserError(f"The sample {path} has labels that are none (whole numbers, {UNKNOWN} or more): {AGAIN}.")
    return sample


class SampleFolder:
    """Reads a folder of samples. Raises UserError where it is none.

    digest  of its protocol and its index: another labelling, or other scenes, have another
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / INDEX).is_file():
            raise UserError(
                f"{path} holds no training samples (no {INDEX}): write them with python -m offline_training.label."
            )
        self.protocol = read_protocol(self.path)
        self.entries = read_index(self.path)
        content = [(self.path / name).read_bytes() for name in (PROTOCOL, INDEX)]
        self.digest = hashlib.sha256(b"".join(content)).hexdigest()[:16]

    def choose(self, kinds: Sequence[str]) -> list[Entry]:
        """The samples of these kinds, in order of the index. Raises UserError if there are none."""
        chosen = [entry for entry in self.entries if entry.file and entry.kind in kinds]
        if not chosen:
            found = sorted({entry.kind for entry in self.entries if entry.file}) or ["no sample at all"]
            raise UserError(f"{self.path} has no sample of the kind {' or '.join(kinds)}: it has {', '.join(found)}.")
        return chosen

    def spacing_m(self, kind: str) -> float:
        """How far apart the points of such samples are at least, by the protocol; 0 where it does not say."""
        mapping = self.protocol.get("mapping", {}) if kind == "map" else {}
        spacing: float = max(self.protocol.get("voxel_m", 0), mapping.get("map", {}).get("voxel_m", 0))
        return spacing

    def read(self, entry: Entry) -> Sample:
        return read_sample(self.path / entry.file)


def read_protocol(folder: Path) -> dict[str, Any]:
    """Raises UserError."""
    protocol = read_json(folder / PROTOCOL)
    if not isinstance(protocol, dict):
        raise UserError(f"{folder / PROTOCOL} is not a protocol of labelling: expected its settings by name.")
    return protocol


def read_index(folder: Path) -> list[Entry]:
    """The entries of a folder; none where it is new. Raises UserError."""
    file = folder / INDEX
    if not file.is_file():
        return []
    try:
        entries = [Entry(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines() if line]
        if wrong := next((e for e in entries if not (isinstance(e.scene, str) and isinstance(e.file, str))), None):
            raise ValueError(f"scene and file must be text, not {wrong.scene!r} and {wrong.file!r}")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{file} is not an index of samples ({quoted(error)}).") from None
    return entries


def write_index(folder: Path, entries: Iterable[Entry]) -> None:
    with atomic_path(folder / INDEX) as temporary:
        temporary.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in entries), encoding="utf-8")


def begin(folder: Path, protocol: dict[str, Any]) -> list[Entry]:
    """Start or go on with a folder: the entries that it has already. Raises UserError if it has another protocol, and a scene."""
    file = folder / PROTOCOL
    if not file.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} holds something else: give a new folder, or one that this command began.")
        write_json_atomic(file, protocol)
        return []
    known, entries = read_protocol(folder), read_index(folder)
    plain = json.loads(json.dumps(protocol))
    different = sorted(key for key in known.keys() | plain.keys() if known.get(key) != plain.get(key))
    if different and entries:
        raise UserError(
            f"{folder} was labelled with another {', '.join(different)}: give a new folder, or the settings in {file}."
        )
    if different:
        write_json_atomic(file, protocol)
    return entries


@contextmanager
def begun(folder: Path, protocol: dict[str, Any]) -> Iterator[list[Entry]]:
    """`begin`; afterwards nothing is left in a folder in which nothing was labelled."""
    entries = begin(folder, protocol)
    try:
        yield entries
    finally:
        if [file.name for file in folder.iterdir()] == [PROTOCOL]:
            (folder / PROTOCOL).unlink()


def thinned(sample: Sample, voxel_m: float) -> Sample:
    """One point a voxel: means of points and colours, and the label that most of its points have (the lower one of a tie)."""
    if not len(sample):
        return sample
    cells = np.floor(sample.points / voxel_m).astype(np.int64)
    cells -= cells.min(0)
    _, ny, nz = cells.max(0) + 1
    _, voxel = np.unique((cells[:, 0] * ny + cells[:, 1]) * nz + cells[:, 2], return_inverse=True)
    count = np.bincount(voxel)
    means = [
        np.stack([np.bincount(voxel, values[:, k]) for k in range(3)], 1) / count[:, None]
        for values in (sample.points.astype(np.float64), sample.colours)
    ]
    labels, column = np.unique(sample.instance, return_inverse=True)
    pairs, votes = np.unique(voxel * len(labels) + column, return_counts=True)
    of, label = np.divmod(pairs, len(labels))
    order = np.lexsort((-votes, of))
    first = order[np.searchsorted(of[order], np.arange(len(count)))]
    return Sample(means[0].astype(np.float32), means[1].round().astype(np.uint8), labels[label[first]].astype(np.int32))
