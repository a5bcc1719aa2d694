"""How the commands of the training end: one sentence and an exit status, as `gcseg` does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from gcseg_ros.commands.endings import INTERRUPTED, Signals, ended, print_error


def run(command: Callable[..., Any], arguments: list[str] | None = None, interrupted: str = "Interrupted.") -> int:
    """Run a typer command with these arguments (default: the process's): the exit status. --debug shows where an error came from.

    interrupted: what is said after Ctrl-C
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    app = typer.Typer(add_completion=False)
    app.command()(command)

    def work() -> Any:
        status = app([argument for argument in arguments if argument != "--debug"], standalone_mode=False)
        if status == INTERRUPTED:
            raise KeyboardInterrupt  # typer has made a status of it
        return status

    with Signals(interrupted) as signals:
        return ended(signals, work, print_error, "--debug" in arguments)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within it the first Ctrl-C or SIGTERM is a wish: the function given tells whether there was one. The second unwinds."""
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def receive(number: int, frame: Any) -> None:
        asked.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, receive)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
