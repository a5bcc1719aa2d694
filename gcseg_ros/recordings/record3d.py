"""Record3D, an app for iPhones and iPads: its own .r3d files, archives of images, LiDAR depth and ARKit's poses.

The conventions are those that its author tells (github.com/marek-simonik/record3d, issues 27, 33, 36, 83 and 93) and that
github.com/notmahi/clip-fields, dataloaders/record3d.py, reads: camera-to-world of OpenGL's camera, `initPose` before all, K by columns.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.transforms import transform_from
from gcseg_ros.errors import UserError, quoted
from gcseg_ros.frames import LARGEST_SIDE_PX, Array, CameraIntrinsics, depth_to_metres
from gcseg_ros.recordings.folders import FrameFiles, of_one_camera
from gcseg_ros.recordings.images import decode_colour
from gcseg_ros.recordings.lzfse_blocks import decompress
from gcseg_ros.recordings.phones import OPTICAL, PhoneRecording

MOST_BYTES = 1 << 28  # of an image or the metadata
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)  # the last of an encrypted one


class Record3D(PhoneRecording):
    """Nothing is unpacked to disk. Depth (float32 metres) and confidence are compressed by LZFSE, or not at all.

    Poses may begin with that of the first frame, as the world: it is level then only if the phone was.
    """

    format = "record3d"
    expects = "a .r3d file, with metadata, rgbd/N.jpg, rgbd/N.depth and rgbd/N.conf"

    def __init__(self, path: Path, confidence: str = "1", up: str = "y") -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except BROKEN_ZIP as error:
            raise UserError(f"{path} is no whole .r3d file ({error}): copy or export it again.") from None
        inside = set(self._archive.namelist())
        of_kind = {
            kind: {n: Path(f"rgbd/{n}.{kind}") for n in range(len(inside)) if f"rgbd/{n}.{kind}" in inside}
            for kind in ("jpg", "depth", "conf")
        }
        super().__init__(path, confidence, up)
        metadata = self._read(Path("metadata"))
        try:
            read = json.loads(metadata)
            size = int(read["w"]), int(read["h"])
            matrix = np.array(read["K"], np.float64).reshape(3, 3).T
            coefficients = read.get("perFrameIntrinsicCoeffs") or [matrix[[0, 1, 0, 1], [0, 1, 2, 2]]]
            self._cameras = [CameraIntrinsics(*size, *map(float, numbers[:4])) for numbers in coefficients]
            self._depth_size = int(read.get("dh", 256)), int(read.get("dw", 192))  # first versions do not tell it
            first = _pose(read.get("initPose", [0, 0, 0, 1, 0, 0, 0]))
            poses = [first @ _pose(numbers) @ OPTICAL for numbers in read["poses"]]
            stamps = [float(stamp) for stamp in read.get("frameTimestamps") or []]
            if len(stamps) != len(poses):
                stamps = [n / float(read["fps"]) for n in range(len(poses))]
            if not 0 < min(self._depth_size) <= max(self._depth_size) <= LARGEST_SIDE_PX:
                raise ValueError(f"depth of {self._depth_size[1]}x{self._depth_size[0]} pixels")
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, UserError) as error:
            raise UserError(
                f"{path}: metadata must hold w, h, K, fps and poses; found an error: {quoted(error)}."
            ) from None
        if len(poses) > 1 and all(np.array_equal(pose, poses[0]) for pose in poses):
            raise UserError(
                f"{path} has one pose for all frames: record with the LiDAR, since the front camera has no poses."
            )
        if poses and np.allclose(poses[0], OPTICAL):
            self.assumed = (
                "Poses begin with that of the first frame: the map is level if the phone was held level then."
            )
        self.files = [
            FrameFiles(str(n), stamp_s, of_kind["jpg"].get(n), of_kind["depth"].get(n), pose, of_kind["conf"].get(n))
            for n, (stamp_s, pose) in enumerate(zip(stamps, poses))
        ]

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return path.suffix.lower() == ".r3d" and path.is_file()

    def colour(self, file: Path, files: FrameFiles) -> npt.NDArray[np.uint8]:
        return decode_colour(self._read(file), f"{file} of {self.path}")

    def all_depth(self, file: Path) -> npt.NDArray[np.float32]:
        return depth_to_metres(self._pixels(file, "<f4"))

    def levels(self, file: Path) -> npt.NDArray[np.uint8]:
        return self._pixels(file, np.uint8)

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        n = int(files.name)
        camera = self._cameras[n if n < len(self._cameras) else 0]
        return of_one_camera(camera, colour, depth, f"the metadata of {self.path}")

    def _read(self, file: Path) -> bytes:
        try:
            info = self._archive.getinfo(str(file))
            if info.file_size > MOST_BYTES:
                raise UserError(
                    f"{file} of {self.path} would be {info.file_size} bytes: is it a recording? Export it again."
                )
            return self._archive.read(info)
        except KeyError:
            raise UserError(f"{self.path} has no {file}: expected {self.expects}; export it again.") from None
        except BROKEN_ZIP as error:
            raise UserError(f"{file} of {self.path} is broken ({error}): copy or export it again.") from None

    def _pixels(self, file: Path, kind: npt.DTypeLike) -> npt.NDArray:
        """(H, W) of depth's size."""
        height, width = self._depth_size
        data, size = self._read(file), np.dtype(kind).itemsize * height * width
        pixels = data if len(data) == size else decompress(data, size, str(self.path))
        if pixels is None:
            raise UserError(f"{file} of {self.path} is not {width}x{height} pixels by LZFSE: copy or export it again.")
        return np.frombuffer(pixels, kind).reshape(height, width)


def _pose(numbers: list[float]) -> Array:
    qx, qy, qz, qw, *position = map(float, numbers)
    x, y, z = position
    return transform_from((x, y, z), (qx, qy, qz, qw))
