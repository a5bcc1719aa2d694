"""Designs that appear in the held-out styles only: other constructions of known families, and families of their own."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look, dim
from gcseg_ros.recordings.synthetic.materials import Material

# --- seats ---


@design("chair", held_out=True)
def windsor_chair(look: Look) -> Item:
    """A saddle seat, turned legs, a bow with spindles."""
    item = Item("chair")
    wood, w = look.wood(), look.between(0.42, 0.5)
    seat, back = 0.44, look.between(0.85, 1.05)
    item.ball((0, 0, seat), (w / 2, w / 2, 0.035), wood, "seat")
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.rod(
                (sx * w * 0.48, sy * w * 0.46, 0),
                (sx * w * 0.28, sy * w * 0.26, seat),
                0.012,
                wood,
                "legs",
                end_radius=0.02,
            )
    bow = [
        (w * 0.45 * np.cos(a), w * 0.4 + 0.06 * np.sin(a), seat + (back - seat) * np.sin(a))
        for a in np.linspace(0.05, np.pi - 0.05, 9)
    ]
    item.path([(float(x), float(y), float(z)) for x, y, z in bow], 0.013, wood, "bow")
    for a in np.linspace(0.5, np.pi - 0.5, 6):
        x = w * 0.42 * np.cos(a)
        item.rod(
            (x * 0.8, w * 0.38, seat),
            (x, w * 0.4 + 0.06 * np.sin(a), seat + (back - seat) * np.sin(a) * 0.97),
            0.006,
            wood,
            "bow",
        )
    return item


@design("chair", held_out=True)
def bistro_chair(look: Look) -> Item:
    """Thin bent metal, a round seat, a heart of wire as the back."""
    item = Item("chair")
    metal, r = look.metal(), 0.2
    item.disc((0, 0, 0.45), r, 0.02, look.wicker() if look.chance(0.5) else metal, "seat")
    for k in range(4):
        a = k * np.pi / 2 + np.pi / 4
        item.rod(
            (0.26 * np.cos(a), 0.26 * np.sin(a), 0), (0.17 * np.cos(a), 0.17 * np.sin(a), 0.45), 0.008, metal, "legs"
        )
    item.ring((0, 0, 0.2), 0.21, 0.006, metal, "legs")
    item.ring((0, 0.2, 0.68), 0.17, 0.009, metal, "back", turn(roll=np.pi / 2 - 0.1))
    item.ring((0, 0.2, 0.68), 0.09, 0.007, metal, "back", turn(roll=np.pi / 2 - 0.1))
    for s in (-1, 1):
        item.rod((s * 0.14, 0.14, 0.45), (s * 0.12, 0.19, 0.56), 0.008, metal, "back")
    return item


@design("chair", held_out=True)
def folding_chair(look: Look) -> Item:
    item = Item("chair")
    frame, cover = look.metal() if look.chance(0.5) else look.wood(), look.plastic()
    for s in (-1, 1):
        item.bar((s * 0.21, -0.2, 0), (s * 0.21, 0.18, 0.8), 0.022, 0.03, frame, "frame")
        item.bar((s * 0.19, 0.25, 0), (s * 0.19, -0.18, 0.44), 0.022, 0.03, frame, "frame")
    for y in np.linspace(-0.17, 0.12, 5):
        item.box((0, float(y), 0.45), (0.38, 0.05, 0.016), cover, "seat")
    for z in (0.66, 0.76):
        item.box((0, 0.18 + 0.4 * (z - 0.8), z), (0.42, 0.015, 0.07), cover, "back")
    return item


@design("stool", held_out=True)
def saddle_stool(look: Look, height: float | None = None) -> Item:
    item = Item("stool")
    metal, h = look.metal(), height or look.between(0.5, 0.75)
    for k in range(3):
        a = k * 2 * np.pi / 3
        item.path(
            [(0, 0, 0.25), (0.15 * np.cos(a), 0.15 * np.sin(a), 0.12), (0.25 * np.cos(a), 0.25 * np.sin(a), 0.015)],
            0.014,
            metal,
            "legs",
        )
    item.rod((0, 0, 0.2), (0, 0, h), 0.02, metal, "column")
    item.pillow((0, 0, h), (0.36, 0.3, 0.1), look.leather(), "seat")
    return item


@design("sofa", held_out=True)
def chesterfield(look: Look) -> Item:
    """Rolled arms as high as the back, buttons."""
    item = Item("sofa")
    cover, w, d, h = look.leather(), look.between(1.5, 2.3), 0.9, look.between(0.68, 0.8)
    item.soft((0, 0, 0.2), (w, d, 0.2), cover, "base", 0.03)
    item.rod((-w / 2, d / 2 - 0.1, h - 0.08), (w / 2, d / 2 - 0.1, h - 0.08), 0.11, cover, "back")
    item.soft((0, d / 2 - 0.1, h / 2 + 0.05), (w, 0.16, h - 0.2), cover, "back", 0.05)
    for s in (-1, 1):
        item.rod((s * (w / 2 - 0.08), -d / 2, h - 0.1), (s * (w / 2 - 0.08), d / 2, h - 0.1), 0.11, cover, "arms")
        item.soft((s * (w / 2 - 0.08), 0, h / 2 - 0.02), (0.14, d - 0.02, h - 0.22), cover, "arms", 0.05)
        for sy in (-1, 1):
            item.ball((s * (w / 2 - 0.1), sy * (d / 2 - 0.1), 0.05), (0.05, 0.05, 0.05), look.wood("walnut"), "feet")
    item.soft((0, -0.08, 0.37), (w - 0.36, d - 0.28, 0.16), cover, "seat", 0.06)
    for x in np.arange(-w / 2 + 0.3, w / 2 - 0.25, 0.2):
        item.ball((float(x), d / 2 - 0.19, h * 0.68), (0.014, 0.012, 0.014), dim_material(cover), "back")
    item.surface((0, -0.05, 0.455), (w - 0.5, 0.4), 0.4, "sofa")
    return item


def dim_material(material: Material) -> Material:
    return Material(m.PLAIN, dim(material.colour, 0.6))


@design("sofa", held_out=True)
def futon(look: Look) -> Item:
    """A mattress folded over a slatted frame."""
    item = Item("sofa")
    wood, cover, w = look.wood(), look.new_fabric(), look.between(1.4, 2.0)
    for s in (-1, 1):
        item.box((s * w / 2, 0, 0.3), (0.06, 0.85, 0.06), wood, "frame")
        item.box((s * w / 2, -0.38, 0.15), (0.06, 0.06, 0.3), wood, "frame")
        item.box((s * w / 2, 0.38, 0.3), (0.06, 0.06, 0.6), wood, "frame")
    for y in np.linspace(-0.36, 0.3, 6):
        item.box((0, float(y), 0.28), (w, 0.06, 0.02), wood, "frame")
    item.soft((0, -0.05, 0.38), (w - 0.08, 0.8, 0.16), cover, "mattress", 0.07)
    item.soft((0, 0.36, 0.66), (w - 0.08, 0.16, 0.6), cover, "mattress", 0.07, turn(roll=-0.3))
    item.surface((0, -0.1, 0.465), (w - 0.3, 0.4), 0.4, "sofa")
    return item


@design("armchair", held_out=True)
def egg_chair(look: Look) -> Item:
    item = Item("armchair")
    shell, cover = look.plastic(), look.fabric()
    item.disc((0, 0, 0.015), 0.26, 0.03, look.metal(), "foot")
    item.rod((0, 0, 0.02), (0, 0, 0.4), 0.03, look.metal(), "foot")
    item.ball((0, 0.1, 0.75), (0.42, 0.4, 0.5), shell, "shell", cut=(-0.9, 0.15), turned=turn(roll=np.pi / 2 - 0.4))
    item.pillow((0, -0.02, 0.45), (0.55, 0.5, 0.16), cover, "seat")
    return item


@design("armchair", held_out=True)
def rocking_chair(look: Look) -> Item:
    item = Item("rocking chair")
    wood, w = look.wood(), 0.55
    for s in (-1, 1):
        arc = [(s * w / 2, 0.55 * np.sin(a), 0.75 - 0.73 * np.cos(a)) for a in np.linspace(-0.9, 0.9, 8)]
        item.path([(float(x), float(y), float(z)) for x, y, z in arc], 0.018, wood, "rockers")
        item.rod((s * w / 2, -0.2, 0.08), (s * w / 2, -0.22, 0.62), 0.018, wood, "frame")
        item.rod((s * w / 2, 0.2, 0.08), (s * w / 2, 0.38, 1.15), 0.018, wood, "frame")
        item.box((s * w / 2, -0.02, 0.63), (0.06, 0.5, 0.025), wood, "frame")
    for x in np.linspace(-0.2, 0.2, 6):
        item.rod((float(x), 0.22, 0.42), (float(x), 0.37, 1.1), 0.009, wood, "frame")
    item.box((0, 0.37, 1.12), (w, 0.03, 0.09), wood, "frame")
    item.soft((0, -0.02, 0.42), (w - 0.04, 0.48, 0.06), look.fabric(), "seat", 0.025)
    return item


# --- tables, shelves, cupboards ---


@design("table", held_out=True)
def tulip_table(look: Look, width: float | None = None) -> Item:
    item = Item("table")
    r, h = look.between(0.35, 0.65), look.between(0.7, 0.76)
    base = look.paint(look.white()) if look.chance(0.5) else look.paint()
    item.lathe([(r * 0.55, 0), (r * 0.3, 0.03), (0.05, 0.2), (0.04, 0.5), (0.14, h - 0.03)], base, "foot")
    item.disc((0, 0, h - 0.012), r, 0.024, look.stone(), "top")
    item.surface((0, 0, h), (r * 1.3, r * 1.3), 1.0, "cafe")
    return item


@design("table", held_out=True)
def cross_table(look: Look, width: float | None = None) -> Item:
    """Crossed legs at both ends, a plank top with bread-board ends."""
    item = Item("table")
    w, d, h = look.between(1.3, 2.4), look.between(0.7, 1.0), 0.75
    wood, dark = look.wood(), look.metal("black")
    for y in np.linspace(-d / 2 + d / 10, d / 2 - d / 10, 5):
        item.box((0, float(y), h - 0.02), (w - 0.24, d / 5 - 0.004, 0.04), look.wood(), "top")
    for s in (-1, 1):
        item.box((s * (w / 2 - 0.06), 0, h - 0.02), (0.115, d, 0.042), wood, "top")
        x = s * w * 0.36
        item.bar((x, -d * 0.42, 0), (x, d * 0.42, h - 0.04), 0.06, 0.06, dark, "legs")
        item.bar((x, d * 0.42, 0), (x, -d * 0.42, h - 0.04), 0.06, 0.06, dark, "legs")
    item.rod((-w * 0.36, 0, h / 2), (w * 0.36, 0, h / 2), 0.015, dark, "legs")
    item.surface((0, 0, h + 0.001), (w - 0.1, d - 0.1), 1.0, "cafe")
    return item


@design("coffee table", held_out=True)
def drum_table(look: Look) -> Item:
    item = Item("coffee table")
    r, h = look.between(0.3, 0.5), look.between(0.3, 0.42)
    item.lathe(
        [(r * 0.8, 0), (r, h * 0.5), (r * 0.8, h)], look.wicker() if look.chance(0.4) else look.metal("brass"), "drum"
    )
    item.disc((0, 0, h + 0.01), r * 0.84, 0.02, look.wood(), "top")
    item.surface((0, 0, h + 0.02), (r * 1.1, r * 1.1), 1.0, "cafe")
    return item


@design("coffee table", held_out=True)
def trunk(look: Look) -> Item:
    item = Item("trunk")
    w, d, h = look.between(0.7, 1.1), look.between(0.4, 0.55), look.between(0.35, 0.5)
    wood, brass = look.wood(), look.metal("brass")
    item.box((0, 0, h / 2), (w, d, h), wood, "body")
    for x in (-0.36, 0, 0.36):
        item.box((x * w, 0, h / 2), (0.04, d + 0.012, h + 0.012), look.leather(), "straps")
    item.box((0, -d / 2 - 0.005, h * 0.65), (0.08, 0.01, 0.1), brass, "lock")
    item.surface((0, 0, h + 0.007), (w - 0.1, d - 0.1), 0.8, "cafe")
    return item


@design("shelf", held_out=True)
def zigzag_shelf(look: Look) -> Item:
    item = Item("shelf")
    w, d, rows, tall = look.between(0.7, 1.1), 0.28, look.whole(3, 6), look.between(0.3, 0.38)
    body, t = look.body(), 0.025
    for j in range(rows + 1):
        item.box((0, 0, 0.04 + j * tall), (w, d, t), body, "boards")
        if j < rows:
            s = 1 if j % 2 else -1
            item.bar((s * w * 0.48, 0, 0.04 + j * tall), (-s * w * 0.1, 0, 0.04 + (j + 1) * tall), t, d, body, "boards")
            item.surface((-s * w * 0.27, 0, 0.053 + j * tall), (w * 0.4, d - 0.05), tall - 0.05, "shelf")
    item.surface((0, 0, 0.054 + rows * tall), (w - 0.1, d - 0.06), 0.5, "cafe")
    return item


@design("shelf", held_out=True)
def corner_tower(look: Look) -> Item:
    """Round boards on a pole."""
    item = Item("shelf")
    pole, board, rows = look.metal(), look.body(), look.whole(3, 5)
    item.rod((0, 0, 0), (0, 0, rows * 0.36 + 0.1), 0.02, pole, "pole")
    for j in range(rows):
        r = 0.26 - 0.02 * j
        item.disc((0, 0, 0.08 + j * 0.36), r, 0.02, board, "boards")
        item.surface((0.0, -r * 0.45, 0.091 + j * 0.36), (r * 1.0, r * 0.6), 0.3, "cafe")
    return item


@design("cupboard", held_out=True)
def apothecary(look: Look) -> Item:
    """Many small drawers with labels."""
    item = Item("cupboard")
    columns, rows, size = look.whole(4, 8), look.whole(3, 7), look.between(0.14, 0.2)
    w, h, d = columns * size, rows * size * 0.8, 0.38
    body, front, brass = look.wood(), look.wood(), look.metal("brass")
    item.box((0, 0, h / 2 + 0.08), (w + 0.04, d, h + 0.04), body, "body")
    for s in (-1, 1):
        item.box((s * w * 0.48, 0, 0.03), (0.05, d, 0.06), body, "feet")
    for i in range(columns):
        for j in range(rows):
            x, z = -w / 2 + (i + 0.5) * size, 0.08 + (j + 0.5) * size * 0.8
            item.box((x, -d / 2 - 0.006, z), (size - 0.012, 0.015, size * 0.8 - 0.012), front, "drawers")
            item.ball((x, -d / 2 - 0.02, z - 0.02), (0.01, 0.012, 0.01), brass, "knobs")
    item.surface((0, 0, h + 0.101), (w - 0.08, d - 0.06), 0.7, "cafe")
    return item


@design("cupboard", held_out=True)
def round_cabinet(look: Look) -> Item:
    item = Item("cabinet")
    w, d, h = look.between(0.8, 1.4), 0.42, look.between(0.7, 1.0)
    body = look.body()
    ribs = Material(
        m.STRIPES, body.colour, dim(body.colour, 0.75), body.colour, period_m=0.03, contrast=0.8, mapping=m.UPRIGHT
    )
    item.box((0, 0, h / 2 + 0.05), (w - d, d, h - 0.1), ribs, "body")
    for s in (-1, 1):
        item.rod((s * (w - d) / 2, 0, 0.1), (s * (w - d) / 2, 0, h), d / 2, ribs, "body")
        item.rod((s * (w - d) / 2, 0, 0), (s * (w - d) / 2, 0, 0.1), 0.02, look.metal("brass"), "feet")
    item.soft((0, 0, h + 0.012), (w + 0.01, d + 0.02, 0.028), look.stone(), "top", 0.013)
    item.surface((0, 0, h + 0.027), (w - 0.2, d - 0.08), 0.7, "cafe")
    return item


# --- light, plants, pictures ---


@design("ceiling lamp", held_out=True)
def paper_lantern(look: Look) -> Item:
    item = Item("lantern")
    r, drop = look.between(0.15, 0.3), look.between(0.2, 0.7)
    paper = Material(
        m.STRIPES,
        (0.96, 0.94, 0.88),
        (0.86, 0.84, 0.78),
        (0.9, 0.9, 0.85),
        period_m=0.04,
        emission=0.3,
        mapping=m.UPRIGHT,
    )
    item.rod((0, 0, 0), (0, 0, -drop), 0.004, look.metal("black"), "cord")
    item.ball((0, 0, -drop - r * 0.85), (r, r, r * look.between(0.7, 1.1)), paper, "lantern", cut=(-0.95, 0.95))
    return item


@design("ceiling lamp", held_out=True)
def spot_bar(look: Look) -> Item:
    item = Item("spot lamp")
    w, metal = look.between(0.8, 1.6), look.metal()
    item.box((0, 0, -0.02), (w, 0.04, 0.03), metal, "rail")
    for x in np.linspace(-w * 0.4, w * 0.4, look.whole(2, 4)):
        tip = (float(x) + look.between(-0.1, 0.1), look.between(-0.12, 0.12), -0.2)
        item.rod((float(x), 0, -0.03), (float(x), 0, -0.1), 0.01, metal, "spots")
        item.rod((float(x), 0, -0.08), tip, 0.03, metal, "spots", end_radius=0.05, caps=1)
    return item


@design("floor lamp", held_out=True)
def column_lamp(look: Look) -> Item:
    item = Item("floor lamp")
    h = look.between(1.0, 1.5)
    paper = Material(m.CHECKS, (0.95, 0.93, 0.87), (0.88, 0.85, 0.78), period_m=0.3, emission=0.3, mapping=m.UPRIGHT)
    item.box((0, 0, h / 2), (0.24, 0.24, h), paper, "shade")
    wood = look.wood()
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.box((sx * 0.12, sy * 0.12, h / 2), (0.02, 0.02, h + 0.02), wood, "frame")
    return item


@design("plant", held_out=True)
def cactus(look: Look) -> Item:
    item = Item("cactus")
    item.lathe([(0.14, 0), (0.18, 0.3)], look.ceramic(), "pot")
    item.disc((0, 0, 0.26), 0.165, 0.01, look.plastic((0.4, 0.33, 0.25)), "soil")
    green = Material(
        m.STRIPES, (0.25, 0.42, 0.22), (0.18, 0.33, 0.17), (0.5, 0.55, 0.35), period_m=0.03, mapping=m.UPRIGHT
    )
    h = look.between(0.4, 1.0)
    item.rod((0, 0, 0.25), (0, 0, 0.25 + h), 0.07, green, "stem")
    item.ball((0, 0, 0.25 + h), (0.07, 0.07, 0.07), green, "stem")
    for s in (-1, 1):
        if look.chance(0.7):
            z = 0.25 + h * look.between(0.35, 0.7)
            item.path([(0, 0, z), (s * 0.16, 0, z), (s * 0.16, 0, z + look.between(0.12, 0.3))], 0.04, green, "arms")
            item.ball((s * 0.16, 0, item.matrices[-1][2, 3] + 0.05), (0.04, 0.04, 0.05), green, "arms")
    return item


@design("plant", held_out=True)
def hanging_fern(look: Look) -> Item:
    """On a stand, leaves bending down."""
    item = Item("plant")
    metal, leaf, h = look.metal("black"), look.leaf(), look.between(0.6, 0.9)
    for k in range(3):
        a = k * 2 * np.pi / 3
        item.rod((0.18 * np.cos(a), 0.18 * np.sin(a), 0), (0.1 * np.cos(a), 0.1 * np.sin(a), h), 0.008, metal, "stand")
    item.lathe([(0.09, h - 0.05), (0.14, h + 0.14)], look.ceramic(), "pot")
    for _ in range(look.whole(14, 28)):
        a, reach = look.between(0, 6.28), look.between(0.2, 0.42)
        x, y = np.cos(a), np.sin(a)
        points = [
            (0, 0, h + 0.12),
            (reach * 0.5 * x, reach * 0.5 * y, h + 0.32),
            (reach * x, reach * y, h + look.between(0.0, 0.2)),
        ]
        item.path([(float(p), float(q), float(r)) for p, q, r in points], 0.011, leaf, "leaves")
    return item


@design("picture", held_out=True)
def triptych(look: Look) -> Item:
    item = Item("picture")
    w, h = look.between(0.2, 0.35), look.between(0.5, 0.8)
    art = Material(
        look.choose((m.CHEVRON, m.HEXAGONS, m.MARBLE)),
        look.any_colour(),
        look.any_colour(),
        look.any_colour(),
        period_m=look.between(0.08, 0.3),
        mapping=m.UPRIGHT,
        seed=look.seed(),
    )
    for i in range(3):
        item.box(((i - 1) * (w + 0.03), 0, h / 2 + (0.05 if i == 1 else 0)), (w, 0.03, h), art, "panels")
    return item


@design("picture", held_out=True)
def round_sign(look: Look) -> Item:
    item = Item("sign")
    r = look.between(0.15, 0.35)
    item.rod((0, 0.015, r), (0, -0.015, r), r, look.paint(look.any_colour()), "sign")
    item.ring((0, 0, r), r, 0.015, look.metal(), "rim", turn(roll=np.pi / 2))
    item.box((0, -0.017, r), (r * 1.2, 0.004, r * 0.3), look.paint(look.white()), "text")
    return item


@design("rug", held_out=True)
def hex_rug(look: Look) -> Item:
    item = Item("rug", flat=True)
    w, d = look.between(1.2, 2.6), look.between(0.9, 1.8)
    weave = Material(
        look.choose((m.CHEVRON, m.HEXAGONS)),
        look.any_colour(),
        look.any_colour(),
        look.any_colour(),
        period_m=look.between(0.08, 0.3),
        seed=look.seed(),
    )
    item.box((0, 0, 0.004), (w, d, 0.008), weave, "rug")
    for s in (-1, 1):
        for y in np.arange(-d / 2 + 0.03, d / 2, 0.06):
            item.box(
                (s * (w / 2 + 0.03), float(y), 0.002), (0.06, 0.012, 0.004), look.paint((0.9, 0.88, 0.8)), "fringe"
            )
    return item


@design("bin", held_out=True)
def mesh_bin(look: Look) -> Item:
    item = Item("bin")
    metal, r, h = look.metal("black"), 0.14, 0.32
    for z in np.linspace(0.01, h, 7):
        item.ring((0, 0, float(z)), r * (0.8 + 0.2 * z / h), 0.004, metal, "mesh")
    for k in range(14):
        a = k * 2 * np.pi / 14
        item.rod((0.8 * r * np.cos(a), 0.8 * r * np.sin(a), 0), (r * np.cos(a), r * np.sin(a), h), 0.003, metal, "mesh")
    item.disc((0, 0, 0.005), r * 0.8, 0.008, metal, "mesh")
    return item


# --- cafe ---


@design("bar counter")
def bar_counter(look: Look, width: float = 2.5) -> Item:
    item = Item("counter")
    h, d = look.between(1.0, 1.12), 0.6
    front = Material(
        look.choose((m.CHEVRON, m.HEXAGONS, m.PLANKS)),
        look.any_colour(),
        look.any_colour(),
        look.any_colour(),
        period_m=0.12,
        mapping=m.UPRIGHT,
    )
    item.box((0, 0, h / 2), (width, d - 0.12, h - 0.02), front, "front")
    item.soft(
        (0, -0.05, h), (width + 0.06, d + 0.1, 0.05), look.stone() if look.chance(0.5) else look.wood(), "top", 0.02
    )
    item.rod((-width / 2, -d / 2 - 0.08, 0.2), (width / 2, -d / 2 - 0.08, 0.2), 0.02, look.metal("brass"), "rail")
    item.surface((0, -0.05, h + 0.026), (width - 0.1, d - 0.1), 0.6, "cafe")
    return item


@design("display case")
def pastry_case(look: Look) -> Item:
    item = Item("display case")
    w, d, h = look.between(0.9, 1.6), 0.6, 1.25
    body, glass = look.paint(), look.glass()
    item.box((0, 0, 0.35), (w, d, 0.7), body, "base")
    item.box((0, -d / 2, 1.0), (w, 0.008, 0.5), glass, "glass")
    for s in (-1, 1):
        item.box((s * w / 2, 0, 1.0), (0.01, d, 0.5), glass, "glass")
    item.box((0, 0, h), (w, d, 0.03), body, "top")
    item.box((0, 0, 0.98), (w - 0.04, d - 0.1, 0.012), look.metal("steel"), "shelf")
    for z in (0.71, 0.987):
        for _ in range(look.whole(4, 9)):
            cake = look.plastic(look.choose(((0.75, 0.5, 0.25), (0.9, 0.8, 0.6), (0.5, 0.25, 0.12), (0.9, 0.5, 0.6))))
            item.ball(
                (look.between(-w * 0.42, w * 0.42), look.between(-0.2, 0.2), z),
                (0.06, 0.05, 0.06),
                cake,
                "cakes",
                cut=(0, 1),
            )
    item.surface((0, 0, h + 0.016), (w - 0.1, d - 0.1), 0.5, "cafe")
    return item


@design("espresso machine")
def espresso_machine(look: Look) -> Item:
    item = Item("espresso machine")
    steel, black = look.metal("chrome"), look.metal("black")
    item.box((0, 0, 0.06), (0.7, 0.48, 0.08), steel, "base")
    item.box((0, 0.12, 0.28), (0.7, 0.24, 0.4), steel, "body")
    item.soft((0, 0, 0.47), (0.72, 0.48, 0.1), look.paint(look.any_colour()), "top", 0.03)
    for x in (-0.2, 0.2):
        item.rod((x, -0.08, 0.4), (x, -0.08, 0.3), 0.035, steel, "groups")
        item.rod((x, -0.08, 0.31), (x, -0.27, 0.29), 0.012, black, "handles")
    return item


@design("cafe thing")
def cake_stand(look: Look) -> Item:
    item = Item("cake stand")
    item.lathe([(0.07, 0), (0.02, 0.03), (0.02, 0.1), (0.13, 0.12)], look.ceramic(), "stand")
    item.disc((0, 0, 0.155), 0.1, 0.07, look.plastic((0.5, 0.27, 0.15)), "cake")
    item.disc((0, 0, 0.195), 0.101, 0.012, look.plastic((0.95, 0.85, 0.85)), "cake")
    return item


@design("cafe thing")
def teapot(look: Look) -> Item:
    item = Item("teapot")
    pot = look.ceramic()
    item.ball((0, 0, 0.075), (0.085, 0.085, 0.075), pot, "pot")
    item.ball((0, 0, 0.155), (0.016, 0.016, 0.016), pot, "lid")
    item.rod((0.07, 0, 0.06), (0.15, 0, 0.13), 0.022, pot, "spout", end_radius=0.01)
    item.ring((-0.1, 0, 0.08), 0.045, 0.008, pot, "handle", turn(roll=np.pi / 2))
    return item


@design("cafe thing")
def menu_stand(look: Look) -> Item:
    item = Item("menu")
    for s in (-1, 1):
        item.box((0, s * 0.025, 0.1), (0.13, 0.003, 0.2), look.page(), "card", turn(roll=s * 0.24))
    return item


@design("cafe thing")
def glass_jar(look: Look) -> Item:
    item = Item("jar")
    h = look.between(0.12, 0.28)
    item.disc((0, 0, h / 2), 0.06, h, look.plastic(look.any_colour()), "jar")
    item.disc((0, 0, h + 0.012), 0.045, 0.024, look.wood(), "lid")
    return item


@design("cafe thing")
def sugar_shaker(look: Look) -> Item:
    item = Item("shaker")
    item.rod((0, 0, 0), (0, 0, 0.1), 0.032, look.plastic((0.92, 0.92, 0.9)), "body", end_radius=0.026)
    item.ball((0, 0, 0.1), (0.027, 0.027, 0.025), look.metal("steel"), "cap", cut=(0, 1))
    return item


# --- nursery ---


@design("bed", held_out=True)
def crib(look: Look) -> Item:
    item = Item("crib")
    wood, w, d, h = look.paint(look.white()) if look.chance(0.5) else look.wood(), 1.25, 0.68, 0.9
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.box((sx * w / 2, sy * d / 2, h / 2), (0.05, 0.05, h), wood, "frame")
        item.box((sx * w / 2, 0, h - 0.02), (0.03, d, 0.05), wood, "frame")
        item.box((sx * w / 2, 0, 0.25), (0.03, d, 0.06), wood, "frame")
        item.box((0, sx * d / 2, h - 0.02), (w, 0.03, 0.05), wood, "frame")
        item.box((0, sx * d / 2, 0.25), (w, 0.03, 0.06), wood, "frame")
        for x in np.linspace(-w / 2 + 0.09, w / 2 - 0.09, 12):
            item.rod((float(x), sx * d / 2, 0.25), (float(x), sx * d / 2, h - 0.03), 0.009, wood, "bars")
        for y in np.linspace(-d / 2 + 0.09, d / 2 - 0.09, 6):
            item.rod((sx * w / 2, float(y), 0.25), (sx * w / 2, float(y), h - 0.03), 0.009, wood, "bars")
    item.soft((0, 0, 0.36), (w - 0.06, d - 0.06, 0.12), look.paint(look.white()), "mattress", 0.04)
    item.soft((-0.15, 0, 0.43), (w * 0.6, d - 0.1, 0.05), look.new_fabric(), "blanket", 0.022)
    item.surface((0.3, 0, 0.425), (0.4, 0.4), 0.6, "toys")
    return item


@design("changing table")
def changing_table(look: Look) -> Item:
    item = Item("changing table")
    body = look.body()
    w, d = 0.9, 0.6
    for s in (-1, 1):
        item.box((s * w / 2, 0, 0.5), (0.025, d, 1.0), body, "sides")
    for z in (0.12, 0.5, 0.88):
        item.box((0, 0, z), (w, d, 0.02), body, "shelves")
    item.soft((0, 0, 0.94), (w - 0.06, d - 0.04, 0.1), look.new_fabric(), "mat", 0.04)
    for z in (0.131, 0.511):
        item.surface((0, 0, z), (w - 0.08, d - 0.08), 0.33, "toys")
    return item


@design("play tent")
def tepee(look: Look) -> Item:
    item = Item("tent")
    r, h, wood = look.between(0.5, 0.7), look.between(1.3, 1.7), look.wood()
    cloth = look.new_fabric(look.any_colour())
    for k in range(5):
        a = k * 2 * np.pi / 5 + 0.3
        foot, top = (r * np.cos(a), r * np.sin(a), 0), (-0.12 * np.cos(a), -0.12 * np.sin(a), h * 1.15)
        item.rod(foot, top, 0.014, wood, "poles")
    item.rod((0, 0, 0), (0, 0, h), r * 0.98, cloth, "cloth", end_radius=0.04, caps=0)
    dark = Material(m.PLAIN, dim(cloth.colour, 0.25))
    item.bar((0, -r * 0.86, 0.02), (0, -r * 0.36, h * 0.62), 0.32, 0.02, dark, "entrance")
    return item


@design("big toy")
def rocking_horse(look: Look) -> Item:
    item = Item("rocking horse")
    wood, mane = look.wood(), look.plastic()
    for s in (-1, 1):
        arc = [(0.45 * np.sin(a), s * 0.14, 0.62 - 0.6 * np.cos(a)) for a in np.linspace(-0.9, 0.9, 7)]
        item.path([(float(x), y, float(z)) for x, y, z in arc], 0.02, wood, "rockers")
        for x in (-0.18, 0.2):
            item.rod((x * 1.4, s * 0.14, 0.1), (x, s * 0.07, 0.42), 0.025, wood, "legs")
    item.ball((0, 0, 0.48), (0.27, 0.12, 0.12), wood, "body")
    item.rod((0.18, 0, 0.5), (0.34, 0, 0.72), 0.07, wood, "neck", end_radius=0.05)
    item.ball((0.4, 0, 0.73), (0.11, 0.055, 0.06), wood, "head")
    item.rod((0.14, 0, 0.58), (0.28, 0, 0.8), 0.025, mane, "mane")
    item.rod((0.3, -0.12, 0.66), (0.3, 0.12, 0.66), 0.011, mane, "grip")
    return item


@design("big toy")
def toy_kitchen(look: Look) -> Item:
    item = Item("toy kitchen")
    body, front = look.paint(look.any_colour()), look.paint(look.white())
    item.box((0, 0, 0.25), (0.7, 0.3, 0.5), body, "body")
    for x in (-0.18, 0.18):
        item.box((x, -0.155, 0.27), (0.3, 0.015, 0.4), front, "doors")
        item.disc((x, -0.03, 0.505), 0.08, 0.012, look.plastic(), "hob")
    item.box((0, 0.14, 0.75), (0.7, 0.02, 0.5), body, "back")
    item.box((0, 0.08, 0.88), (0.66, 0.12, 0.015), front, "shelf")
    item.surface((0, 0.06, 0.889), (0.56, 0.08), 0.15, "toys")
    return item


@design("nursery toy")
def ring_tower(look: Look) -> Item:
    item = Item("ring tower")
    item.disc((0, 0, 0.01), 0.07, 0.02, look.wood(), "base")
    item.rod((0, 0, 0), (0, 0, 0.2), 0.01, look.wood(), "pole")
    for k in range(5):
        item.ring((0, 0, 0.035 + 0.033 * k), 0.05 - 0.006 * k, 0.017, look.plastic(), f"ring {k}")
    return item


@design("nursery toy")
def xylophone(look: Look) -> Item:
    item = Item("xylophone")
    item.box((0, 0, 0.012), (0.34, 0.1, 0.024), look.wood(), "base")
    for k in range(8):
        item.box((-0.14 + k * 0.04, 0, 0.03), (0.034, 0.16 - 0.011 * k, 0.008), look.plastic(), "bars")
    return item


@design("nursery toy")
def rabbit(look: Look) -> Item:
    item = Item("rabbit")
    fur = Material(m.NOISE, (0.85, 0.8, 0.75), (0.7, 0.65, 0.6), period_m=0.015, bump=0.3, bump_period_m=0.02)
    item.ball((0, 0, 0.09), (0.08, 0.07, 0.09), fur, "body")
    item.ball((0, -0.01, 0.21), (0.055, 0.05, 0.05), fur, "head")
    for s in (-1, 1):
        item.ball((s * 0.03, 0, 0.3), (0.018, 0.012, 0.075), fur, "ears", turned=turn(pitch=s * 0.25))
        item.ball((s * 0.06, -0.08, 0.03), (0.028, 0.06, 0.028), fur, "feet")
    return item


@design("nursery toy")
def toy_train(look: Look) -> Item:
    item = Item("toy train")
    for k in range(look.whole(2, 4)):
        x = k * 0.13
        item.box((x, 0, 0.045), (0.11, 0.06, 0.03), look.plastic(), "wagons")
        for sx in (-1, 1):
            for sy in (-1, 1):
                item.rod(
                    (x + sx * 0.035, sy * 0.022, 0.018),
                    (x + sx * 0.035, sy * 0.034, 0.018),
                    0.018,
                    look.plastic((0.1, 0.1, 0.1)),
                    "wheels",
                )
        if k == 0:
            item.rod((x - 0.04, 0, 0.08), (x + 0.03, 0, 0.08), 0.022, look.plastic(), "boiler")
            item.rod((x - 0.03, 0, 0.09), (x - 0.03, 0, 0.13), 0.01, look.plastic(), "boiler", end_radius=0.016)
        else:
            item.rod((x - 0.04, 0, 0.075), (x + 0.04, 0, 0.075), 0.02, look.wood(), "load")
    return item


# --- garage ---


@design("vehicle")
def bicycle(look: Look) -> Item:
    item = Item("bicycle")
    frame, black, steel = look.paint(look.any_colour()), look.plastic((0.06, 0.06, 0.06)), look.metal("steel")
    r, base = look.between(0.28, 0.35), look.between(0.95, 1.1)
    for x in (-base / 2, base / 2):
        upright = turn(roll=np.pi / 2)
        item.ring((x, 0, r + 0.02), r, 0.018, black, "wheels", upright)
        item.rod((x, -0.04, r + 0.02), (x, 0.04, r + 0.02), 0.02, steel, "wheels")
        for k in range(8):
            a = k * np.pi / 4
            item.rod((x, 0, r + 0.02), (x + r * np.cos(a), 0, r + 0.02 + r * np.sin(a)), 0.002, steel, "wheels")
    crank, saddle, head = (-0.07, 0, r - 0.02), (-0.22, 0, r + 0.5), (base / 2 - 0.17, 0, r + 0.5)
    for start, end in (
        (crank, saddle),
        (crank, head),
        ((-0.19, 0, r + 0.42), head),
        (crank, (-base / 2, 0, r + 0.02)),
        ((-0.19, 0, r + 0.4), (-base / 2, 0, r + 0.02)),
    ):
        item.rod(start, end, 0.016, frame, "frame")
    item.rod((base / 2, 0, r + 0.02), (base / 2 - 0.2, 0, r + 0.6), 0.015, frame, "fork")
    item.path(
        [(base / 2 - 0.1, -0.28, r + 0.64), (base / 2 - 0.2, 0, r + 0.62), (base / 2 - 0.1, 0.28, r + 0.64)],
        0.013,
        black,
        "handlebar",
    )
    item.pillow((saddle[0], 0, saddle[2] + 0.06), (0.26, 0.15, 0.06), black, "saddle")
    item.rod((-0.07, -0.05, r - 0.02), (-0.07, -0.06, r - 0.02), 0.09, steel, "crank")
    for s in (-1, 1):
        item.rod((-0.07, s * 0.06, r - 0.02), (-0.07 + s * 0.14, s * 0.08, r - 0.08), 0.009, steel, "crank")
    return item


@design("vehicle")
def lawn_mower(look: Look) -> Item:
    item = Item("lawn mower")
    body, black = (
        look.paint(look.choose(((0.75, 0.1, 0.08), (0.1, 0.45, 0.15), (0.9, 0.45, 0.05)))),
        look.plastic((0.06, 0.06, 0.06)),
    )
    item.soft((0, 0, 0.2), (0.5, 0.7, 0.18), body, "deck", 0.06)
    item.soft((0, -0.05, 0.36), (0.28, 0.34, 0.18), black, "engine", 0.04)
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.rod((sx * 0.25, sy * 0.27, 0.11), (sx * 0.31, sy * 0.27, 0.11), 0.11, black, "wheels")
        item.rod((sx * 0.22, 0.3, 0.25), (sx * 0.22, 0.95, 0.95), 0.013, black, "handle")
    item.rod((-0.22, 0.95, 0.95), (0.22, 0.95, 0.95), 0.016, black, "handle")
    item.soft((0, 0.52, 0.3), (0.42, 0.4, 0.3), look.fabric(), "bag", 0.06)
    return item


@design("vehicle")
def wheelbarrow(look: Look) -> Item:
    item = Item("wheelbarrow")
    tray, wood = look.paint(look.any_colour()), look.wood()
    item.ring((0, -0.55, 0.18), 0.15, 0.035, look.plastic((0.06, 0.06, 0.06)), "wheel", turn(pitch=np.pi / 2))
    item.box((0, 0, 0.38), (0.5, 0.75, 0.02), tray, "tray")
    for s in (-1, 1):
        item.box((s * 0.29, 0, 0.5), (0.015, 0.85, 0.26), tray, "tray", turn(pitch=s * 0.3))
        item.bar((s * 0.1, -0.55, 0.2), (s * 0.28, 0.85, 0.6), 0.04, 0.04, wood, "handles")
        item.bar((s * 0.24, 0.3, 0.0), (s * 0.24, 0.25, 0.38), 0.03, 0.03, tray, "legs")
    item.box((0, -0.42, 0.5), (0.56, 0.015, 0.28), tray, "tray", turn(roll=-0.4))
    item.box((0, 0.4, 0.48), (0.56, 0.015, 0.22), tray, "tray", turn(roll=0.3))
    return item


@design("tyres")
def tyre_stack(look: Look) -> Item:
    item = Item("tyres")
    rubber, r = look.plastic((0.07, 0.07, 0.075)), look.between(0.24, 0.3)
    for k in range(look.whole(1, 4)):
        item.ring((look.between(-0.02, 0.02), look.between(-0.02, 0.02), 0.1 + 0.19 * k), r, 0.1, rubber, f"tyre {k}")
    return item


@design("garage thing")
def jerry_can(look: Look) -> Item:
    item = Item("jerry can")
    body = look.plastic()
    item.soft((0, 0, 0.18), (0.3, 0.16, 0.36), body, "can", 0.03)
    item.path([(-0.09, 0, 0.35), (-0.09, 0, 0.41), (0.06, 0, 0.41), (0.06, 0, 0.35)], 0.014, body, "handle")
    item.rod((0.11, 0, 0.34), (0.14, 0, 0.4), 0.025, look.plastic(), "cap")
    return item


@design("garage thing")
def bucket(look: Look) -> Item:
    item = Item("bucket")
    body = look.plastic()
    item.lathe([(0.11, 0), (0.15, 0.28)], body, "bucket")
    item.ring((0, 0, 0.28), 0.15, 0.008, body, "bucket")
    if look.chance(0.5):
        item.rod((0.05, 0, 0.02), (0.5, 0.1, 1.15), 0.012, look.wood(), "broom")
    return item


@design("garage thing")
def traffic_cone(look: Look) -> Item:
    item = Item("cone")
    stripes = Material(
        m.STRIPES, (0.95, 0.4, 0.05), (0.95, 0.95, 0.95), (0.95, 0.4, 0.05), period_m=0.3, mapping=m.LOCAL
    )
    item.soft((0, 0, 0.015), (0.36, 0.36, 0.03), look.plastic((0.9, 0.35, 0.05)), "base", 0.01)
    item.rod((0, 0, 0.03), (0, 0, 0.5), 0.13, stripes, "cone", end_radius=0.03)
    return item


@design("garage thing")
def helmet(look: Look) -> Item:
    item = Item("helmet")
    item.ball((0, 0, 0.06), (0.12, 0.15, 0.15), look.plastic(), "shell", cut=(-0.3, 1))
    item.box((0, -0.135, 0.08), (0.16, 0.03, 0.06), look.plastic((0.1, 0.1, 0.12)), "visor")
    return item


# --- music ---


@design("instrument")
def grand_piano(look: Look) -> Item:
    item = Item("piano")
    black = Material(
        m.PLAIN,
        look.choose(((0.04, 0.04, 0.045), (0.04, 0.04, 0.045), (0.9, 0.89, 0.86), (0.35, 0.18, 0.1))),
        gloss=0.8,
    )
    item.box((0, -0.45, 0.78), (1.5, 0.5, 0.28), black, "case")
    item.box((-0.3, 0.15, 0.78), (0.9, 0.75, 0.28), black, "case")
    item.rod((-0.33, 0.5, 0.64), (-0.33, 0.5, 0.92), 0.42, black, "case")
    item.rod((0.15, -0.2, 0.64), (0.15, -0.2, 0.92), 0.58, black, "case")
    if look.chance(0.6):
        item.box((0.1, 0.1, 1.28), (0.04, 1.2, 1.0), black, "lid", turn(pitch=-1.0))
    item.box((0, -0.72, 0.72), (1.3, 0.16, 0.03), black, "keys")
    keys = Material(m.KEYS, (0.2, 0.2, 0.2), (0.95, 0.94, 0.9), (0.05, 0.05, 0.05), period_m=0.0235)
    item.box((0, -0.72, 0.737), (1.22, 0.14, 0.012), keys, "keys")
    for x, y in ((-0.6, -0.5), (0.6, -0.5), (-0.3, 0.6)):
        item.rod((x, y, 0), (x, y, 0.65), 0.04, black, "legs", end_radius=0.06)
    return item


@design("instrument")
def drum_kit(look: Look) -> Item:
    item = Item("drum kit")
    shell, skin, steel, brass = (
        look.paint(look.any_colour()),
        look.paint((0.93, 0.92, 0.88)),
        look.metal("steel"),
        look.metal("brass"),
    )

    def drum(x: float, y: float, z: float, r: float, h: float, part: str) -> None:
        item.rod((x, y, z), (x, y, z + h), r, shell, part)
        item.disc((x, y, z + h + 0.002), r * 0.95, 0.004, skin, part)
        item.ring((x, y, z + h), r, 0.009, steel, part)

    item.rod((0, -0.2, 0.28), (0, 0.25, 0.28), 0.27, shell, "bass drum")
    item.rod((0, -0.205, 0.28), (0, -0.2, 0.28), 0.25, skin, "bass drum")
    drum(-0.18, 0.0, 0.62, 0.15, 0.22, "tom left")
    drum(0.2, 0.0, 0.62, 0.17, 0.24, "tom right")
    drum(0.55, 0.4, 0.15, 0.2, 0.42, "floor tom")
    drum(-0.45, 0.45, 0.5, 0.17, 0.14, "snare")
    item.rod((-0.45, 0.45, 0), (-0.45, 0.45, 0.5), 0.015, steel, "snare")
    for x, y, z, r in ((-0.65, 0.15, 1.05, 0.2), (0.65, 0.05, 1.15, 0.24), (-0.75, 0.5, 0.85, 0.17)):
        item.rod((x, y, 0), (x, y, z), 0.011, steel, "cymbals")
        item.lathe([(r, z - 0.02), (0.04, z)], brass, "cymbals", at=(x, y, 0), bottom=False)
        for k in range(3):
            a = k * 2.1
            item.rod((x + 0.2 * np.cos(a), y + 0.2 * np.sin(a), 0.005), (x, y, 0.25), 0.007, steel, "cymbals")
    return item


@design("instrument")
def guitar(look: Look) -> Item:
    """Leaning on its stand."""
    item = Item("guitar")
    wood, neck, lean = look.wood(), look.wood("walnut"), turn(roll=-0.25)

    def at(x: float, z: float) -> tuple[float, float, float]:
        p = lean @ np.array([x, 0.0, z])
        return float(p[0]), float(p[1]), float(p[2]) + 0.1

    for z, r in ((0.17, 0.19), (0.42, 0.14)):
        a, b = lean @ np.array([0, -0.045, z]), lean @ np.array([0, 0.045, z])
        item.rod((a[0], a[1], a[2] + 0.1), (b[0], b[1], b[2] + 0.1), r, wood, "body")
    item.box(at(0, 0.3), (0.2, 0.088, 0.24), wood, "body", lean)
    item.box(at(0, 0.75), (0.05, 0.03, 0.5), neck, "neck", lean)
    item.box(at(0, 1.06), (0.075, 0.02, 0.14), neck, "neck", lean)
    black = look.metal("black")
    for s in (-1, 1):
        item.path([(s * 0.15, -0.2, 0.01), (s * 0.1, -0.02, 0.12), (0, 0.25, 0.5)], 0.01, black, "stand")
    item.rod((0, 0.35, 0.01), (0, 0.22, 0.5), 0.01, black, "stand")
    return item


@design("instrument")
def music_stand(look: Look) -> Item:
    item = Item("music stand")
    black = look.metal("black")
    for k in range(3):
        a = k * 2 * np.pi / 3
        item.rod((0.22 * np.cos(a), 0.22 * np.sin(a), 0.01), (0, 0, 0.25), 0.008, black, "foot")
    item.rod((0, 0, 0.1), (0, 0, 1.05), 0.011, black, "pole")
    item.box((0, 0.03, 1.18), (0.48, 0.01, 0.32), black, "desk", turn(roll=-0.35))
    if look.chance(0.7):
        item.box((0, 0.02, 1.19), (0.42, 0.004, 0.29), look.page(), "sheet", turn(roll=-0.35))
    return item


@design("instrument")
def amplifier(look: Look) -> Item:
    item = Item("amplifier")
    w, h = look.between(0.4, 0.65), look.between(0.4, 0.6)
    item.box((0, 0, h / 2), (w, 0.28, h), look.leather((0.08, 0.08, 0.08)), "case")
    item.box(
        (0, -0.142, h * 0.42),
        (w * 0.9, 0.006, h * 0.7),
        Material(m.WEAVE, (0.3, 0.28, 0.25), (0.15, 0.14, 0.13), period_m=0.01),
        "cloth",
    )
    item.box((0, -0.143, h * 0.88), (w * 0.9, 0.008, h * 0.12), look.metal("brass"), "panel")
    for x in np.linspace(-w * 0.38, w * 0.38, 6):
        item.rod((float(x), -0.15, h * 0.88), (float(x), -0.165, h * 0.88), 0.012, look.metal("black"), "knobs")
    item.surface((0, 0, h + 0.001), (w - 0.06, 0.2), 0.4, "cafe")
    return item


@design("instrument")
def microphone(look: Look) -> Item:
    item = Item("microphone")
    black = look.metal("black")
    item.disc((0, 0, 0.012), 0.14, 0.024, black, "foot")
    item.rod((0, 0, 0), (0, 0, 1.3), 0.01, black, "pole")
    item.rod((0, 0.2, 1.25), (0, -0.45, 1.45), 0.008, black, "boom")
    item.rod((0, -0.45, 1.45), (0, -0.58, 1.42), 0.018, look.metal("steel"), "microphone", end_radius=0.028)
    return item


# --- laboratory ---


@design("desk", held_out=True)
def lab_bench(look: Look, width: float | None = None) -> Item:
    item = Item("lab bench")
    w, d, h = width or look.between(1.5, 2.6), look.between(0.7, 0.9), 0.9
    body, top, steel = look.paint(look.white()), look.stone(), look.metal("steel")
    item.box((0, 0, h - 0.02), (w, d, 0.04), top, "top")
    for s in (-1, 1):
        item.box((s * (w / 2 - 0.25), 0, 0.46), (0.45, d - 0.1, 0.7), body, "cabinets")
        for j in range(3):
            item.box(
                (s * (w / 2 - 0.25), -d / 2 + 0.045, 0.22 + 0.23 * j),
                (0.43, 0.018, 0.21),
                look.paint(look.white()),
                "cabinets",
            )
            item.box((s * (w / 2 - 0.25), -d / 2 + 0.03, 0.28 + 0.23 * j), (0.2, 0.02, 0.012), steel, "cabinets")
        item.box((s * (w / 2 - 0.03), 0, 0.05), (0.06, d - 0.05, 0.1), steel, "cabinets")
    for s in (-1, 1):
        item.box((s * (w / 2 - 0.05), d / 2 - 0.06, h + 0.35), (0.04, 0.04, 0.7), steel, "rack")
    for z in (0.35, 0.68):
        item.box((0, d / 2 - 0.12, h + z), (w, 0.24, 0.02), look.glass() if look.chance(0.3) else body, "rack")
        item.surface((0, d / 2 - 0.12, h + z + 0.011), (w - 0.15, 0.18), 0.28, "lab")
    item.surface((0, -0.1, h + 0.001), (w - 0.1, d - 0.35), 0.34, "lab")
    return item


@design("fume hood")
def fume_hood(look: Look) -> Item:
    item = Item("fume hood")
    w, d = look.between(1.1, 1.6), 0.8
    body = look.paint(look.white())
    item.box((0, 0, 0.44), (w, d, 0.88), body, "base")
    item.box((0, 0, 0.9), (w, d, 0.04), look.stone(), "top")
    for s in (-1, 1):
        item.box((s * (w / 2 - 0.04), 0, 1.5), (0.08, d, 1.2), body, "hood")
    item.box((0, d / 2 - 0.02, 1.5), (w, 0.03, 1.2), body, "hood")
    item.box((0, 0, 2.15), (w, d, 0.14), body, "hood")
    item.box((0, -d / 2 + 0.04, 1.75), (w - 0.16, 0.01, 0.6), look.glass(), "sash")
    item.surface((0, 0, 0.921), (w - 0.3, d - 0.2), 0.7, "lab")
    return item


@design("lab thing")
def microscope(look: Look) -> Item:
    item = Item("microscope")
    white, black = look.paint(look.white()), look.metal("black")
    item.soft((0, 0, 0.02), (0.18, 0.24, 0.04), white, "base", 0.015)
    item.bar((0, 0.09, 0.03), (0, 0.07, 0.3), 0.06, 0.05, white, "arm")
    item.box((0, -0.02, 0.14), (0.14, 0.14, 0.012), black, "stage")
    item.rod((0, -0.02, 0.16), (0, -0.02, 0.24), 0.012, black, "lenses", end_radius=0.025)
    item.box((0, 0.01, 0.31), (0.07, 0.16, 0.07), white, "head")
    for s in (-1, 1):
        item.rod((s * 0.03, -0.05, 0.33), (s * 0.035, -0.14, 0.41), 0.016, black, "oculars")
    return item


@design("lab thing")
def flask(look: Look) -> Item:
    item = Item("flask")
    r = look.between(0.035, 0.07)
    liquid = look.plastic(look.any_colour())
    item.lathe([(r, 0), (r * 0.75, r * 0.7)], liquid, "liquid")
    item.lathe(
        [(r * 0.75, r * 0.7), (r * 0.28, r * 1.8), (r * 0.28, r * 2.6)],
        look.plastic((0.75, 0.82, 0.82)),
        "flask",
        bottom=False,
    )
    return item


@design("lab thing")
def tube_rack(look: Look) -> Item:
    item = Item("tube rack")
    frame = look.plastic()
    for z in (0.01, 0.07):
        item.box((0, 0, z), (0.22, 0.06, 0.008), frame, "rack")
    for s in (-1, 1):
        item.box((s * 0.108, 0, 0.04), (0.006, 0.06, 0.08), frame, "rack")
    for x in np.linspace(-0.09, 0.09, 7):
        item.rod((float(x), 0, 0.015), (float(x), 0, 0.12), 0.009, look.plastic(), "tubes")
    return item


@design("lab thing")
def centrifuge(look: Look) -> Item:
    item = Item("centrifuge")
    body = look.paint(look.white())
    item.soft((0, 0, 0.12), (0.32, 0.38, 0.24), body, "body", 0.04)
    item.ball((0, 0.03, 0.23), (0.13, 0.13, 0.05), look.plastic((0.3, 0.35, 0.4)), "lid", cut=(0, 1))
    item.box((0, -0.192, 0.14), (0.2, 0.006, 0.08), look.screen(), "panel")
    return item


@design("gas bottle")
def gas_bottle(look: Look) -> Item:
    item = Item("gas bottle")
    r, h = look.between(0.09, 0.14), look.between(0.9, 1.4)
    body = look.paint(look.any_colour())
    item.rod((0, 0, 0), (0, 0, h), r, body, "body")
    item.ball((0, 0, h), (r, r, r), look.paint(look.any_colour()), "shoulder", cut=(0, 1))
    item.rod((0, 0, h + r * 0.9), (0, 0, h + r + 0.1), 0.02, look.metal("brass"), "valve")
    item.rod((-0.06, 0, h + r + 0.06), (0.06, 0, h + r + 0.06), 0.012, look.metal("brass"), "valve")
    return item
