"""From recordings to samples: what is written, going on, what goes wrong."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.config import load_config
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.truth import load_truth
from gcseg_ros.files import sole_writer
from gcseg_ros.recordings.synthetic import export
from offline_training import label
from offline_training.commands import run
from offline_training.labelling import engines, scene
from offline_training.labelling.samples import Entry, Sample, SampleFolder, begin, read_sample, thinned, write_sample
from offline_training.labelling.scene import Labelled, Labelling, label_scene
from offline_training.labelling.versions import versions

ROOM = "synthetic:3:bathroom:4"


def without_notes(*entries):
    return Labelled(list(entries), [])


@pytest.fixture(scope="module")
def stage1(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels") / "stage1"
    assert run(label.main, [ROOM, "-o", str(folder), "--stage", "1", "--keyframe-stride", "2"]) == 0
    return folder


def test_each_keyframe_is_a_sample_of_its_own(stage1):
    opened = SampleFolder(stage1)
    chosen = opened.choose(["fragment"])
    assert [entry.frame for entry in chosen] == ["000000", "000002"]
    sample = opened.read(chosen[0])
    assert len(np.unique(sample.instance)) > 3
    assert sample.points.dtype == np.float32
    assert chosen[0].points == len(sample)
    assert opened.protocol["mapping"]["masks"]["generator"] == "learned"
    assert opened.protocol["versions"]["numpy"]


def test_going_on_labels_only_what_is_missing(stage1, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        engines, "label_scene", lambda spec, *_: asked.append(spec) or without_notes(Entry(spec, "fragment", ""))
    )
    assert (
        run(label.main, [ROOM, "synthetic:4:bathroom:4", "-o", str(stage1), "--stage", "1", "--keyframe-stride", "2"])
        == 0
    )
    assert asked == ["synthetic:4:bathroom:4"]
    assert "has no instances" in capsys.readouterr().err
    assert run(label.main, [ROOM, "-o", str(stage1), "--stage", "1"]) == 2
    assert "another keyframe_stride" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["1", "2"])
def test_what_is_left_out_and_taken_for_granted_is_told(tmp_path, capsys, stage):
    """A folder with other poses, the first of which is lost, and with depth beyond what is mapped."""
    room = export(ROOM, tmp_path / "room", frames=3)
    np.savetxt(room / "pose_noisy" / "000000.txt", np.full((4, 4), np.nan))
    command = [str(room), "-o", str(tmp_path / "out"), "--stage", stage, "--option", "poses=pose_noisy"]
    near = ["--set", "input.depth_max_m=0.2", "--set", "masks.generator=geometric"]
    assert run(label.main, [*command, *near]) == 0
    said = capsys.readouterr().err
    assert f"{room}: 1 of 3 frames were left out: the pose is lost" in said
    assert ("Nothing is mapped: depth is taken from 0.1 m to input.depth_max_m = 0.2 m" in said) == (stage == "2")
    assert SampleFolder(tmp_path / "out").protocol["options"] == {"poses": "pose_noisy"}
    assert run(label.main, [*command[:-1], "poses", *near]) == 2
    assert "name=value" in capsys.readouterr().err


def test_scenes_are_in_the_order_of_the_command_whichever_was_ready_first(tmp_path, monkeypatch):
    """What is learned follows from their order."""
    monkeypatch.setattr(
        engines, "label_scene", lambda spec, *_: without_notes(*(Entry(spec, "map", "", frame) for frame in "ab"))
    )
    rooms = [f"synthetic:{i}:bathroom:4" for i in range(3)]
    for labelled in (rooms[1:2], rooms):
        assert run(label.main, [*labelled, "-o", str(tmp_path), "--stage", "2"]) == 0
    found = [(entry.scene, entry.frame) for entry in SampleFolder(tmp_path).entries]
    assert found == [(room, frame) for room in rooms for frame in "ab"]


def test_a_folder_takes_no_labels_of_other_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engines, "label_scene", lambda spec, *_: without_notes(Entry(spec, "map", "")))
    assert run(label.main, [ROOM, "-o", str(tmp_path), "--stage", "2"]) == 0
    file = tmp_path / "protocol.json"
    file.write_text(file.read_text().replace('"masks": "', '"masks": "0'))
    assert run(label.main, [ROOM, "-o", str(tmp_path), "--stage", "2"]) == 2
    assert "another versions" in capsys.readouterr().err
    file.write_text("[]")
    assert run(label.main, [ROOM, "-o", str(tmp_path), "--stage", "2"]) == 2
    assert "not a protocol" in capsys.readouterr().err


def test_the_protocol_tells_which_weights_are_used(tmp_path):
    """Of the masks, of propagation and of joining: a file of one's own that changes is another."""
    file = tmp_path / "sam.pth"
    used = ["masks.generator=sam", f"masks.sam.weights={file}", "propagation.method=sam2", "finishing.joining=votes"]
    used.append(f"propagation.sam2.weights={file}")
    found = []
    for content in (b"one", b"other"):
        file.write_bytes(content)
        found.append(versions(Labelling(stage=2, mapping=load_config(None, used))))
    assert {name for name in found[0] if found[0][name] != found[1][name]} == {"masks", "propagation"}
    assert "propagation" not in versions(Labelling(stage=1, mapping=load_config(None, used)))
    elsewhere = load_config(None, ["masks.generator=sam", f"foundation.weights_dir={tmp_path}"])
    with pytest.raises(UserError, match="gcseg weights fetch sam-vit-h"):
        versions(Labelling(stage=1, mapping=elsewhere))


@pytest.mark.parametrize(
    "arguments",
    [["--stage", "1", "--complete", "--every", "7"], ["--stage", "2", "--keyframe-stride", "10"]],
)
def test_options_of_the_other_stage_are_refused(arguments, tmp_path, capsys):
    assert run(label.main, [ROOM, "-o", str(tmp_path / "out"), *arguments]) == 2
    assert f"would do nothing in stage {arguments[1]}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_samples_cannot_be_finer_than_the_map(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(engines, "label_scene", lambda spec, *_: without_notes(Entry(spec, "map", "")))
    finer = [ROOM, "--stage", "2", "--voxel-m", "0.02"]
    assert run(label.main, [*finer, "-o", str(tmp_path / "a")]) == 2
    assert "--set map.voxel_m=0.02 as well" in capsys.readouterr().err
    assert run(label.main, [*finer, "-o", str(tmp_path / "a"), "--set", "map.voxel_m=0.02"]) == 0
    assert SampleFolder(tmp_path / "a").spacing_m("map") == 0.02
    assert run(label.main, [ROOM, "--stage", "2", "-o", str(tmp_path / "b")]) == 0
    by_default = SampleFolder(tmp_path / "b")
    assert (by_default.spacing_m("map"), by_default.spacing_m("complete")) == (0.03, 0.02)


def test_tracked_labels_and_the_complete_cloud(tmp_path):
    entries, _ = label_scene(ROOM, tmp_path, Labelling(stage=2, complete=True))
    assert [entry.kind for entry in entries] == ["map", "complete"]
    mapped, complete = (read_sample(tmp_path / entry.file) for entry in entries)
    assert set(np.unique(complete.instance)) <= {0, *np.unique(mapped.instance)}
    assert len(complete) > len(mapped) > 1000


def test_a_folders_truth_is_not_looked_at(tmp_path):
    room = export(ROOM, tmp_path / "room", frames=2)
    with np.load(room / "gt_cloud.npz") as file:
        arrays = dict(file)
    before, _ = label_scene(str(room), tmp_path / "a", Labelling(stage=2, complete=True))
    np.savez(room / "gt_cloud.npz", **{**arrays, "instance": arrays["instance"][::-1]})
    assert len(load_truth(room).instance)
    after, _ = label_scene(str(room), tmp_path / "b", Labelling(stage=2, complete=True))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(
            read_sample(tmp_path / "a" / one.file).instance, read_sample(tmp_path / "b" / other.file).instance
        )


def test_small_masks_are_dropped():
    assert scene.large(np.array([1, 1, 1, 2, 0]), 3).tolist() == [1, 1, 1, 0, 0]


@given(st.integers(0, 60), st.integers(0, 5))
def test_thinning_keeps_majorities(count, seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(-3, 3, (count, 3)) + 0.5
    sample = Sample(
        points.astype(np.float32), np.full((count, 3), 7, np.uint8), rng.integers(0, 3, count).astype(np.int32)
    )
    thin = thinned(sample, 1.0)
    assert len(thin) == len(np.unique(points, axis=0))
    for point, label_ in zip(thin.points, thin.instance, strict=True):
        votes = np.bincount(sample.instance[(points == point).all(1)])
        assert votes[label_] == votes.max()
    assert (thin.colours == 7).all()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip"])
def test_broken_samples(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"not a whole NPZ file.*delete all lines of its scene") as error:
        read_sample(tmp_path / "x.npz")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sample",
    [
        Sample(np.zeros((2, 3), np.float32), np.zeros((3, 3), np.uint8), np.zeros(2, np.int32)),
        Sample(np.full((2, 3), np.nan, np.float32), np.zeros((2, 3), np.uint8), np.zeros(2, np.int32)),
        Sample(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.uint8), np.array([1, -2], np.int32)),
        Sample(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.uint8), np.array([1, 0.5])),
        Sample(np.float32(0), np.uint8(0), np.int32(0)),
        Sample(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32)),
    ],
)
def test_samples_of_wrong_shapes_or_not_finite(tmp_path, sample):
    write_sample(tmp_path / "x.npz", sample)
    with pytest.raises(UserError, match=r"x\.npz"):
        read_sample(tmp_path / "x.npz")


def test_a_recording_that_cannot_be_used_does_not_stop_the_others(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        engines,
        "label_scene",
        lambda spec, *_: (
            without_notes(Entry(spec, "map", "f")) if spec.endswith("/a") else _raise(UserError("no such folder"))
        ),
    )
    assert run(label.main, ["missing", "a", "-o", str(tmp_path / "out"), "--stage", "2"]) == 2
    assert "1 of 2 scenes could not be labelled" in capsys.readouterr().err
    assert [entry.scene for entry in SampleFolder(tmp_path / "out").entries] == [str(Path("a").resolve())]


def test_a_labelling_that_fails_before_its_first_scene_leaves_the_folder_to_other_settings(
    tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    for made in (False, True):  # whether the folder was there
        assert run(label.main, ["missing", "-o", str(out), "--stage", "2"]) == 2
        assert out.exists() == made
        assert not made or not list(out.iterdir())
        out.mkdir(exist_ok=True)
    begin(out, {"stage": 1})
    write_sample(
        out / "samples/half.npz", Sample(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), np.ones(1, np.int32))
    )
    monkeypatch.setattr(engines, "label_scene", lambda spec, *_: without_notes(Entry(spec, "map", "f")))
    assert run(label.main, ["a", "-o", str(out), "--stage", "2"]) == 0, capsys.readouterr().err
    assert SampleFolder(out).protocol["stage"] == 2
    assert run(label.main, ["a", "-o", str(out), "--stage", "1"]) == 2
    assert "labelled with another stage" in capsys.readouterr().err


def _raise(error):
    raise error


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("x")
    assert run(label.main, [ROOM, "-o", str(tmp_path), "--stage", "1"]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_another_process_labels_into_is_refused(tmp_path, capsys):
    """Each would write the index without the other's scenes."""
    with sole_writer(tmp_path / "out"):
        assert run(label.main, [ROOM, "-o", str(tmp_path / "out"), "--stage", "1"]) == 2
    assert "is being written by another process" in capsys.readouterr().err
    assert not (tmp_path / "out").exists(), "nothing was written"


def test_ray_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"\[ray\]'"):
        list(engines.label_with_ray([ROOM], tmp_path, Labelling(stage=1)))


def test_a_dead_ray_worker_is_one_sentence(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="ray is not installed")
    import ray

    def die(spec, folder, settings):
        if spec == "bad":
            os._exit(1)
        return Labelled([Entry(spec, "map", "")], [])

    monkeypatch.setattr(engines, "label_scene", die)
    try:
        ray.init(num_cpus=1, log_to_driver=False, include_dashboard=False, logging_level="error")
        results = dict(engines.label_with_ray(["bad", "good"], tmp_path, Labelling(stage=1)))
    finally:
        ray.shutdown()
    assert "worker died" in results["bad"]
    assert results["good"].entries[0].scene == "good"


@pytest.mark.parametrize(
    "line", [{"what": 1}, {"scene": "a", "kind": "map", "file": 5}, {"scene": ["a"], "kind": "map", "file": ""}]
)
def test_an_index_that_is_none_is_refused(stage1, tmp_path, line):
    (tmp_path / "index.jsonl").write_text(json.dumps(line))
    (tmp_path / "protocol.json").write_text("{}")
    with pytest.raises(UserError, match="not an index"):
        SampleFolder(tmp_path)


@pytest.mark.parametrize("points", [np.full((4, 3), "x"), np.zeros((4, 3), complex), np.zeros((4, 3), np.int64)])
def test_a_sample_whose_points_are_no_metres_is_refused(tmp_path, points):
    write_sample(tmp_path / "one.npz", Sample(points, np.zeros((4, 3), np.uint8), np.ones(4, np.int32)))
    with pytest.raises(
        UserError, match=r"must hold points \(N, 3\) float.*: delete all lines of its scene in index\.jsonl"
    ):
        read_sample(tmp_path / "one.npz")


def test_recordings_of_the_same_name_elsewhere_are_other_scenes(tmp_path):
    days = [scene.scene_name(str(tmp_path / day / "kitchen" / "bag")) for day in ("monday", "tuesday", "monday")]
    assert days[0] == days[2] != days[1]
    assert all(name.startswith("kitchen_bag_") for name in days)
