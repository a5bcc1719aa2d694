"""How far away things are in the depth images: where a map lacks most of them, the user is told why."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PIXELS = np.s_[::16, ::16]  # those looked at: a keyframe of 640x480 takes some 50 microseconds
OCTAVE, OCTAVES = 8, 20  # counts by depth: so many of each doubling, and so many doublings either side of the limit
MOST_BEYOND = 0.8  # a share of depth beyond the limit that is told of


class DepthSeen:
    """Counts of depth, of all keyframes."""

    def __init__(self, limit_m: float) -> None:
        """limit_m: what is further is not mapped."""
        self._limit_m = np.float32(limit_m)
        self._keyframes = 0
        self._counts = np.zeros(2 * OCTAVE * OCTAVES + 1, np.int64)

    def add(self, depth_m: npt.NDArray[np.float32]) -> None:
        """One keyframe: (H, W) metres, 0 = none."""
        depth = depth_m[PIXELS]
        times = OCTAVE * np.log2(depth[depth > 0] / self._limit_m)
        at = np.clip(np.ceil(times).astype(np.int64) + OCTAVE * OCTAVES, 0, len(self._counts) - 1)
        self._counts += np.bincount(at, minlength=len(self._counts))
        self._keyframes += 1

    def note(self, mapped: bool) -> str | None:
        """A sentence for the user where nothing is mapped, or most depth is beyond the limit."""
        total = int(self._counts.sum())
        if not total:
            return "Nothing is mapped: no keyframe has depth." if self._keyframes and not mapped else None
        beyond = self._counts[OCTAVE * OCTAVES + 1 :].sum() / total
        if mapped and beyond <= MOST_BEYOND:
            return None
        middle = int(np.searchsorted(self._counts.cumsum(), total / 2))
        median_m = float(f"{self._limit_m * 2 ** ((middle - OCTAVE * OCTAVES - 0.5) / OCTAVE):.2g}")
        return (
            f"{'Most of what was seen is not' if mapped else 'Nothing is'} mapped: depth is taken up to input.depth_max_m = "
            f"{self._limit_m:g} m, {beyond:.0%} is beyond, and the median is about {median_m:,g} m. Check its unit (16-bit images are "
            "taken as millimetres, TUM's as 1/5000 m or as camera.yaml says, 32-bit ones as metres), or raise input.depth_max_m."
        )
