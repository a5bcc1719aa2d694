"""Things that nobody has ever built: assemblies of simple solids at random, so that what is learned is what an object is and not which objects there are.

Domain randomisation of shape (Tobin et al., IROS 2017; Tremblay et al., CVPRW 2018). Every design fills a box of a given size, to a
centimetre or so, so that the same assembly can stand in a hall, on a table, or hang on a wall.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look, dim
from gcseg_ros.recordings.synthetic.materials import Material

Size = tuple[float, float, float]
Assembly = Callable[[Item, Look, Size, list[Material]], None]

CARRIES_M = 0.3  # a flat top of this width carries small things


@design("invention")
def standing_invention(look: Look) -> Item:
    """Of a chair's to a wardrobe's size."""
    longest = look.between(0.35, 2.0)
    w, d = (longest * look.between(0.2, 1.0) for _ in range(2))
    return invention(
        look, (min(w, 1.6), min(d, 1.0), longest if look.chance(0.6) else longest * look.between(0.25, 0.8))
    )


@design("small invention")
def small_invention(look: Look) -> Item:
    """Of a cup's to a carton's size."""
    longest = look.between(0.05, 0.4)
    return invention(
        look, (longest * look.between(0.25, 1.0), longest * look.between(0.25, 1.0), longest * look.between(0.3, 1.0))
    )


@design("hung invention")
def hung_invention(look: Look) -> Item:
    """A relief: flat, to hang on a wall."""
    item = Item("invention")
    size = look.between(0.15, 1.2), look.between(0.015, 0.2), look.between(0.15, 1.2)
    look.choose((panels, relief, relief, fins))(item, look, size, materials(look))
    return item


def invention(look: Look, size: Size) -> Item:
    """One assembly, or one on another, or one beside another."""
    item, (w, d, h), kinds = Item("invention"), size, materials(look)
    way = look.rng.random()
    if way < 0.6:
        look.choose(ASSEMBLIES)(item, look, size, kinds)
    elif way < 0.85:
        share = look.between(0.25, 0.75)
        look.choose(BASES)(item, look, (w, d, h * share), kinds)
        top = Item("top")
        look.choose(ASSEMBLIES)(
            top, look, (w * look.between(0.3, 1.0), d * look.between(0.3, 1.0), h * (1 - share)), kinds[::-1]
        )
        item.surfaces = []
        item.join(top, (look.between(-0.15, 0.15) * w, look.between(-0.1, 0.1) * d, h * share), prefix="top ")
    else:
        share = look.between(0.3, 0.7)
        look.choose(ASSEMBLIES)(item, look, (w * share, d, h), kinds)
        for i in range(len(item.matrices)):
            item.matrices[i][0, 3] -= w * (1 - share) / 2
        side = Item("side")
        look.choose(ASSEMBLIES)(
            side, look, (w * (1 - share), d * look.between(0.4, 1.0), h * look.between(0.3, 1.0)), kinds
        )
        item.surfaces = []
        item.join(side, (w * share / 2, 0, 0), prefix="side ")
    return item


def materials(look: Look) -> list[Material]:
    """One to four, often of related colours."""
    makers = (look.body, look.paint, look.plastic, look.metal, look.new_fabric, look.leather, look.stone, look.ceramic)
    rare = (look.wicker, look.printed, look.cardboard, look.concrete, look.leaf)
    first = look.choose(makers if look.chance(0.85) else rare)()
    found = [first]
    for _ in range(look.choose((0, 1, 1, 2, 3))):
        if look.chance(0.4):
            found.append(look.paint(dim(first.colour, look.between(0.6, 1.5))))
        else:
            found.append(look.choose(makers if look.chance(0.85) else rare)())
    return found


# --- assemblies: each fills a box of the given size that stands on z = 0 ---


def solid(item: Item, look: Look, centre: Size, size: Size, material: Material, part: str) -> None:
    """A box, a rounded box, an ellipsoid, a cylinder or a cone."""
    x, y, z = centre
    w, d, h = size
    kind = look.whole(0, 5)
    if kind <= 1:
        item.box(centre, size, material, part)
    elif kind == 2:
        item.soft(centre, size, material, part, min(size) * look.between(0.1, 0.5))
    elif kind == 3:
        item.ball(centre, (w / 2, d / 2, h / 2), material, part)
    else:
        end = 1.0 if kind == 4 else look.between(0.2, 0.9)
        ends = (w / 2, w / 2 * end) if look.chance(0.5) else (w / 2 * end, w / 2)
        item.lathe([(ends[0], z - h / 2), (ends[1], z + h / 2)], material, part, (x, y, 0), top=True)


def stack(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """Solids one on another."""
    w, d, h = size
    count = look.whole(1, 6)
    steps = np.cumsum([0.0, *look.rng.dirichlet(np.full(count, 2.0))]) * h
    for i in range(count):
        wide = look.between(0.35, 1.0)
        middle, high = float(steps[i] + steps[i + 1]) / 2, float(steps[i + 1] - steps[i])
        solid(item, look, (0, 0, middle), (w * wide, d * wide, high), look.choose(kinds), f"layer {i}")


def turned(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """A solid of revolution with a random outline, a vase or a bell."""
    w, d, h = size
    count = look.whole(3, 9)
    heights = np.concatenate([[0.0], np.sort(look.rng.random(count - 1)), [1.0]])
    radii = np.clip(np.cumsum(look.rng.normal(0, 0.25, count + 1)) + 0.6, 0.12, 1.0)
    profile = [(float(r) * d / 2, float(z) * h) for r, z in zip(radii, heights)]
    item.lathe(profile, kinds[0], "body", top=look.chance(0.6), stretch=max(w / d, 0.3))
    if len(kinds) > 1:
        ring = int(look.rng.integers(count))
        r, z = profile[ring]
        item.lathe([(r * 1.04, z), (r * 1.04, z + h * 0.06)], kinds[1], "band", stretch=max(w / d, 0.3))


def legged(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """A slab on legs, with boards between them or a back above."""
    w, d, h = size
    top = h if look.chance(0.6) else h * look.between(0.35, 0.8)
    thick = look.between(0.03, 0.2) * top
    slab, leg = kinds[0], kinds[-1]
    r = min(w, d) * look.between(0.03, 0.09)
    if look.chance(0.3):
        item.disc((0, 0, top - thick / 2), min(w, d) / 2, thick, slab, "slab")
    else:
        item.soft((0, 0, top - thick / 2), (w, d, thick), slab, "slab", thick * look.between(0.0, 0.5) + 1e-4)
    inset, splay = look.between(0.5, 0.92), look.between(0.6, 1.0)
    corners = (
        [(a, b) for a in (-1, 1) for b in (-1, 1)]
        if look.chance(0.7)
        else [(np.cos(k), np.sin(k)) for k in (0.5, 2.6, 4.7)]
    )
    square = look.chance(0.4)
    for a, b in corners:
        foot = (a * w / 2 * inset, b * d / 2 * inset, 0.0)
        head = (foot[0] * splay, foot[1] * splay, top - thick)
        if square:
            item.bar(foot, head, 2 * r, 2 * r, leg, "legs")
        else:
            item.rod(foot, head, r, leg, "legs", end_radius=r * look.between(0.6, 1.6))
    for i in range(look.choose((0, 0, 1, 2))):
        z = top * look.between(0.1, 0.7)
        item.box((0, 0, z), (w * inset * 0.9, d * inset * 0.9, thick * 0.4), look.choose(kinds), f"board {i}")
    if top < h * 0.99:
        side = look.choose((1.0, 1.0, -1.0))
        if look.chance(0.6):
            item.soft(
                (0, side * (d / 2 - thick / 2), (top + h) / 2),
                (w * look.between(0.5, 1.0), thick, h - top),
                slab,
                "back",
                thick * 0.3,
            )
        else:
            for x in np.linspace(-w * 0.4, w * 0.4, look.whole(2, 7)):
                item.rod((float(x), side * d * 0.42, top), (float(x), side * d * 0.47, h), r * 0.6, leg, "back")
            item.bar((-w * 0.45, side * d * 0.47, h), (w * 0.45, side * d * 0.47, h), r * 2, r * 1.5, slab, "back")
    elif w > CARRIES_M and d > CARRIES_M:
        item.surface((0, 0, top + 0.001), (w * 0.8, d * 0.8), 0.6, "invented")


def cells(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """A case cut into fields of random sizes: fronts, holes and handles."""
    w, d, h = size
    gap, board = min(w, h) * look.between(0.0, 0.02), min(w, d, h) * look.between(0.02, 0.06)
    open_case = look.chance(0.35)
    item.block(
        (-w / 2, w / 2), (d / 2 - board, d / 2) if open_case else (-d / 2 + board, d / 2), (0, h), kinds[0], "case"
    )
    columns = np.cumsum([0.0, *look.rng.dirichlet(np.full(look.whole(1, 4), 3.0))]) * w - w / 2
    handle = look.choose(kinds)
    for left, right in pairwise(columns):
        rows = np.cumsum([0.0, *look.rng.dirichlet(np.full(look.whole(1, 5), 3.0))]) * h
        if open_case:
            item.block((left, left + board), (-d / 2, d / 2), (0, h), kinds[0], "case")
        for low, high in pairwise(rows):
            if open_case:
                item.block((left, right), (-d / 2, d / 2), (low, low + board), kinds[0], "case")
            if not open_case or look.chance(0.3):
                if look.chance(0.12) and not open_case:
                    continue
                front = -d / 2 - look.choose((0.0, 0.0, 0.01, 0.03)) * d
                item.block(
                    (left + gap, right - gap),
                    (front, front + board),
                    (low + gap, high - gap),
                    look.choose(kinds),
                    "fronts",
                )
                if look.chance(0.5):
                    at = (
                        float(left + right) / 2,
                        front - board / 2,
                        float(low + (high - low) * look.choose((0.5, 0.85))),
                    )
                    item.box(at, ((right - left) * look.between(0.05, 0.5), board, board), handle, "handles")
    if open_case:
        item.block((w / 2 - board, w / 2), (-d / 2, d / 2), (0, h), kinds[0], "case")
        item.block((-w / 2, w / 2), (-d / 2, d / 2), (h - board, h), kinds[0], "case")
    if w > CARRIES_M and d > CARRIES_M:
        item.surface((0, 0, h + 0.001), (w * 0.85, d * 0.8), 0.6, "invented")


def tubes(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """Bent tubes between points of the box, with solids on their way."""
    box = np.asarray(size)
    r = float(min(size)) * look.between(0.03, 0.12)
    low, high = np.array([-0.5, -0.5, 0.0]) * box + r, np.array([0.5, 0.5, 1.0]) * box - r
    for _ in range(look.whole(1, 4)):
        points = look.rng.uniform(low, high, (look.whole(3, 6), 3))
        points[0, 2] = r
        points[-1, 2] = size[2] - r
        if look.chance(0.4):
            points[:, 1] = points[0, 1]
        item.path([tuple(p) for p in points.tolist()], r, look.choose(kinds), "tubes")
    for _ in range(look.choose((0, 1, 1, 3))):
        x, y, z = (look.rng.uniform(low, high)).tolist()
        item.ball((x, y, max(z, 0.02)), tuple(box * look.between(0.05, 0.25)), look.choose(kinds), "knots")
    item.disc(
        (0, 0, 0.012 * size[2] + 0.002),
        min(size[0], size[1]) * look.between(0.2, 0.5),
        0.024 * size[2] + 0.004,
        kinds[0],
        "foot",
    )


def fins(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """Plates side by side, all alike or growing, with or without a rim."""
    w, d, h = size
    count = look.whole(3, 12)
    thick = w / count * look.between(0.15, 0.7)
    tilt = look.choose((0.0, 0.0, 0.0, look.between(-0.4, 0.4)))
    growth = look.between(-0.6, 0.6) if look.chance(0.3) else 0.0
    for i, x in enumerate(np.linspace(-w / 2 + thick / 2, w / 2 - thick / 2, count)):
        tall = h * (1 - abs(growth) * (i / count if growth > 0 else 1 - i / count))
        item.box(
            (float(x), 0, tall / 2),
            (thick, d, tall),
            kinds[i % len(kinds)] if look.chance(0.5) else kinds[0],
            "plates",
            turn(yaw=tilt),
        )
    if look.chance(0.6):
        z = h * look.choose((0.03, 0.5, 0.97)) * (1 - abs(growth))
        item.box((0, 0, z), (w, d * look.between(0.5, 1.0), h * 0.05), kinds[-1], "rim")


def heap(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """Soft lumps that sink into one another."""
    w, d, h = size
    count = look.whole(2, 7)
    item.pillow((0, 0, h * 0.3), (w, d, h * 0.6), kinds[0], "lump")
    for i in range(count):
        s = look.between(0.3, 0.7)
        x, y = look.between(-0.5, 0.5) * (1 - s) * w, look.between(-0.5, 0.5) * (1 - s) * d
        z = h * look.between(0.3, 1.0 - s / 2)
        lump, yaw = (w * s, d * s, h * s), turn(look.between(-1, 1), 0, look.between(-0.5, 0.5))
        if look.chance(0.5):
            item.pillow((x, y, z), lump, look.choose(kinds), f"lump {i}", yaw)
        else:
            item.ball((x, y, z), (lump[0] / 2, lump[1] / 2, lump[2] / 2), look.choose(kinds), f"lump {i}", turned=yaw)


def branches(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """A stem that parts into branches, each with something at its end."""
    w, d, h = size
    r = min(w, d, h) * look.between(0.03, 0.1) + 0.002
    fork = h * look.between(0.2, 0.7)
    item.disc((0, 0, r), min(w, d) * look.between(0.15, 0.45), 2 * r, kinds[0], "foot")
    item.rod((0, 0, 0), (0, 0, fork), r, kinds[0], "stem")
    count, end = look.whole(2, 9), look.choose(kinds)
    tip = min(min(w, d) * look.between(0.06, 0.25), 2 * (h - fork))
    kind = look.whole(0, 3)
    for k in range(count):
        angle = 2 * np.pi * (k + look.between(-0.2, 0.2)) / count
        reach, z = look.between(0.5, 1.0), look.between(fork, h - tip / 2)
        at = (np.cos(angle) * (w / 2 - tip / 2) * reach, np.sin(angle) * (d / 2 - tip / 2) * reach, z)
        item.rod((0, 0, fork), at, r * 0.7, kinds[0], "branches", end_radius=r * 0.4)
        if kind == 0:
            item.ball(at, (tip / 2, tip / 2, tip / 2), end, "tips")
        elif kind == 1:
            item.box(at, (tip, tip, tip * 0.1), end, "tips", turn(angle, look.between(-0.6, 0.6)))
        elif kind == 2:
            item.lathe([(tip * 0.2, 0.0), (tip * 0.5, tip * 0.7)], end, "tips", at)


def panels(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """A board with smaller boards before it, or with a frame."""
    w, d, h = size
    item.block((-w / 2, w / 2), (d * 0.3, d / 2), (0, h), kinds[0], "board")
    if look.chance(0.5):
        rim = min(w, h) * look.between(0.03, 0.12)
        frame = look.choose(kinds)
        for side in (-1, 1):
            item.box((side * (w - rim) / 2, 0, h / 2), (rim, d, h), frame, "frame")
        for z in (rim / 2, h - rim / 2):
            item.box((0, 0, z), (w, d, rim), frame, "frame")
    for i in range(look.whole(0, 6)):
        ww, hh = w * look.between(0.1, 0.5), h * look.between(0.1, 0.5)
        x, z = look.between(-0.5, 0.5) * (w - ww), hh / 2 + look.rng.random() * (h - hh)
        item.block(
            (x - ww / 2, x + ww / 2),
            (-d / 2 * look.rng.random(), d * 0.35),
            (z - hh / 2, z + hh / 2),
            look.choose(kinds),
            f"field {i}",
        )


def relief(item: Item, look: Look, size: Size, kinds: list[Material]) -> None:
    """Solids in front of a board, or without one."""
    w, d, h = size
    if look.chance(0.6):
        item.block((-w / 2, w / 2), (d * 0.4, d / 2), (0, h), kinds[0], "board")
    for i in range(look.whole(1, 5)):
        s = look.between(0.2, 0.7)
        x, z = look.between(-0.5, 0.5) * (1 - s) * w, h / 2 + look.between(-0.5, 0.5) * (1 - s) * h
        solid(item, look, (x, 0, z), (w * s, d * look.between(0.3, 0.9), h * s), look.choose(kinds), f"figure {i}")


BASES: tuple[Assembly, ...] = (stack, cells, legged, heap, fins)
ASSEMBLIES: tuple[Assembly, ...] = (
    stack,
    stack,
    turned,
    legged,
    legged,
    cells,
    cells,
    tubes,
    fins,
    heap,
    branches,
    panels,
)
