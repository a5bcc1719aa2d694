"""Colour brought into the pixels of a depth camera, of another resolution or standing beside the colour camera (an
unaligned RealSense)."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.frames import Array, CameraIntrinsics, back_project, nearest_pixels, project

DEFAULT_DEPTH_M = 2.0  # for pixels without depth, in an image without any
SIDES_PX = 640, 320  # of depth's longer side, where it has less than the least, and colour has more
ONE_SURFACE_M, ONE_SURFACE = 0.02, 0.02  # m, and share of depth, that neighbours of one surface differ by at most
TOLD_BY = 0.5  # share of the pixels that must have depth, to tell what both cameras see
NARROW = 0.8  # share of depth that colour sees; below it is told


def as_fine_as_colour(
    depth_m: npt.NDArray[np.float32], camera: CameraIntrinsics, colour: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], CameraIntrinsics]:
    """Depth of few pixels (a phone's LiDAR: 256x192) made finer, and its camera: a frame has depth's pixels, and what
    a finer image shows between them would be lost. Other depth as it is."""
    height, width = depth_m.shape
    longer, most = max(height, width), max(colour.shape[:2])
    side = next((side for side in SIDES_PX if side <= most), longer)
    if longer >= min(SIDES_PX) or side <= longer:
        return depth_m, camera
    fine = camera.scaled(round(width * side / longer), round(height * side / longer))
    return finer(depth_m, fine.height, fine.width), fine


def finer(depth_m: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Depth in more pixels: between four that are on one surface a point of it, elsewhere each repeated. Repeated
    pixels are steps, and each lies beside the surface on the same side of its block: registration would follow them
    away."""
    nearest = nearest_pixels(depth_m, height, width)
    linear = cv2.resize(depth_m, (width, height), interpolation=cv2.INTER_LINEAR)
    v, u = (
        np.maximum((np.arange(n) + 0.5) * of / n - 0.5, 0).astype(int) for n, of in zip((height, width), depth_m.shape)
    )
    four = np.ones((2, 2), np.uint8)
    low, high = (change(depth_m, four, anchor=(0, 0))[np.ix_(v, u)] for change in (cv2.erode, cv2.dilate))
    return np.where((low > 0) & (high - low < ONE_SURFACE_M + ONE_SURFACE * low), linear, nearest)


def apart(T_colour_depth: Array) -> Array | None:
    """The transform between two cameras; None if they are at one place."""
    return None if np.allclose(T_colour_depth, np.eye(4), atol=1e-4) else T_colour_depth


def registered(
    colour: npt.NDArray[np.uint8],
    camera: CameraIntrinsics,
    depth_m: npt.NDArray[np.float32],
    target: CameraIntrinsics,
    T_colour_depth: Array | None,
) -> npt.NDArray[np.uint8]:
    """Colour in depth's pixels, as `reproject_colour`; without a transform both cameras are taken to be at the same place."""
    if T_colour_depth is None:
        return register_colour(colour, camera, target)
    return reproject_colour(colour, camera, depth_m, target, T_colour_depth)


def share_in_colour(
    camera: CameraIntrinsics,
    depth_m: npt.NDArray[np.float32],
    target: CameraIntrinsics,
    T_colour_depth: Array | None,
) -> float | None:
    """Of what a depth image (of `target`) shows, how much lies in the colour image (of `camera`); None: too little to tell."""
    valid = depth_m > 0
    if valid.mean() < TOLD_BY:
        return None
    points = back_project(depth_m, target, np.eye(4) if T_colour_depth is None else T_colour_depth)[valid]
    pixels, z = project(points, camera, np.eye(4))
    inside = np.all((pixels > -1) & (pixels < (camera.width, camera.height)), axis=1)
    return float(np.mean(inside & (z > 0)))


def narrow_colour(share: float | None) -> list[str]:
    """What to tell where colour sees clearly less than depth."""
    if share is None or share >= NARROW:
        return []
    return [
        f"Colour sees only {share:.0%} of what depth sees, and beyond that its border is repeated: align depth to colour, or "
        "record a wider colour mode."
    ]


def register_colour(
    colour: npt.NDArray[np.uint8], camera: CameraIntrinsics, target: CameraIntrinsics
) -> npt.NDArray[np.uint8]:
    """Colour (H, W, 3) resampled from its own camera into a `target` at the same place (the depth camera's pixels): (h, w, 3)."""
    if camera == target:
        return colour
    scaled = camera.scaled(target.width, target.height)
    if scaled.width < camera.width:
        resized = cv2.resize(colour, (scaled.width, scaled.height), interpolation=cv2.INTER_AREA)
        colour, camera = np.asarray(resized, np.uint8), scaled
    sx, sy = camera.fx / target.fx, camera.fy / target.fy
    warp = np.array([[sx, 0, camera.cx - sx * target.cx], [0, sy, camera.cy - sy * target.cy]])
    size = (target.width, target.height)
    if np.allclose(warp, [[1, 0, 0], [0, 1, 0]], atol=1e-3) and (camera.width, camera.height) == size:
        return colour
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(colour, warp, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def reproject_colour(
    colour: npt.NDArray[np.uint8],
    camera: CameraIntrinsics,
    depth_m: npt.NDArray[np.float32],
    target: CameraIntrinsics,
    T_colour_depth: Array,
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8: for every depth pixel, the colour where its surface point is seen by the colour camera.

    colour          (h, w, 3) uint8 of `camera`
    depth_m         (H, W) float32 of `target`, 0 where invalid: there the median depth is assumed
    T_colour_depth  (4, 4) points of the depth camera's optical frame -> the colour camera's

    What only the depth camera sees gets the colour of what hides it; outside the colour image the border is repeated.
    """
    valid = depth_m[depth_m > 0]
    depth = np.where(depth_m > 0, depth_m, np.median(valid) if valid.size else np.float32(DEFAULT_DEPTH_M))
    R, t = T_colour_depth[:3, :3].astype(np.float32), T_colour_depth[:3, 3].astype(np.float32)
    x, y, z = np.moveaxis(_rays(target) @ R.T * depth[..., None].astype(np.float32) + t, -1, 0)
    z = np.maximum(z, np.float32(1e-3))
    u, v = x / z * np.float32(camera.fx) + np.float32(camera.cx), y / z * np.float32(camera.fy) + np.float32(camera.cy)
    sampled = cv2.remap(colour, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.uint8)


@lru_cache(maxsize=4)
def _rays(camera: CameraIntrinsics) -> npt.NDArray[np.float32]:
    """(H, W, 3) points at depth 1 m in the optical frame."""
    return back_project(np.ones((camera.height, camera.width)), camera, np.eye(4)).astype(np.float32)
