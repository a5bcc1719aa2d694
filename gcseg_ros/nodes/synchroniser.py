"""Complete frames from separate topics: colour and depth of one moment, the camera's calibration and its pose. No ROS inside."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gcseg_ros.frames import Array

JUMP_NS = 10**9
"""Stamps that go back by more than this are a clock that was set back (a bag that starts again), not disorder."""
GAP = "poses further apart than pose_gap_s"
"""Why an image between two poses has none."""


@dataclass(frozen=True)
class Pose:
    """matrix (4,4) float64 maps points of the body (child) frame to `frame_id`, metres; an empty name is unknown."""

    matrix: Array
    frame_id: str = ""
    child_frame_id: str = ""


@dataclass(frozen=True)
class FrameSet:
    """Everything that makes one frame. `stamp_ns` and `frame_id` are the depth image's; the messages are not decoded yet."""

    stamp_ns: int
    frame_id: str
    colour: Any
    depth: Any
    camera_info: Any
    pose: Pose


class PoseSource(Protocol):
    """Where poses come from: a topic, or TF."""

    def at(self, stamp_ns: int, camera_frame: str) -> Pose | None:
        """The pose at `stamp_ns`, None while there is none."""

    def in_gap(self, stamp_ns: int) -> bool:
        """Whether there are poses before and after `stamp_ns` that are too far apart for one between them."""

    def forget(self) -> None:
        """The clock was set back: what is known is of another time."""


class Synchroniser:
    """Bounded queues in, complete frames out, in order of time. What is not used is counted with its reason.

    Colour and depth belong together when their stamps differ by at most `slop_ns` (0: exactly equal) and no nearer partner
    comes; where one may still come, they wait for the next image. Calibration does not change from frame to frame: the
    latest is used. Frames wait, at most `queue_size` of them, for calibration and pose.
    """

    def __init__(
        self,
        poses: PoseSource,
        slop_ns: int,
        queue_size: int,
        drop: Callable[[str], None],
        jumped: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._poses, self._slop_ns, self._queue_size = poses, slop_ns, queue_size
        self._drop, self._jumped = drop, jumped
        self.camera_info: Any = None
        self._queues: dict[str, list[tuple[int, int, str, Any]]] = {"colour": [], "depth": []}
        self._waiting: deque[tuple[int, str, Any, Any]] = deque()
        self._newest: dict[str, int] = {}
        self._last: dict[str, int] = {}  # stamps of the images
        self._gap_ns = 0  # the least between successive images of a stream, 0 while it is not known
        self._arrivals = 0

    def __len__(self) -> int:
        """Messages and pairs that wait."""
        return len(self._waiting) + sum(len(queue) for queue in self._queues.values())

    @property
    def newest(self) -> dict[str, int]:
        """The newest stamp of every stream, the images' first."""
        return dict(sorted(self._newest.items()))

    def add(self, stream: str, stamp_ns: int, frame_id: str, message: Any) -> None:
        """An image of the stream "colour" or "depth"."""
        self.watch(stream, stamp_ns)
        if gap_ns := abs(stamp_ns - self._last.get(stream, stamp_ns)):
            self._gap_ns = min(gap_ns, self._gap_ns or gap_ns)
        self._last[stream] = stamp_ns
        self._arrivals += 1  # orders equal stamps without comparing messages
        queue = self._queues[stream]
        insort(queue, (stamp_ns, self._arrivals, frame_id, message))
        self._pair()
        if len(queue) > self._queue_size:
            self._drop_oldest(stream)

    def watch(self, stream: str, stamp_ns: int) -> None:
        """Note a stamp of any stream; when it went back, what came from the future is dropped and the rest goes on."""
        back_ns = self._newest.get(stream, stamp_ns) - stamp_ns
        if back_ns <= JUMP_NS:
            self._newest[stream] = max(stamp_ns, self._newest.get(stream, stamp_ns))
            return
        horizon = stamp_ns + JUMP_NS
        stale = [len(queue) for queue in self._queues.values()]
        self._queues = {name: [e for e in queue if e[0] <= horizon] for name, queue in self._queues.items()}
        waiting = deque(pair for pair in self._waiting if pair[0] <= horizon)
        lost = sum(stale) - sum(len(queue) for queue in self._queues.values()) + len(self._waiting) - len(waiting)
        self._waiting = waiting
        # every stream goes back, but only the first to do so is news
        first = self._newest[stream] == max(self._newest.values())
        self._newest = {name: min(newest, stamp_ns) for name, newest in self._newest.items()}
        self._last, self._gap_ns = {}, 0
        self._poses.forget()
        for _ in range(lost):
            self._drop("clock went back")
        if first:
            self._jumped(back_ns / 1e9)

    def ready(self) -> list[FrameSet]:
        """The frames that have become complete. Call it after every message, and whenever poses may have come."""
        complete: list[FrameSet] = []
        unposed = []
        if self.camera_info is None:
            unposed = list(self._waiting)
        else:
            for stamp_ns, frame_id, colour, depth in self._waiting:
                pose = self._poses.at(stamp_ns, frame_id)
                if pose is None:
                    unposed.append((stamp_ns, frame_id, colour, depth))
                    continue
                # poses come in order of time: what was left behind gets none any more
                for left in unposed:
                    self._drop(GAP if self._poses.in_gap(left[0]) else "no pose at the image's stamp")
                unposed.clear()
                complete.append(FrameSet(stamp_ns, frame_id, colour, depth, self.camera_info, pose))
        self._waiting = deque(unposed)
        while len(self._waiting) > self._queue_size:
            stamp_ns = self._waiting.popleft()[0]
            reason = GAP if self._poses.in_gap(stamp_ns) else "no pose yet"
            self._drop("no camera_info" if self.camera_info is None else reason)
        return complete

    def clear(self) -> None:
        """Forget all that waits (a reset; nothing is counted)."""
        for queue in self._queues.values():
            queue.clear()
        self._waiting.clear()
        self._newest.clear()
        self._last, self._gap_ns = {}, 0

    def _pair(self) -> None:
        """Merge the two queues: the earlier head goes with the other head, or can have no partner any more."""
        colours, depths = self._queues["colour"], self._queues["depth"]
        while colours and depths:
            early, late = ("colour", "depth") if colours[0][0] <= depths[0][0] else ("depth", "colour")
            queue, target = self._queues[early], self._queues[late][0][0]
            distance = target - queue[0][0]
            nearer = len(queue) > 1 and abs(queue[1][0] - target) < distance
            if distance > self._slop_ns or nearer:
                self._drop_oldest(early)
                continue
            if distance and len(queue) == 1 and 2 * distance >= self._gap_ns:
                return  # the next of the early stream may be nearer
            (_, _, _, colour), (stamp_ns, _, frame_id, depth) = colours.pop(0), depths.pop(0)
            self._waiting.append((stamp_ns, frame_id, colour, depth))

    def _drop_oldest(self, stream: str) -> None:
        self._queues[stream].pop(0)
        self._drop(f"{stream} without {'depth' if stream == 'colour' else 'colour'}")
