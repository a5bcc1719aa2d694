"""Recognition of formats, options, counting of left-out frames, reading ahead."""

import itertools
import os
import threading
from pathlib import Path

import pytest
from recording_builders import make_views, write_scannet, write_seven_scenes, write_tum

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import formats, open_recording, prefetch


def test_formats_are_found_by_themselves():
    found = formats()
    names = [kind.format for kind in found]
    assert names == sorted(names)
    assert {"rosbag", "scannet", "scannet_sens", "scannetpp", "seven_scenes", "tum"} <= set(names)
    assert all(kind.expects for kind in found)


def test_no_format_recognises_what_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "nothing", Path("nothing.txt")):
        assert [kind.format for kind in formats() if kind.recognises(path)] == []


@pytest.mark.parametrize("name", ["nothing", "nothing.mcap", "nothing.sens", "scene/deep"])
def test_a_path_that_does_not_exist(tmp_path, name):
    with pytest.raises(UserError, match=r"There is no recording at .*: no such file or folder"):
        open_recording(tmp_path / name)


def test_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match=r"is empty: expected a recording \(.*scannet"):
        open_recording(tmp_path)


def test_an_unknown_folder_and_file_list_what_is_known(tmp_path):
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UserError, match=r"No known recording format fits .*scannet: color/NAME.jpg"):
            open_recording(path)


def test_a_folder_beside_a_recording_gets_a_hint(tmp_path):
    for name in ("kitchen", "office"):
        write_scannet(tmp_path / name, make_views(1))
    with pytest.raises(UserError, match="it holds the recordings kitchen, office: give one of them"):
        open_recording(tmp_path)
    for part in ("color", "color/000000.png"):
        with pytest.raises(UserError, match="office is a recording: give that"):
            open_recording(tmp_path / "office" / part)


@pytest.mark.parametrize("write", [write_scannet, write_seven_scenes, write_tum])
@pytest.mark.parametrize(
    "beside", [["results/x.png", "traj.txt"], ["odometry.csv"], ["keyframes/images/1.png"], ["results/frame0.png"]]
)
def test_what_lies_beside_a_recording_does_not_make_it_another(tmp_path, write, beside):
    """Results, a robot's odometry, a SLAM's keyframes: they are no Replica, no Stray Scanner and no Polycam."""
    known = open_recording(write(tmp_path / "walk", make_views(1))).format
    for name in beside:
        (tmp_path / "walk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "walk" / name).touch()
    assert open_recording(tmp_path / "walk").format == known


@pytest.fixture
def no_root():
    """Root may read everything: be nobody for a while."""
    formats()  # what is imported late is imported now
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_neighbours_that_may_not_be_read_are_no_hint(tmp_path, monkeypatch, request):
    disk = tmp_path / "disk"  # the folders above are root's
    write_scannet(disk / "office", make_views(1))
    (disk / "lost+found").mkdir(mode=0)
    (disk / "notes.txt").touch()
    for folder in (disk, disk / "office"):
        folder.chmod(0o755)
    monkeypatch.chdir(disk)
    request.getfixturevalue("no_root")
    with pytest.raises(UserError, match="it holds the recordings office: give one of them"):
        open_recording(".")
    with pytest.raises(UserError, match=r"No known recording format fits notes.txt;"):
        open_recording("notes.txt")


def test_options_that_are_none_are_as_if_not_given(tmp_path):
    write_scannet(tmp_path, make_views(1))
    assert len(open_recording(tmp_path, poses=None, rgb_topic=None)) == 1
    with pytest.raises(UserError, match="is a scannet recording, which has no option 'rgb_topic'; its options: poses"):
        open_recording(tmp_path, rgb_topic="/rgb")


def test_the_name_is_that_of_the_folder_however_it_is_written(tmp_path, monkeypatch):
    write_scannet(tmp_path / "scene", make_views(1))
    monkeypatch.chdir(tmp_path / "scene")
    assert open_recording(".").name == "scene"


def test_prefetch_gives_the_same_items_and_the_error_in_order():
    def items():
        yield from range(5)
        raise UserError("broken")

    ahead = prefetch(items())
    assert list(itertools.islice(ahead, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="broken"):
        next(ahead)


def test_prefetch_ends_its_thread_when_it_is_left_early():
    ahead = prefetch(itertools.count(), 2)
    assert next(ahead) == 0
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
