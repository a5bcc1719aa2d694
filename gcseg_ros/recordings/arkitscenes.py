"""ARKitScenes (Baruch et al., NeurIPS 2021), as its download_data.py leaves a video of `raw` or `3dod`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from gcseg_ros.camera.transforms import Trajectory
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings.folders import COLOUR_SUFFIXES, FrameFiles, associate, by_stem, of_one_camera
from gcseg_ros.recordings.images import read_rows
from gcseg_ros.recordings.phones import PhoneRecording
from gcseg_ros.ros_types.messages import nanoseconds

TRAJECTORY, DEPTH, CONFIDENCE = "lowres_wide.traj", "lowres_depth", "confidence"
COLOUR = "vga_wide", "lowres_wide"  # 640x480 at 30 Hz, only of `raw`, and 256x192; of one camera
TOLERANCE_S = 0.005  # its own loader's; images come every 17 ms
MAX_GAP_S = 0.25  # poses come every 0.1 s
STEM = re.compile(r"(?:.*_)?(\d+\.?\d*)")
POSE_LINE = ["stamp", "rx", "ry", "rz", "tx", "ty", "tz"]
CAMERA_LINE = ["width", "height", "fx", "fy", "cx", "cy"]


class ARKitScenes(PhoneRecording):
    """Colour images are the sequence, `vga_wide` where it is there; their camera, scaled to depth's size, is depth's. Depth and
    confidence are those of their stamp, poses are interpolated at it. The world's z axis points up, however the device was held.
    """

    format = "arkitscenes"
    expects = f"lowres_wide/ID_STAMP.png or vga_wide/, its _intrinsics/*.pincam, {DEPTH}/ (16 bit, mm) and {TRAJECTORY}"

    def __init__(self, path: Path, confidence: str = "1", up: str | None = None) -> None:
        super().__init__(path, confidence, up)
        folder = _frames(path)
        colour, cameras = _colour(folder)
        stamps_s, self._camera_files = np.array(list(cameras)), list(cameras.values())
        self._changes_s = (stamps_s[1:] + stamps_s[:-1]) / 2  # from when on the next camera's stamp is the nearest
        self._poses = _read_trajectory(folder / TRAJECTORY)
        stamps = list(colour)
        depth, confidences = (_partners(stamps, _stamped(folder / part)) for part in (DEPTH, CONFIDENCE))
        self.files = [
            FrameFiles(file.stem, stamp, file, depth.get(stamp), None, confidences.get(stamp))
            for stamp, file in colour.items()
        ]

    @classmethod
    def recognises(cls, path: Path) -> bool:
        folder = _frames(path)
        return (folder / DEPTH).is_dir() or (folder / TRAJECTORY).is_file()

    def pose(self, files: FrameFiles) -> Array | None:
        return self._poses.at(nanoseconds(files.stamp_s), TOLERANCE_S)

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        file = self._camera_files[np.searchsorted(self._changes_s, files.stamp_s)]
        return of_one_camera(_read_camera(file), colour, depth, str(file))


def _frames(path: Path) -> Path:
    """The folder of a video's images: `path` itself, or of `3dod` its VIDEO_frames."""
    return next((folder for folder in sorted(path.glob("*_frames")) if (folder / DEPTH).is_dir()), path)


def _colour(folder: Path) -> tuple[dict[float, Path], dict[float, Path]]:
    """The finest images that come with their cameras. Raises UserError."""
    for name in COLOUR:
        colour, cameras = _stamped(folder / name), _stamped(folder / f"{name}_intrinsics", (".pincam",))
        if colour and cameras:
            return colour, cameras
    raise UserError(
        f"{folder} has no colour images with their cameras: expected lowres_wide/ID_STAMP.png and lowres_wide_intrinsics/ID_STAMP.pincam, "
        "or the same of vga_wide; unzip what was downloaded."
    )


def _stamped(folder: Path, suffixes: Sequence[str] = COLOUR_SUFFIXES) -> dict[float, Path]:
    """Seconds -> file, in order, of those that are called ID_STAMP."""
    found = ((STEM.fullmatch(stem), file) for stem, file in by_stem(folder, suffixes).items())
    return dict(sorted((float(match[1]), file) for match, file in found if match))


def _partners(stamps: Sequence[float], others: dict[float, Path]) -> dict[float, Path]:
    """Stamp -> the file of the same moment."""
    files = list(others.values())
    return {stamps[i]: files[j] for i, j in associate(stamps, list(others), TOLERANCE_S)}


def _read_trajectory(file: Path) -> Trajectory:
    """Camera-to-world; lines are world-to-camera, a rotation vector and a translation. Raises UserError."""
    if not file.is_file():
        raise UserError(
            f"There is no {file}, which has the poses: download it; the videos of the dataset `upsampling`, and a few of `raw`, have none."
        )
    rows = np.array([row[:7] for row in read_rows(file, POSE_LINE)], np.float64).reshape(-1, 7)
    rows = rows[np.isfinite(rows).all(1)]
    if not len(rows):
        raise UserError(f"{file} holds no pose: expected lines `{' '.join(POSE_LINE)}`.")
    poses = Trajectory(max_gap_s=MAX_GAP_S)
    for row, rotation in zip(rows, Rotation.from_rotvec(rows[:, 1:4]).as_matrix()):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotation.T, -rotation.T @ row[4:]
        poses.add(nanoseconds(row[0]), T)
    return poses


def _read_camera(file: Path) -> CameraIntrinsics:
    """A .pincam file's. Raises UserError."""
    rows = np.array([row[:6] for row in read_rows(file, CAMERA_LINE)], np.float64)
    if len(rows) != 1 or not np.isfinite(rows).all():
        raise UserError(f"{file} must hold one line of numbers, `{' '.join(CAMERA_LINE)}`; download it again.")
    width, height, *pixels = rows[0].tolist()
    try:
        return CameraIntrinsics(round(width), round(height), *pixels)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
