"""Tracked objects and their three states (Sec. 3.2.1, Step 3): active, dormant, terminated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from gcseg_ros.state import Saved

MOST_OBJECTS = 65535  # ids are uint16 in label images
FEW = 16  # ids run short when fewer than one in so many is left


class State(str, Enum):
    """Active: matched at the last keyframe; dormant: not, but it may be matched again; terminated: it never is."""

    ACTIVE = "active"
    DORMANT = "dormant"
    TERMINATED = "terminated"


STATES = list(State)


@dataclass
class TrackedObject:
    """One object: its state, the frames (by name) of its first and last match, and when that last match was."""

    id: int
    first_seen: str
    last_seen: str
    matched_at: int
    state: State = State.ACTIVE


class Objects:
    """All objects of a video and the transitions between their states (Fig. 3).

    new -> active, active -> active, active -> dormant, dormant -> dormant, dormant -> active, dormant -> terminated.
    A terminated object keeps its record and is never matched again. An update costs the objects that are active or
    change their state, not all there ever were.

    most  how many ids there are. They are given in order; one that was taken back is terminated, and given again before
          any new one
    """

    def __init__(self, max_dormant_frames: int | None) -> None:
        """max_dormant_frames: N_max; None = dormant objects wait forever."""
        self.max_dormant_frames = max_dormant_frames
        self.active: set[int] = set()
        self.dormant: dict[int, None] = {}  # in the order of their last match
        self.most = MOST_OBJECTS
        self.taken_back = 0  # ids so far
        self.refused = 0  # objects that there was no id for
        self._objects: dict[int, TrackedObject] = {}
        self._free: list[int] = []  # ids that were taken back, the lowest last
        self._since = np.zeros(MOST_OBJECTS + 1, np.int64)

    def __len__(self) -> int:
        """The highest id that was ever given."""
        return len(self._objects)

    def __getitem__(self, id: int) -> TrackedObject:
        return self._objects[id]

    def __iter__(self) -> Iterator[TrackedObject]:
        return iter(self._objects.values())

    @property
    def in_use(self) -> int:
        """How many ids are given."""
        return len(self) - len(self._free)

    @property
    def run_short(self) -> bool:
        """Whether few ids are left."""
        return FEW * (self.most - self.in_use) < self.most

    @property
    def since(self) -> npt.NDArray[np.int64]:
        """(len + 1,) per id: the index of the keyframe from which on it means what it means now."""
        return self._since[: len(self) + 1]

    def given_since(self, frame: int) -> int:
        """How many ids were given after the frame with this index, and not taken back since."""
        return int(np.count_nonzero(self.since > frame))

    def counts(self) -> dict[str, int]:
        """State -> number of objects."""
        active, dormant = len(self.active), len(self.dormant)
        return {"active": active, "dormant": dormant, "terminated": self.in_use - active - dormant}

    def notes(self) -> list[str]:
        """What the user should know, one sentence each."""
        if not self.refused:
            return []
        return [
            f"{self.refused} masks of keyframes were left out so far, because all {self.most} ids belong to other pieces of the map: "
            "begin a new map for the rest of the place, or map it less finely (masks.levels)."
        ]

    def new(self, frame: str, now: int) -> int:
        """(a) new -> active. Returns the id, from 1, or 0 when all are in use."""
        if not self._free and len(self) >= self.most:
            self.refused += 1
            return 0
        id = self._free.pop() if self._free else len(self) + 1
        self._objects[id] = TrackedObject(id, frame, frame, now)
        self._since[id] = now
        self.active.add(id)
        return id

    def unseen(self, before: int) -> list[int]:
        """Objects that are not active and were last matched before the frame with this index."""
        free = set(self._free)
        return [o.id for o in self if o.matched_at < before and o.id not in self.active and o.id not in free]

    def take_back(self, ids: list[int], now: int) -> None:
        """The ids of objects that are not active may be given again: nobody else knows them any more."""
        for id in ids:
            self._objects[id].state = State.TERMINATED
            self.dormant.pop(id, None)
            self._since[id] = now
        self._free = sorted([*self._free, *ids], reverse=True)
        self.taken_back += len(ids)

    def update(self, matched: Iterable[int], frame: str, now: int) -> None:
        """The matching of the keyframe with index `now`: `matched` objects are active, (b) still or (e) again.

        (c) other active objects become dormant, (d) dormant ones wait, (f) for more than N_max frames: terminated.
        """
        matched = set(matched)
        for id in sorted(self.active - matched, key=lambda id: (self._objects[id].matched_at, id)):
            self._objects[id].state = State.DORMANT
            self.dormant[id] = None
        for id in matched:
            self.dormant.pop(id, None)
            o = self._objects[id]
            o.state, o.last_seen, o.matched_at = State.ACTIVE, frame, now
        self.active = matched
        if self.max_dormant_frames is not None:
            for id in list(self.dormant):
                if now - self._objects[id].matched_at <= self.max_dormant_frames:
                    break
                self._objects[id].state = State.TERMINATED
                del self.dormant[id]

    def state(self) -> dict[str, Any]:
        """One entry an id, in their order; `dormant` are ids in the order of their last match, `free` those that were
        taken back."""
        return {
            "state": np.array([STATES.index(o.state) for o in self], np.uint8),
            "matched_at": np.array([o.matched_at for o in self], np.int64),
            "first_seen": [o.first_seen for o in self],
            "last_seen": [o.last_seen for o in self],
            "dormant": np.array(list(self.dormant), np.int64),
            "free": np.array(self._free, np.int64),
            "since": self.since[1:],
            "taken_back": self.taken_back,
            "refused": self.refused,
        }

    def restore(self, saved: Saved) -> None:
        """Take over the `state` of others. Raises UserError."""
        n = saved.objects
        states = [STATES[i] for i in saved.array("state", np.uint8, (n,), 0, len(STATES) - 1)]
        matched_at = saved.array("matched_at", np.int64, (n,), 0).tolist()
        seen = zip(saved.texts("first_seen", n), saved.texts("last_seen", n), matched_at, states)
        self._objects = {id: TrackedObject(id, *record) for id, record in enumerate(seen, start=1)}
        self.active = {o.id for o in self if o.state is State.ACTIVE}
        self.dormant = dict.fromkeys(saved.array("dormant", np.int64, (None,)).tolist())
        if self.dormant.keys() != {o.id for o in self if o.state is State.DORMANT}:
            raise saved.wrong("dormant", "the objects whose state is dormant", "others")
        free = saved.array("free", np.int64, (None,), 1, n)
        if (np.diff(free) >= 0).any() or any(states[id - 1] is not State.TERMINATED for id in free.tolist()):
            raise saved.wrong("free", "terminated objects, falling", "others")
        self._free = free.tolist()
        self._since[1 : n + 1] = saved.array("since", np.int64, (n,), 0)
        self.taken_back, self.refused = saved.number("taken_back"), saved.number("refused")
