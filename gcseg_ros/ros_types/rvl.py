"""Depth images compressed by RVL, as `compressedDepth rvl` of image_transport has them.

A. D. Wilson, "Fast Lossless Depth Image Compression", ISS 2017: runs of zeros and of other values in turn, each other
value as its difference from the last one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import LARGEST_SIDE_PX
from gcseg_ros.jit import njit

SIZE_BYTES = 8  # uint32 width and height, before the words


def decode_rvl(data: bytes) -> npt.NDArray[np.uint16] | None:
    """(H, W) uint16; None if it is truncated or no such image. Raises UserError if a side has more than LARGEST_SIDE_PX."""
    if len(data) < SIZE_BYTES:
        return None
    width, height = map(int, np.frombuffer(data, "<u4", 2))
    if max(width, height) > LARGEST_SIDE_PX:
        raise UserError(
            f"A depth image compressed by RVL has {width}x{height} pixels, more than {LARGEST_SIDE_PX} a side: is it one of a camera?"
        )
    words = np.frombuffer(data, "<u4", (len(data) - SIZE_BYTES) // 4, SIZE_BYTES)
    image = np.zeros((height, width), np.uint16)
    return image if image.size and _decode(words, image.reshape(-1)) else None


@njit
def _decode(words, pixels):
    """Fills `pixels`, which are zero; whether the words are as many as they need, and no run longer than the rest."""
    nibble = done = value = 0
    while done < len(pixels):
        zeros, nibble = _number(words, nibble)
        others, nibble = _number(words, nibble)
        if min(zeros, others) < 0 or zeros + others > len(pixels) - done:
            return False
        done += zeros
        for i in range(done, done + others):
            folded, nibble = _number(words, nibble)
            if folded < 0:
                return False
            value += (folded >> 1) ^ -(folded & 1)
            pixels[i] = value & 0xFFFF
        done += others
    return True


@njit
def _number(words, nibble):
    """The number that begins at a nibble, and where the next one begins; -1 if it does not end.

    Three bits a nibble, the lowest first; the fourth says that another follows. A word's first nibble is its highest.
    """
    number = 0
    for shift in range(0, 33, 3):
        if nibble >= 8 * len(words):
            break
        bits = int(np.int64(words[nibble // 8]) >> (28 - 4 * (nibble % 8)) & 15)
        nibble += 1
        number |= (bits & 7) << shift
        if bits < 8:
            return number, nibble
    return -1, nibble
