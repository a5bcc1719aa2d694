"""How the ray caster's functions are compiled: cached on disk, without the interpreter's lock, one thread each."""

from numba import njit

FAST_MATH = {"contract", "reassoc", "nsz", "arcp"}

kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST_MATH)
inlined = njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST_MATH, inline="always")
