"""The picture of a map: the room from above, opened towards the viewer, in true colours and by instance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.camera.encoded_images import write_image
from gcseg_ros.clouds.neighbours import distinct, spacing
from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path
from gcseg_ros.instances.export import write_instances_ply
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.viewer.colours import instance_colours
from gcseg_ros.viewer.floor_plan import CELL_M, FloorPlan
from gcseg_ros.viewer.splatting import depth_shading, framed, rotation_towards, splat

BACKGROUND = np.array([232, 235, 239], np.float32)
ELEVATION = np.radians(48)
MOST_POINTS = 1_000_000
LEAST_SPACING_M, MOST_SPACING_M = 1e-3, 0.1  # of points that are drawn


def render_picture(instances: InstanceMap, size: tuple[int, int] = (1800, 800)) -> npt.NDArray[np.uint8]:
    """True colours on the left, instances on the right: (height, width, 3) uint8 RGB, upright.  size: (width, height).

    Stray points, the ceiling and near walls are left out, so that what stands in the room is seen. Of larger clouds a
    million points are drawn, evenly chosen.
    """
    panel = size[0] // 2, size[1]
    one_each = distinct(instances.points, LEAST_SPACING_M)  # what is drawn again hides what is drawn
    one_each = one_each[evenly(len(one_each), MOST_POINTS)]
    points, ids = instances.upright_points[one_each].astype(np.float64), instances.instance[one_each]
    if len(points) < 10:
        return np.broadcast_to(BACKGROUND, (panel[1], 2 * panel[0], 3)).astype(np.uint8)
    azimuth = best_view(points, ids)
    opened, tree = np.flatnonzero(FloorPlan(points).opened(azimuth)), cKDTree(points)
    radius = drawn_spacing(tree)
    kept = opened[~stray(tree, points[opened], radius)]
    shown = kept if len(kept) else np.arange(len(points))
    points = points[shown]
    colours = np.concatenate([instances.colours[one_each], instance_colours(ids)], 1)[shown].astype(np.float32)
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
            write_image(temporary, render_picture(instances)[..., ::-1])
        except cv2.error:
            raise UserError(f"{path} is no picture's name: let it end in .png or .jpg.") from None


def write_with_picture(file: Path, instances: InstanceMap, drawn: InstanceMap) -> None:
    """A labelled PLY, and beside it the picture (.png) of what is `drawn`; neither without the other, whenever Ctrl-C
    comes. Raises UserError."""
    with atomic_path(file.with_suffix(".png")) as picture:
        write_image(picture, render_picture(drawn)[..., ::-1])
        write_instances_ply(file, instances)


def evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """The numbers of at most so many of `count` points, ascending."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def drawn_spacing(tree: cKDTree) -> float:
    """How far neighbouring points of a cloud are taken to be apart."""
    return float(np.clip(spacing(tree), LEAST_SPACING_M, MOST_SPACING_M))


def stray(tree: cKDTree, points: npt.NDArray, spacing: float) -> npt.NDArray[np.bool_]:
    """Which of these points (k, 3) of a cloud have hardly any other near them, (k,)."""
    sixth, _ = tree.query(points, k=[7], distance_upper_bound=3 * spacing, workers=-1)
    return ~np.isfinite(sixth[:, 0])


def best_view(points: npt.NDArray, ids: npt.NDArray[np.integer]) -> float:
    """The azimuth, along a diagonal of the floor plan's main direction, that shows most of most objects. Radians."""
    some = slice(None, None, max(1, len(points) // 40_000))
    points, ids = points[some], ids[some]
    plan = np.unique(np.floor(points[:, :2] / CELL_M), axis=0).astype(np.float32)
    along = np.radians(cv2.minAreaRect(plan)[2])
    room, size = FloorPlan(points), (135, 120)

    def objects_seen(azimuth: float) -> float:
        shown = room.opened(azimuth)
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
