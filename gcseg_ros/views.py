"""A frame at working resolution: turned upright, its depth reduced and filtered over time, with normals.

Only the previous view is kept, however long the video.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.upright import CARRIED, quarters_to_upright, up_of_surfaces
from gcseg_ros.config import InputConfig
from gcseg_ros.depth import Image, decimate, fuse, normals_from, warp
from gcseg_ros.frames import CameraIntrinsics, Frame, nearest_pixels, rigid
from gcseg_ros.state import Saved

TURNS = ("none", "clockwise", "half", "counterclockwise")
"""By the number of right angles clockwise."""
SQUEEZED = 1.5  # ratio of the focal lengths beyond which that is told: of 16:9 made 4:3 it is 1.33
UP_STEP = 4  # every so many pixels each way tell what is up
SAME_CAMERA = 0.1  # focal lengths and principal points that differ by a smaller share may be one camera's


@dataclass(frozen=True)
class View:
    """What the mapper works on.

    colour      (h, w, 3) uint8 RGB
    measured_m  (h, w) float32 decimated depth, 0 = none: what is lifted into the map
    depth_m     (h, w) float32 filtered over time, small holes filled: what masks are found in
    normals     (h, w, 3) float32 unit, towards the camera, camera frame; 0 where unknown
    lab         (h, w, 3) float32 CIELAB of the colour (L 0..100)
    picture     (h * n, w * n, 3) uint8 RGB before it was reduced; that of a restored view is its colour
    weight      (h, w) float32: how many frames depth_m is the mean of; None where it is not filtered
    quarters    right angles by which it is the frame turned clockwise
    overlap     share 0..1 of the measured depth that lies where the view before it saw something
    z_up        whether the world's z axis is known to point up
    """

    name: str
    colour: npt.NDArray[np.uint8]
    measured_m: Image
    depth_m: Image
    normals: Image
    lab: Image
    intrinsics: CameraIntrinsics
    pose: npt.NDArray[np.float64]
    picture: npt.NDArray[np.uint8]
    weight: Image | None = None
    quarters: int = 0
    overlap: float = 0.0
    z_up: bool = True

    @classmethod
    def of(
        cls,
        name: str,
        colour: npt.NDArray[np.uint8],
        measured_m: Image,
        depth_m: Image,
        intrinsics: CameraIntrinsics,
        pose: npt.NDArray[np.float64],
        picture: npt.NDArray[np.uint8] | None = None,
        weight: Image | None = None,
        quarters: int = 0,
        overlap: float = 0.0,
        z_up: bool = True,
    ) -> View:
        """A view from what was seen: normals and Lab are computed."""
        lab = cv2.cvtColor(cv2.bilateralFilter(colour, 5, 25, 3), cv2.COLOR_RGB2LAB).astype(np.float32)
        lab[..., 0] *= 100 / 255
        lab[..., 1:] -= 128
        normals = normals_from(depth_m, intrinsics.pinhole)
        picture = colour if picture is None else picture
        images = colour, measured_m, depth_m, normals, lab
        return cls(name, *images, intrinsics, pose, picture, weight, quarters, overlap, z_up)

    @property
    def whole_camera(self) -> CameraIntrinsics:
        """Of the frame, before it was turned and reduced; of what was restored, before it was turned."""
        height, width = self.picture.shape[:2]
        return self.intrinsics.scaled(width, height).turned(-self.quarters)

    @cached_property
    def up(self) -> npt.NDArray[np.float64]:
        """What points up, in the camera's frame, (3,): the world's z axis, if it is known to; else what the floors,
        tops and walls in view say, if it looks down a little."""
        if self.z_up:
            return self.pose[2, :3]
        return up_of_surfaces(self.normals[::UP_STEP, ::UP_STEP].reshape(-1, 3), CARRIED)

    def state(self) -> dict[str, Any]:
        """What `of` needs."""
        images = {"colour": self.colour, "measured_m": self.measured_m, "depth_m": self.depth_m}
        weight = {} if self.weight is None else {"weight": self.weight}
        camera = {"camera": np.array(self.intrinsics.pinhole), "pose": self.pose, "quarters": self.quarters}
        known = {"overlap": np.array([self.overlap], np.float64), "z_up": int(self.z_up)}
        return {"name": self.name, **images, **weight, **camera, **known}

    @classmethod
    def restored(cls, saved: Saved) -> View:
        """The view whose `state` was saved. Raises UserError."""
        measured_m = saved.array("measured_m", np.float32, (None, None), 0)
        h, w = measured_m.shape
        camera = saved.array("camera", np.float64, (4,))
        if not (h and w and camera[:2].min() > 0):
            raise saved.wrong(
                "camera", "of positive focal lengths, its image of some pixels", f"{w}x{h} {camera.tolist()}"
            )
        intrinsics = CameraIntrinsics(w, h, *camera.tolist())
        pose = saved.array("pose", np.float64, (4, 4))
        if np.abs(rigid(pose, saved.where) - pose).max() > 1e-6:
            raise saved.wrong("pose", "a rotation and a translation", str(pose.tolist()))
        colour = saved.array("colour", np.uint8, (h, w, 3))
        depth_m = saved.array("depth_m", np.float32, (h, w), 0)
        weight = saved.array("weight", np.float32, (h, w), 0) if "weight" in saved else None
        numbers = {
            "quarters": saved.number("quarters", high=3),
            "overlap": saved.array("overlap", np.float64, (1,), 0, 1).item(),
            "z_up": bool(saved.number("z_up", high=1)),
        }
        return cls.of(saved.text("name"), colour, measured_m, depth_m, intrinsics, pose, weight=weight, **numbers)


class ViewBuilder:
    """Frames, in order of time -> views. Keeps the previous view for the temporal depth filter.

    quarters  right angles by which frames are turned clockwise; None before the first, also of a map that is gone on with
    mapped    the last view that the map knows; others are built ahead of it. It is what is saved.
    """

    def __init__(self, config: InputConfig) -> None:
        self.config = config
        self.quarters: int | None = None if config.turn == "auto" else TURNS.index(config.turn)
        self.previous: View | None = None
        self.mapped: View | None = None

    def __call__(self, frame: Frame) -> View:
        if self.quarters is None:
            self.quarters = self._quarters_of_first(frame)
        frame = frame.turned(self.quarters)
        factor, k = self._reduced(frame.intrinsics)
        width, height = k.width, k.height
        measured = decimate(frame.depth_m, factor, np.float32(self.config.depth_max_m))
        depth, weight = measured, (measured > 0).astype(np.float32)
        last, overlap = self.previous, 0.0
        if last and last.weight is not None and last.weight.shape == measured.shape:
            motion = np.linalg.inv(frame.pose) @ last.pose
            cameras = last.intrinsics.pinhole, k.pinhole
            predicted, support = warp(last.depth_m, last.weight, last.normals, motion, *cameras)
            overlap = float((predicted[measured > 0] > 0).mean()) if measured.any() else 1.0
            if self.config.filter_frames > 0:
                depth, weight = fuse(measured, predicted, support, np.float32(self.config.filter_frames))
        colour = picture = frame.colour[: height * factor, : width * factor]
        if factor > 1:
            colour = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        images = colour, measured, depth
        self.previous = View.of(frame.name, *images, k, frame.pose, picture, weight, self.quarters, overlap, frame.z_up)
        return self.previous

    def _reduced(self, camera: CameraIntrinsics) -> tuple[int, CameraIntrinsics]:
        """By how much images of a camera are reduced, and the camera at working resolution."""
        height, width = camera.height, camera.width
        share = width * height / self.config.working_px
        nearest = int((1 + sqrt(1 + 4 * share)) / 2)  # in ratio: n pixels for one where n (n - 1) <= share < n (n + 1)
        factor = max(1, min(nearest, height, width))
        height, width = height // factor, width // factor
        whole = replace(camera, width=width * factor, height=height * factor)  # the rest is cut off
        return factor, whole.scaled(width, height)

    def _quarters_of_first(self, frame: Frame) -> int:
        """Right angles by which frames from this one on are turned: as its pose says; where that is not clear, as the
        last view was if it may be of the same camera (a map is gone on with)."""
        clear, last = quarters_to_upright(frame.pose) if frame.z_up else None, self.previous
        if clear is not None or last is None:
            return clear or 0
        _, camera = self._reduced(frame.intrinsics.turned(last.quarters))
        return last.quarters if is_same(camera, last.intrinsics) else 0

    def notes(self) -> list[str]:
        """What the user should know of how the last view that was mapped was seen, one sentence each."""
        notes: list[str] = []
        if self.mapped is None:
            return notes
        if self.config.turn == "auto" and self.mapped.quarters:
            notes.append(
                f"Images are turned ({TURNS[self.mapped.quarters]}), because by their first pose, or by what the map was before, that way is up: "
                "set input.turn=none if the world's z axis does not point up."
            )
        k = self.mapped.whole_camera
        if max(k.fx / k.fy, k.fy / k.fx) > SQUEEZED:
            notes.append(
                f"The camera's focal lengths are fx = {k.fx:.1f} and fy = {k.fy:.1f} pixels, and a camera's are nearly the same: unless the images "
                "were squeezed, one of them is wrong in its calibration, and so are all shapes in the map."
            )
        return notes

    def state(self) -> dict[str, Any]:
        """The last view that was mapped; nothing before the first."""
        return self.mapped.state() if self.mapped else {}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        if "weight" in saved:
            self.previous = self.mapped = View.restored(saved)


def image_of_view(image: npt.NDArray[Any], view: View) -> npt.NDArray[Any]:
    """An image of a frame's labels (H, W), as large as the frame or a multiple of it, or as depth that was made finer for it
    (`as_fine_as_colour`), as its view sees it (h, w): turned as the view is, and one pixel of each block."""
    height, width = view.depth_m.shape
    whole = np.rot90(view.picture, view.quarters)
    if image.shape[1] < whole.shape[1]:
        image = nearest_pixels(image, *whole.shape[:2])
    image = np.rot90(image, -view.quarters)
    step = image.shape[1] // width
    return np.ascontiguousarray(image[step // 2 :: step, step // 2 :: step][:height, :width])


def labels_of_frame(labels: npt.NDArray[np.int32], frame: Frame, view: View) -> npt.NDArray[np.uint16]:
    """Label image (h, w) of a frame's view -> (H, W) uint16 of the frame: each label fills its block of pixels; the rest is 0."""
    factor = view.picture.shape[0] // labels.shape[0]
    block = np.repeat(np.repeat(labels.astype(np.uint16), factor, axis=0), factor, axis=1)
    shape = frame.depth_m.shape if view.quarters % 2 == 0 else frame.depth_m.shape[::-1]
    out = np.zeros(shape, np.uint16)
    out[: block.shape[0], : block.shape[1]] = block
    return np.ascontiguousarray(np.rot90(out, view.quarters))


def is_same(a: CameraIntrinsics, b: CameraIntrinsics) -> bool:
    """Whether two calibrations may be of one camera, whose focus moves."""
    return (a.width, a.height) == (b.width, b.height) and np.allclose(a.matrix, b.matrix, rtol=SAME_CAMERA)
