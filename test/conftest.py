"""Settings for every test: the same examples each run, and no deadline while numba compiles."""

from hypothesis import settings

settings.register_profile("gcseg_ros", deadline=None, derandomize=True)
settings.load_profile("gcseg_ros")
