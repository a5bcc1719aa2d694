"""Chairs, stools, benches, armchairs and sofas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look


def four_legs(
    item: Item, look: Look, w: float, d: float, top: float, thickness: float, splay: float = 0.0, material=None
) -> None:
    """Legs at the corners of a w x d rectangle, from the floor to `top`."""
    material = material or look.leg()
    round_leg = look.chance(0.4)
    taper = look.between(0.6, 1.0)
    for sx in (-1, 1):
        for sy in (-1, 1):
            foot = (sx * (w / 2 + splay), sy * (d / 2 + splay), 0.0)
            head = (sx * w / 2, sy * d / 2, top)
            if round_leg:
                item.rod(foot, head, thickness / 2 * taper, material, "legs", end_radius=thickness / 2)
            else:
                item.bar(foot, head, thickness, thickness, material, "legs")


@design("chair")
def wooden_chair(look: Look) -> Item:
    """Four legs, a flat or padded seat and a back of slats, bars, or a panel."""
    item = Item("chair")
    w, d, seat = look.between(0.38, 0.5), look.between(0.38, 0.48), look.between(0.42, 0.5)
    back = look.between(0.78, 1.1)
    wood = look.leg()
    leg = look.between(0.022, 0.05)
    four_legs(item, look, w - leg, d - leg, seat, leg, look.choose((0, 0, 0.02)), wood)
    thick = look.between(0.02, 0.05)
    if look.chance(0.5):
        item.box((0, 0, seat), (w, d, thick), wood, "seat")
    else:
        item.soft((0, 0, seat + 0.02), (w, d, 0.07), look.upholstery(), "seat", 0.03)
    lean = look.between(0.0, 0.1)
    y0, y1 = d / 2 - leg / 2, d / 2 - leg / 2 + lean
    for sx in (-1, 1):
        item.bar((sx * (w - leg) / 2, y0, seat), (sx * (w - leg) / 2, y1, back), leg, leg, wood, "back")
    kind = look.choose(("bars", "slats", "panel", "cross"))
    if kind == "bars":
        count = look.whole(2, 5)
        low = look.between(0.15, 0.45)
        for i in range(count):
            f = low + (0.97 - low) * i / max(count - 1, 1)
            y, z = y0 + (y1 - y0) * f, seat + (back - seat) * f
            item.box((0, y, z), (w - leg, 0.018, look.between(0.03, 0.08)), wood, "back")
    elif kind == "slats":
        item.bar((-(w - leg) / 2, y1, back - 0.03), ((w - leg) / 2, y1, back - 0.03), 0.06, 0.02, wood, "back")
        for x in np.linspace(-w / 2 + 0.08, w / 2 - 0.08, look.whole(3, 7)):
            item.rod((x, y0, seat), (x, y1, back - 0.04), 0.009, wood, "back")
    elif kind == "panel":
        middle = (0, (y0 + y1) / 2 + 0.01, (seat + back) / 2 + 0.06)
        panel = wood if look.chance(0.4) else look.upholstery()
        tilt = turn(roll=-float(np.arctan2(y1 - y0, back - seat)))
        item.soft(middle, (w - leg, 0.035, (back - seat) * 0.75), panel, "back", 0.012, tilt)
    else:
        item.bar((-w / 2, y0, seat + 0.08), (w / 2, y1, back), 0.025, 0.015, wood, "back")
        item.bar((w / 2, y0, seat + 0.08), (-w / 2, y1, back), 0.025, 0.015, wood, "back")
        item.box((0, y1, back), (w, 0.025, 0.05), wood, "back")
    if look.chance(0.3):
        for sy in (-1, 1):
            item.rod((-w / 2, sy * d / 2 * 0.9, 0.18), (w / 2, sy * d / 2 * 0.9, 0.18), 0.01, wood, "legs")
    return item


@design("chair")
def upholstered_chair(look: Look) -> Item:
    """A padded chair with low armrests and thin legs."""
    item = Item("chair")
    w, d, seat = look.between(0.44, 0.56), look.between(0.44, 0.54), look.between(0.42, 0.48)
    back = look.between(0.78, 1.02)
    cover, legs = look.upholstery(), look.leg()
    four_legs(item, look, w - 0.07, d - 0.07, seat - 0.08, look.between(0.02, 0.04), 0.03, legs)
    item.soft((0, 0, seat - 0.03), (w, d, 0.12), cover, "seat", 0.04)
    item.soft((0, d / 2 - 0.04, (seat + back) / 2), (w, 0.09, back - seat + 0.1), cover, "back", 0.04, turn(roll=-0.08))
    if look.chance(0.6):
        arm = seat + look.between(0.14, 0.22)
        for sx in (-1, 1):
            item.soft(
                (sx * (w / 2 - 0.02), 0.02, (seat + arm) / 2), (0.06, d * 0.85, arm - seat + 0.08), cover, "arms", 0.025
            )
    return item


@design("chair")
def shell_chair(look: Look) -> Item:
    """A moulded seat on splayed wooden or wire legs."""
    item = Item("chair")
    shell = look.plastic(look.accent() if look.chance(0.5) else look.any_colour())
    seat, w = look.between(0.43, 0.48), look.between(0.42, 0.5)
    four_legs(item, look, w * 0.5, w * 0.5, seat - 0.02, look.between(0.018, 0.03), w * 0.22)
    item.soft((0, 0, seat), (w, w * 0.95, 0.03), shell, "seat", 0.014)
    lean = look.between(0.1, 0.25)
    item.soft((0, w * 0.5, seat + 0.2), (w * 0.95, 0.025, 0.44), shell, "seat", 0.012, turn(roll=-lean))
    if look.chance(0.5):
        for sx in (-1, 1):
            item.soft(
                (sx * w * 0.49, 0.06, seat + 0.1), (0.02, w * 0.75, 0.2), shell, "seat", 0.009, turn(pitch=sx * 0.15)
            )
    return item


@design("chair")
def office_chair(look: Look) -> Item:
    """A swivel chair: star base, column, padded seat and back, perhaps arms."""
    item = Item("office chair")
    dark = look.plastic((look.between(0.03, 0.15),) * 3) if look.chance(0.7) else look.metal()
    cover = look.choose((look.fabric(), look.leather(), look.plastic(look.grey())))
    seat, radius = look.between(0.42, 0.55), look.between(0.26, 0.34)
    start = look.between(0, 1)
    for k in range(5):
        angle = start + k * 2 * np.pi / 5
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        item.bar((0, 0, 0.1), (x, y, 0.075), 0.045, 0.03, dark, "base")
        item.ball((x, y, 0.03), (0.03, 0.03, 0.03), dark, "base")
    item.rod((0, 0, 0.08), (0, 0, seat), 0.027, dark, "column")
    w = look.between(0.45, 0.54)
    item.soft((0, 0, seat + 0.02), (w, w, 0.09), cover, "seat", 0.04)
    height = look.between(0.35, 0.68)
    item.bar((0, w * 0.35, seat - 0.02), (0, w * 0.56, seat + 0.25), 0.06, 0.02, dark, "back")
    middle = (0, w * 0.52, seat + 0.16 + height / 2)
    item.soft(middle, (w * look.between(0.8, 1.0), 0.07, height), cover, "back", 0.034, turn(roll=-0.1))
    if look.chance(0.65):
        for sx in (-1, 1):
            x = sx * (w / 2 + 0.03)
            item.path([(x * 0.7, 0.05, seat - 0.03), (x, 0.05, seat), (x, 0.05, seat + 0.2)], 0.014, dark, "arms")
            item.soft((x, 0.02, seat + 0.215), (0.06, 0.26, 0.03), dark, "arms", 0.014)
    return item


@design("chair")
def sled_chair(look: Look) -> Item:
    """A cantilever or sled of bent tube with seat and back panels."""
    item = Item("chair")
    tube, cover = look.metal(), look.choose((look.wood(), look.fabric(), look.plastic()))
    w, d, seat, back = look.between(0.42, 0.5), look.between(0.42, 0.5), 0.45, look.between(0.78, 0.92)
    for sx in (-1, 1):
        x = sx * w / 2
        points = [
            (x, d / 2, 0.012),
            (x, -d / 2, 0.012),
            (x, -d / 2, seat),
            (x, d / 2, seat - 0.01),
            (x, d / 2 + 0.06, back),
        ]
        if look.style.held_out:
            points = points[1:]
        item.path(points, 0.012, tube, "frame")
    item.rod((-w / 2, d / 2, 0.012), (w / 2, d / 2, 0.012), 0.012, tube, "frame")
    item.soft((0, 0, seat + 0.02), (w - 0.01, d, 0.04), cover, "seat", 0.018)
    item.soft((0, d / 2 + 0.04, back - 0.12), (w - 0.01, 0.03, 0.28), cover, "back", 0.014, turn(roll=-0.12))
    return item


@design("chair")
def swoosh_chair(look: Look) -> Item:
    """A one-piece curved chair."""
    item = Item("chair")
    shell = look.plastic(look.any_colour())
    w, t = look.between(0.4, 0.5), look.between(0.03, 0.06)
    profile = [(-0.2, 0.0), (0.12, 0.02), (-0.17, 0.25), (-0.2, 0.43), (0.16, 0.41), (0.28, look.between(0.75, 0.9))]
    for (y0, z0), (y1, z1) in pairwise(profile):
        length, angle = float(np.hypot(y1 - y0, z1 - z0)), float(np.arctan2(z1 - z0, y1 - y0))
        item.soft((0, (y0 + y1) / 2, (z0 + z1) / 2), (w, length + t, t), shell, "shell", t * 0.48, turn(roll=angle))
    return item


@design("stool")
def stool(look: Look, height: float | None = None) -> Item:
    """Round or square seat on four legs or a pedestal."""
    item = Item("stool")
    height = height or look.choose((look.between(0.42, 0.5), look.between(0.6, 0.8)))
    radius = look.between(0.15, 0.2)
    seat = look.choose((look.wood(), look.upholstery(), look.plastic()))
    if look.chance(0.5):
        four_legs(item, look, radius * 1.1, radius * 1.1, height - 0.02, look.between(0.02, 0.035), 0.06)
        if look.chance(0.5):
            item.ring((0, 0, height * 0.4), radius * 0.95, 0.01, look.metal(), "legs")
    else:
        metal = look.metal()
        item.disc((0, 0, 0.012), look.between(0.17, 0.22), 0.024, metal, "base")
        item.rod((0, 0, 0.02), (0, 0, height - 0.02), 0.025, metal, "column")
        item.ring((0, 0, height * 0.35), 0.14, 0.01, metal, "column")
    if look.chance(0.6):
        item.disc((0, 0, height), radius, look.between(0.025, 0.08), seat, "seat")
    else:
        item.soft((0, 0, height), (radius * 2, radius * 1.8, 0.05), seat, "seat", 0.02)
    return item


@design("bench")
def bench(look: Look) -> Item:
    """A bench, padded or not, with or without a back."""
    item = Item("bench")
    w, d, seat = look.between(0.9, 1.8), look.between(0.3, 0.45), look.between(0.4, 0.48)
    wood = look.leg()
    if look.chance(0.5):
        four_legs(item, look, w - 0.12, d - 0.06, seat - 0.02, look.between(0.03, 0.06), 0, wood)
    else:
        for sx in (-1, 1):
            item.box((sx * (w / 2 - 0.12), 0, seat / 2), (0.04, d, seat), wood, "legs")
    if look.chance(0.5):
        for y in np.linspace(-d / 2 + 0.05, d / 2 - 0.05, 4):
            item.box((0, y, seat), (w, 0.075, 0.03), wood, "seat")
        top = seat + 0.015
    else:
        item.soft((0, 0, seat + 0.02), (w, d, 0.08), look.upholstery(), "seat", 0.03)
        top = seat + 0.06
    if look.chance(0.3):
        for z in (0.62, 0.76):
            item.box((0, d / 2, z), (w, 0.025, 0.08), wood, "back")
        for sx in (-1, 1):
            item.bar((sx * w * 0.4, d / 2, seat), (sx * w * 0.4, d / 2 + 0.02, 0.8), 0.04, 0.03, wood, "back")
    item.surface((0, 0, top), (w * 0.9, d * 0.8), 0.6, "seat")
    return item


def _sofa_body(item: Item, look: Look, seats: int, deep: float, cover, seat_width: float) -> float:
    """A straight sofa along x, its back at +y. Returns its width."""
    arm = look.between(0.08, 0.28)
    w = seats * seat_width + 2 * arm
    seat, back = look.between(0.36, 0.46), look.between(0.68, 0.92)
    arm_top = look.between(seat + 0.08, min(back - 0.05, seat + 0.28))
    radius = look.choose((0.01, 0.03, 0.06))
    foot = look.between(0.02, 0.16)
    thick = look.between(0.12, 0.26)
    if foot > 0.05:
        legs = look.leg()
        for sx in (-1, 1):
            for sy in (-1, 1):
                x, y = sx * (w / 2 - 0.08), sy * (deep / 2 - 0.08)
                item.rod((x, y, 0), (x, y, foot + 0.02), 0.02, legs, "legs")
    item.soft((0, 0, (foot + seat * 0.62) / 2), (w - 0.01, deep, seat * 0.62 - foot), cover, "base", radius)
    item.soft((0, deep / 2 - thick / 2, (foot + back) / 2), (w - 0.02, thick, back - foot), cover, "back", radius)
    for sx in (-1, 1):
        item.soft((sx * (w - arm) / 2, 0, (foot + arm_top) / 2), (arm, deep, arm_top - foot), cover, "arms", radius)
    cushion = cover if look.chance(0.75) else look.upholstery()
    puffy = look.chance(0.4)
    for i in range(seats):
        x = (i - (seats - 1) / 2) * seat_width
        size = (seat_width - 0.012, deep - thick - 0.01, seat * 0.42)
        item.soft((x, -thick / 2, seat - seat * 0.2), size, cushion, "seat cushions", 0.05 if puffy else 0.025)
        if look.chance(0.85):
            tall = back - seat + look.between(-0.06, 0.1)
            middle = (x, deep / 2 - thick - 0.09, seat + tall / 2)
            item.soft(
                middle,
                (seat_width - 0.02, 0.16, tall),
                cushion,
                "back cushions",
                0.07 if puffy else 0.03,
                turn(roll=-0.14),
            )
        if look.chance(0.25):
            item.soft((x, deep / 2 - thick, back + 0.06), (seat_width * 0.6, 0.14, 0.18), cushion, "head rests", 0.05)
    item.surface((0, -thick / 2, seat + 0.01), (w - 2 * arm - 0.1, (deep - thick) * 0.5), 0.5, "sofa")
    return w


def throw_cushions(item: Item, look: Look, width: float, y: float, z: float, count: int) -> None:
    """Small cushions leaning against the back; part of the item."""
    for _ in range(count):
        size = look.between(0.3, 0.5)
        cover = look.new_fabric(look.any_colour()) if look.chance(0.6) else look.fabric()
        x = look.between(-width / 2, width / 2)
        lean = turn(yaw=look.between(-0.4, 0.4)) @ turn(roll=look.between(-0.6, -0.25))
        item.pillow((x, y, z + size * 0.42), (size, look.between(0.1, 0.18), size), cover, "cushions", lean)


@design("sofa")
def sofa(look: Look) -> Item:
    """One to four seats with cushions."""
    item = Item("sofa")
    seats = look.choose((2, 2, 3, 3, 4))
    deep = look.between(0.78, 1.0)
    w = _sofa_body(item, look, seats, deep, look.upholstery(), look.between(0.5, 0.72))
    if look.chance(0.5):
        throw_cushions(item, look, w * 0.6, deep * 0.08, item.surfaces[-1].centre[2], look.whole(1, 4))
    return item


@design("sofa")
def corner_sofa(look: Look) -> Item:
    """L-shaped: a straight sofa and a chaise on one side."""
    item = Item("sofa")
    deep, cover = look.between(0.85, 1.0), look.upholstery()
    w = _sofa_body(item, look, look.whole(2, 3), deep, cover, look.between(0.55, 0.75))
    side = look.choose((-1, 1))
    length, broad = look.between(0.7, 1.3), look.between(0.7, 0.9)
    x = side * (w / 2 - broad / 2)
    y = -deep / 2 - length / 2
    seat = item.surfaces[-1].centre[2] - 0.01
    item.soft((x, y, seat * 0.35), (broad, length, seat * 0.6), cover, "base", 0.02)
    item.soft((x, y, seat * 0.8), (broad - 0.01, length - 0.01, seat * 0.4), cover, "seat cushions", 0.04)
    if look.chance(0.6):
        outer = side * (w / 2 - 0.06)
        item.soft((outer, y, seat * 0.8), (0.13, length, seat * 1.4), cover, "back", 0.03)
    return item


@design("armchair")
def club_chair(look: Look) -> Item:
    """A one-seat sofa."""
    item = Item("armchair")
    deep = look.between(0.7, 0.9)
    _sofa_body(item, look, 1, deep, look.upholstery(), look.between(0.5, 0.62))
    if look.chance(0.3):
        throw_cushions(item, look, 0.2, deep * 0.05, item.surfaces[-1].centre[2], 1)
    return item


@design("armchair")
def wing_chair(look: Look) -> Item:
    """High back with wings on thin legs."""
    item = Item("armchair")
    cover, legs = look.upholstery(), look.leg()
    w, d, seat, back = look.between(0.6, 0.75), look.between(0.65, 0.8), 0.44, look.between(0.95, 1.15)
    four_legs(item, look, w - 0.1, d - 0.1, 0.2, 0.04, 0.02, legs)
    item.soft((0, 0, 0.26), (w, d, 0.16), cover, "base", 0.04)
    item.soft((0, -0.05, 0.38), (w - 0.16, d - 0.16, 0.13), cover, "seat", 0.05)
    item.soft((0, d / 2 - 0.06, (seat + back) / 2), (w - 0.05, 0.13, back - 0.25), cover, "back", 0.06, turn(roll=-0.1))
    for sx in (-1, 1):
        item.soft((sx * (w / 2 - 0.05), 0, 0.45), (0.1, d * 0.9, 0.3), cover, "arms", 0.045)
        item.soft((sx * (w / 2 - 0.04), d / 2 - 0.12, 0.8), (0.06, 0.22, 0.4), cover, "wings", 0.025)
    return item


@design("armchair")
def frame_chair(look: Look) -> Item:
    """An easy chair: a wooden frame with loose cushions."""
    item = Item("armchair")
    wood, cover = look.wood(), look.upholstery()
    w, d = look.between(0.62, 0.75), look.between(0.68, 0.8)
    for sx in (-1, 1):
        x = sx * w / 2
        item.bar((x, -d / 2, 0), (x, -d / 2 + 0.04, 0.56), 0.035, 0.045, wood, "frame")
        item.bar((x, d / 2 - 0.12, 0), (x, d / 2, 0.56), 0.035, 0.045, wood, "frame")
        item.bar((x, -d / 2, 0.57), (x, d / 2, 0.55), 0.03, 0.06, wood, "frame")
        item.bar((x, -d / 2 + 0.05, 0.32), (x, d / 2 - 0.05, 0.24), 0.03, 0.05, wood, "frame")
    tilt = look.between(0.3, 0.5)
    item.soft((0, -0.03, 0.36), (w - 0.06, d * 0.8, 0.13), cover, "seat", 0.05, turn(roll=-0.15))
    item.soft((0, d * 0.42, 0.62), (w - 0.06, 0.13, 0.62), cover, "back", 0.05, turn(roll=-tilt))
    return item


@design("pouf")
def pouf(look: Look) -> Item:
    """A round or square footstool without a back."""
    item = Item("pouf")
    cover, size, height = look.upholstery(), look.between(0.4, 0.7), look.between(0.3, 0.45)
    kind = look.choose(("round", "square", "bean"))
    if kind == "round":
        item.lathe(
            [(size * 0.46, 0), (size / 2, height * 0.3), (size / 2, height * 0.75), (size * 0.44, height)],
            cover,
            top=True,
        )
    elif kind == "square":
        item.soft((0, 0, height / 2), (size, size, height), cover, "body", 0.06)
    else:
        item.ball((0, 0, height * 0.55), (size * 0.62, size * 0.62, height * 0.7), cover, cut=(-0.75, 1))
        item.ball((0, 0.1, height * 1.0), (size * 0.4, size * 0.35, height * 0.6), cover)
    return item
