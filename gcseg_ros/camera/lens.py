"""What a lens bends is made straight: raw images become those of a pinhole camera, as ROS's image_proc does it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.frames import Array, CameraIntrinsics

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)  # no rotation

Maps = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Lens:
    """How a camera bends what it sees.

    raw         the camera of the images as they are, but for what the lens bends
    distortion  coefficients in OpenCV's order: 4, 5, 8, 12 or 14 of plumb_bob and rational_polynomial, 4 of a fisheye
    fisheye     whether they are those of the equidistant model (Kannala and Brandt, PAMI 2006)
    rotation    (9,) row by row: rays of the raw camera -> rays of the straight one
    straight    the pinhole camera that images are made to be of; as large as the raw one
    """

    raw: CameraIntrinsics
    distortion: tuple[float, ...]
    fisheye: bool
    rotation: tuple[float, ...]
    straight: CameraIntrinsics

    def straightened(self, colour: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 of the raw camera, resized or not -> of the straight one, as large; black where it saw nothing."""
        return np.asarray(cv2.remap(colour, *self._maps_for(colour), cv2.INTER_LINEAR), np.uint8)

    def straightened_depth(self, depth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(H, W) float32 z-depth of the raw camera, resized or not -> of the straight one, as large; 0 where there is none.

        No two depths are mixed. The z-axes of both are taken as the same one; `rotation` turns a stereo camera's by a
        degree at most.
        """
        return np.asarray(cv2.remap(depth_m, *self._maps_for(depth_m), cv2.INTER_NEAREST), np.float32)

    def _maps_for(self, image: npt.NDArray) -> Maps:
        height, width = image.shape[:2]
        return _maps(replace(self, raw=self.raw.scaled(width, height), straight=self.straight.scaled(width, height)))


@lru_cache(maxsize=4)
def _maps(lens: Lens) -> Maps:
    """For each pixel (H, W) of the straight camera, where it is in the raw image: x, y."""
    K, D, R = lens.raw.matrix, np.array(lens.distortion), np.array(lens.rotation).reshape(3, 3)
    size: tuple[int, int] = (lens.straight.width, lens.straight.height)
    new: Array = lens.straight.matrix
    make = cv2.fisheye.initUndistortRectifyMap if lens.fisheye else cv2.initUndistortRectifyMap
    x, y = make(K, D, R, new, size, cv2.CV_32FC1)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)
