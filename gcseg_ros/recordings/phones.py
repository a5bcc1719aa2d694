"""What recordings of phones with a LiDAR share: ARKit's world and camera, and how sure it is of depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, Frame
from gcseg_ros.recordings import one_of
from gcseg_ros.recordings.folders import FolderRecording, FrameFiles
from gcseg_ros.recordings.images import read_depth, read_grey

OPTICAL: Array = np.diag([1.0, -1, -1, 1])
"""ARKit's camera (x right, y up, z backward) from the optical frame, or that from ARKit's."""


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
        self._least = int(one_of("confidence", confidence, "0", "1", "2"))

    def depth(self, file: Path, files: FrameFiles) -> npt.NDArray[np.float32]:
        depth = self.all_depth(file)
        if self._least == 0 or files.confidence is None:
            return depth
        levels = self.levels(files.confidence)
        if levels.shape != depth.shape:
            raise UserError(
                f"{files.confidence} has {levels.shape[1]}x{levels.shape[0]} pixels and its depth {depth.shape[1]}x{depth.shape[0]}: expected "
                "as many; export it again, or take --option confidence=0."
            )
        return np.where(levels < self._least, np.float32(0), depth)

    def all_depth(self, file: Path) -> npt.NDArray[np.float32]:
        """As `depth`, whatever its confidence."""
        return read_depth(file, self.depth_unit_m)

    def levels(self, file: Path) -> npt.NDArray[np.uint8]:
        """(H, W) of ARKit's levels of confidence, 0 to 2."""
        return read_grey(file)

    def _frames(self) -> Iterator[Frame | str]:
        unsure = sum(files.depth is not None and files.confidence is None for files in self.files)
        if self._least and unsure:
            self.notes.append(
                f"The depth of {unsure} of {len(self.files)} frames has no image of its confidence: all of it counts."
            )
        yield from super()._frames()
