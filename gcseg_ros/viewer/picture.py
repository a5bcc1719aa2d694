"""The picture of a map: the room from above, opened towards the viewer, in true colours and by instance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path
from gcseg_ros.mapping.instances import InstanceMap
from gcseg_ros.viewer.colours import instance_colours
from gcseg_ros.viewer.splatting import depth_shading, framed, rotation_towards, splat

BACKGROUND = np.array([232, 235, 239], np.float32)
ELEVATION = np.radians(48)
CELL_M = 0.10
"""Cells of the floor plan on which the cut is decided."""
MOST_CELLS = 1000
"""Along an edge of that plan: in larger worlds (or with a stray point far away) cells are larger."""


def render_picture(instances: InstanceMap, size: tuple[int, int] = (1800, 800)) -> npt.NDArray[np.uint8]:
    """True colours on the left, instances on the right: (height, width, 3) uint8 RGB. z is up.  size: (width, height).

    Stray points, the ceiling and near walls are left out, so that what stands in the room is seen.
    """
    panel = size[0] // 2, size[1]
    points = instances.points.astype(np.float64)
    if len(points) < 10:
        return np.broadcast_to(BACKGROUND, (panel[1], 2 * panel[0], 3)).astype(np.uint8)
    radius, kept = neighbourhood(points)
    azimuth = best_view(points, instances.instance)
    kept &= opened(points, azimuth)
    shown = kept if kept.any() else ~kept
    points = points[shown]
    colours = np.concatenate([instances.colours, instance_colours(instances.instance)], 1)[shown].astype(np.float32)
    large = 2 * panel[0], 2 * panel[1]  # drawn at twice the size, against jagged edges
    camera = framed(points, rotation_towards(azimuth, ELEVATION), large)
    both, depth = splat(points, colours, camera, large, radius)
    both *= depth_shading(depth, 6 * radius)[..., None]
    both[~np.isfinite(depth)] = np.tile(BACKGROUND, 2)
    both = np.clip(cv2.resize(both, panel, interpolation=cv2.INTER_AREA), 0, 255).astype(np.uint8)
    return np.concatenate([both[..., :3], both[..., 3:]], 1)


def write_picture(instances: InstanceMap, path: str | Path) -> None:
    """`render_picture` as a PNG or JPEG file. Raises UserError."""
    with atomic_path(path) as temporary:
        try:
            written = cv2.imwrite(str(temporary), render_picture(instances)[..., ::-1])
        except cv2.error:
            raise UserError(f"{path} is no picture's name: let it end in .png or .jpg.") from None
        if not written:
            raise OSError("the disk may be full")


def neighbourhood(points: npt.NDArray) -> tuple[float, npt.NDArray[np.bool_]]:
    """Typical distance between neighbouring points (N, 3), and which of them are not stray: (N,) bool."""
    nearest, sixth = cKDTree(points).query(points, k=[2, 7], workers=-1)[0].T
    spacing = float(np.clip(np.median(nearest), 1e-3, 0.1))
    return spacing, sixth < 3 * spacing


def best_view(points: npt.NDArray, ids: npt.NDArray[np.integer]) -> float:
    """The azimuth, along a diagonal of the floor plan's main direction, that shows most of most objects. Radians."""
    some = slice(None, None, max(1, len(points) // 40_000))
    points, ids = points[some], ids[some]
    plan = np.unique(np.floor(points[:, :2] / CELL_M), axis=0).astype(np.float32)
    along = np.radians(cv2.minAreaRect(plan)[2])
    size = 135, 120

    def objects_seen(azimuth: float) -> float:
        shown = opened(points, azimuth)
        camera = framed(points[shown], rotation_towards(azimuth, ELEVATION), size)
        pixels = camera.project(points[shown])
        inside = ((pixels[:, :2] >= 0) & (pixels[:, :2] < size)).all(1)  # all but of a few points in odd places
        u, v, z = pixels[inside].T
        far_first = np.argsort(-z)
        seen = np.zeros(size[::-1], ids.dtype)
        seen[v.astype(int)[far_first], u.astype(int)[far_first]] = ids[shown][inside][far_first]
        return float(np.sqrt(np.unique(seen[seen > 0], return_counts=True)[1]).sum())

    azimuths = [along + quarter * np.pi / 2 + turn for quarter in range(4) for turn in np.radians([30, 60])]
    return max(azimuths, key=objects_seen)


def below_ceiling(points: npt.NDArray) -> float:
    """The height below which everything but the ceiling lies; infinite if points (N, 3) show none."""
    z = points[:, 2]
    floor, top = np.percentile(z, [0.5, 99.8])
    cells = np.floor(points[:, :2] / CELL_M).astype(int)
    at_top = cells[z > top - 0.25]
    has_one = top - floor > 1.5 and len(np.unique(at_top, axis=0)) > 0.1 * len(np.unique(cells, axis=0))
    return float(top - 0.35) if has_one else np.inf


def opened(points: npt.NDArray, azimuth: float) -> npt.NDArray[np.bool_]:
    """Which points (N, 3) stay when the room is opened towards a viewer at `azimuth`: (N,) bool.

    The ceiling goes, if there is one, and so does what is as tall as a wall and stands in front of floor or furniture,
    down to a stub: near walls and partitions, not far walls.
    """
    z = points[:, 2]
    floor = np.percentile(z, 0.5)
    tall, stub = floor + 1.3, floor + 0.25
    from_corner = points[:, :2] - points[:, :2].min(0)
    cell_m = max(CELL_M, from_corner.max() / MOST_CELLS)
    cells = np.floor(from_corner / cell_m).astype(int)
    shape = tuple(cells.max(0) + 1)

    def plan(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        filled = np.zeros(shape, bool)
        filled[cells[chosen, 0], cells[chosen, 1]] = True
        return filled

    keep = z < below_ceiling(points)
    quarter = np.floor(4 * (z - stub) / (tall - stub))
    columns = sum(plan(quarter == level).astype(int) for level in range(4))
    wall = (columns >= 3) & plan(z > tall)
    room = plan(z < tall) & ~wall
    behind = np.zeros(shape, int)
    for distance_m in np.arange(3 * cell_m, 2.5, cell_m):
        x, y = np.round(-distance_m / cell_m * np.array([np.cos(azimuth), np.sin(azimuth)])).astype(int)
        behind += shifted(room, -x, -y)
    cut = cv2.dilate((wall & (behind >= 4)).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return keep & ~(cut[cells[:, 0], cells[:, 1]] & (z > stub))


def shifted(image: npt.NDArray[np.bool_], x: int, y: int) -> npt.NDArray[np.bool_]:
    """The image moved by x rows and y columns, False where nothing comes in."""
    matrix = np.array([[1.0, 0, y], [0, 1, x]])
    return cv2.warpAffine(image.astype(np.uint8), matrix, image.shape[::-1], flags=cv2.INTER_NEAREST) > 0
