"""The folder that weights are kept in, and whether what lies there is whole."""

from __future__ import annotations

import hashlib
import os
import shlex
from enum import Enum
from pathlib import Path

from gcseg_ros.errors import UserError
from gcseg_ros.weights.table import Weights, named

FOLDER_VARIABLE = "GCSEG_WEIGHTS_DIR"
SUFFIXES = ".pt", ".pth", ".ckpt", ".safetensors", ".bin"
BLOCK = 1 << 22


class State(str, Enum):
    """What lies in the folder under a name; `UNCONFIRMED`: whole as far as is known (its sum is nowhere published)."""

    MISSING = "missing"
    TRUNCATED = "wrong size"
    DAMAGED = "wrong checksum"
    UNCONFIRMED = "unconfirmed"
    WHOLE = "whole"


def weights_folder(folder: str | Path | None = None) -> Path:
    """`folder`, else $GCSEG_WEIGHTS_DIR, else the user's cache (~/.cache/gcseg/weights). Raises UserError where there is none."""
    given = os.environ.get(FOLDER_VARIABLE) if folder is None else folder
    if given:
        return Path(os.path.expanduser(given))
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gcseg" / "weights"
    except RuntimeError:  # docker run --user 12345, without HOME
        raise UserError(
            f"Weights are kept in the user's home folder, and this user has none: set {FOLDER_VARIABLE} to a folder."
        ) from None


def locate(name: str | Path, folder: str | Path | None = None) -> Path:
    """The file of weights: by a name of the table, in `weights_folder(folder)`, or any other file by its path.

    Raises UserError that says which file to put where, if it is not there or its size is wrong. The checksum is looked
    at by `fetch` and `gcseg weights verify`, not here: that takes seconds.
    """
    if Path(name).is_file():
        return Path(name)
    if Path(name).name != str(name) or Path(name).suffix in SUFFIXES:
        raise UserError(f"There is no file {name}: give the file of weights, or a name of `gcseg weights list`.")
    entry = named(str(name))
    file = weights_folder(folder) / entry.file
    where = "" if folder is None else f" --weights-dir {shlex.quote(str(file.parent))}"
    fetch = f"`gcseg weights fetch {entry.name}{where}`"
    if not file.is_file():
        raise UserError(
            f"The weights {entry.name} are not in {file.parent}: run {fetch}, or put {entry.url} at {file}."
        )
    size = file.stat().st_size
    if entry.size is not None and size != entry.size:
        raise UserError(
            f"{file} has {size} bytes instead of {entry.size}, so it is no whole copy of {entry.name}: delete it and run "
            f"{fetch}, or put {entry.url} there."
        )
    return file


def state_of(entry: Weights, file: Path) -> State:
    """Size and checksum of a file against the table; reads all of it."""
    if not file.is_file():
        return State.MISSING
    if entry.size is not None and file.stat().st_size != entry.size:
        return State.TRUNCATED
    if entry.sha256 is None:
        return State.UNCONFIRMED
    return State.WHOLE if sha256(file) == entry.sha256 else State.DAMAGED


def sha256(file: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
