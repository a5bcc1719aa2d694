"""Procedural surfaces: a `Material` is a pattern with three colours; `surface_colour` evaluates it at a point of an object.

Patterns are evaluated in metres in the primitive's own frame (its longest side first, so that grain runs along boards), or
in the world's (walls and floors), or in the unit square (pictures). Fine patterns fade to their mean with distance.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic.kernel import inlined, kernel

Colour = tuple[float, float, float]

(
    PLAIN,
    NOISE,
    WOOD,
    PLANKS,
    TILES,
    STRIPES,
    CHECKS,
    MARBLE,
    BRICKS,
    DOTS,
    FLOWERS,
    PRINT,
    PAGE,
    SPINES,
    BANDS,
    SPECKLE,
    WEAVE,
    BRUSHED,
    VIEW,
    CELLS,
    FADE,
    KEYS,
    PANELS,
    RIDGES,
    SCREEN,
    HERRINGBONE,
    DAMASK,
    HEXAGONS,
    CHEVRON,
) = range(29)

LOCAL, UPRIGHT, WORLD = range(3)


@dataclass(frozen=True)
class Material:
    """Colours are display RGB in 0..1.

    period_m  length of the pattern's unit        contrast  0..1, how much the pattern shows
    gloss     0..1 specular highlight             emission  light of its own, times the colour
    bump      0..1 relief in the shading only     mapping   LOCAL longest side first, UPRIGHT local x y z, WORLD
    hole      0..1 chance that a depth sensor gets no answer (glass, mirror, black, shiny)
    mirror    0..1 share of reflected light       clear     0..1 share of light that passes through
    """

    pattern: int = PLAIN
    colour: Colour = (0.7, 0.7, 0.7)
    second: Colour = (0.5, 0.5, 0.5)
    third: Colour = (0.9, 0.9, 0.9)
    period_m: float = 0.1
    contrast: float = 1.0
    gloss: float = 0.0
    emission: float = 0.0
    bump: float = 0.0
    bump_period_m: float = 0.05
    mapping: int = LOCAL
    hole: float = 0.0
    mirror: float = 0.0
    clear: float = 0.0
    seed: int = 0

    def row(self) -> list[float]:
        """As a row of the table that the renderer reads."""
        flat: list[float] = []
        for value in astuple(self):
            flat.extend(value) if isinstance(value, tuple) else flat.append(value)
        return flat


# columns of a row; the three colours are 1 to 9
C_PATTERN, C_PERIOD, C_CONTRAST, C_GLOSS, C_EMISSION, C_BUMP, C_BUMP_PERIOD = 0, 10, 11, 12, 13, 14, 15
C_MAPPING, C_HOLE, C_MIRROR, C_CLEAR, C_SEED = 16, 17, 18, 19, 20


def material_table(materials: list[Material]) -> npt.NDArray[np.float64]:
    """(N, 21) float64, one row a material."""
    return np.array([material.row() for material in materials], np.float64)


@inlined
def scramble(x, y, z):  # pragma: no cover - compiled
    """A hash of three integers, uniform in 0..1."""
    h = (x * 73856093) ^ (y * 19349663) ^ (z * 83492791)
    h &= 0xFFFFFFFF
    h ^= h >> 16
    h = (h * 0x45D9F3B) & 0xFFFFFFFF
    h ^= h >> 15
    h = (h * 0x2C1B3C6D) & 0xFFFFFFFF
    h ^= h >> 16
    return (h & 0xFFFFFF) / 16777216.0


@kernel
def noise(x, y, z, seed):  # pragma: no cover - compiled
    """Smooth value noise in 0..1 with unit period."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fx), int(fy), int(fz) + 1013 * seed
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = scramble(i, j, k) * (1 - u) + scramble(i + 1, j, k) * u
    b = scramble(i, j + 1, k) * (1 - u) + scramble(i + 1, j + 1, k) * u
    c = scramble(i, j, k + 1) * (1 - u) + scramble(i + 1, j, k + 1) * u
    d = scramble(i, j + 1, k + 1) * (1 - u) + scramble(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@kernel
def fractal(x, y, z, seed):  # pragma: no cover - compiled
    """Three octaves of noise, 0..1."""
    total = 0.57 * noise(x, y, z, seed) + 0.29 * noise(2.03 * x, 2.03 * y, 2.03 * z, seed + 1)
    return total + 0.14 * noise(4.1 * x, 4.1 * y, 4.1 * z, seed + 2)


@kernel
def cell_distance(u, v, seed):  # pragma: no cover - compiled
    """Distances to the nearest and second nearest of random points, one a unit cell, and the nearest's hash."""
    i, j = int(np.floor(u)), int(np.floor(v))
    first, second, who = 9.0, 9.0, 0.0
    for a in range(-1, 2):
        for b in range(-1, 2):
            x = i + a + scramble(i + a, j + b, seed)
            y = j + b + scramble(i + a, j + b, seed + 7)
            d = (u - x) ** 2 + (v - y) ** 2
            if d < first:
                first, second, who = d, first, scramble(i + a, j + b, seed + 13)
            elif d < second:
                second = d
    return np.sqrt(first), np.sqrt(second), who


@inlined
def smooth(low, high, x):  # pragma: no cover - compiled
    """0 below low, 1 above high."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@kernel
def layout(u, v, s, seed, text):  # pragma: no cover - compiled
    """A printed page in the unit square: (which of paper 0, ink 1, picture 2, title 3; tone 0..1)."""
    margin = 0.06 + 0.06 * scramble(1, 2, seed)
    if u < margin or v < margin or u > 1 - margin or v > 1 - margin:
        return 0, 0.5
    top = 0.72 + 0.2 * scramble(3, 2, seed)
    if v > top:
        band = np.floor((v - top) / 0.05)
        return (3 if (int(band) % 2 == 0 and u < 0.4 + 0.5 * scramble(int(band), 5, seed)) else 0), 0.5
    low, high = 0.15 + 0.25 * scramble(4, 1, seed), 0.45 + 0.3 * scramble(4, 2, seed)
    x0, x1 = 0.1 + 0.4 * scramble(4, 3, seed), 0.55 + 0.35 * scramble(4, 4, seed)
    if text < 0.5 and low < v < high and x0 < u < x1:
        return 2, fractal(u * 6, v * 6, 0.0, seed)
    line = v * s
    if line - np.floor(line) < 0.55:
        word = scramble(int(u * 24), int(np.floor(line)), seed)
        return (1 if word > 0.16 else 0), 0.5
    return 0, 0.5


@kernel
def surface_colour(m, x, y, z, px, py, pz, nx, ny, nz, footprint):  # pragma: no cover - compiled
    """Colour of material row m.

    x, y, z metres in the mapping's frame; px, py, pz the unit shape's coordinates in the same order of axes;
    n the normal in that frame; footprint: size of a pixel in metres. Returns r, g, b in 0..1.
    """
    kind = int(m[C_PATTERN])
    if kind == PLAIN:
        return m[1], m[2], m[3]
    seed = int(m[C_SEED])
    period = m[C_PERIOD]
    ax, ay, az = abs(nx), abs(ny), abs(nz)
    if ax > ay and ax > az:
        u, v, fu, fv, face = y, z, py, pz, 0
    elif ay > az:
        u, v, fu, fv, face = x, z, px, pz, 1
    else:
        u, v, fu, fv, face = x, y, px, py, 2
    fu, fv = fu * 0.5 + 0.5, fv * 0.5 + 0.5
    u, v = u / period, v / period
    x, y, z = x / period, y / period, z / period
    fade = 1 - smooth(0.15, 0.6, footprint / period)
    a, b, c = 0.0, 0.0, 1.0  # shares of second and third colour, factor on all
    if kind == NOISE:
        a = fractal(x, y, z, seed) if fade > 0 else 0.5
        a = 0.5 + (a - 0.5) * 1.6 * fade
    elif kind == WOOD:
        warp = noise(x * 0.4, y * 2, z * 2, seed)
        rings = np.sin((np.sqrt(y * y + z * z) + 0.7 * warp + 0.06 * x) * 9.0)
        fibre = noise(x * 2, y * 30, z * 30, seed + 3)
        a = 0.5 + (0.34 * rings + 0.5 * (fibre - 0.5)) * fade
    elif kind == PLANKS:
        row = int(np.floor(v))
        along = u / 8 + scramble(row, 3, seed) * 5
        board = int(np.floor(along))
        tone = scramble(row, board, seed)
        gap = min(v - row, row + 1 - v)
        end = min(along - board, board + 1 - along) * 8
        grain = noise(u * 1.1 + 17 * tone, v * 9, tone * 31, seed) * 0.6 + 0.4 * noise(
            u * 3, v * 40, tone * 17, seed + 1
        )
        knot, _, who = cell_distance(u * 0.45 + tone * 9, v * 0.9, seed + 5)
        a = 0.5 * tone + 0.5 * (0.5 + (grain - 0.5) * fade)
        if who > 0.55:
            b = 0.8 * (1 - smooth(0.03, 0.09, knot)) * fade
        c = 1 - 0.55 * (1 - smooth(0.006, 0.03, min(gap, end))) * (1 - smooth(0.05, 0.3, footprint / period))
    elif kind == TILES:
        i, j = int(np.floor(u)), int(np.floor(v))
        edge = min(min(u - i, i + 1 - u), min(v - j, j + 1 - v))
        a = 0.35 * scramble(i, j, seed) + 0.25 * fractal(x * 3, y * 3, z * 3, seed)
        b = (1 - smooth(0.012, 0.03, edge)) * fade
    elif kind == STRIPES:
        w = u - np.floor(u)
        a = 0.5 + ((1.0 if w > 0.5 else 0.0) - 0.5) * fade
        if 0.2 < w < 0.27:
            b = 0.7 * fade
    elif kind == CHECKS:
        w = (0.5 if u - np.floor(u) > 0.5 else 0.0) + (0.5 if v - np.floor(v) > 0.5 else 0.0)
        a = 0.5 + (w - 0.5) * fade
    elif kind == MARBLE:
        t = fractal(x, y, z, seed) * 5 + x * 0.8 + y * 0.5 + z * 0.3
        a = (1 - abs(np.sin(t * 1.6))) ** 3
        b = 0.3 * fractal(x * 2, y * 2, z * 2, seed + 9)
    elif kind == BRICKS:
        row = int(np.floor(v * 2))
        along = u + 0.5 * (row & 1)
        brick = int(np.floor(along))
        edge = min(min(along - brick, brick + 1 - along), min(v * 2 - row, row + 1 - v * 2) / 2)
        a = 0.6 * scramble(row, brick, seed) + 0.4 * noise(x * 9, y * 9, z * 9, seed)
        b = (1 - smooth(0.02, 0.05, edge)) * fade
    elif kind == DOTS:
        i, j = int(np.floor(u)), int(np.floor(v))
        cx, cy = i + 0.3 + 0.4 * scramble(i, j, seed), j + 0.3 + 0.4 * scramble(i, j, seed + 1)
        angle = np.arctan2(v - cy, u - cx)
        star = 0.17 * (1 + 0.35 * np.cos(5 * angle) * (seed & 1))
        if (u - cx) ** 2 + (v - cy) ** 2 < star * star * (0.5 + scramble(i, j, seed + 2)):
            if scramble(i, j, seed + 3) > 0.5:
                a = fade
            else:
                b = fade
    elif kind == FLOWERS:
        i, j = int(np.floor(u)), int(np.floor(v))
        cx, cy = i + 0.35 + 0.3 * scramble(i, j, seed), j + 0.35 + 0.3 * scramble(i, j, seed + 1)
        du, dv = u - cx, v - cy
        r = np.sqrt(du * du + dv * dv)
        angle = np.arctan2(dv, du) + 6 * scramble(i, j, seed + 2)
        petals = 0.13 + 0.14 * abs(np.cos((2 + (seed % 3)) * angle + 2 * r))
        if r < 0.06:
            b = fade
        elif r < petals:
            a = fade
        elif abs(np.sin(3 * (u + 0.3 * np.sin(4 * v)))) < 0.08:
            a = 0.5 * fade
    elif kind == PRINT:
        what, tone = layout(fu, fv, 24.0, seed, 0.0)
        near = 1 - smooth(0.002, 0.008, footprint)
        if what == 1:
            a = near if scramble(7, 7, seed) > 0.4 else 0.0
        elif what == 2:
            a, b = tone, 1 - tone
        elif what == 3:
            b = 1.0
    elif kind == PAGE:
        what, tone = layout(fu, fv, 34.0, seed, scramble(9, 9, seed))
        near = 1 - smooth(0.002, 0.008, footprint)
        if what == 1:
            a = 0.3 + 0.6 * near
        elif what == 2:
            b = tone
        elif what == 3:
            a = 1.0
    elif kind == SPINES:
        if face == 1:
            i = int(np.floor(u + 0.3 * np.sin(u)))
            tone, hue = scramble(i, 1, seed), scramble(i, 2, seed)
            a, b = tone, 0.5 * hue
            band = 0.5 + 0.4 * scramble(i, 3, seed)
            if abs(fv - band) < 0.03 + 0.1 * scramble(i, 4, seed):
                b = 1.0
            w = u + 0.3 * np.sin(u)
            c = 0.5 + 0.5 * smooth(0.0, 0.12, min(w - np.floor(w), np.ceil(w) - w))
        else:
            a, b = 0.1, 0.9
    elif kind == BANDS:
        # irregular carpet stripes, a few colours
        i = int(np.floor(u * 3))
        tone = scramble(i, 3, seed)
        i2 = int(np.floor(u * 11))
        a = 0.5 + (0.7 * (tone - 0.5) + 0.8 * (scramble(i2, 4, seed) - 0.5)) * fade
        b = (0.6 if scramble(i2, 5, seed) > 0.86 else 0.0) * fade
        c = 1 + 0.25 * (noise(x * 14, y * 14, z * 14, seed) - 0.5) * fade
    elif kind == SPECKLE:
        d, _, who = cell_distance(u, v, seed)
        if d < 0.22 + 0.2 * who:
            if who > 0.5:
                a = fade
            else:
                b = fade
    elif kind == WEAVE:
        w = np.sin(u * 6.28) * np.sin(v * 6.28)
        a = 0.5 + 0.5 * w * fade
        c = 1 + 0.2 * (noise(x * 0.3, y * 0.3, z * 0.3, seed) - 0.5)
    elif kind == BRUSHED:
        a = 0.5 + (noise(u * 0.2, v * 20, 0.0, seed) - 0.5) * fade
        a += 0.4 * (noise(u * 0.05, v * 0.3, 0.0, seed + 1) - 0.5)
    elif kind == VIEW:
        # what is behind a window: sky, haze, trees; bright
        edge = 0.35 + 0.2 * fractal(u * 2, 0.0, 0.0, seed)
        a = smooth(edge + 0.03, edge - 0.03, fv)
        b = 0.6 * fractal(u * 5, v * 5, 0.0, seed + 1) * a
        c = 0.9 + 0.2 * fv
    elif kind == CELLS:
        d, e, who = cell_distance(u, v, seed)
        a = who
        b = (1 - smooth(0.04, 0.1, e - d)) * fade
    elif kind == FADE:
        a = fv
        b = 0.2 * fractal(x, y, z, seed)
    elif kind == KEYS:
        i, j = np.floor(u), np.floor(v)
        edge = min(min(u - i, i + 1 - u), min(v - j, j + 1 - v))
        a = smooth(0.08, 0.16, edge) * fade
        if edge > 0.3 and scramble(int(i), int(j), seed) > 0.3:
            b = 0.4 * fade
    elif kind == PANELS:
        # painted panels: lines without relief
        n = 1 + seed % 3
        rows = 1 + (seed // 3) % 3
        w, h = fu * n - np.floor(fu * n), fv * rows - np.floor(fv * rows)
        edge = min(min(w, 1 - w) / n, min(h, 1 - h) / rows)
        line = smooth(0.025, 0.03, edge) - smooth(0.04, 0.045, edge)
        a = 0.9 * line
        b = 0.3 * smooth(0.04, 0.045, edge)
    elif kind == RIDGES:
        t = 1 - abs(2 * fractal(x, y * 0.35, z * 0.6, seed) - 1)
        a = (t**6) * (0.35 + 0.65 * fade)
    elif kind == SCREEN:
        # a computer's desktop: windows with bars
        for k in range(4):
            x0, y0 = scramble(k, 1, seed) * 0.6, scramble(k, 2, seed) * 0.6
            w, h = 0.2 + 0.35 * scramble(k, 3, seed), 0.15 + 0.4 * scramble(k, 4, seed)
            if x0 < fu < x0 + w and y0 < fv < y0 + h:
                b = 0.6 + 0.4 * scramble(k, 5, seed)
                a = 0.0
                if fv > y0 + h - 0.04:
                    a, b = 1.0, 0.0
                elif (fv * 40) % 1 < 0.4 and fu < x0 + w * (0.5 + 0.4 * scramble(int(fv * 40), k, seed)):
                    a = 0.5
        if a == 0 and b == 0:
            a = 0.6 * fractal(fu * 3, fv * 3, 0.0, seed)
    elif kind == HERRINGBONE:
        p, q = u + v, u - v
        i, j = int(np.floor(p)), int(np.floor(q))
        if (i + j) & 1:
            along, across = p * 0.5, q * 2
        else:
            along, across = q * 0.5, p * 2
        k = int(np.floor(across))
        tone = scramble(i * 31 + k, j * 17, seed)
        edge = min(across - k, k + 1 - across)
        a = 0.5 * tone + 0.5 * (0.5 + fade * (noise(along * 5, across * 11, tone * 9, seed) - 0.5))
        c = 1 - 0.5 * (1 - smooth(0.02, 0.08, edge)) * fade
    elif kind == HEXAGONS:
        q, r = u - v * 0.57735, v * 1.1547
        i, j = np.floor(q + 0.5), np.floor(r + 0.5)
        k = np.floor(-q - r + 0.5)
        if abs(i + j + k) > 0.5:
            di, dj, dk = abs(i - q), abs(j - r), abs(k + q + r)
            if di > dj and di > dk:
                i = -j - k
            elif dj > dk:
                j = -i - k
        tone = scramble(int(i), int(j), seed)
        a = 0.8 * tone
        du, dv = q - i + (r - j) * 0.5, (r - j) * 0.866
        edge = max(abs(du), max(abs(0.5 * du + 0.866 * dv), abs(0.5 * du - 0.866 * dv)))
        b = smooth(0.45, 0.48, edge) * fade
    elif kind == CHEVRON:
        w = v + abs(2 * (u * 0.5 - np.floor(u * 0.5)) - 1)
        i = int(np.floor(w * 2))
        a = 0.5 + ((1.0 if i & 1 else 0.0) - 0.5) * fade
        b = 0.5 * fade if i % 5 == 0 else 0.0
    else:  # DAMASK: mirrored ornament
        w, h = abs(u - np.floor(u) - 0.5), v - np.floor(v)
        t = np.sin(11 * w + 3 * np.sin(9 * h)) + np.cos(7 * h + 5 * np.sin(12 * w))
        a = smooth(0.1, 0.35, t) * fade
    a = min(max(a, 0.0), 1.0) * m[C_CONTRAST]
    b = min(max(b, 0.0), 1.0) * m[C_CONTRAST]
    red = ((m[1] * (1 - a) + m[4] * a) * (1 - b) + m[7] * b) * c
    green = ((m[2] * (1 - a) + m[5] * a) * (1 - b) + m[8] * b) * c
    blue = ((m[3] * (1 - a) + m[6] * a) * (1 - b) + m[9] * b) * c
    return red, green, blue
