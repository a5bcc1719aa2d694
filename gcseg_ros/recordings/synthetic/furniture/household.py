"""Household things of all kinds: appliances on the floor, things that lean, hang, dry, or lie about."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.furniture.decoration import canvas, framed_picture
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.materials import Material


@design("leaning")
def leaning_picture(look: Look) -> Item:
    """A picture or board on the floor, leaning back against what is behind it."""
    flat = framed_picture(look) if look.chance(0.5) else canvas(look)
    item = Item(flat.name)
    lean = np.eye(4)
    lean[:3, :3] = turn(roll=-look.between(0.06, 0.25))
    item.kinds, item.parameters, item.materials, item.parts = flat.kinds, flat.parameters, flat.materials, flat.parts
    item.matrices = [lean @ matrix for matrix in flat.matrices]
    return item


@design("leaning")
def leaning_board(look: Look) -> Item:
    item = Item("board")
    w, h, t = look.between(0.3, 1.2), look.between(0.6, 1.8), look.between(0.012, 0.04)
    item.box((0, 0, h / 2), (w, t, h), look.body(), "board", turn(roll=-look.between(0.06, 0.22)))
    return item


@design("leaning")
def ironing_board(look: Look) -> Item:
    """Folded, leaning."""
    item = Item("ironing board")
    lean, metal = turn(roll=-0.12), look.metal()
    item.soft((0, 0, 0.75), (0.36, 0.03, 1.25), look.new_fabric(look.any_colour()), "board", 0.014, lean)
    for s in (-1, 1):
        item.rod((s * 0.12, -0.06, 0.02), (s * 0.08, 0.02, 1.2), 0.011, metal, "legs")
    return item


@design("notice")
def notices(look: Look) -> Item:
    """A sheet or card on the wall."""
    item = Item("notice")
    w, h = look.choose(((0.21, 0.3), (0.3, 0.21), (0.15, 0.1), (0.3, 0.42), (0.1, 0.21)))
    sheet = look.page() if look.chance(0.5) else look.printed()
    item.box(
        (0, 0, h / 2),
        (w, look.choose((0.001, 0.002, 0.004)), h),
        sheet,
        "sheet",
        turn(yaw=0.0, pitch=look.between(-0.04, 0.04)),
    )
    return item


@design("cable")
def cable(look: Look) -> Item:
    """A cable on the floor, with a socket strip perhaps."""
    item = Item("cable", flat=True)
    colour, r = (
        look.plastic(look.choose(((0.05, 0.05, 0.05), (0.9, 0.9, 0.9), (0.9, 0.4, 0.1)))),
        look.between(0.003, 0.007),
    )
    points, angle, at = [], look.between(0, 6), np.zeros(2)
    for _ in range(look.whole(5, 12)):
        points.append((float(at[0]), float(at[1]), r))
        angle += look.between(-0.8, 0.8)
        at = at + np.array([np.cos(angle), np.sin(angle)]) * look.between(0.1, 0.25)
    item.path(points, r, colour, "cable")
    if look.chance(0.5):
        item.box(
            (points[0][0], points[0][1], 0.02), (0.3, 0.06, 0.04), look.plastic(), "strip", turn(look.between(0, 3))
        )
    return item


@design("standing thing")
def fan(look: Look) -> Item:
    item = Item("fan")
    h, metal, blade = look.between(0.9, 1.3), look.plastic(look.grey()), look.plastic()
    item.disc((0, 0, 0.015), 0.2, 0.03, metal, "foot")
    item.rod((0, 0, 0), (0, 0, h), 0.015, metal, "pole")
    for y in (-0.07, 0.05):
        for r in (0.08, 0.14, 0.2):
            item.ring((0, y, h), r, 0.004, metal, "cage", turn(roll=np.pi / 2))
    item.rod((0, 0.05, h), (0, 0.15, h), 0.06, metal, "motor")
    for k in range(3):
        a = k * 2.094
        item.box((0.09 * np.cos(a), -0.01, h + 0.09 * np.sin(a)), (0.16, 0.008, 0.1), blade, "blades", turn(pitch=-a))
    return item


@design("standing thing")
def drying_rack(look: Look) -> Item:
    item = Item("drying rack")
    white, w, d, h = look.metal("white"), look.between(0.9, 1.3), 0.55, look.between(0.85, 1.0)
    for s in (-1, 1):
        item.rod((s * w * 0.4, -d / 2, 0.01), (s * w * 0.4, d / 2, h), 0.01, white, "legs")
        item.rod((s * w * 0.4, d / 2, 0.01), (s * w * 0.4, -d / 2, h), 0.01, white, "legs")
    for y in np.linspace(-d / 2, d / 2, 7):
        item.rod((-w / 2, float(y), h), (w / 2, float(y), h), 0.005, white, "bars")
        if look.chance(0.5):
            wide, long, x = look.between(0.2, 0.5), look.between(0.25, 0.6), look.between(-0.2, 0.2)
            item.cloth(
                (x, float(y), h - long / 2),
                (wide, long),
                0.02,
                look.between(1, 3),
                look.new_fabric(look.any_colour()),
                "clothes",
                top=0.3,
            )
    return item


@design("standing thing")
def speaker(look: Look) -> Item:
    item = Item("loudspeaker")
    w, h, case = look.between(0.18, 0.3), look.between(0.5, 1.1), look.body()
    item.box((0, 0, h / 2), (w, w * 1.2, h), case, "case")
    black = look.plastic((0.05, 0.05, 0.05))
    for z in (0.78, 0.5):
        item.rod((0, -w * 0.6, h * z), (0, -w * 0.61 - 0.004, h * z), w * 0.36, black, "cones")
    item.rod((0, -w * 0.6, h * 0.92), (0, -w * 0.6 - 0.006, h * 0.92), w * 0.13, black, "cones")
    return item


@design("standing thing")
def water_cooler(look: Look) -> Item:
    item = Item("water cooler")
    body = look.paint(look.white())
    item.soft((0, 0, 0.48), (0.32, 0.34, 0.96), body, "body", 0.03)
    item.lathe(
        [(0.06, 0.96), (0.14, 1.04), (0.14, 1.32), (0.12, 1.36)],
        Material(m.PLAIN, (0.55, 0.72, 0.85), gloss=0.6, hole=0.2),
        "bottle",
        top=True,
    )
    item.box((0, -0.18, 0.72), (0.2, 0.03, 0.12), look.plastic((0.2, 0.2, 0.22)), "taps")
    return item


@design("standing thing")
def tripod(look: Look) -> Item:
    item = Item("tripod")
    black, h = look.metal("black"), look.between(1.0, 1.5)
    for k in range(3):
        a = k * 2.094 + 0.3
        item.rod((0.4 * np.cos(a), 0.4 * np.sin(a), 0), (0, 0, h * 0.85), 0.013, black, "legs")
    item.rod((0, 0, h * 0.6), (0, 0, h), 0.014, black, "column")
    item.box((0, 0, h + 0.05), (0.14, 0.08, 0.1), black, "camera")
    item.rod((0, -0.04, h + 0.05), (0, -0.13, h + 0.05), 0.035, black, "camera")
    return item


@design("standing thing")
def umbrella_stand(look: Look) -> Item:
    item = Item("umbrella stand")
    item.lathe([(0.12, 0), (0.13, 0.5)], look.metal() if look.chance(0.5) else look.ceramic(), "stand")
    for _ in range(look.whole(1, 4)):
        a, cloth = look.between(0, 6.28), look.new_fabric(look.any_colour())
        top = (0.11 * np.cos(a), 0.11 * np.sin(a), look.between(0.75, 0.9))
        item.rod((0.03, 0, 0.03), top, 0.028, cloth, "umbrellas", end_radius=0.012)
        item.ball(top, (0.02, 0.02, 0.03), look.wood(), "umbrellas")
    return item


@design("standing thing")
def cat_tree(look: Look) -> Item:
    item = Item("cat tree")
    plush, rope = look.new_fabric(), look.wicker()
    item.box((0, 0, 0.02), (0.5, 0.5, 0.04), plush, "boards")
    z = 0.04
    for _ in range(look.whole(2, 3)):
        h = look.between(0.3, 0.5)
        x, y = look.between(-0.12, 0.12), look.between(-0.12, 0.12)
        item.rod((x, y, z), (x, y, z + h), 0.05, rope, "posts")
        z += h + 0.03
        item.soft((x * 0.5, y * 0.5, z - 0.015), (look.between(0.3, 0.45), 0.35, 0.04), plush, "boards", 0.018)
    return item


@design("standing thing")
def electric_heater(look: Look) -> Item:
    item = Item("heater")
    white = look.paint(look.white()) if look.chance(0.6) else look.plastic((0.1, 0.1, 0.1))
    for x in np.arange(-0.24, 0.25, 0.075):
        item.soft((float(x), 0, 0.36), (0.05, 0.16, 0.56), white, "fins", 0.022)
    for s in (-1, 1):
        item.box((s * 0.22, 0, 0.04), (0.05, 0.25, 0.05), look.metal("black"), "feet")
    return item


@design("standing thing")
def aquarium(look: Look) -> Item:
    item = Item("aquarium")
    w, d, body = look.between(0.6, 1.0), 0.4, look.body()
    item.box((0, 0, 0.35), (w, d, 0.7), body, "stand")
    item.box(
        (0, 0, 0.92),
        (w, d, 0.44),
        Material(
            m.NOISE,
            (0.2, 0.45, 0.5),
            (0.1, 0.3, 0.2),
            period_m=0.1,
            gloss=0.8,
            hole=0.5,
            emission=0.3,
            seed=look.seed(),
        ),
        "tank",
    )
    item.box((0, 0, 1.16), (w + 0.01, d + 0.01, 0.05), look.plastic((0.05, 0.05, 0.05)), "lid")
    return item


@design("fireplace")
def fireplace(look: Look) -> Item:
    item = Item("fireplace")
    stone, w, h, d = look.stone(), look.between(1.1, 1.6), look.between(1.0, 1.2), 0.35
    for s in (-1, 1):
        item.box((s * (w / 2 - 0.14), 0, h / 2), (0.28, d, h), stone, "surround")
    item.box((0, 0, h - 0.16), (w - 0.5, d, 0.32), stone, "surround")
    item.box((0, 0, h + 0.025), (w + 0.14, d + 0.1, 0.05), stone if look.chance(0.5) else look.wood(), "mantel")
    item.box((0, d / 2 - 0.02, h / 2 - 0.1), (w - 0.5, 0.03, h - 0.3), look.plastic((0.06, 0.05, 0.05)), "hearth")
    for k in range(3):
        item.rod(
            (-0.2, 0.02 * k, 0.06 + 0.05 * k), (0.2, -0.03 * k, 0.08 + 0.05 * k), 0.035, look.wood("walnut"), "logs"
        )
    item.surface((0, 0, h + 0.05), (w, d - 0.04), 0.6, "cupboard")
    return item


@design("stairs")
def stairs(look: Look) -> Item:
    """A flight against a wall, going up to the right."""
    item = Item("stairs")
    steps, w, tread = look.whole(5, 11), look.between(0.75, 0.95), look.between(0.23, 0.28)
    wood, riser = look.wood(), look.paint(look.white()) if look.chance(0.5) else look.wood()
    solid = look.chance(0.5)
    for k in range(steps):
        x, z = k * tread, (k + 1) * 0.18
        item.box((x, 0, z - 0.02), (tread + 0.03, w, 0.04), wood, "steps")
        if solid:
            item.box((x, 0, (z - 0.04) / 2), (tread, w - 0.04, z - 0.04), riser, "body")
    if not solid:
        for s in (-1, 1):
            item.bar(
                (-tread / 2, s * (w / 2 - 0.03), 0.0),
                ((steps - 0.5) * tread, s * (w / 2 - 0.03), steps * 0.18),
                0.22,
                0.04,
                wood,
                "stringers",
            )
    if look.chance(0.7):
        metal = look.leg()
        for k in range(0, steps, 2):
            item.rod(
                (k * tread, -w / 2 + 0.04, (k + 1) * 0.18),
                (k * tread, -w / 2 + 0.04, (k + 1) * 0.18 + 0.9),
                0.012,
                metal,
                "rail",
            )
        item.rod(
            (0, -w / 2 + 0.04, 1.08), ((steps - 1) * tread, -w / 2 + 0.04, steps * 0.18 + 0.9), 0.022, wood, "rail"
        )
    return item


@design("box")
def crate(look: Look) -> Item:
    """An open crate of slats or plastic, something in it."""
    item = Item("crate")
    w, d, h, t = look.between(0.3, 0.5), look.between(0.25, 0.35), look.between(0.18, 0.3), 0.012
    body = look.wood("pine") if look.chance(0.5) else look.plastic()
    item.box((0, 0, t), (w, d, t), body, "crate")
    rows = look.whole(2, 3)
    for j in range(rows):
        z, tall = (j + 0.5) * h / rows, h / rows * look.between(0.6, 0.95)
        for s in (-1, 1):
            item.box((s * (w - t) / 2, 0, z), (t, d, tall), body, "crate")
            item.box((0, s * (d - t) / 2, z), (w, t, tall), body, "crate")
    for _ in range(look.whole(0, 5)):
        r = look.between(0.03, 0.06)
        centre = (look.between(-w * 0.3, w * 0.3), look.between(-d * 0.25, d * 0.25), h * 0.5)
        item.ball(centre, (r, r, h * 0.45), look.plastic(), "content")
    return item


@design("box")
def binder_row(look: Look) -> Item:
    """One upright ring binder, with its label and ring."""
    item = Item("binder")
    w, d, h, colour = look.between(0.05, 0.08), 0.28, 0.32, look.plastic()
    item.box((0, 0, h / 2), (w, d, h), colour, "binder")
    item.box((0, -d / 2 - 0.0005, h * 0.65), (w * 0.75, 0.001, h * 0.45), look.page(), "label")
    item.rod((0, -d / 2 - 0.001, h * 0.2), (0, -d / 2, h * 0.2), 0.013, look.metal("steel"), "ring")
    return item


@design("appliance")
def dish_rack(look: Look) -> Item:
    item = Item("dish rack")
    metal = look.metal()
    item.box((0, 0, 0.01), (0.42, 0.3, 0.015), look.plastic(look.grey()), "tray")
    for x in np.linspace(-0.18, 0.18, 10):
        item.rod((float(x), -0.13, 0.03), (float(x), 0.13, 0.03), 0.003, metal, "wires")
        item.rod((float(x), 0, 0.03), (float(x), 0.02, 0.13), 0.003, metal, "wires")
    for x in np.linspace(-0.15, 0.12, look.whole(2, 6)):
        item.rod((float(x), 0, 0.14), (float(x) + 0.012, 0, 0.14), 0.11, look.ceramic(), "plates")
    return item


@design("appliance")
def knife_block(look: Look) -> Item:
    item = Item("knife block")
    lean = turn(roll=0.3)
    item.box((0, 0, 0.11), (0.1, 0.14, 0.2), look.wood(), "block", lean)
    for x in (-0.03, 0.0, 0.03):
        top = lean @ np.array([x, look.between(-0.04, 0.04), 0.15])
        item.box(
            (top[0], top[1], top[2] + 0.11), (0.018, 0.025, 0.09), look.plastic((0.07, 0.07, 0.07)), "knives", lean
        )
    return item


@design("appliance")
def paper_towels(look: Look) -> Item:
    item = Item("paper towels")
    item.disc((0, 0, 0.01), 0.07, 0.02, look.wood(), "foot")
    item.disc((0, 0, 0.14), 0.055, 0.23, look.paint(look.white()), "roll")
    item.rod((0, 0, 0), (0, 0, 0.3), 0.008, look.wood(), "foot")
    return item


@design("appliance")
def cutting_board(look: Look) -> Item:
    item = Item("cutting board")
    item.soft((0, 0, 0.01), (look.between(0.25, 0.42), look.between(0.18, 0.28), 0.02), look.wood(), "board", 0.008)
    return item


@design("appliance")
def food_mixer(look: Look) -> Item:
    item = Item("food mixer")
    body = look.plastic()
    item.soft((0, 0, 0.025), (0.2, 0.34, 0.05), body, "body", 0.02)
    item.soft((0, 0.12, 0.16), (0.1, 0.09, 0.26), body, "body", 0.03)
    item.soft((0, 0, 0.31), (0.13, 0.36, 0.12), body, "body", 0.05)
    item.lathe([(0.06, 0.05), (0.1, 0.11), (0.11, 0.18)], look.metal("steel"), "bowl", at=(0, -0.06, 0))
    return item


@design("office thing")
def printer(look: Look) -> Item:
    item = Item("printer")
    w, case = look.between(0.38, 0.5), look.plastic(look.choose(((0.85, 0.85, 0.84), (0.12, 0.12, 0.13))))
    item.soft((0, 0, 0.1), (w, 0.36, 0.18), case, "case", 0.015)
    item.box((0, -0.2, 0.05), (w * 0.6, 0.14, 0.012), case, "tray")
    item.box((0, -0.2, 0.06), (0.21, 0.15, 0.006), look.paint(look.white()), "paper")
    item.box((w * 0.28, -0.181, 0.15), (0.12, 0.004, 0.05), look.screen(), "panel")
    return item


@design("office thing")
def router(look: Look) -> Item:
    item = Item("router")
    case = look.plastic(look.grey())
    item.box((0, 0, 0.02), (0.22, 0.15, 0.035), case, "case")
    for s in (-1, 1):
        item.rod((s * 0.09, 0.07, 0.03), (s * 0.1, 0.09, 0.18), 0.006, case, "antennas")
    return item


@design("decor")
def globe(look: Look) -> Item:
    item = Item("globe")
    r = look.between(0.09, 0.16)
    item.disc((0, 0, 0.01), r * 0.7, 0.02, look.wood(), "foot")
    item.ring((0, 0, r + 0.05), r * 1.08, 0.006, look.metal("brass"), "ring", turn(roll=np.pi / 2))
    sea = Material(m.NOISE, (0.15, 0.35, 0.6), (0.65, 0.6, 0.35), period_m=r, contrast=1.0, seed=look.seed(), gloss=0.3)
    item.ball((0, 0, r + 0.05), (r, r, r), sea, "globe")
    return item


@design("decor")
def wine_rack(look: Look) -> Item:
    item = Item("wine rack")
    wood = look.wood()
    for s in (-1, 1):
        item.box((s * 0.2, 0, 0.15), (0.02, 0.2, 0.3), wood, "rack")
    for z in (0.06, 0.16, 0.26):
        item.box((0, 0, z - 0.045), (0.4, 0.2, 0.01), wood, "rack")
        for x in (-0.12, 0.0, 0.12):
            if look.chance(0.7):
                glass = look.plastic((0.08, 0.2, 0.1))
                item.rod((x, 0.1, z), (x, -0.06, z), 0.037, glass, "bottles")
                item.rod((x, -0.06, z), (x, -0.17, z), 0.014, glass, "bottles")
    return item


@design("tableware")
def glasses(look: Look) -> Item:
    """A stemmed glass."""
    item = Item("glass")
    glass = Material(m.PLAIN, (0.75, 0.8, 0.8), gloss=0.9, clear=0.5, hole=0.5)
    h = look.between(0.14, 0.22)
    item.lathe([(0.033, 0), (0.005, 0.006), (0.005, h * 0.45), (0.038, h * 0.65), (0.03, h)], glass, "glass")
    return item


@design("tableware")
def salad_tray(look: Look) -> Item:
    item = Item("tray")
    w, d, body = look.between(0.3, 0.45), look.between(0.2, 0.3), look.body()
    item.box((0, 0, 0.008), (w, d, 0.012), body, "tray")
    for s in (-1, 1):
        item.box((s * w / 2, 0, 0.02), (0.012, d, 0.04), body, "tray")
        item.box((0, s * d / 2, 0.02), (w, 0.012, 0.04), body, "tray")
    return item


@design("bag")
def shopping_bag(look: Look) -> Item:
    item = Item("bag")
    w, d, h, t = look.between(0.25, 0.38), look.between(0.1, 0.16), look.between(0.28, 0.42), 0.006
    paper = look.cardboard() if look.chance(0.5) else look.printed()
    for s in (-1, 1):
        item.box((s * w / 2, 0, h / 2), (t, d, h), paper, "bag")
        item.box((0, s * d / 2, h / 2), (w, t, h), paper, "bag")
        item.path(
            [(-0.05, s * d / 2, h), (-0.04, s * d / 2, h + 0.1), (0.04, s * d / 2, h + 0.1), (0.05, s * d / 2, h)],
            0.004,
            look.plastic(),
            "handles",
        )
    item.box((0, 0, t), (w, d, t), paper, "bag")
    return item


@design("pet basket")
def pet_basket(look: Look) -> Item:
    item = Item("pet basket")
    cover, w = look.new_fabric(), look.between(0.5, 0.8)
    item.soft((0, 0, 0.06), (w, w * 0.75, 0.1), cover, "base", 0.045)
    for s in (-1, 1):
        item.soft((s * w / 2, 0, 0.11), (0.12, w * 0.75, 0.2), cover, "rim", 0.055)
        item.soft((0, s * w * 0.37, 0.11), (w, 0.12, 0.2 if s > 0 else 0.13), cover, "rim", 0.055)
    return item
