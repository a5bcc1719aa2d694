"""The one exception that a user is meant to read, and what its sentences have in common."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can put right. The message is one sentence: what was expected, what was found, what to do.

    The command line prints it and exits with status 2; a node logs it. In between it is caught only where work goes on
    without what failed, which is then counted or told, or to say more of where it happened.
    """


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """What to do where a name is not known: take the one that is most like it, or what `otherwise` says."""
    close = get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]}?" if close else otherwise


def quoted(said: object, most: int = 160) -> str:
    """The first sentence of what a package says, an error or a text, in one line and without its full stop; a long one
    ends at a word."""
    first = re.split(r"(?<=\w)\.\s", str(said).strip(), maxsplit=1)[0].rstrip(".")
    return textwrap.shorten(first, most, placeholder=" ...")
