"""Ray casting of analytic solids: boxes, rounded boxes, frusta, spheres, tori and wavy sheets in a bounding volume hierarchy.

A primitive is a unit shape under an affine map. `world_to_local` takes world points (m) into the unit shape's coordinates;
a ray keeps its parameter t under an affine map, so with directions whose camera z is 1, t is the z-depth.

| kind    | unit shape                                   | parameters                                             |
|---------|----------------------------------------------|--------------------------------------------------------|
| BOX     | [-1, 1]^3                                    |                                                        |
| ROUNDED | box of given half sizes, edges rounded       | half size x, y, z (with the rounding), radius          |
| FRUSTUM | z in [-1, 1], radius from r0 (z=-1) to r1    | r0, r1, caps (1 bottom + 2 top; 0 = open tube)         |
| SPHERE  | unit sphere, cut to zmin <= z <= zmax        | zmin, zmax                                             |
| TORUS   | ring of radius 1 around z                    | tube radius                                            |
| WAVE    | sheet y = a(z) sin(kx + phase), x, z in +-1  | k, phase, amplitude at z = -1, amplitude at z = 1      |

All are two-sided, so open tubes and cut spheres serve as lampshades, bins and bowls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic.kernel import inlined, kernel

BOX, ROUNDED, FRUSTUM, SPHERE, TORUS, WAVE = range(6)
MISS = 1e30  # the ray parameter of no hit
LEAF_SIZE = 3  # primitives
SURFACE_DEPTH = 60  # levels that are split by surface, those below by halves
STACK = 96  # nodes that a traversal keeps at most


class Geometry(NamedTuple):
    """What a ray is cast at; the arrays of `Solids`."""

    kind: npt.NDArray[np.int32]
    world_to_local: npt.NDArray[np.float64]
    parameters: npt.NDArray[np.float64]
    node_box: npt.NDArray[np.float64]
    node_left: npt.NDArray[np.int32]
    node_right: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Solids:
    """N primitives, in the order of the leaves, and their hierarchy of M nodes.

    kind (N,) int32; world_to_local (N,3,4), parameters (N,4), scale (N,3) metres per local unit: float64;
    material (N,) int32, instance, part (N,) uint16; lower, upper (N,3) corners of their boxes in the world;
    node_box (M,6) min and max; node_left, node_right (M,) int32, the two children; a leaf keeps minus its count in left and its
    first primitive in right.
    """

    kind: npt.NDArray[np.int32]
    world_to_local: npt.NDArray[np.float64]
    parameters: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    material: npt.NDArray[np.int32]
    instance: npt.NDArray[np.uint16]
    part: npt.NDArray[np.uint16]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    node_box: npt.NDArray[np.float64]
    node_left: npt.NDArray[np.int32]
    node_right: npt.NDArray[np.int32]

    @property
    def geometry(self) -> Geometry:
        return Geometry(*(getattr(self, name) for name in Geometry._fields))


def build_solids(
    kind: npt.ArrayLike,
    local_to_world: npt.NDArray[np.float64],
    parameters: npt.NDArray[np.float64],
    material: npt.ArrayLike,
    instance: npt.ArrayLike,
    part: npt.ArrayLike,
) -> Solids:
    """Sort N primitives into a hierarchy. local_to_world (N,4,4), parameters (N,4), the others (N,)."""
    kinds = np.asarray(kind, np.int32)
    half = half_sizes(kinds, parameters)
    centre = local_to_world[:, :3, 3]
    extent = np.abs(local_to_world[:, :3, :3] * half[:, None, :]).sum(2)
    lower, upper = centre - extent - 1e-6, centre + extent + 1e-6
    order, box, left, right = build_hierarchy(lower, upper)
    inverse = np.linalg.inv(local_to_world)[:, :3]
    return Solids(
        kinds[order],
        np.ascontiguousarray(inverse[order]),
        np.ascontiguousarray(parameters[order], np.float64),
        np.linalg.norm(local_to_world[:, :3, :3], axis=1)[order],
        np.asarray(material, np.int32)[order],
        np.asarray(instance, np.uint16)[order],
        np.asarray(part, np.uint16)[order],
        lower[order],
        upper[order],
        box,
        left,
        right,
    )


def half_sizes(kind: npt.NDArray[np.int32], parameters: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Half sizes (N,3) of the unit shapes' bounding boxes, in local units."""
    half = np.ones((len(kind), 3))
    rounded, frustum, torus, wave = (kind == k for k in (ROUNDED, FRUSTUM, TORUS, WAVE))
    half[rounded] = parameters[rounded, :3]
    half[frustum, :2] = parameters[frustum, :2].max(1, keepdims=True)
    half[torus] = np.stack([1 + parameters[torus, 0]] * 2 + [parameters[torus, 0]], 1)
    half[wave, 1] = np.abs(parameters[wave, 2:4]).max(1) + 1e-3
    return half


@kernel
def build_hierarchy(lower, upper):  # pragma: no cover - compiled
    """Splits along the longest axis of the centres, by the surface area heuristic. Returns order (N,), node_box (M,6),
    left and right (M,)."""
    count = lower.shape[0]
    order = np.arange(count)
    middle = (lower + upper) / 2
    box = np.empty((2 * count + 1, 6))
    left = np.zeros(2 * count + 1, np.int32)
    right = np.zeros(2 * count + 1, np.int32)
    todo = [(0, 0, count, 0)]
    nodes = 1
    while len(todo) > 0:
        node, first, last, depth = todo.pop()
        for axis in range(3):
            lo, hi = 1e30, -1e30
            for i in range(first, last):
                lo = min(lo, lower[order[i], axis])
                hi = max(hi, upper[order[i], axis])
            box[node, axis] = lo
            box[node, axis + 3] = hi
        if last - first <= LEAF_SIZE:
            left[node] = first - last
            right[node] = first
            continue
        best_axis, spread = 0, -1.0
        for axis in range(3):
            clo, chi = 1e30, -1e30
            for i in range(first, last):
                clo = min(clo, middle[order[i], axis])
                chi = max(chi, middle[order[i], axis])
            if chi - clo > spread:
                best_axis, spread = axis, chi - clo
        some = order[first:last].copy()
        keys = np.empty(last - first)
        for i in range(last - first):
            keys[i] = middle[some[i], best_axis]
        ranks = np.argsort(keys)
        # surface area heuristic over the sorted primitives
        n = last - first
        cost = np.empty(n)
        b0, b1 = np.full(3, 1e30), np.full(3, -1e30)
        for i in range(n):
            j = some[ranks[i]]
            for axis in range(3):
                b0[axis] = min(b0[axis], lower[j, axis])
                b1[axis] = max(b1[axis], upper[j, axis])
            x, y, z = b1[0] - b0[0], b1[1] - b0[1], b1[2] - b0[2]
            cost[i] = (x * y + y * z + z * x) * (i + 1)
        b0[:], b1[:] = 1e30, -1e30
        cut, least = n // 2, 1e30
        # deep down the median bounds the depth, and with it the stack of a traversal
        for i in range(n - 1 if depth < SURFACE_DEPTH else 0, 0, -1):
            j = some[ranks[i]]
            for axis in range(3):
                b0[axis] = min(b0[axis], lower[j, axis])
                b1[axis] = max(b1[axis], upper[j, axis])
            x, y, z = b1[0] - b0[0], b1[1] - b0[1], b1[2] - b0[2]
            total = (x * y + y * z + z * x) * (n - i) + cost[i - 1]
            if total < least:
                cut, least = i, total
        for i in range(n):
            order[first + i] = some[ranks[i]]
        left[node], right[node] = nodes, nodes + 1
        todo.append((nodes, first, first + cut, depth + 1))
        todo.append((nodes + 1, first + cut, last, depth + 1))
        nodes += 2
    return order, box[:nodes].copy(), left[:nodes].copy(), right[:nodes].copy()


@inlined
def slabs(ox, oy, oz, dx, dy, dz, hx, hy, hz):  # pragma: no cover - compiled
    """Entry and exit of a ray through a centred box of half sizes h; entry > exit on a miss."""
    ix = 1 / dx if dx != 0 else 1e30
    iy = 1 / dy if dy != 0 else 1e30
    iz = 1 / dz if dz != 0 else 1e30
    ax, bx = (-hx - ox) * ix, (hx - ox) * ix
    ay, by = (-hy - oy) * iy, (hy - oy) * iy
    az, bz = (-hz - oz) * iz, (hz - oz) * iz
    near = max(max(min(ax, bx), min(ay, by)), min(az, bz))
    far = min(min(max(ax, bx), max(ay, by)), max(az, bz))
    return near, far


@kernel
def rounded_distance(x, y, z, p, i):  # pragma: no cover - compiled
    """Signed distance to a rounded box."""
    r = p[i, 3]
    qx, qy, qz = abs(x) - p[i, 0] + r, abs(y) - p[i, 1] + r, abs(z) - p[i, 2] + r
    ex, ey, ez = max(qx, 0.0), max(qy, 0.0), max(qz, 0.0)
    return np.sqrt(ex * ex + ey * ey + ez * ez) + min(max(qx, max(qy, qz)), 0.0) - r


@kernel
def torus_distance(x, y, z, p, i):  # pragma: no cover - compiled
    """Signed distance to a torus of radius 1 and tube radius p[i, 0]."""
    q = np.sqrt(x * x + y * y) - 1
    return np.sqrt(q * q + z * z) - p[i, 0]


@kernel
def wave_height(x, z, p, i):  # pragma: no cover - compiled
    """y of the wavy sheet."""
    return (p[i, 2] + (p[i, 3] - p[i, 2]) * (z + 1) / 2) * (
        np.sin(p[i, 0] * x + p[i, 1]) * 0.8 + 0.2 * np.sin(2.3 * p[i, 0] * x + 3 * z)
    )


@kernel
def hit_rounded(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax):  # pragma: no cover - compiled
    near, far = slabs(ox, oy, oz, dx, dy, dz, p[i, 0], p[i, 1], p[i, 2])
    if near > far or far < tmin or near > tmax:
        return MISS
    t = max(near, tmin)
    speed = 1 / np.sqrt(dx * dx + dy * dy + dz * dz)
    for step in range(80):
        d = rounded_distance(ox + t * dx, oy + t * dy, oz + t * dz, p, i)
        if d < 2e-6:
            return t if step > 0 or near > tmin or d > -1e-5 else MISS
        t += d * speed
        if t > far:
            return MISS
    return t


@kernel
def hit_torus(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax):  # pragma: no cover - compiled
    r = p[i, 0]
    near, far = slabs(ox, oy, oz, dx, dy, dz, 1 + r, 1 + r, r)
    if near > far or far < tmin or near > tmax:
        return MISS
    t = max(near, tmin)
    speed = 1 / np.sqrt(dx * dx + dy * dy + dz * dz)
    for _ in range(96):
        d = torus_distance(ox + t * dx, oy + t * dy, oz + t * dz, p, i)
        if d < 1e-5:
            return t
        t += d * speed
        if t > far:
            return MISS
    return MISS


@kernel
def hit_frustum(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax):  # pragma: no cover - compiled
    slope = (p[i, 1] - p[i, 0]) / 2
    middle = (p[i, 1] + p[i, 0]) / 2
    best = MISS
    radius, dr = middle + slope * oz, slope * dz
    a = dx * dx + dy * dy - dr * dr
    b = ox * dx + oy * dy - radius * dr
    c = ox * ox + oy * oy - radius * radius
    if abs(a) > 1e-14:
        h = b * b - a * c
        if h >= 0:
            h = np.sqrt(h)
            for sign in (-1.0, 1.0):
                t = (-b + sign * h) / a
                if tmin < t < best:
                    z = oz + t * dz
                    if -1 <= z <= 1 and middle + slope * z >= 0:
                        best = t
    caps = int(p[i, 2])
    if caps != 0 and dz != 0:
        for side in range(2):
            if caps & (1 << side):
                t = ((2.0 * side - 1) - oz) / dz
                if tmin < t < best:
                    x, y = ox + t * dx, oy + t * dy
                    r = p[i, side]
                    if x * x + y * y <= r * r:
                        best = t
    return best if best < tmax else MISS


@kernel
def hit_sphere(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax):  # pragma: no cover - compiled
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    h = b * b - a * (ox * ox + oy * oy + oz * oz - 1)
    if h < 0:
        return MISS
    h = np.sqrt(h)
    for sign in (-1.0, 1.0):
        t = (-b + sign * h) / a
        if tmin < t < tmax and p[i, 0] <= oz + t * dz <= p[i, 1]:
            return t
    return MISS


@kernel
def hit_wave(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax):  # pragma: no cover - compiled
    near, far = slabs(ox, oy, oz, dx, dy, dz, 1.0, max(abs(p[i, 2]), abs(p[i, 3])) + 1e-3, 1.0)
    if near > far or far < tmin or near > tmax:
        return MISS
    t0 = max(near, tmin)
    far = min(far, tmax)
    steps = min(max(int(abs(dx) * (far - t0) * p[i, 0] * 3) + 4, 6), 160)
    step = (far - t0) / steps
    before = oy + t0 * dy - wave_height(ox + t0 * dx, oz + t0 * dz, p, i)
    for _ in range(steps):
        t1 = t0 + step
        after = oy + t1 * dy - wave_height(ox + t1 * dx, oz + t1 * dz, p, i)
        if (before > 0) != (after > 0):
            lo, hi = t0, t1
            for _ in range(22):
                mid = (lo + hi) / 2
                d = oy + mid * dy - wave_height(ox + mid * dx, oz + mid * dz, p, i)
                if (before > 0) != (d > 0):
                    hi = mid
                else:
                    lo = mid
            return hi
        before, t0 = after, t1
    return MISS


@kernel
def hit(kind, m, p, i, px, py, pz, vx, vy, vz, tmin, tmax):  # pragma: no cover - compiled
    """Ray parameter in (tmin, tmax) of the first hit with one primitive, or MISS."""
    ox = m[i, 0, 0] * px + m[i, 0, 1] * py + m[i, 0, 2] * pz + m[i, 0, 3]
    oy = m[i, 1, 0] * px + m[i, 1, 1] * py + m[i, 1, 2] * pz + m[i, 1, 3]
    oz = m[i, 2, 0] * px + m[i, 2, 1] * py + m[i, 2, 2] * pz + m[i, 2, 3]
    dx = m[i, 0, 0] * vx + m[i, 0, 1] * vy + m[i, 0, 2] * vz
    dy = m[i, 1, 0] * vx + m[i, 1, 1] * vy + m[i, 1, 2] * vz
    dz = m[i, 2, 0] * vx + m[i, 2, 1] * vy + m[i, 2, 2] * vz
    if kind == BOX:
        near, far = slabs(ox, oy, oz, dx, dy, dz, 1.0, 1.0, 1.0)
        if near > far:
            return MISS
        if tmin < near < tmax:
            return near
        return far if near <= tmin < far < tmax else MISS
    if kind == FRUSTUM:
        return hit_frustum(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax)
    if kind == SPHERE:
        return hit_sphere(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax)
    if kind == ROUNDED:
        return hit_rounded(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax)
    if kind == WAVE:
        return hit_wave(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax)
    return hit_torus(ox, oy, oz, dx, dy, dz, p, i, tmin, tmax)


@inlined
def enter(boxes, node, px, py, pz, ix, iy, iz):  # pragma: no cover - compiled
    """Where a ray enters and leaves a node's box; enters after it leaves on a miss."""
    ax, bx = (boxes[node, 0] - px) * ix, (boxes[node, 3] - px) * ix
    ay, by = (boxes[node, 1] - py) * iy, (boxes[node, 4] - py) * iy
    az, bz = (boxes[node, 2] - pz) * iz, (boxes[node, 5] - pz) * iz
    near = max(max(min(ax, bx), min(ay, by)), min(az, bz))
    far = min(min(max(ax, bx), max(ay, by)), max(az, bz))
    return near, far


@kernel
def cast(geometry, stack, px, py, pz, vx, vy, vz, tmin, tmax, any_hit):  # pragma: no cover - compiled
    """First primitive on the ray p + t v with tmin < t < tmax: (t, index), or (MISS, -1). any_hit stops at the first found."""
    kind, inverse, parameters, boxes, left, right = geometry
    ix = 1 / vx if vx != 0 else 1e30
    iy = 1 / vy if vy != 0 else 1e30
    iz = 1 / vz if vz != 0 else 1e30
    found, best = -1, tmax
    node, top = 0, 0
    while True:
        first = left[node]
        if first < 0:
            for i in range(right[node], right[node] - first):
                t = hit(kind[i], inverse, parameters, i, px, py, pz, vx, vy, vz, tmin, best)
                if t < best:
                    best, found = t, i
                    if any_hit:
                        return best, found
        else:
            second = right[node]
            near, far = enter(boxes, first, px, py, pz, ix, iy, iz)
            near2, far2 = enter(boxes, second, px, py, pz, ix, iy, iz)
            into = near <= far and far > tmin and near < best
            into2 = near2 <= far2 and far2 > tmin and near2 < best
            if into and into2:
                # the nearer child now, the other one later
                if near2 < near:
                    first, second = second, first
                    near, near2 = near2, near
                stack[top, 0], stack[top, 1] = second, near2
                top += 1
                node = first
                continue
            if into:
                node = first
                continue
            if into2:
                node = second
                continue
        while top > 0 and stack[top - 1, 1] >= best:
            top -= 1
        if top == 0:
            break
        top -= 1
        node = int(stack[top, 0])
    if found < 0:
        return MISS, -1
    return best, found


@kernel
def local_normal(kind, p, i, x, y, z):  # pragma: no cover - compiled
    """Outward normal (not unit) of the unit shape at a point of its surface."""
    if kind == BOX:
        ax, ay, az = abs(x), abs(y), abs(z)
        if ax >= ay and ax >= az:
            return (1.0 if x > 0 else -1.0), 0.0, 0.0
        if ay >= az:
            return 0.0, (1.0 if y > 0 else -1.0), 0.0
        return 0.0, 0.0, (1.0 if z > 0 else -1.0)
    if kind == FRUSTUM:
        caps = int(p[i, 2])
        for side in range(2):
            level = 2.0 * side - 1
            if caps & (1 << side) and abs(z - level) < 1e-6 and x * x + y * y < p[i, side] * p[i, side] * 0.999999:
                return 0.0, 0.0, level
        return x, y, -(p[i, 1] - p[i, 0]) / 2 * np.sqrt(x * x + y * y)
    if kind == SPHERE:
        return x, y, z
    if kind == ROUNDED:
        r = p[i, 3]
        qx, qy, qz = abs(x) - p[i, 0] + r, abs(y) - p[i, 1] + r, abs(z) - p[i, 2] + r
        sx = 1.0 if x > 0 else -1.0
        sy = 1.0 if y > 0 else -1.0
        sz = 1.0 if z > 0 else -1.0
        return sx * max(qx, 0.0), sy * max(qy, 0.0), sz * max(qz, 0.0)
    if kind == TORUS:
        r = np.sqrt(x * x + y * y)
        return x * (1 - 1 / r), y * (1 - 1 / r), z
    e = 1e-4
    slope_x = (wave_height(x + e, z, p, i) - wave_height(x - e, z, p, i)) / (2 * e)
    slope_z = (wave_height(x, z + e, p, i) - wave_height(x, z - e, p, i)) / (2 * e)
    return -slope_x, 1.0, -slope_z
