"""How a command ends: one sentence and an exit status, whatever happens, Ctrl-C too."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator

import typer

from gcseg_ros.errors import UserError

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
NO_FOLDER = (NotADirectoryError, FileExistsError, PermissionError)
FULL = errno.ENOSPC, errno.EDQUOT, errno.EIO
INTERRUPTED = 128 + signal.SIGINT
ABORTED = "Aborted: nothing unfinished was written."
BUG = (
    "This is a mistake in gcseg_ros, not yours: please report it with the output of `gcseg doctor` and of this "
    "command with --debug"
)


def plainly(main: Callable[[], None], interrupted: str = "Interrupted: no figures are written.") -> int:
    """Run what takes its arguments itself, a benchmark: the exit status. What the user can put right, and Ctrl-C, is one sentence;
    the rest keeps its traceback."""
    with Signals() as signals:
        try:
            main()
            if signals.status:
                raise KeyboardInterrupt  # it was lost on the way
            return 0
        except (UserError, *NO_FOLDER) as error:
            signals.end()
            print(f"error: {explanation(error)}", file=sys.stderr)
            return exit_status(error)
        except BaseException as error:
            signals.end()
            # a signal within compiled code may come out as any exception
            if not (signals.status or isinstance(error, KeyboardInterrupt)):
                raise
            print(f"error: {interrupted}", file=sys.stderr)
            return signals.status or INTERRUPTED


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
    if isinstance(error, OSError) and error.errno in FULL:
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

    def __init__(self) -> None:
        self.status = 0
        self.aborted = ABORTED
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
