"""Rigid transforms over time, without ROS: a trajectory that interpolates, and tf2's tree of frames.

`T_a_b` maps points of frame b to frame a; (4, 4) float64, metres. Stamps are integer nanoseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from gcseg_ros.frames import WORLD_WITHOUT_UP, Array

SECOND_NS = 10**9
FIXED_FRAMES = ("map", "odom", "world")
"""What the world is called by convention, the first that there is before the others."""
MAX_GAP_S = 0.5  # between two poses that there is one between
AT_REST_M, AT_REST_DEG = 0.1, 5.0
"""Transforms that differ by no more than this are of a link that rests, as map -> odom, and may be sent seldom."""
MOUNT_M, MOUNT_DEG = 0.02, 2.0
"""A camera's calibration differs by no more than this from where its data sheet has it: static transforms that do are one."""
TO_AND_FRO, TO_AND_FRO_NS = 5, 10 * SECOND_NS
"""A link that jumps away and back so often in so long has two publishers."""
JUMP_NS = SECOND_NS // 10  # away and back in so short a time is no motion, but a jump


def transform_from(position: Sequence[float], quaternion: Sequence[float]) -> Array:
    """(4, 4) of x y z and qx qy qz qw; not finite if that is no rotation and translation, as where tracking was lost."""
    T = np.full((4, 4), np.nan)
    if abs(np.linalg.norm(quaternion) - 1) < 0.1:
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = Rotation.from_quat(quaternion).as_matrix(), position
    return T


class Trajectory:
    """Poses by stamp, in any order of arrival. Between two poses: linear translation, spherical linear rotation.

    keep_s     poses older than this (against the newest) are forgotten, until a second one in a row tells of a clock that was set
               back (see `add`); None keeps all
    max_gap_s  there is no pose between two that are further apart than this
    may_rest   but there is one between two that are nearly the same (AT_REST_M, AT_REST_DEG), however far apart
    """

    def __init__(self, keep_s: float | None = None, max_gap_s: float = MAX_GAP_S, may_rest: bool = False) -> None:
        self._keep_ns = None if keep_s is None else round(keep_s * SECOND_NS)
        self._max_gap_ns = round(max_gap_s * SECOND_NS)
        self._may_rest = may_rest
        self._stamps: list[int] = []
        self._poses: list[Array] = []
        self._behind: tuple[int, Array] | None = None  # the last pose, where it is too old to be kept
        self._jumps: list[int] = []  # the stamps of the latest poses that the next one takes back: of two publishers

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp_ns: int, pose: Array) -> None:
        """A second pose with the same stamp replaces the first. One that is too old to be kept is passed over; two in a
        row, in order of time, are of a clock that was set back, and the trajectory begins with them."""
        first, self._behind = self._behind, None
        if self._keep_ns is not None and self._stamps and stamp_ns < self._stamps[-1] - self._keep_ns:
            if first is None or first[0] >= stamp_ns:
                self._behind = stamp_ns, pose
                return
            self._stamps, self._poses = [first[0]], [first[1]]
        i = bisect_left(self._stamps, stamp_ns)
        if i < len(self._stamps) and self._stamps[i] == stamp_ns:
            # a SLAM corrects a pose that it has sent, but does not return to the one before
            if i > 0 and nearly_same(self._poses[i - 1], pose) and not nearly_same(self._poses[i], pose):
                self._jumped(stamp_ns)
            self._poses[i] = pose
            return
        self._stamps.insert(i, stamp_ns)
        self._poses.insert(i, pose)
        if self._to_and_fro(min(i, len(self._stamps) - 2)):
            self._jumped(stamp_ns)
        if self._keep_ns is not None:
            old = bisect_left(self._stamps, self._stamps[-1] - self._keep_ns)
            del self._stamps[:old], self._poses[:old]

    def to_and_fro(self) -> bool:
        """Whether the poses have lately jumped away and back so often that two publishers tell of them."""
        return len(self._jumps) >= TO_AND_FRO

    def knows(self, stamp_ns: int) -> bool:
        """Whether there is a pose at a stamp, without tolerance; it is not interpolated to find out."""
        i = bisect_left(self._stamps, stamp_ns)
        if i == len(self._stamps):
            return False
        return self._stamps[i] == stamp_ns or (i > 0 and self._bridged(i))

    def in_gap(self, stamp_ns: int) -> bool:
        """Whether a stamp lies between two poses that are too far apart for one between them."""
        i = bisect_left(self._stamps, stamp_ns)
        return 0 < i < len(self._stamps) and not self.knows(stamp_ns)

    @property
    def newest(self) -> int | None:
        """The last stamp; None without poses."""
        return self._stamps[-1] if self._stamps else None

    def ends_before(self, stamp_ns: int) -> bool:
        """Whether there are poses, but none of this stamp or later."""
        return self.newest is not None and self.newest < stamp_ns

    def at(self, stamp_ns: int, tolerance_s: float = 0.0) -> Array | None:
        """The pose at a stamp; outside the poses' range the nearest one within `tolerance_s`; else None."""
        i = bisect_left(self._stamps, stamp_ns)
        if i < len(self._stamps) and self._stamps[i] == stamp_ns:
            return self._poses[i]
        if 0 < i < len(self._stamps) and self._bridged(i):
            share = (stamp_ns - self._stamps[i - 1]) / (self._stamps[i] - self._stamps[i - 1])
            return interpolate(self._poses[i - 1], self._poses[i], share)
        near = [j for j in (i - 1, i) if 0 <= j < len(self._stamps)]
        near.sort(key=lambda j: abs(self._stamps[j] - stamp_ns))
        if near and abs(self._stamps[near[0]] - stamp_ns) <= tolerance_s * SECOND_NS:
            return self._poses[near[0]]
        return None

    def _jumped(self, stamp_ns: int) -> None:
        """Remember a jump; none of a pose far behind the newest, that replaces what an earlier loop of a bag has left."""
        if self._stamps[-1] - stamp_ns <= self._max_gap_ns:
            self._jumps = [jump for jump in self._jumps if abs(stamp_ns - jump) < TO_AND_FRO_NS] + [stamp_ns]

    def _to_and_fro(self, i: int) -> bool:
        """Whether the i-th pose is elsewhere than the one just before and the one just after it, which agree."""
        if i < 1 or self._stamps[i + 1] - self._stamps[i - 1] > JUMP_NS:
            return False
        before, there, after = self._poses[i - 1 : i + 2]
        return not nearly_same(before, there) and not nearly_same(there, after) and nearly_same(before, after)

    def _bridged(self, i: int) -> bool:
        """Whether there are poses between the one before the i-th and the i-th."""
        if self._stamps[i] - self._stamps[i - 1] <= self._max_gap_ns:
            return True
        return self._may_rest and nearly_same(self._poses[i - 1], self._poses[i])


class TransformTree:
    """Frames of reference that hang on each other, as tf2 keeps them: every child has one parent, known over time.

    keep_s     how much of the past is kept
    max_gap_s  a link is not known between two transforms that are further apart than this, unless it rests (see `Trajectory`)
    """

    def __init__(self, keep_s: float = 10.0, max_gap_s: float = MAX_GAP_S) -> None:
        self._keep_s, self._max_gap_s = keep_s, max_gap_s
        self._edges: dict[str, tuple[str, Array | Trajectory]] = {}  # child -> parent, T_parent_child
        self._left: Counter[tuple[str, str]] = Counter()  # (parent, child): how often it gave way to another parent
        self._disputed: dict[str, str] = {}  # child -> what is told of it beside its link

    def add(self, parent: str, child: str, stamp_ns: int, T_parent_child: Array, static: bool = False) -> None:
        parent, child = parent.lstrip("/"), child.lstrip("/")
        known = self._edges.get(child)
        if known is not None and known[0] != parent:
            # a thing may change hands; what is static has one parent for good
            if static or not isinstance(known[1], Trajectory) or self._left[parent, child] >= TO_AND_FRO:
                self._disputed.setdefault(child, " and ".join(f"under {name}" for name in sorted((known[0], parent))))
            self._left[known[0], child] += 1
        elif known is not None and _elsewhere(known[1], T_parent_child, static):
            self._disputed.setdefault(child, f"at two places under {parent}")
        if static:
            self._edges[child] = (parent, T_parent_child)
            return
        if known is None or known[0] != parent or not isinstance(known[1], Trajectory):
            self._edges[child] = (parent, Trajectory(self._keep_s, self._max_gap_s, may_rest=True))
        edge = self._edges[child][1]
        assert isinstance(edge, Trajectory)
        edge.add(stamp_ns, T_parent_child)

    def contradicts(self, other: TransformTree, child: str) -> bool:
        """Whether two trees have a frame under different parents, or at different places at the last time that both know of."""
        one, two = self._edges.get(child.lstrip("/")), other._edges.get(child.lstrip("/"))
        if one is None or two is None:
            return False
        if one[0] != two[0]:
            return True
        ends = [edge.newest for _, edge in (one, two) if isinstance(edge, Trajectory) and edge.newest is not None]
        here, there = (edge.at(min(ends)) if isinstance(edge, Trajectory) else edge for _, edge in (one, two))
        return here is not None and there is not None and not nearly_same(here, there)

    def links(self) -> list[tuple[str, str]]:
        """parent, child of every link."""
        return [(parent, child) for child, (parent, _) in self._edges.items()]

    def frames(self) -> list[str]:
        """All known frames, sorted."""
        return sorted({*self._edges, *(parent for parent, _ in self._edges.values())})

    def disputed(self, target: str, source: str) -> str:
        """What two publishers tell otherwise between two frames, in a sentence; empty where they agree. Where known
        frames do not hang together, that is of any frame that the source hangs on."""
        if not self._disputed or target.lstrip("/") not in {*self.frames(), *(parent for parent, _ in self._left)}:
            return ""
        above, below = self._chains(target, source) or ([], self._ancestors(source.lstrip("/")))
        child = next((child for child in (*below, *above) if child in self._disputed), None)
        if child is None:
            return ""
        return (
            f"TF has the frame {child} {self._disputed[child]}: two publishers tell of it, or one told it otherwise later. The latest counts, "
            "and poses may be wrong or missing: let one of them be silent, or correct what is wrong."
        )

    def connected(self, one: str, other: str) -> bool:
        """Whether the frames hang together, whatever is known when."""
        return not set(self._ancestors(one.lstrip("/"))).isdisjoint(self._ancestors(other.lstrip("/")))

    def world_of(self, frame: str) -> str | None:
        """The first of FIXED_FRAMES, or a world without a known up, that a frame hangs together with."""
        return next((world for world in (*FIXED_FRAMES, WORLD_WITHOUT_UP) if self.connected(world, frame)), None)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Array | None:
        """T_target_source at a stamp; None if the frames are not connected or a link is not known at that time."""
        chains = self._chains(target, source)
        if chains is None:
            return None
        if not all(link.knows(stamp_ns) for link in self._moving(*chains)):  # many frames ask again and again
            return None
        above, below = chains
        return np.linalg.inv(self._climb(above, stamp_ns)) @ self._climb(below, stamp_ns)

    def in_gap(self, target: str, source: str, stamp_ns: int) -> bool:
        """Whether a link between the frames is not known at a stamp because its transforms there are too far apart."""
        return any(link.in_gap(stamp_ns) for link in self._moving(*self._chains(target, source) or ()))

    def newest(self, target: str, source: str) -> int | None:
        """The last stamp of the link between the frames that ends first; None if they are not connected, or no link moves."""
        links = self._moving(*self._chains(target, source) or ())
        return min((link.newest for link in links if link.newest is not None), default=None)

    def ends_before(self, target: str, source: str, stamp_ns: int) -> bool:
        """Whether the frames are connected, but the last transform of a link is older than this stamp."""
        newest = self.newest(target, source)
        return newest is not None and newest < stamp_ns

    def _chains(self, target: str, source: str) -> tuple[list[str], list[str]] | None:
        """The children on the way up from either frame to the first that both hang on; None if there is none."""
        up, down = self._ancestors(target.lstrip("/")), self._ancestors(source.lstrip("/"))
        common = next((frame for frame in down if frame in up), None)
        return None if common is None else (up[: up.index(common)], down[: down.index(common)])

    def _moving(self, *chains: list[str]) -> list[Trajectory]:
        """The links of chains that are not static."""
        links = [self._edges[child][1] for chain in chains for child in chain]
        return [link for link in links if isinstance(link, Trajectory)]

    def _ancestors(self, frame: str) -> list[str]:
        """The frame, its parent, and so on up to the root (or round a cycle once)."""
        chain = [frame]
        while chain[-1] in self._edges and self._edges[chain[-1]][0] not in chain:
            chain.append(self._edges[chain[-1]][0])
        return chain

    def _climb(self, frames: list[str], stamp_ns: int) -> Array:
        """T_(parent of the last)_(the first) along a chain of children that are known at this stamp."""
        T = np.eye(4)
        for child in frames:
            edge = self._edges[child][1]
            step = edge.at(stamp_ns) if isinstance(edge, Trajectory) else edge
            assert step is not None
            T = step @ T
        return T


def _elsewhere(known: Array | Trajectory, T: Array, static: bool) -> bool:
    """Whether what is told of a link contradicts what is known of it: one that moves changes, but does not jump to and fro."""
    if isinstance(known, Trajectory):
        return known.to_and_fro()
    return not (nearly_same(known, T, MOUNT_M, MOUNT_DEG) if static else nearly_same(known, T))


def nearly_same(first: Array, second: Array, within_m: float = AT_REST_M, within_deg: float = AT_REST_DEG) -> bool:
    """Whether two poses differ by at most so much."""
    cosine = (np.vdot(first[:3, :3], second[:3, :3]) - 1) / 2
    apart_m = np.linalg.norm(first[:3, 3] - second[:3, 3])
    return bool(apart_m <= within_m and cosine >= np.cos(np.deg2rad(within_deg)))


def interpolate(first: Array, second: Array, share: float) -> Array:
    """The pose at `share` (0..1) of the way from the first to the second."""
    rotations = Rotation.from_matrix(np.stack([first[:3, :3], second[:3, :3]]))
    T = np.eye(4)
    T[:3, :3] = Slerp([0, 1], rotations)(share).as_matrix()
    T[:3, 3] = (1 - share) * first[:3, 3] + share * second[:3, 3]
    return T
