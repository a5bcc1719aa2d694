"""How this package compiles its per-pixel loops: cached on disk, releasing the GIL, C's division."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from gcseg_ros.packages import is_installed

CONSTANTS = (bool, int, float, str, tuple, np.generic, np.ndarray)


def njit(function: Callable | None = None, **options: Any) -> Any:
    """numba's, with further `options` of it.

    numba takes what it has cached while the function's own file is the same. But what the function calls, and
    constants, are compiled in, and may be of other files: what is cached is marked with these as well. Where no folder
    can be written nothing is cached.
    """
    if function is None:
        return partial(njit, **options)
    compiled = numba.njit(nogil=True, error_model="numpy", **options)(function)
    if hasattr(compiled, "_cache"):
        with suppress(RuntimeError):  # numba finds no folder that it can write
            compiled._cache = Cache(function)
    file = _cache_file(compiled)
    if file is not None:
        parts = (file._source_stamp, *_compiled_in(function))
        file._source_stamp = hashlib.sha256(repr(parts).encode()).digest()
    return compiled


class Place(CompileResultCacheImpl):
    """Where machine code is kept: beside the code, but of an installed package in the user's cache, where that can be written.

    What pip has not installed it leaves behind, and the folder would be taken for the package when a checkout is installed next.
    """

    def __init__(self, function: Callable) -> None:
        if is_installed(inspect.getfile(function)):
            self._locator_classes = sorted(self._locator_classes, key=lambda place: "InTree" in place.__name__)
        super().__init__(function)


class Cache(FunctionCache):
    """numba's, which may fail: what it cannot read (after a power cut) or write (on a full disk) is forgotten and
    compiled anew."""

    _impl_class = Place

    def load_overload(self, *what: Any) -> Any:
        try:
            return super().load_overload(*what)
        except Exception:  # what a damaged pickle raises
            self._forget()
            return None

    def save_overload(self, *what: Any) -> None:
        try:
            super().save_overload(*what)
        except Exception:
            self._forget()

    def _forget(self) -> None:
        """An index that is gone names no older machine code either."""
        with suppress(OSError):
            Path(self._cache_file._index_path).unlink(missing_ok=True)


def _compiled_in(function: Callable) -> Iterator[tuple[str, Any]]:
    """The constants that a function uses, and the stamps of the compiled functions that it calls."""
    for name, value in sorted(inspect.getclosurevars(function).globals.items()):
        file = _cache_file(value)
        if file is not None:
            yield name, file._source_stamp
        elif isinstance(value, CONSTANTS):
            yield name, value


def _cache_file(compiled: Any) -> Any:
    """Where numba keeps the machine code of a function; it has no public name. None of anything else, and with
    NUMBA_DISABLE_JIT."""
    return getattr(getattr(compiled, "_cache", None), "_cache_file", None)
