"""Where the camera was at an image's stamp: from a topic of poses, or from TF. No ROS inside: messages by their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gcseg_ros.camera.transforms import MAX_GAP_S, Trajectory, TransformTree, transform_from
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array
from gcseg_ros.nodes.synchroniser import Pose, PoseSource
from gcseg_ros.ros_types.messages import pose_matrix, stamp_ns

KEPT_S = 20.0


class TopicPoses:
    """The poses of a topic.

    At an image's stamp that is the pose with exactly this stamp; else, unless `exact`, interpolated between two neighbours
    at most `gap_s` apart; else the nearest within `slop_s`.
    """

    def __init__(self, exact: bool, slop_s: float, gap_s: float) -> None:
        self._slop_s, self._gap_s = (0.0, 0.0) if exact else (slop_s, gap_s)
        self.forget()

    def add(self, msg: Any) -> None:
        """Remember a PoseStamped, PoseWithCovarianceStamped or Odometry. Raises UserError."""
        matrix = pose_matrix(msg)
        self._frame_id = msg.header.frame_id.lstrip("/")
        self._child_frame_id = getattr(msg, "child_frame_id", "").lstrip("/")
        self._trajectory.add(stamp_ns(msg.header.stamp), matrix)

    def at(self, stamp_ns: int, camera_frame: str) -> Pose | None:
        """See `PoseSource`."""
        # beyond the newest pose a better one may come: no tolerance yet
        matrix = self._trajectory.at(stamp_ns, 0.0 if self._trajectory.ends_before(stamp_ns) else self._slop_s)
        return None if matrix is None else Pose(matrix, self._frame_id, self._child_frame_id)

    def in_gap(self, stamp_ns: int) -> bool:
        """See `PoseSource`."""
        return self._gap_s > 0 and self._trajectory.in_gap(stamp_ns)

    def forget(self) -> None:
        """See `PoseSource`."""
        self._trajectory = Trajectory(KEPT_S, max_gap_s=self._gap_s)


class TfPoses:
    """The frames of TF, moving and static: the pose of an image is where its frame (or `frame_id`) is in `map_frame_id`.

    A link is interpolated between two transforms at most `gap_s` apart, or further where it rests (see `Trajectory`).
    """

    def __init__(self, map_frame_id: str, frame_id: str = "", gap_s: float = MAX_GAP_S) -> None:
        self._map_frame_id, self._frame_id, self._gap_s = map_frame_id, frame_id, gap_s
        self._static: dict[str, Any] = {}
        self._asked: str | None = None  # the frame whose pose was asked for
        self._mount: tuple[str, str] | None = None  # the body and the camera on it that were asked for
        self.forget()

    def add(self, transforms: Sequence[Any], static: bool) -> None:
        """Remember TransformStamped messages. Raises UserError about the first that is not usable; the others are remembered."""
        refused: UserError | None = None
        for msg in transforms:
            parent, child = msg.header.frame_id, msg.child_frame_id
            try:
                matrix = pose_matrix(msg)
            except UserError as error:
                refused = refused or UserError(f"The transform from {parent!r} to {child!r} is left out: {error}")
                continue
            if static:
                self._static[child] = msg
            self._tree.add(parent, child, stamp_ns(msg.header.stamp), matrix, static)
        if refused is not None:
            raise refused

    def at(self, stamp_ns: int, camera_frame: str) -> Pose | None:
        """See `PoseSource`."""
        body = self._asked = self._frame_id or camera_frame
        matrix = self._tree.lookup(self._map_frame_id, body, stamp_ns)
        return None if matrix is None else Pose(matrix, self._map_frame_id, body)

    def in_gap(self, stamp_ns: int) -> bool:
        """See `PoseSource`."""
        return self._asked is not None and self._tree.in_gap(self._map_frame_id, self._asked, stamp_ns)

    def between(self, body: str, camera_frame: str, stamp_ns: int) -> Array | None:
        """T_body_camera (4,4), None while TF does not know it."""
        return self._tree.lookup(body, camera_frame, stamp_ns)

    def unknown_then(self, body: str, camera_frame: str, stamp_ns: int) -> bool:
        """Whether TF connects the two, but does not know how they stand at `stamp_ns`, or not yet."""
        self._mount = body, camera_frame
        return self._tree.connected(body, camera_frame) and self.between(body, camera_frame, stamp_ns) is None

    def gap_between(self, body: str, camera_frame: str, stamp_ns: int) -> bool:
        """Whether that is because a link's transforms are too far apart there."""
        return self._tree.in_gap(body, camera_frame, stamp_ns)

    def newest(self) -> dict[str, int]:
        """`tf` and the last stamp of a pose; nothing where none was asked for, or there is none."""
        stamp_ns = None if self._asked is None else self._tree.newest(self._map_frame_id, self._asked)
        return {} if stamp_ns is None else {"tf": stamp_ns}

    def frames(self) -> list[str]:
        return self._tree.frames()

    def disputed(self) -> str:
        """What two publishers tell otherwise of what was asked for, in a sentence; empty where they agree."""
        pose = "" if self._asked is None else self._tree.disputed(self._map_frame_id, self._asked)
        return pose or ("" if self._mount is None else self._tree.disputed(*self._mount))

    def disconnected(self) -> str:
        """Why no image can have a pose, in a sentence with advice; empty where TF connects the frames, whatever is known when."""
        if self._asked is None or self._tree.connected(self._map_frame_id, self._asked):
            return ""
        asked = repr(self._asked) if self._asked else "images without a frame_id"
        world = self._tree.world_of(self._asked)
        advice = f"set map_frame_id:={world}" if world else "publish what is missing, or set map_frame_id and frame_id"
        return f"TF does not connect {self._map_frame_id!r} to {asked}; it has {', '.join(self.frames()) or 'nothing'}: {advice}."

    def forget(self) -> None:
        """See `PoseSource`. What is static stays."""
        self._tree = TransformTree(KEPT_S, self._gap_s)
        self.add(list(self._static.values()), static=True)


class MountedPoses:
    """The poses of a body, once TF tells, too, where the camera sat on it then: that may move (a pan-tilt head).

    Where TF does not connect the two there is nothing to wait for.
    """

    def __init__(self, poses: PoseSource, tf: TfPoses, frame_id: str) -> None:
        self._poses, self._tf, self._frame_id = poses, tf, frame_id
        self._link: tuple[str, str] | None = None  # the body and the camera that were last asked for

    def at(self, stamp_ns: int, camera_frame: str) -> Pose | None:
        """See `PoseSource`."""
        pose = self._poses.at(stamp_ns, camera_frame)
        if pose is None:
            return None
        self._link = link = self._frame_id or pose.child_frame_id, camera_frame
        return None if self._tf.unknown_then(*link, stamp_ns) else pose

    def in_gap(self, stamp_ns: int) -> bool:
        """See `PoseSource`."""
        joint = self._link is not None and self._tf.gap_between(*self._link, stamp_ns)
        return joint or self._poses.in_gap(stamp_ns)

    def forget(self) -> None:
        """See `PoseSource`."""
        self._poses.forget()
        self._tf.forget()


def matrix_from_xyz_quaternion(numbers: Sequence[float], name: str) -> Array:
    """[x, y, z, qx, qy, qz, qw] (metres) -> (4,4). Raises UserError that names the parameter."""
    values = np.asarray(numbers, float)
    if values.shape != (7,) or not np.isfinite(values).all() or abs(np.linalg.norm(values[3:]) - 1) > 0.01:
        raise UserError(
            f"The parameter {name} must be [x, y, z, qx, qy, qz, qw] in metres with a unit quaternion; found {list(numbers)}."
        )
    return transform_from(values[:3], values[3:])
