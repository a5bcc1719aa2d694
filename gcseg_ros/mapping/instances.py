"""The result: a labelled cloud and its object instances."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ObjectInstance:
    """One object. World frame, metres.

    axis_aligned_box  (min xyz, max xyz), each (3,)
    oriented_box      centre (3,), rotation (3,3) whose columns are the box's axes, size (3,); upright (its third axis is z)
    first_seen, last_seen  names of frames
    state             active | dormant | terminated, at the end of the video so far
    """

    id: int
    points: int
    centre: npt.NDArray[np.float64]
    axis_aligned_box: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    oriented_box: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
    confidence: float
    first_seen: str
    last_seen: str
    state: str


@dataclass(frozen=True)
class InstanceMap:
    """points (N,3) float32 m world; colours (N,3) uint8 RGB; instance (N,) int32, 0 = none; confidence (N,) float32 0..1."""

    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]
    instance: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.float32]
    objects: list[ObjectInstance] = field(default_factory=list)
