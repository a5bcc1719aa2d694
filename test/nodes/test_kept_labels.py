"""Labels that are kept until the map is saved. No ROS."""

import shutil
import tempfile

import numpy as np
import pytest

from gcseg_ros.nodes.kept_labels import KeptLabels
from gcseg_ros.tracked_labels import read_labels

LABELS = np.arange(12, dtype=np.uint16).reshape(3, 4)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def said():
    return []


@pytest.fixture
def kept(temporary, said):
    return KeptLabels(said.append)


def test_what_was_added_is_there_until_it_is_cleared(kept, temporary, said):
    for i in (0, 1):
        kept.add(f"{i:06d}", i, LABELS + i)
    for i, file in enumerate(kept.files()):
        name, index, labels = read_labels(file)
        assert (name, index) == (f"{i:06d}", i)
        np.testing.assert_array_equal(labels, LABELS + i)
    kept.clear()
    assert (kept.files(), list(temporary.iterdir()), said) == ([], [], [])


def test_nothing_is_written_before_there_are_labels(kept, temporary):
    assert kept.files() == []
    assert list(temporary.iterdir()) == []


def test_a_folder_that_somebody_removed_is_made_again(kept, temporary):
    kept.add("000000", 0, LABELS)
    (folder,) = temporary.iterdir()
    shutil.rmtree(folder)
    assert kept.files() == []
    kept.add("000001", 1, LABELS)
    assert [file.name.split(".")[0] for file in kept.files()] == ["000001"]
    shutil.rmtree(kept.files()[0].parent)
    kept.clear()


def test_where_no_temporary_file_can_be_made_that_is_said_once(kept, temporary, said):
    temporary.rmdir()
    kept.add("000000", 0, LABELS)
    kept.add("000001", 1, LABELS)
    assert len(said) == 1
    assert f"lost from frame 000000 on: {temporary}" in said[0]
    assert "TMPDIR" in said[0]
    temporary.mkdir()
    kept.add("000002", 2, LABELS)
    assert len(kept.files()) == 1


def test_a_full_disk_is_said_by_its_folder(kept, temporary, said):
    kept.add("000000", 0, LABELS)
    (folder,) = temporary.iterdir()
    (folder / kept.files()[0].name.replace("000000", "000001")).symlink_to("/dev/full")
    kept.add("000001", 1, LABELS)
    assert said[0].startswith(f"Labels of frames are lost from frame 000001 on: {folder}: No space left on device;")
    assert len(kept.files()) == 1


def test_a_disk_is_not_filled(kept, temporary, said, monkeypatch):
    disk = shutil.disk_usage(temporary)
    for total, free, kept_then in ((10**12, 1.1e9, 1), (10**12, 0.9e9, 1), (10**9, 0.1e9, 2), (10**9, 0.04e9, 2)):
        now = disk._replace(total=total, free=int(free))
        monkeypatch.setattr(shutil, "disk_usage", lambda _, now=now: now)
        kept.add(f"{len(kept.files()):06d}", 0, LABELS)
        assert len(kept.files()) == kept_then
    (sentence,) = said
    assert "lost from frame 000001 on: " in sentence
    assert ": less than 1 GB is free on the disk; free some space" in sentence


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_holds_stays(kept, temporary):
    kept.add("000000", 0, LABELS)
    (held,) = temporary.iterdir()
    killed = temporary / "gcseg_kept_labels_of_the_dead"
    killed.mkdir()
    (killed / "000000.npy.z").touch()
    (temporary / "gcseg_other").mkdir()
    KeptLabels(print)
    assert {path.name for path in temporary.iterdir()} == {held.name, "gcseg_other"}
    assert len(kept.files()) == 1
