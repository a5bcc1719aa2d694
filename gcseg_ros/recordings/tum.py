"""TUM RGB-D (Sturm et al., IROS 2012): lists of stamped images and a ground truth trajectory."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.lens import IDENTITY, Lens
from gcseg_ros.camera.transforms import Trajectory, transform_from
from gcseg_ros.errors import UserError
from gcseg_ros.files import parse_yaml
from gcseg_ros.frames import Array, CameraIntrinsics
from gcseg_ros.recordings.folders import FolderRecording, FrameFiles, associate, of_one_camera
from gcseg_ros.recordings.images import read_rows
from gcseg_ros.ros_types.messages import nanoseconds

TOLERANCE_S = 0.02  # the benchmark's own associate.py
DEPTH_FACTOR = 5000.0  # units per metre
IMAGE_LINE = ["stamp", "file"]
POSE_LINE = ["stamp", "tx", "ty", "tz", "qx", "qy", "qz", "qw"]
# of colour images, 640x480, from the benchmark's page on calibration: what the lens bends in OpenCV's order
CALIBRATIONS = {
    "freiburg1": (
        CameraIntrinsics(640, 480, 517.3, 516.5, 318.6, 255.3),
        (0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    ),
    "freiburg2": (
        CameraIntrinsics(640, 480, 520.9, 521.0, 325.1, 249.7),
        (0.2312, -0.7849, -0.0033, -0.0001, 0.9172),
    ),
    "freiburg3": (CameraIntrinsics(640, 480, 535.4, 539.2, 320.1, 247.6), ()),
}
DEFAULT_CALIBRATION = (CameraIntrinsics(640, 480, 525.0, 525.0, 319.5, 239.5), ())  # the benchmark's default


class TUM(FolderRecording):
    """Depth (16 bit, 5000 a metre) is already registered to colour. Images are paired one to one by stamp; poses, of the optical
    frame, are interpolated at depth's stamp.

    Camera: `camera.yaml` in the folder (width, height, fx, fy, cx, cy, optional depth_factor), else by freiburg1-3
    (fr1-3) in the folder's name, else the benchmark's default. The images of freiburg1 and freiburg2 are raw: colour, and depth
    that lies on it, are straightened, since focal length and centre of a calibration hold only with what it says of the lens.
    """

    format = "tum"
    expects = "rgb.txt, depth.txt and groundtruth.txt with stamps, and the images they list"

    def __init__(self, path: Path, up: str | None = None) -> None:
        super().__init__(path, up)
        colour, depth = read_rows(path / "rgb.txt", IMAGE_LINE), read_rows(path / "depth.txt", IMAGE_LINE)
        self._poses = _read_trajectory(path / "groundtruth.txt")
        self._camera, distortion, depth_factor = _calibration(path)
        if not (path / "camera.yaml").exists():
            k = self._camera
            self.assumed = (
                f"There is no {path / 'camera.yaml'}: the camera is taken for one of the benchmark "
                f"(fx, fy, cx, cy = {k.fx:g}, {k.fy:g}, {k.cx:g}, {k.cy:g} at 640x480)."
            )
        if distortion:
            self.lens = Lens(self._camera, distortion, False, IDENTITY, self._camera)
            self.assumed += " Its images are raw: what its lens bends is straightened."
        self.depth_unit_m = 1 / depth_factor
        stamps = [float(row[0]) for row in depth]
        partner = {j: path / colour[i][1] for i, j in associate([float(row[0]) for row in colour], stamps, TOLERANCE_S)}
        files = []
        for j in sorted(range(len(depth)), key=stamps.__getitem__):
            colour_file, depth_file = partner.get(j), path / depth[j][1]
            files.append(
                FrameFiles(
                    (colour_file or depth_file).stem,
                    stamps[j],
                    colour_file if colour_file and colour_file.exists() else None,
                    depth_file if depth_file.exists() else None,
                    None,
                )
            )
        self.files = files

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return (path / "rgb.txt").is_file() and (path / "depth.txt").is_file()

    def pose(self, files: FrameFiles) -> Array | None:
        return self._poses.at(nanoseconds(files.stamp_s), TOLERANCE_S)

    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        source = "the assumed camera (there is no camera.yaml)" if self.assumed else str(self.path / "camera.yaml")
        return of_one_camera(self._camera, colour, depth, source)


def _read_trajectory(path: Path) -> Trajectory:
    """Camera-to-world, without lines that are no pose (tracking was lost). Raises UserError where none is."""
    poses = Trajectory()
    for stamp_s, *numbers in (map(float, row[:8]) for row in read_rows(path, POSE_LINE)):
        pose = transform_from(numbers[:3], numbers[3:])
        if math.isfinite(stamp_s) and np.isfinite(pose).all():
            poses.add(nanoseconds(stamp_s), pose)
    if not len(poses):
        raise UserError(f"{path} holds no pose: expected lines `{' '.join(POSE_LINE)}` with a unit quaternion.")
    return poses


def _calibration(path: Path) -> tuple[CameraIntrinsics, tuple[float, ...], float]:
    """The camera, what its lens bends (nothing where images are straight), and depth units per metre."""
    file = path / "camera.yaml"
    if not file.exists():
        name = path.resolve().name.lower()
        known = [values for key, values in CALIBRATIONS.items() if key in name or key.replace("eiburg", "") in name]
        return (*(known or [DEFAULT_CALIBRATION])[0], DEPTH_FACTOR)
    try:
        read = parse_yaml(file.read_text(encoding="utf-8"))
        pixels = [float(read[key]) for key in ("fx", "fy", "cx", "cy")]
        depth_factor = float(read.get("depth_factor", DEPTH_FACTOR))
        if not 0 < depth_factor < math.inf:
            raise ValueError(f"the depth_factor {depth_factor:g} is no number of units a metre")
        return CameraIntrinsics(int(read["width"]), int(read["height"]), *pixels), (), depth_factor
    except (OSError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(
            f"{file} must hold the numbers width, height, fx, fy, cx, cy (pixels), optionally depth_factor; "
            f"found an error: {' '.join(str(error).split())}."
        ) from None
