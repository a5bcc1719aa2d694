"""What numba has cached is taken as long as nothing of what was compiled in has changed; without it, loops are compiled."""

import importlib
import sys

import numba
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
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
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


def test_an_installed_package_has_its_machine_code_in_the_users_cache(tmp_path, monkeypatch):
    """Beside it pip uninstall would leave it, and a checkout that is installed then would not be found for the folder."""
    package = tmp_path / "site-packages" / "installed_of_test"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(NOISE.format(noise="1.5", limit="1.0"))
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert importlib.import_module("installed_of_test").noise() == 1.5
    assert [file.name for file in package.iterdir()] == ["__init__.py"]
    assert list((tmp_path / "cache").rglob("*.nbc"))


@pytest.mark.parametrize("content", [b"", b"\0" * 400, b"whole, but for its end"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_cache_is_compiled_anew_and_mended(imported, tmp_path, kind, content):
    assert imported("1.5", "10.0")() == 11.5
    files = list((tmp_path / "__pycache__").glob(f"use_of_test.use-*.{kind}"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:-9] if content.startswith(b"whole") else content)
    anew = imported("1.5", "10.0")
    assert anew() == 11.5
    assert sum(anew.stats.cache_hits.values()) == 0
    again = imported("1.5", "10.0")
    assert again() == 11.5
    assert sum(again.stats.cache_hits.values()) == 1


def test_where_no_cache_can_be_written_loops_are_compiled(imported, tmp_path, monkeypatch):
    (tmp_path / "__pycache__").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "__pycache__"))
    assert imported("1.5", "10.0")() == 11.5
    assert (tmp_path / "__pycache__").read_bytes() == b""


def test_a_cache_that_cannot_be_written_any_more_is_done_without(imported, tmp_path):
    use = imported("1.5", "10.0")
    (tmp_path / "__pycache__").rmdir()
    (tmp_path / "__pycache__").touch()
    assert use() == 11.5
