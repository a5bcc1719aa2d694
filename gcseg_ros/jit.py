"""How this package compiles its per-pixel loops: cached on disk, releasing the GIL, C's division."""

from functools import partial
from typing import Any

import numba

njit: Any = partial(numba.njit, cache=True, nogil=True, error_model="numpy")
