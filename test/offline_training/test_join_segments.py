"""`python -m offline_training.join_segments`: the real command on small rooms."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the 3D segmenter needs torch")

from gcseg_ros.segmentation import Segmenter, checkpoint  # noqa: E402
from gcseg_ros.segmentation.network import Mask3D, NetworkConfig  # noqa: E402
from offline_training.commands import run  # noqa: E402
from offline_training.join_segments import main  # noqa: E402
from offline_training.labelling.samples import Entry, SampleFolder, begin, write_index, write_sample  # noqa: E402


@pytest.fixture
def network(tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "network.pt"
    network = Mask3D(NetworkConfig("tiny", channels=6, hidden=16, heads=2, feedforward=16, rounds=1, queries=6))
    checkpoint.save(network, file, post_processing={"min_voxels": 5}, steps=7)
    return file


def test_from_samples_to_a_checkpoint_that_joins(samples, network, tmp_path, capsys):
    files = [tmp_path / f"{i}.pt" for i in range(2)]
    for file in files:
        arguments = [str(samples), "--checkpoint", str(network), "-o", str(file), "--rounds", "1"]
        assert run(main, arguments) == 0, capsys.readouterr().err
    one, other = (checkpoint.load(file) for file in files)
    for name, array in one.joining.arrays().items():
        assert (array == other.joining.arrays()[name]).all(), name
    assert one.post_processing == {"min_voxels": 5, "segments": "join"}
    assert one.notes["steps"] == 7
    for name, value in checkpoint.load(network).network.state_dict().items():
        assert torch.equal(value, one.network.state_dict()[name])
    room = SampleFolder(samples).read(SampleFolder(samples).entries[0])
    assert len(Segmenter.load(files[0], {"min_score": 0}, device="cpu")(room.points, room.colours)) > 1


def test_what_cannot_be_learned_from_is_one_sentence(samples, network, tmp_path, capsys):
    empty = tmp_path / "empty"
    begin(empty, {"stage": 2})
    write_index(empty, [Entry("nothing", "map", "")])
    own = tmp_path / "own"
    begin(own, {"stage": 3})
    write_index(own, [Entry("room", "map", "samples/room.map.npz")])
    unlabelled = tmp_path / "unlabelled"
    begin(unlabelled, {"stage": 2})
    for entry in SampleFolder(samples).choose(["map"])[:2]:
        room = SampleFolder(samples).read(entry)
        write_sample(unlabelled / entry.file, replace(room, instance=np.zeros_like(room.instance)))
    write_index(unlabelled, SampleFolder(samples).choose(["map"])[:2])
    for folder, file, says in (
        (unlabelled, network, "of 2 there is 0"),
        (tmp_path / "absent", network, "absent"),
        (own, network, "label with --stage 2"),
        (empty, network, "no whole scene"),
        (samples, tmp_path / "absent.pt", "There is no checkpoint"),
    ):
        out = tmp_path / "out.pt"
        assert run(main, [str(folder), "--checkpoint", str(file), "-o", str(out)]) != 0
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
        assert not out.exists()


def test_a_network_by_name_and_a_place_that_cannot_be_written(samples, capsys):
    out = "/proc/segmenter.pt"
    assert run(main, [str(samples), "--checkpoint", "rooms", "-o", out, "--rounds", "0"]) != 0
    error = capsys.readouterr().err
    assert "cannot be written" in error
    assert error.count("\n") == 1
