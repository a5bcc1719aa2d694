"""7-Scenes (Shotton et al., CVPR 2013), and tsdf-fusion-python's copy of it: one folder of frame-NNNNNN.* files."""

from __future__ import annotations

from pathlib import Path

import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings.folders import FolderRecording, FrameFiles, natural, stamps_from_names
from gcseg_ros.recordings.images import camera, read_matrix, read_pose

KINECT = CameraIntrinsics(640, 480, 585.0, 585.0, 320.0, 240.0)  # the publication's calibration
INTRINSICS = "camera-intrinsics.txt"
PARTS = {".color.png": "colour", ".color.jpg": "colour", ".depth.png": "depth", ".pose.txt": "pose"}


class SevenScenes(FolderRecording):
    """Depth 65535 is invalid; colour and depth share a camera, whose matrix lies beside the frames or beside their folder (as in
    tsdf-fusion-python's copy). 30 Hz by frame number.
    """

    format = "seven_scenes"
    z_up = False
    expects = "frame-NNNNNN.color.png, .depth.png (16 bit, mm) and .pose.txt (camera-to-world)"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        frames = _sequence(path)
        found: dict[str, dict[str, Path]] = {}
        for file in frames.iterdir():
            name, dot, part = file.name.partition(".")
            if name.startswith("frame-") and dot + part in PARTS:
                found.setdefault(name, {})[PARTS[dot + part]] = file
        if not any("pose" in parts for parts in found.values()):
            raise UserError(f"{path} has no poses: expected frame-NNNNNN.pose.txt, a 4x4 camera-to-world matrix.")
        names = sorted(found, key=natural)
        self.files = [
            FrameFiles(name, stamp_s, found[name].get("colour"), found[name].get("depth"), found[name].get("pose"))
            for name, stamp_s in zip(names, stamps_from_names(names))
        ]
        places = (frames / INTRINSICS, frames.resolve().parent / INTRINSICS)
        self._matrix = next((read_matrix(file) for file in places if file.exists()), None)
        if self._matrix is None:
            self.assumed = f"There is no {places[0]}: the camera is taken for the publication's Kinect (f = {KINECT.fx:g} at 640x480)."

    @classmethod
    def recognises(cls, path: Path) -> bool:
        if not path.is_dir():
            return False
        sequences = (part for part in path.glob("seq-*") if part.is_dir() or part.suffix == ".zip")
        return any(path.glob("frame-*.color.*")) or any(sequences)

    def pose(self, files: FrameFiles) -> Array | None:
        return read_pose(files.pose) if isinstance(files.pose, Path) else None

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        height, width = depth.shape
        if self._matrix is None:
            found = KINECT.resized(width, height, f"the Kinect of the publication (there is no {INTRINSICS})")
        else:
            found = camera(self._matrix, depth, INTRINSICS)
        return found.resized(colour.shape[1], colour.shape[0], "the depth camera"), found


def _sequence(path: Path) -> Path:
    """The folder of frames: `path` itself, or its only seq-NN folder."""
    if any(path.glob("frame-*.color.*")):
        return path
    sequences = sorted(folder for folder in path.glob("seq-*") if folder.is_dir())
    if len(sequences) != 1:
        names = ", ".join(folder.name for folder in sequences) or "only archives: unzip one"
        raise UserError(f"{path} is a scene of 7-Scenes: give one of its sequences; found {names}.")
    return sequences[0]
