"""Which way is up: in a camera's image, and in the world that its poses are given in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gcseg_ros.frames import Array

CLEARLY_UP, ALONG_A_SIDE = 0.6, 0.87  # of a unit vector, in the image: its length along a side, and the share of that
UP: Array = np.array([0.0, 0.0, 1.0])
CARRIED: Array = -np.array([0.0, np.cos(np.radians(15)), np.sin(np.radians(15))])
"""What points up in the optical frame of a camera that looks down a little, as most do that map."""
AXES = {name: sign * np.eye(3)[i] for i, axis in enumerate("xyz") for name, sign in ((axis, 1), (f"-{axis}", -1))}
OTHER_AXES = {name: axis for name, axis in AXES.items() if "z" not in name}
MOST, NEARLY_ALL = 0.9, 0.95  # shares of the poses
LEAST = 10  # poses that tell anything
LOOKS_UP = np.sin(np.radians(5))  # a camera that is level is taken for one that hangs upside down, as robots have them
NARROWED_DEGREES = (45, 45, 45, 45, 45, 15, 15, 15, 15, 15)  # around the direction, and around the plane across it
PULL = 0.003  # what the first guess weighs beside the normals: it decides where these leave a direction open
ALIGNED = np.radians(10)
LEAST_NORMALS, MOST_NORMALS = 100, 50_000


def quarters_to_upright(pose: Array, up: Array = UP) -> int | None:
    """Right angles by which an image is to be turned clockwise, so that up is up; None where its camera-to-world pose
    (4, 4) does not say so clearly. up (3,): the unit vector of the world that points up."""
    x, y = up @ pose[:3, :2]
    upwards = (-y, -x, y, x)  # how far it points up in the image, turned by 0 to 3 right angles
    quarters = int(np.argmax(upwards))
    return quarters if upwards[quarters] > max(CLEARLY_UP, ALONG_A_SIDE * np.hypot(x, y)) else None


def upright_rotation(axis: str) -> Array:
    """(3, 3), by right angles: turns a world whose `axis`, "y" or "-x", points up so that z does."""
    up, ahead = AXES[axis], AXES["y" if "x" in axis else "x"]
    return np.stack([ahead, np.cross(up, ahead), up])


def turned_upright(points: npt.NDArray[np.float32], axis: str) -> npt.NDArray[np.float32]:
    """Points (N, 3), turned by `upright_rotation`."""
    rotation = upright_rotation(axis).astype(np.float32)
    # not a product of matrices, in which a NaN would spread to the other coordinates
    return points[:, np.abs(rotation).argmax(1)] * rotation.sum(1)


def rotation_to_z(up: Array) -> Array:
    """(3, 3): turns a world in which the unit vector `up` (3,) points up so that z does."""
    middle = up + UP
    length = np.linalg.norm(middle)
    if length < 1e-6:
        return upright_rotation("-z")
    return 2 * np.outer(middle, middle) / length**2 - np.eye(3)  # half a turn about it


def up_of_surfaces(normals: npt.NDArray[np.floating], guess: Array) -> Array:
    """(3,) The direction, near the unit vector `guess`, that floors and tops face and walls do not.

    Gupta, Arbelaez and Malik, CVPR 2013: the normals (n, 3) that are nearly parallel to it and those that are nearly
    across it are found, then the direction that fits these best, and so on. `guess` is given back where there are
    hardly any, or where they lead over 45 degrees away.
    """
    normals = some_normals(normals)
    if len(normals) < LEAST_NORMALS:
        return guess
    up = guess
    for degrees in NARROWED_DEGREES:
        cosine, narrow = np.abs(normals @ up), np.radians(degrees)
        parallel, across = normals[cosine > np.cos(narrow)], normals[cosine < np.sin(narrow)]
        scatter = across.T @ across - parallel.T @ parallel - PULL * len(normals) * np.outer(guess, guess)
        up = np.linalg.eigh(scatter)[1][:, 0]  # of the least eigenvalue
        up = up if up @ guess > 0 else -up
    return up if up @ guess > np.cos(np.radians(NARROWED_DEGREES[0])) else guess


def shares_aligned(normals: npt.NDArray[np.floating], up: Array) -> Array:
    """(2,) Of normals (n, 3) of surfaces the shares that are parallel to `up` and across it, within 10 degrees."""
    cosine = np.abs(some_normals(normals) @ up)
    aligned = cosine > np.cos(ALIGNED), cosine < np.sin(ALIGNED)
    return np.mean(aligned, axis=1) if len(cosine) else np.zeros(2)


def some_normals(normals: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """At most MOST_NORMALS of these (n, 3), evenly chosen, of those that are known (not zero)."""
    known = np.flatnonzero(normals.any(axis=1))
    return normals[known[:: max(1, -(-len(known) // MOST_NORMALS))]].astype(np.float64)


def other_axis_up(poses: Sequence[Array]) -> str | None:
    """The axis of the world, "y", "-x" or "-z", that points up instead of z, as far as camera-to-world poses (4, 4) or
    rotations (3, 3) tell; else None.

    A camera is carried one way up: along the axis that points up nearly all images have to be turned alike, or not at
    all. Along another one they would have to be turned now one way, now another, as the camera looks about. Where it
    does not nothing is told. One that is upside down along z, and looks up all the while, is upright in a world whose z
    axis points down: who maps looks down.
    """
    turns = Counter(quarters_to_upright(pose) for pose in poses)
    upside_down, clear = turns[2], len(poses) - turns[None]
    if upside_down >= max(LEAST, MOST * clear) and np.mean([UP @ pose[:3, 2] for pose in poses]) > LOOKS_UP:
        return "-z"
    upright, unclear, total = turns.pop(0, 0), turns.pop(None, 0), len(poses)
    if (
        total < LEAST
        or max(upright, *turns.values(), 0) >= MOST * total
        or total - upright - unclear < (1 - MOST) * total
    ):
        return None
    shares = {
        (turn, name): count / total
        for name, axis in OTHER_AXES.items()
        for turn, count in Counter(quarters_to_upright(pose, axis) for pose in poses).items()
        if turn is not None
    }
    likely = sorted((turn > 0, -share, name) for (turn, name), share in shares.items() if share >= NEARLY_ALL)
    return likely[0][2] if likely else None
