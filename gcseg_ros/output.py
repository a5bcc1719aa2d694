"""The folder that `gcseg map` and the node's `~/save` write: built beside its place, put there when it is complete.

A kill at any moment leaves the earlier result or the new one, and so does a power cut (but for the label images). Between the
two renames that put a new result in the place of an earlier one there is none; `recover` then puts the earlier one back.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import gcseg_ros
from gcseg_ros.camera.encoded_images import write_image
from gcseg_ros.errors import UserError
from gcseg_ros.files import check_movable, locked, read_json, resolved, write_json_atomic
from gcseg_ros.instances.export import write_instances_json, write_instances_ply
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.retrieval.views import VIEWS, StoredView, write_views
from gcseg_ros.state import STATE
from gcseg_ros.tracked_labels import SUFFIX, read_labels, write_labels

SUMMARY = "summary.json"
LIVE = "ROS topics"
"""The recording, in the summary of a node's map. Frames are then named by their number in the map."""
LABELS = "labels"
PICTURE = "picture.png"
FILES = ("instances.ply", "instances.json", LABELS, PICTURE, STATE, VIEWS, SUMMARY)
"""What an output holds. Anything else in the folder is the user's and survives a replacement."""

PART, OLD = "gcseg-part-", "gcseg-old-"
"""`.OUT.gcseg-part-…`, beside OUT while it is written: the new one; and the one that it replaces."""
FULL = "the disk is full", "free some space"
TOO_LARGE = "a file may not be so large there (ulimit -f; 4 GB on FAT32)", "raise the limit"
REFUSALS = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EFBIG: TOO_LARGE}
"""How a disk refuses what is written: why, and what to do."""
SPARE = {LABELS: "label images", VIEWS: VIEWS, STATE: STATE}
"""What that costs rather than the map; on a full disk in this order."""


class OutputFolder:
    """`add` the labels of every frame, then `finish` with the map. Use it in a `with`: what is not finished is removed.

    left_out  names of what is not there, as users know it: the disk has refused it, and the map is worth more

    Raises UserError if `path` holds something that is not an earlier output, is being written by another process, or
    cannot be written.
    """

    def __init__(self, path: str | Path, overwrite: bool = True) -> None:
        self.path = resolved(path)
        recover(self.path)
        check_replaceable(self.path, overwrite)
        check_nobody_writes(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part = self.path.with_name(f".{self.path.name}.{PART}{secrets.token_hex(4)}")
            self._part.mkdir()
        except OSError as error:
            raise UserError(f"The output {path} cannot be written: {error.strerror}; choose another folder.") from None
        self._labels = self._part / LABELS
        self._refused: dict[str, tuple[str, str]] = {}  # what is left out, and of REFUSALS why
        self._lock = ExitStack()
        with suppress(OSError):  # a file system without locks
            self._lock.enter_context(locked(self._part))

    @property
    def left_out(self) -> list[str]:
        return list(self._refused)

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._part, ignore_errors=True)
        self._lock.close()

    def add(self, name: str, index: int, labels: npt.NDArray[np.uint16]) -> None:
        """(H, W) uint16 tracked ids of the frame `name`, before which `index` were mapped. Raises UserError where they
        cannot be written."""
        with self._labels_of(name):
            write_labels(self._labels, name, index, labels)

    def add_file(self, file: Path) -> None:
        """As `add`, of what `write_labels` has written elsewhere; it stays there. Raises OSError where it cannot be
        read. Where the disk is full, label images are left out: this one and all others."""
        labels = file.read_bytes()

        def write() -> None:
            with self._labels_of(file.name.removesuffix(SUFFIX)):
                (self._labels / file.name).write_bytes(labels)

        self._fit(write, LABELS)

    @contextmanager
    def _labels_of(self, name: str) -> Iterator[None]:
        try:
            self._labels.mkdir(exist_ok=True)
            yield
        except OSError as error:
            raise UserError(
                f"The labels of frame {name} cannot be written beside {self.path}: {error.strerror}; free some space or choose another output."
            ) from error

    def _fit(self, write: Callable[[], None], name: str = "") -> None:
        """Write, maybe what is to SPARE, by its `name`. Where the disk is full by that, what is worth less is left out
        for it, then it itself; where only that file is too large, it itself; but no map without state takes the place
        of one with it. Raises UserError."""
        order = list(SPARE)
        while name not in SPARE or SPARE[name] not in self.left_out:
            try:
                return write()
            except UserError as error:
                number = getattr(error.__cause__, "errno", None)
                if number not in REFUSALS:
                    raise
                refusal = why, advice = REFUSALS[number]
                worth_less = order[: order.index(name)] if name in SPARE else order
                worth_less = worth_less if refusal is FULL else []
                spared = next((one for one in worth_less if (self._part / one).exists()), name)
                if spared not in SPARE or (spared == STATE and (self.path / STATE).exists()):
                    raise UserError(
                        f"The output {self.path} cannot be written, because {why}: {advice}, or name another folder."
                    ) from error
                remove(self._part / spared)
                self._refused[SPARE[spared]] = refusal

    def why_left_out(self) -> str:
        """In a sentence; empty where nothing is."""
        told = []
        for refusal in dict.fromkeys(self._refused.values()):
            why, advice = refusal
            names = " and ".join(name for name, its in self._refused.items() if its is refusal)
            told.append(
                f"Because {why}, this is left out: {names}; {advice} or name another folder, and map again for it."
            )
        return " ".join(told)

    def add_state(self, save: Callable[[Path], None]) -> None:
        """What mapping needs to go on from this output; `save` (`Mapper.save_state`) writes the file."""
        self._fit(lambda: save(self._part / STATE), STATE)

    def add_views(self, views: Sequence[StoredView]) -> None:
        """What queries by words look at; no file if there are none."""
        if views:
            self._fit(lambda: write_views(self._part / VIEWS, views), VIEWS)

    def finish(self, instances: InstanceMap, summary: Mapping[str, Any]) -> None:
        """Write the map, give the labels the ids of its instances (`of_tracked`) and put the folder in its place."""
        self._fit(lambda: self._write_map(instances))
        self._fit(lambda: self._write_summary(summary))
        self._put_in_place()

    def _write_map(self, instances: InstanceMap) -> None:
        from gcseg_ros.viewer.picture import write_picture

        write_instances_ply(self._part / "instances.ply", instances)
        write_instances_json(self._part / "instances.json", instances)
        table = np.zeros(65536, np.uint16)  # an id that the map knows nothing of becomes 0
        table[: len(instances.of_tracked)] = instances.of_tracked
        since = np.zeros(len(table), np.int64)
        since[: len(instances.since)] = instances.since
        labels = sorted(self._labels.iterdir()) if self._labels.is_dir() else []
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # the picture, which takes longest, has a processor to itself
            picture = pool.submit(write_picture, instances, self._part / PICTURE)
            for done in [picture, *(pool.submit(_write_instances_png, file, table, since) for file in labels)]:
                done.result()

    def _write_summary(self, summary: Mapping[str, Any]) -> None:
        versions = {"python": platform.python_version(), "numpy": np.__version__, "opencv": cv2.__version__}
        if self.left_out:
            summary = {**summary, "notes": [*summary.get("notes", []), self.why_left_out()], "complete": False}
        write_json_atomic(self._part / SUMMARY, {"gcseg_ros": gcseg_ros.__version__, **summary, **versions})

    def _put_in_place(self) -> None:
        for file in (*self._part.iterdir(), self._part):
            flush(file)
        if not self.path.is_dir() or not any(self.path.iterdir()):
            self._part.replace(self.path)
            flush(self.path.parent)
            return
        check_replaceable(self.path)
        before = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.{OLD}", dir=self.path.parent))
        self.path.replace(before)
        try:
            self._part.replace(self.path)
        except BaseException:
            before.replace(self.path)
            raise
        flush(self.path.parent)
        remove_old(before, self.path)


def recover(path: Path) -> None:
    """Clean up after a process that was killed while it wrote the output `path`: nothing that was saved is lost.

    While another process writes it, nothing is done.
    """
    if not path.parent.is_dir():
        return
    parts, old = (sorted(path.parent.glob(f".{escape(path.name)}.{kind}*")) for kind in (PART, OLD))
    with ExitStack() as locks, suppress(OSError):
        for folder in (*parts, *old, *([path] if path.is_dir() else [])):
            locks.enter_context(locked(folder))
        for before in sorted(old, key=lambda folder: folder.stat().st_mtime_ns, reverse=True):
            if path.exists():
                remove_old(before, path)
            elif is_output(before):
                before.replace(path)
        for part in parts:
            shutil.rmtree(part)


def remove_old(before: Path, path: Path) -> None:
    """Remove an output that `path` has replaced, but for what in it is the user's: that goes on in `path`."""
    ours = []
    for content in before.iterdir():  # the user's first: an error with the rest leaves nothing of theirs behind
        if content.name in FILES:
            ours.append(content)
        elif not (path / content.name).exists():
            content.replace(path / content.name)
    for content in ours:
        remove(content)
    before.rmdir()


def remove(path: Path) -> None:
    """A file, a link, a folder with what is in it, or nothing."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have what is at `path` on the disk before anything that follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems cannot do it for folders
            raise
    finally:
        os.close(descriptor)


def check_replaceable(path: Path, overwrite: bool = True) -> None:
    """UserError unless `path` is free, empty, or (with `overwrite`) an earlier output of gcseg."""
    try:
        occupied = path.is_dir() and any(path.iterdir())
    except OSError as error:
        raise UserError(f"The output {path} cannot be used: {error.strerror}; choose another folder.") from None
    check_movable(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"The output {path} is a file: name a folder.")
    if not occupied:
        return
    if not is_output(path):
        raise UserError(
            f"The output {path} holds files that gcseg did not write (it has no {SUMMARY} of ours): name another folder."
        )
    if not overwrite:
        raise UserError(f"The output {path} holds an earlier result: name another folder, or leave out --no-overwrite.")


def check_nobody_writes(path: Path) -> None:
    """UserError while another process writes the output `path`: the one that is done last would replace what the other
    has mapped."""
    for part in path.parent.glob(f".{escape(path.name)}.{PART}*"):
        try:
            with suppress(FileNotFoundError), locked(part):
                pass
        except BlockingIOError:
            raise UserError(
                f"The output {path} is being written by another process: wait for it, or name another folder."
            ) from None
        except OSError:  # a file system without locks, or somebody else's folder
            continue


def check_own_file(file: Path, reads: Iterable[Path]) -> None:
    """UserError where `file`, which a command is to write, is one that it reads, or one of an output."""
    place = resolved(file)
    if place in map(resolved, reads):
        raise UserError(f"{file} is what is read: name another file to write.")
    for folder in place.parents:
        if place.relative_to(folder).parts[0] in FILES and is_output(folder):
            raise UserError(f"{file} belongs to the map in {folder}: name another file to write.")


def is_output(path: Path) -> bool:
    """Whether `path` is a folder that this class has written."""
    try:
        return "gcseg_ros" in read_json(path / SUMMARY)
    except (UserError, TypeError):
        return False


def _write_instances_png(tracked: Path, table: npt.NDArray[np.uint16], since: npt.NDArray[np.int64]) -> None:
    """The image of a frame's instances, in place of its tracked labels. An id that has been given anew since then becomes 0."""
    name, index, labels = read_labels(tracked)
    file = tracked.with_name(f"{name}.png")
    # without parameters: a compression level makes OpenCV try all filters, which takes three times as long
    try:
        write_image(file, np.take(table * (since <= index), labels))
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}; free some space.") from error
    tracked.unlink()


def mapped_live(output: Path) -> bool:
    """Whether an output is a node's. Raises UserError where its summary cannot be read."""
    file = output / SUMMARY
    summary = read_json(file) if file.is_file() else None
    return isinstance(summary, dict) and summary.get("recording") == LIVE
