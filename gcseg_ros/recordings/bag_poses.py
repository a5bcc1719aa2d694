"""Where the camera of a bag was at a stamp, and why it is not known where it was."""

from __future__ import annotations

from typing import Any

from gcseg_ros.camera.transforms import MAX_GAP_S, SECOND_NS, Trajectory, TransformTree
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array
from gcseg_ros.recordings.bag_topics import Topics
from gcseg_ros.ros_types.messages import pose_matrix, stamp_ns

POSE_TOLERANCE_S = 0.02
WAIT_NS = 2 * SECOND_NS  # an image waits this long, in the bag's time, for its partner and its pose
IN_GAP = f"poses further apart than {MAX_GAP_S:g} s at the image's time"
TOO_LATE = f"poses end before the image's time, or come later in the bag than an image waits, {WAIT_NS / SECOND_NS:g} s"


class Poses:
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
