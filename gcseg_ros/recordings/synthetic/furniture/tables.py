"""Tables and desks."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.furniture.seating import four_legs
from gcseg_ros.recordings.synthetic.furniture.storage import drawer_fronts
from gcseg_ros.recordings.synthetic.items import Item
from gcseg_ros.recordings.synthetic.look import Look


def table_top(item: Item, look: Look, w: float, d: float, height: float, material, kind: str = "table") -> float:
    """A rectangular, rounded or round plate whose upper face is at `height`; returns its thickness."""
    thick = look.between(0.018, 0.05)
    shape = look.choose(("box", "box", "soft", "round")) if abs(w - d) < 0.4 else look.choose(("box", "box", "soft"))
    if shape == "box":
        item.box((0, 0, height - thick / 2), (w, d, thick), material, "top")
    elif shape == "soft":
        item.soft((0, 0, height - thick / 2), (w, d, thick), material, "top", thick * 0.4)
    else:
        axes = np.diag([w / 2, d / 2, thick / 2])
        from gcseg_ros.recordings.synthetic.primitives import FRUSTUM

        item.add(FRUSTUM, axes, (0, 0, height - thick / 2), (1, 1, 3, 0), material, "top")
        w, d = w * 0.72, d * 0.72
    item.surface((0, 0, height), (w - 0.06, d - 0.06), 1.2, kind)
    return thick


def _base(item: Item, look: Look, w: float, d: float, height: float, material=None) -> None:
    kind = look.choose(("legs", "legs", "trestle", "pedestal", "frame", "slab"))
    material = material or look.leg()
    if kind == "legs":
        leg = look.between(0.03, 0.09)
        inset = look.between(0.0, 0.08)
        four_legs(
            item, look, w - leg - 2 * inset, d - leg - 2 * inset, height, leg, look.choose((0, 0, 0.04)), material
        )
        if look.chance(0.5):
            for sy in (-1, 1):
                item.box(
                    (0, sy * (d / 2 - leg / 2 - inset), height - 0.05), (w - 2 * inset, 0.02, 0.08), material, "apron"
                )
    elif kind == "trestle":
        for sx in (-1, 1):
            x = sx * w * 0.38
            for sy in (-1, 1):
                item.bar(
                    (x + sx * 0.03, sy * d * 0.42, 0), (x, sy * d * 0.12, height), 0.05, 0.07, material, "trestles"
                )
            item.box((x, 0, height * 0.3), (0.04, d * 0.6, 0.06), material, "trestles")
            item.box((x, 0, height - 0.03), (0.06, d * 0.8, 0.05), material, "trestles")
    elif kind == "pedestal":
        if w > 1.3:
            for sx in (-1, 1):
                item.box((sx * w * 0.33, 0, height / 2), (0.1, 0.1, height), material, "column")
                item.box((sx * w * 0.33, 0, 0.03), (0.12, d * 0.75, 0.06), material, "foot")
        else:
            item.rod((0, 0, 0), (0, 0, height), look.between(0.03, 0.07), material, "column")
            item.lathe([(min(w, d) * 0.33, 0), (min(w, d) * 0.3, 0.03), (0.06, 0.06)], material, "foot", top=True)
    elif kind == "frame":
        t = look.between(0.025, 0.06)
        for sx in (-1, 1):
            x = sx * (w / 2 - t)
            item.box((x, 0, t / 2), (t, d, t), material, "frame")
            item.box((x, 0, height - t / 2), (t, d, t), material, "frame")
            for sy in (-1, 1):
                item.box((x, sy * (d - t) / 2, height / 2), (t, t, height), material, "frame")
        item.box((0, 0, height - t / 2), (w - 2 * t, t, t), material, "frame")
    else:
        for sx in (-1, 1):
            item.box((sx * w * 0.42, 0, height / 2), (0.04, d * 0.9, height), material, "legs")


@design("table")
def dining_table(look: Look, width: float | None = None) -> Item:
    item = Item("table")
    square = look.chance(0.35)
    w = width or look.between(0.75, 1.2) if square else look.between(1.2, 2.2)
    d = w if square else look.between(0.7, 1.0)
    height = look.between(0.7, 0.78)
    top = look.choose(
        (look.wood(), look.wood(), look.body(), look.stone(), look.glass() if look.chance(0.3) else look.body())
    )
    thick = table_top(item, look, w, d, height, top)
    _base(item, look, w, d, height - thick, top if top.pattern == 2 and look.chance(0.6) else None)
    return item


@design("coffee table")
def coffee_table(look: Look) -> Item:
    """Low, with or without a shelf below."""
    item = Item("coffee table")
    w, d, height = look.between(0.6, 1.2), look.between(0.45, 0.75), look.between(0.3, 0.5)
    top = look.choose((look.wood(), look.body(), look.stone(), look.glass() if look.chance(0.3) else look.wood()))
    thick = table_top(item, look, w, d, height, top, "low table")
    if look.chance(0.7):
        leg = look.between(0.03, 0.07)
        material = look.leg()
        four_legs(item, look, w - leg, d - leg, height - thick, leg, 0, material)
        if look.chance(0.5):
            level = look.between(0.08, 0.18)
            shelf = top if look.chance(0.6) else look.body()
            item.box((0, 0, level), (w - leg, d - leg, 0.02), shelf, "shelf")
            item.surface((0, 0, level + 0.01), (w - 0.2, d - 0.15), height - level - 0.06, "low shelf")
    else:
        _base(item, look, w, d, height - thick)
    return item


@design("coffee table")
def box_table(look: Look) -> Item:
    """A low wooden block with open compartments, things in them."""
    item = Item("coffee table")
    w, d, height, t = look.between(0.8, 1.3), look.between(0.5, 0.8), look.between(0.3, 0.45), 0.03
    wood = look.body()
    item.box((0, 0, height - t / 2), (w, d, t), wood, "top")
    item.box((0, 0, 0.05), (w, d, t), wood, "bottom")
    split = look.between(-0.2, 0.2) * w
    for x in (-w / 2 + t / 2, split, w / 2 - t / 2):
        item.box((x, 0, height / 2), (t, d, height - 2 * t + 0.02), wood, "sides")
    item.box(
        (look.choose((-1, 1)) * w * 0.25 + split / 2, 0, height / 2), (w * 0.4, d * 0.97, height - 0.1), wood, "drawers"
    )
    item.surface((0, 0, height), (w - 0.1, d - 0.1), 1.0, "low table")
    item.surface(((split - w / 2) / 2, 0, 0.066), (w * 0.3, d * 0.6), height - 0.12, "low shelf")
    return item


@design("side table")
def side_table(look: Look) -> Item:
    item = Item("side table")
    w, height = look.between(0.32, 0.55), look.between(0.42, 0.65)
    top = look.body()
    thick = table_top(item, look, w, w, height, top, "small table")
    kind = look.choose(("legs", "pedestal", "frame"))
    if kind == "legs":
        four_legs(item, look, w * 0.75, w * 0.75, height - thick, look.between(0.02, 0.04), look.choose((0, 0.04)))
        if look.chance(0.5):
            item.box((0, 0, 0.16), (w * 0.75, w * 0.75, 0.018), top, "shelf")
            item.surface((0, 0, 0.17), (w * 0.5, w * 0.5), height - 0.25, "low shelf")
    elif kind == "pedestal":
        metal = look.leg()
        item.rod((0, 0, 0), (0, 0, height - thick), 0.02, metal, "column")
        item.disc((0, 0, 0.01), w * 0.36, 0.02, metal, "foot")
    else:
        metal, t = look.metal(), 0.02
        for sx in (-1, 1):
            for sy in (-1, 1):
                item.box((sx * w * 0.45, sy * w * 0.45, height / 2), (t, t, height - thick), metal, "frame")
            item.box((sx * w * 0.45, 0, t), (t, w * 0.9, t), metal, "frame")
            item.box((0, sx * w * 0.45, t), (w * 0.9, t, t), metal, "frame")
    return item


@design("desk")
def writing_desk(look: Look, width: float | None = None) -> Item:
    """A desk with legs or frames, drawers at one side or under the top, a back panel perhaps."""
    item = Item("desk")
    w, d, height = width or look.between(1.0, 1.8), look.between(0.5, 0.8), look.between(0.7, 0.77)
    body = look.body()
    t = look.between(0.02, 0.04)
    item.box((0, 0, height - t / 2), (w, d, t), body, "top")
    item.surface((0, 0, height), (w - 0.08, d - 0.08), 1.0, "desk")
    kind = look.choose(("drawers", "panels", "legs", "apron"))
    legs = body if look.chance(0.5) else look.leg()
    if kind == "drawers":
        side, wide = look.choose((-1, 1)), look.between(0.35, 0.45)
        x = side * (w / 2 - wide / 2 - 0.02)
        item.box((x, 0, (height - t) / 2 + 0.02), (wide, d - 0.06, height - t - 0.06), body, "drawers")
        drawer_fronts(item, look, x, -(d - 0.06) / 2, wide, 0.06, height - t - 0.02, look.whole(2, 4), body)
        for sy in (-1, 1):
            item.box(
                (-side * (w / 2 - 0.04), sy * (d / 2 - 0.05), (height - t) / 2), (0.05, 0.05, height - t), legs, "legs"
            )
    elif kind == "panels":
        for sx in (-1, 1):
            item.box((sx * (w / 2 - 0.015), 0, (height - t) / 2), (0.03, d - 0.02, height - t), body, "sides")
        item.box((0, d / 2 - 0.04, height * 0.6), (w - 0.06, 0.02, height * 0.5), body, "back")
    else:
        leg = look.between(0.03, 0.06)
        four_legs(item, look, w - leg - 0.02, d - leg - 0.02, height - t, leg, look.choose((0, 0.03)), legs)
        if kind == "apron":
            tall = look.between(0.08, 0.14)
            item.box((0, 0, height - t - tall / 2), (w - 0.08, d - 0.08, tall), body, "apron")
            drawer_fronts(
                item,
                look,
                0,
                -(d - 0.08) / 2,
                w - 0.1,
                height - t - tall,
                height - t,
                1,
                body,
                columns=look.whole(1, 3),
            )
    return item


@design("console")
def console_table(look: Look) -> Item:
    item = Item("console table")
    w, d, height = look.between(0.8, 1.5), look.between(0.25, 0.4), look.between(0.72, 0.9)
    top = look.body()
    thick = table_top(item, look, w, d, height, top)
    four_legs(
        item, look, w - 0.05, d - 0.05, height - thick, look.between(0.025, 0.05), 0, top if look.chance(0.6) else None
    )
    if look.chance(0.5):
        item.box((0, 0, 0.2), (w - 0.06, d - 0.06, 0.02), top, "shelf")
        item.surface((0, 0, 0.21), (w - 0.15, d - 0.1), 0.4, "low shelf")
    return item
