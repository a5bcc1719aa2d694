"""ROS messages <-> arrays, without ROS: the same functions read live messages (rclpy) and bags (rosbags).

Messages are taken by their attributes only. Images follow sensor_msgs/Image (`encoding`, `step` padding,
`is_bigendian`), depth follows REP-118, CompressedImage follows image_transport's `compressed` and `compressedDepth`.
Returned arrays may share memory with the message.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.encoded_images import PNG_MAGIC, decode
from gcseg_ros.camera.lens import IDENTITY, Lens
from gcseg_ros.camera.transforms import transform_from
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics, depth_to_metres
from gcseg_ros.ros_types.rvl import decode_rvl

FISHEYES = ("equidistant", "fisheye")
DISTORTIONS = {
    **dict.fromkeys(("plumb_bob", "rational_polynomial"), (4, 5, 8, 12, 14)),
    **dict.fromkeys(FISHEYES, (4,)),
}
"""Models of sensor_msgs/CameraInfo, and how many coefficients they may have."""
LEAST_DISTORTION = 1e-3

# OpenCV names a pattern by its second row
BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
# encoding -> (dtype, channels, OpenCV conversion to RGB or None)
COLOUR_ENCODINGS: dict[str, tuple[str, int, int | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "8UC4": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "mono16": ("u2", 1, cv2.COLOR_GRAY2RGB),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, cv2.COLOR_BGR2RGB),
    "rgba16": ("u2", 4, cv2.COLOR_RGBA2RGB),
    "bgra16": ("u2", 4, cv2.COLOR_BGRA2RGB),
    "uyvy": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": ("u1", 1, cv2.COLOR_YUV2RGB_NV12),
    "nv21": ("u1", 1, cv2.COLOR_YUV2RGB_NV21),
    **{
        f"bayer_{pattern}{bits}": (dtype, 1, conversion)
        for pattern, conversion in BAYER.items()
        for bits, dtype in ((8, "u1"), (16, "u2"))
    },
}
SEMI_PLANAR = ("nv12", "nv21")
"""Below an image's rows come half as many, of the colours that 2x2 pixels share."""
CONVERTED = ("mono8", "bgr8", "rgb8")
DEPTH_ENCODINGS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4", "64FC1": "f8"}
COMPRESSED_DEPTH_HEADER_BYTES = 12  # int32 format, float32 a, float32 b (compressed_depth_image_transport)


def image_to_rgb(msg: Any) -> npt.NDArray[np.uint8]:
    """sensor_msgs/Image -> (H, W, 3) uint8 RGB. Raises UserError for an unknown encoding or a size that does not fit."""
    if msg.encoding not in COLOUR_ENCODINGS:
        raise UserError(
            f"A colour image must have one of the encodings {', '.join(COLOUR_ENCODINGS)}; found {msg.encoding!r}: "
            "is this the colour topic?"
        )
    dtype, channels, conversion = COLOUR_ENCODINGS[msg.encoding]
    planar = msg.encoding in SEMI_PLANAR
    if ((planar or channels == 2) and msg.width % 2) or (planar and msg.height % 2):
        raise UserError(
            f"An image of encoding {msg.encoding} must have an even width{' and height' * planar}, since pixels share a colour; found "
            f"{msg.width}x{msg.height}: have the camera crop it, or publish rgb8."
        )
    pixels = _pixels(msg, dtype, channels, msg.height // 2 * planar)
    if dtype == "u2":
        pixels = (pixels >> 8).astype(np.uint8)
    pixels = np.ascontiguousarray(pixels)
    return pixels if conversion is None else np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)


def image_to_depth_m(msg: Any) -> npt.NDArray[np.float32]:
    """sensor_msgs/Image of depth (16UC1 or mono16 mm, 32FC1 m; REP-118) -> (H, W) float32 metres, 0 where invalid."""
    if msg.encoding not in DEPTH_ENCODINGS:
        raise UserError(
            f"A depth image must be 16UC1 (millimetres) or 32FC1 (metres); found the encoding {msg.encoding!r}: "
            "is this the depth topic?"
        )
    return depth_to_metres(_pixels(msg, DEPTH_ENCODINGS[msg.encoding], 1))


def compressed_to_rgb(msg: Any) -> npt.NDArray[np.uint8]:
    """sensor_msgs/CompressedImage (jpeg or png) -> (H, W, 3) uint8 RGB.

    `format` begins with the encoding of the image before it was compressed: one channel of a Bayer encoding is its mosaic still,
    unless `format` ends with what it was converted to.
    """
    encoding, _, converted = msg.format.partition(";")
    mosaic = encoding.startswith("bayer_") and encoding in COLOUR_ENCODINGS and not converted.endswith(CONVERTED)
    channels = cv2.IMREAD_ANYCOLOR if mosaic else cv2.IMREAD_COLOR
    image = decode(msg.data, channels | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise UserError(
            f"A compressed colour image must be a whole jpeg or png; found {len(msg.data)} bytes of format "
            f"{msg.format!r}: set the publisher's format to one of these, or use the raw topic."
        )
    conversion = COLOUR_ENCODINGS[encoding][2] if image.ndim == 2 else None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB if conversion is None else conversion), np.uint8)


def compressed_depth_to_m(msg: Any) -> npt.NDArray[np.float32]:
    """CompressedImage of depth -> (H, W) float32 metres, 0 where invalid.

    Either a bare 16-bit png (`compressed` transport), or `compressedDepth`: 12 bytes of header before the png, or before
    an image of RVL. Its 32FC1 variant holds quantised inverse depth: depth = a / (raw - b).
    """
    data = np.frombuffer(msg.data, np.uint8)
    bare = data[:4].tobytes() == PNG_MAGIC
    header = data[:COMPRESSED_DEPTH_HEADER_BYTES].tobytes()
    encoded = data if bare else data[COMPRESSED_DEPTH_HEADER_BYTES:]
    image = decode_rvl(encoded.tobytes()) if msg.format.endswith("rvl") else decode(encoded, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2 or image.dtype not in (np.uint16, np.float32):
        raise UserError(
            "A compressed depth image must be a whole 16-bit png, with or without compressedDepth's header, or its rvl; found "
            f"{len(data)} bytes of format {msg.format!r}: set the publisher's format to png, or use the raw topic."
        )
    if bare or not msg.format.startswith("32FC1"):
        return depth_to_metres(image)
    a, b = np.frombuffer(header, "<f4", 2, offset=4)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = a / (image.astype(np.float32) - b)
    return depth_to_metres(np.where(image > 0, depth, np.float32(0)))


def to_rgb(msg: Any) -> npt.NDArray[np.uint8]:
    """Image or CompressedImage -> (H, W, 3) uint8 RGB."""
    return image_to_rgb(msg) if hasattr(msg, "encoding") else compressed_to_rgb(msg)


def to_depth_m(msg: Any) -> npt.NDArray[np.float32]:
    """Image or CompressedImage of depth -> (H, W) float32 metres, 0 where invalid."""
    return image_to_depth_m(msg) if hasattr(msg, "encoding") else compressed_depth_to_m(msg)


def intrinsics_from_info(msg: Any) -> CameraIntrinsics:
    """sensor_msgs/CameraInfo -> intrinsics of the published image: P where it is set (as image_geometry), else K.

    Binning and region of interest are applied. The image is taken as rectified; `lens_from_info` is for one that is not.
    Raises UserError when uncalibrated.
    """
    P = np.array(msg.p, np.float64).reshape(3, 4)
    return _camera(msg, P[:, :3] if P[0, 0] > 0 else np.array(msg.k, np.float64).reshape(3, 3))


def bends(msg: Any) -> bool:
    """Whether a sensor_msgs/CameraInfo tells of a lens that bends what it sees: raw images are then not those of a
    pinhole camera."""
    return bool(np.abs(np.array(msg.d, np.float64)).max(initial=0) > LEAST_DISTORTION)


def lens_from_info(msg: Any) -> Lens:
    """sensor_msgs/CameraInfo -> what straightens the raw images (REP 104). Raises UserError for a distortion that is
    not known."""
    model, distortion, R = msg.distortion_model, tuple(map(float, msg.d)), tuple(map(float, msg.r))
    counts = DISTORTIONS.get(model, ())
    if len(distortion) not in counts or not np.isfinite([*distortion, *R]).all():
        known = "; ".join(f"{name} of {' or '.join(map(str, counts))}" for name, counts in DISTORTIONS.items())
        raise UserError(
            f"The camera_info has the distortion model {model!r} with the coefficients {list(distortion)}; known are {known}: "
            "have image_proc rectify the images."
        )
    raw = _camera(msg, np.array(msg.k, np.float64).reshape(3, 3))
    return Lens(raw, distortion, model in FISHEYES, R if any(R) else IDENTITY, intrinsics_from_info(msg))


def _camera(msg: Any, K: Array) -> CameraIntrinsics:
    """The camera of the published part of an image; K (3, 3) of the whole one."""
    width, height = int(msg.width), int(msg.height)
    roi, bx, by = msg.roi, max(int(msg.binning_x), 1), max(int(msg.binning_y), 1)
    x, y = 0, 0
    if roi.width and roi.height:
        x, y, width, height = int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)
    return CameraIntrinsics(
        width // bx, height // by, K[0, 0] / bx, K[1, 1] / by, (K[0, 2] - x) / bx, (K[1, 2] - y) / by
    )


def pose_matrix(msg: Any) -> Array:
    """The (4, 4) float64 transform of a Pose or Transform, bare or inside PoseStamped, PoseWithCovarianceStamped, Odometry
    or TransformStamped. It maps points of the child (body) frame to header.frame_id. Raises UserError for a zero or
    non-finite quaternion."""
    whole = msg
    while not (hasattr(msg, "position") or hasattr(msg, "translation")):
        msg = msg.pose if hasattr(msg, "pose") else msg.transform
    t = msg.position if hasattr(msg, "position") else msg.translation
    q = msg.orientation if hasattr(msg, "orientation") else msg.rotation
    position, quaternion = [float(t.x), float(t.y), float(t.z)], [float(q.x), float(q.y), float(q.z), float(q.w)]
    T = transform_from(position, quaternion)
    if not np.isfinite(T).all():
        kind, hint = "pose", ": the odometry has not started or has lost track"
        if hasattr(whole, "transform"):
            kind, hint = "transform", ""
        raise UserError(
            f"A {kind} must have a finite position and a unit quaternion; found position {position} and "
            f"quaternion (x y z w) {quaternion}{hint}."
        )
    return T


def stamp_ns(stamp: Any) -> int:
    """builtin_interfaces/Time -> nanoseconds."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def seconds(nanoseconds: int) -> float:
    """Nanoseconds -> the nearest float of seconds."""
    return nanoseconds / 10**9


def nanoseconds(seconds: float) -> int:
    """Seconds -> nanoseconds; `seconds(nanoseconds(s)) == s` for stamps made of whole nanoseconds."""
    whole = int(seconds // 1)
    return whole * 10**9 + round((seconds - whole) * 1e9)


def _pixels(msg: Any, dtype: str, channels: int, rows_below: int = 0) -> npt.NDArray:
    """(H, W) or (H, W, C) view of the message's data: rows are `step` bytes apart, bytes in the message's order.

    rows_below  that follow those of the image and are given with them
    """
    height, width, step = int(msg.height) + rows_below, int(msg.width), int(msg.step)
    kind = np.dtype((">" if msg.is_bigendian else "<") + dtype)
    row = width * channels * kind.itemsize
    data = np.frombuffer(msg.data, np.uint8)
    if height <= 0 or width <= 0 or step < row or len(data) < step * (height - 1) + row:
        raise UserError(
            f"A {width}x{msg.height} image of encoding {msg.encoding} needs {height} rows of at least {row} bytes; found step={step} "
            f"and {len(data)} bytes of data: the message is truncated or its encoding is wrong."
        )
    shape, strides = (height, width, channels), (step, channels * kind.itemsize, kind.itemsize)
    pixels: npt.NDArray = np.ndarray(shape, kind, buffer=data, strides=strides)
    return pixels[..., 0] if channels == 1 else pixels
