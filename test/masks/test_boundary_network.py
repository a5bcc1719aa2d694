"""The boundary network: what goes in, what comes out, and its training."""

import resource

import numpy as np
import numpy.typing as npt
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics
from gcseg_ros.masks.boundary_network import AFFINITY_OFFSETS, APPEARANCE_CHANNELS, CHANNELS, BoundaryNetwork, features


def camera(width: int, height: int) -> CameraIntrinsics:
    return CameraIntrinsics(width, height, 0.82 * width, 0.82 * width, (width - 1) / 2, (height - 1) / 2)


def plane_depth(k: CameraIntrinsics, normal: npt.ArrayLike, distance: float) -> npt.NDArray[np.float32]:
    """Depth of the plane normal . X = -distance, normal towards the camera."""
    v, u = np.mgrid[: k.height, : k.width]
    rays = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(u.shape)], -1)
    return (-distance / (rays @ np.asarray(normal))).astype(np.float32)


def a_view(width: int = 64, height: int = 48, seed: int = 0):
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 256, (height, width, 3), np.uint8)
    depth = rng.uniform(0.5, 5, (height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = 0
    return colour, depth, camera(width, height)


@pytest.fixture(scope="module")
def network() -> BoundaryNetwork:
    return BoundaryNetwork(threads=1)


@pytest.mark.parametrize(("width", "height"), [(320, 240), (64, 48), (65, 47), (17, 33), (1, 1), (318, 239)])
def test_shapes_ranges_and_types(network, width, height):
    maps = network(*a_view(width, height))
    assert maps.boundary.shape == maps.structure.shape == (height, width)
    assert maps.affinities.shape == (len(AFFINITY_OFFSETS), (height + 1) // 2, (width + 1) // 2)
    assert maps.appearance.shape == (APPEARANCE_CHANNELS, -(-height // 4), -(-width // 4))
    assert maps.appearance.dtype == np.float32
    assert np.isfinite(maps.appearance).all()
    for values in (maps.boundary, maps.structure, maps.affinities):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert values.max() <= 1


def test_same_input_same_output(network):
    first, second = network(*a_view()), BoundaryNetwork(threads=1)(*a_view())
    assert np.array_equal(first.boundary, second.boundary)
    assert np.array_equal(first.affinities, second.affinities)
    assert np.array_equal(first.structure, second.structure)
    assert np.array_equal(first.appearance, second.appearance)


def test_without_depth_and_without_colour(network):
    colour, depth, k = a_view()
    for c, d in ((colour, np.zeros_like(depth)), (np.full_like(colour, 80), depth), (0 * colour, 0 * depth)):
        assert np.isfinite(network(c, d, k).boundary).all()


def test_a_ball_before_a_wall_has_an_outline(network):
    """The shipped weights, on the plainest scene there is: 0.4 m ball, 1 m before a wall, both of one colour."""
    k = camera(320, 240)
    v, u = np.mgrid[:240, :320]
    depth = np.full((240, 320), 2.5, np.float32)
    radius = 0.4 / 1.5 * k.fx
    ball = np.hypot(u - k.cx, v - k.cy) < radius
    depth[ball] = (1.5 - 0.4 * np.sqrt(1 - (np.hypot(u - k.cx, v - k.cy)[ball] / radius) ** 2)).astype(np.float32)
    boundary = network(np.full((240, 320, 3), 180, np.uint8), depth, k).boundary
    distance = np.abs(np.hypot(u - k.cx, v - k.cy) - radius)
    assert boundary[distance < 1].mean() > 0.5
    assert boundary[distance > 8].mean() < 0.1


@pytest.mark.parametrize("normal", [(0.0, 0.0, -1.0), (0.2, -0.5, -0.8), (-0.4, 0.1, -0.9)])
def test_features_of_a_plane(normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    k = camera(160, 120)
    depth = plane_depth(k, normal, 1.2)
    depth[30:40, 50:70] = 0
    up = np.array([0.1, -0.95, -0.3])
    up /= np.linalg.norm(up)
    out = features(np.zeros((120, 160, 3), np.uint8), depth, k, up)
    assert np.array_equal(out[4] > 0, depth > 0)
    seen = depth > 0
    assert np.allclose(out[7][seen], normal[0], atol=2e-3)
    assert np.allclose(out[8][seen], normal[1], atol=2e-3)
    assert np.allclose(out[9][seen], normal @ up, atol=2e-3)
    v, u = np.mgrid[:120, :160]
    X = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(u.shape)], -1) * depth[..., None]
    assert np.allclose(out[10], X @ up / 2, atol=1e-4)
    assert np.abs(out[5:7, 60:-10, 10:-10]).max() < 0.01  # planes are linear in inverse depth
    assert (out[3:11, ~seen] == 0).all()


def test_features_do_not_see_exposure():
    colour, depth, k = a_view()
    dim = (colour // 4).astype(np.uint8)
    assert np.allclose(features(4 * dim, depth, k), features(dim, depth, k), atol=0.03)


def test_a_world_that_does_not_stand_upright_is_not_believed():
    colour, depth, k = a_view()
    level = features(colour, depth, k)
    assert np.array_equal(features(colour, depth, k, (0.3, 0.0, 0.95)), level)  # z of a world that is the first camera
    assert not np.array_equal(features(colour, depth, k, (0.0, -0.7, -0.7)), level)


@pytest.mark.parametrize(
    ("colour", "depth", "up", "message"),
    [
        (np.zeros((48, 63, 3), np.uint8), np.zeros((48, 64), np.float32), None, "one size"),
        (np.zeros((48, 64, 3), np.uint8), np.zeros((24, 32), np.float32), None, "one size"),
        (np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.float32), (0, 0, 0), "up direction"),
        (np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.float32), (0, np.nan, 0), "up direction"),
        (np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.float32), (0, 1), "up direction"),
    ],
)
def test_wrong_input_is_one_sentence(colour, depth, up, message):
    with pytest.raises(UserError, match=message):
        features(colour, depth, camera(64, 48), up)


def test_missing_and_broken_weights(tmp_path):
    with pytest.raises(UserError, match="no boundary weights"):
        BoundaryNetwork(tmp_path / "none.onnx")
    for content in (b"", b"not a network", bytes(1000)):
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(content)
        with pytest.raises(UserError, match="boundary weights"):
            BoundaryNetwork(broken)


def test_weights_of_another_network(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "other", [value], [result])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="train them again"):
        BoundaryNetwork(tmp_path / "other.onnx")


class TestTraining:
    """Needs torch."""

    @pytest.fixture(autouse=True)
    def _torch(self):
        self.torch = pytest.importorskip("torch", reason="training needs torch")

    def labelled_view(self):
        """A box of 24x20 pixels 0.5 m before a wall."""
        from offline_training.boundaries.views import LabelledView

        k = camera(64, 48)
        depth = np.full((48, 64), 2.0, np.float32)
        instance = np.ones((48, 64), np.uint16)
        colour = np.full((48, 64, 3), 200, np.uint8)
        box = np.s_[14:34, 20:44]
        depth[box], instance[box], colour[box] = 1.5, 2, 90
        return LabelledView(colour, depth, instance, instance == 1, k, np.array([0.0, -1, 0]))

    def test_targets(self):
        from offline_training.boundaries.views import IGNORE, targets

        instance = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 1, 3, 3], [1, 1, 3, 3]], np.uint16)
        out = targets(instance, instance == 1)
        X = IGNORE
        assert out["boundary"].tolist() == [[0, 1, 1, 0], [X, 1, 1, 1], [X, X, 1, 1], [X, 1, 1, 0]]
        assert out["structure"].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [X, 1, 0, 0], [1, 1, 0, 0]]
        assert out["affinities"].shape == (len(AFFINITY_OFFSETS), 2, 2)
        assert (out["affinities"] == X).all()  # the image is smaller than the shortest offset

    def test_affinity_targets_follow_the_offsets(self):
        from offline_training.boundaries.views import IGNORE, targets

        rng = np.random.default_rng(0)
        instance = rng.integers(0, 4, (48, 64)).astype(np.uint16)
        affinities = targets(instance, instance == 1)["affinities"]
        for k, i, j in zip(
            rng.integers(0, len(AFFINITY_OFFSETS), 300), rng.integers(0, 24, 300), rng.integers(0, 32, 300)
        ):
            y, x = 2 * (i + AFFINITY_OFFSETS[k][0]), 2 * (j + AFFINITY_OFFSETS[k][1])
            inside = 0 <= y < 48 and 0 <= x < 64
            known = inside and instance[2 * i, 2 * j] > 0 and instance[y, x] > 0
            assert affinities[k, i, j] == (instance[2 * i, 2 * j] == instance[y, x] if known else IGNORE)

    def test_it_learns_a_view_by_heart_and_exports_it(self, tmp_path):
        from offline_training.boundaries.evaluation import evaluate
        from offline_training.boundaries.export import export
        from offline_training.boundaries.loss import boundary_loss
        from offline_training.boundaries.network import BoundaryUNet
        from offline_training.boundaries.training import knowledge, logits
        from offline_training.boundaries.views import targets

        torch = self.torch
        torch.manual_seed(0)
        view = self.labelled_view()
        inputs = torch.from_numpy(features(view.colour, view.depth_m, view.intrinsics, view.up))[None]
        truth = {
            name: torch.from_numpy(np.asarray(x))[None] for name, x in targets(view.instance, view.structure).items()
        }
        network = BoundaryUNet()
        optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
        for _ in range(60):
            loss = boundary_loss(*network(inputs), truth)["total"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean over what follows
                module.reset_running_stats()
        with torch.no_grad():
            network(inputs)
        network.eval()
        known = knowledge(network, view)
        rng = np.random.default_rng(0)
        mean, components = rng.normal(size=len(known)), rng.normal(size=(len(known), APPEARANCE_CHANNELS)) / 12
        export(network, 1.0, 0.0, mean, components, tmp_path / "b.onnx")
        run = BoundaryNetwork(tmp_path / "b.onnx", threads=1)
        maps = run(view.colour, view.depth_m, view.intrinsics, view.up)
        assert np.allclose(maps.boundary, 1 / (1 + np.exp(-logits(network, view)[0][0])), atol=1e-4)
        appearance = np.einsum("chw,ck->khw", known - mean[:, None, None], components)
        assert np.allclose(maps.appearance, appearance, atol=1e-3 * np.abs(appearance).max())
        figures = evaluate(lambda v: run(v.colour, v.depth_m, v.intrinsics, v.up), [view])
        assert figures["f1"] > 0.9
        assert figures["iou"] > 0.8
        assert figures["structure"] > 0.9

    def test_interrupted_training_ends_with_the_same_weights(self, tmp_path, monkeypatch, capfd):
        from offline_training.boundaries import training

        monkeypatch.setattr(training, "CALIBRATION_VIEWS", 1)
        settings = training.Settings(steps=2, batch=1, pool=2)
        arguments = {"cache": tmp_path / "cache", "workers": 0, "held_out": 1, "device": self.torch.device("cpu")}
        whole = training.train(settings, tmp_path / "whole", resume=False, validate_every=1, **arguments)
        (last,) = (line for line in capfd.readouterr().err.splitlines() if line.startswith("step 2 "))
        assert " structure " in last, "a line is whole, however long it is"

        save = training.save

        def stop(*state):
            save(*state)
            raise KeyboardInterrupt

        monkeypatch.setattr(training, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(settings, tmp_path / "parts", resume=False, validate_every=1, **arguments)
        monkeypatch.setattr(training, "save", save)
        parts = training.train(settings, tmp_path / "parts", resume=True, validate_every=1, **arguments)
        assert whole.read_bytes() == parts.read_bytes()
        with pytest.raises(UserError, match="trained with"):
            training.train(training.Settings(steps=5), tmp_path / "parts", resume=True, validate_every=1, **arguments)
        with pytest.raises(UserError, match="holds a training already"):
            training.train(settings, tmp_path / "parts", resume=False, validate_every=1, **arguments)
        with pytest.raises(UserError, match="no checkpoint"):
            training.train(settings, tmp_path / "new", resume=True, validate_every=1, **arguments)
        (tmp_path / "parts" / "checkpoint.pt").write_bytes(b"broken")
        with pytest.raises(UserError, match=r"cannot be read.*: delete it, or give a new folder"):
            training.train(settings, tmp_path / "parts", resume=True, validate_every=1, **arguments)

    def test_a_checkpoint_that_cannot_be_written_is_one_sentence(self, tmp_path):
        from offline_training.boundaries import training

        network = self.torch.nn.Linear(1, 1)
        optimizer = self.torch.optim.AdamW(network.parameters())
        most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most[1]))
        try:
            with pytest.raises(UserError, match=r"checkpoint\.pt cannot be written.*is the disk full"):
                training.save(tmp_path / "checkpoint.pt", 1, training.Settings(1), network, network, optimizer)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, most)
        assert not list(tmp_path.iterdir())

    def test_a_device_that_is_not_there(self, tmp_path, capsys):
        from offline_training.boundaries.__main__ import main
        from offline_training.commands import run

        assert run(main, ["--output", str(tmp_path), "--device", "tpu"]) == 2
        assert "--device must be auto, cpu, cuda or cuda:N; found 'tpu'" in capsys.readouterr().err
        if not self.torch.cuda.is_available():
            assert run(main, ["--output", str(tmp_path), "--device", "cuda"]) == 2
            assert "finds no GPU" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_two_trainings_into_one_folder_are_one_too_many(self, tmp_path, capsys):
        from gcseg_ros.files import sole_writer
        from offline_training.boundaries.__main__ import main
        from offline_training.commands import run

        with sole_writer(tmp_path):
            assert run(main, ["--output", str(tmp_path), "--steps", "1"]) == 2
        assert "is being written by another process" in capsys.readouterr().err

    def test_examples_follow_from_their_number(self, tmp_path):
        from gcseg_ros.recordings.synthetic.styles import TRAINING_STYLES
        from offline_training.boundaries.views import CROP, Examples, ViewCache

        cache = ViewCache(tmp_path, TRAINING_STYLES)
        examples = Examples(cache, seed=3, pool=2, fresh=1)
        first, again, other = examples[5], examples[5], examples[6]
        assert first["features"].shape == (CHANNELS, CROP[1], CROP[0])
        assert first["boundary"].shape == (CROP[1], CROP[0])
        assert all(np.array_equal(first[name], again[name]) for name in first)
        assert not np.array_equal(first["features"], other["features"])

    def test_components_are_those_of_scikit_learn(self):
        """Of the instances' means; they are scaled to spread 1, what varies little to less."""
        from sklearn.decomposition import PCA
        from sklearn.preprocessing import StandardScaler

        from offline_training.boundaries.appearance import principal_components

        rng = np.random.default_rng(1)
        mixing = rng.normal(size=(40, 40)) * np.linspace(1, 0.2, 40)
        views, means = [], []
        for _ in range(30):
            instance = np.repeat(np.arange(5, dtype=np.uint16), 16)[:, None].repeat(48, axis=1)  # 0: nothing is known
            known = (mixing @ rng.normal(size=(40, 20 * 12))).reshape(40, 20, 12).astype(np.float32)
            known += (mixing @ rng.normal(size=(40, 5))).repeat(4, axis=1)[:, :, None]
            views.append((known, instance))
            means += [known[:, 4 * k : 4 * k + 4].mean((1, 2)) for k in range(1, 5)]
        mean, components = principal_components(iter(views))
        found = (np.array(means) - mean) @ components
        scaled = StandardScaler().fit_transform(np.array(means))
        expected = PCA(APPEARANCE_CHANNELS).fit_transform(scaled)
        likeness = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(found.T, expected.T)]
        assert min(likeness[:8]) > 0.99
        assert found.mean(0) == pytest.approx(0, abs=1e-6)
        assert found.std(0)[0] == pytest.approx(1, abs=0.02)
        assert (found.std(0) < 1.01).all()

    def test_few_instances_have_few_components(self):
        from offline_training.boundaries.appearance import principal_components

        instance = np.repeat(np.arange(1, 4, dtype=np.uint16), 16)[:, None].repeat(16, axis=1)
        known = np.random.default_rng(0).normal(size=(30, 12, 4)).astype(np.float32)
        mean, components = principal_components([(known, instance)])
        assert mean.shape == (30,)
        assert components.shape == (30, APPEARANCE_CHANNELS)
        assert np.isfinite(components).all()
