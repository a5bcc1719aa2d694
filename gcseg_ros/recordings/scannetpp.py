"""ScanNet++ (Yeshwanth et al., ICCV 2023): the iPhone's RGB-D video, extracted by the ScanNet++ toolkit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.files import read_json
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings.folders import (
    COLOUR_SUFFIXES,
    DEPTH_SUFFIXES,
    FolderRecording,
    FrameFiles,
    by_stem,
    stamps_from_names,
)
from gcseg_ros.recordings.images import camera

INDEX = "pose_intrinsic_imu.json"
EXTRACT = "python -m iphone.prepare_iphone_data iphone/configs/prepare_iphone_data.yml"


class ScanNetPP(FolderRecording):
    """The extracted colour images are the sequence, however sparse. Their camera, scaled to depth's size, is depth's.

    Stamps are those of the index, else the frame's number at 60 Hz.
    poses  `aligned_pose` (the frame of the scene's mesh) or `pose` (ARKit's, whose y axis points up)
    """

    format = "scannetpp"
    expects = f"{INDEX}, rgb/frame_NNNNNN.jpg and depth/frame_NNNNNN.png (16 bit, mm), extracted by its toolkit"
    options: ClassVar[dict[str, str]] = {
        "poses": "aligned_pose (the default) or pose",
        **FolderRecording.options,
    }

    def __init__(self, path: Path, poses: str = "aligned_pose", up: str | None = None) -> None:
        super().__init__(path, "y" if up is None and poses == "pose" else up)
        folder = path / "iphone" if (path / "iphone" / INDEX).exists() else path
        colour = {stem.split(".")[0]: file for stem, file in by_stem(folder / "rgb", COLOUR_SUFFIXES).items()}
        depth = {stem.split(".")[0]: file for stem, file in by_stem(folder / "depth", DEPTH_SUFFIXES).items()}
        if not colour or not depth:
            missing = " and ".join(name for name, found in (("rgb", colour), ("depth", depth)) if not found)
            raise UserError(
                f"{folder} has no extracted images in {missing}/: run `{EXTRACT}` of the ScanNet++ toolkit, "
                "with extract_rgb and extract_depth."
            )
        self._index: dict[str, dict[str, Any]] = read_json(folder / INDEX)
        if not isinstance(self._index, dict) or not any(name in self._index for name in colour):
            raise UserError(
                f"{folder / INDEX} must map frame names such as {next(iter(colour))!r} to poses and intrinsics; "
                "found none of the images' names."
            )
        self._poses = poses
        names = list(colour)
        stamps = stamps_from_names(names, rate_hz=60)
        own = [self._entry(name).get("timestamp") for name in names]
        if all(isinstance(stamp, int | float) for stamp in own):
            stamps = [float(stamp) for stamp in own]  # type: ignore[arg-type]
        self.files = [
            FrameFiles(name, stamp_s, colour[name], depth.get(name), None) for name, stamp_s in zip(names, stamps)
        ]

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return (path / INDEX).is_file() or (path / "iphone" / INDEX).is_file()

    def _entry(self, name: str) -> dict[str, Any]:
        entry = self._index.get(name, {})
        return entry if isinstance(entry, dict) else {}

    def _matrix(self, name: str, key: str, side: int) -> Array:
        try:
            return np.array(self._entry(name)[key], np.float64).reshape(side, side)
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{self.path}: frame {name} of {INDEX} must have {key!r}, a {side}x{side} matrix; "
                f"found {sorted(self._entry(name))}."
            ) from None

    def pose(self, files: FrameFiles) -> Array | None:
        if files.name not in self._index:
            return None
        return self._matrix(files.name, self._poses, 4)

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        found = camera(self._matrix(files.name, "intrinsic", 3), colour, f"{INDEX}, frame {files.name}")
        return found, found.resized(depth.shape[1], depth.shape[0], f"frame {files.name} of {self.path / INDEX}")
