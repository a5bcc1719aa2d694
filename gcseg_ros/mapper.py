"""The mapping pipeline: one causal `step(frame)`, the same live and offline.  (Being written: the interface is settled.)"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gcseg_ros.config import Config
from gcseg_ros.frames import Frame
from gcseg_ros.mapping.instances import InstanceMap


@dataclass(frozen=True)
class TrackedFrame:
    """What one step gives.

    labels     (H, W) uint16 object id per pixel at the frame's size, 0 = none
    keyframe   whether masks were detected in this frame
    """

    labels: npt.NDArray[np.uint16]
    keyframe: bool


class Mapper:
    """`step` every frame in order of time; `instances()` whenever a map is wanted.

    Memory is bounded by the map's surface and its objects, not by the length of the video.
    """

    def __init__(self, config: Config | None = None) -> None:
        raise NotImplementedError

    def step(self, frame: Frame) -> TrackedFrame:
        raise NotImplementedError

    def cloud(self) -> InstanceMap:
        """The map with its present labels; cheap (tens of ms): for live display. `.objects` is filled without oriented boxes."""
        raise NotImplementedError

    def instances(self) -> InstanceMap:
        """The finished map: labels joined by evidence, structure found, small pieces cleaned; seconds."""
        raise NotImplementedError

    def statistics(self) -> dict[str, int | float | dict[str, float]]:
        """frames, keyframes, objects by state ({'active': .., 'dormant': .., 'terminated': ..}), voxels, seconds per stage."""
        raise NotImplementedError
