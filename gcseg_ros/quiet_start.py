"""Ctrl-C while a program of this package is still importing ends it quietly. Importing this module, before others, is all there is to it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.argv[0]).stem if sys.argv else ""


def leave(*_: Any) -> None:
    """At once: nothing has been opened yet, and an interrupted import has no end that one could handle."""
    # a launch file takes another status of a node for a failure
    os._exit(0 if PROGRAM.endswith("_node") else 128 + signal.SIGINT)


# a test or another program that imports this package keeps its own way with signals
if (PROGRAM == "gcseg" or PROGRAM.endswith("_node")) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave)
