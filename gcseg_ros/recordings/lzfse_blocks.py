"""LZFSE, Apple's compression: decompressed by the package lzfse, once its blocks tell that it is as much as was expected."""

from __future__ import annotations

import importlib
import struct

from gcseg_ros.packages import require_packages

HEADER_BYTES = 32  # of a bvx2 block, at least


def decompress(data: bytes, size: int, who: str) -> bytes | None:
    """So many bytes; None if `data` is not LZFSE of as many. Raises UserError if the package is missing: `who` needs it."""
    try:
        if len(data) > size + HEADER_BYTES or _decompressed_bytes(data) != size:
            return None
    except struct.error:
        return None
    require_packages(who, ("lzfse",), "record3d")
    lzfse = importlib.import_module("lzfse")
    try:
        found = lzfse.decompress(data)
    except lzfse.error:
        return None
    return found if len(found) == size else None


def _decompressed_bytes(data: bytes) -> int:
    """As the headers of the blocks tell (github.com/lzfse/lzfse, src/lzfse_internal.h), -1 if they are none. Raises struct.error."""
    at = total = 0
    while (magic := data[at : at + 4]) != b"bvx$":
        (raw,) = struct.unpack_from("<I", data, at + 4)
        total += raw
        if magic == b"bvx-":  # not compressed
            at += 8 + raw
        elif magic == b"bvxn":
            at += 12 + struct.unpack_from("<I", data, at + 8)[0]
        elif magic == b"bvx2":
            first, second, third = struct.unpack_from("<3Q", data, at + 8)
            at += max(third & 0xFFFFFFFF, HEADER_BYTES) + (first >> 20 & 0xFFFFF) + (second >> 40 & 0xFFFFF)
        else:
            return -1
    return total
