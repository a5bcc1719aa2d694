"""`gcseg weights list | fetch | verify`."""

from __future__ import annotations

import shlex
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcseg_ros.consoles import errors, print_line, print_table
from gcseg_ros.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer(help="Weights of SAM, SAM 2, CLIP and published 3D networks: list, fetch, verify.")

Folder = Annotated[
    Path | None,
    typer.Option("--weights-dir", metavar="FOLDER", help="Default: $GCSEG_WEIGHTS_DIR, else ~/.cache/gcseg/weights."),
]


@app.command("list")
def list_(folder: Folder = None) -> None:
    """The weights that are known by name, and which of them are on this machine."""
    from rich.table import Table

    from gcseg_ros.weights import TABLE, weights_folder

    where = weights_folder(folder)
    table = Table(box=None, pad_edge=False)
    for title in ("name", "here", "size", "checksum", "licence", "what"):
        table.add_column(title, no_wrap=title != "what", justify="right" if title == "size" else "left")
    for entry in TABLE:
        size = "unknown" if entry.size is None else f"{entry.size / 1e6:.0f} MB"
        here = "yes" if (where / entry.file).is_file() else "-"
        checksum = "SHA-256" if entry.sha256 else "size only" if entry.size else "none"
        table.add_row(entry.name, here, size, checksum, entry.licence, entry.what)
    print_table(table)
    print_line(f"They are kept in {where}.")


@app.command("fetch")
def fetch_(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="One or more of `gcseg weights list`.")],
    folder: Folder = None,
) -> None:
    """Download weights; an interrupted download goes on where it stopped."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from gcseg_ros.weights import FOLDER_VARIABLE, State, fetch, named, weights_folder

    context.obj.aborted = "Aborted: the next `gcseg weights fetch` goes on where this one stopped."
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    for entry in [named(name) for name in names]:
        with Progress(*columns, TimeRemainingColumn(), console=errors, disable=not errors.is_terminal) as bar:
            task = bar.add_task(entry.name, total=entry.size)
            file, state = fetch(entry, folder, partial(_show, bar, task))
        known = "checked" if state is State.WHOLE else "its checksum is nowhere published, so it could not be checked"
        print_line(f"{entry.name}: {file} ({known}).")
    where = weights_folder(folder).resolve()
    usual = None
    with suppress(UserError):  # a user without a home
        usual = weights_folder().resolve()
    if where != usual:
        print_line(f"To have them found: export {FOLDER_VARIABLE}={shlex.quote(str(where))}")


@app.command("verify")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]", help="Default: all that are on this machine.")
    ] = None,
    folder: Folder = None,
) -> int:
    """Compare size and SHA-256 of what is on this machine with the table."""
    from gcseg_ros.weights import TABLE, State, named, state_of, weights_folder
    from gcseg_ros.weights.store import sha256

    where = weights_folder(folder)
    entries = [named(name) for name in names] if names else [e for e in TABLE if (where / e.file).is_file()]
    if not entries:
        print_line(f"There are no weights in {where}.")
    bad = 0
    for entry in entries:
        file = where / entry.file
        state = state_of(entry, file)
        bad += state not in (State.WHOLE, State.UNCONFIRMED)
        note = f", SHA-256 {sha256(file)}" if state is State.UNCONFIRMED else ""
        advice = "" if state in (State.WHOLE, State.UNCONFIRMED) else f": gcseg weights fetch {entry.name}"
        print_line(f"{entry.name}: {state.value}{note} ({file}){advice}")
    return 1 if bad else 0


def _show(bar: Progress, task: TaskID, done: int, total: int | None) -> None:
    bar.update(task, completed=done, total=total)
