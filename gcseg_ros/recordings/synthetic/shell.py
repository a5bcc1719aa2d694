"""The shell of a room: floor, ceiling, walls with openings, skirting, doors, windows and curtains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look, dim
from gcseg_ros.recordings.synthetic.materials import Material
from gcseg_ros.recordings.synthetic.outline import Wall


@dataclass(frozen=True)
class Opening:
    """A hole in a wall: from `left` to `right` along it, from `low` to `high`; metres."""

    left: float
    right: float
    low: float
    high: float
    kind: str

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


def wall_prims(
    item: Item,
    wall: Wall,
    openings: list[Opening],
    height: float,
    thickness: float,
    material: Material,
    skirting: Material | None,
    sockets: Sequence[tuple[float, float]] = (),
) -> None:
    """The wall as boxes around its openings, in the world frame; sockets and switches (along, z) are part of it."""
    start = -thickness if wall.convex[0] else 0.0
    end = wall.length + (thickness if wall.convex[1] else 0.0)
    turned = turn(np.arctan2(wall.along[1], wall.along[0]))

    def piece(s0: float, s1: float, z0: float, z1: float, out: float, deep: float, what: Material, part: str) -> None:
        if s1 - s0 < 1e-3 or z1 - z0 < 1e-3:
            return
        middle = wall.start + wall.along * (s0 + s1) / 2 - wall.normal * (out + deep / 2)
        item.box((middle[0], middle[1], (z0 + z1) / 2), (s1 - s0, deep, z1 - z0), what, part, turned)

    position = start
    for o in sorted(openings, key=lambda o: o.left):
        piece(position, o.left, 0, height, 0, thickness, material, "wall")
        piece(o.left, o.right, 0, o.low, 0, thickness, material, "wall")
        piece(o.left, o.right, o.high, height, 0, thickness, material, "wall")
        position = o.right
    piece(position, end, 0, height, 0, thickness, material, "wall")
    for s, z in sockets:
        if all(s + 0.06 < o.left or s - 0.06 > o.right for o in openings):
            piece(s - 0.04, s + 0.04, z - 0.04, z + 0.04, -0.012, 0.012, Material(m.PLAIN, (0.9, 0.9, 0.88)), "sockets")
    if skirting is not None:
        position = 0.0
        for o in sorted((o for o in openings if o.low < 0.1), key=lambda o: o.left):
            piece(position, o.left, 0, 0.08, -0.014, 0.014, skirting, "skirting")
            position = o.right
        piece(position, wall.length, 0, 0.08, -0.014, 0.014, skirting, "skirting")


def to_wall(wall: Wall, position: float) -> npt.NDArray[np.float64]:
    """World pose (4,4) that puts an item's frame at `position` along the inner face, its +y into the wall."""
    pose = np.eye(4)
    pose[:3, :3] = turn(wall.yaw)
    pose[:2, 3] = wall.start + wall.along * position
    return pose


def window(look: Look, opening: Opening, thickness: float) -> Item:
    """Frame, muntins and a bright pane; frame: y = 0 at the inner face of the wall, z from the floor."""
    item = Item("window", stuff=True)
    w, low, high = opening.right - opening.left, opening.low, opening.high
    frame = look.paint(look.white()) if look.chance(0.7) else look.body()
    view = Material(
        m.VIEW if look.chance(0.7) else m.PLAIN,
        look.choose(((0.75, 0.85, 0.95), (0.93, 0.9, 0.78), (0.95, 0.95, 0.95), (0.15, 0.18, 0.25))),
        (0.45, 0.5, 0.4),
        (0.3, 0.4, 0.25),
        period_m=look.between(0.5, 2.0),
        emission=0.6,
        hole=look.choose((0.0, 0.1, 0.5, 0.9)),
        seed=look.seed(),
        mapping=m.UPRIGHT,
    )
    y = thickness * look.between(0.3, 0.7)
    b = look.between(0.04, 0.09)
    item.box((0, y + 0.02, (low + high) / 2), (w, 0.01, high - low), view, "pane")
    for s in (-1, 1):
        item.box((s * (w - b) / 2, y, (low + high) / 2), (b, 0.06, high - low), frame, "frame")
    for z in (low + b / 2, high - b / 2):
        item.box((0, y, z), (w, 0.06, b), frame, "frame")
    columns, rows = look.whole(1, max(1, round(w / 0.45))), look.choose((1, 1, 2, 3))
    for i in range(1, columns):
        item.box(
            (-w / 2 + i * w / columns, y, (low + high) / 2),
            (look.between(0.02, 0.06), 0.045, high - low),
            frame,
            "frame",
        )
    for j in range(1, rows):
        item.box((0, y, low + j * (high - low) / rows), (w, 0.04, 0.025), frame, "frame")
    if look.chance(0.6):
        item.box(
            (0, y / 2 - 0.04, low + 0.0), (w + 0.1, y + 0.12, 0.03), frame if look.chance(0.6) else look.stone(), "sill"
        )
    if look.chance(0.4):
        for s in (-1, 1):
            item.box((s * (w / 2 + 0.03), -0.008, (low + high) / 2), (0.07, 0.02, high - low + 0.12), frame, "casing")
        item.box((0, -0.008, high + 0.03), (w + 0.13, 0.02, 0.07), frame, "casing")
    if look.chance(0.12):
        for z in np.arange(low + (high - low) * look.between(0, 0.6), high, 0.04):
            item.box((0, y - 0.05, float(z)), (w - 0.02, 0.03, 0.004), frame, "blind", turn(roll=0.5))
    return item


def door(look: Look, opening: Opening, thickness: float) -> Item:
    """Casing and leaf: closed, ajar, or none."""
    item = Item("door", stuff=True)
    w, high = opening.right - opening.left, opening.high
    body = look.paint(look.white()) if look.chance(0.45) else look.body()
    c = look.between(0.05, 0.1)
    for s in (-1, 1):
        item.box((s * (w / 2 + c / 2 - 0.015), -0.008, (high + c) / 2), (c, 0.02, high + c), body, "casing")
        item.box((s * (w / 2 - 0.012), thickness / 2, high / 2), (0.025, thickness, high), body, "casing")
    item.box((0, -0.008, high + c / 2 - 0.01), (w + 2 * c - 0.03, 0.02, c), body, "casing")
    item.box((0, thickness / 2, high - 0.012), (w, thickness, 0.025), body, "casing")
    if opening.kind == "passage":
        return item
    leaf = Item("leaf")
    wide, tall = w - 0.05, high - 0.03
    face = body
    if look.chance(0.5):
        face = Material(
            m.PANELS,
            body.colour,
            dim(body.colour, 0.7),
            dim(body.colour, 1.05),
            seed=look.whole(0, 8),
            contrast=0.8,
            mapping=m.UPRIGHT,
        )
    leaf.box((wide / 2, 0.02, tall / 2 + 0.01), (wide, 0.04, tall), face, "leaf")
    if look.chance(0.35):
        for z0, z1 in ((0.15, 0.85), (1.0, tall - 0.15)):
            leaf.box((wide / 2, -0.004, (z0 + z1) / 2), (wide * 0.7, 0.012, z1 - z0), body, "leaf")
    if look.chance(0.2):
        leaf.box(
            (wide / 2, -0.002, tall * 0.72),
            (wide * 0.5, 0.05, tall * 0.35),
            Material(m.PLAIN, (0.8, 0.85, 0.85), gloss=0.6, emission=0.2, hole=0.5),
            "pane",
        )
    metal = look.metal()
    leaf.rod((wide - 0.07, 0, 1.02), (wide - 0.07, -0.05, 1.02), 0.01, metal, "handle")
    leaf.rod((wide - 0.07, -0.05, 1.02), (wide - 0.18, -0.05, 1.02), 0.009, metal, "handle")
    depth = look.between(0.0, 0.06)
    if opening.kind == "ajar":
        item.join(leaf, (-w / 2 + 0.025, 0.0, 0), yaw=-look.between(0.3, 1.9))
    else:
        item.join(leaf, (-w / 2 + 0.025, depth, 0))
    return item


def curtain(look: Look, opening: Opening, height: float, share: float, side: int) -> Item:
    """One hanging curtain at a side of a window, in the window's frame (y = 0 at the wall, room towards -y)."""
    item = Item("curtain")
    w = opening.right - opening.left
    wide = max(w * share, 0.2)
    top = min(opening.high + 0.12, height - 0.03)
    low = look.choose((0.02, opening.low - 0.12 if opening.low > 0.4 else 0.02))
    cloth = look.new_fabric()
    x = side * (w / 2 + 0.12 - wide / 2)
    waves = wide / look.between(0.08, 0.2)
    item.cloth(
        (x, -0.09, (low + top) / 2),
        (wide, top - low),
        look.between(0.04, 0.09),
        waves,
        cloth,
        "cloth",
        phase=look.between(0, 6),
        top=0.6,
    )
    return item


def curtain_rod(look: Look, opening: Opening, height: float) -> Item:
    item = Item("curtain rod")
    w = opening.right - opening.left
    z = min(opening.high + 0.13, height - 0.02)
    metal = look.leg()
    item.rod((-w / 2 - 0.2, -0.09, z), (w / 2 + 0.2, -0.09, z), 0.012, metal, "rod")
    for s in (-1, 1):
        item.ball((s * (w / 2 + 0.2), -0.09, z), (0.025, 0.025, 0.025), metal, "rod")
        item.rod((s * (w / 2 + 0.12), 0, z), (s * (w / 2 + 0.12), -0.09, z), 0.008, metal, "rod")
    return item
