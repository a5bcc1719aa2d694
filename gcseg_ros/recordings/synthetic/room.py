"""`build_room(seed, style)`: shell, furniture and clutter of one room, ready to be rendered. Deterministic."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.recordings.synthetic import shell
from gcseg_ros.recordings.synthetic.designs import make
from gcseg_ros.recordings.synthetic.items import Item
from gcseg_ros.recordings.synthetic.light import Light, build_light
from gcseg_ros.recordings.synthetic.look import Look, dim
from gcseg_ros.recordings.synthetic.materials import Material, material_table
from gcseg_ros.recordings.synthetic.outline import outline, walls_of
from gcseg_ros.recordings.synthetic.planner import Placed, Planner, pose_at
from gcseg_ros.recordings.synthetic.primitives import Solids, build_solids
from gcseg_ros.recordings.synthetic.programs import furnish
from gcseg_ros.recordings.synthetic.styles import STYLES, Style

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RoomObject:
    """One instance: id > 0; parts: ids of its parts; box: (2,3) axis-aligned, metres."""

    id: int
    name: str
    is_stuff: bool
    is_flat: bool
    parts: dict[str, int]
    box: Array


@dataclass(frozen=True)
class Room:
    """A furnished room. World frame: z up, floor at z = 0, metres.

    corners  (N,2) the floor's outline, counter-clockwise     height  of the ceiling
    """

    seed: int
    style: Style
    corners: Array
    height: float
    solids: Solids
    material_rows: Array
    light: Light
    objects: tuple[RoomObject, ...]

    @property
    def stuff_ids(self) -> npt.NDArray[np.uint16]:
        """Ids of walls, floor, ceiling, doors, windows."""
        return np.array([o.id for o in self.objects if o.is_stuff], np.uint16)

    def stuff_mask(self, instance: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
        """Which pixels of an instance image (H, W) are stuff."""
        table = np.zeros(len(self.objects) + 1, np.bool_)
        table[self.stuff_ids] = True
        return table[instance]


def find_style(name: str) -> Style:
    """Raises UserError naming the styles."""
    if name not in STYLES:
        raise UserError(f"There is no room style {name!r}; the styles are {', '.join(STYLES)}.")
    return STYLES[name]


def build_room(seed: int, style: str) -> Room:
    """The room of (seed, style). Raises UserError for an unknown style or a negative seed."""
    kind = find_style(style)
    if seed < 0:
        raise UserError(f"A room's seed must be a whole number from 0; found {seed}.")
    rng = np.random.default_rng([seed, zlib.crc32(style.encode())])
    look = Look(rng, kind)
    corners = outline(rng, look.choose(kind.shapes), look.between(*kind.area_m2))
    walls = walls_of(corners)
    height = look.between(*kind.height_m)
    plan = Planner(look, corners, walls, height)
    thickness = look.between(0.08, 0.25)
    openings = place_openings(plan)
    fittings = build_fittings(plan, openings, thickness)
    if look.chance(kind.columns):
        for _ in range(look.whole(1, 3)):
            plan.in_open(make("column", look, height=height), 0.9)
    furnish(plan, look.choose(kind.programs))
    outdoors = any(o.kind in ("passage", "ajar") for found in openings for o in found)
    placed = build_shell(plan, openings, thickness, outdoors) + fittings + plan.placed
    return assemble(seed, kind, look, corners, height, placed)


def place_openings(plan: Planner) -> list[list[shell.Opening]]:
    """Doors and windows of each wall; the space before doors is kept free."""
    look = plan.look
    openings: list[list[shell.Opening]] = [[] for _ in plan.walls]
    order = look.rng.permutation(len(plan.walls))
    doors = look.choose((1, 1, 2, 2, 3))
    for index in order:
        wall = plan.walls[index]
        if doors and wall.length > 1.4:
            broad = wall.length > 2.0 and look.chance(0.2)
            wide = look.between(1.4, min(2.2, wall.length - 0.3)) if broad else look.between(0.8, 1.0)
            s = look.between(wide / 2 + 0.12, wall.length - wide / 2 - 0.12)
            kind = look.choose(("closed", "closed", "closed", "ajar", "passage"))
            openings[index].append(shell.Opening(s - wide / 2, s + wide / 2, 0.0, look.between(1.98, 2.15), kind))
            doors -= 1
        elif wall.length > 1.3 and look.chance(0.6):
            count = max(1, int(wall.length / 2.5))
            low, high = (
                look.choose((look.between(0.7, 1.0), look.between(0.3, 0.6), 0.05)),
                min(plan.height - 0.15, look.between(2.0, 2.3)),
            )
            for k in range(count):
                share = wall.length / count
                wide = min(share - 0.3, look.between(0.8, 2.0))
                s = (k + 0.5) * share
                openings[index].append(shell.Opening(s - wide / 2, s + wide / 2, low, high, "window"))
    for index, found in enumerate(openings):
        wall = plan.walls[index]
        for o in found:
            plan.hung[index].append((o.left - 0.1, o.right + 0.1, o.low, o.high + 0.1))
            if o.kind != "window":
                a, b = wall.start + wall.along * o.left, wall.start + wall.along * o.right
                plan.mark(np.array([a, b, b + wall.normal * 1.0, a + wall.normal * 1.0]), 2)
    return openings


def build_fittings(plan: Planner, openings: list[list[shell.Opening]], thickness: float) -> list[Placed]:
    """Doors, windows, curtains and radiators."""
    look = plan.look
    placed = []
    curtained = look.chance(0.5)
    for index, found in enumerate(openings):
        wall = plan.walls[index]
        for o in found:
            item = shell.window(look, o, thickness) if o.kind == "window" else shell.door(look, o, thickness)
            pose = shell.to_wall(wall, o.middle)
            placed.append(Placed(item, pose))
            if o.kind != "window":
                continue
            if curtained and min(o.middle, wall.length - o.middle) > (o.right - o.left) / 2 + 0.15:
                placed.append(Placed(shell.curtain_rod(look, o, plan.height), pose))
                share = look.between(0.12, 0.55)
                for side in (-1, 1):
                    if look.chance(0.9):
                        placed.append(Placed(shell.curtain(look, o, plan.height, share, side), pose))
                plan.hung[index].append((o.left - 0.25, o.right + 0.25, 0.0, o.high + 0.2))
                a, b = wall.start + wall.along * (o.left - 0.2), wall.start + wall.along * (o.right + 0.2)
                plan.mark(np.array([a, b, b + wall.normal * 0.2, a + wall.normal * 0.2]))
            elif o.low > 0.7 and look.chance(0.4):
                item = make("radiator", look)
                p = wall.start + wall.along * o.middle + wall.normal * (item.bounds()[1][1] + 0.03)
                plan.put(item, pose_at(p[0], p[1], 0, wall.yaw), check=False)
                plan.hung[index].append((o.middle - 0.5, o.middle + 0.5, 0.0, 0.7))
    return placed


def build_shell(plan: Planner, openings: list[list[shell.Opening]], thickness: float, outdoors: bool) -> list[Placed]:
    """Walls with a corridor's around them where a door stands open, all of them one instance; floor; ceiling."""
    look, style = plan.look, plan.look.style
    still = pose_at(0, 0)
    vault = look.chance(style.vaults)
    material = look.wall()
    accent_wall = look.whole(0, len(plan.walls) - 1) if look.chance(0.25) else -1
    accent = look.wall()
    skirting = None
    if look.chance(0.55):
        skirting = (
            look.paint(look.white())
            if look.chance(0.5)
            else look.wood()
            if look.chance(0.5)
            else look.paint(dim(material.colour, 0.9))
        )
    walls = Item("wall", stuff=True)
    for index, wall in enumerate(plan.walls):
        what = accent if index == accent_wall else material
        sockets = [
            (look.between(0.1, wall.length - 0.1), look.choose((0.3, 1.1))) for _ in range(look.choose((0, 1, 2)))
        ]
        shell.wall_prims(walls, wall, openings[index], plan.height, thickness, what, skirting, sockets)
    low, high = plan.corners.min(0), plan.corners.max(0)
    around = 2.5 if outdoors else thickness
    floor = Item("floor", stuff=True, flat=True)
    floor.block((low[0] - around, high[0] + around), (low[1] - around, high[1] + around), (-0.1, 0.0), look.floor())
    items = [walls, floor]
    if look.chance(style.ceiling):
        if vault and look.chance(0.3):
            ceiling = walls
        else:
            ceiling = Item("ceiling", stuff=True)
            items.append(ceiling)
        top = Material(0, look.white()) if look.chance(0.8) else look.wall()
        ceiling.block(
            (low[0] - around, high[0] + around),
            (low[1] - around, high[1] + around),
            (plan.height, plan.height + 0.1),
            top,
            "ceiling",
        )
    if outdoors:
        ring = np.array(
            [
                [low[0] - 2.5, low[1] - 2.5],
                [high[0] + 2.5, low[1] - 2.5],
                [high[0] + 2.5, high[1] + 2.5],
                [low[0] - 2.5, high[1] + 2.5],
            ]
        )
        far = look.wall()
        for wall in walls_of(ring):
            shell.wall_prims(walls, wall, [], plan.height, 0.1, far, None)
    return [Placed(item, still) for item in items]


def assemble(seed: int, style: Style, look: Look, corners: Array, height: float, placed: list[Placed]) -> Room:
    """Number instances and parts and build the hierarchy."""
    kinds: list[int] = []
    matrices, parameters, material_ids, instances, part_ids = [], [], [], [], []
    table: dict[Material, int] = {}
    objects = []
    parts_so_far = 0
    for number, one in enumerate(placed, 1):
        item = one.item
        world = one.pose @ np.stack(item.matrices)
        names = {name: parts_so_far + k for k, name in enumerate(dict.fromkeys(item.parts), 1)}
        parts_so_far += len(names)
        kinds += item.kinds
        matrices.append(world)
        parameters.append(np.asarray(item.parameters, float))
        material_ids += [table.setdefault(material, len(table)) for material in item.materials]
        instances += [number] * len(item.kinds)
        part_ids += [names[part] for part in item.parts]
        objects.append(RoomObject(number, item.name, item.stuff, item.flat, names, np.zeros((2, 3))))
    solids = build_solids(
        kinds, np.concatenate(matrices), np.concatenate(parameters), material_ids, instances, part_ids
    )
    for i, one_object in enumerate(objects):
        mine = solids.instance == one_object.id
        box = np.stack([solids.lower[mine].min(0), solids.upper[mine].max(0)])
        objects[i] = RoomObject(
            one_object.id, one_object.name, one_object.is_stuff, one_object.is_flat, one_object.parts, box
        )
    light = build_light(look, corners, height, walls_of(corners))
    return Room(seed, style, corners, height, solids, material_table(list(table)), light, tuple(objects))
