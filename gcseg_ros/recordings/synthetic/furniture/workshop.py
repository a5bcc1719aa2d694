"""Workshops, stores, gyms and halls."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.furniture.clutter import carton
from gcseg_ros.recordings.synthetic.furniture.storage import drawer_fronts
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.materials import Material


@design("workbench")
def workbench(look: Look) -> Item:
    item = Item("workbench")
    w, d, h = look.between(1.2, 2.2), look.between(0.55, 0.8), look.between(0.82, 0.95)
    top, frame = look.wood(), look.paint() if look.chance(0.5) else look.wood()
    item.box((0, 0, h - 0.03), (w, d, 0.06), top, "top")
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.box((sx * (w / 2 - 0.08), sy * (d / 2 - 0.06), h / 2 - 0.03), (0.08, 0.08, h - 0.06), frame, "frame")
    item.box((0, 0.02, 0.2), (w - 0.1, d - 0.1, 0.025), top, "shelf")
    item.surface((0, 0, 0.214), (w - 0.3, d - 0.25), 0.5, "rack")
    if look.chance(0.6):
        item.box((look.choose((-1, 1)) * w * 0.28, 0, h - 0.22), (w * 0.34, d - 0.1, 0.3), frame, "drawers")
        drawer_fronts(
            item, look, item.matrices[-1][0, 3], -(d - 0.1) / 2, w * 0.34, h - 0.36, h - 0.08, look.whole(1, 3), frame
        )
    if look.chance(0.5):
        item.box((0, d / 2 - 0.01, h + 0.4), (w, 0.02, 0.8), look.choose((look.wood(), look.metal("grey"))), "board")
        for _ in range(look.whole(3, 10)):
            x, z = look.between(-w * 0.45, w * 0.45), h + look.between(0.2, 0.7)
            item.rod(
                (x, d / 2 - 0.03, z),
                (x, d / 2 - 0.03, z + look.between(0.08, 0.25)),
                look.between(0.008, 0.02),
                look.plastic(),
                "tools",
            )
    if look.chance(0.5):
        x = look.choose((-1, 1)) * w * 0.38
        steel = look.paint((0.2, 0.3, 0.45))
        item.box((x, -d * 0.3, h + 0.06), (0.12, 0.2, 0.12), steel, "vice")
        item.rod((x - 0.1, -d * 0.3 - 0.16, h + 0.06), (x + 0.1, -d * 0.3 - 0.16, h + 0.06), 0.008, steel, "vice")
    item.surface((0, 0, h + 0.001), (w - 0.1, d - 0.15), 0.5, "bench")
    return item


@design("tool")
def toolbox(look: Look) -> Item:
    item = Item("toolbox")
    w, body = look.between(0.3, 0.5), look.plastic()
    item.soft((0, 0, 0.09), (w, 0.2, 0.18), body, "box", 0.015)
    item.soft((0, 0, 0.2), (w + 0.01, 0.21, 0.05), look.plastic(), "lid", 0.015)
    item.path(
        [(-0.08, 0, 0.22), (-0.08, 0, 0.27), (0.08, 0, 0.27), (0.08, 0, 0.22)], 0.01, look.metal("black"), "handle"
    )
    return item


@design("tool")
def power_drill(look: Look) -> Item:
    item = Item("drill")
    body = look.plastic(look.choose(((0.1, 0.45, 0.4), (0.9, 0.7, 0.05), (0.75, 0.1, 0.1))))
    item.soft((0, 0, 0.03), (0.09, 0.12, 0.06), look.plastic((0.08, 0.08, 0.08)), "battery", 0.012)
    item.rod((0, 0.02, 0.05), (0, 0.0, 0.17), 0.02, body, "handle")
    item.rod((0, 0.08, 0.19), (0, -0.1, 0.19), 0.032, body, "body")
    item.rod((0, -0.1, 0.19), (0, -0.17, 0.19), 0.018, look.metal("black"), "chuck", end_radius=0.012)
    return item


@design("tool")
def hammer(look: Look) -> Item:
    item = Item("hammer")
    item.rod((-0.14, 0, 0.015), (0.14, 0, 0.015), 0.013, look.wood(), "handle")
    item.rod((0.13, -0.055, 0.02), (0.13, 0.055, 0.02), 0.018, look.metal("steel"), "head")
    return item


@design("tool")
def paint_can(look: Look) -> Item:
    item = Item("paint can")
    r, h = look.between(0.06, 0.12), look.between(0.12, 0.24)
    item.disc((0, 0, h / 2), r, h, look.metal("steel"), "can")
    item.disc((0, 0, h * 0.45), r * 1.005, h * 0.6, look.printed(), "label")
    item.ring((0, 0, h), r * 0.95, 0.006, look.metal("steel"), "can")
    return item


@design("machine")
def drill_press(look: Look) -> Item:
    item = Item("drill press")
    body = look.paint()
    item.box((0, 0, 0.03), (0.35, 0.5, 0.06), body, "base")
    item.rod((0, 0.15, 0.06), (0, 0.15, 1.6), 0.04, look.metal("steel"), "column")
    item.box((0, -0.02, 0.9), (0.3, 0.3, 0.03), body, "table")
    item.soft((0, 0.0, 1.5), (0.24, 0.55, 0.28), body, "head", 0.04)
    item.rod((0, -0.12, 1.36), (0, -0.12, 1.15), 0.02, look.metal("steel"), "spindle")
    for k in range(3):
        a = k * 2.1
        tip = (0.25, -0.1 + 0.15 * np.cos(a), 1.45 + 0.15 * np.sin(a))
        item.rod((0.13, -0.1, 1.45), tip, 0.006, look.metal("steel"), "lever")
    return item


@design("machine")
def tool_trolley(look: Look) -> Item:
    item = Item("tool trolley")
    w, d, h = look.between(0.5, 0.8), look.between(0.4, 0.5), look.between(0.7, 1.0)
    body = look.paint(look.any_colour())
    item.box((0, 0, h / 2 + 0.06), (w, d, h - 0.12), body, "body")
    drawer_fronts(item, look, 0, -d / 2, w - 0.02, 0.14, h - 0.02, look.whole(3, 6), body)
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.rod(
                (sx * w * 0.42 - 0.02, sy * d * 0.4, 0.06),
                (sx * w * 0.42 + 0.02, sy * d * 0.4, 0.06),
                0.06,
                look.plastic((0.06, 0.06, 0.06)),
                "wheels",
            )
    item.surface((0, 0, h + 0.001), (w - 0.05, d - 0.05), 0.5, "bench")
    return item


@design("machine")
def vacuum_cleaner(look: Look) -> Item:
    item = Item("vacuum cleaner")
    body, black = look.plastic(), look.plastic((0.06, 0.06, 0.06))
    item.soft((0, 0, 0.16), (0.28, 0.42, 0.24), body, "body", 0.09)
    for s in (-1, 1):
        item.rod((s * 0.13, 0.12, 0.08), (s * 0.17, 0.12, 0.08), 0.08, black, "wheels")
    points = [(0.0, -0.2, 0.2), (0.05, -0.4, 0.35), (0.2, -0.55, 0.6), (0.3, -0.55, 0.9)]
    item.path(points, 0.022, black, "hose")
    item.path([(0.3, -0.55, 0.9), (0.3, -0.85, 0.03)], 0.016, look.metal("steel"), "pipe")
    item.box((0.3, -0.9, 0.03), (0.28, 0.1, 0.05), black, "nozzle")
    return item


@design("barrel")
def barrel(look: Look) -> Item:
    item = Item("barrel")
    r, h = look.between(0.2, 0.3), look.between(0.55, 0.9)
    body = look.choose((look.plastic(), look.paint(look.any_colour()), look.wood()))
    item.lathe([(r * 0.92, 0), (r, h * 0.3), (r, h * 0.7), (r * 0.92, h)], body, "body", top=True)
    for z in (0.02, h * 0.33, h * 0.66, h - 0.02):
        item.ring(
            (0, 0, z),
            r * (0.98 if 0.1 < z < h - 0.1 else 0.92),
            0.012,
            body if look.chance(0.6) else look.metal(),
            "rings",
        )
    item.surface((0, 0, h + 0.001), (r * 1.2, r * 1.2), 0.5, "box")
    return item


@design("pallet")
def pallet(look: Look) -> Item:
    item = Item("pallet")
    wood = look.wood("pine")
    w, d = look.choose(((1.2, 0.8), (0.8, 0.6)))
    for x in np.linspace(-w / 2 + 0.05, w / 2 - 0.05, 3):
        item.box((float(x), 0, 0.07), (0.1, d, 0.08), wood, "blocks")
        item.box((float(x), 0, 0.012), (0.1, d, 0.022), wood, "boards")
    for y in np.linspace(-d / 2 + 0.06, d / 2 - 0.06, look.whole(4, 6)):
        item.box((0, float(y), 0.122), (w, 0.11, 0.022), wood, "boards")
    item.surface((0, 0, 0.134), (w, d), 1.4, "pallet")
    return item


@design("stack of boxes")
def box_tower(look: Look) -> Item:
    """Cartons as one stack (one object): they look like several."""
    item = Item("stack of boxes")
    z = 0.0
    for level in range(look.whole(2, 4)):
        box = carton(look)
        item.join(box, (look.between(-0.03, 0.03), look.between(-0.03, 0.03), z), look.between(-0.2, 0.2), f"{level} ")
        z += box.bounds()[1][2]
    item.surfaces.clear()
    return item


@design("ladder")
def step_ladder(look: Look) -> Item:
    item = Item("ladder")
    h, metal = look.between(1.0, 2.0), look.metal() if look.chance(0.7) else look.wood()
    w, reach = 0.45, h * 0.3
    for s in (-1, 1):
        item.bar((s * w / 2, -reach, 0), (s * w / 2 * 0.8, 0, h), 0.03, 0.06, metal, "frame")
        item.bar((s * w / 2, reach, 0), (s * w / 2 * 0.8, 0, h), 0.025, 0.03, metal, "frame")
    for z in np.arange(0.25, h - 0.05, 0.25):
        item.box((0, -reach * (1 - z / h), float(z)), (w * 0.9, 0.08, 0.03), metal, "steps")
    item.box((0, 0, h), (w * 0.85, 0.2, 0.04), look.plastic(), "top")
    return item


@design("coat rack")
def coat_rack(look: Look) -> Item:
    item = Item("coat rack")
    wood, h = look.leg(), look.between(1.6, 1.9)
    for k in range(4):
        a = k * np.pi / 2 + 0.3
        item.rod((0.26 * np.cos(a), 0.26 * np.sin(a), 0.01), (0, 0, 0.2), 0.015, wood, "foot")
    item.rod((0, 0, 0.05), (0, 0, h), 0.02, wood, "pole")
    for k in range(6):
        a = k * np.pi / 3
        tip = (0.14 * np.cos(a), 0.14 * np.sin(a), h - 0.06)
        item.rod((0, 0, h - 0.16), tip, 0.01, wood, "hooks")
        if look.chance(0.4):
            cloth = look.new_fabric(look.any_colour())
            long = look.between(0.5, 0.9)
            item.soft(
                (tip[0] * 1.1, tip[1] * 1.1, tip[2] - long / 2),
                (0.3, 0.1, long),
                cloth,
                "coats",
                0.045,
                turn(a + np.pi / 2),
            )
    return item


def _weights(
    item: Item, look: Look, a: tuple[float, float, float], b: tuple[float, float, float], radius: float
) -> None:
    """A bar with discs at both ends, along x."""
    steel, black = look.metal("steel"), look.plastic((0.08, 0.08, 0.09)) if look.chance(0.6) else look.plastic()
    item.rod(a, b, 0.014, steel, "bar")
    for end, s in ((a, 1), (b, -1)):
        for k in range(look.whole(1, 3)):
            x = end[0] + s * (0.08 + 0.05 * k)
            item.rod((x, end[1], end[2]), (x + 0.04 * s, end[1], end[2]), radius * (1 - 0.2 * k), black, "discs")


@design("fitness")
def weight_bench(look: Look) -> Item:
    item = Item("weight bench")
    frame, pad = look.metal("black" if look.chance(0.6) else "grey"), look.leather()
    item.soft((0, -0.1, 0.45), (0.3, 1.1, 0.08), pad, "pad", 0.03)
    item.box((0, -0.1, 0.2), (0.06, 1.0, 0.06), frame, "frame")
    for y in (-0.55, 0.35):
        item.box((0, y, 0.21), (0.06, 0.06, 0.42), frame, "frame")
        item.box((0, y, 0.025), (0.5, 0.06, 0.05), frame, "frame")
    height = look.between(0.85, 1.2)
    for s in (-1, 1):
        item.bar((s * 0.35, 0.5, 0), (s * 0.35, 0.4, height), 0.06, 0.06, frame, "posts")
        item.box((s * 0.35, 0.45, 0.02), (0.08, 0.6, 0.04), frame, "posts")
    if look.chance(0.7):
        _weights(item, look, (-0.8, 0.4, height + 0.02), (0.8, 0.4, height + 0.02), look.between(0.12, 0.22))
    return item


@design("fitness")
def treadmill(look: Look) -> Item:
    item = Item("treadmill")
    dark, frame = look.plastic((0.1, 0.1, 0.11)), look.metal("grey")
    item.box((0, 0, 0.1), (0.75, 1.6, 0.12), dark, "deck")
    item.box((0, 0, 0.165), (0.5, 1.5, 0.01), look.plastic((0.04, 0.04, 0.04)), "belt")
    for s in (-1, 1):
        item.bar((s * 0.36, 0.65, 0.1), (s * 0.36, 0.5, 1.25), 0.05, 0.08, frame, "frame")
        item.rod((s * 0.36, 0.5, 1.0), (s * 0.36, -0.05, 0.95), 0.018, dark, "handles")
    item.box((0, 0.52, 1.28), (0.75, 0.06, 0.25), dark, "console", turn(roll=-0.4))
    item.box((0, 0.485, 1.29), (0.3, 0.01, 0.14), look.screen(), "console", turn(roll=-0.4))
    return item


@design("fitness")
def exercise_bike(look: Look) -> Item:
    item = Item("exercise bike")
    body, metal = look.plastic(), look.metal("black")
    for y in (-0.4, 0.45):
        item.rod((-0.25, y, 0.04), (0.25, y, 0.04), 0.03, metal, "feet")
    item.bar((0, -0.4, 0.05), (0, 0.45, 0.05), 0.06, 0.06, metal, "frame")
    item.rod((-0.05, 0.2, 0.4), (0.05, 0.2, 0.4), 0.26, body, "wheel")
    item.bar((0, -0.15, 0.1), (0, -0.25, 0.85), 0.06, 0.06, metal, "frame")
    item.bar((0, -0.1, 0.3), (0, 0.3, 0.5), 0.08, 0.06, metal, "frame")
    item.bar((0, 0.3, 0.4), (0, 0.4, 1.1), 0.05, 0.05, metal, "frame")
    item.pillow((0, -0.27, 0.9), (0.2, 0.28, 0.08), look.leather((0.08, 0.08, 0.08)), "saddle")
    item.path([(-0.25, 0.2, 1.15), (-0.22, 0.4, 1.12), (0.22, 0.4, 1.12), (0.25, 0.2, 1.15)], 0.015, metal, "handles")
    for s in (-1, 1):
        item.rod((0, 0.05, 0.3), (s * 0.14, 0.05 + s * 0.12, 0.3 - s * 0.1), 0.012, metal, "pedals")
    return item


@design("fitness")
def dumbbell_rack(look: Look) -> Item:
    item = Item("dumbbell rack")
    frame = look.metal("black")
    w = look.between(0.8, 1.4)
    for s in (-1, 1):
        item.bar((s * w / 2, -0.2, 0), (s * w / 2, 0.15, 0.9), 0.05, 0.05, frame, "frame")
        item.box((s * w / 2, 0, 0.02), (0.05, 0.5, 0.04), frame, "frame")
    for level, (y, z) in enumerate(((-0.13, 0.25), (0.03, 0.65))):
        item.box((0, y, z), (w, 0.2, 0.02), frame, "shelves", turn(roll=0.2))
        for x in np.arange(-w / 2 + 0.12, w / 2 - 0.08, 0.17):
            r = look.between(0.035, 0.06)
            colour = look.plastic((0.1, 0.1, 0.1)) if level else look.plastic()
            for s in (-1, 1):
                item.rod((float(x), y + s * 0.05, z + 0.07), (float(x), y + s * 0.11, z + 0.07), r, colour, "dumbbells")
            item.rod(
                (float(x), y - 0.06, z + 0.07), (float(x), y + 0.06, z + 0.07), 0.014, look.metal("steel"), "dumbbells"
            )
    return item


@design("fitness")
def wall_bars(look: Look) -> Item:
    item = Item("pull-up tower")
    frame = look.metal() if look.chance(0.5) else look.wood()
    h, w = look.between(1.9, 2.2), look.between(0.8, 1.1)
    for s in (-1, 1):
        item.box((s * w / 2, 0, h / 2), (0.06, 0.06, h), frame, "frame")
        item.box((s * w / 2, -0.2, 0.03), (0.06, 0.9, 0.06), frame, "frame")
    for z in np.arange(0.3, h, look.between(0.18, 0.45)):
        item.rod((-w / 2, 0, float(z)), (w / 2, 0, float(z)), 0.016, frame, "bars")
    return item


@design("sports")
def barbell(look: Look) -> Item:
    item = Item("barbell")
    r, half = look.between(0.08, 0.22), look.between(0.5, 0.85)
    _weights(item, look, (-half, 0, r), (half, 0, r), r)
    return item


@design("sports")
def dumbbell(look: Look) -> Item:
    item = Item("dumbbell")
    r, colour = look.between(0.035, 0.07), look.plastic()
    item.rod((-0.07, 0, r), (0.07, 0, r), 0.015, look.metal("steel"), "grip")
    for s in (-1, 1):
        item.rod((s * 0.06, 0, r), (s * 0.14, 0, r), r, colour, "weights")
    return item


@design("sports")
def gym_ball(look: Look) -> Item:
    item = Item("gym ball")
    r = look.between(0.22, 0.38)
    item.ball(
        (0, 0, r),
        (r, r, r),
        Material(m.STRIPES, look.any_colour(), look.any_colour(), period_m=0.05, contrast=0.2, gloss=0.3),
    )
    return item


@design("sports")
def yoga_mat(look: Look) -> Item:
    item = Item("mat")
    mat = look.new_fabric(look.any_colour())
    if look.chance(0.5):
        item.rod((-0.3, 0, 0.07), (0.3, 0, 0.07), 0.07, mat, "mat")
    else:
        item.box((0, 0, 0.005), (0.65, 1.75, 0.01), mat, "mat")
        item.flat = True
    return item


@design("vase on floor")
def floor_vase(look: Look) -> Item:
    item = Item("floor vase")
    h, r = look.between(0.4, 0.9), look.between(0.12, 0.22)
    profile = (
        [(r * 0.6, 0.0)]
        + [(r * look.between(0.5, 1.1), h * f) for f in (0.2, 0.4, 0.6, 0.8)]
        + [(r * look.between(0.3, 0.7), h)]
    )
    item.lathe(profile, look.choose((look.ceramic(), look.stone(), look.metal("grey"))), "vase")
    if look.chance(0.5):
        twig = look.wood("walnut")
        for _ in range(look.whole(3, 8)):
            a = look.between(0, 6.28)
            item.rod(
                (0, 0, h * 0.6), (0.25 * np.cos(a), 0.25 * np.sin(a), h + look.between(0.3, 0.7)), 0.005, twig, "twigs"
            )
    return item
