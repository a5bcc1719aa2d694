"""What the nodes say about themselves: rates, drops with their reasons, and why nothing arrives. No ROS inside."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from threading import Lock

from gcseg_ros.ros_types.dds import profiles_variable

WARN_EVERY_S = 10.0
APART_S = 2.0  # latest stamps that differ by more are of two clocks, or of a stream that has stopped
STOPPED_S, STOPPED = 2.0, 3.0  # a stream has stopped that was silent for so long, and for so many of its usual pauses


class Rate:
    """How often something happens, over the last `window_s` seconds. One thread may count while another one asks."""

    def __init__(self, window_s: float = 5.0) -> None:
        self.count = 0
        self._window_s, self._times = window_s, deque[float](maxlen=1000)

    def tick(self, now_s: float) -> None:
        """`now_s` is monotonic time."""
        self.count += 1
        self._times.append(now_s)

    def silent_s(self, now_s: float) -> float:
        """Since the last one; 0 before the first."""
        return now_s - self._times[-1] if self._times else 0.0

    def every_s(self) -> float:
        """Usually between two; 0 before the second."""
        times = tuple(self._times)
        return median(after - before for before, after in pairwise(times)) if len(times) > 1 else 0.0

    def hz(self, now_s: float) -> float:
        recent = [t for t in tuple(self._times) if now_s - t <= self._window_s]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 and recent[-1] > recent[0] else 0.0


class Drops:
    """Counts what was not mapped, by reason, and passes on a sentence about each reason at most every 10 s. Any thread may use it."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._reasons: Counter[str] = Counter()
        self._warn = warn
        self._warned: dict[str, float] = {}
        self._lock = Lock()

    def __call__(self, reason: str, sentence: str = "") -> None:
        """One more for `reason`; `sentence` says to the user what was expected, what was found, what to do."""
        with self._lock:
            self._reasons[reason] += 1
            count, now = self._reasons[reason], time.monotonic()
            due = bool(sentence) and now - self._warned.get(reason, -WARN_EVERY_S) >= WARN_EVERY_S
            if due:
                self._warned[reason] = now
        if due:
            self._warn(f"{sentence} (dropped, {reason}: {count} so far)")

    @property
    def reasons(self) -> Counter[str]:
        """How many by reason, so far."""
        with self._lock:
            return self._reasons.copy()

    @property
    def total(self) -> int:
        return self.reasons.total()

    def __str__(self) -> str:
        return ", ".join(f"{reason}: {count}" for reason, count in self.reasons.most_common()) or "none"


@dataclass(frozen=True)
class PublisherState:
    """A publisher as the graph shows it."""

    node: str
    type: str
    best_effort: bool


@dataclass(frozen=True)
class InputState:
    """A topic that is read, and what is known about it.

    silent_s  since its last message; 0 if there was none, or if one is enough
    every_s   usually between two of its messages
    """

    name: str
    resolved: str
    accepted: list[str]
    reliable: bool
    received: int
    publishers: list[PublisherState] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)
    silent_s: float = 0.0
    every_s: float = 0.0

    @property
    def stopped(self) -> bool:
        return self.silent_s > max(STOPPED_S, STOPPED * self.every_s)

    def line(self) -> str:
        """One line of the silence report: what came, and if nothing did, why."""
        head = f"  {self.name}: {self.resolved}, {self.received} messages"
        if self.stopped:
            ended = "" if self.publishers else ": nobody publishes it any more"
            return f"{head}, the last {self.silent_s:.0f} s ago{ended}."
        if self.received:
            return f"{head}."
        if not self.publishers:
            others = f"; topics of this type: {', '.join(self.alike)}" if self.alike else ""
            return f"{head}: nobody publishes it{others}."
        fitting = [p for p in self.publishers if p.type in self.accepted]
        if not fitting:
            p = self.publishers[0]
            return f"{head}: {p.node} publishes {p.type}, expected {' or '.join(self.accepted)}."
        if self.reliable and all(p.best_effort for p in fitting):
            return f"{head}: {fitting[0].node} publishes best effort, asked for is reliable: set qos to sensor_data."
        return f"{head}: {fitting[0].node} publishes it but has sent nothing that arrived (is it paused? same ROS_DOMAIN_ID?)."


def stamps_apart(latest: Mapping[str, int]) -> str:
    """How far the latest stamps (ns) of the streams are from those of the first, in a sentence with advice; empty where none is far."""
    apart_s = {name: (stamp - next(iter(latest.values()))) / 1e9 for name, stamp in latest.items()}
    told = [
        f"{name} {abs(s):.1f} s {'after' if s > 0 else 'before'}" for name, s in apart_s.items() if abs(s) > APART_S
    ]
    if not told:
        return ""
    if unset := [name for name, stamp in latest.items() if stamp == 0]:
        return without_stamp(*unset)
    return (
        f"The latest stamps are apart: {', '.join(told)} {next(iter(latest))}: have all that publish use one clock (use_sim_time; "
        "between machines chrony or PTP), or see which of them has stopped."
    )


def without_stamp(*names: str) -> str:
    """That messages of these streams do not say when they were made, in a sentence with advice."""
    return (
        f"Messages of {', '.join(names)} have no stamp (it is 0), and what belongs together is found by stamps: have the driver set them; "
        "one with use_sim_time sets 0 as long as nobody publishes /clock."
    )


def silence_report(
    node: str, seconds: float, inputs: Sequence[InputState], sync: str, drops: Drops, known: str = ""
) -> str:
    """Why no complete frame came for `seconds`, topic by topic, with advice.

    sync   how messages are brought together, in words
    known  why that gives no frame, in a sentence, where it is no guess
    """
    lines = [f"{node}: no complete frame for {seconds:.0f} s. Needed are, {sync}:"]
    lines += [state.line() for state in inputs]
    stopped = [state.name for state in inputs if state.stopped]
    if not all(state.received for state in inputs):
        lines.append(
            "  Check the names with `ros2 topic list -t`, give them as launch arguments (rgb_topic:=...) or remap them, and check "
            "that the camera's registered (aligned) depth is on."
        )
    elif stopped:
        lines.append(
            f"  Nothing comes any more of {', '.join(stopped)}: is the driver's process still at work, its cable in, the bag paused? "
            "Mapping goes on with the same map when it comes again."
        )
    else:
        guesses = (
            "If stamps differ, raise sync_slop_s or set approx_sync; if poses are missing, check their stamps and that all nodes use the "
            f"same clock (use_sim_time); if they come too seldom, raise pose_gap_s; if far fewer images than camera_info come, DDS loses them: start the camera, too, with "
            f"{profiles_variable()} set to this package's config/fastdds.xml."
        )
        lines.append(f"  All topics arrive, but no frame is complete. Dropped: {drops}. {known or guesses}")
    return "\n".join(lines)
