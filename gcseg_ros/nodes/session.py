"""The mapper with what surrounds it in a node: messages become frames, labels are kept, the map is saved. One thread uses it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.registration import as_fine_as_colour, register_colour
from gcseg_ros.errors import UserError
from gcseg_ros.files import resolved
from gcseg_ros.frames import CameraIntrinsics, Frame, is_z_up
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.mapper import Mapper, TrackedFrame
from gcseg_ros.nodes.kept_labels import KeptLabels
from gcseg_ros.nodes.parameters import MappingNodeConfig
from gcseg_ros.nodes.synchroniser import FrameSet
from gcseg_ros.output import LIVE, OutputFolder, recover
from gcseg_ros.retrieval.views import StoredView
from gcseg_ros.ros_types.messages import bends, intrinsics_from_info, lens_from_info, seconds, to_depth_m, to_rgb
from gcseg_ros.run import summarise

OTHER_LENS = 0.05  # of the image's size, by which focal length or centre change: a focus that moves does less
TELL_EVERY = 5  # frames: whether the map has notes; a sensor that starts may give a frame without depth


class Unusable(Exception):  # noqa: N818 - an answer, not an error
    """A frame that cannot be mapped: `reason` to count it under, and a sentence for the user."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@contextmanager
def unusable(reason: str) -> Iterator[None]:
    """What a user could put right makes the frame unusable, no more."""
    try:
        yield
    except UserError as error:
        raise Unusable(reason, str(error)) from None


@cache
def warm_up() -> None:
    """Compile (once on a machine) or load what the mapper needs, so that no first frame has to wait for it."""
    mapper, camera = Mapper(), CameraIntrinsics(64, 48, 60, 60, 31.5, 23.5)
    depth_m = np.full((48, 64), 2, np.float32)
    depth_m[12:32, 14:34] = 1.5
    for i in range(3):
        pose = np.eye(4)
        pose[0, 3] = 0.01 * i
        mapper.step(Frame(str(i), i / 30, np.zeros((48, 64, 3), np.uint8), depth_m, camera, pose))
    mapper.cloud()
    mapper.instances()


class MappingSession:
    """One map, from the first frame, or from what `resume` names, to `reset`. Raises UserError where that cannot be read.

    frames  in the map, with those before a resume
    saved   of these in a saved map
    frame   that the map is in; unknown before the first pose, if `gcseg map` has saved what is resumed too
    """

    def __init__(self, config: MappingNodeConfig, warn: Callable[[str], None]) -> None:
        self._config, self._warn = config, warn
        self._labels = KeptLabels(warn)
        self._told_of_lens = self._told_of_cameras = self._told_of_change = False
        self._camera: CameraIntrinsics | None = None  # of the frame before
        self._mappers: list[Mapper] = []  # the last is that of the map, others have a thread at work still
        self.reset()
        if config.resume:
            recover(resolved(config.resume))
            self._mapper.resume(config.resume)
            self.frames = self.saved = self._resumed = self._mapper.tracker.frames

    def reset(self) -> None:
        """Start an empty map."""
        self._labels.clear()
        self._mapper = Mapper(self._config.core, live=self._config.mode == "live")
        self._mappers = [*(mapper for mapper in self._mappers if mapper.busy), self._mapper]
        self.frame = self._mapper.map_frame
        self.frames = self.saved = self._resumed = 0
        self._started_s = self._ended_s = 0.0
        self._told: set[str] = set()

    def close(self) -> None:
        self._labels.clear()

    @property
    def busy(self) -> bool:
        """Whether a thread is at work on masks that nobody waits for."""
        return any(mapper.busy for mapper in self._mappers)

    def step(self, messages: FrameSet) -> tuple[Frame, TrackedFrame]:
        """Map one frame. Raises Unusable."""
        self._mappers = [mapper for mapper in self._mappers if mapper is self._mapper or mapper.busy]
        frame = self._frame(messages)
        self._started_s = self._started_s or time.monotonic()
        tracked = self._mapper.step(frame)
        self._ended_s = time.monotonic()
        if self._config.save_labels:
            self._labels.add(frame.name, tracked.index, tracked.labels)
        self.frames += 1
        if self.frames % TELL_EVERY == 0:
            self._tell_notes()
        return frame, tracked

    def cloud(self) -> InstanceMap:
        return self._mapper.cloud()

    def instance_ids(self, labels: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Tracked ids -> the ids of the cloud that was last published."""
        return self._mapper.instance_ids(labels)

    def views(self) -> list[StoredView]:
        """The views kept for queries."""
        return self._mapper.gatherer.views

    def statistics(self) -> dict[str, Any]:
        return self._mapper.statistics()

    def save(self, output_dir: str) -> tuple[InstanceMap, str]:
        """Write the finished map; gives it and a sentence. Raises UserError."""
        if not self.frames:
            raise UserError("There is nothing to save: no frame has been mapped yet.")
        with OutputFolder(output_dir) as output:
            labels = 0
            for file in self._labels.files():
                with suppress(OSError):  # somebody removes it
                    output.add_file(file)
                    labels += 1
            instances = self._mapper.instances()
            mapped, seconds = self.frames - self._resumed, self._ended_s - self._started_s
            summary = summarise(self._mapper, instances, mapped, seconds)
            output.add_state(self._mapper.save_state)
            output.add_views(self._mapper.gatherer.views)
            notes = self._mapper.notes()
            if self._config.save_labels and labels < mapped:
                notes.append(
                    f"The labels of {mapped - labels} of {mapped} frames are lost: the folder for temporary files (TMPDIR) was full "
                    "or has been emptied."
                )
            resumed = self._config.resume if self._resumed else None
            output.finish(instances, {"recording": LIVE, "notes": notes, "resumed": resumed, **summary})
            self.saved = self.frames
            if output.left_out:
                notes.append(output.why_left_out())
        where = resolved(output_dir)
        sentence = f"Saved {len(instances.objects)} instances from {self.frames} frames to {where}"
        since = f"; its labels are those of the {mapped} frames since the map was resumed" if self._resumed else ""
        return instances, " ".join([f"{sentence}{since}.", *notes])

    def _tell_notes(self) -> None:
        """The mapper's, each once, however its numbers change."""
        for note in self._mapper.notes():
            kind = re.sub(r"[\d.,]+", "", note)
            if kind not in self._told:
                self._told.add(kind)
                self._warn(note)

    def _tell_of_lens(self) -> None:
        """Once: what image_proc has made straight has the same camera_info as before, so names must tell."""
        topics = self._config.topics
        if not self._told_of_lens and "rect" not in topics.rgb:
            self._told_of_lens = True
            self._warn(
                f"{topics.camera_info} tells of lens distortion: if {topics.rgb} and {topics.depth} are raw images, set rectify to true "
                "(or map what image_proc makes of them); if they are rectified already, all is well."
            )

    def _tell_of_cameras(self, messages: FrameSet) -> None:
        """Once: all three are taken for one camera's, and what is not would be mapped with shifted colours or wrong sizes."""
        given = {"depth": messages.depth, "colour": messages.colour, "camera_info": messages.camera_info}
        frames = {name: message.header.frame_id.lstrip("/") for name, message in given.items()}
        if not self._told_of_cameras and len({frame for frame in frames.values() if frame}) > 1:
            self._told_of_cameras = True
            found = ", ".join(f"{name} from {frame!r}" for name, frame in frames.items() if frame)
            self._warn(
                f"Expected images of one camera, found {found}: is depth registered to colour (the driver's align_depth, "
                "depth_registration), and is camera_info that of the colour image?"
            )

    def _tell_of_change(self, camera: CameraIntrinsics) -> None:
        """Once: a camera whose view becomes another one is mapped as it says, and so are two that take turns."""
        before, self._camera = self._camera or camera, camera
        views = [(c.fx / c.width, c.fy / c.height, c.cx / c.width, c.cy / c.height) for c in (before, camera)]
        if not self._told_of_change and np.abs(np.subtract(*views)).max() > OTHER_LENS:
            self._told_of_change = True
            was, now = (f"{c.width}x{c.height}, fx {c.fx:.4g}, cx {c.cx:.4g}, cy {c.cy:.4g}" for c in (before, camera))
            self._warn(
                f"{self._config.topics.camera_info} has changed from {was} to {now}: has the driver been started anew with another "
                "profile, or do two cameras publish it? Each frame is mapped as its own says."
            )

    def _frame(self, messages: FrameSet) -> Frame:
        with unusable("colour not readable"):
            colour = to_rgb(messages.colour)
        with unusable("depth not readable"):
            depth_m = to_depth_m(messages.depth)
        with unusable("camera_info not usable"):
            camera = intrinsics_from_info(messages.camera_info)
        self._tell_of_cameras(messages)
        self._tell_of_change(camera)
        if bends(messages.camera_info):
            if self._config.rectify:
                with unusable("camera_info not usable"):
                    lens = lens_from_info(messages.camera_info)
                    colour, depth_m = lens.straightened(colour), lens.straightened_depth(depth_m)
            else:
                self._tell_of_lens()
        if self._config.depth_scaled_to_colour and (camera.height, camera.width) == colour.shape[:2]:
            height, width = depth_m.shape
            depth_m, target = as_fine_as_colour(depth_m, camera.scaled(width, height), colour)
            colour, camera = register_colour(colour, camera, target), target
        with unusable("sizes or pose do not fit"):
            name, stamp_s = f"{self.frames:06d}", seconds(messages.stamp_ns)
            pose = messages.pose
            return Frame(name, stamp_s, colour, depth_m, camera, pose.matrix, is_z_up(pose.frame_id))
