"""The whole map as one file, `state.npz`, from which mapping goes on as if it had never stopped.

A zip of NPY arrays without pickle, `PART/NAME.npy`, and of `state.json`, which holds the format's version and every plain
value. A part of the mapper gives what it holds in `state()` and takes it back in `restore()`; what it takes is checked on the
way (`Saved`), because files can be damaged or made by anybody. Nothing is compressed: a file's size bounds the memory that
reading it takes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

import gcseg_ros
from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path, plain

STATE = "state.npz"
"""The file's name in an output folder."""

FORMAT = 7
"""Raised by whoever changes what is in the file; other formats are refused."""

MOST_VALUE = float(np.finfo(np.float64).max)
_HEADER = "state.json"


@runtime_checkable
class Stateful(Protocol):
    """A part whose data is saved with the map. A new one restored from another's state goes on exactly as that one."""

    def state(self) -> dict[str, Any]:
        """Name -> array (of numbers) or what JSON can hold. Arrays may be the part's own: they are written at once."""
        ...

    def restore(self, saved: Saved) -> None:
        """Take over what `state` gave. Raises UserError through `saved`; the part is then not to be used."""
        ...


class Saved:
    """One part's data as read from a file: what is taken out of it has the type, shape and range that were asked for.

    objects  number of tracked objects in the map: ids go from 0 (none) to here
    """

    def __init__(self, where: str, objects: int, values: Mapping[str, Any]) -> None:
        self.where, self.objects, self._values = where, objects, values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def array(
        self,
        name: str,
        dtype: npt.DTypeLike,
        shape: tuple[int | None, ...],
        low: float = -MOST_VALUE,
        high: float = MOST_VALUE,
    ) -> npt.NDArray[Any]:
        """The array `name`, C-contiguous, of this dtype and shape (None: any length), all values from low to high.

        Raises UserError.
        """
        found = self._values.get(name)
        lengths = ", ".join("n" if length is None else str(length) for length in shape)
        expected = f"{np.dtype(dtype)} of shape ({lengths})"
        if not isinstance(found, np.ndarray):
            raise self.wrong(name, expected, "nothing" if found is None else type(found).__name__)
        fits = found.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, found.shape))
        if found.dtype != dtype or not fits:
            raise self.wrong(name, expected, f"{found.dtype} of shape {found.shape}")
        if found.size:
            least, most = found.min().item(), found.max().item()  # NaN, if there is one
            if not (least >= low and most <= high):
                raise self.wrong(name, f"numbers from {low:g} to {high:g}", f"{least:g} to {most:g}")
        return np.ascontiguousarray(found)

    def number(self, name: str, low: int = 0, high: int = 1 << 53) -> int:
        """A whole number from low to high. Raises UserError."""
        found = self._values.get(name)
        if type(found) is not int or not low <= found <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}", repr(found)[:40])
        return found

    def text(self, name: str) -> str:
        """Raises UserError."""
        found = self._values.get(name)
        if not isinstance(found, str):
            raise self.wrong(name, "a text", repr(found)[:40])
        return found

    def texts(self, name: str, count: int) -> list[str]:
        """A list of so many texts. Raises UserError."""
        found = self._values.get(name)
        if not (isinstance(found, list) and len(found) == count and all(isinstance(text, str) for text in found)):
            raise self.wrong(name, f"a list of {count} texts", repr(found)[:40])
        return found

    def wrong(self, name: str, expected: str, found: str) -> UserError:
        """The error to raise when `name` is not what was expected."""
        return UserError(
            f"{self.where}/{name} must be {expected}; found {found}: the file is damaged, or gcseg_ros did not write it."
        )


class SavedState:
    """A state file.

    header  what `write_state` was given as header, and `format`, `gcseg_ros`
    """

    def __init__(self, path: Path, header: dict[str, Any], parts: dict[str, dict[str, Any]]) -> None:
        self.path, self.header, self._parts = path, header, parts
        self.objects = Saved(str(path), 0, header).number("objects", 0, np.iinfo(np.uint16).max)

    def __contains__(self, part: str) -> bool:
        return part in self._parts

    def part(self, name: str) -> Saved:
        """The data of a part; there is nothing in it if the file does not have that part."""
        return Saved(f"{self.path}: {name}", self.objects, self._parts.get(name, {}))


def write_state(path: str | Path, header: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a state file in one step: the former file or this one, never half of it.

    header  plain values; `objects` is the number of tracked objects
    parts   part -> its `state()`

    Raises UserError where it cannot be written.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    values: dict[str, dict[str, Any]] = {}
    for part, content in parts.items():
        values[part] = {name: value for name, value in content.items() if not isinstance(value, np.ndarray)}
        arrays |= {f"{part}/{name}": value for name, value in content.items() if isinstance(value, np.ndarray)}
    written = {"format": FORMAT, "gcseg_ros": gcseg_ros.__version__, **header, "parts": values}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_HEADER, json.dumps(written, allow_nan=False, default=plain))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def read_state(path: str | Path) -> SavedState:
    """The state in a file, or in a folder of `gcseg map`. Raises UserError."""
    path = Path(path)
    if path.is_dir():
        path = path / STATE
    if not path.is_file():
        raise UserError(
            f"There is no saved map to go on from at {path}: name a folder that gcseg map or ~/save has written."
        )
    with _readable(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not stored or sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its members are not stored as they are")
        header = json.loads(archive.read(_HEADER))
        if not isinstance(header, dict) or not isinstance(header.get("format"), int):
            raise ValueError(f"{_HEADER} names no format")
        if header["format"] != FORMAT:
            raise UserError(
                f"{path} is in format {header['format']} (of gcseg_ros {header.get('gcseg_ros')}); this version reads format "
                f"{FORMAT}: map again, or use that version."
            )
        parts = header.pop("parts")
        if not (isinstance(parts, dict) and all(isinstance(content, dict) for content in parts.values())):
            raise ValueError(f"{_HEADER} has no parts")
        for member in members:
            part, _, name = member.filename.removesuffix(".npy").partition("/")
            if name and part in parts:
                with archive.open(member) as file:
                    parts[part][name] = np.lib.format.read_array(file, allow_pickle=False)
    return SavedState(path, header, parts)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever is wrong with the file becomes one sentence."""
    try:
        yield
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path} cannot be read as a saved map ({reason}): it is damaged, or gcseg_ros did not write it."
        ) from None


_UNREADABLE = (
    zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError, RecursionError, MemoryError, RuntimeError,
)  # fmt: skip
