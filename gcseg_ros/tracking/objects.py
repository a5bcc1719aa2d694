"""Tracked objects and their three states (Sec. 3.2.1, Step 3): active, dormant, terminated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from gcseg_ros.mapping.state import Saved

MOST_OBJECTS = 65535  # ids are uint16 in label images


class State(str, Enum):
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
    """

    def __init__(self, max_dormant_frames: int | None) -> None:
        """max_dormant_frames: N_max; None = dormant objects wait forever."""
        self.max_dormant_frames = max_dormant_frames
        self.active: set[int] = set()
        self.dormant: dict[int, None] = {}  # in the order of their last match
        self._objects: dict[int, TrackedObject] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __getitem__(self, id: int) -> TrackedObject:
        return self._objects[id]

    def __iter__(self) -> Iterator[TrackedObject]:
        return iter(self._objects.values())

    def counts(self) -> dict[str, int]:
        """State -> number of objects."""
        active, dormant = len(self.active), len(self.dormant)
        return {"active": active, "dormant": dormant, "terminated": len(self) - active - dormant}

    def new(self, frame: str, now: int) -> int:
        """(a) new -> active. Returns the id, from 1, or 0 when all `MOST_OBJECTS` ids are taken."""
        if len(self) >= MOST_OBJECTS:
            return 0
        id = len(self) + 1
        self._objects[id] = TrackedObject(id, frame, frame, now)
        self.active.add(id)
        return id

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
        """One entry an object, in the order of their ids; `dormant` are ids in the order of their last match."""
        return {
            "state": np.array([STATES.index(o.state) for o in self], np.uint8),
            "matched_at": np.array([o.matched_at for o in self], np.int64),
            "first_seen": [o.first_seen for o in self],
            "last_seen": [o.last_seen for o in self],
            "dormant": np.array(list(self.dormant), np.int64),
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
