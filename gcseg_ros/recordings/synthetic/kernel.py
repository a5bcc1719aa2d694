"""How the ray caster's functions are compiled: as all loops of the package, with faster sums."""

from gcseg_ros.jit import njit

FAST_MATH = {"contract", "reassoc", "nsz", "arcp"}

kernel = njit(fastmath=FAST_MATH)
inlined = njit(fastmath=FAST_MATH, inline="always")
