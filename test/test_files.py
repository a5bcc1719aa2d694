import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path, read_arrays, read_json, resolved, sole_writer, write_json_atomic


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
    for place in (".", "", "/"):
        with pytest.raises(UserError, match=r"cannot be written: it is a folder; name a file"), atomic_path(place):
            pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written: it is a folder; name a file"):  # noqa: SIM117
        with atomic_path(tmp_path / "folder"):
            pass
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_atomic_path_writes_where_a_link_leads(tmp_path):
    (tmp_path / "disk").mkdir()
    for link, target in (("page.html", "disk/page-1.txt"), ("folder", "disk")):
        (tmp_path / link).symlink_to(target)
    for place, content in (("page.html", "made"), ("page.html", "replaced"), ("folder/page-1.txt", "again")):
        with atomic_path(tmp_path / place) as temporary:
            assert temporary.suffix == (tmp_path / place).suffix
            temporary.write_text(content)
        assert (tmp_path / "page.html").is_symlink()
        assert (tmp_path / "disk" / "page-1.txt").read_text() == content
    assert os.listdir(tmp_path / "disk") == ["page-1.txt"]


def test_links_that_lead_in_a_circle(tmp_path):
    for link, target in (("a", "b"), ("b", "a"), ("dangling", "nothing"), ("good", ".")):
        (tmp_path / link).symlink_to(target)
    for place in ("a", "b/c"):
        with pytest.raises(UserError, match=f"{place} is a link, or within one, that leads in a circle"):
            resolved(tmp_path / place)
        with pytest.raises(UserError, match="leads in a circle"), sole_writer(tmp_path / place):
            pass
    assert resolved(tmp_path / "dangling") == tmp_path / "nothing"
    assert resolved(tmp_path / "good" / "new" / "er") == tmp_path / "new" / "er"


def test_atomic_path_replaces_no_device(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for place in ("pipe", "null"):
        with pytest.raises(UserError, match=f"{place} cannot be written: it is a device or a pipe"):  # noqa: SIM117
            with atomic_path(tmp_path / place) as temporary:
                temporary.touch()
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "null").is_char_device()


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


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_as_they_were_written(tmp_path, save):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.array("text"), "c": np.zeros(0, np.float32)}
    save(tmp_path / "a.npz", **arrays)
    for names in (None, ("a", "c", "d")):
        read = read_arrays(tmp_path / "a.npz", names, 1000)
        assert read.keys() == {name for name in arrays if names is None or name in names}
        assert all(array.dtype == arrays[name].dtype and (array == arrays[name]).all() for name, array in read.items())


def test_arrays_take_no_more_memory_than_the_file_or_what_is_allowed(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(50_000_000, np.uint8), b=np.arange(3))
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    tracemalloc.start()
    for most in (0, 49_999_999):
        with pytest.raises(UserError, match=r"a\.npz is not a whole NPZ .*compressed arrays of 50,000,\d+ bytes"):
            read_arrays(tmp_path / "a.npz", most=most)
    assert read_arrays(tmp_path / "a.npz", ("b",), 1000)["b"].tolist() == [0, 1, 2]
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert read_arrays(tmp_path / "a.npz", most=51_000_000)["a"].size == 50_000_000


def damaged(file, change):
    """Of an archive's directory of contents, change bytes from `change[0]` on of each entry."""
    data, at = bytearray(file.read_bytes()), 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + change[0] : at + change[0] + len(change[1])] = change[1]
        at += 4
    file.write_bytes(data)


@pytest.mark.parametrize("change", [(8, b"\x01"), (10, b"\x63"), (10, b"\x0e"), (10, b"\x08"), (24, b"\0\0\0\0")])
def test_arrays_of_a_damaged_archive(tmp_path, change):
    """Encrypted, compressed in ways that there are not or that it is not, shorter than it says."""
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    damaged(tmp_path / "a.npz", change)
    with pytest.raises(UserError, match=r"a\.npz "):
        read_arrays(tmp_path / "a.npz")


def test_other_files_are_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.txt", "text")
    np.save(tmp_path / "b.npy", np.zeros(3))
    for name in ("a.npz", "b.npy", "none.npz", ""):
        with pytest.raises(UserError, match=r"cannot be read|is not a whole NPZ"):
            read_arrays(tmp_path / name)
