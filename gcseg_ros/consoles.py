"""Where commands print. Texts come out as they are: no emoji for `:key:`, no colours for numbers."""

from __future__ import annotations

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
