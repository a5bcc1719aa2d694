"""open_clip's own code with a tiny, untrained model."""

import logging

import numpy as np
import pytest

pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

import torch  # noqa: E402
from PIL import Image  # noqa: E402
from planted import ColourEncoder  # noqa: E402
from tiny_clip import TINY, write_tiny_clip  # noqa: E402

from gcseg_ros.errors import UserError  # noqa: E402
from gcseg_ros.retrieval import Encoder, OpenClip  # noqa: E402
from gcseg_ros.retrieval.encoder import ARCHITECTURES, published_preparation, resolve  # noqa: E402
from gcseg_ros.weights import TABLE  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logging.getLogger().setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return OpenClip.load(folder, device="cpu")


@pytest.fixture
def crops():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((4, 40), (50, 20), (32, 32))]


def test_features_are_open_clip_s(folder, encoder, crops):
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    model.eval()
    with torch.no_grad():
        images = torch.cat([model.encode_image(preprocess(Image.fromarray(c))[None], normalize=True) for c in crops])
        texts = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(["red mug", "chair"]), normalize=True)
    np.testing.assert_allclose(encoder.images(crops), images, atol=1e-5)
    np.testing.assert_allclose(encoder.texts(["red mug", "chair"]), texts, atol=1e-5)
    assert encoder.images(crops).dtype == np.float32


def test_every_text_is_answered(encoder):
    for text in ("赤いマグ", "красная кружка", "🙂", "x" * 900, "a b " * 200, "<end_of_text>", "\u202e\u0301"):
        assert np.isfinite(encoder.texts([text])).all()


@pytest.mark.parametrize(("words", "cut"), [(1, False), (75, False), (76, True), (400, True)])
def test_texts_beyond_77_tokens_are_cut(encoder, words, cut):
    text = " ".join(["mug"] * words)  # a token each, and one for the beginning and one for the end
    assert encoder.cuts(text) == cut
    assert np.array_equal(encoder.texts([text]), encoder.texts([f"{text} lamp"])) == (cut or words == 75)


@pytest.mark.parametrize("weights", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.pth"])
def test_folders_in_every_format(tmp_path, encoder, crops, weights):
    other = OpenClip.load(write_tiny_clip(tmp_path / "other", weights), device="cpu")
    np.testing.assert_allclose(other.images(crops), encoder.images(crops), atol=1e-6)
    assert other.name.startswith("other-")
    assert other.name != encoder.name


@pytest.fixture
def architectures(monkeypatch):
    """Two more of open_clip's architectures, small enough for tests."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-test", TINY)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-wide", {**TINY, "embed_dim": 48})


def test_an_architecture_with_a_file_of_weights(folder, encoder, architectures):
    loaded = OpenClip.load("tiny-test", folder / "open_clip_model.safetensors", "cpu")
    np.testing.assert_allclose(loaded.texts(["mug"]), encoder.texts(["mug"]), atol=1e-6)


def test_pictures_are_prepared_as_for_the_published_weights(folder, architectures, crops, monkeypatch):
    """open_clip knows how by the name of the weights, not by a file."""
    weights = folder / "open_clip_model.safetensors"
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "MobileCLIP-B", TINY)
    mobile, plain = (OpenClip.load(name, weights, "cpu") for name in ("MobileCLIP-B", "tiny-test"))
    model, preprocess = open_clip.create_model_from_pretrained(
        "tiny-test", str(weights), image_mean=(0, 0, 0), image_std=(1, 1, 1), image_interpolation="bilinear"
    )
    with torch.no_grad():
        expected = model.eval().encode_image(
            torch.stack([preprocess(Image.fromarray(c)) for c in crops]), normalize=True
        )
    np.testing.assert_allclose(mobile.images(crops), expected, atol=1e-5)
    assert np.abs(mobile.images(crops) - plain.images(crops)).max() > 1e-3
    assert mobile.name.rsplit("-", 1)[0] == plain.name.replace("tiny-test", "MobileCLIP-B"), "kept features are others"
    for architecture in ARCHITECTURES.values():
        assert published_preparation(architecture) == {}, "open_clip's default"
    assert "preprocess_cfg" in refusal("ViT-L-14", weights)


def test_other_weights_have_another_name_wherever_they_differ(tmp_path):
    """Features that are kept belong to the name."""
    names = set()
    for place in (None, 0, 1 << 20, (1 << 21) - 1):
        content = bytearray(1 << 21)
        if place is not None:
            content[place] = 1
        (tmp_path / "weights.pt").write_bytes(content)
        names.add(resolve("ViT-B-32", tmp_path / "weights.pt")[2])
    assert len(names) == 4


class Trap:
    """What would leave a file behind if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_pickled_is_run(tmp_path):
    folder = write_tiny_clip(tmp_path / "bad", "model.pth")
    torch.save({"state_dict": {}, "extra": Trap(tmp_path / "trapped")}, folder / "model.pth")
    with pytest.raises(UserError, match="holds more than weights"):
        OpenClip.load(folder)
    assert not (tmp_path / "trapped").exists()


def refusal(*arguments):
    with pytest.raises(UserError) as error:
        OpenClip.load(*arguments)
    return str(error.value)


def test_what_does_not_fit_is_said(tmp_path, folder, architectures):
    weights = folder / "open_clip_model.safetensors"
    assert "did you mean ViT-B-32" in refusal("ViT-B-33", weights)
    assert "cannot be loaded as tiny-wide" in refusal("tiny-wide", weights)
    assert "There is no file" in refusal("ViT-B-32", tmp_path / "none.pt")
    for device in ("gpu", "cpu:x"):
        assert "device must be auto, cpu, cuda" in refusal(folder, None, device)
    assert "brings its own weights" in refusal(folder, weights)
    assert "no open_clip_config.json" in refusal(tmp_path)
    (tmp_path / "open_clip_config.json").write_text("{}")
    assert "no weights" in refusal(tmp_path)
    (tmp_path / "model.pth").write_bytes(b"")
    assert "cannot be loaded" in refusal(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    assert "no file of weights" in refusal("ViT-B-32", tmp_path / "notes.txt")


def test_a_full_memory_is_one_sentence(folder, crops):
    full = pytest.raises(UserError, match="memory is too small for this CLIP: take a smaller one")
    encoder = OpenClip.load(folder, device="cpu")
    for part, ask in (("visual", lambda: encoder.images(crops)), ("transformer", lambda: encoder.texts(["mug"]))):
        getattr(encoder._model, part).register_forward_pre_hook(lambda *_: torch.empty(1 << 58))
        with full:
            ask()
    encoder._model._apply = lambda _: torch.empty(1 << 58)
    with full:
        OpenClip("full", encoder._model, None, None, "cpu")


def test_every_clip_of_the_table_has_its_architecture():
    assert {entry.name for entry in TABLE if entry.name.startswith("clip-")} == set(ARCHITECTURES)
    assert set(ARCHITECTURES.values()) <= set(open_clip.list_models())


def test_names_tell_files_of_weights_apart(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"a")
    (tmp_path / "b.pt").write_bytes(b"b")
    names = {resolve("ViT-B-32", tmp_path / file)[2] for file in ("a.pt", "b.pt")}
    assert len(names) == 2
    assert resolve("clip-vit-b-32", tmp_path / "a.pt")[0] == "ViT-B-32-quickgelu"


def test_a_stand_in_is_an_encoder(encoder):
    encoders: list[Encoder] = [encoder, ColourEncoder()]
    assert all(isinstance(one.name, str) and one.multilingual is False for one in encoders)


def test_the_command_line_with_a_model_from_a_folder(tmp_path, folder, capsys):
    """From a mapped folder to a heat map."""
    import json

    from planted import PALETTE, instance_map, patch, stored, wall_frame

    from gcseg_ros.cli import main
    from gcseg_ros.clouds.ply import read_cloud
    from gcseg_ros.files import write_json_atomic
    from gcseg_ros.instances.export import write_instances_json, write_instances_ply
    from gcseg_ros.retrieval import write_views

    points = np.concatenate([patch(-0.5, 0, 2), patch(0.3, 0, 2)])
    instances = instance_map(points, np.repeat([1, 2], len(points) // 2))
    write_instances_ply(tmp_path / "instances.ply", instances)
    write_instances_json(tmp_path / "instances.json", instances)
    write_json_atomic(tmp_path / "summary.json", {"gcseg_ros": "test"})
    write_views(tmp_path / "views.npz", [stored(wall_frame(colour=PALETTE[9]))])
    heat = tmp_path / "heat.ply"
    arguments = [str(tmp_path), "red mug", "--not", "chair", "--model", str(folder), "-o", str(heat), "--json"]
    assert main(["query", *arguments]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["text"] == "red mug"
    assert {found["id"] for found in answer["objects"]} == {1, 2}
    assert all(0 <= found["score"] <= 1 for found in answer["objects"])
    assert len(read_cloud(heat)["points"]) == len(points)
    assert main(["query", str(tmp_path), "кружка", "--model", str(folder)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "not in Latin letters" in said
