"""Many scenes, and ScanNet's text formats there and back."""

import json
import math

import numpy as np
import pytest

from gcseg_ros.cli import main as gcseg
from gcseg_ros.clouds.ply import write_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.scannet_text import read_masks, write_ids, write_masks
from gcseg_ros.evaluation.scenes import evaluate_scenes
from gcseg_ros.evaluation.truth import load_truth
from offline_training.commands import run
from offline_training.evaluate import main


def scene(seed):
    """Points, true ids (label x 1000 + number; 1 and 2 are wall and floor), found ids and confidences."""
    rng = np.random.default_rng(seed)
    points = rng.random((1500, 3)).astype(np.float32) * 5
    truth = np.repeat([0, 1001, 2001, 5001, 5002], 300)
    found = np.repeat([9, 1, 2, 3, 4], 300)
    found[1000:1100] = 4
    confidence = np.take([0, 0.9, 0.8, 0.7, 0.6, 0, 0, 0, 0, 0.3], found).astype(np.float32)
    return points, truth, found.astype(np.int32), confidence


@pytest.fixture
def folders(tmp_path):
    outputs, truths = tmp_path / "outputs", tmp_path / "truths"
    for i, name in enumerate(("a", "b")):
        points, truth, found, confidence = scene(i)
        (truths / name).mkdir(parents=True)
        stuff = truth // 1000 < 3
        np.savez(truths / name / "gt_cloud.npz", points=points, instance=truth, stuff=stuff)
        write_ids(tmp_path / "texts" / f"{name}.txt", truth)
        write_cloud(outputs / f"{name}.ply", {"points": points, "instance": found, "confidence": confidence})
    write_cloud(outputs / "b.ply", {"points": points, "instance": truth.astype(np.int32)})
    return tmp_path


def test_labels_of_stuff_in_no_scene_are_refused(folders):
    assert evaluate_scenes(folders / "outputs", folders / "truths", None, True, [2, 22]).exclude_stuff
    with pytest.raises(UserError, match=r"nothing labelled 22 .*: its labels are 1, 2, 5\."):
        evaluate_scenes(folders / "outputs", folders / "truths", None, True, [22])


def test_scene_by_scene_and_pooled(folders, capsys):
    both = evaluate_scenes(folders / "outputs", folders / "truths")
    assert [s.name for s in both.scenes] == ["a", "b"]
    assert both.scenes[1].ap == 1
    assert both.scenes[0].ap < both.overall.ap < 1
    assert [s.instances for s in both.scenes] == [4, 4]
    assert [s.coverage for s in both.scenes] == [1, 1]
    for i, name in enumerate(("a", "b")):
        capsys.readouterr()
        assert (
            gcseg(
                ["evaluate", str(folders / f"outputs/{name}.ply"), "--truth", str(folders / f"truths/{name}"), "--json"]
            )
            == 0
        )
        alone = json.loads(capsys.readouterr().out)
        assert (alone["ap"], alone["ap50"]) == (both.scenes[i].ap, both.scenes[i].ap50)
    things = evaluate_scenes(folders / "outputs", folders / "truths", ["a"], exclude_stuff=True)
    assert [s.instances for s in things.scenes] == [2]
    assert things.overall.ap == things.scenes[0].ap


def test_what_is_written_scores_the_same_when_it_is_read(folders, capsys):
    """From clouds against clouds, to ScanNet's text against ScanNet's text: equal figures, with and without stuff."""
    command = [str(folders / "outputs"), "--truth", str(folders / "truths"), "--json"]
    for arguments in ([], ["--exclude-stuff"], ["--stuff-labels", "5"]):
        out = folders / f"submission{len(arguments)}{arguments[:1]}"
        assert run(main, [*command, *arguments, "--write", str(out), "--label", "7"]) == 0, capsys.readouterr().err
        direct = json.loads(capsys.readouterr().out)
        assert run(main, [str(out), "--truth", str(folders / "texts"), "--json", *arguments]) == 0
        assert json.loads(capsys.readouterr().out) == direct
    lines = (out / "a.txt").read_text().splitlines()
    assert lines[0] == "predicted_masks/a_000.txt 7 0.900000"
    assert len(lines) == 5
    mask = (out / "predicted_masks/a_000.txt").read_text().splitlines()
    assert (len(mask), mask.count("1")) == (1500, 300)


def test_writing_needs_no_truth_but_points(folders, capsys):
    for name in ("a", "b"):
        points, *_ = scene("ab".index(name))
        write_cloud(folders / f"scans_test/{name}/{name}_vh_clean_2.ply", {"points": points})
    out = folders / "submission"
    assert run(main, [str(folders / "outputs"), "--write", str(out), "--meshes", str(folders / "scans_test")]) == 0
    masks, scores = read_masks(out / "a.txt", 1500)
    assert masks.shape == (5, 1500)
    np.testing.assert_allclose(scores, [0.9, 0.8, 0.7, 0.6, 0.3], atol=1e-6)


def test_stuff_in_scannets_text(tmp_path):
    """NYU40's wall, floor and ceiling; where a label is above 40, ScanNet200's wall and floor; else what is asked for."""
    for ids, asked, expected in (
        ([1001, 2001, 5001, 22001, 0], None, [1, 1, 0, 1, 0]),
        ([1001, 2001, 3001, 1163001, 0], None, [1, 0, 1, 0, 0]),
        ([1001, 2001, 3001, 1163001, 0], [2], [0, 1, 0, 0, 0]),
    ):
        (tmp_path / "scene.txt").write_text("".join(f"{i}\n" for i in ids))
        truth = load_truth(tmp_path / "scene.txt", asked)
        assert truth.stuff.astype(int).tolist() == expected
        assert truth.without_stuff().instance.tolist() == [0 if s else i for i, s in zip(ids, expected)]


def test_ids_without_labels_are_numbered(tmp_path):
    write_ids(tmp_path / "t.txt", np.array([0, 7, 3, 7]), class_label=4)
    assert (tmp_path / "t.txt").read_text().split() == ["0", "4002", "4001", "4002"]
    with pytest.raises(UserError, match="999"):
        write_ids(tmp_path / "u.txt", np.arange(1200))
    assert not (tmp_path / "u.txt").exists()


def test_a_thousand_instances_of_several_labels_are_written(tmp_path):
    ids = np.add.outer([1000, 2000], np.arange(1, 601)).ravel()
    write_ids(tmp_path / "t.txt", ids)
    np.testing.assert_array_equal(load_truth(tmp_path / "t.txt").instance, ids)


def test_nothing_found_is_a_prediction_too(tmp_path):
    assert write_masks(tmp_path / "s.txt", np.zeros(5, int), {}) == 0
    masks, scores = read_masks(tmp_path / "s.txt", 5)
    assert (masks.shape, scores) == ((0, 5), [])


def test_a_scene_without_instances_has_no_figures(tmp_path):
    points, *_, confidence = scene(0)
    write_cloud(
        tmp_path / "out/a.ply", {"points": points, "instance": np.ones(1500, np.int32), "confidence": confidence}
    )
    (tmp_path / "truth").mkdir()
    np.savez(tmp_path / "truth/a.npz", points=points, instance=np.zeros(1500, int))
    found = evaluate_scenes(tmp_path / "out", tmp_path / "truth")
    assert math.isnan(found.overall.ap)
    assert found.to_dict()["scenes"][0]["ap"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["outputs"], "Nothing to do"),
        (["outputs", "--truth", "nowhere"], "There is no folder"),
        (["outputs", "--truth", "outputs/.."], "has no truths"),
        (["empty", "--truth", "truths"], "has no output of the scene a"),
        (["outputs", "--truth", "truths", "--scenes", "list"], "has no output of the scene z"),
        (["outputs", "--truth", "truths", "--stuff-labels", "wall"], "whole numbers"),
        (["outputs", "--write", "new"], "--meshes"),
        (["outputs", "--write", "new", "--meshes", "nowhere"], "nowhere holds no scene"),
        (["outputs", "--write", "new", "--meshes", "texts"], "texts holds no scene"),
        (["outputs", "--truth", "texts", "--write", "new"], "no points of the scene a"),
    ],
)
def test_mistakes_are_one_sentence(folders, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(folders)
    (folders / "empty").mkdir()
    (folders / "list").write_text("z\n")
    assert run(main, arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("error:") == 1
    assert not (folders / "new").exists()
