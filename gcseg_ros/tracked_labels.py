"""The tracked labels of frames, on disk until the map is finished and they get the ids of its instances."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

SUFFIX = ".npy.z"  # in half the time that PNG takes

Labels = npt.NDArray[np.uint16]


def write_labels(folder: Path, name: str, labels: Labels) -> None:
    """(H, W) uint16 of the frame `name`. Raises OSError, and then leaves nothing."""
    array, file = io.BytesIO(), folder / f"{name}{SUFFIX}"
    np.save(array, labels)
    try:
        file.write_bytes(zlib.compress(array.getbuffer(), 1))
    except OSError:
        file.unlink(missing_ok=True)
        raise


def read_labels(file: Path) -> tuple[str, Labels]:
    """What `write_labels` wrote: the name of the frame, and its labels."""
    return file.name.removesuffix(SUFFIX), np.load(io.BytesIO(zlib.decompress(file.read_bytes())))
