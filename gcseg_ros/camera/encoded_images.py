"""Encoded images (jpeg, png and pgm) -> arrays: whole ones only, and none that a few bytes would blow up. And arrays -> files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import LARGEST_SIDE_PX

PNG_MAGIC, PNG_HEADER, PNG_END = b"\x89PNG", b"IHDR", b"IEND"
JPEG_MAGIC, JPEG_END = b"\xff\xd8", b"\xff\xd9"
JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of the segments that tell the size (SOF0 to SOF15)."""
JPEG_BARE = {0x00, 0x01, *range(0xD0, 0xDA)}
"""Markers without a length (TEM, RST0 to RST7, SOI, EOI), and a stuffed 0xFF."""
PGM_HEADER = re.compile(rb"P5" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")
"""Binary: width, height and the largest value; what follows has two bytes a pixel where that is over 255."""


def decode(data: Any, flags: int, what: str = "The image") -> npt.NDArray | None:
    """A jpeg, png or binary pgm as OpenCV gives it, None if it is none of them, cannot be decoded or its end is missing.

    Raises UserError if its header promises a side of more than LARGEST_SIDE_PX: `what` is its name.
    """
    encoded = bytes(data)
    for magic, end in ((PNG_MAGIC, PNG_END), (JPEG_MAGIC, JPEG_END)):
        if encoded.startswith(magic) and encoded.rfind(end) < len(encoded) // 2:
            return None  # OpenCV 4 fills the missing part of a truncated jpeg with grey
    if (pgm := PGM_HEADER.match(encoded)) and len(encoded) - pgm.end() < _pgm_bytes(*map(int, pgm.groups())):
        return None
    width, height = _size(encoded)
    if not (width and height):
        return None  # OpenCV reads more formats, but how much memory they take is not known before
    if max(width, height) > LARGEST_SIDE_PX:
        raise UserError(
            f"{what} has {width}x{height} pixels, more than {LARGEST_SIDE_PX} a side: is it one of a camera? Scale it down."
        )
    try:
        return cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error:
        return None


def write_image(file: Path, image: npt.NDArray, parameters: Sequence[int] = ()) -> None:
    """In the format that the name ends in. Raises OSError, which cv2.imwrite keeps to itself; and that crashes where a
    name is no UTF-8."""
    suffix = file.suffix.encode(errors="replace").decode()
    file.write_bytes(cv2.imencode(suffix, image, parameters)[1].tobytes())


def _pgm_bytes(width: int, height: int, largest: int) -> int:
    return width * height * (2 if largest > 255 else 1)


def _size(encoded: bytes) -> tuple[int, int]:
    """Width and height as the header of a png, jpeg or pgm has them, else 0."""
    if pgm := PGM_HEADER.match(encoded):
        return int(pgm[1]), int(pgm[2])
    if encoded.startswith(PNG_MAGIC) and encoded[12:16] == PNG_HEADER:
        return int.from_bytes(encoded[16:20], "big"), int.from_bytes(encoded[20:24], "big")
    at = 2
    while encoded.startswith(JPEG_MAGIC) and 0 < (at := encoded.find(b"\xff", at)) <= len(encoded) - 9:
        marker = encoded[at + 1]
        if marker in JPEG_SIZES:
            return int.from_bytes(encoded[at + 7 : at + 9], "big"), int.from_bytes(encoded[at + 5 : at + 7], "big")
        if marker == 0xFF:
            at += 1
        elif marker in JPEG_BARE:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(encoded[at + 2 : at + 4], "big"))
    return 0, 0
