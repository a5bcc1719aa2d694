"""7-Scenes (Shotton et al., CVPR 2013), and tsdf-fusion-python's copy of it: one folder of frame-NNNNNN.* files.

12-Scenes (Valentin et al., 3DV 2016) and 3RScan (Wald et al., ICCV 2019) look alike, with both cameras in an info.txt, as SensReader
writes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings import one_of
from gcseg_ros.recordings.folders import FolderRecording, FrameFiles, in_order, stamps_from_names
from gcseg_ros.recordings.images import camera, read_matrix

KINECT = CameraIntrinsics(640, 480, 585.0, 585.0, 320.0, 240.0)  # of depth: the publication's calibration
KINECT_COLOUR = CameraIntrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)  # nominal, as OpenNI has it
KINECT_BASELINE_M = 0.025  # nominal; the colour camera is to the right of depth's
INTRINSICS = "camera-intrinsics.txt"
INFO = ("info.txt", "_info.txt")  # lines NAME = VALUE, those of a .sens file's header
COLOUR_MATRIX, DEPTH_MATRIX, UNITS = "m_calibrationColorIntrinsic", "m_calibrationDepthIntrinsic", "m_depthShift"
PARTS = {
    ".color.png": "colour",
    ".color.jpg": "colour",
    ".depth.png": "depth",
    ".depth.pgm": "depth",
    ".pose.txt": "pose",
}


class SevenScenes(FolderRecording):
    """Depth 65535 is invalid. Depth's camera matrix lies beside the frames or beside their folder (as in tsdf-fusion-python's
    copy), or an info.txt with both cameras'; 30 Hz by frame number. What was published are a Kinect's raw images: with its
    matrix, colour is brought onto depth by the Kinect's nominal colour camera. With another matrix colour and depth share a camera.

    registered  yes: with the publication's matrix as well
    """

    format = "seven_scenes"
    z_up = False
    expects = "frame-NNNNNN.color.png, .depth.png or .pgm (16 bit, mm) and .pose.txt (camera-to-world)"
    options: ClassVar[dict[str, str]] = {
        "registered": "yes where colour lies on depth already, else no",
        **FolderRecording.options,
    }

    def __init__(self, path: Path, registered: str = "no", up: str | None = None) -> None:
        super().__init__(path, up)
        on_depth = one_of("registered", registered, "yes", "no") == "yes"
        frames = _sequence(path)
        found: dict[str, dict[str, Path]] = {}
        for file in frames.iterdir():
            name, dot, part = file.name.partition(".")
            if name.startswith("frame-") and dot + part in PARTS:
                found.setdefault(name, {})[PARTS[dot + part]] = file
        if not any("pose" in parts for parts in found.values()):
            raise UserError(f"{path} has no poses: expected frame-NNNNNN.pose.txt, a 4x4 camera-to-world matrix.")
        names = in_order(found)
        self.files = [
            FrameFiles(name, stamp_s, found[name].get("colour"), found[name].get("depth"), found[name].get("pose"))
            for name, stamp_s in zip(names, stamps_from_names(names))
        ]
        folders = (frames, frames.resolve().parent)
        matrix_file = _first(folder / INTRINSICS for folder in folders)
        info_files = [folder / name for folder in folders for name in INFO if (folder / name).is_file()]
        self._matrix, self._colour_matrix, self._source = None, None, INTRINSICS
        if matrix_file:
            self._matrix = read_matrix(matrix_file)
        elif described := next(((file, info) for file in info_files if (info := _read_info(file))), None):
            self._source = str(described[0])
            self._colour_matrix, self._matrix, self.depth_unit_m = described[1]
        assumed = []
        if self._matrix is None:
            assumed.append(
                f"There is no {frames / INTRINSICS}: the camera is taken for the publication's Kinect (f = {KINECT.fx:g} at 640x480)."
            )
        raw = self._matrix is None or np.allclose(self._matrix[:3, :3], KINECT.matrix)
        if raw and self._colour_matrix is None and not on_depth:
            self.T_colour_depth = np.eye(4)
            self.T_colour_depth[0, 3] = -KINECT_BASELINE_M
            assumed.append(
                f"Colour is brought onto depth as a Kinect's, whose colour camera has f = {KINECT_COLOUR.fx:g} and stands "
                f"{1000 * KINECT_BASELINE_M:g} mm beside depth's: if that was done before, take --option registered=yes."
            )
        self.assumed = " ".join(assumed)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        if not path.is_dir():
            return False
        sequences = (part for part in path.glob("seq-*") if part.is_dir() or part.suffix == ".zip")
        return any(path.glob("frame-*.color.*")) or any(sequences)

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        height, width = depth.shape
        if self.T_colour_depth is not None and colour.shape[:2] != depth.shape:
            raise UserError(
                f"{files.colour} has {colour.shape[1]}x{colour.shape[0]} pixels and its depth {width}x{height}: expected the two of a "
                f"raw Kinect, as large as each other; put the info.txt of these cameras ({COLOUR_MATRIX}, {DEPTH_MATRIX}) beside the "
                "frames, or take --option registered=yes if colour lies on depth."
            )
        if self._matrix is None:
            found = KINECT.resized(width, height, f"the Kinect of the publication (there is no {INTRINSICS})")
        else:
            found = camera(self._matrix, depth, self._source)
        if self._colour_matrix is not None:
            return camera(self._colour_matrix, colour, self._source), found
        of_colour, source = (found, "the depth camera") if self.T_colour_depth is None else (KINECT_COLOUR, "a Kinect")
        return of_colour.resized(colour.shape[1], colour.shape[0], source), found


def _first(files: Iterable[Path]) -> Path | None:
    return next((file for file in files if file.is_file()), None)


def _read_info(file: Path) -> tuple[Array, Array, float] | None:
    """The colour's and the depth's camera matrix (4, 4) and metres a depth unit; None if the file is about something else."""
    lines = (line.partition("=") for line in file.read_text(errors="replace").splitlines())
    values = {name.strip(): value for name, _, value in lines}
    if DEPTH_MATRIX not in values:
        return None
    try:
        colour, depth = (
            np.array(values[name].split(), np.float64).reshape(4, 4) for name in (COLOUR_MATRIX, DEPTH_MATRIX)
        )
        units = float(values.get(UNITS, 1000))
        if not 0 < units < math.inf:
            raise ValueError
    except (KeyError, ValueError):
        raise UserError(
            f"{file} must hold {COLOUR_MATRIX} and {DEPTH_MATRIX}, 4x4 matrices, and {UNITS}, depth units per metre; found "
            f"{', '.join(f'{name} = {values[name].strip()}' for name in (COLOUR_MATRIX, DEPTH_MATRIX, UNITS) if name in values)}."
        ) from None
    return colour, depth, 1 / units


def _sequence(path: Path) -> Path:
    """The folder of frames: `path` itself, or its only seq-NN folder."""
    if any(path.glob("frame-*.color.*")):
        return path
    sequences = sorted(folder for folder in path.glob("seq-*") if folder.is_dir())
    if len(sequences) != 1:
        names = ", ".join(folder.name for folder in sequences) or "only archives: unzip one"
        raise UserError(f"{path} is a scene of 7-Scenes: give one of its sequences; found {names}.")
    return sequences[0]
