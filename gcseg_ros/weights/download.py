"""Downloading of weights: what was interrupted goes on where it stopped, and only what is whole gets its name."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from gcseg_ros import __version__
from gcseg_ros.errors import UserError
from gcseg_ros.weights.store import State, state_of, weights_folder
from gcseg_ros.weights.table import Weights, named

BLOCK = 1 << 20
TIMEOUT_S = 60.0
Progress = Callable[[int, "int | None"], None]


def fetch(
    name: str | Weights, folder: str | Path | None = None, progress: Progress = lambda done, total: None
) -> tuple[Path, State]:
    """The file of `name` in `weights_folder(folder)`, downloaded unless a whole one is there, and what is known of it.

    An interrupted download stays as FILE.part and is gone on with. progress: called with the bytes so far and in all
    (None: not known). Raises UserError if the network or the file does not serve; FILE is then as it was.
    """
    entry = name if isinstance(name, Weights) else named(name)
    file = weights_folder(folder) / entry.file
    state = state_of(entry, file)
    if state in (State.WHOLE, State.UNCONFIRMED):
        return file, state
    part = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _receive(entry, part, progress)
        state = state_of(entry, part)
        if state in (State.TRUNCATED, State.DAMAGED):
            part.unlink()
            raise UserError(
                f"What {entry.url} serves is not {entry.name} ({state.value}): it was thrown away; try again, or put a copy "
                f"whose SHA-256 is {entry.sha256 or 'right'} at {file}."
            )
        os.replace(part, file)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{entry.name} cannot be downloaded ({reason}): with a network run `gcseg weights fetch {entry.name}` again, it goes "
            f"on where it stopped; without one put {entry.url} at {file}."
        ) from None
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}.") from None
    return file, state


def _receive(entry: Weights, part: Path, progress: Progress) -> None:
    """Append what is missing to `part`; start anew where the server cannot go on from the middle."""
    there = part.stat().st_size if part.is_file() else 0
    if entry.size is not None and there >= entry.size:
        return
    request = urllib.request.Request(entry.url, headers={"User-Agent": f"gcseg_ros/{__version__}"})
    if there:
        request.add_header("Range", f"bytes={there}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and there:
            return  # nothing is missing, or what is there is something else: the check that follows tells
        raise
    with response:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        done = there if goes_on else 0
        coming = response.headers.get("Content-Length")
        whole = done + int(coming) if coming else None
        if response.headers.get_content_type() == "text/html" or (
            None not in (whole, entry.size) and whole != entry.size
        ):
            raise UserError(
                f"{entry.url} answers with something else than {entry.name} (a login page of the network, or the server's limit?): "
                f"open it in a browser, or put a copy at {part.with_suffix('')}."
            )
        total = entry.size if entry.size is not None else whole
        with part.open("ab" if goes_on else "wb") as stream:
            while block := response.read(BLOCK):
                stream.write(block)
                done += len(block)
                progress(done, total)
    if total is not None and done < total:
        raise UserError(
            f"The download of {entry.name} ended at {done} of {total} bytes: run `gcseg weights fetch {entry.name}` again to go "
            "on from there."
        )
