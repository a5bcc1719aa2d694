"""Reading the files of a frame: colour, depth, matrices, and lists. Every broken file is named in a UserError."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.encoded_images import decode
from gcseg_ros.camera.registration import apart
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics, depth_to_metres, rigid

INVALID_MM = 65535  # some sensors mark missing depth with the largest value
MIDDLE = 0.3, 0.7  # of width and height, where a whole image's principal point lies
ALIKE = 0.2  # share of their sum that its two places there differ by at most
TURNED = 0.1  # share of what width and height differ by (more than that of width), from the middle of the image turned
CROPPED = 0.5  # sizes of a part of an image, by which it may lie beside that


def read_colour(path: Path) -> npt.NDArray[np.uint8]:
    """A jpeg or png -> (H, W, 3) uint8 RGB; the EXIF orientation is ignored. Raises UserError."""
    return decode_colour(_read(path), str(path))


def read_depth(path: Path, unit_m: float = 0.001) -> npt.NDArray[np.float32]:
    """A 16-bit png or pgm of `unit_m` -> (H, W) float32 metres, 0 where invalid (0 or 65535). Raises UserError."""
    return decode_depth(_read(path), str(path), unit_m)


def decode_colour(data: bytes, what: str) -> npt.NDArray[np.uint8]:
    image = decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, what)
    if image is None:
        raise UserError(f"{what} is not a whole jpeg or png image ({len(data)} bytes): copy or export it again.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def decode_depth(data: bytes, what: str, unit_m: float = 0.001) -> npt.NDArray[np.float32]:
    image = decode(data, cv2.IMREAD_UNCHANGED, what)
    if image is None:
        raise UserError(f"{what} is not a whole depth image ({len(data)} bytes): copy it again, or export it as png.")
    if image.ndim != 2 or image.dtype != np.uint16:
        raise UserError(
            f"{what} must be a depth image of one 16-bit channel; found {image.dtype} of shape {image.shape}: "
            "is it a picture of the depth?"
        )
    return metres(image, unit_m)


def metres(raw: npt.NDArray[np.uint16], unit_m: float = 0.001) -> npt.NDArray[np.float32]:
    """(H, W) uint16 of `unit_m`, 0 or 65535 where invalid -> float32 metres, 0 where invalid."""
    depth = depth_to_metres(raw, unit_m)
    depth[raw == INVALID_MM] = 0
    return depth


def read_grey(path: Path) -> npt.NDArray[np.uint8]:
    """A png of 8 bits a pixel -> (H, W) uint8. Raises UserError."""
    image = decode(_read(path), cv2.IMREAD_UNCHANGED, str(path))
    if image is None or image.ndim != 2 or image.dtype != np.uint8:
        raise UserError(f"{path} must be a whole png of one 8-bit channel: copy or export it again.")
    return np.asarray(image)


def read_pose(path: Path) -> Array:
    """A text file of 16 numbers -> (4, 4) float64 camera-to-world; `nan` and `inf` are numbers. Raises UserError."""
    return read_matrix(path, (4,))


def read_matrix(path: Path, sides: tuple[int, ...] = (3, 4)) -> Array:
    """A text file of the numbers of a square matrix with one of the sides, comments after # -> float64. Raises UserError."""
    text = _read(path).decode("utf-8-sig", errors="replace")
    try:
        values = np.array(re.sub("#.*", "", text).replace(",", " ").split(), np.float64)
    except ValueError:
        values = np.empty(0)
    for side in sides:
        if values.size == side**2:
            return values.reshape(side, side)
    expected = " or ".join(f"{side}x{side}" for side in sides)
    raise UserError(f"{path} must hold a {expected} matrix of numbers; found {text[:60].strip()!r}.")


def read_rows(path: Path, columns: list[str]) -> list[list[str]]:
    """The words of every line that is not a comment; all but a `file` must be numbers. Raises UserError."""
    expected = f"expected lines `{' '.join(columns)}`"
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {expected}.") from None
    rows = [line.replace(",", " ").split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    for row in rows:
        numbers = [word for word, column in zip(row, columns) if column != "file"]
        if len(row) < len(columns) or not all(map(_is_number, numbers)):
            raise UserError(f"{path} has the line {' '.join(row)[:60]!r}: {expected}.")
    return rows


def offset(T_colour_depth: Array) -> Array | None:
    """A (4, 4) transform between two cameras; None if they are at one place, or it is left empty (no rigid transform)."""
    try:
        return apart(rigid(T_colour_depth))
    except UserError:
        return None


def camera(matrix: Array, image: npt.NDArray, what: str) -> CameraIntrinsics:
    """Intrinsics for an image of this shape. Raises UserError if they are those of another size, or of the image turned: the principal
    point would then lie near the middle of that image. In a part of an image, a crop, it may lie anywhere else."""
    height, width = image.shape[:2]
    found = CameraIntrinsics.from_matrix(matrix, width, height)
    x, y = (found.cx + 0.5) / width, (found.cy + 0.5) / height
    longer = abs(width - height)
    if longer > TURNED * width and np.hypot(found.cx + 0.5 - height / 2, found.cy + 0.5 - width / 2) < TURNED * longer:
        raise UserError(
            f"{what}: the principal point ({found.cx:.1f}, {found.cy:.1f}) is the middle of a {height}x{width} image, and this one has "
            f"{width}x{height}: were the images turned, or cx and cy exchanged? Give the intrinsics of these images."
        )
    size, (low, high) = x + y, MIDDLE  # the size of the image whose middle this is
    beside = min(x, y) < -CROPPED or max(x, y) > 1 + CROPPED
    if beside or (not (low < min(x, y) and max(x, y) < high) and abs(x - y) < ALIKE * size):
        raise UserError(
            f"{what}: the principal point ({found.cx:.1f}, {found.cy:.1f}) lies outside the middle of the {width}x{height} image: "
            "the intrinsics belong to another image size; give those of these images."
        )
    return found


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
