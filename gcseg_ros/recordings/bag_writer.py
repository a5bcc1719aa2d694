"""Any recording as a rosbag2, without loss: mapping the bag gives what mapping the recording gives."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError
from gcseg_ros.files import resolved
from gcseg_ros.frames import Frame, depth_to_metres, depth_to_millimetres
from gcseg_ros.recordings import Recording, prefetch
from gcseg_ros.recordings.bag_files import has_metadata
from gcseg_ros.recordings.bag_topics import CAMERA_INFO, COMPRESSED, IMAGE, TF
from gcseg_ros.ros_types.messages import COMPRESSED_DEPTH_HEADER_BYTES, nanoseconds

HUMBLE_TO_LATEST: Literal[8] = 8
"""Version of the bag's metadata: Humble cannot parse 9, later distributions read both."""
CAMERA_FRAME = "camera_optical_frame"
DEPTH_PNG = "/depth/image/compressedDepth"
END_S = 1 << 31  # seconds are 32 bit in ROS
POSE = "geometry_msgs/msg/PoseStamped"


def write_bag(
    recording: Recording,
    output: str | Path,
    storage: Literal["mcap", "sqlite3"] = "mcap",
    compressed: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write every usable frame; returns their number.

    Topics, as the mapping node takes them: /rgb/image (rgb8), /depth/image (16UC1 mm; 32FC1 m from the first frame on whose
    depth is not whole millimetres), /rgb/camera_info (both images'), /pose (PoseStamped of the optical frame in `map`,
    or in `map_without_up` where the world's z axis is not known to point up) and /tf (the same). All of a frame have its stamp.

    compressed  colour and 16UC1 depth as png (image_transport's `compressed` and `compressedDepth`), still lossless; depth stays 32FC1
                where that of the first frame that has some is not whole millimetres
    progress    called with (frames done, frames in the recording)
    Raises UserError if the output exists (unless it is a bag and nothing else, and `overwrite`) or cannot be written; nothing
    is left then.
    """
    output = resolved(output)
    if storage not in ("mcap", "sqlite3"):
        raise UserError(f"A bag's storage is mcap or sqlite3; found {storage!r}.")
    if output.exists() and not overwrite:
        raise UserError(f"{output} exists: choose another name or allow overwriting.")
    if output.exists() and not has_metadata(output):
        raise UserError(f"{output} exists: it is not a bag; choose another name.")
    if output.exists() and (other := _other_than_bag(output)):
        raise UserError(f"{output} exists: beside a bag it holds {other}, which would be lost; choose another name.")
    if output.exists() and recording.path.resolve().is_relative_to(output):
        raise UserError(f"{output} is the bag that is read: choose another name.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{output.name}.part-", dir=output.parent))
    except OSError as error:
        raise UserError(f"The bag {output} cannot be written: {error.strerror}; choose another folder.") from None
    try:
        plugin = StoragePlugin[storage.upper()]
        with Writer(part / output.name, version=HUMBLE_TO_LATEST, storage_plugin=plugin) as writer:
            bag = _Bag(writer, compressed, not compressed or _first_is_whole_mm(recording))
            done = 0
            for frame in prefetch(iter(recording)):
                bag.write(frame)
                done += 1
                if progress is not None:
                    progress(done + sum(recording.skipped.values()), len(recording))
        if output.exists():
            shutil.rmtree(output)
        os.replace(part / output.name, output)
        return done
    except OSError as error:
        raise UserError(f"The bag {output} cannot be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _other_than_bag(folder: Path) -> str:
    """Name of something in a bag's folder that is not the bag's; empty if there is nothing."""
    for path in sorted(folder.iterdir()):
        name = path.name.removesuffix(".zstd")
        if not path.is_file() or not (name == "metadata.yaml" or name.endswith((".mcap", ".db3"))):
            return path.name
    return ""


class _Bag:
    """Messages of frames."""

    def __init__(self, writer: Writer, compressed: bool, whole_mm: bool) -> None:
        self._writer, self._compressed, self._whole_mm = writer, compressed, whole_mm
        self._store = get_typestore(Stores.ROS2_KILTED)
        self._connections: dict[tuple[str, str], Any] = {}

    def write(self, frame: Frame) -> None:
        if not 0 <= frame.stamp_s < END_S:
            raise UserError(
                f"Frame {frame.name} has the stamp {frame.stamp_s:.15g} s, and a bag holds 0 to {END_S} s: are the recording's "
                "stamps in another unit?"
            )
        stamp_ns = nanoseconds(frame.stamp_s)
        stamp = self._make("builtin_interfaces/msg/Time", stamp_ns // 10**9, stamp_ns % 10**9)
        header = self._make("std_msgs/msg/Header", stamp, CAMERA_FRAME)
        map_header = self._make("std_msgs/msg/Header", stamp, frame.world)
        t, q = frame.pose[:3, 3].tolist(), Rotation.from_matrix(frame.pose[:3, :3]).as_quat().tolist()
        rotation = self._make("geometry_msgs/msg/Quaternion", *q)
        pose = self._make("geometry_msgs/msg/Pose", self._make("geometry_msgs/msg/Point", *t), rotation)
        transform = self._make("geometry_msgs/msg/Transform", self._make("geometry_msgs/msg/Vector3", *t), rotation)
        stamped = self._make("geometry_msgs/msg/TransformStamped", map_header, CAMERA_FRAME, transform)
        self._send("/tf", TF, stamp_ns, self._make(TF, [stamped]))
        self._send("/pose", POSE, stamp_ns, self._make(POSE, map_header, pose))
        self._send("/rgb/camera_info", CAMERA_INFO, stamp_ns, self._camera_info(frame, header))
        self._write_colour(frame, header, stamp_ns)
        self._write_depth(frame, header, stamp_ns)

    def _write_colour(self, frame: Frame, header: Any, stamp_ns: int) -> None:
        if not self._compressed:
            self._send("/rgb/image", IMAGE, stamp_ns, self._image(header, "rgb8", frame.colour))
            return
        png = _png(frame.colour[..., ::-1])
        message = self._make(COMPRESSED, header, "rgb8; png compressed bgr8", png)
        self._send("/rgb/image/compressed", COMPRESSED, stamp_ns, message)

    def _write_depth(self, frame: Frame, header: Any, stamp_ns: int) -> None:
        depth_mm, exact = _in_mm(frame.depth_m)
        self._whole_mm = exact and self._whole_mm
        if not self._whole_mm:
            if self._sent_png():
                raise UserError(
                    f"Depth from frame {frame.name} on is not in whole millimetres, which png cannot hold: write the bag "
                    "uncompressed."
                )
            self._send("/depth/image", IMAGE, stamp_ns, self._image(header, "32FC1", frame.depth_m))
        elif self._compressed:
            data = np.concatenate([np.zeros(COMPRESSED_DEPTH_HEADER_BYTES, np.uint8), _png(depth_mm)])
            message = self._make(COMPRESSED, header, "16UC1; compressedDepth png", data)
            self._send(DEPTH_PNG, COMPRESSED, stamp_ns, message)
        else:
            self._send("/depth/image", IMAGE, stamp_ns, self._image(header, "16UC1", depth_mm))

    def _sent_png(self) -> bool:
        return (DEPTH_PNG, COMPRESSED) in self._connections

    def _image(self, header: Any, encoding: str, pixels: npt.NDArray) -> Any:
        height, width = pixels.shape[:2]
        data = np.ascontiguousarray(pixels).reshape(height, -1).view(np.uint8)
        return self._make(IMAGE, header, height, width, encoding, 0, data.shape[1], data.reshape(-1))

    def _camera_info(self, frame: Frame, header: Any) -> Any:
        K = frame.intrinsics.matrix
        P = np.hstack([K, np.zeros((3, 1))])
        roi = self._make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        size = frame.intrinsics.height, frame.intrinsics.width
        return self._make(
            CAMERA_INFO, header, *size, "plumb_bob", np.zeros(5), K.ravel(), np.eye(3).ravel(), P.ravel(), 0, 0, roi
        )

    def _make(self, kind: str, *fields: Any) -> Any:
        return self._store.types[kind](*fields)

    def _send(self, topic: str, kind: str, stamp_ns: int, message: Any) -> None:
        if (topic, kind) not in self._connections:
            self._connections[topic, kind] = self._writer.add_connection(topic, kind, typestore=self._store)
        self._writer.write(self._connections[topic, kind], stamp_ns, self._store.serialize_cdr(message, kind))


def _first_is_whole_mm(recording: Recording) -> bool:
    """Whether depth is whole millimetres in the first frame that has some: png cannot be left for floats later on."""
    return all(_in_mm(frame.depth_m)[1] for frame in islice((frame for frame in recording if frame.depth_m.any()), 1))


def _in_mm(depth_m: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint16], bool]:
    """Depth in millimetres, and whether nothing is lost by that."""
    depth_mm = depth_to_millimetres(depth_m)
    return depth_mm, np.array_equal(depth_to_metres(depth_mm), depth_m)


def _png(pixels: npt.NDArray) -> npt.NDArray[np.uint8]:
    ok, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert ok
    return np.asarray(data, np.uint8).ravel()
