"""How the commands of the training end: one sentence and an exit status, as `gcseg` does."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from gcseg_ros.cli import Signals, exit_status, explanation


def run(command: Callable[..., Any], arguments: list[str] | None = None) -> int:
    """Run a typer command with these arguments (default: the process's): the exit status. --debug shows where an error came from."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    app = typer.Typer(add_completion=False)
    app.command()(command)
    with Signals() as signals:
        try:
            status = app([a for a in arguments if a != "--debug"], standalone_mode=False)
            if signals.status:
                raise KeyboardInterrupt  # typer has made a status of it
            return status if isinstance(status, int) else 0
        except BaseException as error:
            if debug:
                traceback.print_exc()
            sentence = "Interrupted." if signals.status else explanation(error)
            if sentence:
                print(f"error: {sentence}", file=sys.stderr)
            return signals.status or exit_status(error)
