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
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, TypeVar

from gcseg_ros.errors import UserError
from gcseg_ros.frames import Frame

T = TypeVar("T")


class Recording(ABC):
    """A sequence of frames in order of time.

    format   name of the format, for messages
    expects  what a folder of this format holds, for messages
    skipped  reason -> number of frames left out so far (no pose, no depth, ...), filled while iterating
    """

    format: ClassVar[str]
    expects: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path) -> bool:
        """Whether `path` looks like this format (cheap: names only)."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames before any is skipped."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The usable frames, in order of time. Raises UserError on a broken file."""


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


def open_recording(path: str | Path) -> Recording:
    """The recording at `path` (folder, bag or `synthetic:SEED[:STYLE]`), its format recognised from what is there."""
    where = Path(path)
    matches = [kind for kind in formats() if kind.recognises(where)]
    if matches:
        return matches[0](where)
    if not where.exists():
        raise UserError(f"There is no recording at {path}: no such file or folder.")
    if where.is_dir() and not any(where.iterdir()):
        raise UserError(f"The folder {path} is empty: expected a recording ({', '.join(k.format for k in formats())}).")
    known = "; ".join(f"{kind.format}: {kind.expects}" for kind in formats())
    raise UserError(f"No known recording format fits {path}. Known are {known}.")


def prefetch(items: Iterator[T], size: int = 4) -> Iterator[T]:
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
