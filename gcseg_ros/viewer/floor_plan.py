"""A room seen from above: what to leave out, so that what stands in it is seen."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

CELL_M = 0.10
"""Cells of the floor plan on which the cut is decided."""
MOST_CELLS = 1000
"""Along an edge of that plan: in larger worlds (or with a stray point far away) cells are larger."""

Chosen = npt.NDArray[np.bool_]


class FloorPlan:
    """Of points (N, 3), z up; N may not be 0."""

    def __init__(self, points: npt.NDArray) -> None:
        self._z = points[:, 2]
        from_corner = points[:, :2] - points[:, :2].min(0)
        self._cell_m = max(CELL_M, float(from_corner.max()) / MOST_CELLS)
        x, y = (from_corner / self._cell_m).astype(np.int64).T
        self._shape = int(x.max()) + 1, int(y.max()) + 1
        self._cell = x * self._shape[1] + y
        self._floor, self._top = np.percentile(self._z, [0.5, 99.8])

    @cached_property
    def below_ceiling(self) -> float:
        """The height below which everything but the ceiling lies; infinite if the points show none."""
        at_top = np.count_nonzero(self._filled(self._z > self._top - 0.25))
        has_one = self._top - self._floor > 1.5 and at_top > 0.1 * np.count_nonzero(self._filled(slice(None)))
        return float(self._top - 0.35) if has_one else np.inf

    def opened(self, azimuth: float) -> Chosen:
        """Which points stay when the room is opened towards a viewer at `azimuth`: (N,) bool.

        The ceiling goes, if there is one, and so does what is as tall as a wall and stands in front of floor or furniture,
        down to a stub: near walls and partitions, not far walls.
        """
        wall, room = self._wall_and_room
        behind = np.zeros(self._shape, int)
        for distance_m in np.arange(3 * self._cell_m, 2.5, self._cell_m):
            x, y = np.round(-distance_m / self._cell_m * np.array([np.cos(azimuth), np.sin(azimuth)])).astype(int)
            behind += shifted(room, -x, -y)
        cut = cv2.dilate((wall & (behind >= 4)).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        return (self._z < self.below_ceiling) & ~(cut.ravel()[self._cell] & (self._z > self._stub))

    @property
    def _stub(self) -> float:
        return float(self._floor + 0.25)

    @cached_property
    def _wall_and_room(self) -> tuple[Chosen, Chosen]:
        """Cells that are filled up to above a person's chest, and what other cells hold anything below."""
        tall = self._floor + 1.3
        quarter = np.floor(4 * (self._z - self._stub) / (tall - self._stub))
        columns = sum(self._filled(quarter == level).astype(int) for level in range(4))
        wall = (columns >= 3) & self._filled(self._z > tall)
        return wall, self._filled(self._z < tall) & ~wall

    def _filled(self, chosen: Chosen | slice) -> Chosen:
        """Cells that hold any of the chosen points."""
        filled = np.zeros(self._shape, bool)
        filled.ravel()[self._cell[chosen]] = True
        return filled


def shifted(image: Chosen, x: int, y: int) -> Chosen:
    """The image moved by x rows and y columns, False where nothing comes in."""
    matrix = np.array([[1.0, 0, y], [0, 1, x]])
    return cv2.warpAffine(image.astype(np.uint8), matrix, image.shape[::-1], flags=cv2.INTER_NEAREST) > 0
