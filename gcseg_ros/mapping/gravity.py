"""Which way is up in the map's world: along the z axis, as REP-103 has it, unless that is not known, or poses, floors,
tops and walls say otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.upright import (
    CARRIED,
    OTHER_AXES,
    UP,
    other_axis_up,
    shares_aligned,
    some_normals,
    up_of_surfaces,
)
from gcseg_ros.frames import QUARTER_TURN, Array
from gcseg_ros.state import Saved

CONTRADICTED, BY_WALLS = 0.15, 0.05
"""The z axis is not up where so much more of the surface is level or upright by another direction, and so much more
upright: a slope alone may be a ramp. On 96 generated rooms and 576 parts of them of a metre around a point at most 0.08
was, and at least 0.19 of rooms tilted by 12 degrees; of two other rooms, tilted by 12 to 35 degrees, at least 0.11 more
was upright."""
AGREE = 0.3  # least length of the mean of unit vectors that agree
MOST = 300  # poses that are kept, evenly chosen


class Gravity:
    """Told of every view that is mapped; asked when pieces are to be joined, which know above from below.

    A world whose z axis may point anywhere is that of a SLAM which begins at the camera (7-Scenes), or of an odometry
    that takes a tilted camera for level.
    """

    def __init__(self) -> None:
        self._z_up = True  # of the last view
        self._views, self._upwards = 0, np.zeros(3)  # the sum of what would point up if they looked down a little
        self._rotations: list[Array] = []  # of every so many views, as their images came: not turned
        self._every = 1
        self._axis, self._tilt_degrees = "", 0.0  # when last asked: what points up instead, and how far z is off

    def __call__(self, pose: Array, z_up: bool, quarters: int = 0) -> None:
        """One view.

        pose      (4, 4) camera-to-world, of an image whose upper edge is above
        z_up      whether the world's z axis is known to point up
        quarters  right angles by which the image was turned clockwise so that z does
        """
        self._z_up = z_up
        if self._views % self._every == 0:
            self._rotations.append(pose[:3, :3] @ np.linalg.matrix_power(QUARTER_TURN[:3, :3].T, quarters))
        if len(self._rotations) > MOST:
            self._rotations, self._every = self._rotations[::2], 2 * self._every
        self._views += 1
        self._upwards += pose[:3, :3] @ CARRIED

    def up(self, normals: npt.NDArray[np.floating]) -> Array:
        """(3,) The unit vector that points up in the world of a map with these normals (n, 3)."""
        self._axis, self._tilt_degrees, normals = "", 0.0, some_normals(normals)
        if self._z_up:
            axis = other_axis_up(self._rotations)
            self._axis = axis if axis in OTHER_AXES else ""  # images are turned by z, whichever way it points
            if not (self._axis or contradicted(normals)):
                return UP
        up = up_of_surfaces(normals, OTHER_AXES[self._axis] if self._axis else self._guess())
        if self._z_up:
            self._tilt_degrees = float(np.degrees(np.arccos(np.clip(up @ UP, -1, 1))))
        return up

    def _guess(self) -> Array:
        """What points up if cameras look down a little; the z axis where they do not agree."""
        length = np.linalg.norm(self._upwards)
        return self._upwards / length if length > AGREE * self._views else UP

    def notes(self) -> list[str]:
        """What the user should know, if there is anything."""
        if not self._tilt_degrees:
            return []
        why = (
            f"by the poses it is about its {self._axis} axis that does (a SLAM's world is often its first camera's)"
            if self._axis
            else f"floors, tops and walls are {self._tilt_degrees:.0f} degrees off it (is the camera's tilt missing in its odometry, or in TF?)"
        )
        return [
            f"The world's z axis does not point up: {why}. Objects are found, and boxes made, upright; coordinates are as the poses have them."
        ]

    def state(self) -> dict[str, Any]:
        rotations = np.array(self._rotations, np.float64).reshape(-1, 3, 3)
        counts = {"z_up": int(self._z_up), "views": self._views, "every": self._every}
        return {**counts, "upwards": self._upwards, "rotations": rotations}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self._z_up, self._views = bool(saved.number("z_up", high=1)), saved.number("views")
        self._every = saved.number("every", low=1)
        self._upwards = saved.array("upwards", np.float64, (3,))
        self._rotations = list(saved.array("rotations", np.float64, (None, 3, 3), -1.01, 1.01))


def contradicted(normals: npt.NDArray[np.float64]) -> bool:
    """Whether floors and walls with these normals (n, 3) say that the z axis does not point up."""
    gain = shares_aligned(normals, up_of_surfaces(normals, UP)) - shares_aligned(normals, UP)
    return bool(gain.sum() > CONTRADICTED and gain[1] > BY_WALLS)
