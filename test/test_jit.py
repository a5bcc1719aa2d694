"""What numba has cached is taken as long as nothing of what was compiled in has changed."""

import importlib
import sys

import pytest

NOISE = "from gcseg_ros.jit import njit\n\nLIMIT = {limit}\n\n\n@njit\ndef noise():\n    return {noise}\n"
USE = """from noise_of_test import LIMIT, noise
from gcseg_ros.jit import njit


@njit
def through():
    return noise()


@njit
def use():
    return through() + LIMIT
"""


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Writes and imports two modules, as a new process would: the second compiles in what is of the first."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "use_of_test.py").write_text(USE)

    def written_and_imported(noise, limit):
        (tmp_path / "noise_of_test.py").write_text(NOISE.format(noise=noise, limit=limit))
        importlib.invalidate_caches()
        for name in ("noise_of_test", "use_of_test"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module("use_of_test").use

    return written_and_imported


def test_a_change_of_another_file_is_compiled_anew(imported):
    assert imported("1.5", "10.0")() == 11.5
    again = imported("1.5", "10.0")
    assert again() == 11.5
    assert sum(again.stats.cache_hits.values()) == 1
    assert imported("2.25", "10.0")() == 12.25
    assert imported("2.25", "20.50")() == 22.75
