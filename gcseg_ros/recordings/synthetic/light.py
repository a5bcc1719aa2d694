"""How a room is lit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.materials import Colour
from gcseg_ros.recordings.synthetic.outline import Wall

Array = npt.NDArray[np.float64]

# columns of a lamp; its position is 0 to 2, its colour 3 to 5
L_FALLOFF, L_CLEAR_RADIUS, L_IN_SHADOW = 6, 7, 8


class Light(NamedTuple):
    """Colours are RGB, 1 as bright as what is lit can be shown.

    sky, ground  light from above and from below
    background   what is seen where nothing is hit
    headlight    strength of a white lamp at the camera
    shadows      so many of the lamps, the first ones, cast them
    lamps        (N, 9) position in the world (m), colour, falloff per m2, radius around it that casts no shadow, and
                 the share of its light that remains in a shadow
    """

    sky: Colour
    ground: Colour
    background: Colour
    headlight: float
    shadows: int
    lamps: Array


def build_light(look: Look, corners: Array, height: float, walls: list[Wall]) -> Light:
    """One of the style's rigs."""
    kind = look.choose(look.style.lights)
    low, high = corners.min(0), corners.max(0)
    tint = np.array([1.0, look.between(0.93, 1.0), look.between(0.8, 1.02)])
    grey = look.between(0.1, 0.8)
    background = (grey, grey, min(grey * look.between(1.0, 1.2), 1.0))
    if kind == "simulator":
        # a directional light without shadows, the renderer of robot simulators
        level = look.between(0.45, 0.7)
        direction = np.array([*look.rng.uniform(-0.7, 0.7, 2), 1.0]) * 60
        lamps = [[*direction, *(np.ones(3) * look.between(0.3, 0.55)), 0.0, 0.0, 1.0]]
        return Light(
            (level,) * 3, (level * look.between(0.7, 1.0),) * 3, background, look.between(0.0, 0.2), 0, np.array(lamps)
        )
    if kind == "flat":
        level = look.between(0.6, 0.85)
        middle = [*look.rng.uniform(low, high), height - 0.2]
        lamps = [[*middle, *(tint * 0.35), 0.03, 0.1, 0.8]]
        return Light(
            (level,) * 3,
            (level * 0.8,) * 3,
            background,
            look.between(0.0, 0.3),
            look.choose((0, 0, 1)),
            np.array(lamps),
        )
    if kind == "daylight":
        wall = walls[look.whole(0, len(walls) - 1)]
        p = (wall.start + wall.end) / 2 + wall.normal * 0.5
        colour = np.array([0.95, 1.0, 1.05]) * look.between(0.7, 1.0)
        lamps = [
            [p[0], p[1], min(2.0, height - 0.3), *colour, 0.04, 0.1, look.between(0.1, 0.4)],
            [*corners.mean(0), height - 0.3, *(tint * 0.25), 0.05, 0.1, 0.5],
        ]
        level = look.between(0.35, 0.5)
        return Light(
            (level, level, level * 1.05), (level * 0.75,) * 3, background, look.between(0.0, 0.15), 1, np.array(lamps)
        )
    centre = look.rng.uniform(low * 0.7 + high * 0.3, low * 0.3 + high * 0.7)
    lamps = [[*centre, height - 0.35, *(tint * look.between(0.7, 1.1)), 0.06, 0.25, look.between(0.1, 0.5)]]
    if look.chance(0.5):
        other = look.rng.uniform(low, high)
        lamps.append([*other, look.between(1.0, height - 0.4), *(tint * look.between(0.2, 0.5)), 0.1, 0.25, 0.4])
    level = look.between(0.22, 0.45)
    return Light(
        (level,) * 3,
        tuple(tint * level * 0.7),
        background,
        look.between(0.0, 0.2),
        look.whole(1, len(lamps)),
        np.array(lamps),
    )  # type: ignore[arg-type]
