"""Settings for every test: the same examples each run, and no deadline while numba compiles."""

import pytest
from hypothesis import settings

settings.register_profile("gcseg_ros", deadline=None, derandomize=True)
settings.load_profile("gcseg_ros")


@pytest.fixture(scope="module")
def one_torch_thread():
    """Several threads of torch only wait for each other where tests run side by side."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
