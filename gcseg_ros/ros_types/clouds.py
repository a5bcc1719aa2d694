"""sensor_msgs/PointCloud2 -> arrays, without ROS: messages are taken by their attributes only, as in ros_types/messages.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError

TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""PointField.datatype -> numpy."""
FARTHEST_M = 1e6


@dataclass(frozen=True)
class PointCloud:
    """The usable points of a message.

    points      (N, 3) float32 metres, finite
    colours     (N, 3) uint8 RGB; None without a field rgb, rgba or r, g, b
    instance    (N,) int32, 0 = none; None without a field instance_id
    confidence  (N,) float32; None without a field confidence
    left_out    points that were not finite, or more than 1000 km away
    """

    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8] | None
    instance: npt.NDArray[np.int32] | None
    confidence: npt.NDArray[np.float32] | None
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.points)


def to_point_cloud(msg: Any) -> PointCloud:
    """Fields of any number type, at any offset, in any order; padded rows and either byte order. Raises UserError."""
    fields = {field.name: field for field in msg.fields}
    missing = [name for name in "xyz" if name not in fields]
    if missing:
        raise UserError(
            f"A cloud must have the fields x, y and z; found {', '.join(fields) or 'none'}: is this the topic of a cloud?"
        )
    height, width, step = int(msg.height), int(msg.width), int(msg.point_step)
    row_step = int(msg.row_step) or width * step  # some publishers of one row leave it at 0
    count = height * width
    data = np.frombuffer(msg.data, np.uint8)
    if count and (step < 1 or row_step < width * step or len(data) < row_step * (height - 1) + width * step):
        raise UserError(
            f"A cloud of {width}x{height} points of {step} bytes, in rows of {row_step} bytes, does not fit its {len(data)} bytes of data: the "
            "message is truncated or its header is wrong."
        )

    def column(name: str, datatype: str = "") -> npt.NDArray:
        field = fields[name]
        kind = np.dtype(datatype or TYPES.get(field.datatype, "V")).newbyteorder(">" if msg.is_bigendian else "<")
        if kind.char == "V" or field.count > 1 or not 0 <= field.offset <= step - kind.itemsize:
            raise UserError(
                f"The field {name} of a cloud must be one number within the point's {step} bytes; found datatype {field.datatype}, "
                f"count {field.count}, offset {field.offset}."
            )
        if not count:
            return np.zeros(0, kind.newbyteorder("="))
        shape, strides = (height, width), (row_step, step)
        values: npt.NDArray = np.ndarray(shape, kind, buffer=data, offset=field.offset, strides=strides)
        return values.ravel().astype(kind.newbyteorder("="))

    xyz = np.stack([column(name).astype(np.float64) for name in "xyz"], axis=1)
    with np.errstate(invalid="ignore"):
        usable = (np.abs(xyz) <= FARTHEST_M).all(axis=1)
    colours = None
    packed = next((name for name in ("rgb", "rgba") if name in fields), "")
    if packed:
        bits = column(packed, "u4")  # a float's bits are the colour too
        colours = np.stack([bits >> 16, bits >> 8, bits], axis=1).astype(np.uint8)[usable]
    elif all(name in fields for name in "rgb"):
        colours = np.stack([column(name) for name in "rgb"], axis=1).clip(0, 255).astype(np.uint8)[usable]
    instance = confidence = None
    if "instance_id" in fields:
        instance = np.nan_to_num(column("instance_id")[usable].astype(np.float64)).clip(0, 2**31 - 1).astype(np.int32)
    if "confidence" in fields:
        confidence = np.nan_to_num(column("confidence")[usable].astype(np.float64)).clip(0, 1).astype(np.float32)
    return PointCloud(xyz[usable].astype(np.float32), colours, instance, confidence, int(count - usable.sum()))
