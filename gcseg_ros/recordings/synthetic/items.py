"""`Item`: one object as a list of primitives in its own frame, with the surfaces that can carry other objects.

The frame of an item: origin on the floor at the middle of its footprint, z up, x to its right, its front towards -y
(its back, towards +y, may stand against a wall). Metres, radians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic.materials import Material
from gcseg_ros.recordings.synthetic.primitives import BOX, FRUSTUM, ROUNDED, SPHERE, TORUS, WAVE, half_sizes

Array = npt.NDArray[np.float64]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """A horizontal rectangle that carries things: its middle, its size in x and y, and the free height above it."""

    centre: Point
    size: tuple[float, float]
    height: float = 2.0
    kind: str = "table"


def turn(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Rotation (3,3): roll about x, then pitch about y, then yaw about z."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


@dataclass
class Item:
    """An object under construction. Everything added with the same part name belongs to the same part.

    stuff  walls, floor, ceiling, doors, windows        flat  a few millimetres high: no obstacle, others stand on it
    """

    name: str
    stuff: bool = False
    flat: bool = False
    kinds: list[int] = field(default_factory=list)
    matrices: list[Array] = field(default_factory=list)
    parameters: list[tuple[float, float, float, float]] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)

    def add(self, kind: int, axes: Array, centre: Point, parameters: tuple, material: Material, part: str) -> None:
        """A unit shape whose local axes are the columns of `axes` (3,3), in metres."""
        matrix = np.eye(4)
        matrix[:3, :3] = axes
        matrix[:3, 3] = centre
        self.kinds.append(kind)
        self.matrices.append(matrix)
        self.parameters.append(parameters)
        self.materials.append(material)
        self.parts.append(part)

    def box(
        self, centre: Point, size: Point, material: Material, part: str = "body", turned: Array | None = None
    ) -> None:
        """A box of full size `size`."""
        axes = np.diag(np.maximum(size, 1e-4)) / 2
        self.add(BOX, axes if turned is None else turned @ axes, centre, (0, 0, 0, 0), material, part)

    def block(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        material: Material,
        part: str = "body",
    ) -> None:
        """A box between two values on each axis."""
        low, high = np.minimum(*np.transpose([x, y, z])), np.maximum(*np.transpose([x, y, z]))
        centre = (low + high) / 2
        self.box((centre[0], centre[1], centre[2]), tuple(high - low), material, part)

    def soft(
        self,
        centre: Point,
        size: Point,
        material: Material,
        part: str = "body",
        radius: float = 0.04,
        turned: Array | None = None,
    ) -> None:
        """A box with rounded edges."""
        half = np.asarray(size) / 2
        radius = min(radius, float(half.min()) * 0.999)
        axes = np.eye(3) if turned is None else turned
        self.add(ROUNDED, axes, centre, (half[0], half[1], half[2], radius), material, part)

    def pillow(
        self, centre: Point, size: Point, material: Material, part: str = "cushion", turned: Array | None = None
    ) -> None:
        """A cushion: a rounded cube made flat."""
        axes = np.diag(np.asarray(size) / 2)
        radius = 0.6 if min(size) / max(size) < 0.6 else 0.45
        self.add(ROUNDED, axes if turned is None else turned @ axes, centre, (1, 1, 1, radius), material, part)

    def rod(
        self,
        start: Point,
        end: Point,
        radius: float,
        material: Material,
        part: str = "rod",
        end_radius: float | None = None,
        caps: int = 3,
    ) -> None:
        """A round rod from start to end, conical if end_radius differs."""
        a, b = np.asarray(start, float), np.asarray(end, float)
        axis = (b - a) / 2
        length = np.linalg.norm(axis) + 1e-9
        helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.9 * length else np.array([0, 1.0, 0])
        side = np.cross(axis, helper)
        side /= np.linalg.norm(side)
        up = np.cross(axis / length, side)
        last = radius if end_radius is None else end_radius
        big = max(radius, last)
        axes = np.stack([side * big, up * big, axis], 1)
        middle = (a + b) / 2
        shape = (radius / big, last / big, caps, 0)
        self.add(FRUSTUM, axes, (middle[0], middle[1], middle[2]), shape, material, part)

    def bar(self, start: Point, end: Point, width: float, depth: float, material: Material, part: str = "bar") -> None:
        """A straight bar of rectangular section from start to end; `depth` is measured along y as far as possible."""
        a, b = np.asarray(start, float), np.asarray(end, float)
        axis = b - a
        length = np.linalg.norm(axis) + 1e-9
        helper = np.array([0, 1.0, 0]) if abs(axis[1]) < 0.9 * length else np.array([1.0, 0, 0])
        side = np.cross(helper, axis)
        side /= np.linalg.norm(side)
        up = np.cross(axis / length, side)
        axes = np.stack([side * width / 2, up * depth / 2, axis / 2], 1)
        middle = (a + b) / 2
        self.add(BOX, axes, (middle[0], middle[1], middle[2]), (0, 0, 0, 0), material, part)

    def path(self, points: list[Point], radius: float, material: Material, part: str = "tube") -> None:
        """A bent tube through points: rods with round joints."""
        for a, b in pairwise(points):
            self.rod(a, b, radius, material, part)
        for p in points[1:-1]:
            self.ball(p, (radius, radius, radius), material, part)

    def ball(
        self,
        centre: Point,
        radii: Point,
        material: Material,
        part: str = "ball",
        cut: tuple[float, float] = (-1, 1),
        turned: Array | None = None,
    ) -> None:
        """An ellipsoid, cut to cut[0] <= z <= cut[1] in units of its radius."""
        axes = np.diag(np.asarray(radii, float))
        self.add(SPHERE, axes if turned is None else turned @ axes, centre, (cut[0], cut[1], 0, 0), material, part)

    def disc(self, centre: Point, radius: float, height: float, material: Material, part: str = "disc") -> None:
        """An upright cylinder, `centre` at its middle."""
        x, y, z = centre
        self.rod((x, y, z - height / 2), (x, y, z + height / 2), radius, material, part)

    def lathe(
        self,
        profile: list[tuple[float, float]],
        material: Material,
        part: str = "body",
        at: Point = (0, 0, 0),
        bottom: bool = True,
        top: bool = False,
        stretch: float = 1.0,
    ) -> None:
        """A surface of revolution around z through (radius, height) points from the bottom up; x is stretched."""
        x, y, z = at
        last = len(profile) - 2
        for i, ((r0, z0), (r1, z1)) in enumerate(pairwise(profile)):
            if abs(z1 - z0) < 1e-5:
                z1 = z0 + 1e-4
            big = max(r0, r1, 1e-4)
            caps = (1 if bottom and i == 0 else 0) + (2 if top and i == last else 0)
            axes = np.diag([big * stretch, big, (z1 - z0) / 2])
            self.add(FRUSTUM, axes, (x, y, z + (z0 + z1) / 2), (r0 / big, r1 / big, caps, 0), material, part)

    def ring(
        self,
        centre: Point,
        radius: float,
        thickness: float,
        material: Material,
        part: str = "ring",
        turned: Array | None = None,
    ) -> None:
        """A torus around z."""
        axes = np.eye(3) * radius
        self.add(
            TORUS, axes if turned is None else turned @ axes, centre, (thickness / radius, 0, 0, 0), material, part
        )

    def cloth(
        self,
        centre: Point,
        size: tuple[float, float],
        depth: float,
        waves: float,
        material: Material,
        part: str = "cloth",
        turned: Array | None = None,
        phase: float = 0.0,
        top: float = 1.0,
    ) -> None:
        """A hanging wavy sheet: size (width, height), folds `depth` deep; `top`: depth of the folds at the top as a share."""
        axes = np.diag([size[0] / 2, depth / 2, size[1] / 2])
        self.add(
            WAVE,
            axes if turned is None else turned @ axes,
            centre,
            (np.pi * waves, phase, 1.0, top),
            material,
            part,
        )

    def surface(self, centre: Point, size: tuple[float, float], height: float = 2.0, kind: str = "table") -> None:
        """Say that things may stand here."""
        self.surfaces.append(Surface(centre, size, height, kind))

    def join(self, other: Item, at: Point = (0, 0, 0), yaw: float = 0.0, prefix: str = "") -> None:
        """Take over another item's primitives and surfaces, moved; their parts get a prefix."""
        motion = np.eye(4)
        motion[:3, :3] = turn(yaw)
        motion[:3, 3] = at
        self.kinds += other.kinds
        self.matrices += [motion @ matrix for matrix in other.matrices]
        self.parameters += other.parameters
        self.materials += other.materials
        self.parts += [prefix + part for part in other.parts]
        quarter = round(yaw / (np.pi / 2))
        for s in other.surfaces:
            centre = motion[:3, :3] @ np.asarray(s.centre) + motion[:3, 3]
            size = s.size if quarter % 2 == 0 else s.size[::-1]
            self.surfaces.append(Surface((centre[0], centre[1], centre[2]), size, s.height, s.kind))

    def boxes(self) -> tuple[Array, Array]:
        """Axis-aligned boxes of the primitives in the item's frame: lower and upper corners, (N,3) each."""
        matrices = np.stack(self.matrices)
        half = half_sizes(np.asarray(self.kinds, np.int32), np.asarray(self.parameters, float))
        extent = np.abs(matrices[:, :3, :3] * half[:, None, :]).sum(2)
        return matrices[:, :3, 3] - extent, matrices[:, :3, 3] + extent

    def bounds(self) -> tuple[Array, Array]:
        """The item's axis-aligned box in its frame: lower and upper corner, (3,) each."""
        lower, upper = self.boxes()
        return lower.min(0), upper.max(0)

    def centred(self) -> Item:
        """Moved so that the footprint's middle is at the origin and the lowest point at z = 0."""
        lower, upper = self.bounds()
        offset = np.array([(lower[0] + upper[0]) / 2, (lower[1] + upper[1]) / 2, lower[2]])
        for matrix in self.matrices:
            matrix[:3, 3] -= offset
        self.surfaces = [
            Surface(tuple(np.asarray(s.centre) - offset), s.size, s.height, s.kind)  # type: ignore[arg-type]
            for s in self.surfaces
        ]
        return self
