"""One view of a room by ray casting: exact depth and identities, and colour from lamps, shadows and procedural surfaces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from gcseg_ros.frames import CameraIntrinsics
from gcseg_ros.recordings.synthetic import materials as mat
from gcseg_ros.recordings.synthetic.kernel import inlined, kernel
from gcseg_ros.recordings.synthetic.light import L_CLEAR_RADIUS, L_FALLOFF, L_IN_SHADOW, Light
from gcseg_ros.recordings.synthetic.materials import noise, surface_colour
from gcseg_ros.recordings.synthetic.primitives import MISS, STACK, Geometry, cast, local_normal

if TYPE_CHECKING:
    from gcseg_ros.recordings.synthetic.room import Room

SHADOW_STEP_M = 2e-3  # off a surface, so that it does not shade itself


@dataclass(frozen=True)
class View:
    """What a perfect camera sees.

    colour    (H, W, 3) uint8 RGB
    depth_m   (H, W) float32 z-depth in metres of the pixel centre's ray, 0 where nothing is hit
    instance  (H, W) uint16 object id, 0 = none
    part      (H, W) uint16 part id, unique over the room, 0 = none
    normal    (H, W, 3) float32 unit normal in the world, towards the camera; 0 where nothing is hit
    cosine    (H, W) float32 between the surface's normal and the ray, 0 grazing .. 1 frontal
    hole      (H, W) float32 chance that a depth sensor gets no answer from this surface
    """

    colour: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]
    instance: npt.NDArray[np.uint16]
    part: npt.NDArray[np.uint16]
    normal: npt.NDArray[np.float32]
    cosine: npt.NDArray[np.float32]
    hole: npt.NDArray[np.float32]


class Scene(NamedTuple):
    """What the compiled loops see of a room. scale, material: of each primitive, as in `Solids`; materials: rows of
    `material_table`."""

    geometry: Geometry
    scale: npt.NDArray[np.float64]
    material: npt.NDArray[np.int32]
    materials: npt.NDArray[np.float64]
    light: Light


def render(room: Room, intrinsics: CameraIntrinsics, pose: npt.ArrayLike, threads: int = 1) -> View:
    """The room seen from `pose` (4,4 camera-to-world, optical frame). Rows are shared among `threads`."""
    height, width = intrinsics.height, intrinsics.width
    colour = np.zeros((height, width, 3))
    depth = np.zeros((height, width), np.float32)
    hit = np.full((height, width), -1, np.int32)
    cosine = np.zeros((height, width), np.float32)
    normal = np.zeros((height, width, 3), np.float32)
    solids = room.solids
    scene = Scene(solids.geometry, solids.scale, solids.material, room.material_rows, room.light)
    images = colour, depth, hit, cosine, normal
    arguments = scene, np.array(intrinsics.pinhole), np.asarray(pose, np.float64), images
    if threads == 1:
        render_rows(*arguments, 0, height)
    else:
        edges = np.linspace(0, height, 4 * threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda rows: render_rows(*arguments, *rows), pairwise(edges)))
    solid = np.where(hit < 0, 0, hit)
    seen = hit >= 0
    return View(
        tone(colour),
        depth,
        np.where(seen, solids.instance[solid], 0).astype(np.uint16),
        np.where(seen, solids.part[solid], 0).astype(np.uint16),
        normal,
        cosine,
        np.where(seen, room.material_rows[solids.material[solid], mat.C_HOLE], 0).astype(np.float32),
    )


def tone(light: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Display values of light (..., 3): linear up to 0.7, then a soft shoulder towards white."""
    over = np.maximum(light - 0.7, 0)
    return (np.where(over > 0, 0.7 + 0.3 * (1 - np.exp(-over / 0.3)), np.maximum(light, 0)) * 255 + 0.5).astype(
        np.uint8
    )


def cast_depth(room: Room, intrinsics: CameraIntrinsics, pose: npt.ArrayLike) -> tuple[npt.NDArray, npt.NDArray]:
    """Depth (H, W) float32 and instance (H, W) uint16 only: for planning, several times faster than `render`."""
    k = intrinsics
    depth = np.zeros((k.height, k.width), np.float32)
    hit = np.full((k.height, k.width), -1, np.int32)
    cast_rows(room.solids.geometry, np.array(k.pinhole), np.asarray(pose, np.float64), depth, hit)
    instance = np.where(hit >= 0, room.solids.instance[np.maximum(hit, 0)], 0)
    return depth, instance.astype(np.uint16)


@inlined
def ray(camera, pose, row, column):  # pragma: no cover - compiled
    """Direction in the world of a pixel's ray, its z in the camera's frame 1. camera: fx, fy, cx, cy."""
    fx, fy, cx, cy = camera[0], camera[1], camera[2], camera[3]
    x, y = (column - cx) / fx, (row - cy) / fy
    return (
        pose[0, 0] * x + pose[0, 1] * y + pose[0, 2],
        pose[1, 0] * x + pose[1, 1] * y + pose[1, 2],
        pose[2, 0] * x + pose[2, 1] * y + pose[2, 2],
    )


@kernel
def cast_rows(geometry, camera, pose, depth, hit):  # pragma: no cover - compiled
    stack = np.empty((STACK, 2))
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            vx, vy, vz = ray(camera, pose, row, column)
            t, index = cast(geometry, stack, pose[0, 3], pose[1, 3], pose[2, 3], vx, vy, vz, 1e-3, MISS, False)
            if index >= 0:
                depth[row, column] = t
                hit[row, column] = index


@inlined
def bumped(row, px, py, pz, nx, ny, nz, footprint):  # pragma: no cover - compiled
    """A normal at world point p with the relief of the material, which fades where pixels are larger than it."""
    bump = row[mat.C_BUMP]
    if bump > 0:
        f = 1 / row[mat.C_BUMP_PERIOD]
        bump *= 1 - mat.smooth(0.3, 1.0, footprint * f)
        if bump > 0:
            e = 0.15
            here = noise(px * f, py * f, pz * f, 77)
            nx += bump * (noise(px * f + e, py * f, pz * f, 77) - here) / e
            ny += bump * (noise(px * f, py * f + e, pz * f, 77) - here) / e
            nz += bump * (noise(px * f, py * f, pz * f + e, 77) - here) / e
            norm = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
            nx, ny, nz = nx * norm, ny * norm, nz * norm
    return nx, ny, nz


@inlined
def lit(geometry, light, stack, gloss, px, py, pz, nx, ny, nz, vx, vy, vz, cosine):  # pragma: no cover - compiled
    """The light on world point p with normal n, seen along v: red, green, blue, and the highlight.

    The sky from above, the ground from below, a lamp at the camera, and the lamps.
    """
    up = 0.5 + 0.5 * nz
    head = light.headlight * cosine
    lr = light.sky[0] * up + light.ground[0] * (1 - up) + head
    lg = light.sky[1] * up + light.ground[1] * (1 - up) + head
    lb = light.sky[2] * up + light.ground[2] * (1 - up) + head
    shine = 0.0
    lamps = light.lamps
    for i in range(len(lamps)):
        dx, dy, dz = lamps[i, 0] - px, lamps[i, 1] - py, lamps[i, 2] - pz
        far = np.sqrt(dx * dx + dy * dy + dz * dz)
        dx, dy, dz = dx / far, dy / far, dz / far
        facing = nx * dx + ny * dy + nz * dz
        if facing <= 0:
            continue
        if i < light.shadows:
            reach = far - lamps[i, L_CLEAR_RADIUS]
            ex, ey, ez = px + nx * SHADOW_STEP_M, py + ny * SHADOW_STEP_M, pz + nz * SHADOW_STEP_M
            if cast(geometry, stack, ex, ey, ez, dx, dy, dz, SHADOW_STEP_M, reach, True)[1] >= 0:
                facing *= lamps[i, L_IN_SHADOW]
        strength = facing / (1 + far * far * lamps[i, L_FALLOFF])
        lr += strength * lamps[i, 3]
        lg += strength * lamps[i, 4]
        lb += strength * lamps[i, 5]
        if gloss > 0:
            hx, hy, hz = dx - vx, dy - vy, dz - vz
            half = max((nx * hx + ny * hy + nz * hz) / np.sqrt(hx * hx + hy * hy + hz * hz), 0.0)
            shine += gloss * half ** (12 + 90 * gloss) * strength / max(facing, 0.05) * 0.6
    return lr, lg, lb, shine


@kernel
def shade(scene, stack, index, px, py, pz, vx, vy, vz, footprint):  # pragma: no cover - compiled
    """Colour of primitive `index` at world point p seen along v (any length), the cosine of incidence, and the normal."""
    geometry, scale, material, materials, light = scene
    m = geometry.world_to_local
    x = m[index, 0, 0] * px + m[index, 0, 1] * py + m[index, 0, 2] * pz + m[index, 0, 3]
    y = m[index, 1, 0] * px + m[index, 1, 1] * py + m[index, 1, 2] * pz + m[index, 1, 3]
    z = m[index, 2, 0] * px + m[index, 2, 1] * py + m[index, 2, 2] * pz + m[index, 2, 3]
    lx, ly, lz = local_normal(geometry.kind[index], geometry.parameters, index, x, y, z)
    nx = m[index, 0, 0] * lx + m[index, 1, 0] * ly + m[index, 2, 0] * lz
    ny = m[index, 0, 1] * lx + m[index, 1, 1] * ly + m[index, 2, 1] * lz
    nz = m[index, 0, 2] * lx + m[index, 1, 2] * ly + m[index, 2, 2] * lz
    norm = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-30)
    nx, ny, nz = nx * norm, ny * norm, nz * norm
    length = 1 / np.sqrt(vx * vx + vy * vy + vz * vz)
    vx, vy, vz = vx * length, vy * length, vz * length
    cosine = -(nx * vx + ny * vy + nz * vz)
    if cosine < 0:
        nx, ny, nz, cosine = -nx, -ny, -nz, -cosine
    gx, gy, gz = nx, ny, nz

    # colour of the surface, in the frame of its mapping
    row = materials[material[index]]
    sx, sy, sz = scale[index, 0], scale[index, 1], scale[index, 2]
    mapping = int(row[mat.C_MAPPING])
    footprint = footprint / max(cosine, 0.15)
    if mapping == mat.WORLD:
        red, green, blue = surface_colour(row, px, py, pz, x, y, z, nx, ny, nz, footprint)
    else:
        # the local normal in metres
        ax, ay, az = lx / sx, ly / sy, lz / sz
        if mapping == mat.LOCAL:
            # longest side first
            if sy > sx and sy >= sz:
                x, y, sx, sy, ax, ay = y, x, sy, sx, ay, ax
            elif sz > sx:
                x, z, sx, sz, ax, az = z, x, sz, sx, az, ax
        red, green, blue = surface_colour(row, x * sx, y * sy, z * sz, x, y, z, ax, ay, az, footprint)

    nx, ny, nz = bumped(row, px, py, pz, nx, ny, nz, footprint)
    lr, lg, lb, shine = lit(geometry, light, stack, row[mat.C_GLOSS], px, py, pz, nx, ny, nz, vx, vy, vz, cosine)
    glow = row[mat.C_EMISSION]
    red = red * (lr + glow) + shine
    green = green * (lg + glow) + shine
    blue = blue * (lb + glow) + shine
    return red, green, blue, cosine, gx, gy, gz


@kernel
def render_rows(scene, camera, pose, images, first, last):  # pragma: no cover - compiled
    """Fills rows first..last of a view's images: colour, depth, index of the primitive, cosine of incidence, normal."""
    colour, depth, hit, incidence, normal = images
    geometry, _, material, materials, light = scene
    background = light.background
    stack = np.empty((STACK, 2))
    cx, cy, cz = pose[0, 3], pose[1, 3], pose[2, 3]
    for row in range(first, last):
        for column in range(depth.shape[1]):
            vx, vy, vz = ray(camera, pose, row, column)
            t, index = cast(geometry, stack, cx, cy, cz, vx, vy, vz, 1e-3, MISS, False)
            if index < 0:
                colour[row, column, 0], colour[row, column, 1], colour[row, column, 2] = background
                continue
            depth[row, column] = t
            hit[row, column] = index
            px, py, pz = cx + t * vx, cy + t * vy, cz + t * vz
            footprint = t / camera[0]
            red, green, blue, cosine, gx, gy, gz = shade(scene, stack, index, px, py, pz, vx, vy, vz, footprint)
            incidence[row, column] = cosine
            normal[row, column, 0], normal[row, column, 1], normal[row, column, 2] = gx, gy, gz
            mirror, clear = materials[material[index], mat.C_MIRROR], materials[material[index], mat.C_CLEAR]
            if mirror > 0 or clear > 0:
                if mirror > 0:
                    share = mirror
                    twice = 2 * (gx * vx + gy * vy + gz * vz)
                    wx, wy, wz = vx - twice * gx, vy - twice * gy, vz - twice * gz
                else:
                    share = clear
                    wx, wy, wz = vx, vy, vz
                s, behind = cast(geometry, stack, px, py, pz, wx, wy, wz, 4e-3, MISS, False)
                r2, g2, b2 = background
                if behind >= 0:
                    qx, qy, qz = px + s * wx, py + s * wy, pz + s * wz
                    r2, g2, b2, _, _, _, _ = shade(scene, stack, behind, qx, qy, qz, wx, wy, wz, footprint)
                red = red * (1 - share) + r2 * share
                green = green * (1 - share) + g2 * share
                blue = blue * (1 - share) + b2 * share
            colour[row, column, 0], colour[row, column, 1], colour[row, column, 2] = red, green, blue
