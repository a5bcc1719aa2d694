import os

import numpy as np
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path, read_json, write_json_atomic


def test_atomic_path_appears_complete_with_its_suffix(tmp_path):
    target = tmp_path / "new" / "folder" / "picture.png"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert os.listdir(target.parent) == ["picture.png"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_atomic_path_leaves_the_former_file_when_interrupted(tmp_path, interruption):
    target = tmp_path / "data.bin"
    target.write_bytes(b"former")
    with pytest.raises(interruption), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise interruption
    assert target.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["data.bin"]


def test_atomic_path_in_an_impossible_place(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"), atomic_path(tmp_path / "file" / "x.txt") as temporary:
        temporary.touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written"), atomic_path(tmp_path / "folder") as temporary:
        temporary.touch()
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_json_takes_numpy_and_paths(tmp_path):
    data = {"a": np.arange(3), "b": np.float32(0.5), "c": np.bool_(True), "d": tmp_path, "e": {2, 1}}
    write_json_atomic(tmp_path / "x.json", data)
    assert read_json(tmp_path / "x.json") == {"a": [0, 1, 2], "b": 0.5, "c": True, "d": str(tmp_path), "e": [1, 2]}


def test_json_refuses_what_other_readers_would_not_take(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomic(tmp_path / "x.json", {"a": float("nan")})
    with pytest.raises(TypeError):
        write_json_atomic(tmp_path / "x.json", {"a": object()})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_read_json_malformed(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(tmp_path / "x.json")


def test_read_json_missing(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path / "none.json")
