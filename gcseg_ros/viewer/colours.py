"""A steady, well-separated colour for every instance id."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NONE = (112, 112, 112)
"""RGB of points without an instance."""

# Steps of the R2 low-discrepancy sequence: any run of ids is spread over hue and lightness at once.
_PLASTIC = 1.32471795724474602596
_HUE_STEP, _LIGHTNESS_STEP = 1 / _PLASTIC, 1 / _PLASTIC**2


def instance_colours(ids: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Ids of any shape (...) -> RGB (..., 3) uint8: the same id always has the same colour; 0 and below are grey."""
    ids = np.asarray(ids)
    distinct, inverse = np.unique(ids, return_inverse=True)
    hue = 2 * np.pi * (0.07 + _HUE_STEP * distinct)
    lightness = 0.58 + 0.26 * ((0.5 + _LIGHTNESS_STEP * distinct) % 1)
    table = oklch_to_rgb(lightness, np.full(len(distinct), 0.155), hue)
    table[distinct <= 0] = NONE
    return table[inverse.reshape(ids.shape)]


def oklch_to_rgb(lightness: npt.NDArray, chroma: npt.NDArray, hue: npt.NDArray) -> npt.NDArray[np.uint8]:
    """Oklch (N,), (N,), radians (N,) -> sRGB (N, 3) uint8, clipped to what a screen can show.

    Oklab (Ottosson, 2020): equal steps look equal, so that no two hues are confused.
    """
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    lms = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_rgb @ lms**3, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb.T).astype(np.uint8)
