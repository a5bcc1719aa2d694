"""A frame at working resolution: decimated depth, temporally filtered depth, normals.

Everything here is per pixel and independent of the length of the video: only the previous view is kept.
`camera` is (fx, fy, cx, cy) at working resolution; transforms are (4, 4) float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.config import InputConfig
from gcseg_ros.frames import CameraIntrinsics, Frame, rigid
from gcseg_ros.jit import njit
from gcseg_ros.state import Saved

TURNS = ("none", "clockwise", "half", "counterclockwise")
"""By the number of right angles clockwise."""
CLEARLY_UP, ALONG_A_SIDE = 0.6, 0.87  # of a unit vector, in the image: its length along a side, and the share of that
Image = npt.NDArray[np.float32]
Camera = tuple[float, float, float, float]


@dataclass(frozen=True)
class View:
    """What the mapper works on.

    colour      (h, w, 3) uint8 RGB
    measured_m  (h, w) float32 decimated depth, 0 = none: what is lifted into the map
    depth_m     (h, w) float32 filtered over time, small holes filled: what masks are found in
    normals     (h, w, 3) float32 unit, towards the camera, camera frame; 0 where unknown
    lab         (h, w, 3) float32 CIELAB of the colour (L 0..100)
    picture     (h * n, w * n, 3) uint8 RGB before it was reduced; that of a restored view is its colour
    weight      (h, w) float32: how many frames depth_m is the mean of; None where it is not filtered
    quarters    right angles by which it is the frame turned clockwise
    """

    name: str
    colour: npt.NDArray[np.uint8]
    measured_m: Image
    depth_m: Image
    normals: Image
    lab: Image
    intrinsics: CameraIntrinsics
    pose: npt.NDArray[np.float64]
    picture: npt.NDArray[np.uint8]
    weight: Image | None = None
    quarters: int = 0

    @classmethod
    def of(
        cls,
        name: str,
        colour: npt.NDArray[np.uint8],
        measured_m: Image,
        depth_m: Image,
        intrinsics: CameraIntrinsics,
        pose: npt.NDArray[np.float64],
        picture: npt.NDArray[np.uint8] | None = None,
        weight: Image | None = None,
        quarters: int = 0,
    ) -> View:
        """A view from what was seen: normals and Lab are computed."""
        lab = cv2.cvtColor(cv2.bilateralFilter(colour, 5, 25, 3), cv2.COLOR_RGB2LAB).astype(np.float32)
        lab[..., 0] *= 100 / 255
        lab[..., 1:] -= 128
        k = intrinsics
        normals = normals_from(depth_m, (k.fx, k.fy, k.cx, k.cy))
        picture = colour if picture is None else picture
        return cls(name, colour, measured_m, depth_m, normals, lab, intrinsics, pose, picture, weight, quarters)

    @property
    def camera(self) -> Camera:
        k = self.intrinsics
        return k.fx, k.fy, k.cx, k.cy

    @property
    def up(self) -> npt.NDArray[np.float64]:
        """The world's z axis in the camera's frame, (3,)."""
        return self.pose[2, :3]

    def state(self) -> dict[str, Any]:
        """What `of` needs."""
        images = {"colour": self.colour, "measured_m": self.measured_m, "depth_m": self.depth_m}
        weight = {} if self.weight is None else {"weight": self.weight}
        camera = {"camera": np.array(self.camera), "pose": self.pose, "quarters": self.quarters}
        return {"name": self.name, **images, **weight, **camera}

    @classmethod
    def restored(cls, saved: Saved) -> View:
        """The view whose `state` was saved. Raises UserError."""
        measured_m = saved.array("measured_m", np.float32, (None, None), 0)
        h, w = measured_m.shape
        camera = saved.array("camera", np.float64, (4,))
        if not (h and w and camera[:2].min() > 0):
            raise saved.wrong(
                "camera", "of positive focal lengths, its image of some pixels", f"{w}x{h} {camera.tolist()}"
            )
        intrinsics = CameraIntrinsics(w, h, *camera.tolist())
        pose = saved.array("pose", np.float64, (4, 4))
        if np.abs(rigid(pose, saved.where) - pose).max() > 1e-6:
            raise saved.wrong("pose", "a rotation and a translation", str(pose.tolist()))
        colour = saved.array("colour", np.uint8, (h, w, 3))
        depth_m = saved.array("depth_m", np.float32, (h, w), 0)
        weight = saved.array("weight", np.float32, (h, w), 0) if "weight" in saved else None
        quarters = saved.number("quarters", high=3)
        return cls.of(
            saved.text("name"), colour, measured_m, depth_m, intrinsics, pose, weight=weight, quarters=quarters
        )


class ViewBuilder:
    """Frames, in order of time -> views. Keeps the previous view for the temporal depth filter.

    quarters  right angles by which frames are turned clockwise; None before the first
    mapped    the last view that the map knows; others are built ahead of it. It is what is saved.
    """

    def __init__(self, config: InputConfig) -> None:
        self.config = config
        self.quarters: int | None = None if config.turn == "auto" else TURNS.index(config.turn)
        self.previous: View | None = None
        self.mapped: View | None = None

    def __call__(self, frame: Frame) -> View:
        if self.quarters is None:
            self.quarters = quarters_to_upright(frame)
        frame = frame.turned(self.quarters)
        height, width = frame.intrinsics.height, frame.intrinsics.width
        factor = max(1, min(round(max(width, height) / self.config.working_width_px), height, width))
        height, width = height // factor, width // factor
        whole = replace(frame.intrinsics, width=width * factor, height=height * factor)  # the rest is cut off
        k = whole.scaled(width, height)
        camera = k.fx, k.fy, k.cx, k.cy
        measured = decimate(frame.depth_m, factor, np.float32(self.config.depth_max_m))
        depth, weight = measured, (measured > 0).astype(np.float32)
        last = self.previous
        if last and last.weight is not None and last.weight.shape == measured.shape and self.config.filter_frames > 0:
            motion = np.linalg.inv(frame.pose) @ last.pose
            predicted, support = warp(last.depth_m, last.weight, last.normals, motion, last.camera, camera)
            depth, weight = fuse(measured, predicted, support, np.float32(self.config.filter_frames))
        colour = picture = frame.colour[: height * factor, : width * factor]
        if factor > 1:
            colour = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        self.previous = View.of(frame.name, colour, measured, depth, k, frame.pose, picture, weight, self.quarters)
        return self.previous

    def state(self) -> dict[str, Any]:
        """The last view that was mapped; nothing before the first."""
        return self.mapped.state() if self.mapped else {}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        if "weight" in saved:
            self.previous = self.mapped = View.restored(saved)
            if self.config.turn == "auto":
                self.quarters = self.mapped.quarters


def quarters_to_upright(frame: Frame) -> int:
    """Right angles by which a frame is to be turned clockwise, so that up is up; 0 where its pose does not say so clearly."""
    x, y = frame.pose[2, :2] if frame.z_up else (0.0, 0.0)  # of the world's z axis, in the image
    upwards = (-y, -x, y, x)  # how far it points up in the image, turned by 0 to 3 right angles
    quarters = int(np.argmax(upwards))
    return quarters if upwards[quarters] > max(CLEARLY_UP, ALONG_A_SIDE * np.hypot(x, y)) else 0


@njit
def sigma(z):
    """Depth noise (m, 1 sigma) of structured-light and active-stereo cameras at depth z (Nguyen, Izadi, Lovell 2012)."""
    return 0.0012 + 0.0019 * (z - 0.4) * (z - 0.4)


@njit
def transform(T, u, v, z, camera):
    """Pixel (u, v) at depth z, back-projected (Eq. 3) and carried by T (Eq. 4)."""
    fx, fy, cx, cy = camera
    x = (u - cx) / fx * z
    y = (v - cy) / fy * z
    return (
        T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3],
        T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3],
        T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3],
    )


@njit
def decimate(depth, factor, depth_max):
    """One depth per factor x factor block: the mean of its pixels that agree with the middle one (or the nearest)."""
    h, w = depth.shape[0] // factor, depth.shape[1] // factor
    out = np.zeros((h, w), np.float32)
    for v in range(h):
        for u in range(w):
            middle = depth[v * factor + factor // 2, u * factor + factor // 2]
            if middle < 0.1:
                middle = np.float32(1e9)
                for j in range(factor):
                    for i in range(factor):
                        z = depth[v * factor + j, u * factor + i]
                        if z >= 0.1 and z < middle:
                            middle = z
            if middle > depth_max:
                continue
            reach = 4 * sigma(middle) + 0.005
            total, count = 0.0, 0
            for j in range(factor):
                for i in range(factor):
                    z = depth[v * factor + j, u * factor + i]
                    if z >= 0.1 and abs(z - middle) < reach:
                        total += z
                        count += 1
            if count > 0:
                out[v, u] = total / count
    return out


@njit
def warp(depth, weight, normals, motion, last_camera, camera):
    """The last view's depth as seen from here, and its weight: each pixel splats 2x2 samples of its tangent plane.

    A pixel gets the mean, by how near they fall, of the samples that agree within the noise; of those that do not, the nearest surface's. To take the
    nearest of noisy samples would draw far surfaces towards the camera.
    """
    fx, fy, cx, cy = camera
    h, w = depth.shape
    out = np.zeros((h, w), np.float32)
    out_weight = np.zeros((h, w), np.float32)
    share = np.zeros((h, w), np.float32)
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if z <= 0:
                continue
            X, Y, Z = transform(motion, u, v, z, last_camera)
            if Z < 0.1:
                continue
            n = normals[v, u]
            a = motion[0, 0] * n[0] + motion[0, 1] * n[1] + motion[0, 2] * n[2]
            b = motion[1, 0] * n[0] + motion[1, 1] * n[1] + motion[1, 2] * n[2]
            c = motion[2, 0] * n[0] + motion[2, 1] * n[1] + motion[2, 2] * n[2]
            offset = a * X + b * Y + c * Z
            x, y = fx * X / Z + cx, fy * Y / Z + cy
            u0, v0 = int(np.floor(x)), int(np.floor(y))
            reach = 3 * sigma(Z) + 0.01
            for k in range(4):
                i, j = u0 + k % 2, v0 + k // 2
                if i < 0 or j < 0 or i >= w or j >= h:
                    continue
                slope = a * (i - cx) / fx + b * (j - cy) / fy + c
                at = Z
                if abs(slope) > 0.1:
                    at = offset / slope
                    if abs(at - Z) > 0.05 * Z:
                        at = Z
                near = (1 - abs(x - i)) * (
                    1 - abs(y - j)
                ) + 1e-3  # on a pixel's middle its neighbours have little, not nothing
                if out[j, i] == 0 or at < out[j, i] - reach:
                    out[j, i], out_weight[j, i], share[j, i] = at, weight[v, u], near
                elif at < out[j, i] + reach:
                    share[j, i] += near
                    part = near / share[j, i]
                    out[j, i] += part * (at - out[j, i])
                    out_weight[j, i] += part * (weight[v, u] - out_weight[j, i])
    return out, out_weight


@njit
def fuse(measured, predicted, support, most):
    """Running mean where the prediction agrees; a hole takes a prediction that was seen more than twice."""
    h, w = measured.shape
    depth = np.zeros((h, w), np.float32)
    weight = np.zeros((h, w), np.float32)
    for v in range(h):
        for u in range(w):
            z, p = measured[v, u], predicted[v, u]
            if z > 0:
                depth[v, u], weight[v, u] = z, 1
                if p > 0 and abs(z - p) < 3 * sigma(z) + 0.01:
                    k = min(support[v, u], most)
                    depth[v, u] = (z + k * p) / (k + 1)
                    weight[v, u] = k + 1
            elif p > 0 and support[v, u] > 2:
                depth[v, u] = p
                weight[v, u] = 0.8 * support[v, u]
    return depth, weight


@njit
def normals_from(depth, camera):
    """Normals (h, w, 3) from a plane through 5x5 samples, 2 pixels apart: planes are linear in inverse depth.

    A row's sums grow side by side, sample by sample: so the compiler can add several at once.
    """
    fx, fy, cx, cy = camera
    step, margin = 2, 4
    h, w = depth.shape
    out = np.zeros((h, w, 3), np.float32)
    padded = np.zeros((h + 2 * margin, w + 2 * margin), np.float32)
    padded[margin : margin + h, margin : margin + w] = depth
    inverse = 1 / padded.astype(np.float64)
    sums, of_samples, near = np.zeros((9, w)), np.zeros((3, w), np.float32), np.zeros(w, np.float32)
    n, sx, sy, sxx, sxy, syy = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    sr, srx, sry = sums[6], sums[7], sums[8]
    count, total, squares = of_samples[0], of_samples[1], of_samples[2]
    for v in range(h):
        z = depth[v]
        tolerance = 0.02 + 0.03 * z.astype(np.float64)
        sums[:] = 0
        for j in range(-2, 3):
            of_samples[:] = 0
            for i in range(-2, 3):
                y, x = margin + v + j * step, margin + i * step
                q, r = padded[y, x : x + w], inverse[y, x : x + w]
                for u in range(w):
                    agrees = (q[u] > 0) & (abs(q[u] - z[u]) <= tolerance[u])
                    near[u] = 1 if agrees else 0
                    known = r[u] if agrees else 0.0
                    sr[u] += known
                    srx[u] += known * i
                    sry[u] += known * j
                for u in range(w):
                    count[u] += near[u]
                    total[u] += near[u] * np.float32(i)
                    squares[u] += near[u] * np.float32(i * i)
            for u in range(w):
                n[u] += count[u]
                sx[u] += total[u]
                sy[u] += j * count[u]
                sxx[u] += squares[u]
                sxy[u] += j * total[u]
                syy[u] += j * j * count[u]
        for u in range(w):
            if z[u] <= 0 or n[u] < 6:
                continue
            mx, my = sx[u] / n[u], sy[u] / n[u]
            a, b, c = sxx[u] - n[u] * mx * mx, sxy[u] - n[u] * mx * my, syy[u] - n[u] * my * my
            p, s = srx[u] - mx * sr[u], sry[u] - my * sr[u]
            determinant = a * c - b * b
            if determinant < 1e-6:
                continue
            gx, gy = (c * p - b * s) / determinant, (a * s - b * p) / determinant
            at_centre = sr[u] / n[u] - gx * mx - gy * my
            nx, ny = gx * fx / step, gy * fy / step
            nz = at_centre - nx * (u - cx) / fx - ny * (v - cy) / fy
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            out[v, u, 0], out[v, u, 1], out[v, u, 2] = -nx / length, -ny / length, -nz / length
    return out


@njit
def solid(depth):
    """Depth without the pixels beside a discontinuity, where sensors invent points in mid-air."""
    h, w = depth.shape
    out = depth.copy()
    for v in range(1, h - 1):
        for u in range(1, w - 1):
            z = depth[v, u]
            if z <= 0:
                continue
            reach = 0.02 + 3 * sigma(z) + 0.01 * z
            n = 0
            for j in range(-1, 2):
                for i in range(-1, 2):
                    q = depth[v + j, u + i]
                    if q > 0 and abs(q - z) < reach:
                        n += 1
            if n < 7:
                out[v, u] = 0
    return out
