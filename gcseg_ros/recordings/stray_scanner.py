"""Stray Scanner (Stray Robots), an app for iPhones and iPads with a LiDAR: a folder with a video, depth and ARKit's poses.

The conventions are those of the app's code, github.com/strayrobots/scanner: docs/format.md, OdometryEncoder.swift, VideoEncoder.swift.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.transforms import transform_from
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics, Frame
from gcseg_ros.recordings.folders import FrameFiles, by_stem, in_order
from gcseg_ros.recordings.images import camera, read_matrix
from gcseg_ros.recordings.phones import PhoneRecording
from gcseg_ros.recordings.video import Video

VIDEO, ODOMETRY, MATRIX = "rgb.mp4", "odometry.csv", "camera_matrix.csv"
POSE = ("timestamp", "frame", "x", "y", "z", "qx", "qy", "qz", "qw")
CAMERA = ("fx", "fy", "cx", "cy")


@dataclass(frozen=True)
class Row:
    """A frame as odometry.csv has it: pose (4, 4) camera-to-world of the optical frame, and in newer versions the camera matrix."""

    stamp_s: float
    pose: Array
    matrix: Array | None


class StrayScanner(PhoneRecording):
    """A row's `frame` is the number of its depth, its confidence and its image in the video, which is stored as the sensor lies. The
    app writes the first image to before the video's start, where most readers do not see it.

    The focus changes the camera: newer versions have its matrix in each row, older ones that of the last frame only.
    """

    format = "stray_scanner"
    expects = f"{VIDEO}, {ODOMETRY}, {MATRIX}, depth/NNNNNN.png (16 bit, mm) and confidence/NNNNNN.png"

    def __init__(self, path: Path, confidence: str = "1", up: str = "y") -> None:
        super().__init__(path, confidence, up)
        rows = _read_odometry(path / ODOMETRY)
        depth, confidences = (by_stem(path / part, (".png",)) for part in ("depth", "confidence"))
        if not depth:
            raise UserError(f"{path} has no depth/NNNNNN.png: record with a LiDAR, and export the whole folder.")
        self._matrices = {name: row.matrix for name, row in rows.items() if row.matrix is not None}
        self._last_matrix = read_matrix(path / MATRIX, (3,)) if len(self._matrices) < len(rows) else np.empty(0)
        self._video = Video(path / VIDEO)
        images, frames = self._video.count, max(map(int, rows)) + 1
        self._missing = int(images == frames - 1)
        if images != frames:
            meant = "the first is taken to be lost" if self._missing else "colours may be those of other frames"
            self.assumed = f"{path / VIDEO} has {images} images for {frames} frames: {meant}."
        self.files = [
            FrameFiles(
                name,
                row.stamp_s if row else 0,
                path / VIDEO,
                depth.get(name),
                row.pose if row else None,
                confidences.get(name),
            )
            for name in in_order({*rows, *depth})
            for row in (rows.get(name),)
        ]

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return (path / ODOMETRY).is_file() and any((path / name).is_file() for name in (VIDEO, MATRIX))

    def colour(self, file: Path, files: FrameFiles) -> npt.NDArray[np.uint8] | str:
        image = self._video.image(int(files.name) - self._missing)
        return f"{VIDEO} has no image of it, or is broken before it" if image is None else image

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        source = ODOMETRY if files.name in self._matrices else MATRIX
        found = camera(self._matrices.get(files.name, self._last_matrix), colour, str(self.path / source))
        return found, found.resized(depth.shape[1], depth.shape[0], str(self.path / VIDEO))

    def _frames(self) -> Iterator[Frame | str]:
        try:
            yield from super()._frames()
        finally:
            self._video.close()


def _read_odometry(file: Path) -> dict[str, Row]:
    """Name of a frame, six digits -> its row. The pose is not finite where tracking was lost."""
    rows, row = {}, {}
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            for row in csv.DictReader(stream, skipinitialspace=True):
                stamp_s, *place = (float(row[column]) for column in POSE if column != "frame")
                matrix = None
                if all(row.get(column) for column in CAMERA):
                    fx, fy, cx, cy = (float(row[column]) for column in CAMERA)
                    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
                rows[f"{int(row['frame']):06d}"] = Row(stamp_s, transform_from(place[:3], place[3:]), matrix)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.") from None
    except (csv.Error, KeyError, TypeError, ValueError):
        rows = {}
    if not rows:
        raise UserError(
            f"{file} must begin with the line {', '.join(POSE)}, and have numbers below; found {str(list(row.values()) or 'no frame')[:100]}: "
            "export it again (versions of the app of 2021 wrote something else)."
        )
    return rows
