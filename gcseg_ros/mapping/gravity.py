"""Which way is up in the map's world: along the z axis, as REP-103 has it, unless that is not known, or floors, tops and walls say otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.upright import UP, share_aligned, up_of_surfaces
from gcseg_ros.frames import Array
from gcseg_ros.state import Saved

CONTRADICTED = 0.15
"""The z axis is not up where so much more of the surface is level or upright by another direction. On 96 generated rooms and 576 parts of
them of a metre around a point at most 0.08 was, and at least 0.19 of rooms tilted by 12 degrees."""


class Gravity:
    """Told of every view that is mapped; asked when pieces are to be joined, which know above from below.

    A world whose z axis may point anywhere is that of a SLAM which begins at the camera (7-Scenes), or of an odometry that takes a tilted
    camera for level.
    """

    def __init__(self) -> None:
        self._z_up, self._upwards = True, np.zeros(3)  # of the last view; the sum of where images have their upper edge
        self._tilt_degrees = 0.0  # as it was found when last asked

    def __call__(self, pose: Array, z_up: bool) -> None:
        """pose (4, 4): camera-to-world, of an image whose upper edge is above; z_up: whether the world's z axis is known to point up."""
        self._z_up = z_up
        self._upwards -= pose[:3, 1]

    def up(self, normals: npt.NDArray[np.floating]) -> Array:
        """(3,) The unit vector that points up in the world of a map with these normals (n, 3)."""
        self._tilt_degrees = 0.0
        if not self._z_up:
            return up_of_surfaces(normals, self._guess())
        up = up_of_surfaces(normals, UP)
        if share_aligned(normals, up) - share_aligned(normals, UP) <= CONTRADICTED:
            return UP
        self._tilt_degrees = float(np.degrees(np.arccos(up @ UP)))
        return up

    def _guess(self) -> Array:
        length = np.linalg.norm(self._upwards)
        return self._upwards / length if length > 0 else UP

    def notes(self) -> list[str]:
        """What the user should know, if there is anything."""
        if not self._tilt_degrees:
            return []
        return [
            f"The world's z axis does not point up: floors, tops and walls are {self._tilt_degrees:.0f} degrees off it (is the camera's tilt "
            "missing in its odometry, or in TF?). Objects are found, and boxes made, upright; coordinates are as the poses have them."
        ]

    def state(self) -> dict[str, Any]:
        return {"z_up": int(self._z_up), "upwards": self._upwards}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self._z_up = bool(saved.number("z_up", high=1))
        self._upwards = saved.array("upwards", np.float64, (3,))
