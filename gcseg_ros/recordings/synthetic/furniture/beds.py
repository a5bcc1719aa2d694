"""Beds: frame, mattress, blanket and pillows are one object."""

from __future__ import annotations

from gcseg_ros.recordings.synthetic.designs import design
from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.look import Look


def bedding(item: Item, look: Look, w: float, length: float, low: float, high: float, pillows: int) -> None:
    """Mattress from low to high (head at +y), a blanket over part of it, pillows at the head."""
    sheet, blanket = look.paint(look.white()), look.new_fabric()
    item.soft(
        (0, 0, (low + high) / 2),
        (w, length, high - low),
        sheet if look.chance(0.7) else look.fabric(),
        "mattress",
        0.05,
    )
    top = high
    if look.chance(0.85):
        cover = look.between(0.5, 0.85) * length
        y0 = -length / 2 - 0.02
        thick = look.between(0.02, 0.06)
        item.soft((0, y0 + cover / 2, high + thick / 2), (w + 0.06, cover, thick), blanket, "blanket", thick * 0.45)
        top = high + thick
        drop = look.between(0.1, 0.35)
        waves = look.chance(0.5)
        for sx in (-1, 1):
            if waves:
                centre = (sx * (w / 2 + 0.03), y0 + cover / 2, high + thick - drop / 2)
                item.cloth(
                    centre,
                    (cover, drop),
                    look.between(0.01, 0.04),
                    look.between(3, 9),
                    blanket,
                    "blanket",
                    turn(yaw=1.5708),
                    top=0.2,
                )
            else:
                item.soft(
                    (sx * (w / 2 + 0.02), y0 + cover / 2, high + thick - drop / 2),
                    (0.04, cover, drop),
                    blanket,
                    "blanket",
                    0.015,
                )
        if look.chance(0.6):
            item.soft((0, y0, high + thick - drop / 2), (w + 0.05, 0.04, drop), blanket, "blanket", 0.015)
        if look.chance(0.5):
            item.soft(
                (0, y0 + cover, high + thick + 0.01),
                (w + 0.06, look.between(0.15, 0.3), 0.05),
                look.fabric() if look.chance(0.5) else sheet,
                "blanket",
                0.024,
            )
        if look.chance(0.3):
            item.soft(
                (0, y0 + 0.3, high + thick + 0.008),
                (w + 0.08, look.between(0.3, 0.5), 0.02),
                look.new_fabric(),
                "throw",
                0.009,
            )
    case = look.new_fabric() if look.chance(0.4) else sheet
    for row in range(look.choose((1, 1, 2))):
        for i in range(pillows):
            x = (i - (pillows - 1) / 2) * w / pillows + look.between(-0.03, 0.03)
            y = length / 2 - 0.24 - row * 0.2
            lean = turn(yaw=look.between(-0.1, 0.1)) @ turn(roll=look.between(-0.1, 0.1) + (0.6 if row else 0.25))
            size = (min(0.68, w / pillows - 0.06), look.between(0.34, 0.45), look.between(0.12, 0.18))
            item.pillow((x, y, high + 0.07 + 0.1 * row), size, case if row == 0 else look.new_fabric(), "pillows", lean)
    item.surface((0, -length * 0.28, top), (w * 0.7, length * 0.3), 0.8, "bed")


@design("bed")
def box_bed(look: Look) -> Item:
    """A box spring or storage bed with an upholstered headboard."""
    item = Item("bed")
    double = look.chance(0.65)
    w, length = (look.between(1.4, 1.9), 2.05) if double else (look.between(0.85, 1.1), 2.0)
    base = look.body() if look.chance(0.5) else look.upholstery()
    low = look.between(0.2, 0.35)
    item.soft((0, 0, low / 2 + 0.01), (w, length, low - 0.02), base, "base", 0.015)
    bedding(item, look, w - 0.02, length - 0.02, low, low + look.between(0.18, 0.28), 2 if double else 1)
    height = look.between(0.85, 1.3)
    head = look.upholstery()
    item.soft(
        (0, length / 2 + 0.06, height / 2), (w + look.choose((0, 0.1, 0.3)), 0.11, height), head, "headboard", 0.03
    )
    if look.chance(0.5):
        for i in range(look.whole(2, 5)):
            x = (i - 2) * w / 5
            item.soft((x, length / 2, height * 0.75), (w / 5 - 0.01, 0.05, height * 0.4), head, "headboard", 0.02)
    return item


@design("bed")
def frame_bed(look: Look) -> Item:
    """A wooden or metal frame on legs; things may lie below."""
    item = Item("bed")
    double = look.chance(0.5)
    w, length = (look.between(1.4, 1.8), 2.05) if double else (look.between(0.85, 1.05), 2.0)
    frame = look.wood() if look.chance(0.6) else look.metal()
    rail = look.between(0.25, 0.4)
    for sx in (-1, 1):
        item.box((sx * (w / 2 + 0.01), 0, rail), (0.03, length, 0.14), frame, "frame")
    for y, height in ((length / 2, look.between(0.7, 1.1)), (-length / 2, look.between(0.4, 0.75))):
        for sx in (-1, 1):
            item.box((sx * (w / 2), y, height / 2), (0.06, 0.06, height), frame, "frame")
        if look.chance(0.5):
            item.box((0, y, (height + rail) / 2), (w, 0.03, height - rail), frame, "frame")
        else:
            item.box((0, y, height), (w + 0.06, 0.05, 0.05), frame, "frame")
            for i in range(1, look.whole(4, 9)):
                x = -w / 2 + i * w / 9
                item.rod((x, y, rail), (x, y, height), 0.012, frame, "frame")
    bedding(item, look, w, length - 0.08, rail, rail + look.between(0.14, 0.22), 2 if double else 1)
    return item


@design("bed")
def bunk_bed(look: Look) -> Item:
    item = Item("bunk bed")
    w, length, frame = 0.95, 2.02, look.wood() if look.chance(0.6) else look.metal()
    height = look.between(1.5, 1.75)
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.box((sx * w / 2, sy * length / 2, height / 2), (0.06, 0.06, height), frame, "frame")
    for level in (0.3, height - 0.4):
        item.box((0, 0, level), (w, length, 0.1), frame, "frame")
        bedding(item, look, w - 0.06, length - 0.08, level + 0.05, level + 0.19, 1)
    for z in (height - 0.12,):
        for sx in (-1, 1):
            item.box((sx * w / 2, 0, z), (0.025, length, 0.08), frame, "frame")
    for z in (0.6, 0.85, 1.1):
        item.rod((-w / 2 - 0.02, -length / 2 + 0.1, z), (-w / 2 - 0.02, -length / 2 + 0.5, z), 0.015, frame, "ladder")
    for y in (0.1, 0.5):
        item.rod(
            (-w / 2 - 0.02, -length / 2 + y, 0), (-w / 2 - 0.02, -length / 2 + y, height - 0.2), 0.018, frame, "ladder"
        )
    return item
