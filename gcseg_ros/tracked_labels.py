"""The tracked labels of frames, on disk until the map is finished and they get the ids of its instances."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

SUFFIX = ".npy.z"  # in half the time that PNG takes


def write_labels(folder: Path, name: str, index: int, labels: npt.NDArray[np.uint16]) -> None:
    """(H, W) uint16 of the frame `name`, of which `index` frames came before. Raises OSError, and then leaves nothing."""
    arrays, file = io.BytesIO(), folder / f"{name}{SUFFIX}"
    np.save(arrays, np.int64(index))
    np.save(arrays, labels)
    try:
        file.write_bytes(zlib.compress(arrays.getbuffer(), 1))
    except OSError:
        file.unlink(missing_ok=True)
        raise


def read_labels(file: Path) -> tuple[str, int, npt.NDArray[np.uint16]]:
    """What `write_labels` wrote: the name of the frame, its index, and its labels."""
    arrays = io.BytesIO(zlib.decompress(file.read_bytes()))
    return file.name.removesuffix(SUFFIX), int(np.load(arrays)), np.load(arrays)
