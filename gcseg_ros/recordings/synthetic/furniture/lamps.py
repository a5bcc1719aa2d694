"""Lamps: floor, table, ceiling."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.materials import Material


def shade_cloth(look: Look) -> Material:
    colour = look.choose(((0.93, 0.86, 0.72), (0.95, 0.94, 0.9), look.accent(), look.any_colour()))
    return Material(m.PLAIN, colour, emission=look.choose((0.0, 0.0, 0.35, 0.7)))


def lamp_shade(item: Item, look: Look, at: tuple[float, float, float], radius: float, height: float) -> None:
    """An open conical or drum shade around the point."""
    x, y, z = at
    top = radius * look.between(0.45, 1.0)
    item.rod((x, y, z - height / 2), (x, y, z + height / 2), radius, shade_cloth(look), "shade", end_radius=top, caps=0)
    item.ball(at, (0.03, 0.03, 0.04), Material(m.PLAIN, (1, 0.97, 0.9), emission=1.0), "bulb")


def turned_foot(item: Item, look: Look, height: float, radius: float, material) -> None:
    """A vase-like foot of a lamp."""
    profile = [(radius, 0.0), (radius, 0.02)]
    count = look.whole(2, 5)
    for i in range(count):
        profile.append((look.between(0.2, 1.0) * radius, 0.02 + (height - 0.03) * (i + 1) / (count + 1)))
    profile.append((0.012, height))
    item.lathe(profile, material, "foot")


@design("floor lamp")
def standard_lamp(look: Look) -> Item:
    item = Item("floor lamp")
    height = look.between(1.35, 1.8)
    metal = look.metal() if look.chance(0.7) else look.wood()
    kind = look.choose(("straight", "tripod", "arc"))
    if kind == "tripod":
        for k in range(3):
            a = k * 2 * np.pi / 3 + 0.4
            item.rod((0.25 * np.cos(a), 0.25 * np.sin(a), 0), (0, 0, height - 0.2), 0.012, metal, "foot")
        lamp_shade(item, look, (0, 0, height), look.between(0.16, 0.26), look.between(0.2, 0.35))
    elif kind == "straight":
        item.disc((0, 0, 0.012), look.between(0.12, 0.17), 0.024, metal, "foot")
        item.rod((0, 0, 0), (0, 0, height), 0.012, metal, "pole")
        lamp_shade(item, look, (0, 0, height), look.between(0.14, 0.28), look.between(0.18, 0.35))
    else:
        item.disc((0, 0, 0.02), 0.15, 0.04, look.stone(), "foot")
        reach = look.between(0.5, 0.9)
        points = [(reach * (1 - np.cos(t)) * 0.55, 0.0, height * np.sin(t)) for t in np.linspace(0, 2.0, 8)]
        item.path([(float(x), y, float(z) + 0.02) for x, y, z in points], 0.011, metal, "pole")
        x, _, z = points[-1]
        lamp_shade(item, look, (float(x), 0, float(z) - 0.05), 0.17, 0.16)
    return item


@design("table lamp")
def table_lamp(look: Look) -> Item:
    item = Item("table lamp")
    height, radius = look.between(0.18, 0.4), look.between(0.05, 0.11)
    if look.chance(0.6):
        turned_foot(item, look, height, radius, look.choose((look.ceramic(), look.wood(), look.metal())))
    else:
        metal = look.metal()
        item.disc((0, 0, 0.01), radius, 0.02, metal, "foot")
        item.rod((0, 0, 0), (0, 0, height), 0.008, metal, "foot")
    lamp_shade(item, look, (0, 0, height + 0.06), look.between(0.09, 0.19), look.between(0.12, 0.24))
    return item


@design("desk lamp")
def desk_lamp(look: Look) -> Item:
    item = Item("desk lamp")
    metal = look.plastic()
    item.disc((0, 0, 0.012), look.between(0.07, 0.1), 0.024, metal, "foot")
    elbow = (look.between(-0.15, 0.0), 0.0, look.between(0.22, 0.35))
    head = (elbow[0] + look.between(0.12, 0.25), 0.0, elbow[2] + look.between(0.02, 0.15))
    item.path([(0, 0, 0.02), elbow, head], 0.007, metal, "arm")
    item.rod(head, (head[0] + 0.05, 0, head[2] - 0.09), 0.025, metal, "head", end_radius=0.07, caps=1)
    return item


@design("ceiling lamp")
def ceiling_lamp(look: Look) -> Item:
    """Hangs from z = 0 downwards (the caller puts it under the ceiling)."""
    item = Item("ceiling lamp")
    kind = look.choose(("pendant", "globe", "plate", "tube"))
    if kind == "pendant":
        drop = look.between(0.4, 1.0)
        item.rod((0, 0, 0), (0, 0, -drop), 0.005, look.metal("black"), "cord")
        lamp_shade(item, look, (0, 0, -drop - 0.1), look.between(0.15, 0.3), look.between(0.15, 0.3))
    elif kind == "globe":
        drop = look.between(0.2, 0.8)
        item.rod((0, 0, 0), (0, 0, -drop), 0.005, look.metal("black"), "cord")
        item.ball(
            (0, 0, -drop - 0.14), (0.15, 0.15, 0.15), Material(m.PLAIN, (0.98, 0.97, 0.93), emission=0.5), "globe"
        )
    elif kind == "plate":
        item.rod(
            (0, 0, 0),
            (0, 0, -0.08),
            look.between(0.15, 0.25),
            Material(m.PLAIN, (1, 1, 0.97), emission=0.5),
            "plate",
            end_radius=0.12,
        )
    else:
        w = look.between(0.6, 1.5)
        item.box((0, 0, -0.04), (w, 0.16, 0.07), look.paint(look.white()), "case")
        for sy in (-1, 1):
            item.rod(
                (-w / 2 + 0.03, sy * 0.04, -0.09),
                (w / 2 - 0.03, sy * 0.04, -0.09),
                0.013,
                Material(m.PLAIN, (1, 1, 1), emission=0.8),
                "tubes",
            )
    return item


@design("ceiling lamp")
def chandelier(look: Look) -> Item:
    item = Item("chandelier")
    metal = look.metal() if look.chance(0.6) else look.wood()
    drop, radius, arms = look.between(0.5, 0.9), look.between(0.25, 0.45), look.whole(5, 10)
    item.rod((0, 0, 0), (0, 0, -drop), 0.008, metal, "stem")
    if look.chance(0.5):
        item.ring((0, 0, -drop), radius, 0.02, metal, "ring")
        for k in range(3):
            a = k * 2 * np.pi / 3
            item.rod((0, 0, -drop * 0.4), (radius * np.cos(a), radius * np.sin(a), -drop), 0.005, metal, "chains")
    for k in range(arms):
        a = k * 2 * np.pi / arms
        x, y = radius * np.cos(a), radius * np.sin(a)
        item.path([(0, 0, -drop), (x * 0.6, y * 0.6, -drop - 0.06), (x, y, -drop)], 0.008, metal, "arms")
        item.rod((x, y, -drop), (x, y, -drop + 0.1), 0.012, look.paint((0.95, 0.94, 0.9)), "candles")
        item.ball((x, y, -drop + 0.13), (0.015, 0.015, 0.03), Material(m.PLAIN, (1, 0.9, 0.7), emission=0.9), "bulbs")
    return item
