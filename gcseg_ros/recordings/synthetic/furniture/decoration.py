"""Things on walls and floors: pictures, mirrors, screens, curtains, rugs, plants, radiators."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look, dim
from gcseg_ros.recordings.synthetic.materials import Material


@design("picture")
def framed_picture(look: Look) -> Item:
    """A picture 1.5 to 4 cm thick."""
    item = Item("picture")
    w, h, t = look.between(0.2, 1.1), look.between(0.25, 0.8), look.between(0.015, 0.04)
    b = look.between(0.015, 0.07)
    frame = look.body() if look.chance(0.7) else look.metal()
    for s in (-1, 1):
        item.box((s * (w - b) / 2, 0, h / 2), (b, t, h), frame, "frame")
        item.box((0, 0, h / 2 + s * (h - b) / 2), (w - 2 * b, t, b), frame, "frame")
    pattern = look.choose((m.PRINT, m.NOISE, m.CELLS, m.FADE, m.PLAIN, m.FLOWERS, m.MARBLE))
    art = Material(
        pattern,
        look.any_colour(),
        look.any_colour(),
        look.any_colour(),
        period_m=look.between(0.05, 0.5),
        seed=look.seed(),
        mapping=m.UPRIGHT,
    )
    if look.chance(0.35):
        item.box((0, t * 0.2, h / 2), (w - 2 * b, t * 0.5, h - 2 * b), look.paint(look.white()), "mount")
        item.box((0, t * 0.15, h / 2), (w * 0.6, t * 0.5, h * 0.6), art, "picture")
    else:
        item.box((0, t * 0.2, h / 2), (w - 2 * b, t * 0.5, h - 2 * b), art, "picture")
    return item


@design("picture")
def canvas(look: Look) -> Item:
    """An unframed canvas, poster or plain panel."""
    item = Item("picture")
    w, h, t = look.between(0.25, 1.3), look.between(0.25, 1.0), look.choose((0.002, 0.01, 0.02, 0.03))
    pattern = look.choose((m.PLAIN, m.PRINT, m.CELLS, m.STRIPES, m.FADE, m.NOISE, m.PAGE))
    art = Material(
        pattern,
        look.any_colour(),
        look.any_colour(),
        look.any_colour(),
        period_m=look.between(0.05, 0.5),
        seed=look.seed(),
        mapping=m.UPRIGHT,
    )
    item.box((0, 0, h / 2), (w, t, h), art, "picture")
    return item


@design("mirror")
def mirror(look: Look) -> Item:
    item = Item("mirror")
    w, h = look.between(0.4, 0.8), look.between(0.5, 1.5)
    frame = look.body()
    glass = Material(m.PLAIN, (0.8, 0.85, 0.86), gloss=0.5, mirror=0.88, hole=0.9)
    item.box((0, 0.005, h / 2), (w, 0.025, h), frame, "frame")
    item.box((0, -0.009, h / 2), (w - 0.08, 0.005, h - 0.08), glass, "glass")
    return item


@design("wall clock")
def wall_clock(look: Look) -> Item:
    item = Item("wall clock")
    r = look.between(0.12, 0.22)
    item.rod((0, 0.02, r), (0, -0.02, r), r, look.plastic(), "case")
    item.rod((0, -0.018, r), (0, -0.022, r), r * 0.9, look.paint(look.white()), "face")
    black = look.metal("black")
    item.bar((0, -0.025, r), (r * 0.5, -0.025, r * 1.4), 0.01, 0.004, black, "hands")
    item.bar((0, -0.026, r), (-r * 0.2, -0.026, r * 1.75), 0.008, 0.004, black, "hands")
    return item


@design("tv")
def television(look: Look) -> Item:
    """For the wall (standing=False) or on a foot."""
    item = Item("television")
    w = look.between(0.7, 1.45)
    h = w * 0.57
    dark = look.plastic((0.04, 0.04, 0.045))
    low = 0.0
    if look.chance(0.5):
        low = look.between(0.05, 0.1)
        item.box((0, 0.02, 0.01), (w * 0.4, 0.2, 0.015), dark, "stand")
        item.box((0, 0.03, low / 2 + 0.03), (0.1, 0.03, low + 0.05), dark, "stand")
    item.box((0, 0.02, low + h / 2), (w, look.between(0.03, 0.06), h), dark, "case")
    item.box((0, -0.012, low + h / 2), (w - 0.03, 0.003, h - 0.03), look.screen(), "screen")
    return item


@design("whiteboard")
def whiteboard(look: Look) -> Item:
    item = Item("whiteboard")
    w, h = look.between(1.0, 2.4), look.between(0.8, 1.2)
    face = look.choose(((0.95, 0.95, 0.95), (0.95, 0.95, 0.95), (0.1, 0.25, 0.18), (0.55, 0.42, 0.28)))
    pattern = Material(
        m.PAGE,
        face,
        dim(face, 0.3) if face[0] > 0.5 else (0.9, 0.9, 0.9),
        look.any_colour(),
        seed=look.seed(),
        mapping=m.UPRIGHT,
        contrast=look.choose((0, 0.3, 0.8)),
    )
    item.box((0, 0, h / 2), (w, 0.015, h), pattern, "board")
    metal = look.metal("grey")
    for s in (-1, 1):
        item.box((s * w / 2, 0, h / 2), (0.025, 0.025, h + 0.02), metal, "frame")
        item.box((0, 0, h / 2 + s * h / 2), (w, 0.025, 0.025), metal, "frame")
    item.box((0, -0.035, 0.01), (w * 0.5, 0.06, 0.012), metal, "tray")
    return item


@design("radiator")
def radiator(look: Look) -> Item:
    item = Item("radiator")
    w, h = look.between(0.5, 1.4), look.between(0.4, 0.65)
    white = look.paint(look.white()) if look.chance(0.8) else look.paint()
    low = 0.12
    if look.chance(0.5):
        for x in np.arange(-w / 2, w / 2, 0.06):
            item.soft((float(x) + 0.03, 0, low + h / 2), (0.045, 0.09, h), white, "body", 0.02)
    else:
        panel = Material(m.STRIPES, white.colour, dim(white.colour, 0.92), white.colour, period_m=0.05, contrast=0.7)
        item.box((0, -0.03, low + h / 2), (w, 0.02, h), panel, "body")
        item.box((0, 0.03, low + h / 2), (w, 0.02, h), panel, "body")
        item.box((0, 0, low + h), (w, 0.08, 0.015), white, "body")
    for s in (-1, 1):
        item.rod((s * w * 0.45, 0, 0), (s * w * 0.45, 0, low + 0.02), 0.011, white, "pipes")
    return item


@design("air conditioner")
def air_conditioner(look: Look) -> Item:
    item = Item("air conditioner")
    w = look.between(0.75, 1.0)
    white = look.paint(look.white())
    item.soft((0, 0, 0.15), (w, 0.21, 0.3), white, "case", 0.04)
    item.box((0, -0.1, 0.05), (w * 0.9, 0.02, 0.05), look.plastic((0.5, 0.5, 0.5)), "vent")
    return item


@design("rug")
def rug(look: Look) -> Item:
    """2 to 12 mm high."""
    item = Item("rug", flat=True)
    w, d, t = look.between(1.0, 3.2), look.between(0.8, 2.4), look.choose((0.002, 0.003, 0.005, 0.008, 0.012))
    material = look.carpet()
    if look.chance(0.75):
        item.box((0, 0, t / 2), (w, d, t), material, "rug")
        if look.chance(0.4):
            b = look.between(0.04, 0.2)
            border = look.carpet() if look.chance(0.4) else look.paint(dim(material.colour, 0.6))
            for s in (-1, 1):
                item.box((s * (w - b) / 2, 0, t / 2 + 0.0004), (b, d, t), border, "border")
                item.box((0, s * (d - b) / 2, t / 2 + 0.0004), (w - 2 * b, b, t), border, "border")
    else:
        item.disc((0, 0, t / 2), d / 2, t, material, "rug")
    return item


def foliage(item: Item, look: Look, base: float, height: float, spread: float) -> None:
    """Leaves from `base` up: broad leaves on stems, a bush of blobs, a palm, or spikes."""
    leaf = look.leaf()
    stem = look.wood("walnut") if look.chance(0.4) else leaf
    kind = look.choose(("broad", "bush", "palm", "spikes", "tree"))
    count = look.whole(8, 26)
    if kind == "bush":
        for _ in range(count):
            a, r, z = look.between(0, 6.28), look.between(0, spread * 0.6), look.between(0.15, 1.0) * height
            s = look.between(0.12, 0.35) * spread
            item.ball((r * np.cos(a), r * np.sin(a), base + z * 0.8), (s, s, s * 0.8), leaf, "leaves")
    elif kind == "tree":
        item.rod((0, 0, base - 0.05), (0, 0, base + height * 0.7), 0.015, stem, "stem")
        for _ in range(count):
            a, r, z = look.between(0, 6.28), look.between(0, spread * 0.7), look.between(0.55, 1.0) * height
            lean = turn(look.between(0, 6.28), look.between(-0.9, 0.9), look.between(-0.9, 0.9))
            item.ball((r * np.cos(a), r * np.sin(a), base + z), (0.09, 0.045, 0.008), leaf, "leaves", turned=lean)
    else:
        for _ in range(count):
            a = look.between(0, 6.28)
            up = look.between(0.4, 1.0) * height
            out = look.between(0.2, 1.0) * spread
            tip = np.array([out * np.cos(a), out * np.sin(a), base + up])
            if kind == "spikes":
                item.rod(
                    (0.02 * np.cos(a), 0.02 * np.sin(a), base - 0.02),
                    tuple(tip * (0.6, 0.6, 1.0)),
                    0.022,
                    leaf,
                    "leaves",
                    end_radius=0.003,
                )
                continue
            root = np.array([0.0, 0.0, base + (up * 0.3 if kind == "palm" else 0.0)])
            item.rod(tuple(root), tuple(tip), 0.005, stem, "stem")
            long = look.between(0.1, 0.26) * (1.3 if kind == "palm" else 1)
            wide = long * (0.18 if kind == "palm" else look.between(0.3, 0.6))
            lean = turn(a, look.between(0.1, 0.9), look.between(-0.3, 0.3))
            middle = tip + lean @ np.array([long * 0.7, 0, 0])
            item.ball((middle[0], middle[1], middle[2]), (long, wide, 0.006), leaf, "leaves", turned=lean)


def plant_pot(item: Item, look: Look, radius: float, height: float) -> None:
    material = look.choose((look.ceramic(), look.plastic((0.6, 0.32, 0.2)), look.concrete(), look.wicker()))
    if look.chance(0.75):
        item.lathe([(radius * look.between(0.6, 0.95), 0), (radius, height)], material, "pot")
        item.disc((0, 0, height * 0.85), radius * 0.93, 0.01, look.plastic((0.16, 0.1, 0.07)), "soil")
    else:
        for s in (-1, 1):
            item.box((s * radius, 0, height / 2), (0.02, 2 * radius, height), material, "pot")
            item.box((0, s * radius, height / 2), (2 * radius, 0.02, height), material, "pot")
        item.box((0, 0, height * 0.45), (2 * radius, 2 * radius, height * 0.8), look.plastic((0.16, 0.1, 0.07)), "soil")


@design("plant")
def floor_plant(look: Look) -> Item:
    item = Item("plant")
    radius, height = look.between(0.12, 0.22), look.between(0.2, 0.45)
    plant_pot(item, look, radius, height)
    foliage(item, look, height * 0.85, look.between(0.5, 1.3), look.between(0.25, 0.5))
    return item


@design("small plant")
def small_plant(look: Look) -> Item:
    item = Item("small plant")
    radius, height = look.between(0.05, 0.09), look.between(0.07, 0.15)
    plant_pot(item, look, radius, height)
    before = len(item.matrices)
    foliage(item, look, 0.0, look.between(0.5, 0.9), look.between(0.25, 0.4))
    for matrix in item.matrices[before:]:
        matrix[:3] *= 0.3
        matrix[2, 3] += height * 0.8
    return item


@design("column")
def column(look: Look, height: float = 2.6) -> Item:
    item = Item("column", stuff=True)
    size = look.between(0.25, 0.5)
    material = look.wall()
    if look.chance(0.5):
        item.rod((0, 0, 0), (0, 0, height), size / 2, material, "column")
    else:
        item.box((0, 0, height / 2), (size, size, height), material, "column")
    return item


@design("partition")
def partition(look: Look) -> Item:
    """A free-standing screen: framed fabric panels, or folding leaves."""
    item = Item("partition")
    height = look.between(1.1, 1.9)
    frame = look.metal() if look.chance(0.6) else look.wood()
    if look.chance(0.6):
        w = look.between(1.0, 2.0)
        item.box((0, 0, height / 2 + 0.03), (w, 0.04, height - 0.06), look.fabric(), "panel")
        for s in (-1, 1):
            item.box((s * w / 2, 0, height / 2), (0.04, 0.055, height), frame, "frame")
            item.box((s * w * 0.42, 0, 0.015), (0.06, 0.4, 0.03), frame, "feet")
        item.box((0, 0, height), (w, 0.055, 0.03), frame, "frame")
    else:
        count, w = look.whole(3, 4), look.between(0.4, 0.55)
        cover = look.new_fabric()
        x = 0.0
        for i in range(count):
            a = 0.5 if i % 2 else -0.5
            middle = (x + w / 2 * np.cos(a), w / 2 * np.sin(a) - (w * np.sin(a) if i % 2 else 0), height / 2)
            item.box(middle, (w, 0.02, height - 0.1), cover, "panels", turn(a))
            for s in (-1, 1):
                edge = (middle[0] + s * w / 2 * np.cos(a), middle[1] + s * w / 2 * np.sin(a), height / 2)
                item.box(edge, (0.025, 0.03, height), frame, "frame", turn(a))
            x += w * np.cos(a)
    return item
