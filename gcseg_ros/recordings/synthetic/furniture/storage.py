"""Shelves, cupboards, wardrobes, drawers and what is built like them."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item
from gcseg_ros.recordings.synthetic.look import Look, dim
from gcseg_ros.recordings.synthetic.materials import Material


def handle(item: Item, style: str, x: float, y: float, z: float, upright: bool, material) -> None:
    """A handle in front of the face at y."""
    if style == "none":
        return
    if style == "knob":
        item.ball((x, y - 0.015, z), (0.014, 0.016, 0.014), material, "handles")
        return
    long = 0.07 if style == "short" else 0.16
    a, b = (
        ((x, y - 0.025, z - long / 2), (x, y - 0.025, z + long / 2))
        if upright
        else ((x - long / 2, y - 0.025, z), (x + long / 2, y - 0.025, z))
    )
    item.rod(a, b, 0.006, material, "handles")
    for p in (a, b):
        item.rod(p, (p[0], y, p[2]), 0.005, material, "handles")


def drawer_fronts(
    item: Item,
    look: Look,
    x: float,
    y: float,
    width: float,
    low: float,
    high: float,
    rows: int,
    material,
    columns: int = 1,
) -> None:
    """Drawer fronts with gaps and handles on the face at y, part of the body's item."""
    style, metal = look.choose(("bar", "short", "knob", "none")), look.metal()
    gap = look.between(0.003, 0.012)
    relief = look.between(0.006, 0.02)
    tall, wide = (high - low) / rows, width / columns
    for i in range(rows):
        for j in range(columns):
            cx, cz = x - width / 2 + (j + 0.5) * wide, low + (i + 0.5) * tall
            item.box((cx, y - relief / 2, cz), (wide - 2 * gap, relief, tall - 2 * gap), material, "fronts")
            handle(item, style, cx, y - relief, cz + tall * 0.15, False, metal)


def door_fronts(
    item: Item, look: Look, x: float, y: float, width: float, low: float, high: float, columns: int, material
) -> None:
    """Doors side by side on the face at y: flat, framed, louvred or painted panels."""
    style, metal = look.choose(("bar", "short", "knob", "none")), look.metal()
    kind = look.choose(("flat", "flat", "framed", "louvred", "painted"))
    gap, relief = look.between(0.002, 0.008), look.between(0.01, 0.022)
    wide = width / columns
    if kind == "painted":
        material = Material(
            m.PANELS,
            material.colour,
            dim(material.colour, 0.75),
            dim(material.colour, 1.06),
            seed=look.whole(0, 8),
            contrast=0.8,
            mapping=m.UPRIGHT,
        )
    for j in range(columns):
        cx, cz = x - width / 2 + (j + 0.5) * wide, (low + high) / 2
        w, h = wide - 2 * gap, high - low - 2 * gap
        item.box((cx, y - relief / 2, cz), (w, relief, h), material, "doors")
        if kind == "framed":
            b = min(0.07, w * 0.2)
            face = y - relief - 0.005
            for sx in (-1, 1):
                item.box((cx + sx * (w - b) / 2, face, cz), (b, 0.01, h), material, "doors")
            for sz in (-1, 1):
                item.box((cx, face, cz + sz * (h - b) / 2), (w - 2 * b, 0.01, b), material, "doors")
        elif kind == "louvred":
            for z in np.arange(cz - h / 2 + 0.1, cz + h / 2 - 0.08, 0.07):
                item.bar(
                    (cx - w * 0.4, y - relief - 0.004, z),
                    (cx + w * 0.4, y - relief - 0.004, z),
                    0.014,
                    0.045,
                    material,
                    "doors",
                )
        side = (-1 if j % 2 else 1) if columns > 1 else look.choose((-1, 1))
        handle(
            item,
            style,
            cx + side * (w / 2 - 0.04),
            y - relief,
            cz + (0.1 if high > 1.2 else 0.25 * h),
            True,
            metal,
        )


@design("cupboard")
def sideboard(look: Look) -> Item:
    """A low cupboard: doors and drawers."""
    item = Item("sideboard")
    w, d, height = look.between(0.7, 1.9), look.between(0.35, 0.5), look.between(0.6, 1.1)
    foot = look.choose((0.0, 0.05, 0.15))
    body = look.body()
    item.box((0, 0, (height + foot) / 2), (w, d, height - foot), body, "body")
    if foot > 0:
        for sx in (-1, 1):
            for sy in (-1, 1):
                item.rod(
                    (sx * (w / 2 - 0.06), sy * (d / 2 - 0.06), 0),
                    (sx * (w / 2 - 0.06), sy * (d / 2 - 0.06), foot),
                    0.02,
                    body,
                    "feet",
                )
    front = body if look.chance(0.65) else look.body()
    split = look.between(0.3, 0.7) * w
    kind = look.choose(("doors", "drawers", "both"))
    if kind == "doors":
        door_fronts(item, look, 0, -d / 2, w, foot + 0.02, height - 0.03, max(2, round(w / 0.45)), front)
    elif kind == "drawers":
        drawer_fronts(
            item, look, 0, -d / 2, w, foot + 0.02, height - 0.03, look.whole(2, 5), front, columns=look.whole(1, 2)
        )
    else:
        door_fronts(
            item,
            look,
            -w / 2 + split / 2,
            -d / 2,
            split,
            foot + 0.02,
            height - 0.03,
            max(1, round(split / 0.45)),
            front,
        )
        rest = w - split
        drawer_fronts(item, look, w / 2 - rest / 2, -d / 2, rest, foot + 0.02, height - 0.03, look.whole(2, 4), front)
    top = height
    if look.chance(0.5):
        board = body if look.chance(0.6) else look.stone()
        item.box((0, -0.01, height + 0.0125), (w + 0.04, d + 0.03, 0.025), board, "top")
        top += 0.025
    item.surface((0, 0, top), (w - 0.06, d - 0.06), 0.9, "cupboard")
    return item


@design("night stand")
def night_stand(look: Look) -> Item:
    item = Item("night stand")
    w, d, height = look.between(0.38, 0.6), look.between(0.33, 0.45), look.between(0.42, 0.68)
    body = look.body()
    if look.chance(0.6):
        item.box((0, 0, height / 2 + 0.02), (w, d, height - 0.04), body, "body")
        drawer_fronts(item, look, 0, -d / 2, w - 0.02, 0.08, height - 0.03, look.whole(2, 3), body)
        if look.chance(0.5):
            item.box((0, 0, 0.035), (w + 0.03, d + 0.03, 0.07), body, "plinth")
        item.box((0, 0, height + 0.01), (w + 0.04, d + 0.03, 0.025), body, "top")
    else:
        t = 0.025
        for sx in (-1, 1):
            item.box((sx * (w - t) / 2, 0, height / 2), (t, d, height), body, "sides")
        item.box((0, 0, height + 0.005), (w, d, t), body, "top")
        item.box((0, 0, height * 0.35), (w, d, t), body, "shelf")
        item.box((0, d / 2 - 0.01, height / 2), (w, 0.015, height), body, "back")
        drawer_fronts(item, look, 0, -d / 2 + 0.02, w - 2 * t, height * 0.65, height, 1, body)
        item.box((0, 0, height * 0.82), (w - 2 * t, d - 0.04, height * 0.33), body, "drawer")
        item.surface((0, 0, height * 0.35 + 0.015), (w - 0.1, d - 0.1), height * 0.25, "low shelf")
    item.surface((0, 0, height + 0.022), (w - 0.04, d - 0.04), 0.8, "small table")
    return item


@design("wardrobe")
def wardrobe(look: Look) -> Item:
    item = Item("wardrobe")
    columns = look.whole(1, 4)
    w, d, height = columns * look.between(0.42, 0.6), look.between(0.5, 0.65), look.between(1.8, 2.35)
    body = look.body()
    plinth = look.between(0.04, 0.1)
    item.box((0, 0, (height + plinth) / 2), (w, d, height - plinth), body, "body")
    item.box((0, 0.02, plinth / 2), (w - 0.02, d - 0.05, plinth), body, "plinth")
    front = body if look.chance(0.7) else look.body()
    if look.chance(0.3):
        low = look.between(0.3, 0.6)
        drawer_fronts(item, look, 0, -d / 2, w, plinth, low, look.whole(1, 2), front, columns=max(1, columns // 2))
    else:
        low = plinth
    door_fronts(item, look, 0, -d / 2, w, low, height - 0.03, columns, front)
    if look.chance(0.2):
        glass = Material(m.PLAIN, (0.7, 0.75, 0.76), gloss=0.9, mirror=0.85, hole=0.9)
        wide = w / columns
        item.box(
            (-w / 2 + wide / 2, -d / 2 - 0.03, (low + height) / 2),
            (wide * 0.75, 0.006, (height - low) * 0.85),
            glass,
            "mirror",
        )
    top = height
    if look.chance(0.4):
        item.box((0, -0.02, height + 0.03), (w + 0.08, d + 0.06, 0.06), body, "cornice")
        top += 0.06
    if height < 2.1:
        item.surface((0, 0, top), (w - 0.1, d - 0.1), 0.5, "top")
    return item


def _carcass(
    item: Item, w: float, d: float, height: float, rows: int, columns: int, body, back: bool, t: float
) -> None:
    """Sides, shelves, dividers; each compartment is a surface of kind "shelf"."""
    for i in range(columns + 1):
        x = -w / 2 + t / 2 + i * (w - t) / columns
        item.box((x, 0, height / 2), (t, d, height), body, "frame")
    for j in range(rows + 1):
        z = 0.05 + t / 2 + j * (height - t - 0.05) / rows
        item.box((0, 0, z), (w, d - 0.01, t), body, "shelves")
    if back:
        item.box((0, d / 2 - 0.005, height / 2), (w, 0.01, height), body, "back")
    wide, tall = (w - t) / columns, (height - t - 0.05) / rows
    for i in range(columns):
        for j in range(rows):
            x, z = -w / 2 + t / 2 + (i + 0.5) * wide, 0.05 + t + j * tall
            item.surface((x, 0, z), (wide - t - 0.02, d - 0.04), tall - t, "shelf")


@design("shelf")
def bookcase(look: Look) -> Item:
    item = Item("shelf")
    rows, columns = look.whole(2, 6), look.choose((1, 1, 2, 3))
    height = min(rows * look.between(0.28, 0.4) + 0.08, 2.3)
    w, d = columns * look.between(0.45, 0.9), look.between(0.22, 0.4)
    body = look.body()
    _carcass(item, w, d, height, rows, columns, body, look.chance(0.75), look.between(0.015, 0.035))
    item.surface((0, 0, height + 0.001), (w - 0.1, d - 0.08), 0.5, "cupboard")
    if look.chance(0.25):
        tall = height / rows
        for surface in [s for s in item.surfaces if s.kind == "shelf" and s.centre[2] < tall]:
            item.surfaces.remove(surface)
        door_fronts(item, look, 0, -d / 2, w, 0.06, tall + 0.02, max(1, columns), body)
    return item


@design("shelf")
def cube_shelf(look: Look) -> Item:
    item = Item("shelf")
    rows, columns, size = look.whole(1, 5), look.whole(2, 5), look.between(0.32, 0.42)
    _carcass(
        item,
        columns * size,
        look.between(0.32, 0.4),
        rows * size + 0.06,
        rows,
        columns,
        look.body(),
        look.chance(0.5),
        look.between(0.015, 0.04),
    )
    item.surface((0, 0, rows * size + 0.062), (columns * size - 0.1, 0.25), 0.5, "cupboard")
    return item


@design("shelf")
def wire_rack(look: Look) -> Item:
    """Metal posts with boards."""
    item = Item("rack")
    w, d, height, rows = look.between(0.7, 1.6), look.between(0.35, 0.6), look.between(1.2, 2.2), look.whole(3, 5)
    metal, board = look.metal(), look.choose((look.metal(), look.wood(), look.cardboard()))
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.box((sx * w / 2, sy * d / 2, height / 2), (0.035, 0.035, height), metal, "posts")
    for j in range(rows):
        z = 0.1 + j * (height - 0.12) / (rows - 1)
        item.box((0, 0, z), (w, d, 0.025), board, "boards")
        item.surface((0, 0, z + 0.013), (w - 0.1, d - 0.06), (height - 0.12) / (rows - 1) - 0.05, "rack")
    if look.chance(0.5):
        item.bar((-w / 2, d / 2, 0.1), (w / 2, d / 2, height), 0.02, 0.005, metal, "braces")
        item.bar((w / 2, d / 2, 0.1), (-w / 2, d / 2, height), 0.02, 0.005, metal, "braces")
    return item


@design("shelf")
def ladder_shelf(look: Look) -> Item:
    item = Item("shelf")
    w, height, rows = look.between(0.5, 0.9), look.between(1.4, 2.0), look.whole(3, 5)
    wood = look.body()
    for sx in (-1, 1):
        item.bar((sx * w / 2, -0.22, 0), (sx * w / 2, 0.2, height), 0.03, 0.05, wood, "frame")
        item.bar((sx * w / 2, 0.2, 0), (sx * w / 2, 0.2, height), 0.03, 0.03, wood, "frame")
    for j in range(rows):
        z = 0.25 + j * (height - 0.3) / (rows - 1)
        front = -0.22 + 0.42 * z / height - 0.02
        item.box((0, (front + 0.21) / 2, z), (w, 0.21 - front, 0.022), wood, "shelves")
        item.surface(
            (0, (front + 0.21) / 2, z + 0.011),
            (w - 0.08, max(0.08, 0.18 - front)),
            (height - 0.3) / (rows - 1) - 0.04,
            "shelf",
        )
    return item


@design("wall shelf")
def wall_board(look: Look) -> Item:
    """One or two boards on the wall; origin at the lower board's underside, back at +y."""
    item = Item("wall shelf")
    w, d = look.between(0.5, 1.4), look.between(0.16, 0.28)
    body = look.body()
    for j in range(look.whole(1, 3)):
        z = j * look.between(0.28, 0.36)
        item.box((0, 0, z + 0.0125), (w, d, 0.025), body, "boards")
        item.surface((0, 0, z + 0.0255), (w - 0.05, d - 0.04), 0.25, "shelf")
        for sx in (-1, 1):
            item.box((sx * w * 0.38, d / 2 - 0.01, z - 0.04), (0.02, 0.02, 0.1), body, "boards")
    return item


@design("tv cabinet")
def tv_cabinet(look: Look) -> Item:
    item = Item("tv cabinet")
    w, d, height = look.between(1.1, 2.0), look.between(0.35, 0.45), look.between(0.35, 0.6)
    body = look.body()
    if look.chance(0.5):
        item.box((0, 0, height / 2 + 0.03), (w, d, height - 0.06), body, "body")
        drawer_fronts(
            item, look, 0, -d / 2, w - 0.02, 0.08, height - 0.03, look.whole(1, 2), body, columns=look.whole(2, 4)
        )
        item.box((0, 0.02, 0.03), (w - 0.1, d - 0.08, 0.06), body, "plinth")
    else:
        _carcass(item, w, d, height, look.whole(1, 2), look.whole(2, 4), body, look.chance(0.7), 0.025)
        for surface in list(item.surfaces):
            if look.chance(0.4):
                item.surfaces.remove(surface)
                x, _, z = surface.centre
                door_fronts(item, look, x, -d / 2 + 0.02, surface.size[0] + 0.02, z, z + surface.height, 1, body)
    item.surface((0, 0, height + 0.001), (w - 0.1, d - 0.08), 1.0, "tv")
    return item


@design("shoe rack")
def shoe_rack(look: Look) -> Item:
    item = Item("shoe rack")
    w, d, rows = look.between(0.6, 1.1), 0.3, look.whole(2, 4)
    body = look.body()
    height = rows * 0.2 + 0.05
    for sx in (-1, 1):
        item.box((sx * w / 2, 0, height / 2), (0.02, d, height), body, "frame")
    for j in range(rows):
        z = 0.06 + j * 0.2
        for y in np.linspace(-d / 2 + 0.03, d / 2 - 0.03, 5):
            item.rod((-w / 2, y, z), (w / 2, y, z), 0.008, body, "shelves")
        item.surface((0, 0, z + 0.009), (w - 0.08, d - 0.04), 0.16, "shoes")
    item.box((0, 0, height), (w + 0.02, d, 0.02), body, "top")
    item.surface((0, 0, height + 0.01), (w - 0.1, d - 0.06), 0.6, "small table")
    return item


@design("locker")
def lockers(look: Look) -> Item:
    item = Item("lockers")
    columns, height = look.whole(1, 4), look.between(1.7, 2.0)
    w, d = columns * 0.32, 0.5
    metal = look.paint(look.choose(((0.6, 0.62, 0.63), (0.35, 0.45, 0.55), look.accent())))
    item.box((0, 0, height / 2), (w, d, height), metal, "body")
    for row in range(look.whole(1, 2)):
        door_fronts(item, look, 0, -d / 2, w, 0.1 + row * 0.9, 0.95 + row * 0.9, columns, metal)
    item.surface((0, 0, height), (w - 0.05, d - 0.05), 0.4, "top")
    return item


@design("filing cabinet")
def filing_cabinet(look: Look) -> Item:
    item = Item("filing cabinet")
    rows = look.whole(2, 4)
    w, d, height = look.between(0.38, 0.48), look.between(0.5, 0.65), 0.05 + rows * look.between(0.2, 0.32)
    metal = look.paint(look.grey())
    item.box((0, 0, height / 2), (w, d, height), metal, "body")
    drawer_fronts(item, look, 0, -d / 2, w, 0.04, height - 0.02, rows, metal)
    item.surface((0, 0, height), (w - 0.05, d - 0.05), 0.6, "small table")
    return item
