"""The result: a labelled cloud and its object instances."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.upright import UP, rotation_to_z
from gcseg_ros.frames import Array
from gcseg_ros.tracking.objects import Objects, State, TrackedObject

Box = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class ObjectInstance:
    """One object. World frame, metres.

    axis_aligned_box  (min xyz, max xyz), each (3,)
    oriented_box      centre (3,), rotation (3,3) whose columns are the box's axes, size (3,); upright (its third axis points up)
    first_seen, last_seen  names of frames
    state             active | dormant | terminated, at the end of the video so far
    """

    id: int
    points: int
    centre: npt.NDArray[np.float64]
    axis_aligned_box: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    oriented_box: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
    confidence: float
    first_seen: str
    last_seen: str
    state: str


@dataclass(frozen=True)
class InstanceMap:
    """A labelled cloud in the world frame.

    points      (N, 3) float32 metres
    colours     (N, 3) uint8 RGB
    instance    (N,) int32, 0 = none
    confidence  (N,) float32 0..1
    of_tracked  (K,) int64: the instance of every tracked id, 0 = none; renumbers tracked label images
    since       (L,) int64: the index of the frame from which on that holds. Before, the id was of a piece that was in no instance
    """

    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]
    instance: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.float32]
    objects: list[ObjectInstance] = field(default_factory=list)
    of_tracked: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    since: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    @property
    def upright_points(self) -> npt.NDArray[np.float32]:
        """(N, 3) The points in a world that is turned so that its z axis points up, if it does not: as the objects'
        boxes stand."""
        return upright(self.points, self.objects)


def upright(points: npt.NDArray[np.float32], objects: list[ObjectInstance]) -> npt.NDArray[np.float32]:
    """Points (N, 3) of a map, turned so that the direction along which the boxes of its objects stand becomes z."""
    up = objects[0].oriented_box[1][:, 2] if objects else UP
    return points if np.array_equal(up, UP) else (points @ rotation_to_z(up).T).astype(np.float32)


def labelled_map(
    points: npt.NDArray,
    colours: npt.NDArray[np.uint8] | None,
    instance: npt.NDArray[np.integer],
    confidence: npt.NDArray[np.floating],
) -> InstanceMap:
    """A cloud that was labelled all at once, without a history. points (N, 3), finite in instances; without colours (N,
    3) it is grey."""
    if colours is None:
        colours = np.full((len(points), 3), 170, np.uint8)
    of_tracked = np.zeros(1, np.int64)
    objects = describe_objects(points, instance, confidence, of_tracked, np.zeros_like(instance), Objects(None))
    return InstanceMap(
        np.asarray(points, np.float32), colours, instance.astype(np.int32), confidence.astype(np.float32), objects
    )


def describe_objects(
    points: npt.NDArray,
    instance: npt.NDArray,
    confidence: npt.NDArray,
    of_tracked: npt.NDArray,
    tracked_label: npt.NDArray,
    objects: Objects,
    up: Array = UP,
) -> list[ObjectInstance]:
    """One ObjectInstance per id of `instance` (N,), with the history of the tracked objects that it is made of. Boxes
    stand along `up` (3,).

    An instance that is most of no tracked object has the history of the one it shares most points with, by
    `tracked_label` (N,).
    """
    order = np.argsort(instance, kind="stable")
    ids, starts = np.unique(instance[order], return_index=True)
    members: dict[int, list[TrackedObject]] = {}
    for o in objects:
        if o.id < len(of_tracked):
            members.setdefault(int(of_tracked[o.id]), []).append(o)
    described = []
    for id, rows in zip(ids.tolist(), np.split(order, starts[1:])):
        if id == 0:
            continue
        P = points[rows].astype(np.float64)
        tracked = members.get(id, [])
        if not tracked and tracked_label[rows].any():
            tracked = [objects[int(np.bincount(tracked_label[rows])[1:].argmax()) + 1]]
        first = min(tracked, key=lambda o: int(objects.since[o.id]), default=None)
        last = max(tracked, key=lambda o: o.matched_at, default=None)
        states = {o.state for o in tracked}
        described.append(
            ObjectInstance(
                id=id,
                points=len(rows),
                centre=P.mean(axis=0),
                axis_aligned_box=(P.min(axis=0), P.max(axis=0)),
                oriented_box=upright_box(P, up),
                confidence=float(np.mean(confidence[rows])),
                first_seen=first.first_seen if first else "",
                last_seen=last.last_seen if last else "",
                state=next((s.value for s in State if s in states), State.DORMANT.value),
            )
        )
    return described


def upright_box(points: npt.NDArray[np.float64], up: Array = UP) -> Box:
    """The smallest upright box around points (N, 3): centre (3,), rotation (3, 3) whose third axis is the unit vector
    `up` (3,), size (3,) >= 0.

    The ground rectangle is the minimum-area one (rotating calipers on the convex hull).
    """
    if not np.array_equal(up, UP):
        turn = rotation_to_z(up)
        centre, rotation, size = upright_box(points @ turn.T)
        return centre @ turn, turn.T @ rotation, size
    low, high = points[:, 2].min(), points[:, 2].max()
    (cx, cy), (width, depth), angle = cv2.minAreaRect(points[:, :2].astype(np.float32))
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return np.array([cx, cy, (low + high) / 2]), rotation, np.array([width, depth, high - low])
