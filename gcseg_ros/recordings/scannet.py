"""ScanNet (Dai et al., CVPR 2017) as its SensReader exports it: a folder of colour, depth, poses and intrinsics."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings.folders import (
    COLOUR_SUFFIXES,
    DEPTH_SUFFIXES,
    FolderRecording,
    FrameFiles,
    by_stem,
    in_order,
    stamps_from_names,
)
from gcseg_ros.recordings.images import camera, offset, read_matrix


class ScanNet(FolderRecording):
    """Files of a frame share a stem. Depth's camera is the reference, colour is resampled to it. 30 Hz by frame number.
    Where only one camera's intrinsics are there, the other camera is the same at its image's size. Depth's extrinsic, where there is one,
    maps its points to colour's camera.

    poses  the folder of poses, for example `pose_noisy`
    """

    format = "scannet"
    expects = "color/NAME.jpg, depth/NAME.png (16 bit, mm), pose/NAME.txt (camera-to-world) and intrinsic/*.txt"
    options: ClassVar[dict[str, str]] = {
        "poses": "name of the folder of poses, default pose",
        **FolderRecording.options,
    }

    def __init__(self, path: Path, poses: str = "pose", up: str | None = None) -> None:
        super().__init__(path, up)
        colour, depth = by_stem(path / "color", COLOUR_SUFFIXES), by_stem(path / "depth", DEPTH_SUFFIXES)
        pose = by_stem(path / poses, (".txt",))
        if not pose:
            others = sorted(p.name for p in path.iterdir() if p.is_dir() and by_stem(p, (".txt",)) and "pose" in p.name)
            hint = f"there are poses in {', '.join(others)}" if others else "export them with SensReader --export_poses"
            raise UserError(f"{path} has no poses: expected {poses}/NAME.txt, a 4x4 camera-to-world matrix; {hint}.")
        names = in_order({*colour, *depth})
        self.files = [
            FrameFiles(name, stamp_s, colour.get(name), depth.get(name), pose.get(name))
            for name, stamp_s in zip(names, stamps_from_names(names))
        ]
        self._colour_matrix, self._depth_matrix = self._matrix("intrinsic_color"), self._matrix("intrinsic_depth")
        T_colour_depth = self._matrix("extrinsic_depth")
        self.T_colour_depth = None if T_colour_depth is None else offset(T_colour_depth)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return (path / "color").is_dir() and any((path / part).is_dir() for part in ("depth", "pose", "intrinsic"))

    def _matrix(self, name: str) -> Array | None:
        file = self.path / "intrinsic" / f"{name}.txt"
        return read_matrix(file) if file.exists() else None

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        folder = str(self.path / "intrinsic")
        if self._depth_matrix is not None:
            depth_camera = camera(self._depth_matrix, depth, folder)
            if self._colour_matrix is None:
                return depth_camera.resized(
                    colour.shape[1], colour.shape[0], f"{folder}/intrinsic_depth.txt"
                ), depth_camera
            return camera(self._colour_matrix, colour, folder), depth_camera
        if self._colour_matrix is None:
            raise UserError(f"{self.path} has no intrinsics: expected {folder}/intrinsic_depth.txt, a 4x4 matrix.")
        colour_camera = camera(self._colour_matrix, colour, folder)
        return colour_camera, colour_camera.resized(depth.shape[1], depth.shape[0], f"{folder}/intrinsic_color.txt")
