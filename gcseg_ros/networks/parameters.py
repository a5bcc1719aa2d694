"""Whether a checkpoint's parameters are those of a network; the same question for every kind of checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mismatched(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Names of parameters that only one of the two has; where there are none, of those whose shapes differ. Empty: they fit."""
    return sorted(wanted.keys() ^ given.keys()) or [name for name in wanted if wanted[name].shape != given[name].shape]
