"""rosbag2 recordings (mcap or sqlite3), read as a stream without ROS."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.lens import Lens
from gcseg_ros.camera.registration import apart, as_fine_as_colour, narrow_colour, registered, share_in_colour
from gcseg_ros.camera.transforms import FIXED_FRAMES, MAX_GAP_S, SECOND_NS, Trajectory, TransformTree
from gcseg_ros.errors import UserError
from gcseg_ros.frames import WORLD_WITHOUT_UP, Array, CameraIntrinsics, Frame, is_z_up
from gcseg_ros.recordings import Recording, why_unusable
from gcseg_ros.recordings.bag_files import BagFiles, has_metadata, is_storage, storage_files
from gcseg_ros.recordings.bag_topics import OPTIONS, Topics, camera_info_beside, choose_topics
from gcseg_ros.recordings.bag_transforms import without_rivals
from gcseg_ros.ros_types.messages import (
    bends,
    intrinsics_from_info,
    lens_from_info,
    pose_matrix,
    seconds,
    stamp_ns,
    to_depth_m,
    to_rgb,
)

PAIR_TOLERANCE_NS = 30_000_000
POSE_TOLERANCE_S = 0.02
WAIT_NS = 2 * SECOND_NS  # an image waits this long, in the bag's time, for its partner and its pose
IN_GAP = f"poses further apart than {MAX_GAP_S:g} s at the image's time"
TOO_LATE = f"poses end before the image's time, or come later in the bag than an image waits, {WAIT_NS / SECOND_NS:g} s"
NO_STATIC = ", and the bag no /tf_static, which usually says where the camera sits and must be recorded from its start"
QUEUE = 130  # images of a kind that are held at most: 2 s at 60 Hz
APART = 0.05  # share of what depth sees, that colour sees; below they are of two cameras that look elsewhere
FIRST_FEW = 100  # messages: what none of them has, a stamp or the calibration of a colour camera, a topic never has


class RosBag(Recording):
    """Frames at the depth images' stamps, named by their number; memory is bounded by two seconds of images, not by the bag.

    rgb_topic, depth_topic, camera_info_topic, pose_topic  else guessed (`choose_topics`)
    fixed_frame  the world, where TF gives the pose; else map, odom or world (or map_without_up). TF does so before any topic that was not told, if it
                 leads from there to the camera, then odometry from whose frame TF does: of what a topic gives the pose is often not said
    rectify      yes: colour and depth are raw images, what their lenses bend is straightened by their camera_info
    body_frame   whose pose the pose topic gives; else Odometry's child_frame_id, else the camera's optical frame. TF leads
                 from it to the images' frame_id
    """

    format = "rosbag"
    expects = "a rosbag2 folder, .mcap or .db3 file with colour, depth, camera_info, and poses, odometry or TF"
    gives_way: ClassVar[bool] = True  # the raw bag often lies beside the frames that were made of it
    options: ClassVar[dict[str, str]] = {
        **OPTIONS,
        "fixed_frame": "TF's frame that is the world",
        "body_frame": "frame whose pose the pose topic gives",
        "rectify": "yes where the images are raw and the lens bends what it sees, else no",
    }

    def __init__(
        self,
        path: Path,
        fixed_frame: str | None = None,
        body_frame: str | None = None,
        rectify: str = "no",
        **topics: str,
    ) -> None:
        super().__init__(path)
        if rectify not in ("yes", "no"):
            raise UserError(f"The option rectify is yes or no; found {rectify!r}.")
        self._rectify = rectify == "yes"
        if path.suffix == ".bag":
            raise UserError(f"{path} is a ROS 1 bag: convert it with `rosbags-convert --src {path} --dst BAG`.")
        self._fixed_frame, self._body_frame = fixed_frame, body_frame
        if fixed_frame is not None and body_frame is None:
            topics.setdefault("pose_topic", "tf")
        self._told_pose = topics.get("pose_topic", "tf")
        self._told = "pose_topic" in topics or body_frame is not None
        self._told_camera = "camera_info_topic" in topics
        with BagFiles(path) as bag:
            counts = bag.counts()
        self._types = {topic: kind for topic, (kind, count) in counts.items() if count}
        self.topics: Topics = choose_topics(self._types, topics, str(path))
        if fixed_frame is not None and self.topics.pose:
            raise UserError(
                f"fixed_frame is the world of TF, but with body_frame or pose_topic the poses are those of {self.topics.pose}: "
                "leave out the one or the other."
            )
        if body_frame is not None and not self.topics.pose:
            raise UserError(
                "body_frame says whose pose a topic gives, but here TF gives the poses: name the topic with pose_topic, or leave body_frame out."
            )
        self._length = counts[self.topics.depth][1]

    @classmethod
    def recognises(cls, path: Path) -> bool:
        if path.is_dir():
            return has_metadata(path) or bool(storage_files(path))
        return is_storage(path) or (path.suffix == ".bag" and path.is_file())

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        return self.usable(self._frames())

    def _frames(self) -> Iterator[Frame | str]:
        with BagFiles(self.path) as bag:
            yield from self._frames_of(bag)

    def _frames_of(self, bag: BagFiles) -> Iterator[Frame | str]:
        topics, camera = self.topics, bag.frame_id(self.topics.depth)
        tf, rivals = without_rivals(bag, topics, self._told_pose, self._starts(bag), camera)
        topics = replace(topics, tf=tf)
        told = self._fixed_frame is not None or (topics.pose is not None and self._told)
        tree = TransformTree() if told else _links(bag, tf, camera)
        world = self._fixed_frame if told else tree.world_of(camera)
        worlds = (world,) if world else FIXED_FRAMES
        poses = topics.pose or f"TF, in the frame {' or '.join(worlds)}"
        if topics.pose and not self._told and world:
            poses = f"TF, in the frame {world} ({topics.pose} is not used: choose it with pose_topic)"
            topics = replace(topics, pose=None)
        elif topics.pose and not self._told and topics.tf:
            pose = _mounted(bag, topics, tree, camera) or topics.pose
            unused = "" if pose == topics.pose else f"; {topics.pose} is not used: choose it with pose_topic"
            poses = f"{pose} (TF does not lead from {' or '.join(worlds)} to the images' frame{unused})"
            topics = replace(topics, pose=pose)
        self._check_depth_camera(bag, topics)
        topics = self._calibrated(bag, topics)
        unstamped = frozenset(
            topic for topic in (topics.rgb, topics.depth, topics.pose) if topic and _unstamped(bag, topic)
        )
        assembly = _Assembly(topics, worlds, self._body_frame, self._rectify, unstamped, self.notes)
        self.notes.append(
            f"Colour is {topics.rgb}, depth {topics.depth}, calibration {topics.camera_info}, poses are {poses}."
        )
        self.notes += rivals
        cameras = sorted({topic for topic in (topics.camera_info, topics.rgb_camera_info) if topic})
        static = {topic for topic in topics.tf if topic.endswith("tf_static")}
        for camera in cameras:
            if info := _first_camera(bag, camera):
                assembly.add_camera(camera, info)
                if bends(info) and not self._rectify and "rect" not in topics.rgb:
                    self.notes.append(
                        f"{camera} tells of lens distortion: if its images are raw, map them with --option rectify=yes."
                    )
        for _, _, message in bag.messages(static):
            assembly.poses.add_transforms(message, static=True)
        if topics.pose and not self._body_frame and not _body_of(bag, topics.pose):
            hint = "record TF, which says where the camera sits"
            if topics.tf:
                mounts = f" (TF has {', '.join(frames)})" if (frames := assembly.poses.frames()) else ""
                hint = f"name its frame with --option body_frame=FRAME{mounts}"
            self.notes.append(
                f"{topics.pose} does not say of what it is the pose: it is taken for the camera's optical frame; if it is a robot's, {hint}."
            )
        streamed = {topics.rgb, topics.depth, *cameras, *topics.tf} - static
        for topic, log_ns, message in bag.messages(streamed | {topics.pose} if topics.pose else streamed):
            assembly.add(topic, log_ns, message)
            yield from assembly.ready(log_ns)
        yield from assembly.ready(None)
        unconnected = assembly.poses.unconnected()
        refused = assembly.poses.refused(transforms=not assembly.made or bool(self.skipped))
        if not assembly.made and unconnected is not None:
            sentence = (
                f"No frame of {self.path} can be used: TF does not lead from {' or '.join(worlds)} to the images' "
                f"frame_id {unconnected!r} at any time; TF has the frames "
                f"{', '.join(assembly.poses.frames()) or 'none'}{'' if static else NO_STATIC}: choose the world with fixed_frame, or a pose_topic."
            )
            raise UserError(" ".join([sentence, *refused]))
        self.notes += refused
        if not assembly.made:
            self.notes.append(assembly.stamps())

    def _starts(self, bag: BagFiles) -> Iterator[tuple[str, ...]]:
        """Frames from one of which TF is to lead to the camera, the better ones first."""
        if self._fixed_frame is not None:
            yield (self._fixed_frame,)
        elif self._told and self.topics.pose:
            yield (self._body_frame or _body_of(bag, self.topics.pose),)
        else:
            yield (*FIXED_FRAMES, WORLD_WITHOUT_UP)
            yield tuple(body for pose in self.topics.poses if (body := _body_of(bag, pose)))

    def _check_depth_camera(self, bag: BagFiles, topics: Topics) -> None:
        """Raises UserError where depth would get another camera's calibration without being told to."""
        other = _of_another_camera(bag, topics.depth, topics.camera_info)
        if other and not self._told_camera:
            raise UserError(
                f"{other}: choose a depth topic that is aligned to colour with depth_topic, or a calibration with camera_info_topic."
            )

    def _calibrated(self, bag: BagFiles, topics: Topics) -> Topics:
        """Without the colour's camera_info if it is that of a camera which nobody calibrated: depth's is taken then."""
        if topics.rgb_camera_info is None and (other := _of_another_camera(bag, topics.rgb, topics.camera_info)):
            self.notes.append(f"{other}: colour is taken for that of {topics.camera_info}.")
        if topics.rgb_camera_info is None or topics.rgb_camera_info == topics.camera_info:
            return topics
        try:
            _first_camera(bag, topics.rgb_camera_info, FIRST_FEW)
        except UserError:
            self.notes.append(
                f"{topics.rgb_camera_info} is that of no calibrated camera in its first {FIRST_FEW} messages: colour is taken for that of {topics.camera_info}."
            )
            return replace(topics, rgb_camera_info=None)
        return topics


def _links(bag: BagFiles, tf: tuple[str, ...], camera: str) -> TransformTree:
    """What hangs on what in TF, without the transforms; read until the first world and the camera hang together."""
    tree = TransformTree()
    with suppress(UserError):  # a bag that is cut off: what is before that counts
        for _, _, message in bag.messages(tf):
            for transform in message.transforms:
                tree.add(transform.header.frame_id, transform.child_frame_id, 0, np.eye(4))
            if tree.connected(FIXED_FRAMES[0], camera):
                break
    return tree


def _first_camera(bag: BagFiles, topic: str, among: int | None = None) -> Any:
    """The first camera_info of a topic (among so many) that tells of a calibrated camera: a driver may send others until it has one. None
    where there is none at all, raises UserError where none is usable."""
    refused: UserError | None = None
    for _, _, info in islice(bag.messages({topic}), among):
        try:
            intrinsics_from_info(info)
            return info
        except UserError as error:
            refused = refused or UserError(f"{topic}: {error}")
    if refused is not None:
        raise refused
    return None


def _mounted(bag: BagFiles, topics: Topics, tree: TransformTree, camera: str) -> str | None:
    """The likeliest odometry from whose frame TF leads to the camera; None where there is none."""
    bodies = ((pose, _body_of(bag, pose)) for pose in topics.poses)
    return next((pose for pose, body in bodies if body and tree.connected(body, camera)), None)


def _body_of(bag: BagFiles, pose: str) -> str:
    """The frame whose pose a topic gives; empty where it does not say so: only odometry can."""
    return getattr(bag.first(pose), "child_frame_id", "")


def _of_another_camera(bag: BagFiles, image: str, info: str) -> str:
    """How a camera_info that is not recorded beside an image tells that it is not of its camera; else empty."""
    if info == camera_info_beside(image):
        return ""
    frame, other = bag.frame_id(image).lstrip("/"), bag.frame_id(info).lstrip("/")
    if not frame or not other or frame == other:
        return ""
    return f"{image} is of the camera {frame}, but {info} of {other}, and there is no {camera_info_beside(image)}"


def _unstamped(bag: BagFiles, topic: str) -> bool:
    """Whether a driver leaves the stamps of a topic zero; one that is zero among others is the start of a simulator's time."""
    return not any(stamp_ns(m.header.stamp) for _, _, m in islice(bag.messages({topic}), FIRST_FEW))


class _Assembly:
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
        self.poses = _Poses(topics, worlds, body_frame)
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


class _Poses:
    """The camera's pose at a stamp, from a pose topic (and TF for its mount) or from TF alone."""

    def __init__(self, topics: Topics, worlds: tuple[str, ...], body_frame: str | None) -> None:
        self._from_topic = topics.pose is not None
        self._worlds = worlds
        self.world = ""  # the frame of reference of the last pose
        self._asked: str | None = None  # the images' frame, where TF is to lead to it
        self._body_frame = body_frame
        self._trajectory = Trajectory(keep_s=10)
        self._tree = TransformTree(keep_s=10)
        self._refused: dict[str, tuple[int, str]] = {}  # what was passed over -> how often, and why the first was

    def add_pose(self, message: Any, stamp: int) -> None:
        if self._body_frame is None:
            self._body_frame = getattr(message, "child_frame_id", None) or None
        try:
            self._trajectory.add(stamp, pose_matrix(message))
            self.world = message.header.frame_id
        except UserError as error:  # odometry that has not started: images of that time find no pose, and are counted
            self._refuse("Poses", error)

    def add_transforms(self, message: Any, static: bool = False) -> None:
        for transform in message.transforms:
            try:
                T = pose_matrix(transform)
            except UserError as error:
                self._refuse(f"Transforms from {transform.header.frame_id} to {transform.child_frame_id}", error)
                continue
            self._tree.add(
                transform.header.frame_id, transform.child_frame_id, stamp_ns(transform.header.stamp), T, static
            )

    def at(self, frame: str, stamp: int, expired: bool) -> tuple[Array | None, str]:
        """(4, 4) camera-to-world of an image's frame_id; else None and the reason. `expired`: no better one will come."""
        if not self._from_topic:
            return self._from_tf(frame, stamp)
        pose = self._trajectory.at(stamp, POSE_TOLERANCE_S if expired else 0)
        if pose is None:
            return None, _why(
                self._trajectory.in_gap(stamp), self._trajectory.ends_before(stamp), "no pose at the image's time"
            )
        if self._body_frame is None or self._body_frame == frame:
            return pose, ""
        mount = self._tree.lookup(self._body_frame, frame, stamp)
        if mount is None:
            return None, self._why((self._body_frame,), frame, stamp)
        return pose @ mount, ""

    def missing(self, one: str, other: str, stamp: int, expired: bool) -> str:
        """Why TF, which connects two frames, does not tell how they stand at a stamp; empty where it does, or never can: what it told of
        once, and not for good, is no gap."""
        if not self._tree.connected(one, other) or self._tree.lookup(one, other, stamp) is not None:
            return ""
        if expired and not self._tree.in_gap(one, other, stamp):
            return ""
        return self._why((one,), other, stamp)

    def disputed(self, frame: str) -> str:
        """See `TransformTree`: between what the poses are told of and an image's frame."""
        if self._from_topic:
            return self._tree.disputed(self._body_frame or "", frame)
        worlds = (self.world,) if self.world else self._worlds
        return next((disputed for world in worlds if (disputed := self._tree.disputed(world, frame))), "")

    def refused(self, transforms: bool) -> list[str]:
        """How many poses were passed over, and why the first was, in a sentence; none if none were. The same of each link of TF, if these
        are asked for: a robot has some that no image needs."""
        return [
            f"{kind} that were passed over: {count}. The first: {why}"
            for kind, (count, why) in self._refused.items()
            if transforms or kind == "Poses"
        ]

    def frames(self) -> list[str]:
        """What TF has told of, sorted."""
        return self._tree.frames()

    def between(self, one: str, other: str, stamp: int) -> Array | None:
        """T_one_other of two frames; None if TF does not tell."""
        return self._tree.lookup(one, other, stamp)

    def unconnected(self) -> str | None:
        """The images' frame, where TF is to lead to it and does so from no world at any time; else None."""
        connected = self._asked is not None and any(self._tree.connected(world, self._asked) for world in self._worlds)
        return None if connected else self._asked

    def _refuse(self, kind: str, error: UserError) -> None:
        count, why = self._refused.get(kind, (0, str(error)))
        self._refused[kind] = count + 1, why

    def _from_tf(self, frame: str, stamp: int) -> tuple[Array | None, str]:
        self._asked = frame
        for world in self._worlds:
            pose = self._tree.lookup(world, frame, stamp)
            if pose is not None:
                self.world = world
                return pose, ""
        return None, self._why(self._worlds, frame, stamp)

    def _why(self, targets: tuple[str, ...], frame: str, stamp: int) -> str:
        """Why TF does not lead from any of the targets to a frame at a stamp."""
        in_gap = any(self._tree.in_gap(target, frame, stamp) for target in targets)
        late = any(self._tree.ends_before(target, frame, stamp) for target in targets)
        return _why(
            in_gap, late, f"no transform from {' or '.join(targets)} to {frame or 'an image without frame_id'} on TF"
        )


def _why(in_gap: bool, late: bool, otherwise: str) -> str:
    """Why an image has no pose."""
    return IN_GAP if in_gap else TOO_LATE if late else otherwise
