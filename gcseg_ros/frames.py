"""One posed RGB-D view: `Frame`, `CameraIntrinsics`, and back-projection between pixels and the world (Eq. 3-4).

Frames of reference: the camera's is the optical frame of REP-103 (x right, y down, z forward); the world's is whatever
the poses refer to, called `map`, or `map_without_up` where it is not known which way is up. Lengths are metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from gcseg_ros.errors import UserError

ASPECT_TOLERANCE = 0.01  # ScanNet's colour has 1296x968 pixels and its depth 640x480
LARGEST_SIDE_PX = 8192  # of an image that is taken for a camera's
FARTHEST_M = 10_000.0  # up to here float32 metres are good to a millimetre

WORLD, WORLD_WITHOUT_UP = "map", "map_without_up"
"""What bags and topics call the world whose z axis points up (REP-105), and one whose z axis may point anywhere."""

Array = npt.NDArray[np.float64]

QUARTER_TURN: Array = np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)
"""Camera to camera, of one whose image is turned clockwise by a right angle: its x axis (columns) points up, its y axis
to the right."""


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole camera without distortion. Focal lengths and principal point in pixels; pixel centres are integers."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise UserError(f"The image size must be positive; it is {self.width}x{self.height}: check camera_info.")
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all() and self.fx > 0 and self.fy > 0):
            raise UserError(
                f"Focal lengths must be positive numbers; found fx={self.fx}, fy={self.fy}: the camera is not calibrated."
            )

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike, width: int, height: int) -> CameraIntrinsics:
        """From a (3,3) or (4,4) camera matrix K."""
        K = np.asarray(matrix, np.float64)
        return cls(width, height, float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]))

    @property
    def matrix(self) -> Array:
        """Camera matrix K, (3,3) float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    @property
    def pinhole(self) -> tuple[float, float, float, float]:
        """(fx, fy, cx, cy) in pixels: what compiled loops take for a camera."""
        return self.fx, self.fy, self.cx, self.cy

    def every(self, stride: int) -> CameraIntrinsics:
        """The camera of `image[::stride, ::stride]`."""
        return CameraIntrinsics(
            -(-self.width // stride), -(-self.height // stride), *(value / stride for value in self.pinhole)
        )

    def turned(self, quarters: int) -> CameraIntrinsics:
        """The same camera with its image turned clockwise by so many right angles."""
        k = self
        for _ in range(quarters % 4):
            k = CameraIntrinsics(k.height, k.width, k.fy, k.fx, k.height - 1 - k.cy, k.cx)
        return k

    def scaled(self, width: int, height: int) -> CameraIntrinsics:
        """The same camera with its image resized to width x height (pixel centres are integers)."""
        sx, sy = width / self.width, height / self.height
        return CameraIntrinsics(
            width, height, self.fx * sx, self.fy * sy, (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        )

    def resized(self, width: int, height: int, source: str) -> CameraIntrinsics:
        """As `scaled`, for an image that is there. Raises UserError if it has another shape, by more than rounding: it
        was cropped, or is another camera's. `source` names where these intrinsics are from."""
        wide, high = self.width * height, self.height * width
        if abs(wide - high) > max(self.width, width, ASPECT_TOLERANCE * high):
            raise UserError(
                f"The images are {width}x{height}, but {source} describes {self.width}x{self.height}, which is another shape: "
                "give the intrinsics that belong to them."
            )
        return self.scaled(width, height)


@dataclass(frozen=True)
class Frame:
    """One view. Colour is registered to depth: same size, same camera.

    name     stem for files made from this frame ("000017")
    stamp_s  capture time in seconds
    colour   (H, W, 3) uint8 RGB
    depth_m  (H, W) float32 z-depth in metres, 0 where there is none
    pose     (4, 4) float64 camera-to-world, optical frame
    z_up     whether the world's z axis is known to point up
    """

    name: str
    stamp_s: float
    colour: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]
    intrinsics: CameraIntrinsics
    pose: Array = field(repr=False)
    z_up: bool = True

    def __post_init__(self) -> None:
        size = (self.intrinsics.height, self.intrinsics.width)
        if self.depth_m.shape != size or self.colour.shape != (*size, 3):
            fitting = self.depth_m.shape == self.colour.shape[:2]
            advice = (
                "use the camera_info that belongs to these images" if fitting else "register depth to colour (align it)"
            )
            raise UserError(
                f"Frame {self.name}: the camera's size is {size[1]}x{size[0]}, but depth has shape {self.depth_m.shape} and "
                f"colour {self.colour.shape}: {advice}."
            )
        if self.depth_m.dtype != np.float32 or self.colour.dtype != np.uint8:
            raise UserError(
                f"Frame {self.name}: depth must be float32 metres and colour uint8 RGB; found {self.depth_m.dtype} and {self.colour.dtype}."
            )
        object.__setattr__(self, "pose", rigid(self.pose, f"Frame {self.name}"))
        check_near(self.pose[:3, 3], f"Frame {self.name}: the camera is")

    @property
    def world(self) -> str:
        """What bags and topics call the world; `is_z_up` reads it."""
        return WORLD if self.z_up else WORLD_WITHOUT_UP

    def turned(self, quarters: int) -> Frame:
        """The same view with the camera, and so the image, turned clockwise about the optical axis by so many right angles."""
        if quarters % 4 == 0:
            return self
        colour: npt.NDArray[np.uint8] = np.ascontiguousarray(np.rot90(self.colour, -quarters))
        depth_m: npt.NDArray[np.float32] = np.ascontiguousarray(np.rot90(self.depth_m, -quarters))
        pose = self.pose @ np.linalg.matrix_power(QUARTER_TURN, quarters % 4)
        return replace(self, colour=colour, depth_m=depth_m, intrinsics=self.intrinsics.turned(quarters), pose=pose)


def is_z_up(world: str) -> bool:
    """Whether the z axis of a frame of reference that poses are in is known to point up: REP-103 says so of all but ours."""
    return world.lstrip("/") != WORLD_WITHOUT_UP


def distance_m(points: npt.NDArray[np.floating]) -> float:
    """Along the longest axis, how far the points (..., 3) are from the origin: half of them are further."""
    return float(np.median(np.abs(points).max(-1))) if points.size else 0.0


def check_near(points: npt.NDArray[np.floating], who: str) -> None:
    """UserError if most of some points (..., 3) are so far from the origin that float32 metres would round shapes away."""
    far_m = distance_m(points)
    if far_m > FARTHEST_M:
        raise UserError(
            f"{who} {far_m / 1000:.0f} km from the origin, where 32-bit coordinates are too coarse (UTM, or another frame of the earth?): "
            f"expected at most {FARTHEST_M / 1000:.0f} km; subtract the same offset from all positions."
        )


def rigid(pose: npt.ArrayLike, who: str = "The pose") -> Array:
    """A (4,4) camera-to-world transform, checked, its rotation made orthonormal.

    The translation and the quaternion's ratios to its largest component are rounded to 1e-9: bit for bit the same matrix
    comes back after a quaternion's round trip (a bag, DDS), and so does the map.
    Raises UserError if it is not finite, not a rotation, or its last row is not 0 0 0 1.
    """
    T = np.array(pose, np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise UserError(f"{who}: the pose must be a finite 4x4 matrix; found shape {T.shape} with {T.tolist()}.")
    u, s, vt = np.linalg.svd(T[:3, :3])
    if np.abs(s - 1).max() > 0.05 or np.linalg.det(u @ vt) < 0:
        raise UserError(
            f"{who}: the pose's upper left 3x3 must be a rotation; its singular values are {s.round(3).tolist()} and its "
            f"determinant {np.linalg.det(T[:3, :3]):.3f}: poses are camera-to-world matrices in metres."
        )
    if not np.allclose(T[3], (0, 0, 0, 1), atol=1e-3):
        raise UserError(
            f"{who}: the last row of the pose must be 0 0 0 1; found {' '.join(f'{x:g}' for x in T[3])}: is the matrix transposed?"
        )
    quaternion = Rotation.from_matrix(u @ vt).as_quat()
    ratios = np.round(quaternion / quaternion[np.abs(quaternion).argmax()], 9)
    T[:3, :3] = Rotation.from_quat(ratios).as_matrix()
    T[:3, 3] = np.round(T[:3, 3], 9)
    T[3] = 0, 0, 0, 1
    return T + 0.0


def depth_to_metres(raw: npt.NDArray, unit_m: float | None = None) -> npt.NDArray[np.float32]:
    """REP-118: integers are millimetres (or `unit_m` metres), 0 invalid; floats are metres, NaN, Inf and <= 0 invalid.

    (H, W) of any integer or float type -> (H, W) float32 metres, 0 where invalid.
    """
    if raw.dtype.kind in "ui":
        return raw.astype(np.float32) * np.float32(unit_m or 0.001)
    depth = raw.astype(np.float32) * np.float32(unit_m or 1.0)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def depth_to_millimetres(depth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Depth of any shape, float32 metres -> whole millimetres, up to 65.535 m; 0 = none."""
    return np.rint(1000 * depth_m).clip(0, 65535).astype(np.uint16)


def nearest_pixels(image: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """An image in another size: each pixel is that in which its middle lies."""
    v = ((np.arange(height) + 0.5) * image.shape[0] / height).astype(int)
    u = ((np.arange(width) + 0.5) * image.shape[1] / width).astype(int)
    return image[np.ix_(v, u)]


def back_project(depth_m: npt.NDArray, intrinsics: CameraIntrinsics, pose: npt.ArrayLike) -> Array:
    """World points of all pixels, (H, W, 3) (Eq. 3: X_cam = d K^-1 [u v 1]^T; Eq. 4: X = R X_cam + t). Check depth > 0."""
    v, u = np.mgrid[: depth_m.shape[0], : depth_m.shape[1]]
    k, T = intrinsics, np.asarray(pose, np.float64)
    camera = np.stack([(u - k.cx) / k.fx * depth_m, (v - k.cy) / k.fy * depth_m, depth_m], -1)
    return camera @ T[:3, :3].T + T[:3, 3]


def project(points: npt.NDArray, intrinsics: CameraIntrinsics, pose: npt.ArrayLike) -> tuple[Array, Array]:
    """World points (N, 3) -> pixel coordinates u, v (N, 2) and z-depth (N,) in metres; behind the camera z <= 0."""
    T = np.linalg.inv(np.asarray(pose, np.float64))
    X = points @ T[:3, :3].T + T[:3, 3]
    z = np.where(np.abs(X[:, 2]) < 1e-12, 1e-12, X[:, 2])
    k = intrinsics
    return np.stack([k.fx * X[:, 0] / z + k.cx, k.fy * X[:, 1] / z + k.cy], 1), X[:, 2]
