"""What of the images is not in the map: where that is much, the user is told why."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.depth import NEAREST_M
from gcseg_ros.state import Saved

PIXELS = np.s_[::16, ::16]  # those looked at: a keyframe of 640x480 takes some 50 microseconds
# Depth is counted by its logarithm: so many counts a doubling, from FIRST on, of which so many are of what is too near.
OCTAVE, OCTAVES, NEARER = 8, 30, 56
FIRST = np.log2(NEAREST_M) - NEARER / OCTAVE
MOST_LEFT_OUT = 0.8  # a share of depth beyond the limit, or too near, that is told of
BLANK = 3.0  # standard deviation of an image's values, below which it shows nothing
MOST_BLANK = 0.5  # share of such images that is told of


class LeftOut:
    """Counts over all frames.

    outside  points that are further from the origin than voxels reach
    """

    def __init__(self, limit_m: float) -> None:
        """limit_m: depth beyond it is not mapped."""
        self._limit_m = np.float32(limit_m)
        self._counts = np.zeros(OCTAVE * OCTAVES, np.int64)  # of depth
        self._beyond = self._blank = self._keyframes = self.outside = 0

    def add(self, depth_m: npt.NDArray[np.float32], colour: npt.NDArray[np.uint8]) -> None:
        """The images of one keyframe: depth (H, W) metres, 0 = none, and colour (H, W, 3)."""
        self._blank += bool(colour[PIXELS].std((0, 1)).max() < BLANK)
        depth = depth_m[PIXELS]
        depth = depth[depth > 0]
        at = np.clip((OCTAVE * (np.log2(depth) - FIRST)).astype(np.int64), 0, len(self._counts) - 1)
        self._counts += np.bincount(at, minlength=len(self._counts))
        self._beyond += int((depth > self._limit_m).sum())
        self._keyframes += 1

    def notes(self, voxels: int, voxel_m: float, reach_m: float) -> list[str]:
        """Sentences for the user of a map of so many voxels, which reach so far from the origin."""
        notes = [self._of_depth(mapped=voxels + self.outside > 0)]
        if self.outside:
            notes.append(
                f"{self.outside} points were left out so far: they are over {reach_m / 1000:.3g} km from the origin, and voxels of "
                f"{voxel_m:g} m reach no further; subtract the same offset from all positions, or raise map.voxel_m."
            )
        if self._blank > MOST_BLANK * self._keyframes:
            notes.append(
                f"{self._blank} of {self._keyframes} keyframes have colour images all of one colour: objects are told apart by their shapes "
                "alone, and fewer are found. Is the lens covered, or the topic or the encoding another one?"
            )
        return [note for note in notes if note]

    def _of_depth(self, mapped: bool) -> str:
        """Nothing, where something is mapped and most depth is within the limit."""
        total = int(self._counts.sum())
        if not total:
            return "Nothing is mapped: no keyframe has depth." if self._keyframes and not mapped else ""
        beyond, nearer = self._beyond / total, self._counts[:NEARER].sum() / total
        if mapped and beyond + nearer <= MOST_LEFT_OUT:
            return ""
        middle = int(np.searchsorted(self._counts.cumsum(), total / 2))
        median_m = float(f"{2 ** (FIRST + (middle + 0.5) / OCTAVE):.2g}")
        left_out, advice = f"{beyond:.0%} is beyond", "raise input.depth_max_m"
        if nearer > beyond:
            left_out, advice = f"{nearer:.0%} is nearer", "keep the camera further away"
        return (
            f"{'Most of what was seen is not' if mapped else 'Nothing is'} mapped: depth is taken from {NEAREST_M:g} m to input.depth_max_m = "
            f"{self._limit_m:g} m, {left_out}, and the median is about {median_m:,g} m. Check its unit (16-bit images are taken as "
            f"millimetres, TUM's as 1/5000 m or as camera.yaml says, 32-bit ones as metres), or {advice}."
        )

    def state(self) -> dict[str, Any]:
        """All counts."""
        return {
            "counts": self._counts,
            "beyond": self._beyond,
            "blank": self._blank,
            "keyframes": self._keyframes,
            "outside": self.outside,
        }

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self._counts = saved.array("counts", np.int64, self._counts.shape, 0)
        self._beyond, self._blank = saved.number("beyond"), saved.number("blank")
        self._keyframes = saved.number("keyframes")
        self.outside = saved.number("outside")
