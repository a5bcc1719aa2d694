"""Point clouds drawn without a GPU: blended splats with a z-buffer, shaded by depth alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.jit import njit

VIEW_ANGLE = 0.5  # radians, of an image's height

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks at a scene. rotation (3, 3): rows are the camera's right, down and forward axes."""

    rotation: npt.NDArray[np.float64]
    position: npt.NDArray[np.float64]
    focal_px: float
    centre_px: tuple[float, float]

    def project(self, points: npt.NDArray) -> npt.NDArray[np.float32]:
        """(N, 3) world -> (N, 3) float32: u, v in pixels and z-depth in the cloud's unit."""
        X = (points - self.position) @ self.rotation.T
        z = np.maximum(X[:, 2], 1e-6)
        u = self.focal_px * X[:, 0] / z + self.centre_px[0]
        v = self.focal_px * X[:, 1] / z + self.centre_px[1]
        return np.stack([u, v, X[:, 2]], 1).astype(np.float32)


def rotation_towards(azimuth: float, elevation: float) -> npt.NDArray[np.float64]:
    """Axes of a camera that looks from `azimuth` and `elevation` (radians, z up) at the origin, (3, 3)."""
    back = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.stack([right, np.cross(-back, right), -back])


def framed(points: npt.NDArray, rotation: npt.NDArray, size: tuple[int, int]) -> Camera:
    """The camera with these axes that has all of `points` (N, 3) in its image of (width, height), with a margin."""
    width, height = size
    points = points[:: max(1, len(points) // 50_000)]
    focal = 0.5 * height / np.tan(VIEW_ANGLE / 2)
    X = np.ascontiguousarray((points @ rotation.T).T)
    low, high = X.min(1), X.max(1)
    position = np.array([*(low + high)[:2] / 2, low[2] - 10 * (high - low).max() - 1])
    centre = np.array([width, height]) / 2
    for _ in range(10):  # towards the tightest fit: depths change with the distance, so repeat
        z = X[2] - position[2]
        uv = focal * (X[:2] - position[:2, None]) / z
        low_uv, high_uv = uv.min(1), uv.max(1)
        position[:2] += (high_uv + low_uv) / 2 * z.mean() / focal
        fill = max(float(((high_uv - low_uv) / (0.92 * np.array([width, height]))).max()), 1e-3)
        position[2] = min(X[2].mean() - (X[2].mean() - position[2]) * fill, low[2] - 1e-3)
    return Camera(rotation, rotation.T @ position, float(focal), (float(centre[0]), float(centre[1])))


def splat(
    points: npt.NDArray, values: Image, camera: Camera, size: tuple[int, int], radius: float
) -> tuple[Image, Image]:
    """Draw round splats of `radius` (the cloud's unit); those within 3 radii behind the nearest are blended.

    points (N, 3), values (N, C) float32; size (width, height). Returns the image (height, width, C) and its depth
    (height, width), infinite where nothing is.
    """
    pixels = camera.project(points)
    nearest = np.full((size[1], size[0]), np.inf, np.float32)
    _nearest(pixels, np.float32(camera.focal_px * radius), nearest)
    total = np.zeros((size[1], size[0], values.shape[1] + 2), np.float32)
    _blend(pixels, values, np.float32(camera.focal_px * radius), np.float32(3 * radius), nearest, total)
    weight: Image = total[..., -1:]
    total[..., :-1] /= np.maximum(weight, np.float32(1e-9))
    return total[..., :-2], np.where(weight[..., 0] > 0, total[..., -2], np.float32(np.inf))


@njit
def _nearest(pixels, scale, nearest):
    height, width = nearest.shape
    for i in range(len(pixels)):
        u, v, z = pixels[i]
        if z <= 0:
            continue
        r = max(scale / z, np.float32(0.7))
        for y in range(max(0, int(np.ceil(v - r))), min(height, int(np.floor(v + r)) + 1)):
            for x in range(max(0, int(np.ceil(u - r))), min(width, int(np.floor(u + r)) + 1)):
                if (x - u) ** 2 + (y - v) ** 2 <= r * r and z < nearest[y, x]:
                    nearest[y, x] = z


@njit
def _blend(pixels, values, scale, reach, nearest, total):
    height, width = nearest.shape
    channels = values.shape[1]
    for i in range(len(pixels)):
        u, v, z = pixels[i]
        if z <= 0:
            continue
        r = max(scale / z, np.float32(0.7))
        for y in range(max(0, int(np.ceil(v - r))), min(height, int(np.floor(v + r)) + 1)):
            for x in range(max(0, int(np.ceil(u - r))), min(width, int(np.floor(u + r)) + 1)):
                d = ((x - u) ** 2 + (y - v) ** 2) / (r * r)
                if d > 1 or z > nearest[y, x] + reach:
                    continue
                w = (1.001 - d) ** 2
                for c in range(channels):
                    total[y, x, c] += w * values[i, c]
                total[y, x, channels] += w * z
                total[y, x, channels + 1] += w


def depth_shading(depth: Image, scale: float) -> Image:
    """Brightness (H, W), about 1 in the open, from depth alone: crevices darken, edges stand out. `scale` in units of depth.

    Unsharp masking of the depth buffer (Luft, Colditz, Deussen, SIGGRAPH 2006) at three widths, and eye-dome lighting
    (Boucheny, 2009) for the outlines.
    """
    seen = np.isfinite(depth)
    for _ in range(3):  # the noise of a sensor is no shape
        depth = cv2.medianBlur(depth, 5).astype(np.float32)
    depth[~np.isfinite(depth) & seen] = np.max(depth[np.isfinite(depth)], initial=0)
    filled = np.where(seen, depth, 0).astype(np.float32)
    shade = np.ones_like(filled)
    for width, strength in ((2.0, 0.1), (7.0, 0.25), (22.0, 0.35)):
        hidden = np.clip((filled - _local_mean(filled, seen, width)) / np.float32(scale * np.sqrt(width)), 0, 1)
        shade -= np.float32(strength) * hidden
    step = 2
    padded = np.pad(np.where(seen, depth, np.float32(1e6)).astype(np.float32), step, mode="edge")
    height, width_px = depth.shape
    response = np.zeros_like(filled)
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        beside = padded[step + dy * step :, step + dx * step :][:height, :width_px]
        response += np.clip((filled - beside) / scale - 0.3, 0, 1) / 4
    return shade * np.exp(-1.2 * response)


def _local_mean(image: Image, seen: npt.NDArray[np.bool_], width: float) -> Image:
    """Gaussian mean of what is `seen`, of standard deviation `width` pixels; wide ones are taken at a lower resolution."""
    step = max(1, int(width / 3))
    size = -(-image.shape[1] // step), -(-image.shape[0] // step)
    small, there = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (image, seen.astype(np.float32)))
    weight = np.maximum(cv2.GaussianBlur(there, (0, 0), width / step), np.float32(1e-6))
    mean = cv2.GaussianBlur(small, (0, 0), width / step) / weight
    return cv2.resize(mean, image.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
