"""How a command ends: one sentence and an exit status, whatever happens, Ctrl-C too."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import typer

from gcseg_ros.errors import UserError

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
NO_FOLDER = (NotADirectoryError, FileExistsError, PermissionError)
REFUSED = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO
INTERRUPTED = 128 + signal.SIGINT
ABORTED = "Aborted: nothing unfinished was written."
BUG = (
    "This is a mistake in gcseg_ros, not yours: please report it with the output of `gcseg doctor` and of this "
    "command with --debug"
)


def ended(
    signals: Signals,
    work: Callable[[], Any],
    say: Callable[[str], None],
    debug: bool = False,
    explained: tuple[type[BaseException], ...] = (BaseException,),
) -> int:
    """Do the work, within `signals`: the exit status, which is the work's own if it gives one.

    say        is given one sentence about an error, or about the signal that ended the work
    debug      print an error's traceback as well
    explained  errors that are a sentence; others are raised
    """
    try:
        status = work()
        if signals.status:
            raise KeyboardInterrupt  # it was lost on the way, or typer has made a status of it
        return status if isinstance(status, int) else 0
    except BaseException as error:
        signals.end()
        # a signal within compiled code may come out as any exception
        stopped = bool(signals.status) or isinstance(error, KeyboardInterrupt)
        if not (stopped or isinstance(error, explained)):
            raise
        if debug:
            traceback.print_exc()
        sentence = signals.aborted if stopped else explanation(error)
        if sentence:
            say(sentence)
        return signals.status or (INTERRUPTED if stopped else exit_status(error))


def print_error(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)


def plainly(
    main: Callable[[], Any],
    interrupted: str = "Interrupted: no figures are written.",
    say: Callable[[str], None] = print_error,
) -> int:
    """Run what takes its arguments itself, such as a benchmark: the exit status. What the user can put right, and Ctrl-C, is one sentence;
    the rest keeps its traceback."""
    with Signals(interrupted) as signals:
        return ended(signals, main, say, explained=(UserError, *NO_FOLDER))


def explanation(error: BaseException) -> str:
    """One sentence for the user; empty where nobody listens any more."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, USAGE_ERROR):
        command = getattr(getattr(error, "ctx", None), "command_path", "gcseg")
        return f"{error.format_message().rstrip('.')}. See {command} --help."  # type: ignore[attr-defined]
    if isinstance(error, (BrokenPipeError, SystemExit)):  # rich makes the latter of the former
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ""
    if isinstance(error, NO_FOLDER):
        return f"{error.filename} cannot be made or entered ({error.strerror}): name a folder that is free or yours."
    if is_too_long(error):
        return f"{error.filename} is no name that a file or folder can have ({error.strerror}): give a shorter one."  # type: ignore[attr-defined]
    if isinstance(error, OSError) and error.errno in REFUSED:
        return (
            f"What is printed, or a file, cannot be written ({error.strerror}): free some space, or print it elsewhere."
        )
    if isinstance(error, MemoryError):
        return "Out of memory: this takes more than is free on this machine."
    if isinstance(error, ImportError) and not (error.name or "").startswith("gcseg_ros"):
        return f"A package is missing or does not fit ({error}): `gcseg doctor` says which are to be installed."
    return f"{BUG} ({type(error).__name__}: {' '.join(str(error).split())})."


def exit_status(error: BaseException) -> int:
    """2 for what the user can put right, 1 for the rest."""
    return 2 if isinstance(error, (UserError, USAGE_ERROR, *NO_FOLDER)) or is_too_long(error) else 1


def is_too_long(error: BaseException) -> bool:
    """Whether the system knows no name as long as one that was given."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG


class Signals:
    """SIGINT and SIGTERM, within it, unwind like an error, so that what is half done is cleaned up.

    status   the exit status once that has happened
    aborted  what is then said
    asked    within `patient`: Ctrl-C was pressed once, which is a wish; the second time it unwinds
    """

    def __init__(self, aborted: str = ABORTED) -> None:
        self.status = 0
        self.aborted = aborted
        self.asked = self._patient = self._ended = False

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed. Unwinds if that has been lost on the way."""
        if self.status:
            raise KeyboardInterrupt
        return self.asked

    def end(self) -> None:
        """From here on signals are passed over: it has unwound, and what is said of it is said to the end."""
        self._ended = True

    def _receive(self, number: int, _: object) -> None:
        if self._ended:
            return
        if number == signal.SIGINT and self._patient and not self.asked:
            self.asked = True
            os.write(2, b"\nInterrupted: finishing the map of the frames so far; Ctrl-C again to abort.\n")
            return
        self.status = 128 + number
        raise KeyboardInterrupt
