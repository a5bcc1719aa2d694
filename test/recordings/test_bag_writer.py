"""Recordings written as bags: the same frames come back, and nothing half written stays."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from recording_builders import (
    check_frames,
    make_views,
    save_matrix,
    write_scannet,
    write_scannetpp,
    write_seven_scenes,
    write_tum,
)
from rosbags.highlevel import AnyReader

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.bag_writer import write_bag

SHARED = Path(__file__).parents[2] / "../shared/data/small_house_living"


def check_same(first, second):
    """Bit for bit the same frames (a bag keeps no names)."""
    for a, b in zip(first, second, strict=True):
        assert (a.stamp_s, a.intrinsics, a.z_up) == (b.stamp_s, b.intrinsics, b.z_up)
        for part in ("colour", "depth_m", "pose"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


@pytest.mark.parametrize("options", [{}, {"storage": "sqlite3"}, {"compressed": True}])
@pytest.mark.parametrize("write", [write_scannet, write_scannetpp, write_tum, write_seven_scenes])
def test_the_bag_gives_the_same_frames(tmp_path, write, options):
    recording = open_recording(write(tmp_path / "recording", make_views()))
    assert write_bag(recording, tmp_path / "bag", **options) == 4
    check_same(recording, open_recording(tmp_path / "bag"))
    check_same(recording, open_recording(tmp_path / "bag", pose_topic="/pose"))  # the others are from TF
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "recording"]


def test_a_world_that_is_turned_is_written_as_one_with_z_up(tmp_path):
    write_seven_scenes(tmp_path / "chess", make_views(2))
    for up, world in ((None, "map_without_up"), ("y", "map")):
        bag = tmp_path / world
        write_bag(open_recording(tmp_path / "chess", up=up), bag)
        check_same(open_recording(tmp_path / "chess", up=up), open_recording(bag))
        with AnyReader([bag]) as reader:
            (poses,) = (connection for connection in reader.connections if connection.topic == "/pose")
            raw = next(iter(reader.messages([poses])))[2]
            assert reader.deserialize(raw, poses.msgtype).header.frame_id == world


def test_topics_types_and_encodings(tmp_path):
    write_bag(open_recording(write_scannet(tmp_path / "scene", make_views(2))), tmp_path / "bag")
    with AnyReader([tmp_path / "bag"]) as reader:
        assert {connection.topic: connection.msgtype for connection in reader.connections} == {
            "/tf": "tf2_msgs/msg/TFMessage",
            "/pose": "geometry_msgs/msg/PoseStamped",
            "/rgb/camera_info": "sensor_msgs/msg/CameraInfo",
            "/rgb/image": "sensor_msgs/msg/Image",
            "/depth/image": "sensor_msgs/msg/Image",
        }
        found = {}
        for connection, log_ns, raw in reader.messages():
            found.setdefault(connection.topic, (log_ns, reader.deserialize(raw, connection.msgtype)))
    assert (found["/rgb/image"][1].encoding, found["/depth/image"][1].encoding) == ("rgb8", "16UC1")
    assert found["/pose"][1].header.frame_id == "map"
    link = found["/tf"][1].transforms[0]
    assert (link.header.frame_id, link.child_frame_id) == ("map", found["/depth/image"][1].header.frame_id)
    stamp = found["/depth/image"][1].header.stamp
    assert stamp.sec * 10**9 + stamp.nanosec == found["/depth/image"][0]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_humble_can_read_the_metadata(tmp_path, storage):
    write_bag(open_recording(write_scannet(tmp_path / "scene", make_views(1))), tmp_path / "bag", storage=storage)
    information = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["version"] <= 8
    topics = [topic["topic_metadata"] for topic in information["topics_with_message_count"]]
    assert {type(topic["offered_qos_profiles"]) for topic in topics} == {str}, "Humble fails at a list"


@pytest.mark.parametrize("stamp", ["-1.0", "1305031102175.0"])
def test_stamps_that_no_bag_holds(tmp_path, stamp):
    write_tum(tmp_path / "tum", make_views(1))
    for name in ("rgb", "depth", "groundtruth"):
        file = tmp_path / f"tum/{name}.txt"
        lines = [line.split() for line in file.read_text().splitlines() if not line.startswith("#")]
        file.write_text("\n".join(" ".join([stamp, *words[1:]]) for words in lines[:1]))
    with pytest.raises(UserError, match=rf"has the stamp {stamp[:-2]} s, and a bag holds 0 to 2147483648 s"):
        write_bag(open_recording(tmp_path / "tum"), tmp_path / "bag")
    assert [path.name for path in tmp_path.iterdir()] == ["tum"]


def test_depth_finer_than_a_millimetre_is_written_as_metres(tmp_path):
    views = make_views(3)
    write_tum(tmp_path / "tum", views)
    write_bag(open_recording(tmp_path / "tum"), tmp_path / "whole_mm")
    text = (tmp_path / "tum/camera.yaml").read_text()
    (tmp_path / "tum/camera.yaml").write_text(text.replace("}", ', "depth_factor": 5001}'))
    for compressed in (False, True):
        bag = tmp_path / f"bag{compressed}"
        write_bag(open_recording(tmp_path / "tum"), bag, compressed=compressed)
        check_same(open_recording(tmp_path / "tum"), open_recording(bag))
        with AnyReader([bag]) as reader:
            (depth,) = (connection for connection in reader.connections if "depth" in connection.topic)
            raw = next(iter(reader.messages([depth])))[2]
            assert reader.deserialize(raw, depth.msgtype).encoding == "32FC1"


@pytest.mark.parametrize(("write", "encoding"), [(write_scannet, "16UC1; compressedDepth png"), (write_tum, "32FC1")])
def test_a_blank_first_frame_does_not_decide_how_depth_is_compressed(tmp_path, write, encoding):
    """TUM's depth is 1/5000 m: not the same floats as millimetres."""
    views = make_views(3)
    views[0].depth_mm[:] = 0
    recording = open_recording(write(tmp_path / "recording", views))
    write_bag(recording, tmp_path / "bag", compressed=True)
    check_same(recording, open_recording(tmp_path / "bag"))
    with AnyReader([tmp_path / "bag"]) as reader:
        (depth,) = (connection for connection in reader.connections if "depth" in connection.topic)
        message = reader.deserialize(next(iter(reader.messages([depth])))[2], depth.msgtype)
        assert (message.format if hasattr(message, "format") else message.encoding) == encoding


def test_the_bag_that_is_read_is_not_replaced(tmp_path):
    views = make_views(1)
    write_bag(open_recording(write_scannet(tmp_path / "scene", views)), tmp_path / "bag")
    for path in (tmp_path / "bag", tmp_path / "bag/bag.mcap"):
        with pytest.raises(UserError, match="bag is the bag that is read: choose another name"):
            write_bag(open_recording(path), tmp_path / "bag", overwrite=True)
    check_frames(open_recording(tmp_path / "bag"), views)


def test_skipped_frames_are_not_written_and_progress_counts_them(tmp_path):
    views = make_views(4)
    write_scannet(tmp_path / "scene", views)
    save_matrix(tmp_path / "scene/pose/000001.txt", np.full((4, 4), np.nan))
    calls = []
    assert (
        write_bag(open_recording(tmp_path / "scene"), tmp_path / "bag", progress=lambda *call: calls.append(call)) == 3
    )
    check_frames(open_recording(tmp_path / "bag"), [views[0], views[2], views[3]])
    assert [total for _, total in calls] == [4, 4, 4]
    assert calls[-1][0] == 4


def test_an_existing_output_is_kept_unless_told(tmp_path):
    views = make_views(2)
    recording = open_recording(write_scannet(tmp_path / "scene", views))
    write_bag(recording, tmp_path / "bag")
    with pytest.raises(UserError, match=r"bag exists: choose another name or allow overwriting"):
        write_bag(recording, tmp_path / "bag")
    write_bag(recording, tmp_path / "bag", overwrite=True)
    check_frames(open_recording(tmp_path / "bag"), views)
    with pytest.raises(UserError, match=r"scene exists: it is not a bag"):
        write_bag(recording, tmp_path / "scene", overwrite=True)
    check_frames(recording, views)


@pytest.mark.parametrize("folder", ["dataset", "bag"])
def test_what_is_not_a_bag_s_is_not_replaced(tmp_path, folder):
    """A data set with a metadata.yaml of its own, and notes beside a bag."""
    recording = open_recording(write_scannet(tmp_path / "scene", make_views(1)))
    write_bag(recording, tmp_path / "bag")
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/metadata.yaml").write_text("title: my data\n")
    (tmp_path / folder / "notes.txt").write_text("precious")
    with pytest.raises(
        UserError, match=r"exists: (it is not a bag|beside a bag it holds notes.txt, which would be lost); choose"
    ):
        write_bag(recording, tmp_path / folder, overwrite=True)
    assert (tmp_path / folder / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize("error", [UserError("broken"), KeyboardInterrupt(), RuntimeError("bug")])
def test_nothing_half_written_stays(tmp_path, monkeypatch, error):
    recording = open_recording(write_scannet(tmp_path / "scene", make_views(2)))
    write_bag(recording, tmp_path / "bag")
    frames = list(recording)

    def interrupted(self):
        yield frames[0]
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(type(recording), "__iter__", interrupted)
        with pytest.raises(type(error)):
            write_bag(recording, tmp_path / "bag", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "scene"]
    check_same(recording, open_recording(tmp_path / "bag"))


def test_an_output_that_cannot_be_written(tmp_path):
    recording = open_recording(write_scannet(tmp_path / "scene", make_views(1)))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_bag(recording, tmp_path / "file/bag")
    with pytest.raises(UserError, match="storage is mcap or sqlite3; found 'zip'"):
        write_bag(recording, tmp_path / "bag", storage="zip")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared recordings are not here")
def test_a_rendered_walk_survives(tmp_path):
    walk = open_recording(SHARED)
    walk.files = walk.files[:8]
    write_bag(walk, tmp_path / "bag")
    bag = open_recording(tmp_path / "bag")
    check_same(walk, bag)
    assert [frame.name for frame in bag] == [files.name for files in walk.files]
