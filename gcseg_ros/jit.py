"""How this package compiles its per-pixel loops: cached on disk, releasing the GIL, C's division."""

from functools import partial

import numba

njit = partial(numba.njit, cache=True, nogil=True, error_model="numpy")
