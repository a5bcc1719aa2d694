"""rosbag2 recordings (mcap or sqlite3), read as a stream without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gcseg_ros.camera.transforms import FIXED_FRAMES, TransformTree
from gcseg_ros.errors import UserError
from gcseg_ros.frames import WORLD_WITHOUT_UP, Frame
from gcseg_ros.recordings import Recording, one_of
from gcseg_ros.recordings.bag_files import BagFiles, has_metadata, is_storage, storage_files
from gcseg_ros.recordings.bag_frames import Assembly
from gcseg_ros.recordings.bag_topics import OPTIONS, Topics, camera_info_beside, choose_topics
from gcseg_ros.recordings.bag_transforms import without_rivals
from gcseg_ros.ros_types.messages import bends, intrinsics_from_info, stamp_ns

NO_STATIC = ", and the bag no /tf_static, which usually says where the camera sits and must be recorded from its start"
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
        self._rectify = one_of("rectify", rectify, "yes", "no") == "yes"
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
        topics, worlds = self._chosen(bag)
        unstamped = frozenset(
            topic for topic in (topics.rgb, topics.depth, topics.pose) if topic and _unstamped(bag, topic)
        )
        assembly = Assembly(topics, worlds, self._body_frame, self._rectify, unstamped, self.notes)
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
            self.notes.append(_of_unknown_body(topics, assembly.poses.frames()))
        streamed = {topics.rgb, topics.depth, *cameras, *topics.tf} - static
        for topic, log_ns, message in bag.messages(streamed | {topics.pose} if topics.pose else streamed):
            assembly.add(topic, log_ns, message)
            yield from assembly.ready(log_ns)
        yield from assembly.ready(None)
        self._tell_what_was_missing(assembly, worlds, "" if static else NO_STATIC)

    def _chosen(self, bag: BagFiles) -> tuple[Topics, tuple[str, ...]]:
        """The topics to read and the frames from which TF may lead to the camera; notes what was chosen."""
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
        self.notes.append(
            f"Colour is {topics.rgb}, depth {topics.depth}, calibration {topics.camera_info}, poses are {poses}."
        )
        self.notes += rivals
        return topics, worlds

    def _tell_what_was_missing(self, assembly: Assembly, worlds: tuple[str, ...], no_static: str) -> None:
        """At the end of the bag. Raises UserError where there is no frame because TF leads to the camera at no time."""
        unconnected = assembly.poses.unconnected()
        refused = assembly.poses.refused(transforms=not assembly.made or bool(self.skipped))
        if not assembly.made and unconnected is not None:
            sentence = (
                f"No frame of {self.path} can be used: TF does not lead from {' or '.join(worlds)} to the images' "
                f"frame_id {unconnected!r} at any time; TF has the frames "
                f"{', '.join(assembly.poses.frames()) or 'none'}{no_static}: choose the world with fixed_frame, or a pose_topic."
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


def _of_unknown_body(topics: Topics, frames: list[str]) -> str:
    """What to tell of a pose topic that does not say of what it is the pose; `frames` are TF's."""
    hint = "record TF, which says where the camera sits"
    if topics.tf:
        mounts = f" (TF has {', '.join(frames)})" if frames else ""
        hint = f"name its frame with --option body_frame=FRAME{mounts}"
    return f"{topics.pose} does not say of what it is the pose: it is taken for the camera's optical frame; if it is a robot's, {hint}."


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
