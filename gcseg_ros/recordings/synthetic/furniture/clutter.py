"""Small things that stand on tables, shelves and floors. Origin at the middle of the underside."""

from __future__ import annotations

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.materials import Material


@design("tableware")
def cup(look: Look) -> Item:
    item = Item("cup")
    r, h, material = look.between(0.033, 0.05), look.between(0.06, 0.12), look.ceramic()
    item.lathe([(r * look.between(0.6, 1), 0), (r, h * 0.4), (r, h)], material, "cup")
    item.disc((0, 0, h * 0.8), r * 0.93, 0.002, look.plastic((0.25, 0.13, 0.06)), "drink")
    if look.chance(0.7):
        item.ring((r + 0.012, 0, h * 0.55), h * 0.26, 0.006, material, "handle", turn(roll=np.pi / 2))
    return item


@design("tableware")
def bottle(look: Look) -> Item:
    item = Item("bottle")
    r, h = look.between(0.028, 0.05), look.between(0.18, 0.34)
    glass = look.plastic(look.choose(((0.1, 0.3, 0.12), (0.3, 0.18, 0.06), (0.8, 0.85, 0.85), look.any_colour())))
    neck = r * look.between(0.25, 0.45)
    item.lathe([(r, 0), (r, h * 0.58), (neck, h * 0.75), (neck, h * 0.94)], glass, "bottle")
    item.disc((0, 0, h * 0.97), neck * 1.2, h * 0.06, look.plastic(), "cap")
    item.disc((0, 0, h * 0.33), r * 1.01, h * 0.25, look.printed(), "label")
    return item


@design("tableware")
def bowl(look: Look) -> Item:
    item = Item("bowl")
    r, h, material = look.between(0.07, 0.16), look.between(0.05, 0.1), look.ceramic()
    item.lathe([(r * 0.4, 0), (r * 0.8, h * 0.4), (r, h)], material, "bowl")
    if look.chance(0.5):
        for _ in range(look.whole(2, 5)):
            fruit = look.plastic(look.choose(((0.8, 0.15, 0.1), (0.9, 0.55, 0.1), (0.5, 0.7, 0.15), (0.9, 0.8, 0.2))))
            a, d = look.between(0, 6.28), look.between(0, r * 0.5)
            item.ball((d * np.cos(a), d * np.sin(a), h * 0.75), (0.036, 0.036, 0.034), fruit, "fruit")
    return item


@design("tableware")
def plate(look: Look) -> Item:
    item = Item("plate")
    r = look.between(0.09, 0.14)
    item.lathe([(r * 0.6, 0), (r, 0.02)], look.ceramic(), "plate")
    return item


@design("tableware")
def pot(look: Look) -> Item:
    item = Item("pot")
    r, h = look.between(0.08, 0.14), look.between(0.08, 0.18)
    steel = look.choose((look.metal("steel"), look.plastic()))
    item.lathe([(r, 0), (r, h), (r * 0.3, h + 0.02)], steel, "pot", top=True)
    item.ball((0, 0, h + 0.03), (0.015, 0.015, 0.015), look.metal("black"), "lid")
    for sx in (-1, 1):
        item.box((sx * (r + 0.02), 0, h * 0.75), (0.04, 0.05, 0.012), look.metal("black"), "handles")
    return item


@design("tableware")
def jug(look: Look) -> Item:
    item = Item("jug")
    r, h, material = look.between(0.05, 0.08), look.between(0.15, 0.25), look.ceramic()
    item.lathe([(r * 0.8, 0), (r, h * 0.3), (r * 0.7, h * 0.7), (r * 0.8, h)], material, "jug")
    item.ring((r + 0.02, 0, h * 0.55), h * 0.25, 0.008, material, "handle", turn(roll=np.pi / 2))
    return item


@design("appliance")
def kettle(look: Look) -> Item:
    item = Item("kettle")
    material = look.choose((look.metal("steel"), look.plastic()))
    item.disc((0, 0, 0.012), 0.085, 0.024, look.metal("black"), "base")
    item.lathe([(0.08, 0.024), (0.075, 0.12), (0.05, 0.21)], material, "kettle", top=True)
    item.path([(0.05, 0, 0.2), (0.11, 0, 0.19), (0.11, 0, 0.09), (0.075, 0, 0.07)], 0.01, look.metal("black"), "handle")
    return item


@design("appliance")
def toaster(look: Look) -> Item:
    item = Item("toaster")
    material = look.choose((look.metal("steel"), look.plastic()))
    item.soft((0, 0, 0.1), (look.between(0.26, 0.34), 0.17, 0.19), material, "body", 0.03)
    for sy in (-1, 1):
        item.box((0, sy * 0.035, 0.194), (0.22, 0.025, 0.004), look.metal("black"), "slots")
    return item


@design("appliance")
def microwave(look: Look) -> Item:
    item = Item("microwave")
    w, h, d = look.between(0.42, 0.52), look.between(0.26, 0.3), look.between(0.32, 0.4)
    item.box(
        (0, 0, h / 2),
        (w, d, h),
        look.choose((look.paint(look.white()), look.metal("steel"), look.metal("black"))),
        "body",
    )
    item.box(
        (-w * 0.1, -d / 2 - 0.006, h / 2),
        (w * 0.72, 0.012, h * 0.85),
        Material(m.PLAIN, (0.05, 0.05, 0.06), gloss=0.8, hole=0.4),
        "door",
    )
    item.rod(
        (w * 0.28, -d / 2 - 0.03, h * 0.2), (w * 0.28, -d / 2 - 0.03, h * 0.8), 0.008, look.metal("steel"), "handle"
    )
    return item


@design("appliance")
def coffee_machine(look: Look) -> Item:
    item = Item("coffee machine")
    dark = look.plastic(look.grey())
    w, d, h = look.between(0.2, 0.3), look.between(0.25, 0.35), look.between(0.3, 0.4)
    item.soft((0, 0, 0.03), (w, d, 0.06), dark, "base", 0.01)
    item.soft((0, d * 0.3, h / 2), (w, d * 0.4, h), dark, "body", 0.015)
    item.soft((0, 0, h - 0.05), (w, d, 0.1), dark, "head", 0.015)
    item.lathe([(0.05, 0.06), (0.06, 0.11), (0.045, 0.17)], look.glass(), "jug", at=(0, -0.06, 0))
    return item


@design("decor")
def vase(look: Look) -> Item:
    item = Item("vase")
    h, r = look.between(0.12, 0.45), look.between(0.05, 0.12)
    profile = [(r * look.between(0.4, 1), 0.0)]
    for f in (0.25, 0.5, 0.75):
        profile.append((r * look.between(0.4, 1.1), h * f))
    profile.append((r * look.between(0.3, 0.8), h))
    item.lathe(profile, look.ceramic() if look.chance(0.7) else look.stone(), "vase")
    if look.chance(0.4):
        leaf = look.leaf()
        flower = look.plastic(look.any_colour())
        for _ in range(look.whole(3, 8)):
            a, reach, top = look.between(0, 6.28), look.between(0.02, 0.14), h + look.between(0.12, 0.3)
            tip = (reach * np.cos(a), reach * np.sin(a), top)
            item.rod((0, 0, h * 0.7), tip, 0.003, leaf, "flowers")
            item.ball(tip, (0.028, 0.028, 0.024), flower, "flowers")
    return item


@design("decor")
def desk_picture(look: Look) -> Item:
    """A framed photograph that leans back on its stand."""
    item = Item("desk picture")
    w, h, t = look.between(0.1, 0.22), look.between(0.13, 0.26), 0.015
    lean = turn(roll=-look.between(0.1, 0.3))
    item.box((0, 0, h / 2), (w, t, h), look.body() if look.chance(0.6) else look.metal(), "frame", lean)
    photo = Material(
        m.PRINT, look.any_colour(), look.any_colour(), look.any_colour(), seed=look.seed(), mapping=m.UPRIGHT
    )
    item.box((0, -t / 2 * 1.05, h / 2), (w * 0.8, 0.003, h * 0.82), photo, "photo", lean)
    return item


@design("decor")
def candle(look: Look) -> Item:
    item = Item("candle")
    h = look.between(0.08, 0.25)
    item.disc((0, 0, 0.01), 0.045, 0.02, look.metal(), "stand")
    item.disc((0, 0, 0.02 + h / 2), look.between(0.012, 0.035), h, look.plastic(), "candle")
    return item


@design("decor")
def clock(look: Look) -> Item:
    item = Item("clock")
    r = look.between(0.05, 0.09)
    item.rod((0, -0.02, r + 0.01), (0, 0.02, r + 0.01), r, look.plastic(), "case")
    item.rod((0, -0.024, r + 0.01), (0, -0.02, r + 0.01), r * 0.85, look.paint(look.white()), "face")
    item.box((0, 0, 0.006), (r * 1.2, 0.05, 0.012), look.plastic(), "case")
    return item


@design("decor")
def figure(look: Look) -> Item:
    """A small abstract sculpture."""
    item = Item("figure")
    material = look.choose((look.stone(), look.metal(), look.wood(), look.ceramic()))
    z = 0.02
    item.box((0, 0, 0.01), (0.1, 0.1, 0.02), look.stone(), "base")
    for _ in range(look.whole(2, 4)):
        r = look.between(0.02, 0.06)
        item.ball(
            (look.between(-0.02, 0.02), 0, z + r),
            (r * look.between(0.6, 1.2), r * look.between(0.6, 1.2), r),
            material,
            "figure",
        )
        z += 1.6 * r
    return item


@design("box")
def carton(look: Look) -> Item:
    item = Item("box")
    w, d, h = look.between(0.12, 0.4), look.between(0.12, 0.35), look.between(0.08, 0.32)
    material = look.choose((look.cardboard(), look.cardboard(), look.plastic(), look.printed()))
    item.box((0, 0, h / 2), (w, d, h), material, "box")
    kind = look.choose(("tape", "lid", "plain"))
    if kind == "tape":
        item.box((0, 0, h + 0.0005), (w * 1.001, 0.05, 0.002), look.plastic((0.75, 0.65, 0.45)), "tape")
    elif kind == "lid":
        item.box((0, 0, h - 0.02), (w + 0.012, d + 0.012, 0.045), look.plastic(material.colour), "lid")
    item.surface((0, 0, h + 0.002), (w * 0.8, d * 0.8), 0.4, "box")
    return item


@design("box")
def packet(look: Look) -> Item:
    item = Item("packet")
    w, d, h = look.between(0.07, 0.2), look.between(0.04, 0.08), look.between(0.12, 0.28)
    item.box((0, 0, h / 2), (w, d, h), look.printed(), "packet")
    return item


@design("box")
def tin(look: Look) -> Item:
    item = Item("tin")
    r, h = look.between(0.03, 0.06), look.between(0.06, 0.16)
    item.disc((0, 0, h / 2), r, h, look.printed(), "tin")
    item.disc((0, 0, h), r * 1.03, 0.01, look.metal("steel"), "lid")
    return item


@design("box")
def tissue_box(look: Look) -> Item:
    item = Item("tissue box")
    item.box((0, 0, 0.045), (0.23, 0.12, 0.09), look.new_fabric(look.any_colour()), "box")
    item.pillow((0, 0, 0.1), (0.09, 0.04, 0.07), look.paint(look.white()), "tissue")
    return item


@design("box")
def basket(look: Look) -> Item:
    item = Item("basket")
    w, d, h = look.between(0.2, 0.36), look.between(0.18, 0.3), look.between(0.1, 0.25)
    wicker = look.wicker() if look.chance(0.6) else look.plastic()
    t = 0.012
    item.box((0, 0, t / 2), (w, d, t), wicker, "basket")
    for s in (-1, 1):
        item.box((s * (w - t) / 2, 0, h / 2), (t, d, h), wicker, "basket")
        item.box((0, s * (d - t) / 2, h / 2), (w, t, h), wicker, "basket")
    return item


@design("paper")
def book_flat(look: Look) -> Item:
    """A closed book or magazine lying."""
    item = Item("book")
    w, d, h = look.between(0.13, 0.24), look.between(0.18, 0.3), look.between(0.006, 0.05)
    cover = look.printed()
    if h > 0.015:
        item.box((0.004, 0, h / 2), (w - 0.01, d - 0.01, h - 0.006), look.paint((0.93, 0.9, 0.82)), "pages")
        for z in (0.0015, h - 0.0015):
            item.box((0, 0, z), (w, d, 0.003), cover, "cover")
        item.box((-w / 2 + 0.002, 0, h / 2), (0.004, d, h), cover, "cover")
    else:
        item.box((0, 0, h / 2), (w, d, h), cover, "cover")
    return item


@design("paper")
def book_stack(look: Look) -> Item:
    item = Item("stack of books")
    z = 0.0
    w, d = look.between(0.15, 0.24), look.between(0.2, 0.3)
    for _ in range(look.whole(2, 6)):
        h = look.between(0.015, 0.045)
        f = look.between(0.8, 1.0)
        item.box(
            (look.between(-0.01, 0.01), 0, z + h / 2),
            (w * f, d * f, h),
            look.printed(),
            "books",
            turn(look.between(-0.2, 0.2)),
        )
        z += h
    return item


@design("paper")
def sheets(look: Look) -> Item:
    """Some sheets of paper, hardly thicker than nothing."""
    item = Item("papers")
    for i in range(look.whole(1, 4)):
        h = 0.001 + 0.0015 * i
        centre = (look.between(-0.05, 0.05), look.between(-0.04, 0.04), h)
        item.box(centre, (0.21, 0.297, 0.0012), look.page(), "sheets", turn(look.between(-0.6, 0.6)))
    item.flat = look.chance(0.0)
    return item


@design("paper")
def open_book(look: Look) -> Item:
    item = Item("open book")
    for sx in (-1, 1):
        item.box((sx * 0.08, 0, 0.014), (0.16, 0.23, 0.012), look.page(), "pages", turn(pitch=sx * 0.1))
    item.box((0, 0, 0.002), (0.33, 0.24, 0.004), look.plastic(), "cover")
    return item


@design("toy")
def ball(look: Look) -> Item:
    item = Item("ball")
    r = look.between(0.04, 0.14)
    pattern = look.choose((m.PLAIN, m.STRIPES, m.CELLS, m.DOTS))
    material = Material(
        pattern, look.any_colour(), look.any_colour(), look.any_colour(), period_m=r, seed=look.seed(), gloss=0.3
    )
    item.ball((0, 0, r), (r, r, r), material)
    return item


@design("toy")
def blocks(look: Look) -> Item:
    """A small tower of wooden blocks."""
    item = Item("blocks")
    z, s = 0.0, look.between(0.03, 0.06)
    for _ in range(look.whole(2, 5)):
        item.box(
            (look.between(-0.01, 0.01), look.between(-0.01, 0.01), z + s / 2),
            (s * look.between(1, 2), s, s),
            look.plastic(),
            "blocks",
            turn(look.between(0, 3)),
        )
        z += s
    return item


@design("toy")
def teddy(look: Look) -> Item:
    item = Item("teddy")
    s = look.between(0.6, 1.6)
    fur = look.choose((look.wicker(), look.new_fabric(look.any_colour())))
    fur = Material(m.NOISE, fur.colour, tuple(c * 0.8 for c in fur.colour), period_m=0.02, bump=0.3, bump_period_m=0.02)  # type: ignore[arg-type]
    item.ball((0, 0, 0.1 * s), (0.085 * s, 0.075 * s, 0.1 * s), fur, "body")
    item.ball((0, -0.01, 0.24 * s), (0.065 * s, 0.06 * s, 0.06 * s), fur, "head")
    for sx in (-1, 1):
        item.ball((sx * 0.05 * s, 0, 0.295 * s), (0.022 * s,) * 3, fur, "head")
        item.ball((sx * 0.09 * s, -0.03 * s, 0.14 * s), (0.03 * s, 0.03 * s, 0.06 * s), fur, "limbs")
        item.ball((sx * 0.06 * s, -0.1 * s, 0.035 * s), (0.035 * s, 0.07 * s, 0.035 * s), fur, "limbs")
    return item


@design("toy")
def toy_car(look: Look) -> Item:
    item = Item("toy car")
    s = look.between(0.6, 2.0)
    body = look.plastic()
    item.soft((0, 0, 0.035 * s), (0.1 * s, 0.2 * s, 0.04 * s), body, "body", 0.01 * s)
    item.soft((0, 0.01 * s, 0.065 * s), (0.085 * s, 0.1 * s, 0.035 * s), look.plastic(), "cabin", 0.012 * s)
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.rod(
                (sx * 0.04 * s, sy * 0.06 * s, 0.02 * s),
                (sx * 0.054 * s, sy * 0.06 * s, 0.02 * s),
                0.02 * s,
                look.plastic((0.05, 0.05, 0.05)),
                "wheels",
            )
    return item


@design("computer")
def laptop(look: Look) -> Item:
    item = Item("laptop")
    w, d = look.between(0.3, 0.38), look.between(0.21, 0.26)
    case = look.plastic(look.choose(((0.7, 0.7, 0.72), (0.1, 0.1, 0.1))))
    item.box((0, 0, 0.009), (w, d, 0.016), case, "base")
    keys = Material(m.KEYS, (0.3, 0.3, 0.31), (0.08, 0.08, 0.09), (0.5, 0.5, 0.5), period_m=0.019)
    item.box((0, 0.03, 0.0175), (w * 0.9, d * 0.5, 0.001), keys, "keys")
    angle = look.between(0.1, 0.5)
    lean = turn(roll=-angle)
    y, z = d / 2 + np.sin(angle) * d / 2, 0.016 + np.cos(angle) * d / 2
    item.box((0, y, z), (w, 0.008, d), case, "lid", lean)
    item.box((0, y - 0.0045, z), (w * 0.93, 0.002, d * 0.86), look.screen(), "screen", lean)
    return item


@design("computer")
def monitor(look: Look) -> Item:
    item = Item("monitor")
    w = look.between(0.42, 0.75)
    h = w * look.between(0.5, 0.62)
    dark = look.plastic(look.choose(((0.05, 0.05, 0.05), (0.7, 0.7, 0.72), (0.85, 0.85, 0.85))))
    low = look.between(0.08, 0.16)
    item.soft((0, 0.02, 0.01), (w * 0.4, 0.2, 0.016), dark, "stand", 0.006)
    item.box((0, 0.05, low / 2 + 0.08), (0.05, 0.03, low + 0.16), dark, "stand")
    item.box((0, 0.015, low + h / 2), (w, 0.03, h), dark, "case")
    item.box((0, -0.0015, low + h / 2), (w * 0.95, 0.004, h * 0.92), look.screen(), "screen")
    return item


@design("keyboard")
def keyboard(look: Look) -> Item:
    item = Item("keyboard")
    base = look.choose(((0.06, 0.06, 0.07), (0.85, 0.85, 0.86), (0.4, 0.4, 0.42)))
    key = (0.12, 0.12, 0.13) if base[0] < 0.5 else (0.97, 0.97, 0.97)
    w, d = look.between(0.3, 0.45), look.between(0.12, 0.16)
    item.box((0, 0, 0.009), (w, d, 0.018), look.plastic(base), "case")
    item.box(
        (0, 0, 0.0185),
        (w * 0.96, d * 0.85, 0.002),
        Material(m.KEYS, base, key, (0.5, 0.5, 0.5), period_m=0.019),
        "keys",
    )
    return item


@design("mouse")
def mouse(look: Look) -> Item:
    item = Item("mouse")
    item.ball((0, 0, 0.0), (0.032, 0.055, 0.036), look.plastic(look.grey()), cut=(0, 1))
    return item


@design("office thing")
def pen_cup(look: Look) -> Item:
    item = Item("pen cup")
    item.lathe([(0.038, 0), (0.04, 0.1)], look.plastic(), "cup")
    for _ in range(look.whole(2, 6)):
        a = look.between(0, 6.28)
        item.rod(
            (0, 0, 0.01), (0.05 * np.cos(a), 0.05 * np.sin(a), look.between(0.13, 0.18)), 0.004, look.plastic(), "pens"
        )
    return item


@design("office thing")
def phone(look: Look) -> Item:
    item = Item("telephone")
    dark = look.plastic(look.grey())
    item.box((0, 0, 0.03), (0.2, 0.18, 0.03), dark, "base", turn(roll=0.15))
    item.soft((-0.07, 0, 0.07), (0.05, 0.2, 0.03), dark, "receiver", 0.013)
    item.box(
        (0.04, -0.02, 0.047),
        (0.09, 0.09, 0.003),
        Material(m.KEYS, dark.colour, (0.9, 0.9, 0.9), period_m=0.022),
        "keys",
        turn(roll=0.15),
    )
    return item


@design("office thing")
def paper_tray(look: Look) -> Item:
    item = Item("paper tray")
    plastic = look.plastic()
    for level in range(look.whole(1, 3)):
        z = 0.005 + level * 0.075
        item.box((0, 0, z), (0.26, 0.34, 0.005), plastic, "tray")
        for sx in (-1, 1):
            item.box((sx * 0.128, 0, z + 0.02), (0.005, 0.34, 0.045), plastic, "tray")
        item.box((0, 0, z + 0.01), (0.21, 0.3, look.between(0.004, 0.02)), look.page(), "sheets")
    for sx in (-1, 1):
        item.box((sx * 0.128, 0.15, 0.1), (0.006, 0.02, 0.2), plastic, "tray")
    return item


@design("office thing")
def tablet(look: Look) -> Item:
    item = Item("tablet")
    w, d = look.choose(((0.075, 0.15), (0.17, 0.24), (0.05, 0.16)))
    item.box((0, 0, 0.005), (w, d, 0.009), look.plastic((0.05, 0.05, 0.05)), "case")
    item.box((0, 0, 0.0098), (w * 0.9, d * 0.88, 0.001), look.screen(), "screen")
    return item


@design("bag")
def backpack(look: Look) -> Item:
    item = Item("backpack")
    cloth = look.new_fabric(look.any_colour())
    w, h = look.between(0.26, 0.34), look.between(0.38, 0.5)
    item.soft((0, 0, h / 2), (w, 0.18, h), cloth, "bag", 0.08)
    item.soft(
        (0, -0.11, h * 0.35), (w * 0.8, 0.08, h * 0.45), cloth if look.chance(0.5) else look.fabric(), "pocket", 0.035
    )
    item.ring((0, 0.02, h), 0.04, 0.008, cloth, "handle", turn(roll=np.pi / 2))
    return item


@design("bag")
def suitcase(look: Look) -> Item:
    item = Item("suitcase")
    shell = look.plastic()
    w, d, h = look.between(0.35, 0.5), look.between(0.2, 0.28), look.between(0.5, 0.7)
    item.soft((0, 0, h / 2 + 0.04), (w, d, h), shell, "shell", 0.04)
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.ball((sx * w * 0.4, sy * d * 0.35, 0.025), (0.02, 0.02, 0.025), look.metal("black"), "wheels")
    if look.chance(0.5):
        item.path(
            [(-0.08, d * 0.3, h), (-0.08, d * 0.3, h + 0.4), (0.08, d * 0.3, h + 0.4), (0.08, d * 0.3, h)],
            0.008,
            look.metal(),
            "handle",
        )
    return item


@design("shoes")
def pair_of_shoes(look: Look) -> Item:
    item = Item("shoes")
    upper, sole = look.choose((look.leather(), look.new_fabric(look.any_colour()))), look.plastic(look.grey())
    s = look.between(0.75, 1.0)
    for sx in (-1, 1):
        x = sx * 0.06
        item.soft((x, 0, 0.012), (0.095 * s, 0.28 * s, 0.024), sole, "soles", 0.011)
        item.ball((x, -0.06 * s, 0.025), (0.045 * s, 0.08 * s, 0.045), upper, "shoes", cut=(0, 1))
        item.soft((x, 0.07 * s, 0.05), (0.08 * s, 0.13 * s, 0.07), upper, "shoes", 0.03)
    return item


@design("bin")
def round_bin(look: Look) -> Item:
    item = Item("bin")
    r, h = look.between(0.11, 0.19), look.between(0.25, 0.6)
    if look.chance(0.5):
        material = look.plastic()
    else:
        pattern = look.choose((m.DOTS, m.STRIPES, m.WEAVE, m.CHECKS))
        material = Material(
            pattern, look.any_colour(), look.any_colour(), look.any_colour(), period_m=0.07, seed=look.seed()
        )
    item.lathe([(r * look.between(0.7, 0.95), 0), (r, h)], material, "bin")
    item.ring((0, 0, h), r, 0.006, material if look.chance(0.5) else look.plastic(), "rim")
    if look.chance(0.3):
        item.ball((0, 0, h), (r, r, r * 0.4), material, "lid", cut=(0, 1))
    elif look.chance(0.4):
        item.pillow((0, 0, h * 0.75), (r * 1.5, r * 1.5, 0.15), look.paint(look.white()), "bag")
    return item


@design("bin")
def pedal_bin(look: Look) -> Item:
    item = Item("bin")
    w, h = look.between(0.25, 0.4), look.between(0.4, 0.7)
    body = look.choose((look.plastic(), look.metal("steel")))
    item.soft((0, 0, h / 2), (w, w * 0.8, h), body, "bin", 0.03)
    item.soft((0, 0, h + 0.02), (w + 0.01, w * 0.82, 0.06), look.plastic(look.grey()), "lid", 0.025)
    return item


@design("bin")
def laundry_basket(look: Look) -> Item:
    item = Item("laundry basket")
    r, h = look.between(0.18, 0.26), look.between(0.4, 0.6)
    item.lathe([(r * 0.8, 0), (r, h)], look.wicker() if look.chance(0.6) else look.fabric(), "basket")
    for _ in range(look.whole(0, 3)):
        lean = turn(look.between(0, 3), look.between(-0.5, 0.5))
        item.pillow(
            (look.between(-0.05, 0.05), look.between(-0.05, 0.05), h),
            (r * 1.3, r, 0.14),
            look.new_fabric(look.any_colour()),
            "clothes",
            lean,
        )
    return item
