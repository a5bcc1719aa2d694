"""Kitchens and bathrooms."""

from __future__ import annotations

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.furniture.storage import door_fronts, drawer_fronts
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.materials import Material


def dark_glass() -> Material:
    return Material(m.PLAIN, (0.05, 0.05, 0.06), gloss=0.8, hole=0.3, mirror=0.06)


@design("kitchen unit")
def kitchen_row(look: Look, width: float = 3.0) -> Item:
    """Base cabinets under one worktop with sink, hob, oven: one object."""
    item = Item("kitchen unit")
    d, height, t = look.between(0.55, 0.65), look.between(0.84, 0.94), look.between(0.025, 0.05)
    front, top = look.body(), look.stone() if look.chance(0.6) else look.wood()
    plinth = look.paint(look.grey())
    item.box((0, 0.03, 0.05), (width, d - 0.08, 0.1), plinth, "plinth")
    item.box((0, 0.01, (height - t + 0.1) / 2), (width, d - 0.03, height - t - 0.1), front, "body")
    item.box((0, 0, height - t / 2), (width + 0.01, d, t), top, "worktop")
    count = max(1, round(width / look.between(0.45, 0.65)))
    wide = width / count
    oven = look.whole(0, count - 1) if look.chance(0.6) else -1
    for i in range(count):
        x, y = -width / 2 + (i + 0.5) * wide, -(d - 0.03) / 2 + 0.01
        if i == oven:
            item.box((x, y - 0.01, 0.48), (wide - 0.02, 0.025, 0.5), dark_glass(), "oven")
            item.rod(
                (x - wide * 0.4, y - 0.05, 0.7), (x + wide * 0.4, y - 0.05, 0.7), 0.01, look.metal("steel"), "oven"
            )
            item.box((x, y - 0.01, 0.78), (wide - 0.02, 0.02, 0.08), look.metal("steel"), "oven")
        elif look.chance(0.35):
            drawer_fronts(item, look, x, y, wide, 0.11, height - t - 0.01, look.whole(2, 4), front)
        else:
            door_fronts(item, look, x, y, wide, 0.11, height - t - 0.01, 1, front)
    sink = look.whole(0, count - 1)
    if look.chance(0.8):
        x = -width / 2 + (sink + 0.5) * wide
        steel = look.metal("steel")
        item.box((x, 0, height + 0.002), (0.5, 0.42, 0.005), steel, "sink")
        item.box(
            (x, -0.01, height + 0.005),
            (0.4, 0.3, 0.003),
            Material(m.FADE, (0.3, 0.3, 0.31), (0.5, 0.5, 0.5), period_m=0.3),
            "sink",
        )
        item.path(
            [(x, 0.18, height), (x, 0.18, height + 0.25), (x, 0.12, height + 0.3), (x, 0.02, height + 0.27)],
            0.012,
            look.metal(),
            "tap",
        )
    if look.chance(0.7) and count > 1:
        hob = oven if oven >= 0 else (sink + 1) % count
        x = -width / 2 + (hob + 0.5) * wide
        item.box((x, 0, height + 0.004), (0.56, 0.48, 0.008), dark_glass(), "hob")
        for sx in (-1, 1):
            for sy in (-1, 1):
                item.disc((x + sx * 0.13, sy * 0.11, height + 0.009), 0.08, 0.003, look.metal("grey"), "hob")
    if look.chance(0.4):
        item.box((0, d / 2 - 0.01, height + 0.05), (width, 0.015, 0.1), top, "worktop")
    item.surface((0, 0.02, height + 0.001), (width - 0.1, d - 0.14), 0.45, "counter")
    return item


@design("wall cabinet")
def wall_cabinet(look: Look, width: float = 1.5) -> Item:
    item = Item("wall cabinet")
    d, h = look.between(0.3, 0.38), look.between(0.5, 0.8)
    body = look.body()
    item.box((0, 0, h / 2), (width, d, h), body, "body")
    door_fronts(item, look, 0, -d / 2, width, 0.005, h - 0.005, max(1, round(width / 0.45)), body)
    if look.chance(0.3):
        w = 0.6
        x = width / 2 + w / 2 + 0.02
        steel = look.metal("steel")
        item.lathe([(0.42, 0.0), (0.14, 0.18), (0.14, h)], steel, "hood", at=(x, 0, 0), bottom=False)
    return item


@design("fridge")
def fridge(look: Look) -> Item:
    item = Item("fridge")
    w, d, h = look.between(0.55, 0.92), look.between(0.58, 0.72), look.between(1.2, 2.0)
    body = look.choose((look.paint(look.white()), look.metal("steel"), look.paint(look.grey()), look.paint()))
    item.soft((0, 0.03, h / 2), (w, d - 0.06, h), body, "body", 0.01)
    metal = look.metal()
    if w > 0.78:
        for sx in (-1, 1):
            item.soft((sx * w / 4, -d / 2 + 0.02, h / 2), (w / 2 - 0.006, 0.05, h - 0.01), body, "doors", 0.01)
            item.rod(
                (sx * 0.05, -d / 2 - 0.03, h * 0.35), (sx * 0.05, -d / 2 - 0.03, h * 0.75), 0.012, metal, "handles"
            )
        if look.chance(0.5):
            item.box(
                (-w / 4, -d / 2 - 0.008, h * 0.6), (0.18, 0.01, 0.3), look.plastic((0.06, 0.06, 0.07)), "dispenser"
            )
    else:
        split = look.choose((0.3, 0.65)) * h
        for z0, z1 in ((0.02, split - 0.005), (split + 0.005, h - 0.005)):
            item.soft((0, -d / 2 + 0.02, (z0 + z1) / 2), (w, 0.05, z1 - z0), body, "doors", 0.01)
            z = z1 - 0.25 if z0 < 0.1 else z0 + 0.25
            item.rod(
                (w / 2 - 0.06, -d / 2 - 0.03, z - 0.12), (w / 2 - 0.06, -d / 2 - 0.03, z + 0.12), 0.01, metal, "handles"
            )
    if h < 1.9:
        item.surface((0, 0, h + 0.001), (w - 0.05, d - 0.1), 0.4, "cupboard")
    for _ in range(look.choose((0, 0, 2, 5))):
        x, z = look.between(-w * 0.35, w * 0.35), look.between(h * 0.4, h * 0.9)
        item.box((x, -d / 2 - 0.006, z), (0.09, 0.002, 0.12), look.page(), "notes")
    return item


@design("kitchen island")
def kitchen_island(look: Look) -> Item:
    item = Item("kitchen island")
    w, d, h = look.between(1.1, 2.2), look.between(0.6, 0.95), look.between(0.86, 1.0)
    body, top = look.body(), look.stone() if look.chance(0.6) else look.wood()
    item.box((0, 0.05, (h - 0.03) / 2), (w - 0.06, d - 0.2, h - 0.03), body, "body")
    door_fronts(item, look, 0, 0.05 - (d - 0.2) / 2, w - 0.08, 0.1, h - 0.06, max(2, round(w / 0.5)), body)
    item.box((0, 0, h - 0.02), (w, d, 0.04), top, "worktop")
    item.surface((0, 0, h + 0.001), (w - 0.1, d - 0.1), 0.6, "counter")
    return item


@design("washing machine")
def washing_machine(look: Look) -> Item:
    item = Item("washing machine")
    white = look.paint(look.white()) if look.chance(0.8) else look.paint(look.grey())
    item.soft((0, 0, 0.425), (0.6, 0.58, 0.85), white, "body", 0.012)
    item.rod((0, -0.28, 0.42), (0, -0.32, 0.42), 0.19, look.metal("steel"), "door")
    item.rod((0, -0.315, 0.42), (0, -0.325, 0.42), 0.14, dark_glass(), "door")
    item.box((0.1, -0.293, 0.76), (0.3, 0.01, 0.07), look.plastic((0.1, 0.1, 0.1)), "panel")
    item.surface((0, 0, 0.851), (0.5, 0.45), 0.5, "cupboard")
    return item


@design("toilet")
def toilet(look: Look) -> Item:
    item = Item("toilet")
    white = Material(m.PLAIN, look.white(), gloss=0.6)
    item.lathe([(0.12, 0), (0.13, 0.15), (0.19, 0.36), (0.2, 0.4)], white, "bowl", at=(0, -0.12, 0))
    item.box((0, 0.12, 0.2), (0.22, 0.3, 0.38), white, "bowl")
    item.soft((0, -0.08, 0.415), (0.38, 0.48, 0.035), look.plastic(look.white()), "seat", 0.016)
    if look.chance(0.25):
        item.soft((0, 0.14, 0.62), (0.37, 0.03, 0.42), look.plastic(look.white()), "seat", 0.014)
    if look.chance(0.7):
        item.soft((0, 0.25, 0.62), (0.4, 0.18, 0.42), white, "cistern", 0.03)
        item.disc((0, 0.25, 0.835), 0.03, 0.01, look.metal(), "button")
    return item


@design("basin")
def washbasin(look: Look) -> Item:
    item = Item("washbasin")
    white = Material(m.PLAIN, look.white(), gloss=0.6)
    w, d, h = look.between(0.45, 0.9), look.between(0.4, 0.5), look.between(0.8, 0.9)
    if look.chance(0.5):
        body = look.body()
        item.box((0, 0.01, h / 2), (w - 0.04, d - 0.06, h - 0.12), body, "cabinet")
        door_fronts(item, look, 0, -(d - 0.06) / 2 + 0.01, w - 0.06, 0.12, h - 0.12, max(1, round(w / 0.4)), body)
    else:
        item.lathe([(0.11, 0), (0.08, 0.3), (0.11, h - 0.1)], white, "foot", at=(0, 0.05, 0))
    t = 0.035
    for s in (-1, 1):
        item.soft((s * (w - t) / 2, 0, h - 0.06), (t, d, 0.14), white, "basin", 0.014)
        item.soft((0, s * (d - t) / 2, h - 0.06), (w, t if s < 0 else t * 2.5, 0.14), white, "basin", 0.014)
    item.box((0, 0, h - 0.11), (w - 0.03, d - 0.03, 0.03), white, "basin")
    item.path(
        [(0, d / 2 - 0.05, h), (0, d / 2 - 0.05, h + 0.12), (0, d / 2 - 0.18, h + 0.1)], 0.012, look.metal(), "tap"
    )
    return item


@design("bath")
def bathtub(look: Look) -> Item:
    item = Item("bathtub")
    white = Material(m.PLAIN, look.white(), gloss=0.6)
    w, d, h, t = look.between(1.5, 1.8), look.between(0.7, 0.8), look.between(0.5, 0.6), 0.07
    for s in (-1, 1):
        item.soft((s * (w - t) / 2, 0, h / 2), (t, d, h), white, "tub", 0.03)
        item.soft((0, s * (d - t) / 2, h / 2), (w, t, h), white, "tub", 0.03)
    item.box((0, 0, 0.06), (w - 0.05, d - 0.05, 0.1), white, "tub")
    item.path(
        [(w / 2 - 0.05, 0.1, h), (w / 2 - 0.05, 0.1, h + 0.15), (w / 2 - 0.2, 0.1, h + 0.12)],
        0.014,
        look.metal(),
        "tap",
    )
    return item


@design("bath")
def shower(look: Look) -> Item:
    item = Item("shower")
    size, metal, glass = look.between(0.8, 1.0), look.metal(), look.glass()
    item.soft((0, 0, 0.04), (size, size, 0.08), Material(m.PLAIN, look.white(), gloss=0.5), "tray", 0.02)
    item.box((-size / 2, 0, 1.05), (0.008, size, 1.9), glass, "glass")
    item.box((0, -size / 2, 1.05), (size, 0.008, 1.9), glass, "glass")
    for x, y in ((-size / 2, -size / 2), (size / 2, -size / 2), (-size / 2, size / 2)):
        item.box((x, y, 1.05), (0.03, 0.03, 1.95), metal, "frame")
    item.rod((0.2, size / 2 - 0.04, 0.9), (0.2, size / 2 - 0.04, 2.0), 0.012, metal, "tap")
    item.rod((0.2, size / 2 - 0.04, 2.0), (0.2, size / 2 - 0.3, 2.02), 0.01, metal, "tap")
    item.disc((0.2, size / 2 - 0.3, 2.0), 0.09, 0.015, metal, "tap")
    return item


@design("towel")
def towel_rail(look: Look) -> Item:
    item = Item("towel rail")
    w, metal = look.between(0.4, 0.7), look.metal()
    item.rod((-w / 2, -0.06, 0.5), (w / 2, -0.06, 0.5), 0.01, metal, "rail")
    for s in (-1, 1):
        item.rod((s * w / 2, 0, 0.5), (s * w / 2, -0.06, 0.5), 0.01, metal, "rail")
    cloth = look.new_fabric()
    item.cloth((0, -0.075, 0.28), (w * 0.7, 0.46), 0.015, look.between(1, 3), cloth, "towel", turn(0), top=0.3)
    item.box((0, -0.06, 0.51), (w * 0.7, 0.045, 0.012), cloth, "towel")
    return item
