"""Poses that cannot be right: where tracking is lost for a moment, an odometry or an exporter may put the camera anywhere."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from gcseg_ros.frames import Array
from gcseg_ros.state import Saved

FASTEST = 3.0, np.radians(300)  # m/s and radians/s: cameras that map are carried more slowly
MUCH_FASTER, LATELY = 4.0, 10  # than the fastest of so many views
MOST = 10  # views in a row; from then on the camera is believed to be there
GAP_S, LEAST_S = 1.0, 1 / 90  # between views: after a gap the camera may be anywhere
LONG_AGO = -1e12


class Astray:
    """Views, in order of time -> whether the camera cannot be where a view's pose puts it.

    It would have moved faster than cameras are carried, and much faster than lately, to where nothing of the map fits.
    What comes then is no better until something fits again, or for MOST views: a camera that stays where it has jumped
    to is believed.

    count  views that were astray
    """

    def __init__(self) -> None:
        self.count = 0
        self._in_a_row = 0
        self._stamp_s, self._pose = LONG_AGO, np.eye(4)  # of the last view that was not
        self._speeds: deque[float] = deque(maxlen=LATELY)  # of those before it; 1: FASTEST

    def __call__(self, stamp_s: float, pose: Array, fits: bool) -> bool:
        """fits: whether the view lies on what was mapped before it. pose: (4, 4) camera-to-world, as given."""
        passed_s = stamp_s - self._stamp_s
        follows = 0 < passed_s < GAP_S
        speed = _speed(self._pose, pose, max(passed_s, LEAST_S))
        jumps = follows and len(self._speeds) == LATELY and speed > max(1, MUCH_FASTER * max(self._speeds))
        goes_on = self._in_a_row > 0 and 0 < passed_s < MOST * GAP_S
        if not fits and (jumps or goes_on) and self._in_a_row < MOST:
            self.count, self._in_a_row = self.count + 1, self._in_a_row + 1
            return True
        if follows and self._in_a_row < MOST:
            self._speeds.append(speed)
        else:
            self._speeds.clear()
        self._stamp_s, self._pose, self._in_a_row = stamp_s, pose, 0
        return False

    def notes(self) -> list[str]:
        """What the user should know, if there is anything."""
        if not self.count:
            return []
        return [
            f"{self.count} frames were not mapped, because their poses cannot be right: the camera would have jumped to where nothing "
            "of the map fits (was tracking lost? poses.refine=false maps them)."
        ]

    def state(self) -> dict[str, Any]:
        """The counts, and of the last views that were not astray the speeds, the last one's time and its pose."""
        return {
            "count": self.count,
            "in_a_row": self._in_a_row,
            "stamp_s": np.array([self._stamp_s], np.float64),
            "pose": self._pose,
            "speeds": np.array(self._speeds, np.float64),
        }

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self.count, self._in_a_row = saved.number("count"), saved.number("in_a_row", high=MOST)
        self._stamp_s = float(saved.array("stamp_s", np.float64, (1,))[0])
        self._pose = saved.array("pose", np.float64, (4, 4))
        self._speeds = deque(saved.array("speeds", np.float64, (None,), 0).tolist(), LATELY)


def _speed(before: Array, after: Array, passed_s: float) -> float:
    """Of a motion, by the larger of its shares of FASTEST."""
    shift = np.linalg.norm(after[:3, 3] - before[:3, 3])
    turn = Rotation.from_matrix(before[:3, :3].T @ after[:3, :3]).magnitude()
    return float(max(shift / FASTEST[0], turn / FASTEST[1]) / passed_s)
