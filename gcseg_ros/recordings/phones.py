"""What the exports of apps for phones with a LiDAR share: ARKit's world, and how sure ARKit is of depth."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.recordings.folders import FolderRecording, FrameFiles, by_stem
from gcseg_ros.recordings.images import read_grey


class PhoneRecording(FolderRecording):
    """Depth is a LiDAR's, and lies on colour. ARKit's world is turned: its y axis points up.

    confidence  the least of ARKit's levels of which depth counts: 0 (low), 1 (medium) or 2 (high)
    """

    options: ClassVar[dict[str, str]] = {
        "confidence": "the least confidence of depth that counts: 0 (all), 1 (medium, the default) or 2 (high)",
        **FolderRecording.options,
    }

    def __init__(self, path: Path, confidence: str, up: str, confidence_folder: Path) -> None:
        super().__init__(path, up)
        if confidence not in ("0", "1", "2"):
            raise UserError(f"The option confidence is 0, 1 or 2; found {confidence!r}.")
        self._least = int(confidence)
        self._confidence = by_stem(confidence_folder, (".png",))
        if self._least and not self._confidence:
            self.assumed = f"There are no images in {confidence_folder}: all depth counts."

    @abstractmethod
    def levels(self, stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """ARKit's levels 0 to 2, of what the app stores."""

    def depth(self, file: Path, files: FrameFiles) -> npt.NDArray[np.float32]:
        depth, confidence = super().depth(file, files), self._confidence.get(files.name)
        if self._least == 0 or confidence is None:
            return depth
        stored = read_grey(confidence)
        if stored.shape != depth.shape:
            raise UserError(
                f"{confidence} has {stored.shape[1]}x{stored.shape[0]} pixels and its depth {depth.shape[1]}x{depth.shape[0]}: expected as "
                "many; export it again, or take --option confidence=0."
            )
        return np.where(self.levels(stored) < self._least, np.float32(0), depth)
