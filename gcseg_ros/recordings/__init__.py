"""Recordings of posed RGB-D video. One module per format; `open_recording` recognises which one it was given.

A format is a subclass of `Recording` in a module of this package: it is found automatically.
"""

from __future__ import annotations

import importlib
import pkgutil
import queue
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from gcseg_ros.errors import UserError
from gcseg_ros.frames import FARTHEST_M, Array, Frame, distance_m, rigid

T = TypeVar("T")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z")
OWN_DATA = "scannet"  # the format that whoever has another one writes
LOST = "the pose is lost (not finite or zero)"
NOT_RIGID = "the pose is no rotation and translation (is the matrix scaled or transposed? it must be camera-to-world, in metres)"
FAR = (
    f"the camera is more than {FARTHEST_M / 1000:.0f} km from the origin (is it UTM? subtract an offset from all poses)"
)


def why_unusable(pose: Array) -> str:
    """Why a frame with this camera-to-world pose (4, 4) is left out; nothing if it is not."""
    if not np.isfinite(pose).all() or not pose[:3, :3].any():
        return LOST
    try:
        rigid(pose)
    except UserError:
        return NOT_RIGID
    return FAR if distance_m(pose[:3, 3]) > FARTHEST_M else ""


class Recording(ABC):
    """A sequence of frames in order of time.

    format     name of the format, for messages
    expects    what a folder of this format holds, for messages
    gives_way  whether a path that another format recognises as well is taken for that one
    options    name -> meaning of what the constructor takes beside the path (texts)
    skipped    reason -> number of frames left out so far (no pose, no depth, ...), filled while iterating
    notes      sentences about what was taken for granted, for the user to check; filled while iterating
    """

    format: ClassVar[str]
    expects: ClassVar[str]
    gives_way: ClassVar[bool] = False
    options: ClassVar[dict[str, str]] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path) -> bool:
        """Whether `path` looks like this format (cheap: names only)."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames before any is skipped."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The usable frames, in order of time. Raises UserError on a broken file, and when no frame is usable."""

    def usable(self, found: Iterator[Frame | str]) -> Iterator[Frame]:
        """The frames among `found`; its texts are reasons why a frame is left out, and are counted in `skipped`.

        A frame that is not later than the one before it is left out too.
        """
        self.skipped.clear()
        self.notes.clear()
        last_s = -float("inf")
        for frame in found:
            if isinstance(frame, str):
                self.skipped[frame] += 1
            elif frame.stamp_s <= last_s:
                self.skipped["not later than the frame before"] += 1
            else:
                last_s = frame.stamp_s
                yield frame
        if last_s == -float("inf"):
            reasons = ", ".join(f"{reason} ({count})" for reason, count in self.skipped.most_common())
            sentence = f"No frame of {self.path} can be used: {reasons or 'it holds none'}; expected {self.expects}."
            raise UserError(" ".join([sentence, *self.notes]))

    def left_out(self, frames: int) -> list[str]:
        """What was skipped of so many frames, one sentence a reason."""
        return [f"{count} of {frames} frames were left out: {reason}." for reason, count in self.skipped.items()]


def formats() -> list[type[Recording]]:
    """All formats, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found, todo = [], [Recording]
    while todo:
        for kind in todo.pop().__subclasses__():
            todo.append(kind)
            if "format" in vars(kind):
                found.append(kind)
    return sorted(found, key=lambda kind: kind.format)


def open_recording(path: str | Path, **options: str | None) -> Recording:
    """The recording at `path` (folder, bag or `synthetic:SEED[:STYLE]`), its format recognised from what is there.

    options  what the format takes (`Recording.options`), for example poses="pose_noisy"; None is as if not given
    """
    where = Path(path)
    given = {name: value for name, value in options.items() if value is not None}
    try:
        for kind in sorted(formats(), key=lambda kind: kind.gives_way):
            if kind.recognises(where):
                for name in given.keys() - kind.options.keys():
                    known = ", ".join(f"{option} ({text})" for option, text in kind.options.items()) or "none"
                    raise UserError(
                        f"{path} is a {kind.format} recording, which has no option {name!r}; its options: {known}."
                    )
                build: Callable[..., Recording] = kind
                return build(where, **given)
        if not where.exists():
            raise UserError(f"There is no recording at {path}: no such file or folder.")
        if where.is_dir() and not any(where.iterdir()):
            raise UserError(
                f"The folder {path} is empty: expected a recording ({', '.join(k.format for k in formats())})."
            )
    except OSError as error:
        raise UserError(f"The recording {path} cannot be read: {error.strerror or error}.") from None
    expects = {kind.format: kind.expects for kind in formats()}
    hint = _near(where) or (
        f"known are {', '.join(expects)} (docs/recordings.md has how each looks). Data of your own are mapped as {OWN_DATA}: {expects[OWN_DATA]}"
    )
    raise UserError(f"No known recording format fits {path}; {hint}.")


def one_of(option: str, value: str, *allowed: str) -> str:
    """The value of an option. Raises UserError where it is not allowed."""
    if value not in allowed:
        raise UserError(f"The option {option} is {', '.join(allowed[:-1])} or {allowed[-1]}; found {value!r}.")
    return value


def parse_options(options: Iterable[str]) -> dict[str, str]:
    """`name=value` texts as what `open_recording` takes beside the path. Raises UserError."""
    given = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not (name and equals):
            raise UserError(f"An option of a recording is written name=value; found {option!r}.")
        given[name] = value
    return given


def _near(path: Path) -> str:
    """Recordings above or in a path, as a hint; empty if there are none."""
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        return "it is an archive: unpack it, and give the folder"
    for above in path.resolve().parents[:2]:
        if _is_recording(above):
            return f"{above} is a recording: give that"
    inside = sorted(path.iterdir()) if path.is_dir() else []
    found = [child.name for child in inside[:100] if _is_recording(child)]
    return f"it holds the recordings {', '.join(found)}: give one of them" if found else ""


def _is_recording(path: Path) -> bool:
    """Whether a format recognises `path`; what may not be read is none."""
    try:
        return any(kind.recognises(path) for kind in formats())
    except OSError:
        return False


def prefetch(items: Iterator[T], size: int = 4) -> Generator[T, None, None]:
    """The same items, read up to `size` ahead in a thread (decoding overlaps with mapping). Errors come through in order."""
    slots: queue.Queue = queue.Queue(size)
    stop = threading.Event()
    end = object()

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                slots.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((end, None))
        except BaseException as error:  # handed to the consumer, who raises it
            put((end, error))

    thread = threading.Thread(target=read, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = slots.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()
