"""`Planner`: puts items into a room without collisions: against walls, in corners, in the open, on surfaces, on walls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic.items import Item, Surface, turn
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.outline import Wall

Array = npt.NDArray[np.float64]
CELL_M, CELL_M2 = 0.05, 0.0025  # of the floor plan
WALL_GAP_M = 0.012  # from a wall to what stands against it
TRIES = 30  # places in the open
MESSY = 0.15  # m, rad: how far chairs around a table are from where they belong


@dataclass
class Placed:
    """An item in the world: pose (4,4); what stands on it has `on` set."""

    item: Item
    pose: Array
    on: Placed | None = None

    @property
    def yaw(self) -> float:
        return float(np.arctan2(self.pose[1, 0], self.pose[0, 0]))

    def to_world(self, x: float, y: float, z: float) -> Array:
        return self.pose[:3, :3] @ np.array([x, y, z]) + self.pose[:3, 3]


def pose_at(x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Array:
    pose = np.eye(4)
    pose[:3, :3] = turn(yaw)
    pose[:3, 3] = x, y, z
    return pose


@dataclass
class Planner:
    """Floor plan of what is taken. `taken` (rows y, columns x) uint8: 1 outside or furniture, 2 to be kept free."""

    look: Look
    corners: Array
    walls: list[Wall]
    height: float
    placed: list[Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.origin = self.corners.min(0) - 0.5
        size = np.ceil((self.corners.max(0) + 0.5 - self.origin) / CELL_M).astype(int)
        self.taken = np.ones((size[1], size[0]), np.uint8)
        cv2.fillPoly(self.taken, [self.cells(self.corners)], 0, shift=8)
        self.inside = self.taken == 0
        self.hung: list[list[tuple[float, float, float, float]]] = [[] for _ in self.walls]

    @property
    def floor_m2(self) -> float:
        """The floor's area."""
        return float(self.inside.sum() * CELL_M2)

    def cells(self, points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """World x, y (N,2) -> grid coordinates in 1/256 cells."""
        return np.round(((np.asarray(points) - self.origin) / CELL_M - 0.5) * 256).astype(np.int32)

    def footprint(self, item: Item, pose: Array, margin: float) -> Array:
        """Corners (4,2) of the item's rectangle on the floor."""
        lower, upper = item.bounds()
        x0, y0, x1, y1 = lower[0] - margin, lower[1] - margin, upper[0] + margin, upper[1] + margin
        local = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        return local @ pose[:2, :2].T + pose[:2, 3]

    def free(self, quad: Array) -> bool:
        mask = np.zeros_like(self.taken)
        cv2.fillConvexPoly(mask, self.cells(quad), 1, shift=8)
        inside = (quad > self.origin).all() and (quad < self.origin + np.array(self.taken.shape[::-1]) * CELL_M).all()
        return bool(inside and not self.taken[mask > 0].any())

    def mark(self, quad: Array, value: int = 1) -> None:
        cv2.fillConvexPoly(self.taken, self.cells(quad), value, shift=8)

    # --- placing; each returns the placed item, or None if there is no room ---

    def put(self, item: Item, pose: Array, margin: float = 0.02, check: bool = True) -> Placed | None:
        """At this pose, if it is free there."""
        if item.flat:
            return self.accept(item, pose)
        if check and not self.free(self.footprint(item, pose, margin)):
            return None
        self.mark(self.footprint(item, pose, -0.02))
        return self.accept(item, pose)

    def accept(self, item: Item, pose: Array, on: Placed | None = None) -> Placed:
        placed = Placed(item, pose, on)
        self.placed.append(placed)
        return placed

    def against_wall(
        self,
        item: Item,
        gap: float | None = None,
        front: float = 0.5,
        tries: int = 24,
        walls: Sequence[int] | None = None,
    ) -> Placed | None:
        """Its back to a wall, with `front` metres free before it."""
        look = self.look
        lower, upper = item.bounds()
        half, deep = (upper[0] - lower[0]) / 2, upper[1]
        for _ in range(tries):
            index = look.choose(walls) if walls else self.some_wall()
            wall = self.walls[index]
            room = wall.length - 2 * half - 0.06
            if room < 0:
                continue
            if look.chance(0.25):
                s = half + 0.03 + (room if look.chance(0.5) else 0.0)
            else:
                s = half + 0.03 + look.between(0, room)
            distance = WALL_GAP_M if gap is None else gap
            middle = wall.start + wall.along * s + wall.normal * (deep + distance)
            pose = pose_at(middle[0], middle[1], 0, wall.yaw)
            if not self.hangs_free(index, s - half, s + half, 0.0, upper[2]):
                continue
            quad = self.footprint(item, pose, -0.005)
            ahead = quad.copy()
            ahead[:2] += wall.normal * front
            # the wall itself lies within a cell of the back
            ahead[2:] += wall.normal * 0.05
            if self.free(ahead):
                self.mark(quad)
                self.hung[index].append((s - half, s + half, 0.0, upper[2]))
                return self.accept(item, pose)
        return None

    def some_wall(self) -> int:
        lengths = np.array([wall.length for wall in self.walls])
        return int(self.look.rng.choice(len(lengths), p=lengths / lengths.sum()))

    def hangs_free(self, wall: int, left: float, right: float, low: float, high: float) -> bool:
        return all(right < a or left > b or high < c or low > d for a, b, c, d in self.hung[wall])

    def on_wall(
        self, item: Item, z: float, tries: int = 20, wall: int | None = None, at: float | None = None
    ) -> Placed | None:
        """Hung with its underside at z, its back at the wall."""
        look = self.look
        lower, upper = item.bounds()
        half, deep, tall = (upper[0] - lower[0]) / 2, upper[1], upper[2]
        if z + tall > self.height - 0.03:
            return None
        for _ in range(tries):
            index = self.some_wall() if wall is None else wall
            w = self.walls[index]
            if w.length < 2 * half + 0.1:
                continue
            s = look.between(half + 0.05, w.length - half - 0.05) if at is None else at
            if not self.hangs_free(index, s - half - 0.04, s + half + 0.04, z, z + tall):
                continue
            middle = w.start + w.along * s + w.normal * deep
            self.hung[index].append((s - half, s + half, z, z + tall))
            return self.accept(item, pose_at(middle[0], middle[1], z, w.yaw))
        return None

    def in_open(self, item: Item, margin: float = 0.45, yaw: float | None = None) -> Placed | None:
        """Somewhere with `margin` metres around."""
        look = self.look
        rows, columns = np.nonzero(self.taken == 0)
        if len(rows) == 0:
            return None
        for _ in range(TRIES):
            k = look.whole(0, len(rows) - 1)
            x, y = self.origin + (np.array([columns[k], rows[k]]) + 0.5) * CELL_M
            angle = (
                yaw
                if yaw is not None
                else look.choose((0, np.pi / 2, np.pi, -np.pi / 2))
                + (look.between(-0.5, 0.5) if look.chance(0.3) else 0)
            )
            found = self.put(item, pose_at(x, y, 0, angle), margin)
            if found:
                return found
        return None

    def beside(self, anchor: Placed, item: Item, side: int, gap: float = 0.05) -> Placed | None:
        """At the right (1) or left (-1) of a placed item, backs in line."""
        _, upper = anchor.item.bounds()
        _, high = item.bounds()
        x = side * (upper[0] + gap + high[0])
        p = anchor.to_world(x, upper[1] - high[1], 0)
        return self.put(item, pose_at(p[0], p[1], 0, anchor.yaw), -0.01)

    def before(self, anchor: Placed, item: Item, gap: float, facing: bool = False, shift: float = 0.0) -> Placed | None:
        """In front of a placed item; `facing`: turned towards it."""
        lower, _ = anchor.item.bounds()
        low, high = item.bounds()
        deep = -low[1] if facing else high[1]
        p = anchor.to_world(shift, lower[1] - gap - deep, 0)
        yaw = anchor.yaw + (np.pi if facing else 0)
        return self.put(item, pose_at(p[0], p[1], 0, yaw), -0.01)

    def around(self, table: Placed, chairs: list[Item], pushed: float) -> None:
        """Chairs at the sides of a table, facing it, pushed under it by `pushed` metres (negative: away)."""
        look = self.look
        lower, upper = table.item.bounds()
        w, d = upper[0] - lower[0], upper[1] - lower[1]
        per_side = max(1, int(w / 0.62))
        seats = [(x, s) for x in (np.arange(per_side) - (per_side - 1) / 2) * w / per_side for s in (-1, 1)]
        places = [(float(x), s * (d / 2), np.pi if s > 0 else 0.0) for x, s in seats]
        if w > 1.1 or d > 0.9:
            places += [(s * w / 2, 0.0, np.pi / 2 if s > 0 else -np.pi / 2) for s in (-1, 1)]
        order = look.rng.permutation(len(places))
        for chair, k in zip(chairs, order):
            x, y, yaw = places[k]
            low, _ = chair.bounds()
            # the chair's front (-y) looks at the table: turned about by pi where the table lies at +y of it
            out = np.array([np.sign(x), 0.0]) if abs(yaw) == np.pi / 2 else np.array([0.0, np.sign(y)])
            away = -low[1] - pushed + look.between(0, MESSY)
            px, py = np.array([x, y]) + out * away
            facing = float(np.arctan2(out[0], out[1])) * -1
            p = table.to_world(px, py, 0)
            angle = table.yaw + facing + look.between(-MESSY, MESSY)
            quad = self.footprint(chair, pose_at(p[0], p[1], 0, angle), -0.02)
            # only the part outside the table must be free
            mask = np.zeros_like(self.taken)
            cv2.fillConvexPoly(mask, self.cells(quad), 1, shift=8)
            cv2.fillConvexPoly(mask, self.cells(self.footprint(table.item, table.pose, 0.03)), 0, shift=8)
            if (self.taken[mask > 0] == 1).any() or not self.inside_world(quad):
                continue
            self.mark(quad)
            self.accept(chair, pose_at(p[0], p[1], 0, angle))

    def inside_world(self, quad: Array) -> bool:
        k = np.floor((quad - self.origin) / CELL_M).astype(int)
        ok = (k >= 0).all() and (k[:, 0] < self.taken.shape[1]).all() and (k[:, 1] < self.taken.shape[0]).all()
        return bool(ok and self.inside[k[:, 1], k[:, 0]].all())

    # --- on surfaces ---

    def fill(self, on: Placed, surface: Surface, items: list[Item], upright: bool = False, spread: float = 1.0) -> None:
        """Stand items on a surface at random free places, turned at random (`upright`: facing the front)."""
        look = self.look
        occupied: list[tuple[float, float, float, float]] = []
        for item in items:
            _, upper = item.bounds()
            if upper[2] > surface.height:
                continue
            for _ in range(10):
                quarter = 0.0 if upright else look.choose((0, 0, 0, np.pi / 2, np.pi, -np.pi / 2))
                yaw = quarter + look.between(-0.35, 0.35) * (0.3 if upright else 1.0)
                c, s = abs(np.cos(yaw)), abs(np.sin(yaw))
                hx, hy = c * upper[0] + s * upper[1], s * upper[0] + c * upper[1]
                rx, ry = surface.size[0] / 2 - hx, surface.size[1] / 2 - hy
                if rx < 0 or ry < 0:
                    break
                x, y = look.between(-rx, rx) * spread, look.between(-ry, ry)
                if any(abs(x - a) < hx + c2 and abs(y - b) < hy + d2 for a, b, c2, d2 in occupied):
                    continue
                occupied.append((x, y, hx, hy))
                self.stand(on, surface, item, x, y, yaw)
                break

    def stand(self, on: Placed, surface: Surface, item: Item, x: float, y: float, yaw: float = 0.0) -> Placed:
        """At x, y of the surface."""
        cx, cy, cz = surface.centre
        p = on.to_world(cx + x, cy + y, cz + 0.0005)
        return self.accept(item, pose_at(p[0], p[1], p[2], on.yaw + yaw), on)
