"""Frames put together from the messages of a bag: colour, depth, the calibration of their stamps, and the pose."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.lens import Lens
from gcseg_ros.camera.registration import apart, as_fine_as_colour, narrow_colour, registered, share_in_colour
from gcseg_ros.camera.transforms import SECOND_NS
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics, Frame, is_z_up
from gcseg_ros.recordings import why_unusable
from gcseg_ros.recordings.bag_poses import WAIT_NS, Poses
from gcseg_ros.recordings.bag_topics import Topics
from gcseg_ros.ros_types.messages import (
    bends,
    intrinsics_from_info,
    lens_from_info,
    seconds,
    stamp_ns,
    to_depth_m,
    to_rgb,
)

PAIR_TOLERANCE_NS = 30_000_000
QUEUE = 130  # images of a kind that are held at most: 2 s at 60 Hz
APART = 0.05  # share of what depth sees, that colour sees; below they are of two cameras that look elsewhere


class Assembly:
    """Puts frames together from the messages of a bag, in order of stamps; of `unstamped` topics the log time is the stamp."""

    def __init__(
        self,
        topics: Topics,
        worlds: tuple[str, ...],
        body_frame: str | None,
        rectify: bool,
        unstamped: frozenset[str],
        notes: list[str],
    ) -> None:
        self.topics = topics
        self._unstamped = unstamped
        self._notes = notes  # for the user; gets what the messages tell
        self.poses = Poses(topics, worlds, body_frame)
        self._rectify = rectify
        self._share: float | None = None  # of what depth sees, that colour sees; None: not known yet
        self._cameras: dict[str, dict[int, tuple[CameraIntrinsics, Lens | None]]] = {}
        self._colours: list[tuple[int, Any]] = []  # (stamp, message), by stamp
        self._depths: list[tuple[int, int, Any]] = []  # (stamp, log time, message), by stamp
        self._number = 0  # of the next depth image
        self.made = 0  # frames
        self._spans: dict[str, tuple[int, int]] = {}  # topic -> its first and last stamp, until a frame is made

    def add(self, topic: str, log_ns: int, message: Any) -> None:
        if not self.made:
            self._see(topic, log_ns, message)
        if topic == self.topics.rgb:
            insort(self._colours, (self._stamp(topic, log_ns, message), message), key=itemgetter(0))
            del self._colours[:-QUEUE]
        elif topic == self.topics.depth:
            insort(self._depths, (self._stamp(topic, log_ns, message), log_ns, message), key=itemgetter(0))
        elif topic == self.topics.pose:
            self.poses.add_pose(message, self._stamp(topic, log_ns, message))
        elif topic in self.topics.tf:
            self.poses.add_transforms(message)
        else:
            try:
                self.add_camera(topic, message)
            except UserError as error:
                self._note(f"{error} The calibration before or after it is taken instead.")

    def stamps(self) -> str:
        """From when to when each topic is stamped, where no frame could be made, and what that tells of clocks."""
        spans = (
            f"{topic} {first / SECOND_NS:.2f} to {last / SECOND_NS:.2f} s"
            for topic, (first, last) in self._spans.items()
        )
        apart = any(one[0] > other[1] for one in self._spans.values() for other in self._spans.values())
        advice = ": what belongs together must be stamped by one clock" if apart else ""
        return f"Stamps are {', '.join(spans)}{advice}."

    def _see(self, topic: str, log_ns: int, message: Any) -> None:
        if topic in self._cameras:
            return
        parts = message.transforms if topic in self.topics.tf else [message]
        for stamp in (self._stamp(topic, log_ns, part) for part in parts):
            first, last = self._spans.get(topic, (stamp, stamp))
            self._spans[topic] = min(first, stamp), max(last, stamp)

    def _stamp(self, topic: str, log_ns: int, message: Any) -> int:
        return log_ns if topic in self._unstamped else stamp_ns(message.header.stamp)

    def add_camera(self, topic: str, info: Any) -> None:
        cameras = self._cameras.setdefault(topic, {})
        try:
            lens = lens_from_info(info) if self._rectify and bends(info) else None
            cameras[stamp_ns(info.header.stamp)] = intrinsics_from_info(info), lens
        except UserError as error:
            raise UserError(f"{topic}: {error}") from None
        if len(cameras) > QUEUE:
            del cameras[next(iter(cameras))]

    def ready(self, now_ns: int | None) -> Iterator[Frame | str]:
        """Frames that are complete, and reasons for those that cannot be any more; None: nothing comes after this."""
        while self._depths:
            stamp, log_ns, depth = self._depths[0]
            full = len(self._depths) > QUEUE or len(self._colours) - self._first_colour(stamp) >= QUEUE
            expired = now_ns is None or now_ns - log_ns > WAIT_NS or full
            i = self._partner(stamp)
            if not expired and (i is None or not (self._colours[i][0] == stamp or self._colours[-1][0] > stamp)):
                return
            pose, reason = None, f"no colour image within {PAIR_TOLERANCE_NS / SECOND_NS:g} s"
            if i is not None:
                pose, reason = self.poses.at(depth.header.frame_id, stamp, expired)
                self._note(self.poses.disputed(depth.header.frame_id))
                if missing := self.poses.missing(
                    self._colours[i][1].header.frame_id, depth.header.frame_id, stamp, expired
                ):
                    pose, reason = None, reason or missing
                if pose is None and not expired:
                    return
            self._depths.pop(0)
            self._number += 1
            if i is None or pose is None:
                yield reason
            elif far := why_unusable(pose):
                yield far
            else:
                self.made += 1
                yield self._frame(stamp, self._colours[i][1], depth, pose)
                del self._colours[: i + 1]
            del self._colours[: self._first_colour(stamp)]

    def _first_colour(self, stamp: int) -> int:
        """Index of the first colour image that a depth image of this stamp, or of a later one, may go with."""
        return bisect_left(self._colours, stamp - PAIR_TOLERANCE_NS, key=itemgetter(0))

    def _partner(self, stamp: int) -> int | None:
        """Index of the colour image nearest to a stamp, within the tolerance."""
        i = bisect_left(self._colours, stamp, key=itemgetter(0))
        near = [j for j in (i - 1, i) if 0 <= j < len(self._colours)]
        near = [j for j in near if abs(self._colours[j][0] - stamp) <= PAIR_TOLERANCE_NS]
        return min(near, key=lambda j: abs(self._colours[j][0] - stamp), default=None)

    def _frame(self, stamp: int, colour: Any, depth: Any, pose: Array) -> Frame:
        name = f"{self._number - 1:06d}"
        topic = self.topics.depth
        try:
            depth_m = to_depth_m(depth)
            camera, lens = self._camera(self.topics.camera_info, stamp)
            height, width = depth_m.shape
            if (camera.width, camera.height) != (width, height):
                raise UserError(
                    f"the images are {width}x{height}, but {self.topics.camera_info} describes "
                    f"{camera.width}x{camera.height}: choose the one that belongs to depth with camera_info_topic."
                )
            if lens is not None:
                depth_m = lens.straightened_depth(depth_m)
            topic = self.topics.rgb
            mount = self._mount(colour.header.frame_id, depth.header.frame_id, stamp)
            rgb = to_rgb(colour)
            depth_m, camera = as_fine_as_colour(depth_m, camera, rgb)
            rgb = self._registered(rgb, depth_m, camera, mount, stamp)
        except UserError as error:
            raise UserError(f"{topic} at {seconds(stamp)} s: {error}") from None
        return Frame(name, seconds(stamp), rgb, depth_m, camera, pose, is_z_up(self.poses.world))

    def _note(self, note: str) -> None:
        """Tell the user once."""
        if note and note not in self._notes:
            self._notes.append(note)

    def _mount(self, colour: str, depth: str, stamp: int) -> Array | None:
        """T_colour_depth of the two images' frames; None if they are at one place, or (with a note) TF does not tell."""
        colour, depth = colour.lstrip("/"), depth.lstrip("/")
        if colour == depth or not colour or not depth:
            return None
        T = self.poses.between(colour, depth, stamp)
        note = (
            f"TF does not say where {colour} (colour) stands beside {depth} (depth): they are taken to be at one place; if they are "
            "not, record /tf_static, or align depth to colour."
        )
        if T is None:
            self._note(note)
        return None if T is None else apart(T)

    def _registered(
        self,
        colour: npt.NDArray[np.uint8],
        depth_m: npt.NDArray[np.float32],
        target: CameraIntrinsics,
        T_colour_depth: Array | None,
        stamp: int,
    ) -> npt.NDArray[np.uint8]:
        """Colour in depth's pixels, by its own camera_info, else by depth's."""
        source, lens = self._camera(self.topics.rgb_camera_info or self.topics.camera_info, stamp)
        height, width = colour.shape[:2]
        source = source.resized(width, height, "their camera_info")
        if lens is not None:
            colour = lens.straightened(colour)
        if self._share is None:
            self._share = share_in_colour(source, depth_m, target, T_colour_depth)
            if self._share is not None and self._share < APART:
                raise UserError(
                    f"it sees almost nothing of what {self.topics.depth} sees: choose rgb_topic or depth_topic."
                )
            self._notes += narrow_colour(self._share)
        return registered(colour, source, depth_m, target, T_colour_depth)

    def _camera(self, topic: str, stamp: int) -> tuple[CameraIntrinsics, Lens | None]:
        """The camera_info of this stamp, else the latest; with its lens, if that is to be straightened."""
        cameras = self._cameras.get(topic)
        if not cameras:
            raise UserError(f"{topic} holds no camera_info: choose another with camera_info_topic.")
        return cameras.get(stamp) or next(reversed(cameras.values()))
