"""Where commands print. Texts come out as they are: no emoji for `:key:`, no colours for numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

console = Console(highlight=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False)


def print_line(text: str, style: str = "", to: Console = console) -> None:
    """As it is: nothing in it is markup, and no line is broken."""
    to.print(text, style=style, markup=False, soft_wrap=True)


def print_table(table: Table) -> None:
    """On stdout; in a file or a pipe as wide as it is by nature."""
    if not console.is_terminal:
        table.width = console.measure(table, options=console.options.update(width=10_000)).maximum
    console.print(table, crop=False)


@contextmanager
def progress(what: str, total: int | None = None, unit: str = "") -> Iterator[Callable[..., None]]:
    """A bar on stderr, only on a terminal. Gives `advance(done, of=None, text="")`: how many are done, of how many, and
    what is shown beside it; else, where `unit` says what they are, how many come in a second."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.fields[text]}", markup=False)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(what, total=total, text="")

        def advance(done: int, of: int | None = None, text: str = "") -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.1f} {unit}/s" if speed and unit else ""
            bar.update(task, completed=done, total=of, text=text or rate)

        yield advance
