"""Writing files so that nobody ever meets half of one, and reading them so that a broken one is one sentence."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import zipfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import yaml

from gcseg_ros.errors import UserError

N = TypeVar("N", bound=yaml.Node)


def resolved(path: str | Path) -> Path:
    """The absolute path, links followed as far as there is something. Raises UserError for links that lead in a circle."""
    place = Path(os.path.realpath(path))
    try:
        place.lstat()
        circle = place.is_symlink()
    except OSError as error:
        circle = error.errno == errno.ELOOP
    if circle:
        raise UserError(
            f"{path} is a link, or within one, that leads in a circle: name another place, or mend the link."
        )
    return place


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary name next to `path`, with the same suffix; it becomes `path` when the block ends without an error.

    Missing folders are made, and links followed. After an error or Ctrl-C nothing is left, and a former `path` stays as it was.
    Raises UserError where the system refuses to write, or where something stands that is no file.

    >>> with atomic_path("out/picture.png") as temporary:
    ...     write_image(temporary, picture)
    """
    path = Path(path)
    if not path.name or os.path.isdir(path):
        raise UserError(f"{path} cannot be written: it is a folder; name a file.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{path} cannot be written: it is a device or a pipe; name a file.")
    target = resolved(path)
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder; the lock ends with the process and its children at the latest. Raises OSError if another one holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile has it open too
    finally:
        os.close(descriptor)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make the folder where it is missing, and hold it: what it has grows with the work, of one process at a time.

    Raises UserError if another process holds it, or links lead in a circle. Where a file system knows no locks, nothing
    is held. A folder that was made and in which nothing was written is removed.
    """
    made = not resolved(folder).exists()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as lock:
        try:
            lock.enter_context(locked(folder))
        except BlockingIOError:
            raise UserError(
                f"{folder} is being written by another process: wait for it, or give another folder."
            ) from None
        except OSError:
            pass
        try:
            yield
        finally:
            if made:
                with suppress(OSError):  # it is not empty
                    folder.rmdir()


def check_movable(path: Path) -> None:
    """UserError if another folder cannot take the place of `path`, which is absolute."""
    if path == Path.cwd() or path.is_mount():
        raise UserError(
            f"The output {path} is the current folder or a mounted disk: name a folder in it, which is then made."
        )


def write_json_atomic(path: str | Path, data: Any) -> None:
    """`data` as indented JSON; numpy arrays and numbers, paths and sets are understood, NaN and infinity refused (ValueError)."""
    text = json.dumps(data, indent=2, allow_nan=False, default=plain)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


class Loader(yaml.SafeLoader):
    """Of a key that a mapping has twice SafeLoader takes the last; and it lets an alias stand within what it stands for."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(None)  # type: ignore[arg-type]
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line, name = key.start_mark.line + 1, (key.tag, key.value)
                if name in lines:
                    raise ValueError(f"it gives {key.value} twice, in lines {lines[name]} and {line}; leave one out")
                lines[name] = line
        return self._anchored(anchor, node)

    def compose_sequence_node(self, anchor: Any) -> yaml.SequenceNode:
        return self._anchored(anchor, super().compose_sequence_node(None))  # type: ignore[arg-type]

    def _anchored(self, anchor: str | None, node: N) -> N:
        if anchor is not None:
            self.anchors[anchor] = node
        return node


def parse_yaml(text: str) -> Any:
    """The content of YAML. Raises ValueError, in one sentence, whatever is wrong with it."""
    try:
        return yaml.load(text, Loader)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except Exception:  # PyYAML raises many kinds for values that their tag or its own constructors cannot take
        raise ValueError("a value does not fit its tag, or is nested too deeply") from None


def read_json(path: str | Path) -> Any:
    """The content of a JSON file. Raises UserError."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from None


def read_arrays(path: str | Path, names: Collection[str] | None = None, most: int = 0) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an NPZ file (those of these `names` that are there), none of them pickled. Raises UserError.

    Memory is bounded by the file's size; that of compressed arrays, where they are larger, by `most` bytes.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
        with np.load(path, allow_pickle=False) as file:
            chosen = [name for name in file.files if names is None or name in names]
            size = sum(sizes[name] for name in chosen)
            if size > max(path.stat().st_size, most):
                raise ValueError(f"compressed arrays of {size:,} bytes: np.savez writes them uncompressed")
            arrays = {name: file[name] for name in chosen}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("it holds other files")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # numpy and zipfile raise many kinds for broken files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} is not a whole NPZ file of plain arrays: {reason}.") from None
    return arrays


def check_stored(path: Path) -> None:
    """Raises ValueError where a ZIP file holds more bytes than it has: torch.save stores them uncompressed."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > path.stat().st_size:
            raise ValueError(f"compressed content of {size:,} bytes")


def plain(value: Any) -> Any:
    """What JSON can hold, for json.dumps(default=...)."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
