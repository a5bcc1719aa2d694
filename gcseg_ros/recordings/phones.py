"""What recordings of phones with a LiDAR share: how sure ARKit is of depth, and its world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import Frame
from gcseg_ros.recordings.folders import FolderRecording, FrameFiles
from gcseg_ros.recordings.images import read_grey


class PhoneRecording(FolderRecording):
    """Depth is a LiDAR's, and lies on colour. The y axis of ARKit's world points up.

    confidence  the least of ARKit's levels of which depth counts: 0 (low), 1 (medium) or 2 (high)
    """

    options: ClassVar[dict[str, str]] = {
        "confidence": "the least confidence of depth that counts: 0 (all), 1 (medium, the default) or 2 (high)",
        **FolderRecording.options,
    }

    def __init__(self, path: Path, confidence: str = "1", up: str | None = "y") -> None:
        super().__init__(path, up)
        if confidence not in ("0", "1", "2"):
            raise UserError(f"The option confidence is 0, 1 or 2; found {confidence!r}.")
        self._least = int(confidence)

    def levels(self, stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """ARKit's levels 0 to 2, of what is stored."""
        return stored

    def depth(self, file: Path, files: FrameFiles) -> npt.NDArray[np.float32]:
        depth = super().depth(file, files)
        if self._least == 0 or files.confidence is None:
            return depth
        stored = read_grey(files.confidence)
        if stored.shape != depth.shape:
            raise UserError(
                f"{files.confidence} has {stored.shape[1]}x{stored.shape[0]} pixels and its depth {depth.shape[1]}x{depth.shape[0]}: expected "
                "as many; export it again, or take --option confidence=0."
            )
        return np.where(self.levels(stored) < self._least, np.float32(0), depth)

    def _frames(self) -> Iterator[Frame | str]:
        unsure = sum(files.depth is not None and files.confidence is None for files in self.files)
        if self._least and unsure:
            self.notes.append(
                f"The depth of {unsure} of {len(self.files)} frames has no image of its confidence: all of it counts."
            )
        yield from super()._frames()
