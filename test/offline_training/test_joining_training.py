"""Training of the decision that joins pieces: the real command on two small rooms."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.finishing import joining
from gcseg_ros.finishing.joining import load_model, shipped_model
from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.recordings import synthetic
from offline_training.commands import run
from offline_training.joining.__main__ import main
from offline_training.joining.rooms import map_room, mapped_room, mapped_rooms, mapping_sources, room_names
from offline_training.joining.training import Samples, Settings, fit, untouched, walk


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A folder with one room, which is `room_names(1, 3, 40)`."""
    folder = tmp_path_factory.mktemp("mapped") / "rooms"
    next(mapped_rooms(room_names(1, 3, 40), folder))
    return folder


def test_kept_maps_hold_for_as_long_as_the_code_that_made_them():
    """Whatever it imports is watched as well, but for settings, files, networks, and what is made of a map when it is finished."""
    others = {
        "config",
        "errors",
        "files",
        "finishing",
        "instances",
        "jit",
        "networks",
        "packages",
        "retrieval",
        "weights",
    }
    watched = {
        str(file).rpartition("gcseg_ros/")[2].removesuffix(".py").replace("/", ".") for file in mapping_sources()
    }
    for file in mapping_sources():
        for module in re.findall(r"^ *from gcseg_ros\.([\w.]+) import", file.read_text(), re.MULTILINE):
            assert module.partition(".")[0] in others or {module, f"{module}.__init__"} & watched, f"{file}: {module}"


def test_training_from_rooms_to_weights_and_again_from_what_was_kept(tmp_path):
    arguments = {"rooms": 2, "invented": 1, "frames": 3, "test_rooms": 1, "seed": 40, "rounds": 0, "epochs": 2}
    main(tmp_path, **arguments, models=1)
    figures = json.loads((tmp_path / "joining.json").read_text())
    assert figures["rooms"] == ["synthetic:40:house:3", "synthetic:41:living:3", "synthetic:540:invented:3"]
    assert figures["test"] == ["synthetic:42:scandinavian:3"]
    assert 0 <= figures["auc"] <= 1
    mapped = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "rooms").iterdir()}
    assert len(mapped) == 4

    first = load_model(tmp_path / "joining.npz")
    main(tmp_path, **arguments)
    after = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "rooms").iterdir()}
    assert after.items() >= mapped.items(), "what is there is not mapped again"
    drifting = {name.replace("_pose_", "_pose_noisy_") for name in mapped}
    assert set(after) == set(mapped) | drifting  # which the second model learned from
    model = load_model(tmp_path / "joining.npz")
    half = len(first.trees.feature)
    assert (len(first.trees.roots), len(model.trees.roots)) == (200, 400)
    for name in ("feature", "threshold", "left"):
        assert (getattr(model.trees, name)[:half] == getattr(first.trees, name)).all(), name
    assert (model.trees.value[:half] == first.trees.value / 2).all()
    assert (model.network.weights["same.out"][:1] == first.network.weights["same.out"]).all()
    assert (model.network.weights["same.out"][1] != first.network.weights["same.out"]).any()

    room = next(mapped_rooms(room_names(1, 3, 40), tmp_path / "rooms"))[0]
    pairs = room.graph.pairs
    truth = room.truth[:, 1:].argmax(1)
    both_known = (room.truth[pairs][:, :, 1:].max(2) > 0).all(1)
    assert (room.same(pairs) == (both_known & (truth[pairs[:, 0]] == truth[pairs[:, 1]]))).all()
    assert untouched(room).features.shape[1] == len(PieceGraph.NAMES)
    met = walk(room, model.trees)
    assert met.same.any()
    assert np.isfinite(met.importance).all()


def test_the_truth_of_drifting_poses_is_where_things_are_mapped(tmp_path):
    """Drift is up to 4 cm: true things that stay where they are would be beside what was mapped of them."""
    (room,) = mapped_rooms(["synthetic:40:house:30"], tmp_path, ("pose", "pose_noisy"))
    truths = [mapped.truth for mapped in room]
    assert truths[0].shape != truths[1].shape or (truths[0] != truths[1]).any()
    # how much of the pieces is of their most frequent instance, and of any
    exact, drifting = (np.array([truth.max(1).sum(), truth[:, 1:].sum()]) / truth.sum() for truth in truths)
    assert (drifting > exact - 0.006).all()  # 0.017 and 0.009 less where things stay


def test_rooms_are_mapped_without_the_weights_that_are_to_be_learned_from_them(tmp_path, monkeypatch):
    """After a change of the features the shipped ones cannot be read, and only this command makes others."""
    monkeypatch.setattr(joining, "WEIGHTS", tmp_path / "none.npz")
    shipped_model.cache_clear()
    map_room("synthetic:40:house:3", {"pose": tmp_path / "room.npz"})
    assert len(mapped_room(tmp_path / "room.npz").graph) > 0


def test_rooms_of_another_generator_are_mapped_again(mapped, tmp_path, monkeypatch):
    """What is true of a room may have changed: its walls were one instance a side once."""
    names, rooms = room_names(1, 3, 40), shutil.copytree(mapped, tmp_path / "rooms")
    next(mapped_rooms(names, rooms))
    assert len([*rooms.iterdir()]) == 1
    other = shutil.copytree(Path(synthetic.__file__).parent, tmp_path / "synthetic")
    with open(other / "shell.py", "a") as source:
        source.write("# another\n")
    monkeypatch.setattr(synthetic, "__file__", str(other / "__init__.py"))
    next(mapped_rooms(names, rooms))
    assert len([*rooms.iterdir()]) == 2


def test_a_damaged_room_is_said_in_one_sentence_with_what_to_do(mapped, tmp_path):
    names = room_names(1, 3, 40)
    (file,) = shutil.copytree(mapped, tmp_path / "rooms").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(
        UserError, match=f"^{file} cannot be read .* Delete it, and the same command maps the room anew.$"
    ):
        next(mapped_rooms(names, file.parent))


def test_an_output_that_is_a_file_is_said_in_one_sentence(tmp_path, capsys):
    file = tmp_path / "weights"
    file.write_text("mine")
    assert run(main, ["--output", str(file), "--rooms", "2", "--invented", "0"]) == 2
    said = capsys.readouterr().err.strip()
    assert (
        said
        == f"error: {file / 'rooms'} cannot be made or entered (Not a directory): name a folder that is free or yours."
    )
    assert file.read_text() == "mine"


def test_the_same_samples_give_the_same_trees():
    rng = np.random.default_rng(1)
    samples = Samples(rng.normal(size=(500, len(PieceGraph.NAMES))), rng.random(500) < 0.4, rng.random(500) + 0.1)
    one, two = (fit([[samples]], Settings(0.5, 10, trees=5)) for _ in range(2))
    assert np.array_equal(one.value, two.value)
    assert np.array_equal(one.threshold, two.threshold)
