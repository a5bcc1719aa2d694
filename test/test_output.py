import json
import os
import resource
import signal
import stat
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcseg_ros import output
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.tracking import read_labels
from gcseg_ros.files import atomic_path
from gcseg_ros.instances.export import read_instance_map
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance
from gcseg_ros.output import LABELS, OLD, PART, SPARE, OutputFolder, is_output, recover
from gcseg_ros.retrieval.views import VIEWS
from gcseg_ros.state import STATE
from gcseg_ros.tracked_labels import write_labels


@pytest.fixture
def instances():
    points = np.random.default_rng(0).uniform(0, 1, (200, 3)).astype(np.float32)
    ids = (np.arange(200) % 3).astype(np.int32)
    box = np.zeros(3), np.eye(3), np.ones(3)
    objects = [
        ObjectInstance(i, 67, np.zeros(3), (np.zeros(3), np.ones(3)), box, 0.5, "a", "b", "active") for i in (1, 2)
    ]
    colours = np.full((200, 3), 99, np.uint8)
    return InstanceMap(points, colours, ids, np.ones(200, np.float32), objects, np.array([0, 2, 1, 2]))


def write(path, instances, overwrite=True, **summary):
    with OutputFolder(path, overwrite) as folder:
        folder.add("000007", 0, np.array([[0, 1, 2], [3, 3, 9]], np.uint16))
        folder.finish(instances, summary)


def parts_beside(path):
    return [p.name for p in path.parent.iterdir() if p != path]


def test_everything_is_there_and_can_be_read(tmp_path, instances):
    out = tmp_path / "new" / "out"
    write(out, instances, frames=1, odd=np.float32(0.5))
    assert sorted(p.name for p in out.iterdir()) == [
        "instances.json",
        "instances.ply",
        "labels",
        "picture.png",
        "summary.json",
    ]
    back = read_instance_map(out)
    assert np.array_equal(back.points, instances.points)
    assert [found.id for found in back.objects] == [1, 2]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == 1
    assert summary["odd"] == 0.5
    assert {"gcseg_ros", "python", "numpy", "opencv"} <= summary.keys()
    assert cv2.imread(str(out / "picture.png")).shape[2] == 3
    assert parts_beside(out) == []


def test_labels_get_the_ids_of_the_finished_map(tmp_path, instances):
    write(tmp_path / "out", instances)
    labels = cv2.imread(str(tmp_path / "out" / "labels" / "000007.png"), cv2.IMREAD_UNCHANGED)
    assert labels.dtype == np.uint16
    assert labels.tolist() == [[0, 2, 1], [2, 2, 0]], "9 is no tracked id of this map"


def test_an_id_that_was_given_anew_is_nothing_in_the_frames_before(tmp_path, instances):
    with OutputFolder(tmp_path / "out") as folder:
        for index in (6, 7):
            folder.add(str(index), index, np.array([[0, 1, 2, 3]], np.uint16))
        folder.finish(replace(instances, since=np.array([0, 0, 7, 5])), {})
    images = [cv2.imread(str(tmp_path / f"out/labels/{index}.png"), cv2.IMREAD_UNCHANGED).tolist() for index in (6, 7)]
    assert images == [[[0, 2, 0, 2]], [[0, 2, 1, 2]]]


def test_labels_that_were_written_elsewhere_stay_there(tmp_path, instances):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_labels(elsewhere, "000007", 0, np.array([[0, 1, 2]], np.uint16))
    for _ in range(2):
        with OutputFolder(tmp_path / "out") as folder:
            (file,) = elsewhere.iterdir()
            folder.add_file(file)
            folder.finish(instances, {})
        assert cv2.imread(str(tmp_path / "out/labels/000007.png"), cv2.IMREAD_UNCHANGED).tolist() == [[0, 2, 1]]


def test_a_full_disk_leaves_out_labels_that_were_written_elsewhere_and_not_the_map(tmp_path, instances):
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    for name in ("000007", "000008", "000009"):
        write_labels(elsewhere, name, 0, np.array([[0, 1, 2]], np.uint16))
    with OutputFolder(out) as folder:
        for number, file in enumerate(sorted(elsewhere.iterdir())):
            folder.add_file(file)
            if number == 0:
                (labels,) = tmp_path.glob(".out.*/labels")
                (labels / "000008.npy.z").symlink_to("/dev/full")
        folder.finish(instances, {})
    assert not (out / "labels").exists()
    assert len(read_instance_map(out).objects) == 2
    summary = json.loads((out / "summary.json").read_text())
    assert "the disk is full" in summary["notes"][-1]
    assert not summary["complete"]


@pytest.mark.parametrize(
    ("blocks", "left_out"),
    [(3, []), (2, [LABELS]), (1, [LABELS, VIEWS]), (0, [LABELS, VIEWS, STATE])],
)
@pytest.mark.parametrize("late", [False, True])
def test_a_full_disk_costs_what_is_worth_less_than_the_map(tmp_path, instances, monkeypatch, blocks, late, left_out):
    """The disk has room for so many of label images, views and state, beside the map; it is full at once, or when that is written."""
    out, room = tmp_path / "out", 9

    def on_disk(path):
        there = [name for name in SPARE if name == path.name or (path.parent / name).exists()]
        with atomic_path(path) as temporary:
            (Path("/dev/full") if len(there) > room else temporary).write_bytes(b"one byte more")

    monkeypatch.setattr(output, "write_views", lambda path, views: on_disk(path))
    write_map = output.write_instances_ply
    monkeypatch.setattr(output, "write_instances_ply", lambda path, what: (on_disk(path), write_map(path, what)))
    with OutputFolder(out) as folder:
        folder.add("000007", 0, np.array([[0, 1, 2]], np.uint16))
        room = room if late else blocks
        folder.add_state(on_disk)
        folder.add_views(["a view"])
        room = blocks
        folder.finish(instances, {})
    assert [name for name in SPARE if not (out / name).exists()] == left_out
    assert len(read_instance_map(out).objects) == 2
    summary = json.loads((out / "summary.json").read_text())
    assert all(SPARE[name] in summary["notes"][-1] for name in left_out)
    assert summary.get("complete", True) == (not left_out)


def test_a_full_disk_does_not_cost_the_only_saved_map(tmp_path, instances):
    def save(path):
        with atomic_path(path):
            Path("/dev/full").write_bytes(b"one byte more")

    out = tmp_path / "out"
    with OutputFolder(out) as folder:
        folder.add_state(lambda path: path.write_text("all of it"))
        folder.finish(instances, {})
    with (
        OutputFolder(out) as folder,
        pytest.raises(UserError, match="out cannot be written, because the disk is full: free"),
    ):
        folder.add_state(save)
    assert (out / STATE).read_text() == "all of it"


def test_folders_have_names_of_any_bytes(tmp_path, instances):
    out = tmp_path / os.fsdecode(b"out\xff")
    write(out, instances)
    assert read_labels(out / "labels" / "000007.png").tolist() == [[0, 2, 1], [2, 2, 0]]
    assert len(read_instance_map(out).objects) == 2


def test_labels_that_the_disk_does_not_take(tmp_path, instances):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with OutputFolder(tmp_path / "out") as folder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        try:
            with pytest.raises(
                UserError, match=r"labels of frame 000007 cannot be written beside .*out: File too large; free"
            ):
                folder.add("000007", 0, np.zeros((9, 9), np.uint16))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_without_labels(tmp_path, instances):
    with OutputFolder(tmp_path / "out") as folder:
        folder.finish(instances, {})
    assert not (tmp_path / "out" / "labels").exists()
    assert is_output(tmp_path / "out")


def test_an_earlier_result_is_replaced_and_the_users_own_files_stay(tmp_path, instances):
    out = tmp_path / "out"
    write(out, instances, run=1)
    (out / "labels" / "stale.png").write_text("")
    (out / "notes.txt").write_text("mine")
    (out / "mine").mkdir()
    write(out, instances, run=2)
    assert json.loads((out / "summary.json").read_text())["run"] == 2
    assert [p.name for p in (out / "labels").iterdir()] == ["000007.png"]
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "mine").is_dir()
    assert parts_beside(out) == []
    with pytest.raises(UserError, match="earlier result"):
        OutputFolder(out, overwrite=False)


def test_labels_that_were_moved_and_linked_stay_where_they_are(tmp_path, instances):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    write(out, instances, run=1)
    (out / "labels").rename(elsewhere)
    (out / "labels").symlink_to(elsewhere)
    (out / "notes.txt").write_text("mine")
    write(out, instances, run=2)
    assert json.loads((out / "summary.json").read_text())["run"] == 2
    assert not (out / "labels").is_symlink()
    assert [p.name for p in elsewhere.iterdir()] == ["000007.png"]
    assert (out / "notes.txt").read_text() == "mine"
    assert parts_beside(out) == ["elsewhere"]


@pytest.mark.parametrize("content", [None, "", "[]", "3", '{"frames": 1}', "{"])
def test_folders_of_others_are_refused(tmp_path, instances, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    if content is not None:
        (out / "summary.json").write_text(content)
    with pytest.raises(UserError, match="did not write"):
        write(out, instances)
    assert (out / "thesis.tex").exists()
    assert parts_beside(out) == []


def test_an_empty_folder_is_taken_and_a_link_followed(tmp_path, instances):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write(tmp_path / "link", instances)
    assert (tmp_path / "link").is_symlink()
    assert is_output(tmp_path / "there")


def test_files_and_the_current_folder_are_refused(tmp_path, instances, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        write(tmp_path / "file", instances)
    with pytest.raises(UserError, match="cannot be"):
        write(tmp_path / "file" / "below", instances)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="current folder"):
        write(".", instances)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_is_not_finished_leaves_nothing(tmp_path, instances, error):
    out = tmp_path / "out"
    write(out, instances, run=1)
    before = sorted(p.stat().st_mtime_ns for p in out.rglob("*"))

    def fail():
        with OutputFolder(out) as folder:
            folder.add("a", 0, np.zeros((2, 2), np.uint16))
            raise error

    with pytest.raises(error):
        fail()
    assert parts_beside(out) == []
    assert sorted(p.stat().st_mtime_ns for p in out.rglob("*")) == before


def test_a_failure_while_finishing_keeps_the_earlier_result(tmp_path, instances):
    out = tmp_path / "out"
    write(out, instances, run=1)
    with pytest.raises(ValueError, match="JSON"):
        write(out, instances, run=float("nan"))
    assert json.loads((out / "summary.json").read_text())["run"] == 1
    assert parts_beside(out) == []


EMPTY = InstanceMap(*(np.zeros(shape, kind) for shape, kind in (((0, 3), "f4"), ((0, 3), "u1"), (0, "i4"), (0, "f4"))))
CHANGES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")


def killed(function, change):
    """Run `function` in a process that is killed -9 before its `change`-th change of the file system; whether it was."""
    process = os.fork()
    if process == 0:
        left = change

        def count(event, arguments):
            nonlocal left
            left -= event in CHANGES
            if left < 0 and event in CHANGES:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.parametrize("first", [True, False])
def test_killed_at_any_change_it_is_the_map_before_or_after(tmp_path, first):
    out = tmp_path / "out"

    def save(run):
        with OutputFolder(out) as folder:
            folder.add_state(lambda file: file.write_text(str(run)))
            folder.finish(EMPTY, {"run": run})

    save(0)  # what is imported late is imported now
    seen, run, change = set(), 0, 0
    if first:
        remove(out)
    else:
        (out / "notes.txt").write_text("mine")
    while True:
        before, run = run, run + 1
        died = killed(lambda: save(run), change)  # noqa: B023 - called at once
        killed(lambda: recover(out), change % 7)
        recover(out)
        assert parts_beside(out) == [], f"killed before change {change}"
        if out.exists():
            found = json.loads((out / "summary.json").read_text())["run"]
            assert (out / STATE).read_text() == str(found)
            assert found in (before, run)
            seen.add("after" if found == run else "before")
            assert first or (out / "notes.txt").read_text() == "mine"
            run = found
            if first:
                remove(out)
        else:
            assert first
            seen.add("before")
        if not died:
            break
        change += 1
    assert seen == {"before", "after"}
    assert change > 15


def remove(out):
    for file in out.iterdir():
        file.unlink()
    out.rmdir()


def test_one_output_is_written_by_one_process_at_a_time(tmp_path):
    out = tmp_path / "out"
    for i in range(8):  # what cannot be entered, as leftovers of others
        (tmp_path / f".out.{PART}{i}").symlink_to(f".out.{PART}{i}")
    with OutputFolder(out) as first:
        with pytest.raises(UserError, match="out is being written by another process: wait for it, or name another"):
            OutputFolder(out)
        write(tmp_path / "other", EMPTY)
        first.finish(EMPTY, {"run": 1})
    write(out, EMPTY, run=2)
    assert json.loads((out / "summary.json").read_text())["run"] == 2


def test_who_may_enter_the_folder_is_what_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "out", EMPTY)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


def test_recovery_leaves_alone_what_others_write_or_own(tmp_path):
    out = tmp_path / "out"
    write(out, EMPTY, run=1)
    theirs = [tmp_path / name for name in ("out.old-backup", f"out.{PART}1", f".other.{OLD}1", ".out.old")]
    for folder in theirs:
        folder.mkdir()
    with OutputFolder(out) as folder:
        folder.add("a", 0, np.zeros((2, 2), np.uint16))
        recover(out)  # another process, at the same time
        folder.finish(EMPTY, {"run": 2})
    assert json.loads((out / "summary.json").read_text())["run"] == 2
    assert all(folder.is_dir() for folder in theirs)
    recover(tmp_path / "nowhere" / "out")
