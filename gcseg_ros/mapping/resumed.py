"""Whether what is seen since a map was gone on with has anything in common with it: another room has not, nor the same
one in another world frame."""

from __future__ import annotations

import numpy as np

from gcseg_ros.mapping.voxel_map import VoxelMap
from gcseg_ros.views import View

LEVEL = 0.8  # least cosine between the normals of floors and tops and the z axis: a floor also fits another floor
LEAST_POINTS, KNOWN = 50, 0.2  # number and share of a view's other points that must be in voxels of before


class Resumed:
    """The views since the map was restored.

    views  that have depth of more than floors, up to the first that shows what the map has shown before
    """

    def __init__(self, voxel_map: VoxelMap) -> None:
        self._map, self._before = voxel_map, len(voxel_map)
        self.views, self._met = 0, False

    def __call__(self, view: View) -> None:
        if self._met:
            return
        level = np.abs(view.normals @ view.up) > LEVEL
        other = view.normals.any(-1) & (view.measured_m > 0) & ~level
        if other.sum() >= LEAST_POINTS:
            self.views += 1
            known = self._map.known(view, self._before)
            self._met = bool(known[other].mean() > KNOWN)

    def notes(self) -> list[str]:
        """What the user should know, if there is anything."""
        if self._met or not (self.views and self._before):
            return []
        return [
            "Nothing that was seen since the map was gone on with is where the map had something: is it of this place, and are poses in the "
            "same world frame? In a new part of the place all is well, else begin a new map."
        ]
