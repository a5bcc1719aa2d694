"""Three stages on toy rooms: what comes out, exact resumption, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("lightning", reason="training needs lightning")
pytest.importorskip("tensorboard", reason="curves need tensorboard")

from gcseg_ros.errors import UserError  # noqa: E402
from gcseg_ros.files import sole_writer  # noqa: E402
from gcseg_ros.segmentation import checkpoint  # noqa: E402
from gcseg_ros.segmentation.network import Mask3D, NetworkConfig  # noqa: E402
from offline_training.commands import run  # noqa: E402
from offline_training.labelling.samples import SampleFolder  # noqa: E402
from offline_training.segmenter.examples import Examples  # noqa: E402
from offline_training.segmenter.pseudo_labels import predict_labels  # noqa: E402
from offline_training.segmenter.settings import load_settings  # noqa: E402
from offline_training.segmenter.training import NETWORK, STATE, launched, load_parameters, read_metrics, train  # noqa: E402
from offline_training.segmenter.validation import validation_clouds  # noqa: E402
from offline_training.train import main  # noqa: E402

TINY = ["network.hidden=16", "network.heads=2", "network.feedforward=16", "network.queries=8", "network.voxel_m=0.08",
        "augmentation.crop_voxels=700", "steps=4", "save_every=2", "validate_every=4", "evaluation.min_score=0", "evaluation_queries=8"]  # fmt: skip
ALL_MASKS = ["--set", "pseudo_labels.min_confidence=0", "--set", "pseudo_labels.min_points=1"]
SET = [word for setting in TINY for word in ("--set", setting)]


def entries(folder, kinds=("map",)):
    opened = SampleFolder(folder)
    return [(opened, entry) for entry in opened.choose(kinds)]


def settings(*more):
    return load_settings("small", 2, [*TINY, *more])


def parameters(folder):
    return torch.load(folder / STATE, weights_only=True)["network"]


@pytest.mark.parametrize("at", [1, 3])
def test_interrupted_and_resumed_is_the_same_to_the_bit(samples, tmp_path, at):
    asked = iter([False] * (at - 1) + [True])
    train(settings(), entries(samples), tmp_path / "whole", accelerator="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(settings(), entries(samples), tmp_path / "parts", accelerator="cpu", interrupted=lambda: next(asked))
    train(settings(), entries(samples), tmp_path / "parts", resume=True, accelerator="cpu")
    whole, parts = parameters(tmp_path / "whole"), parameters(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "whole" / "metrics.jsonl").read_text() == (tmp_path / "parts" / "metrics.jsonl").read_text()
    assert not list((tmp_path / "parts").glob(".*"))


def test_an_ablation_that_was_interrupted_finishes_its_networks(samples, tmp_path, monkeypatch):
    """A network is written every few steps: that it is there does not say that it is done."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from curriculum import Ablation

    options = Namespace(rooms=0, held_out=0, frames=2, steps=4, set=TINY, accelerator="cpu")
    ablation, opened, output = Ablation(tmp_path, options), SampleFolder(samples), tmp_path / "networks" / "2"
    ablation.rooms = ["room0", "room1", "room2"]
    asked = iter([False, True])
    with pytest.raises(KeyboardInterrupt):
        train(ablation.settings(2), entries(samples), output, accelerator="cpu", interrupted=lambda: next(asked))
    assert (output / NETWORK).is_file()
    finished = []
    for _ in range(2):
        finished.append(ablation.network("2", 2, [opened], None).read_bytes())
        assert len((output / "metrics.jsonl").read_text().splitlines()) == 4
    assert finished[0] == finished[1]
    ablation.rooms = ["room0"]  # a smaller ablation does not take the labels of a larger one
    with pytest.raises(UserError, match="other samples"):
        ablation.network("2", 2, [opened], None)


@pytest.mark.parametrize("assignment", ["anchors", "hungarian"])
def test_mixed_precision_begins_as_full_precision_does(samples, tmp_path, assignment):
    """Sums of products are in bfloat16; where things are is not, nor is the loss."""
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        chosen = settings("steps=1", f"precision={precision}", f"objective.assignment={assignment}")
        train(chosen, entries(samples), tmp_path / precision, accelerator="cpu")
        (row,) = (tmp_path / precision / "metrics.jsonl").read_text().splitlines()
        losses.append(json.loads(row)["loss/total"])
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_epochs_that_are_asked_for_replace_the_steps_of_the_file():
    assert load_settings("small", 2).total_steps(16) == 1500
    assert load_settings("small", 2, ["epochs=3", "batch=8"]).total_steps(16) == 6
    assert load_settings("small", 2, ["epochs=3", "steps=5"]).total_steps(16) == 5


def test_a_warm_up_of_one_step_is_possible(samples, tmp_path):
    train(settings("steps=2", "warm_up=0.5"), entries(samples), tmp_path, accelerator="cpu")
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("damage", ['{"step": 1, "tot', "[1]\n", "{}\n"])
def test_damaged_curves_are_one_sentence(tmp_path, damage):
    (tmp_path / "metrics.jsonl").write_text(damage)
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged.*delete it"):
        read_metrics(tmp_path / "metrics.jsonl", 1)


def test_three_stages_one_command_each(samples, tmp_path, capsys):
    assert run(main, [str(samples), "--stage", "2", "--config", "small", "-o", str(tmp_path / "two"), "--accelerator", "cpu",
                      "--validate", str(samples), *SET]) == 0  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert 0 <= rows[-1]["validation/AP25"] <= 1
    assert list((tmp_path / "two").glob("events.out.tfevents.*"))
    network = checkpoint.load(tmp_path / "two" / "segmenter.pt").network
    assert network.config.hidden == 16
    again = ["--stage", "3", "--config", "small", "-o", str(tmp_path / "three"), "--accelerator", "cpu", *SET,
             *ALL_MASKS, "--set", "steps=1"]  # fmt: skip
    assert run(main, [str(samples), *again]) == 2
    assert "--from" in capsys.readouterr().err
    assert run(main, [str(samples), *again, "--from", str(tmp_path / "two" / "segmenter.pt")]) == 0
    assert SampleFolder(tmp_path / "three" / "labels").choose(["map"])
    assert (tmp_path / "three" / "segmenter.pt").is_file()


def test_hungarian_matching_trains_as_well(samples, tmp_path):
    chosen = settings("objective.assignment=hungarian", "network.query_features=false", "steps=1")
    train(chosen, entries(samples), tmp_path, accelerator="cpu")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "--stage", "1"], "offline_training.label"),
        (["SAMPLES", "--stage", "1", "--config", "small"], "no sample of the kind fragment"),
        (["SAMPLES", "--stage", "2", "--config", "large"], "one of published, small"),
        (["SAMPLES", "--stage", "2", "--set", "network.architecture=huge"], "architecture 'huge'"),
        (["SAMPLES", "--stage", "2", "--set", "rates=1"], "did you mean rate"),
        (["SAMPLES", "--stage", "2", "--set", "steps"], "found 'steps'"),
        (["SAMPLES", "--stage", "2", "--resume"], "without --resume"),
        (["SAMPLES", "--stage", "2", "--config", "small", "--from", "OTHER"], "network.hidden = 32 instead of 64"),
        (["SAMPLES", "--stage", "3", "--config", "small", "--from", "OTHER"], "network.hidden = 32 instead of 64"),
        (["SAMPLES", "--stage", "3", "--config", "small", "--from", "OTHER", "--resume"], "without --resume"),
        (
            ["SAMPLES", "--stage", "2", "--config", "small", "--accelerator", "gpuu"],
            "is not one of 'auto', 'cpu', 'cuda'",
        ),
    ],
)
def test_mistakes_are_one_sentence(samples, tmp_path, capsys, arguments, sentence):
    other = tmp_path / "other.pt"
    checkpoint.save(Mask3D(NetworkConfig("tiny", hidden=32, heads=2, feedforward=16)), other)
    words = [{"SAMPLES": str(samples), "OTHER": str(other)}.get(word, word) for word in arguments]
    assert run(main, ["--accelerator", "cpu", *words, "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["voxel_m=0.04", "heads=4", "rounds=2", "box_m=0", "query_features=false"])
def test_a_network_is_not_taken_for_another_whose_parameters_have_the_same_shapes(tmp_path, change):
    name, value = change.split("=")
    checkpoint.save(Mask3D(settings().network), tmp_path / "first.pt")
    with pytest.raises(UserError, match=rf"(?i)first\.pt is another network .*network\.{name} = .* instead of {value}"):
        load_parameters(Mask3D(settings(f"network.{change}").network), tmp_path / "first.pt")
    load_parameters(Mask3D(settings("network.queries=9").network), tmp_path / "first.pt")


def test_where_the_network_is_sure_of_nothing_other_settings_may_be_tried(samples, tmp_path, capsys):
    checkpoint.save(Mask3D(settings().network), tmp_path / "first.pt")
    command = [str(samples), "--stage", "3", "--config", "small", "-o", str(tmp_path / "out"), "--accelerator", "cpu", *SET,
               "--from", str(tmp_path / "first.pt"), "--set", "steps=1"]  # fmt: skip
    assert run(main, [*command, "--set", "pseudo_labels.min_confidence=1"]) == 2
    assert "lower pseudo_labels.min_confidence" in capsys.readouterr().err
    assert run(main, [*command, *ALL_MASKS]) == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_sample_file_is_named(samples, tmp_path, workers):
    folder = tmp_path / "copy"
    shutil.copytree(samples, folder)
    broken = folder / "samples" / "room1.map.npz"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(UserError, match=r"room1\.map\.npz is not a whole NPZ") as error:
        train(settings(), entries(folder), tmp_path / "out", accelerator="cpu", workers=workers)
    assert "\n" not in str(error.value)


def test_a_broken_sample_costs_no_steps_and_training_goes_on_when_it_is_there_again(samples, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(samples, folder)
    chosen = settings("batch=1", "save_every=100")
    train(chosen, entries(folder), tmp_path / "whole", accelerator="cpu")
    third = Examples(entries(folder), chosen).file(2)
    content = third.read_bytes()
    third.write_bytes(content[:200])
    with pytest.raises(UserError, match="is not a whole NPZ"):
        train(chosen, entries(folder), tmp_path / "parts", accelerator="cpu")
    assert torch.load(tmp_path / "parts" / STATE, weights_only=True)["step"] == 2
    third.write_bytes(content)
    train(chosen, entries(folder), tmp_path / "parts", resume=True, accelerator="cpu")
    whole, parts = parameters(tmp_path / "whole"), parameters(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_state_of_other_settings_or_a_broken_one_is_refused(samples, tmp_path):
    train(settings("steps=1"), entries(samples), tmp_path, accelerator="cpu")
    with pytest.raises(UserError, match="other rate"):
        train(settings("steps=1", "rate=0.5"), entries(samples), tmp_path, resume=True, accelerator="cpu")
    (tmp_path / STATE).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"cannot be read.*: delete it, or give a new folder\.$") as error:
        train(settings("steps=1"), entries(samples), tmp_path, resume=True, accelerator="cpu")
    assert "weights_only" not in str(error.value), "torch's own advice would run what is in the file"


@pytest.mark.parametrize("change", [{"optimizer": None}, {"network": {}}, {"step": -1}])
def test_a_state_whose_parts_do_not_fit_is_one_sentence(samples, tmp_path, change):
    """As one of another version would be."""
    train(settings("steps=1"), entries(samples), tmp_path, accelerator="cpu")
    torch.save({**torch.load(tmp_path / STATE, weights_only=True), **change}, tmp_path / STATE)
    with pytest.raises(UserError, match=r"damaged or of another version: delete it, or give a new folder\.$"):
        train(settings("steps=1"), entries(samples), tmp_path, resume=True, accelerator="cpu")


def test_a_network_that_is_gone_comes_back_when_its_training_is_resumed(samples, tmp_path):
    network = train(settings("steps=1"), entries(samples), tmp_path, accelerator="cpu")
    written = network.read_bytes()
    network.unlink()
    train(settings("steps=1"), entries(samples), tmp_path, resume=True, accelerator="cpu")
    assert network.read_bytes() == written


def test_a_training_is_resumed_with_the_network_that_it_began_with_or_without_naming_it(samples, tmp_path):
    first, other = tmp_path / "first.pt", tmp_path / "other.pt"
    chosen, out = settings("steps=1"), tmp_path / "out"
    for seed, file in enumerate((first, other)):
        torch.manual_seed(seed)
        checkpoint.save(Mask3D(chosen.network), file)
    train(chosen, entries(samples), out, first, accelerator="cpu")
    for start in (first, None):
        train(chosen, entries(samples), out, start, resume=True, accelerator="cpu")
    for start, says in (
        (other, "began with another network than that of --from"),
        (tmp_path / "none.pt", "cannot be read"),
    ):
        with pytest.raises(UserError, match=says):
            train(chosen, entries(samples), out, start, resume=True, accelerator="cpu")


def relabelled(folder, to, **protocol):
    """The same scenes and names, labelled otherwise."""
    shutil.copytree(folder, to)
    (to / "protocol.json").write_text(json.dumps({"stage": 2, "seed": 1, **protocol}))
    return to


def test_a_state_of_another_labelling_of_the_same_scenes_is_refused(samples, tmp_path):
    train(settings("steps=1"), entries(samples), tmp_path / "out", accelerator="cpu")
    train(settings("steps=1"), entries(samples), tmp_path / "out", resume=True, accelerator="cpu")
    other = relabelled(samples, tmp_path / "other")
    with pytest.raises(UserError, match="other samples"):
        train(settings("steps=1"), entries(other), tmp_path / "out", resume=True, accelerator="cpu")


@pytest.mark.parametrize("stage", [2, 3])
def test_samples_that_are_coarser_than_the_voxels_are_refused(samples, tmp_path, capsys, stage):
    checkpoint.save(Mask3D(settings().network), tmp_path / "first.pt")
    coarse = relabelled(samples, tmp_path / "coarse", voxel_m=0.02, mapping={"map": {"voxel_m": 0.1}})
    command = [
        str(coarse),
        "--stage",
        str(stage),
        "--config",
        "small",
        "-o",
        str(tmp_path / "out"),
        "--from",
        str(tmp_path / "first.pt"),
    ]
    assert run(main, [*command, *SET]) == 2
    said = capsys.readouterr().err
    assert "one point every 0.1 m, the network has voxels of 0.08 m" in said
    assert "--voxel-m 0.08 --set map.voxel_m=0.08" in said
    assert not (tmp_path / "out").exists()


def test_predicted_labels_of_other_samples_are_refused(samples, tmp_path):
    checkpoint.save(Mask3D(settings().network), tmp_path / "first.pt")
    chosen = load_settings("small", 3, [*TINY, "pseudo_labels.min_confidence=0", "pseudo_labels.min_points=1"])
    predict_labels(tmp_path / "first.pt", [SampleFolder(samples)], tmp_path / "labels", chosen, "cpu")
    other = SampleFolder(relabelled(samples, tmp_path / "other"))
    with pytest.raises(UserError, match="another samples"):
        predict_labels(tmp_path / "first.pt", [other], tmp_path / "labels", chosen, "cpu")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(samples, tmp_path, monkeypatch):
    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left"):
        train(settings("steps=2"), entries(samples), tmp_path, accelerator="cpu")
    assert not [file for file in tmp_path.iterdir() if file.suffix == ".pt"]


def test_the_same_training_writes_the_same_bytes_and_one_at_a_time(samples, tmp_path):
    """The file of a network is what stage 3's labels are known by."""
    short = settings("steps=1", "augmentation.crop_voxels=200")
    files = [train(short, entries(samples), tmp_path / name, accelerator="cpu") for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    with sole_writer(tmp_path / "c"), pytest.raises(UserError, match="is being written by another process"):
        train(short, entries(samples), tmp_path / "c", accelerator="cpu")
    assert not (tmp_path / "c").exists(), "nothing was written"


@pytest.mark.parametrize(("save_every", "says"), [(100, "The training has diverged"), (2, "are not finite")])
def test_a_training_that_diverges_ends_and_keeps_its_last_good_state(samples, tmp_path, save_every, says):
    small = ("batch=1", "augmentation.crop_voxels=200")
    chosen = settings("steps=20", "rate=1e6", f"save_every={save_every}", "validate_every=100", *small)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, entries(samples), tmp_path, accelerator="cpu", interrupted=lambda: True)
    before = (tmp_path / STATE).read_bytes(), (tmp_path / NETWORK).read_bytes()
    with pytest.raises(UserError, match=rf"{says}.* lower rate"):
        train(chosen, entries(samples), tmp_path, resume=True, accelerator="cpu")
    assert before == ((tmp_path / STATE).read_bytes(), (tmp_path / NETWORK).read_bytes())


def test_truth_of_scenes_can_be_the_validation(tmp_path, samples):
    room = SampleFolder(samples)
    sample = room.read(room.choose(["map"])[0])
    np.savez(tmp_path / "scene.npz", points=sample.points, colours=sample.colours, instance=sample.instance)
    assert len(validation_clouds([tmp_path / "scene.npz", samples], 8, ["map"])) == 4
    assert len(validation_clouds([samples], 2, ["map"])) == 2
    folder = tmp_path / "copy"
    shutil.copytree(samples, folder)
    (folder / "samples" / "room1.map.npz").write_bytes(b"")
    assert len(validation_clouds([folder], 2, ["map"])) == 2, "only those that are chosen are read"
    np.savez(tmp_path / "nothing.npz", points=sample.points, instance=np.zeros(len(sample), np.int32))
    assert len(validation_clouds([tmp_path / "nothing.npz", samples], 8, ["map"])) == 4
    with pytest.raises(UserError, match=r"None of the 1 clouds .*nothing\.npz, has a true instance of 100 points"):
        validation_clouds([tmp_path / "nothing.npz"], 8, ["map"])
    (tmp_path / "instances.txt").write_text("1001\n1002\n")
    with pytest.raises(UserError, match="no points"):
        validation_clouds([tmp_path / "instances.txt"], 2, ["map"])


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no distributed training")
def test_two_processes_under_torchrun(samples, tmp_path):
    """Stage 3: one of the two predicts. With --from, since torchrun takes an option that begins like one of its own for it
    (--start for --start-method)."""
    checkpoint.save(Mask3D(settings().network), tmp_path / "first.pt")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "offline_training.train",
               str(samples), "--stage", "3", "--config", "small", "-o", str(tmp_path / "out"), "--accelerator", "cpu", "--threads", "1",
               "--from", str(tmp_path / "first.pt"), *SET, *ALL_MASKS, "--set", "steps=2"]  # fmt: skip
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "segmenter.pt").is_file()
    assert len((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()) == 2


def test_what_the_package_does_not_support_is_not_chosen(monkeypatch):
    """As on a Mac."""
    from lightning.fabric.accelerators import MPSAccelerator

    monkeypatch.setattr(MPSAccelerator, "is_available", staticmethod(lambda: True))
    assert launched(settings(), "auto", "auto").device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UserError, match="--accelerator must be auto, cpu"):
        launched(settings(), "mps", "auto")


def test_after_an_interruption_one_reads_how_to_go_on(capsys):
    def stop():
        raise KeyboardInterrupt

    assert run(stop, [], interrupted="The same command goes on.") == 130
    assert capsys.readouterr().err == "error: The same command goes on.\n"
