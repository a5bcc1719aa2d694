"""ScanNet's .sens file (SensorData, version 4), read frame by frame: what its SensReader would export to a folder.

Layout, little endian: u32 version; u64 length and text of the sensor's name; four 4x4 float32 matrices (intrinsic and
extrinsic of colour, then of depth); i32 compression of colour and of depth; u32 colour width, height, depth width,
height; f32 depth units per metre; u64 number of frames; then for every frame a 4x4 float32 camera-to-world matrix, u64
stamps and sizes in bytes of colour and depth, and the two encoded images (ScanNet/SensReader/c++/src/sensorData.h).
Poses are those of depth's camera; its extrinsic maps its points to colour's camera (`computePointCloud` there), and is the identity where
depth was aligned to colour, as in the published scans.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.registration import registered
from gcseg_ros.errors import UserError
from gcseg_ros.frames import LARGEST_SIDE_PX, Array, Frame
from gcseg_ros.recordings import Recording, why_unusable
from gcseg_ros.recordings.images import camera, decode_colour, metres, offset
from gcseg_ros.ros_types.messages import seconds

RATE_HZ = 30
PNG, JPEG = 1, 2
RAW_USHORT, ZLIB_USHORT = 0, 1
FRAME_BYTES = 64 + 32  # of a frame without its images
MOST_BYTES = 1 << 30  # of an image


@dataclass(frozen=True)
class SensHeader:
    """What stands before the frames. Sizes are (height, width); matrices (4, 4)."""

    colour_matrix: Array
    depth_matrix: Array
    T_colour_depth: Array
    depth_compression: int
    depth_size: tuple[int, int]
    depth_units_per_m: float
    frames: int


@dataclass(frozen=True)
class StoredFrame:
    """One frame as it lies in the file: pose (4, 4) camera-to-world, encoded images."""

    number: int
    pose: Array
    colour: bytes
    depth: bytes


class ScanNetSens(Recording):
    """Names are the frames' numbers (as in an exported folder, six digits), stamps follow 30 Hz."""

    format = "scannet_sens"
    expects = "a .sens file, or a folder that holds one"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        files = [path] if path.is_file() else sorted(path.glob("*.sens"))
        if len(files) != 1:
            raise UserError(f"{path} holds {len(files)} .sens files: give one of them.")
        self._file = files[0]
        with self._file.open("rb") as stream:
            self.header = self._read_header(stream)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        if path.suffix.lower() == ".sens" and path.is_file():
            return True
        return path.is_dir() and not (path / "color").is_dir() and any(path.glob("*.sens"))

    def __len__(self) -> int:
        return self.header.frames

    def __iter__(self) -> Iterator[Frame]:
        return self.usable(self._frames())

    def _frames(self) -> Iterator[Frame | str]:
        T_colour_depth = offset(self.header.T_colour_depth)
        for stored in self.stored():
            if reason := why_unusable(stored.pose):
                yield reason
                continue
            what = self._what(stored)
            colour = decode_colour(stored.colour, what)
            depth_m = metres(self.raw_depth(stored), 1 / self.header.depth_units_per_m)
            colour_camera = camera(self.header.colour_matrix, colour, what)
            depth_camera = camera(self.header.depth_matrix, depth_m, what)
            rgb = registered(colour, colour_camera, depth_m, depth_camera, T_colour_depth)
            stamp_s = seconds(round(stored.number * 1e9 / RATE_HZ))
            yield Frame(f"{stored.number:06d}", stamp_s, rgb, depth_m, depth_camera, stored.pose)

    def stored(self, step: int = 1) -> Iterator[StoredFrame]:
        """Every step-th frame, without decoding its images. Raises UserError."""
        with self._file.open("rb") as stream:
            header = self._read_header(stream)
            for number in range(header.frames):
                pose = np.frombuffer(self._read(stream, 64), "<f4").astype(np.float64).reshape(4, 4)
                _, _, colour_bytes, depth_bytes = struct.unpack("<4Q", self._read(stream, 32))
                if max(colour_bytes, depth_bytes) >= MOST_BYTES:
                    raise self._truncated()
                if number % step:
                    stream.seek(colour_bytes + depth_bytes, 1)
                else:
                    yield StoredFrame(number, pose, self._read(stream, colour_bytes), self._read(stream, depth_bytes))

    def raw_depth(self, stored: StoredFrame) -> npt.NDArray[np.uint16]:
        """(H, W) in the file's units, 0 = invalid. Raises UserError."""
        height, width = self.header.depth_size
        raw, inflater = stored.depth, zlib.decompressobj()
        try:
            if self.header.depth_compression == ZLIB_USHORT:
                raw = inflater.decompress(raw, 2 * height * width + 1)
                if not inflater.eof:
                    raise ValueError(f"its end does not come after {width}x{height} pixels")
            return np.frombuffer(raw, "<u2").reshape(height, width)
        except (zlib.error, ValueError) as error:
            raise UserError(
                f"{self._what(stored)}: the depth image is broken ({error}): download the file again."
            ) from None

    def _what(self, stored: StoredFrame) -> str:
        return f"Frame {stored.number} of {self._file}"

    def _read_header(self, stream: BinaryIO) -> SensHeader:
        version, length = struct.unpack("<IQ", self._read(stream, 12))
        if version != 4 or length > 1000:
            raise UserError(f"{self._file} must be a SensorData file of version 4; found version {version}.")
        self._read(stream, length)
        matrices = np.frombuffer(self._read(stream, 4 * 64), "<f4").reshape(4, 4, 4).astype(np.float64)
        colour, depth, _, _, width, height = struct.unpack("<2i4I", self._read(stream, 24))
        units, frames = struct.unpack("<fQ", self._read(stream, 12))
        if colour not in (PNG, JPEG) or depth not in (RAW_USHORT, ZLIB_USHORT) or not 0 < units < math.inf:
            raise UserError(
                f"{self._file} must hold jpeg or png colour (2, 1) and zlib or raw depth (1, 0); found the compressions "
                f"{colour} and {depth} with {units} depth units a metre: export it with ScanNet's SensReader."
            )
        if not (0 < width <= LARGEST_SIDE_PX and 0 < height <= LARGEST_SIDE_PX):
            raise UserError(f"{self._file} has depth images of {width}x{height} pixels: download it again.")
        if frames * FRAME_BYTES > self._file.stat().st_size:
            raise self._truncated()
        return SensHeader(matrices[0], matrices[2], matrices[3], depth, (height, width), units, frames)

    def _read(self, stream: BinaryIO, size: int) -> bytes:
        data = stream.read(size)
        if len(data) != size:
            raise self._truncated()
        return data

    def _truncated(self) -> UserError:
        return UserError(f"{self._file} is truncated or not a .sens file: download it again.")
