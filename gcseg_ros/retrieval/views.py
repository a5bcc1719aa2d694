"""Views kept for retrieval, and their file `views.npz`: colour as JPEG, depth as PNG, pose and cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.encoded_images import decode
from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path, read_arrays
from gcseg_ros.frames import LARGEST_SIDE_PX, CameraIntrinsics, depth_to_millimetres, rigid

VIEWS = "views.npz"
VERSION = 1


@dataclass(frozen=True)
class StoredView:
    """One keyframe, small enough to keep.

    name          of its frame; with + where another view of the map has that name
    pose          (4, 4) float64 camera-to-world, optical frame
    camera        of the colour image
    depth_camera  of the depth image: the same place, another size
    jpeg          colour, encoded
    png           depth in millimetres, 16 bit, 0 = none, encoded
    """

    name: str
    pose: npt.NDArray[np.float64]
    camera: CameraIntrinsics
    depth_camera: CameraIntrinsics
    jpeg: bytes
    png: bytes

    def colour(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB. Raises UserError where the image is broken."""
        image = decode(self.jpeg, cv2.IMREAD_COLOR, f"The stored view {self.name}")
        if image is None or image.shape != (self.camera.height, self.camera.width, 3):
            raise UserError(f"The stored view {self.name} has no readable colour image: run gcseg map again.")
        return np.ascontiguousarray(image[..., ::-1], np.uint8)

    def depth_m(self) -> npt.NDArray[np.float32]:
        """(h, w) float32 metres, 0 = none. Raises UserError where the image is broken."""
        image = decode(self.png, cv2.IMREAD_UNCHANGED, f"The stored view {self.name}")
        size = self.depth_camera.height, self.depth_camera.width
        if image is None or image.shape != size or image.dtype != np.uint16:
            raise UserError(f"The stored view {self.name} has no readable depth image: run gcseg map again.")
        return in_metres(image)

    @classmethod
    def encoded(
        cls,
        name: str,
        pose: npt.NDArray[np.float64],
        camera: CameraIntrinsics,
        colour: npt.NDArray[np.uint8],
        depth_camera: CameraIntrinsics,
        depth_m: npt.NDArray[np.float32],
        quality: int = 90,
    ) -> StoredView:
        """From images: colour (H, W, 3) uint8 RGB, depth (h, w) float32 metres. quality: of the JPEG, to 100."""
        jpeg = cv2.imencode(".jpg", colour[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        png = cv2.imencode(".png", depth_to_millimetres(depth_m), (cv2.IMWRITE_PNG_COMPRESSION, 1))[1]
        return cls(name, pose, camera, depth_camera, jpeg.tobytes(), png.tobytes())


def write_views(path: str | Path, views: Sequence[StoredView]) -> None:
    """As NPZ of plain arrays, atomically. Raises UserError."""
    names = np.array([view.name for view in views], np.str_)
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, version=np.array(VERSION), name=names, **packed(views))


def read_views(path: str | Path) -> list[StoredView]:
    """The views in `path`, or in the folder `path` of `gcseg map`. Images are decoded, and checked, when they are used.

    Raises UserError.
    """
    path = Path(path) / VIEWS if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise UserError(
            f"There are no stored views {path}, which queries need: map the recording anew, with views.most above 0."
        )
    arrays = read_arrays(path)
    try:
        if int(arrays["version"]) != VERSION:
            raise ValueError(f"its version is {arrays['version']}, this program reads {VERSION}")
        return unpacked([str(name) for name in arrays["name"]], arrays)
    except (KeyError, ValueError, TypeError, UserError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not as gcseg map writes it ({reason}): run gcseg map again.") from None


def packed(views: Sequence[StoredView]) -> dict[str, npt.NDArray]:
    """Arrays that hold all of the views but their names: images one after another, with their ends."""
    arrays: dict[str, npt.NDArray] = {
        "pose": np.array([view.pose for view in views], np.float64).reshape(-1, 4, 4),
        "camera": np.array([astuple(view.camera) for view in views], np.float64).reshape(-1, 6),
        "depth_camera": np.array([astuple(view.depth_camera) for view in views], np.float64).reshape(-1, 6),
    }
    for kind in ("jpeg", "png"):
        images = [getattr(view, kind) for view in views]
        arrays[kind] = np.frombuffer(b"".join(images), np.uint8)
        arrays[f"{kind}_end"] = np.cumsum([len(image) for image in images], dtype=np.int64)
    return arrays


def unpacked(names: Sequence[str], arrays: Mapping[str, npt.NDArray]) -> list[StoredView]:
    """The inverse of `packed`. Raises KeyError, ValueError or UserError where the arrays are not such."""
    count = len(names)
    poses = _shaped(arrays["pose"], (count, 4, 4))
    cameras, depth_cameras = (_shaped(arrays[kind], (count, 6)) for kind in ("camera", "depth_camera"))
    jpegs, pngs = (_split(arrays[kind], arrays[f"{kind}_end"], count) for kind in ("jpeg", "png"))
    return [
        StoredView(name, rigid(pose), _camera(camera), _camera(depth_camera), jpeg, png)
        for name, pose, camera, depth_camera, jpeg, png in zip(names, poses, cameras, depth_cameras, jpegs, pngs)
    ]


def in_metres(millimetres: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """The inverse of `depth_to_millimetres`, but for the rounding."""
    return np.divide(millimetres, 1000, dtype=np.float32)


def _shaped(values: npt.NDArray, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    if values.shape != shape or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise ValueError(f"expected finite numbers of shape {shape}, found {values.dtype} of shape {values.shape}")
    return values.astype(np.float64)


def _camera(values: npt.NDArray[np.float64]) -> CameraIntrinsics:
    width, height, *rest = values.tolist()
    if not (0 < width <= LARGEST_SIDE_PX and 0 < height <= LARGEST_SIDE_PX):
        raise ValueError(f"an image of {width:g}x{height:g} pixels")
    return CameraIntrinsics(int(width), int(height), *rest)


def _split(data: npt.NDArray, ends: npt.NDArray, count: int) -> list[bytes]:
    """Images that lie one after another in `data` (B,) uint8, the i-th up to `ends[i]`."""
    starts = np.append(0, ends)
    if data.dtype != np.uint8 or ends.shape != (count,) or ends.dtype.kind not in "iu":
        raise ValueError("the images are no bytes with their ends")
    if (np.diff(starts) < 0).any() or starts[-1] != data.size:
        raise ValueError("the images' ends do not fit their bytes")
    return [data[a:b].tobytes() for a, b in zip(starts[:-1], ends)]
