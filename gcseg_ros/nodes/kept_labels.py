"""Every frame's labels, on disk until the map is saved. They may be lost: the map is worth more. No ROS inside."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.files import locked
from gcseg_ros.tracked_labels import SUFFIX, write_labels

PREFIX = "gcseg_kept_labels_"
LEAST_FREE_BYTES, LEAST_FREE = 10**9, 0.05  # of the disk, whichever is less: the rest of a robot needs it more


class KeptLabels:
    """In a temporary folder that is made with the first labels, and again where somebody has removed it."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn, self._warned = warn, False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = ExitStack()
        remove_abandoned()

    def add(self, name: str, index: int, labels: npt.NDArray[np.uint16]) -> None:
        """Of the frame `name`, before which `index` were mapped. The first that cannot be written, or would fill the disk, is told of."""
        try:
            folder = self._there()
            check_room(folder)
            write_labels(folder, name, index, labels)
        except OSError as error:
            if not self._warned:
                self._warned = True
                place = error.filename or (self._folder.name if self._folder else "")
                self._warn(
                    f"Labels of frames are lost from frame {name} on: {': '.join(filter(None, (place, error.strerror)))}; free some "
                    "space, or name another folder for temporary files with TMPDIR."
                )

    def files(self) -> list[Path]:
        """What is there, in order of the names, as `write_labels` writes it."""
        return sorted(Path(self._folder.name).glob(f"*{SUFFIX}")) if self._folder else []

    def clear(self) -> None:
        """Remove all."""
        self._warned = False
        self._remove_folder()

    def _there(self) -> Path:
        """The folder, held by a lock that ends with the process. Raises OSError."""
        if self._folder is None or not Path(self._folder.name).is_dir():
            self._remove_folder()
            self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
            with suppress(OSError):  # a file system without locks
                self._lock.enter_context(locked(Path(self._folder.name)))
        return Path(self._folder.name)

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._lock.close()


def check_room(folder: Path) -> None:
    """OSError where the disk is nearly full."""
    disk = shutil.disk_usage(folder)
    least = min(LEAST_FREE_BYTES, LEAST_FREE * disk.total)
    if disk.free < least:
        raise OSError(errno.ENOSPC, f"less than {least / 1e9:.2g} GB is free on the disk", str(folder))


def remove_abandoned() -> None:
    """The folders of processes that were killed: nobody holds them."""
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError), locked(folder):
                shutil.rmtree(folder)
