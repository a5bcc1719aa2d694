"""Settings for every test, and for the processes that it starts: the same examples each run, and no deadline while numba compiles."""

import os

from hypothesis import settings

# Of numpy, torch and scikit-learn, before they are imported: where tests run side by side, more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("gcseg_ros", deadline=None, derandomize=True)
settings.load_profile("gcseg_ros")
