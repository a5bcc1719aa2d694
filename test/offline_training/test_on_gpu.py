"""What runs on a GPU gives what the CPU gives. Skipped where there is none."""

import json

import pytest
from sklearn.metrics import adjusted_rand_score

torch = pytest.importorskip("torch", reason="networks need torch")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

from offline_training.labelling.samples import SampleFolder  # noqa: E402


def test_the_shipped_segmenter_segments_the_same(samples):
    from gcseg_ros.segmentation import Segmenter

    opened = SampleFolder(samples)
    cloud = opened.read(opened.choose(["map"])[0])
    labels = [Segmenter.load(device=device)(cloud.points, cloud.colours).labels() for device in ("cpu", "cuda")]
    assert adjusted_rand_score(*labels) > 0.98


def test_the_segmenter_trains(samples, tmp_path):
    pytest.importorskip("lightning")
    pytest.importorskip("tensorboard")
    from offline_training.segmenter.settings import load_settings
    from offline_training.segmenter.training import NETWORK, STATE, train

    opened = SampleFolder(samples)
    entries = [(opened, entry) for entry in opened.choose(["map"])]
    chosen = load_settings("small", 2, ["steps=4", "batch=2", "save_every=2"])
    for device in ("cpu", "cuda"):
        train(chosen, entries, tmp_path / device, accelerator=device)
    steps = [(tmp_path / device / "metrics.jsonl").read_text().splitlines() for device in ("cpu", "cuda")]
    first, second = (json.loads(rows[0])["loss/total"] for rows in steps)
    assert second == pytest.approx(first, rel=0.02)
    state = torch.load(tmp_path / "cuda" / STATE, weights_only=True, map_location="cpu")["network"]
    assert all(torch.isfinite(value).all() for value in state.values())
    shipped = torch.load(tmp_path / "cuda" / NETWORK, weights_only=True)["state_dict"]
    assert all(value.device.type == "cpu" for value in shipped.values())  # for machines without a GPU


def test_an_interrupted_training_goes_on(samples, tmp_path):
    pytest.importorskip("lightning")
    pytest.importorskip("tensorboard")
    from offline_training.segmenter.settings import load_settings
    from offline_training.segmenter.training import train

    opened = SampleFolder(samples)
    entries = [(opened, entry) for entry in opened.choose(["map"])]
    chosen = load_settings("small", 2, ["steps=2", "batch=1"])
    with pytest.raises(KeyboardInterrupt):
        train(chosen, entries, tmp_path, accelerator="cuda", interrupted=lambda: True)
    train(chosen, entries, tmp_path, resume=True, accelerator="cuda")
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_the_boundary_network_trains_and_goes_on(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    from gcseg_ros.masks.boundary_network import BoundaryNetwork
    from offline_training.boundaries import training

    monkeypatch.setattr(training, "CALIBRATION_VIEWS", 1)
    settings = training.Settings(steps=2, batch=1, pool=2)
    arguments = {"cache": tmp_path / "cache", "workers": 0, "held_out": 1, "device": torch.device("cuda")}
    file = training.train(settings, tmp_path / "out", resume=False, validate_every=1, **arguments)
    BoundaryNetwork(file)
    training.train(settings, tmp_path / "out", resume=True, validate_every=1, **arguments)
