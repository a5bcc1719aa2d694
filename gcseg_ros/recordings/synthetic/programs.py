"""Furnishing programs: what stands where in a living room, a bedroom, an office, ... and the clutter on top of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gcseg_ros.recordings.synthetic.designs import make
from gcseg_ros.recordings.synthetic.items import Item, Surface, turn
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.planner import CELL_M, Placed, Planner, pose_at

PROGRAMS: dict[str, Callable[[Planner], None]] = {}


def program(function: Callable[[Planner], None]) -> Callable[[Planner], None]:
    PROGRAMS[function.__name__] = function
    return function


def furnish(plan: Planner, name: str) -> None:
    """Run a program, then hang things on the walls, the ceiling, and clutter on all surfaces."""
    PROGRAMS[name](plan)
    fill_up(plan)
    ceiling_lights(plan)
    hang(plan)
    for placed in list(plan.placed):
        for surface in placed.item.surfaces:
            clutter(plan, placed, surface)


def fill_up(plan: Planner) -> None:
    """Rooms are rarely empty: more furniture along the walls and small things, until a share of the floor is taken."""
    look = plan.look
    goal = look.between(0.12, 0.4) * min(look.style.clutter, 1.3)
    for _ in range(14):
        if (plan.taken[plan.inside] == 1).mean() > goal:
            return
        item = make(look.choose(FILLERS), look)
        if look.chance(0.75):
            plan.against_wall(item, front=look.between(0.1, 0.4))
        else:
            plan.in_open(item, look.between(0.05, 0.4))


FILLERS = (
    *("cupboard", "shelf", "plant", "bin", "box", "stool", "bag", "armchair", "side table", "floor lamp", "console"),
    *("standing thing", "standing thing", "leaning", "pet basket", "fireplace", "stairs", "chair", "bench", "pouf"),
    *(
        "tv cabinet",
        "night stand",
        "wardrobe",
        "stack of boxes",
        "shoe rack",
        "coat rack",
        "cupboard",
        "shelf",
        "plant",
    ),
)


def main_piece(plan: Planner, family: str, front: float = 0.6) -> Placed | None:
    """The piece without which the room would not be one of its kind: tried with less and less space before it."""
    for share in (1.0, 1.0, 0.7, 0.4, 0.1):
        found = plan.against_wall(make(family, plan.look), front=front * share, tries=40)
        if found:
            return found
    return plan.in_open(make(family, plan.look), 0.05)


# --- groups ---


def several(look: Look, family: str, count: int) -> list[Item]:
    """Items of one and the same making; they share primitives, so they must not be changed."""
    item = make(family, look)
    return [item] * count


def dining_group(plan: Planner, seats: int | None = None) -> Placed | None:
    look = plan.look
    table = plan.in_open(make("table", look), 0.6)
    if table is None:
        return None
    count = look.whole(2, 6) if seats is None else seats
    chairs = several(look, "chair", count) if look.chance(0.8) else [make("chair", look) for _ in range(count)]
    plan.around(table, chairs, look.between(0.0, 0.25) if look.chance(0.7) else -0.15)
    if look.chance(0.25):
        plan.accept(*centred_rug(plan, table))
    return table


def centred_rug(plan: Planner, anchor: Placed) -> tuple[Item, np.ndarray]:
    rug = make("rug", plan.look)
    p = anchor.to_world(0, plan.look.between(-0.3, 0.3), 0.0003)
    return rug, pose_at(p[0], p[1], p[2], anchor.yaw)


def sofa_group(plan: Planner) -> None:
    """Sofa, low table before it, armchairs, side tables, a rug, and a television opposite."""
    look = plan.look
    sofa_item = make("sofa", look)
    sofa = plan.against_wall(sofa_item, front=1.2) if look.chance(0.6) else plan.in_open(sofa_item, 0.5)
    if sofa is None:
        sofa = main_piece(plan, "sofa")
    if sofa is None:
        return
    table = None
    if look.chance(0.85):
        table = plan.before(sofa, make("coffee table", look), look.between(0.3, 0.5))
    if look.chance(0.6):
        plan.accept(*centred_rug(plan, table or sofa))
    for side in (-1, 1):
        if look.chance(0.45):
            plan.beside(sofa, make("side table", look), side, 0.04)
        elif look.chance(0.35):
            plan.beside(sofa, make(look.choose(("floor lamp", "plant")), look), side, 0.05)
    if table is not None:
        for side in (-1, 1):
            if look.chance(0.4):
                seat = make("armchair" if look.chance(0.75) else "pouf", look)
                low, _ = seat.bounds()
                _, tu = table.item.bounds()
                p = table.to_world(side * (tu[0] + 0.35 - low[1]), look.between(-0.3, 0.2), 0)
                plan.put(seat, pose_at(p[0], p[1], 0, table.yaw + side * np.pi / 2 + look.between(-0.4, 0.4)))
    if look.chance(0.7):
        cabinet = plan.against_wall(make("tv cabinet", look), front=0.6)
        if cabinet and look.chance(0.5):
            tv = make("tv", look)
            for index, wall in enumerate(plan.walls):
                if abs(np.sin((wall.yaw - cabinet.yaw) / 2)) < 1e-3:
                    s = float((cabinet.pose[:2, 3] - wall.start) @ wall.along)
                    if abs((cabinet.pose[:2, 3] - wall.start) @ wall.normal) < 0.6:
                        if plan.on_wall(tv, look.between(1.0, 1.3), 1, index, s):
                            cabinet.item.surfaces = [x for x in cabinet.item.surfaces if x.kind != "tv"]
                        break


def storage_along_walls(plan: Planner, count: int, families: tuple[str, ...] = ("shelf", "cupboard", "shelf")) -> None:
    for _ in range(count):
        plan.against_wall(make(plan.look.choose(families), plan.look), front=0.45)


def scatter(plan: Planner, families: tuple[str, ...], count: int, margin: float = 0.15) -> None:
    """Things on the floor, some along the walls."""
    for _ in range(count):
        item = make(plan.look.choose(families), plan.look)
        if plan.look.chance(0.6):
            plan.against_wall(item, gap=plan.look.between(0.02, 0.15), front=0.2)
        else:
            plan.in_open(item, margin)


def ceiling_lights(plan: Planner) -> None:
    look = plan.look
    if look.chance(0.25):
        return
    lamp = make_hanging(look)
    for _ in range(look.choose((1, 1, 2, 4))):
        k = np.argwhere(plan.inside)
        row, column = k[look.whole(0, len(k) - 1)]
        x, y = plan.origin + (np.array([column, row]) + 0.5) * CELL_M
        centre = plan.corners.mean(0)
        x, y = centre + (np.array([x, y]) - centre) * 0.5
        if plan.inside[int((y - plan.origin[1]) / CELL_M), int((x - plan.origin[0]) / CELL_M)]:
            plan.accept(lamp, pose_at(x, y, plan.height - 0.001 - lamp.bounds()[1][2]))


def make_hanging(look: Look) -> Item:
    return make("ceiling lamp", look)


def hang(plan: Planner) -> None:
    """Pictures, mirrors, clocks, wall shelves, radiators."""
    look = plan.look
    same = make("picture", look) if look.chance(0.3) else None
    for _ in range(int(look.rng.poisson(3 * min(look.style.clutter, 1.5)))):
        item = same or make("picture", look)
        plan.on_wall(item, look.between(1.0, 1.7))
    for _ in range(look.choose((0, 0, 0, 1, 2))):
        group = look.whole(1, 4)
        z = look.between(1.1, 1.6)
        for _ in range(group):
            plan.on_wall(make("notice", look), z + look.between(-0.1, 0.1))
    if look.chance(0.12):
        plan.on_wall(make("towel", look), look.between(0.4, 0.9))
    for _ in range(look.choose((0, 0, 1, 2))):
        plan.against_wall(make("leaning", look), gap=0.01, front=0.1)
    for _ in range(look.choose((0, 0, 0, 1, 2))):
        plan.in_open(make("cable", look))
    if look.chance(0.3):
        plan.on_wall(make("mirror", look), look.between(0.6, 1.2))
    if look.chance(0.3):
        plan.on_wall(make("wall clock", look), look.between(1.6, 2.0))
    if look.chance(0.2):
        plan.on_wall(make("air conditioner", look), plan.height - 0.45)
    for _ in range(look.choose((0, 0, 1, 2))):
        plan.on_wall(make("wall shelf", look), look.between(1.1, 1.6))


# --- clutter ---

ON = {
    "table": ("tableware", "tableware", "tableware", "paper", "decor", "box", "computer", "toy"),
    "low table": ("paper", "tableware", "decor", "box", "office thing", "paper"),
    "small table": ("table lamp", "decor", "paper", "tableware", "office thing", "small plant"),
    "low shelf": ("paper", "box", "paper"),
    "cupboard": ("decor", "table lamp", "box", "small plant", "paper", "decor", "tableware"),
    "counter": ("appliance", "tableware", "tableware", "box", "paper", "decor"),
    "rack": ("box", "box", "box", "bag", "tableware"),
    "sofa": ("paper", "toy", "office thing", "bag"),
    "bed": ("paper", "toy", "computer", "bag", "box"),
    "seat": ("paper", "bag", "box"),
    "top": ("box", "box", "bag"),
    "box": ("box", "toy", "paper"),
    "bench": ("tool", "tool", "box", "tableware"),
    "cafe": ("cafe thing", "cafe thing", "tableware", "paper"),
    "toys": ("nursery toy",),
    "lab": ("lab thing", "lab thing", "lab thing", "paper", "box"),
    "pallet": ("box", "box", "box", "stack of boxes", "barrel"),
    "invented": ("small invention", "small invention", "small invention", "tableware", "box", "paper", "decor"),
}


def clutter(plan: Planner, on: Placed, surface: Surface) -> None:
    """Put suitable things on one surface."""
    look = plan.look
    messy = look.style.clutter
    kind = surface.kind
    if kind == "shelf":
        fill_shelf(plan, on, surface)
        return
    if kind == "shoes":
        shoes = [make("shoes", look) for _ in range(look.whole(0, 4))]
        plan.fill(on, surface, shoes, upright=True)
        return
    if kind == "tv":
        if look.chance(0.8):
            plan.fill(on, surface, [make("tv", look)], upright=True, spread=0.3)
            return
        kind = "cupboard"
    if kind == "desk":
        fill_desk(plan, on, surface)
        return
    rare = {"sofa": 0.25, "bed": 0.35, "seat": 0.4, "top": 0.5, "box": 0.3}.get(kind, 0.85)
    if not look.chance(min(1.0, rare * (0.7 + 0.3 * messy))):
        return
    families = ON.get(kind, ON["table"])
    area = surface.size[0] * surface.size[1]
    most = {"sofa": 2, "bed": 3, "seat": 1, "top": 3, "box": 1, "small table": 3}.get(kind, int(3 + 8 * area * messy))
    count = look.whole(1, max(1, min(most, 14)))
    plan.fill(on, surface, [make(look.choose(families), look) for _ in range(count)], upright=look.chance(0.5))


def fill_desk(plan: Planner, on: Placed, surface: Surface) -> None:
    look = plan.look
    w, d = surface.size
    used: list[Item] = []
    if look.chance(0.75):
        screens = look.choose((1, 1, 2)) if w > 1.2 else 1
        screen = make("computer", look)
        for i in range(screens):
            _, high = screen.bounds()
            x = (i - (screens - 1) / 2) * (high[0] * 2 + 0.04) + look.between(-0.1, 0.1)
            if abs(x) + high[0] < w / 2 and high[1] < d / 2:
                plan.stand(on, surface, screen, x, d / 2 - high[1] - 0.03, look.between(-0.15, 0.15))
        keys = make("keyboard", look)
        if d > 0.45 and w > 0.9:
            plan.stand(on, surface, keys, look.between(-0.1, 0.1), -d / 2 + 0.13, look.between(-0.1, 0.1))
            plan.stand(
                on,
                surface,
                make("mouse", look),
                look.choose((-1, 1)) * look.between(0.34, 0.4),
                -d / 2 + 0.13,
                look.between(-0.3, 0.3),
            )
        side = look.choose((-1, 1))
        share = Surface(
            (surface.centre[0] + side * w * 0.38, surface.centre[1] + 0.1, surface.centre[2]),
            (w * 0.22, d * 0.6),
            surface.height,
            "desk",
        )
        surface = share
    families = ("office thing", "paper", "tableware", "desk lamp", "paper", "decor", "small plant")
    used += [make(look.choose(families), look) for _ in range(look.whole(0, int(3 + 3 * look.style.clutter)))]
    plan.fill(on, surface, used)


def book_row(look: Look, width: float, depth: float, height: float) -> list[Item]:
    """Upright books side by side, as items at their places: x from -width/2, spine towards -y."""
    books: list[Item] = []
    x = -width / 2
    series = look.printed() if look.chance(0.25) else None
    tall = look.between(0.6, 0.95) * height
    while True:
        t = look.between(0.012, 0.05) if series is None else look.between(0.03, 0.07)
        if x + t > width / 2:
            return books
        h = min(tall * look.between(0.8, 1.0), height) if series is None else min(tall, height)
        d = min(depth * look.between(0.75, 0.95), depth)
        item = Item("book")
        cover = series or look.printed()
        item.box((x + t / 2, -depth / 2 + d / 2 + 0.01, h / 2), (t, d, h), cover, "book", turn(pitch=0.0))
        if look.chance(0.35) and t > 0.02:
            item.box((x + t / 2, -depth / 2 + 0.0095, h * 0.7), (t * 0.7, 0.002, h * 0.3), look.page(), "label")
        books.append(item)
        x += t + look.between(0.0005, 0.003)


def fill_shelf(plan: Planner, on: Placed, surface: Surface) -> None:
    look = plan.look
    w, d = surface.size
    pick = look.rng.random()
    if pick < 0.12:
        return
    if pick < 0.65:
        share = look.between(0.35, 1.0)
        width = w * share
        offset = look.choose((-1, 1)) * (w - width) / 2
        books = book_row(look, width, d, surface.height - 0.02)
        if not books:
            return
        if look.chance(0.5):
            row = Item("row of books")
            for k, book in enumerate(books):
                row.join(book, prefix=f"{k} ")
            books = [row]
        for book in books:
            plan.stand(on, surface, book, offset, 0.0)
        if w - width > 0.15:
            centre = (surface.centre[0] - np.sign(offset) * width / 2, surface.centre[1], surface.centre[2])
            rest = Surface(centre, (w - width - 0.02, d), surface.height, "shelf")
            plan.fill(
                on,
                rest,
                [make(look.choose(("decor", "box", "small plant", "paper")), look) for _ in range(look.whole(0, 2))],
            )
        return
    families = ("decor", "box", "box", "paper", "tableware", "toy", "small plant")
    plan.fill(on, surface, [make(look.choose(families), look) for _ in range(look.whole(1, 5))], upright=True)


# --- programs ---


@program
def living(plan: Planner) -> None:
    look = plan.look
    big = plan.floor_m2 > 26
    sofa_group(plan)
    if big or look.chance(0.3):
        dining_group(plan)
    if big and look.chance(0.3):
        sofa_group(plan)
    storage_along_walls(plan, look.whole(1, 4), ("shelf", "cupboard", "shelf", "console", "cupboard"))
    if look.chance(0.4):
        desk_place(plan)
    scatter(plan, ("plant", "floor lamp", "bin", "pouf", "plant", "armchair", "bag"), look.whole(1, 4))
    scatter(plan, ("toy", "box", "bin"), int(look.rng.poisson(0.7 * look.style.clutter)), 0.1)


def desk_place(plan: Planner) -> Placed | None:
    """A desk at a wall with its chair, perhaps a bin and a cabinet."""
    look = plan.look
    desk = plan.against_wall(make("desk", look), front=0.8)
    if desk is None:
        return None
    chair = make("chair", look)
    lower, _ = desk.item.bounds()
    p = desk.to_world(look.between(-0.15, 0.15), lower[1] - look.between(-0.05, 0.35), 0)
    quad_free = plan.put(chair, pose_at(p[0], p[1], 0, desk.yaw + np.pi + look.between(-0.5, 0.5)), -0.25)
    if quad_free is None:
        plan.before(desk, chair, 0.05, facing=True)
    if look.chance(0.5):
        plan.beside(desk, make("bin", look), look.choose((-1, 1)), 0.05)
    return desk


@program
def bedroom(plan: Planner) -> None:
    look = plan.look
    bed = main_piece(plan, "bed")
    if bed:
        stand = make("night stand", look)
        for side in (-1, 1):
            if look.chance(0.75):
                plan.beside(bed, stand, side, look.between(0.02, 0.3))
        if look.chance(0.35):
            bench = make("bench", look)
            plan.before(bed, bench, 0.05)
        if look.chance(0.4):
            plan.accept(*centred_rug(plan, bed))
    plan.against_wall(make("wardrobe", look), front=0.6)
    if look.chance(0.6):
        desk_place(plan)
    storage_along_walls(plan, look.whole(0, 2), ("cupboard", "shelf", "wardrobe"))
    scatter(plan, ("plant", "floor lamp", "bin", "pouf", "bin", "armchair", "bag"), look.whole(1, 3))


@program
def office(plan: Planner) -> None:
    look = plan.look
    for _ in range(look.whole(1, 4)):
        desk_place(plan)
    if look.chance(0.4):
        dining_group(plan)
    storage_along_walls(plan, look.whole(1, 3), ("shelf", "filing cabinet", "cupboard", "locker"))
    scatter(plan, ("plant", "bin", "filing cabinet", "bag", "box"), look.whole(1, 4))
    if look.chance(0.5):
        plan.on_wall(make("whiteboard", look), look.between(0.8, 1.1))


@program
def dining(plan: Planner) -> None:
    look = plan.look
    dining_group(plan, look.whole(2, 8))
    if plan.floor_m2 > 25:
        dining_group(plan)
    storage_along_walls(plan, look.whole(1, 3), ("cupboard", "cupboard", "shelf", "console"))
    scatter(plan, ("plant", "floor lamp", "bin", "armchair", "stool"), look.whole(1, 4))


@program
def study(plan: Planner) -> None:
    look = plan.look
    storage_along_walls(plan, look.whole(2, 4), ("shelf", "shelf", "cupboard"))
    desk_place(plan)
    scatter(plan, ("armchair", "floor lamp", "plant", "side table", "bin", "pouf"), look.whole(2, 5))
    if look.chance(0.5):
        sofa_group(plan)


@program
def children(plan: Planner) -> None:
    look = plan.look
    main_piece(plan, "bed", 0.5)
    storage_along_walls(plan, look.whole(1, 3), ("shelf", "wardrobe", "cupboard", "shelf"))
    if look.chance(0.6):
        desk_place(plan)
    if look.chance(0.7):
        plan.in_open(make("rug", look))
    scatter(plan, ("toy", "toy", "box", "bag", "pouf", "bin", "toy"), look.whole(4, 14), 0.05)


@program
def kitchen(plan: Planner) -> None:
    look = plan.look
    order = sorted(range(len(plan.walls)), key=lambda i: -plan.walls[i].length + look.between(0, 2))
    for index in order[: look.whole(1, 2)]:
        wall = plan.walls[index]
        width = min(wall.length * look.between(0.5, 0.95), 5.0)
        for _ in range(4):
            if plan.against_wall(
                make("kitchen unit", look, width=width), gap=0.004, front=0.7, tries=12, walls=[index]
            ):
                break
            width *= 0.75
        if look.chance(0.7):
            plan.on_wall(
                make("wall cabinet", look, width=width * look.between(0.3, 0.7)), look.between(1.35, 1.5), wall=index
            )
    plan.against_wall(make("fridge", look), front=0.7)
    dining_group(plan)
    if look.chance(0.4):
        plan.in_open(make("kitchen island", look), 0.7)
    for _ in range(look.whole(0, 3)):
        plan.in_open(make("stool", look), 0.1)
    scatter(plan, ("bin", "plant", "box", "shelf", "stool"), look.whole(1, 3))


@program
def open_plan(plan: Planner) -> None:
    """Desks in rows with partitions, a lounge, shelves as dividers."""
    look = plan.look
    desk, chair, screen = make("desk", look), make("chair", look), make("partition", look)
    low, high = plan.corners.min(0), plan.corners.max(0)
    _, upper = desk.bounds()
    pitch = (2 * upper[0] + look.between(0.1, 0.8), 2 * upper[1] + look.between(1.4, 2.2))
    share = look.between(0.35, 0.8)
    across = look.chance(0.5)
    for x in np.arange(low[0] + 1.4, high[0] - 1, pitch[0]):
        for y in np.arange(low[1] + 1.6, high[1] - 1, pitch[1]):
            if (x - low[0]) / (high[0] - low[0]) > share or look.chance(0.2):
                continue
            placed = plan.put(desk, pose_at(x, y, 0, np.pi if across and look.chance(0.5) else 0.0), 0.05)
            if placed:
                plan.before(placed, chair, look.between(-0.2, 0.3), facing=True)
                if look.chance(0.4):
                    p = placed.to_world(0, upper[1] + 0.08, 0)
                    plan.put(screen, pose_at(p[0], p[1], 0, placed.yaw), 0.0)
    for _ in range(look.whole(1, 2)):
        sofa_group(plan)
    if look.chance(0.6):
        dining_group(plan)
    storage_along_walls(plan, look.whole(2, 6), ("shelf", "filing cabinet", "cupboard", "locker", "shelf"))
    for _ in range(look.whole(0, 3)):
        plan.in_open(make(look.choose(("shelf", "partition")), look), 0.5)
    scatter(plan, ("plant", "bin", "filing cabinet", "box", "bag"), look.whole(2, 7))


@program
def lounge(plan: Planner) -> None:
    look = plan.look
    for _ in range(look.whole(1, 3)):
        sofa_group(plan)
    for _ in range(look.whole(1, 4)):
        plan.in_open(make(look.choose(("armchair", "pouf", "armchair")), look), 0.3)
    storage_along_walls(plan, look.whole(1, 4), ("shelf", "console", "cupboard", "side table", "shelf"))
    scatter(plan, ("plant", "floor lamp", "vase on floor", "bin", "side table"), look.whole(2, 6))


@program
def meeting(plan: Planner) -> None:
    look = plan.look
    dining_group(plan, look.whole(4, 10))
    plan.on_wall(make("whiteboard", look), look.between(0.8, 1.1))
    if look.chance(0.6):
        plan.on_wall(make("tv", look), look.between(1.0, 1.3))
    storage_along_walls(plan, look.whole(1, 3), ("cupboard", "shelf", "console", "filing cabinet"))
    scatter(plan, ("chair", "plant", "bin", "bag", "chair"), look.whole(1, 5))


@program
def classroom(plan: Planner) -> None:
    look = plan.look
    desk, chair = make("desk", look, width=look.choose((0.75, 1.3))), make("chair", look)
    low, high = plan.corners.min(0), plan.corners.max(0)
    _, upper = desk.bounds()
    for x in np.arange(low[0] + 1.2, high[0] - 1, 2 * upper[0] + look.between(0.4, 0.9)):
        for y in np.arange(low[1] + 1.5, high[1] - 1.8, 2 * upper[1] + look.between(0.9, 1.2)):
            placed = plan.put(desk, pose_at(x, y, 0, look.between(-0.1, 0.1) + np.pi), 0.02)
            if placed and look.chance(0.85):
                plan.before(placed, chair, look.between(-0.15, 0.2), facing=True)
    plan.on_wall(make("whiteboard", look), 0.9)
    desk_place(plan)
    storage_along_walls(plan, look.whole(2, 4), ("shelf", "cupboard", "locker"))
    scatter(plan, ("bin", "plant", "bag", "bag"), look.whole(2, 6), 0.05)


@program
def studio(plan: Planner) -> None:
    """Everything in one room."""
    look = plan.look
    bed = main_piece(plan, "bed", 0.5)
    if bed and look.chance(0.6):
        plan.beside(bed, make("night stand", look), look.choose((-1, 1)), 0.03)
    plan.against_wall(make("kitchen unit", look, width=look.between(1.5, 2.6)), gap=0.004, front=0.7)
    sofa_group(plan)
    dining_group(plan, 2)
    desk_place(plan)
    storage_along_walls(plan, look.whole(1, 3), ("wardrobe", "shelf", "cupboard"))
    scatter(plan, ("plant", "bin", "bag", "shoe rack", "floor lamp", "stool", "box", "sports"), look.whole(2, 6))


@program
def bathroom(plan: Planner) -> None:
    look = plan.look
    for family in ("bath", "toilet", "basin"):
        for _ in range(3):
            if plan.against_wall(make(family, look), gap=0.003, front=0.45, tries=30):
                break
    plan.on_wall(make("mirror", look), look.between(0.95, 1.2))
    for _ in range(look.whole(0, 2)):
        plan.on_wall(make("towel", look), look.between(0.4, 0.9))
    storage_along_walls(plan, look.whole(0, 2), ("cupboard", "washing machine", "shelf"))
    scatter(plan, ("bin", "stool", "plant", "bin"), look.whole(1, 3), 0.03)
    if look.chance(0.6):
        plan.in_open(make("rug", look))


@program
def workshop(plan: Planner) -> None:
    look = plan.look
    for _ in range(look.whole(1, 3)):
        plan.against_wall(make("workbench", look), front=0.7)
    storage_along_walls(plan, look.whole(2, 4), ("shelf", "locker", "cupboard"))
    scatter(plan, ("machine", "box", "bin", "stool", "barrel", "ladder", "pallet", "bag"), look.whole(4, 10), 0.1)
    dining_group(plan, 2) if look.chance(0.3) else None


@program
def storage(plan: Planner) -> None:
    look = plan.look
    for _ in range(look.whole(1, 4)):
        rack = make("shelf", look)
        for _ in range(look.whole(1, 3)):
            plan.against_wall(rack, front=0.6)
    for _ in range(look.whole(0, 3)):
        plan.in_open(make("shelf", look), 0.5)
    scatter(
        plan, ("pallet", "box", "barrel", "box", "ladder", "machine", "bag", "stack of boxes"), look.whole(5, 14), 0.05
    )


@program
def gym(plan: Planner) -> None:
    look = plan.look
    for _ in range(look.whole(3, 7)):
        plan.in_open(make("fitness", look), 0.3)
    storage_along_walls(plan, look.whole(1, 3), ("bench", "locker", "shelf"))
    for _ in range(look.whole(0, 2)):
        plan.in_open(make("rug", look))
    scatter(plan, ("sports", "sports", "toy", "bin", "bag"), look.whole(3, 8), 0.05)


@program
def library(plan: Planner) -> None:
    look = plan.look
    case = make("shelf", look)
    for _ in range(look.whole(3, 8)):
        plan.against_wall(case if look.chance(0.7) else make("shelf", look), front=0.6)
    for _ in range(look.whole(0, 4)):
        plan.in_open(case, 0.6)
    for _ in range(look.whole(1, 2)):
        dining_group(plan)
    scatter(plan, ("armchair", "floor lamp", "side table", "ladder", "plant", "stool"), look.whole(2, 5))


@program
def hallway(plan: Planner) -> None:
    look = plan.look
    storage_along_walls(plan, look.whole(1, 3), ("shoe rack", "console", "wardrobe", "bench", "cupboard"))
    scatter(plan, ("shoes", "bag", "plant", "coat rack", "shoes", "box", "stool"), look.whole(2, 6), 0.05)
    if look.chance(0.5):
        plan.in_open(make("rug", look))


@program
def jumble(plan: Planner) -> None:
    """Anything anywhere."""
    look = plan.look
    families = (
        *(
            "chair",
            "sofa",
            "table",
            "shelf",
            "cupboard",
            "bed",
            "desk",
            "armchair",
            "fitness",
            "machine",
            "barrel",
            "bench",
        ),
        *(
            "wardrobe",
            "tv cabinet",
            "plant",
            "floor lamp",
            "coffee table",
            "side table",
            "bin",
            "box",
            "fridge",
            "partition",
        ),
        *(
            "toy",
            "bag",
            "stool",
            "pouf",
            "ladder",
            "pallet",
            "night stand",
            "filing cabinet",
            "kitchen island",
            "coat rack",
        ),
    )
    area = plan.floor_m2
    for _ in range(int(area * look.between(0.3, 0.8))):
        item = make(look.choose(families), look)
        if look.chance(0.5):
            plan.against_wall(item, front=0.3)
        else:
            plan.in_open(item, 0.15, yaw=look.between(-3.1, 3.1) if look.chance(0.5) else None)
    for _ in range(look.whole(0, 2)):
        plan.in_open(make("rug", look))


@program
def inventions(plan: Planner) -> None:
    """Things that nobody has ever built, and some that are known, in groups and alone."""
    look = plan.look
    known = ("chair", "table", "shelf", "cupboard", "coffee table", "box", "machine", "desk", "stool")
    families = ("invention", "invention", "invention", look.choose(known))
    area = plan.floor_m2
    for _ in range(int(area * look.between(0.15, 0.5)) + 2):
        item = make(look.choose(families), look)
        if look.chance(0.5):
            row = look.choose((1, 1, 1, 2, 3))
            for _ in range(row):
                plan.against_wall(item, front=0.2)
        else:
            plan.in_open(item, look.between(0.02, 0.3), yaw=look.between(-3.1, 3.1) if look.chance(0.4) else None)
    table = plan.in_open(make("invention", look), 0.4)
    if table and look.chance(0.5):
        plan.around(table, several(look, "invention" if look.chance(0.5) else "chair", look.whole(1, 4)), 0.1)
    scatter(plan, ("small invention", "small invention", "invention"), look.whole(3, 12), 0.03)
    for _ in range(look.whole(0, 6)):
        plan.on_wall(make("hung invention", look), look.between(0.3, 1.7))
    if look.chance(0.4):
        plan.in_open(make("rug", look))


# --- programs of the held-out styles ---


@program
def cafe(plan: Planner) -> None:
    look = plan.look
    counter = plan.in_open(make("bar counter", look, width=look.between(1.8, 3.2)), 0.7)
    if counter:
        stool = make("stool", look, height=0.72)
        width = counter.item.bounds()[1][0]
        for x in np.arange(-width + 0.3, width - 0.2, 0.65):
            plan.before(counter, stool, look.between(0.05, 0.25), shift=float(x))
        surface = counter.item.surfaces[0]
        plan.stand(counter, surface, make("espresso machine", look), -surface.size[0] * 0.3, 0.02)
        counter.item.surfaces[0] = Surface(
            (surface.centre[0] + surface.size[0] * 0.25, surface.centre[1], surface.centre[2]),
            (surface.size[0] * 0.45, surface.size[1]),
            0.5,
            "cafe",
        )
        plan.beside(counter, make("display case", look), 1, 0.02)
    for _ in range(look.whole(2, 6)):
        dining_group(plan, look.whole(2, 4))
    storage_along_walls(plan, look.whole(1, 3), ("shelf", "cupboard"))
    sofa_group(plan)
    scatter(plan, ("plant", "bin", "floor lamp"), look.whole(1, 4))


@program
def nursery(plan: Planner) -> None:
    look = plan.look
    main_piece(plan, "bed", 0.5)
    plan.against_wall(make("changing table", look), front=0.5)
    storage_along_walls(plan, look.whole(1, 2), ("shelf", "cupboard"))
    plan.in_open(make("armchair", look), 0.2)
    if look.chance(0.6):
        plan.in_open(make("play tent", look), 0.1)
    plan.in_open(make("rug", look))
    scatter(plan, ("nursery toy", "nursery toy", "big toy", "nursery toy", "bin"), look.whole(5, 12), 0.05)


@program
def garage(plan: Planner) -> None:
    look = plan.look
    scatter(plan, ("vehicle",), look.whole(2, 4), 0.15)
    storage_along_walls(plan, look.whole(1, 3), ("shelf", "cupboard", "desk"))
    scatter(plan, ("tyres", "garage thing", "garage thing", "garage thing", "tyres", "chair"), look.whole(5, 12), 0.05)


@program
def music(plan: Planner) -> None:
    look = plan.look
    for _ in range(look.whole(4, 9)):
        plan.in_open(make("instrument", look), 0.15, yaw=look.between(-3, 3))
    for _ in range(look.whole(2, 6)):
        plan.in_open(make("chair", look), 0.1, yaw=look.between(-3, 3))
    sofa_group(plan)
    storage_along_walls(plan, look.whole(1, 3), ("shelf", "cupboard"))
    scatter(plan, ("stool", "plant", "bin", "floor lamp"), look.whole(1, 4))


@program
def laboratory(plan: Planner) -> None:
    look = plan.look
    for _ in range(look.whole(2, 4)):
        bench = plan.against_wall(make("desk", look), front=0.8)
        if bench:
            plan.before(bench, make("stool", look), look.between(0.05, 0.3))
    bench_item = make("desk", look)
    for _ in range(look.whole(0, 2)):
        plan.in_open(bench_item, 0.7)
    plan.against_wall(make("fume hood", look), front=0.6)
    storage_along_walls(plan, look.whole(1, 2), ("shelf", "cupboard"))
    scatter(plan, ("gas bottle", "gas bottle", "bin", "stool"), look.whole(2, 5), 0.05)
