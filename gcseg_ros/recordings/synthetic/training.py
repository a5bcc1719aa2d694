"""Single frames for training a boundary network: random room, viewpoint, light and sensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic.path import random_view
from gcseg_ros.recordings.synthetic.rendering import render
from gcseg_ros.recordings.synthetic.room import Room, build_room
from gcseg_ros.recordings.synthetic.sensor import (
    auto_exposure,
    random_colour_sensor,
    random_depth_sensor,
    sense_colour,
    sense_depth,
)
from gcseg_ros.recordings.synthetic.styles import STYLES, TRAINING_STYLES

VIEWS_PER_ROOM = 24


@dataclass(frozen=True)
class TrainingView:
    """colour (H, W, 3) uint8 RGB; depth_m (H, W) float32 as measured, 0 invalid; exact_depth_m (H, W) float32;
    instance, part (H, W) uint16; stuff (H, W) bool; fx: focal length in pixels (square pixels, principal point in the
    middle); up: (3,) the world's z axis in the camera's frame."""

    colour: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]
    exact_depth_m: npt.NDArray[np.float32]
    instance: npt.NDArray[np.uint16]
    part: npt.NDArray[np.uint16]
    stuff: npt.NDArray[np.bool_]
    fx: float
    up: npt.NDArray[np.float64]


@lru_cache(maxsize=4)
def _room(number: int, styles: tuple[str, ...]) -> Room:
    return build_room(number, styles[number % len(styles)])


def training_view(
    seed: int, size: tuple[int, int] = (320, 240), styles: tuple[str, ...] = TRAINING_STYLES
) -> TrainingView:
    """The frame of `seed`; deterministic. Seeds 24 n to 24 n + 23 share a room: go through them in order. size: (width,
    height)."""
    room = _room(seed // VIEWS_PER_ROOM, styles)
    rng = np.random.default_rng([seed, 5])
    camera, pose = random_view(room, rng)
    camera = camera.scaled(*size)
    view = render(room, camera, pose)
    name = STYLES[room.style.name].sensors[int(rng.integers(len(room.style.sensors)))]
    camera_model = random_colour_sensor(rng)
    exposure = camera_model.exposure * auto_exposure(view.colour)
    return TrainingView(
        sense_colour(view.colour, replace(camera_model, exposure=exposure), rng),
        sense_depth(view, random_depth_sensor(rng, name), rng),
        view.depth_m,
        view.instance,
        view.part,
        room.stuff_mask(view.instance),
        camera.fx,
        np.asarray(pose)[2, :3],
    )
