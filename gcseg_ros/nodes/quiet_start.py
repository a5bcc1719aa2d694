"""Ctrl-C while a node's program is still importing ends it quietly. Importing this module, before others, is all there is to it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any


def leave(*_: Any) -> None:
    """At once: nothing has been opened yet, and an interrupted import has no end that one could handle."""
    os._exit(0)


# a test or another program that imports a node keeps its own way with signals
if Path(sys.argv[0]).stem.endswith("_node") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave)
