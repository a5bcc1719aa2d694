"""Replica (Straub et al., 2019) as iMAP rendered it and NICE-SLAM shares it: ROOM/results with the images, ROOM/traj.txt."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError, quoted
from gcseg_ros.files import read_json
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings.folders import (
    COLOUR_SUFFIXES,
    DEPTH_SUFFIXES,
    FolderRecording,
    FrameFiles,
    by_stem,
    in_order,
    of_one_camera,
    stamps_from_names,
)
from gcseg_ros.recordings.images import read_rows

CAMERA_FILE = "cam_params.json"
CAMERA = CameraIntrinsics(1200, 680, 600.0, 600.0, 599.5, 339.5)  # of all that NICE-SLAM shares
DEPTH_SCALE = 6553.5  # units per metre
POSE_LINE = [f"T{row}{column}" for row in range(1, 5) for column in range(1, 5)]


class Replica(FolderRecording):
    """Colour and depth have one camera, that of `cam_params.json` in the folder or in the one above, and a number; 30 Hz by it.

    The lines of traj.txt are the poses of the optical frame in Replica's world, whose z axis points up: one an image. Where
    images were left out, or not all are there yet, the number in the name is that of the line, from 0.
    """

    format = "replica"
    expects = "results/frameNNNNNN.jpg and depthNNNNNN.png (16 bit), traj.txt (camera-to-world, 16 numbers a line)"
    gives_way: ClassVar[bool] = True  # any recording may have a folder of results beside it

    def __init__(self, path: Path, up: str | None = None) -> None:
        super().__init__(path, up)
        colour = _numbered(path / "results", "frame", COLOUR_SUFFIXES)
        depth = _numbered(path / "results", "depth", DEPTH_SUFFIXES)
        numbers = in_order({*colour, *depth})
        poses = _read_poses(path / "traj.txt")
        lines = range(len(poses)) if len(poses) == len(numbers) else map(int, numbers)
        self.files = [
            FrameFiles(f"frame{n}", stamp_s, colour.get(n), depth.get(n), poses[line] if line < len(poses) else None)
            for n, line, stamp_s in zip(numbers, lines, stamps_from_names(numbers))
        ]
        folders = path, path.resolve().parent
        file = next((folder / CAMERA_FILE for folder in folders if (folder / CAMERA_FILE).is_file()), None)
        self._camera, scale = _read_camera(file) if file else (CAMERA, DEPTH_SCALE)
        self._source = str(file) if file else f"the camera of NICE-SLAM's images (there is no {CAMERA_FILE})"
        self.depth_unit_m = 1 / scale
        if not file:
            self.assumed = (
                f"There is no {folders[1] / CAMERA_FILE}: the camera is taken for that of NICE-SLAM's images (f = {CAMERA.fx:g} "
                f"at {CAMERA.width}x{CAMERA.height}, {DEPTH_SCALE:g} depth units a metre)."
            )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return any((path / "results").glob("frame[0-9]*"))

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        return of_one_camera(self._camera, colour, depth, self._source)


def _numbered(folder: Path, part: str, suffixes: Sequence[str]) -> dict[str, Path]:
    """The digits of a name -> file, of those that are called `part` and a number."""
    found = by_stem(folder, suffixes).items()
    return {stem.removeprefix(part): file for stem, file in found if re.fullmatch(rf"{part}\d+", stem)}


def _read_poses(file: Path) -> Array:
    """(N, 4, 4), one a line. Raises UserError."""
    rows = [row[: len(POSE_LINE)] for row in read_rows(file, POSE_LINE)]
    return np.array(rows, np.float64).reshape(-1, 4, 4)


def _read_camera(file: Path) -> tuple[CameraIntrinsics, float]:
    """The camera, and depth units per metre. Raises UserError."""
    content = read_json(file)
    try:
        camera = content["camera"]
        scale = float(camera["scale"])
        if not 0 < scale < math.inf:
            raise ValueError(f"the scale {scale:g} is no number of depth units a metre")
        pixels = [float(camera[name]) for name in ("fx", "fy", "cx", "cy")]
        return CameraIntrinsics(int(camera["w"]), int(camera["h"]), *pixels), scale
    except (KeyError, TypeError, ValueError, OverflowError, UserError) as error:
        raise UserError(
            f"{file} must hold a `camera` with the numbers w, h, fx, fy, cx, cy (pixels) and scale (depth units a metre); found an error: "
            f"{quoted(error)}."
        ) from None
