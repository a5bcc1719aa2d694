"""Polycam, an app for iPhones and iPads with a LiDAR: its raw data, keyframes with depth, ARKit's poses and those that it optimised.

The conventions are those of Polycam's notes, github.com/PolyCam/polyform, README.md: the axes of a camera are x right, y up, z backward.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError, quoted
from gcseg_ros.files import read_json
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings import one_of
from gcseg_ros.recordings.folders import (
    COLOUR_SUFFIXES,
    MOST_FRAMES,
    FrameFiles,
    by_stem,
    in_order,
    stamps_from_names,
)
from gcseg_ros.recordings.phones import OPTICAL, PhoneRecording
from gcseg_ros.ros_types.messages import seconds

CORRECTED, ARKIT = "corrected_cameras", "cameras"
NUMBERS = ("width", "height", "fx", "fy", "cx", "cy")


class Polycam(PhoneRecording):
    """Files of a frame share a stem, its stamp in microseconds. Depth is that of ARKit's camera; colour is of the same, or of the corrected
    one where Polycam straightened it. Both stand in the same place. Of confidence 0 is low and 255 high; what it writes for medium differs.

    poses  `corrected_cameras` or `cameras` (ARKit's, which drift; colour is not straightened then)
    """

    format = "polycam"
    expects = f"keyframes/ with images/, depth/ (16 bit, mm) and {ARKIT}/, and corrected_images/ and {CORRECTED}/ if they were made"
    gives_way: ClassVar[bool] = True  # a SLAM may write its keyframes beside what it read
    options: ClassVar[dict[str, str]] = {
        "poses": f"{CORRECTED} (the default where they are there) or {ARKIT}",
        **PhoneRecording.options,
    }

    def __init__(self, path: Path, poses: str | None = None, confidence: str = "1", up: str = "y") -> None:
        folder = path / "keyframes"
        super().__init__(path, confidence, up)
        if poses is not None:
            one_of("poses", poses, CORRECTED, ARKIT)
        self._arkit, corrected = (by_stem(folder / name, (".json",)) for name in (ARKIT, CORRECTED))
        if poses is None and not corrected:
            self.assumed = f"There are no {CORRECTED}: poses are ARKit's, and drift."
        self._cameras = corrected if poses == CORRECTED or (poses is None and corrected) else self._arkit
        straight = by_stem(folder / "corrected_images", COLOUR_SUFFIXES) if self._cameras is corrected else {}
        self._colour_cameras = self._cameras if straight else self._arkit
        colour = straight or by_stem(folder / "images", COLOUR_SUFFIXES)
        depth, confidences = (by_stem(folder / part, (".png",)) for part in ("depth", "confidence"))
        for what, found in ((poses or ARKIT, self._cameras), ("images", colour), ("depth", depth)):
            if not found:
                raise UserError(
                    f"{folder} has no files in {what}: expected {self.expects}; turn on Polycam's developer mode, and export the raw data of "
                    "a capture that was made with the LiDAR after that."
                )
        names = in_order({*colour, *self._cameras})
        self.files = [
            FrameFiles(name, stamp_s, colour.get(name), depth.get(name), self._cameras.get(name), confidences.get(name))
            for name, stamp_s in zip(names, _stamps(names))
        ]

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return any((path / "keyframes" / name).is_dir() for name in ("images", "corrected_images", ARKIT, CORRECTED))

    def levels(self, file: Path) -> npt.NDArray[np.uint8]:
        stored = super().levels(file)
        return np.sign(stored) + (stored == 255)

    def pose(self, files: FrameFiles) -> Array | None:
        return _read_camera(files.pose)[1] if isinstance(files.pose, Path) else None

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        found = []
        for cameras, image in ((self._colour_cameras, colour), (self._arkit, depth)):
            file = cameras.get(files.name, self._cameras[files.name])
            found.append(_read_camera(file)[0].resized(image.shape[1], image.shape[0], str(file)))
        return found[0], found[1]


def _stamps(names: list[str]) -> list[float]:
    if all(name.isdecimal() for name in names) and int(names[-1]) > MOST_FRAMES:
        return [seconds(1000 * int(name)) for name in names]
    return stamps_from_names(names)


def _read_camera(file: Path) -> tuple[CameraIntrinsics, Array]:
    """The camera, and its pose (4, 4), camera-to-world, of the optical frame. Raises UserError."""
    read, pose = read_json(file), np.eye(4)
    try:
        width, height, *pixels = (float(read[name]) for name in NUMBERS)
        pose[:3] = [[float(read[f"t_{row}{column}"]) for column in range(4)] for row in range(3)]
        return CameraIntrinsics(int(width), int(height), *pixels), pose @ OPTICAL
    except (KeyError, TypeError, ValueError, OverflowError, UserError) as error:
        raise UserError(
            f"{file} must hold the numbers {', '.join(NUMBERS)} and t_00 to t_23; found an error: {quoted(error)}."
        ) from None
