"""Floor plans: rectilinear polygons, counter-clockwise, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wall:
    """One straight wall: its inner face runs from start to end (2,); the room lies to its left, along `normal`.

    convex  whether the corners at start and end point outwards
    """

    start: Array
    end: Array
    convex: tuple[bool, bool]

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.end - self.start))

    @property
    def along(self) -> Array:
        return (self.end - self.start) / self.length

    @property
    def normal(self) -> Array:
        x, y = self.along
        return np.array([-y, x])

    @property
    def yaw(self) -> float:
        """Turn of an item whose back (+y) is against this wall."""
        return float(np.arctan2(self.normal[0], -self.normal[1]))


def outline(rng: np.random.Generator, shape: str, area: float) -> Array:
    """Corners (N,2), counter-clockwise, of a floor of about `area` m2, somewhere around the origin."""
    ratio = rng.uniform(1.0, 1.7) if shape != "corridor" else rng.uniform(2.5, 4.5)
    width, depth = np.sqrt(area * ratio), np.sqrt(area / ratio)
    if shape == "corridor":
        depth = max(depth, 1.5)
    a, b = rng.uniform(0.45, 0.65, 2)
    if shape == "l":
        width, depth = width * 1.12, depth * 1.12
        corners = [(0, 0), (1, 0), (1, b), (a, b), (a, 1), (0, 1)]
    elif shape == "t":
        width, depth = width * 1.15, depth * 1.15
        left, right = rng.uniform(0.15, 0.3), rng.uniform(0.7, 0.85)
        corners = [(0, 0), (1, 0), (1, b), (right, b), (right, 1), (left, 1), (left, b), (0, b)]
    elif shape == "niche":
        left = rng.uniform(0.15, 0.5)
        right = left + rng.uniform(0.2, 0.35)
        deep = 1 + rng.uniform(0.08, 0.25)
        corners = [(0, 0), (1, 0), (1, 1), (right, 1), (right, deep), (left, deep), (left, 1), (0, 1)]
    elif shape == "cut":
        x, y = rng.uniform(0.1, 0.3, 2)
        corners = [(0, 0), (1, 0), (1, 1 - y), (1 - x, 1 - y), (1 - x, 1), (0, 1)]
    else:
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    points = np.array(corners, float) * (width, depth)
    if rng.random() < 0.5:
        points = (points * (-1, 1))[::-1]
    if rng.random() < 0.5:
        points = (points[:, ::-1])[::-1]
    return points - (points.min(0) + points.max(0)) / 2


def walls_of(corners: Array) -> list[Wall]:
    """The polygon's walls in order."""
    n = len(corners)
    step = np.roll(corners, -1, 0) - corners
    before = np.roll(step, 1, 0)
    convex = before[:, 0] * step[:, 1] - before[:, 1] * step[:, 0] > 0
    return [Wall(corners[i], corners[(i + 1) % n], (bool(convex[i]), bool(convex[(i + 1) % n]))) for i in range(n)]
