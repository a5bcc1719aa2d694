"""Texts and scores, features that are kept, the command line's answers."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import CAMERA, PALETTE, ColourEncoder, instance_map, patch, stored, units, wall_frame
from scipy import sparse

from gcseg_ros.cli import main
from gcseg_ros.clouds.ply import read_cloud, write_cloud
from gcseg_ros.commands.query import heat_files
from gcseg_ros.errors import UserError
from gcseg_ros.files import write_json_atomic
from gcseg_ros.instances.export import write_instances_json, write_instances_ply
from gcseg_ros.retrieval import OpenClip, Retrieval, heat_colours, write_views
from gcseg_ros.retrieval.answers import Answer, as_json, write_heat
from gcseg_ros.retrieval.features import FeatureConfig, Features, instance_features

IDS = (7, 12, 30)


@pytest.fixture
def shelf():
    """Three squares in a row, in colours 7, 12 and 30, and one that no camera sees (60): the map, and one view."""
    frame = wall_frame(colour=PALETTE[1])
    points, ids = [], []
    for id, x in zip(IDS, (-0.8, -0.15, 0.5)):
        points.append(patch(x, -0.15, 2))
        ids.append(np.full(len(points[-1]), id))
        u, v = (np.round(points[-1][:, k] / 2 * CAMERA.fx + c).astype(int) for k, c in ((0, CAMERA.cx), (1, CAMERA.cy)))
        frame.colour[v.min() - 1 : v.max() + 2, u.min() - 1 : u.max() + 2] = PALETTE[id]
    points.append(patch(0, 0, 9))
    ids.append(np.full(len(points[-1]), 60))
    return instance_map(np.concatenate(points), np.concatenate(ids)), [stored(frame)]


@pytest.fixture
def out(tmp_path, shelf):
    """The same as a folder of gcseg map."""
    instances, views = shelf
    write_instances_ply(tmp_path / "instances.ply", instances)
    write_instances_json(tmp_path / "instances.json", instances)
    write_json_atomic(tmp_path / "summary.json", {"gcseg_ros": "test"})
    write_views(tmp_path / "views.npz", views)
    return tmp_path


def test_each_square_is_first_for_its_colour(shelf):
    retrieval = Retrieval.of(*shelf, ColourEncoder())
    scores = retrieval.query([f"colour {id}" for id in IDS])
    assert scores.shape == (3, 4)
    assert scores.dtype == np.float32
    for id, row in zip(IDS, scores):
        hits = retrieval.ranking(row)
        assert hits[0].object.id == id
        assert hits[0].score > 0.8
        assert len(hits) == 3  # not the one that nobody saw
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert np.isnan(scores[:, 3]).all()
    assert "1 of 4 instances are in no stored view" in retrieval.remarks(["colour 7"])[0]


def test_scores_of_points_are_those_of_their_instances(shelf):
    retrieval = Retrieval.of(*shelf, ColourEncoder())
    row = retrieval.query(["colour 7"])[0]
    per_point = retrieval.per_point(row)
    for id, score in zip(retrieval.ids, row):
        np.testing.assert_array_equal(per_point[retrieval.instances.instance == id], score)
    loose = instance_map(np.zeros((3, 3)), np.array([0, 0, 2**31 - 1]))
    one = Retrieval(loose, Features(np.ones((1, 64), np.float32) / 8, np.array([1])), ColourEncoder())
    tracemalloc.start()
    assert np.isnan(one.per_point(np.array([0.5]))).tolist() == [True, True, False]
    assert tracemalloc.get_traced_memory()[1] < 1e6  # whatever the ids
    tracemalloc.stop()


def test_features_are_the_mean_over_the_crops(shelf):
    """Against the definition, crop by crop."""
    instances, views = shelf
    encoder = ColourEncoder()
    config = FeatureConfig(levels=2, expansion=0.5, batch=1)
    mask = sparse.csr_array((instances.instance == 7)[None])
    found = instance_features(instances.points, mask, views, encoder, config)
    image, scale = views[0].colour(), CAMERA.fx / 2
    x0, x1 = int(np.floor(CAMERA.cx + (-0.8 - 0.015) * scale)), int(np.ceil(CAMERA.cx + (-0.53 + 0.015) * scale)) + 1
    y0, y1 = int(np.floor(CAMERA.cy + (-0.15 - 0.015) * scale)), int(np.ceil(CAMERA.cy + (0.12 + 0.015) * scale)) + 1
    d = int((x1 - x0) * 0.5)
    expected = encoder.images([image[y0:y1, x0:x1], image[y0 - d : y1 + d, max(0, x0 - d) : x1 + d]]).sum(0)
    np.testing.assert_allclose(found.vectors[0], expected / np.linalg.norm(expected), atol=0.02)


def test_the_batch_changes_nothing(shelf):
    one, many = (Retrieval.of(*shelf, ColourEncoder(), FeatureConfig(batch=batch)) for batch in (1, 100))
    np.testing.assert_allclose(one.features.vectors, many.features.vectors, atol=1e-6)


def test_negatives_make_a_probability(shelf):
    retrieval = Retrieval.of(*shelf, ColourEncoder())
    cosine = retrieval.query(["colour 7", "colour 12", "colour 30"])[:, :3]
    found = retrieval.query(["colour 7"], ["colour 12", "colour 30"])[0, :3]
    pairs = [np.exp(100 * cosine[0]) / (np.exp(100 * cosine[0]) + np.exp(100 * other)) for other in cosine[1:]]
    np.testing.assert_allclose(found, np.minimum(*pairs), rtol=1e-4)
    assert found[0] > 0.99
    assert found[1:].max() < 0.01


@pytest.mark.parametrize("texts", [[], [""], ["  "], ["red mug", "\t\n"], ["..."], ["x" * 2000], "red mug", ["\udcff"]])
def test_what_is_no_query_is_refused(shelf, texts):
    with pytest.raises(UserError, match="query"):
        Retrieval.of(*shelf, ColourEncoder()).query(texts)


def test_other_scripts_are_answered_and_remarked_on(shelf):
    encoder = ColourEncoder()
    retrieval = Retrieval.of(*shelf, encoder)
    for text, remarked in (
        ("красная кружка", True),
        ("赤いマグ", True),
        ("rote Tasse, größer", False),
        ("50 €", False),
    ):
        assert any("Latin" in remark for remark in retrieval.remarks([text])) == remarked
    encoder.multilingual = True
    assert not any("Latin" in remark for remark in retrieval.remarks(["赤いマグ"]))


def test_what_is_left_out_of_a_long_text_is_remarked_on(shelf):
    retrieval = Retrieval.of(*shelf, ColourEncoder())
    (told,) = (one for one in retrieval.remarks(["a red mug", "a red mug and " * 20]) if "left out" in one)
    assert told.startswith("'a red mug and a red mug and a red mug an'... is longer than colours reads"), told


def test_features_are_kept_until_something_changes(out):
    encoder = ColourEncoder()
    first = Retrieval.load(out, encoder)
    assert (out / "features_colours.npz").is_file()
    looked = len(encoder.batches)
    again = Retrieval.load(out, encoder)
    assert len(encoder.batches) == looked
    np.testing.assert_array_equal(first.features.vectors, again.features.vectors)

    Retrieval.load(out, encoder, FeatureConfig(levels=1))
    assert len(encoder.batches) > looked
    looked = len(encoder.batches)
    (out / "features_colours.npz").write_bytes(b"damaged")
    Retrieval.load(out, encoder)
    assert len(encoder.batches) > looked


def test_views_of_another_map_are_said_to_be(out):
    write_views(out / "views.npz", [stored(wall_frame(depth_m=5.0))])
    with pytest.raises(UserError, match="None of the 4 instances"):
        Retrieval.load(out, ColourEncoder())
    write_views(out / "views.npz", [])
    with pytest.raises(UserError, match="0 stored views"):
        Retrieval.load(out, ColourEncoder())


def test_another_cloud_of_the_place_can_be_asked(out, shelf):
    encoder, points, ids = ColourEncoder(), shelf[0].points, shelf[0].instance
    write_cloud(out / "network.ply", {"points": points, "instance": np.where(ids == 12, 1, np.where(ids == 7, 2, -1))})
    retrieval = Retrieval.load(out, encoder, cloud=out / "network.ply")
    assert retrieval.ids.tolist() == [1, 2]
    assert retrieval.ranking(retrieval.query(["colour 12"])[0])[0].object.id == 1
    looked = len(encoder.batches)
    Retrieval.load(out, encoder, cloud=out / "network.ply")
    assert len(encoder.batches) == looked
    write_cloud(out / "plain.ply", {"points": points})
    with pytest.raises(UserError, match="no instance per point"):
        Retrieval.load(out, encoder, cloud=out / "plain.ply")


def test_a_folder_that_cannot_be_written_to_can_be_asked(out, monkeypatch):
    def refuse(*_):
        raise UserError("read-only")

    monkeypatch.setattr("gcseg_ros.retrieval.retrieval.write_features", refuse)
    assert Retrieval.load(out, ColourEncoder()).query(["colour 7"]).shape == (1, 4)
    assert not list(out.glob("features*"))


def test_maps_without_instances_or_of_another_model_are_refused(shelf):
    with pytest.raises(UserError, match="no instances"):
        Retrieval.of(instance_map(np.zeros((2, 3)), np.zeros(2, int)), shelf[1], ColourEncoder())
    other = Retrieval(shelf[0], Features(np.zeros((4, 3), np.float32), np.ones(4, np.int64)), ColourEncoder())
    with pytest.raises(UserError, match="colours"):
        other.query(["colour 7"])


def test_five_hundred_instances_are_one_product():
    points = np.repeat(np.arange(1, 501), 2)
    instances = instance_map(np.column_stack([points, points, points]).astype(float), points)
    rng = np.random.default_rng(0)
    vectors = units(rng.normal(size=(500, 64)).astype(np.float32))
    retrieval = Retrieval(instances, Features(vectors, np.ones(500, np.int64)), ColourEncoder())
    scores = retrieval.query(["colour 3", "colour 5"])
    np.testing.assert_allclose(scores, vectors.T[[3, 5]], atol=1e-6)
    assert retrieval.ranking(scores[0], 1)[0].object.id == 1 + vectors[:, 3].argmax()


def test_colours_go_from_green_through_yellow_to_red():
    low, middle, high, none = heat_colours(np.array([0.1, 0.2, 0.3, np.nan]))
    assert low[1] > low[0]
    assert min(middle[:2]) > 200 > middle[2]
    assert high[0] > 200 > high[1:].max()
    assert len(set(none.tolist())) == 1
    assert heat_colours(np.full((2, 3), np.nan)).shape == (2, 3, 3)
    np.testing.assert_array_equal(heat_colours(np.array([0.2, 0.2])), [low, low])
    assert heat_colours(np.zeros(0)).shape == (0, 3)


@pytest.mark.parametrize("text", ["mug [/] 7", "[red]mug[/red] 7", "mug :key: 7"])
def test_texts_are_shown_as_they_are(out, capsys, monkeypatch, text):
    monkeypatch.setattr(OpenClip, "load", lambda *_: ColourEncoder())
    assert main(["query", str(out), text]) == 0
    assert f"“{text}”" in capsys.readouterr().out


def test_heat_maps_are_clouds(tmp_path, shelf):
    retrieval = Retrieval.of(*shelf, ColourEncoder())
    answers = [
        Answer(f"colour {id}", row := retrieval.query([f"colour {id}"])[0], retrieval.ranking(row)) for id in IDS[:2]
    ]
    files = heat_files(tmp_path / "heat.ply", 2)
    assert [file.name for file in files] == ["heat_1.ply", "heat_2.ply"]
    write_heat(files, retrieval, answers)
    assert all(file.with_suffix(".png").is_file() for file in files)
    cloud = read_cloud(files[1])
    np.testing.assert_array_equal(cloud["instance"], shelf[0].instance)
    red = cloud["colours"][cloud["instance"] == 12]
    assert (red == [220, 0, 0]).all()
    assert cloud["confidence"][cloud["instance"] == 12].min() > 0.8
    assert (cloud["confidence"][cloud["instance"] == 60] == 0).all()
    entry = json.loads(json.dumps(as_json(answers, 1)))[0]
    assert (entry["text"], entry["objects"][0]["id"]) == ("colour 7", 7)
    (tmp_path / "late.png").mkdir()
    with pytest.raises(UserError, match="it is a folder"):
        write_heat([tmp_path / "late.ply"], retrieval, answers[:1])
    assert not (tmp_path / "late.ply").exists(), "no cloud without its picture"
    with pytest.raises(UserError, match=r"/proc/heat\.png cannot be written"):  # by the name that was asked for
        write_heat([Path("/proc/heat.ply")], retrieval, answers[:1])


def asked(capsys, *arguments):
    """Exit status and what was said."""
    capsys.readouterr()
    status = main(["query", *map(str, arguments)])
    said = capsys.readouterr()
    return status, " ".join((said.out + said.err).split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "clip-vit-b-32-laion2b"], "gcseg weights fetch clip-vit-b-32-laion2b"),
        (["--model", "clip-vit-l-14-336"], "gcseg weights fetch clip-vit-l-14-336"),
        (["--model", "nonsense"], "There is no CLIP model 'nonsense'"),
    ],
)
def test_missing_weights_are_named(out, capsys, monkeypatch, arguments, expected):
    pytest.importorskip("open_clip")
    monkeypatch.setenv("GCSEG_WEIGHTS_DIR", str(out / "none"))
    status, said = asked(capsys, out, "red mug", "-o", out / "heat.ply", *arguments)
    assert (status, expected in said) == (2, True), said
    assert not list(out.glob("heat*"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([" "], "A query must have a word in it"),
        (["mug", "--not", ""], "A query must have a word in it"),
        (["mug", "-o", "heat.png"], "must be named .ply"),
        ([], "Missing argument 'TEXT"),
    ],
)
def test_what_is_no_query_is_said_in_a_sentence(out, capsys, arguments, expected):
    status, said = asked(capsys, out, *arguments)
    assert (status, expected in said) == (2, True), said


def test_a_heat_map_takes_no_place_of_what_is_read_or_of_a_map(out, capsys, shelf):
    write_instances_ply(out / "mine.ply", shelf[0])
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    for arguments, expected in (
        (["mug", "-o", out / "instances.ply"], "instances.ply belongs to the map in"),
        (["mug", "-o", out / "picture.ply"], "picture.png belongs to the map in"),
        (["mug", "-o", out / "mine.ply", "--instances", out / "mine.ply"], "mine.ply is what is read"),
    ):
        status, said = asked(capsys, out, *arguments)
        assert (status, expected in said) == (2, True), said
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_queries_before_any_map_or_without_views(out, capsys, tmp_path):
    assert "There is no map in" in asked(capsys, tmp_path / "nowhere", "mug")[1]
    (out / "views.npz").unlink()
    status, said = asked(capsys, out, "mug")
    assert status == 2
    assert "There are no stored views" in said
    (tmp_path / "empty").mkdir()
    assert asked(capsys, tmp_path / "empty", "mug")[0] == 2


def test_without_open_clip_one_sentence_says_what_to_install(out, capsys, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "open_clip" else found(name, *rest)
    )
    status, said = asked(capsys, out, "mug")
    assert (status, f"pip install -e '{Path(__file__).parents[2]}[retrieval]'" in said) == (2, True)


def test_features_of_a_replaced_map_are_not_used(out, shelf):
    encoder = ColourEncoder()
    Retrieval.load(out, encoder)
    instances = shelf[0]
    swapped = {7: 12, 12: 7}
    renamed = np.array([swapped.get(int(i), int(i)) for i in instances.instance], np.int32)
    write_instances_ply(out / "instances.ply", replace(instances, instance=renamed))
    assert Retrieval.load(out, encoder).ranking(Retrieval.load(out, encoder).query(["colour 7"])[0])[0].object.id == 12
