"""From any cloud to instances: odd clouds, checkpoints, post-processing, the command."""

import copy
import math
import os
import pwd
import tempfile
import threading
import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_array

torch = pytest.importorskip("torch", reason="the 3D segmenter needs torch")

from planted_masks import planted  # noqa: E402

from gcseg_ros.camera.upright import rotation_to_z  # noqa: E402
from gcseg_ros.cli import main  # noqa: E402
from gcseg_ros.clouds.ply import read_cloud, write_cloud  # noqa: E402
from gcseg_ros.commands.segment import remark_on_side, remark_on_spacing  # noqa: E402
from gcseg_ros.errors import UserError  # noqa: E402
from gcseg_ros.evaluation.baselines import normals_of  # noqa: E402
from gcseg_ros.files import write_json_atomic  # noqa: E402
from gcseg_ros.instances.export import write_instances_json, write_instances_ply  # noqa: E402
from gcseg_ros.instances.instances import InstanceMap, describe_objects  # noqa: E402
from gcseg_ros.networks.parameters import read_parameters  # noqa: E402
from gcseg_ros.segmentation import checkpoint, require_torch  # noqa: E402
from gcseg_ros.segmentation.instances import Instances  # noqa: E402
from gcseg_ros.segmentation.network import Mask3D, NetworkConfig  # noqa: E402
from gcseg_ros.segmentation.post_processing import (  # noqa: E402
    PostProcessing,
    instances_of,
    without_repetitions,
)
from gcseg_ros.segmentation.segmenter import Segmenter, over_points  # noqa: E402
from gcseg_ros.segmentation.segments import (  # noqa: E402
    MOST_SEGMENTS,
    geometric_segments,
    middles,
    snapped,
)

CONFIG = NetworkConfig("tiny", hidden=16, heads=2, feedforward=16, rounds=1, queries=6)
from gcseg_ros.tracking.objects import Objects  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Mask3D(CONFIG).eval()


@pytest.fixture(scope="module")
def segmenter(network):
    return Segmenter(network, PostProcessing(min_score=0, min_voxels=1), device="cpu")


def surface(count=1500, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.random((count, 3)) * [0.8, 0.8, 0.1]
    return points, rng.integers(0, 256, (count, 3)).astype(np.uint8)


CLOUDS = {
    "ordinary": lambda: surface()[0],
    "empty": lambda: np.zeros((0, 3)),
    "one point": lambda: np.zeros((1, 3)),
    "duplicates": lambda: np.repeat(surface(20)[0], 50, axis=0),
    "far away": lambda: surface()[0] + 1e6,
    "negative": lambda: surface()[0] - 50,
    "not finite": lambda: np.where(np.random.default_rng(0).random((1500, 3)) < 0.1, np.nan, surface()[0]),
    "nothing finite": lambda: np.full((5, 3), np.inf),
    "a line": lambda: np.column_stack([np.linspace(0, 3, 300), np.zeros(300), np.zeros(300)]),
    "a million points": lambda: surface(1_000_000)[0],
}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("coloured", [True, False])
def test_odd_clouds_have_a_result(segmenter, cloud, coloured):
    if cloud == "a million points" and not coloured:
        pytest.skip("once is enough")
    points = CLOUDS[cloud]()
    colours = np.full(points.shape, 90, np.uint8) if coloured else None
    found = segmenter(points, colours)
    assert found.masks.shape == (len(found), len(points))
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    labels = found.labels()
    assert labels.shape == (len(points),)
    assert (labels[~np.isfinite(points).all(1)] == 0).all()


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.array([[0, 0, 0], [1e6, 0, 0]]), "extends over"),
        (np.array([[1e300, 0, 0]]), "metres"),
        (np.zeros((3, 2)), r"\(N, 3\)"),
        (np.zeros(3), r"\(N, 3\)"),
    ],
)
def test_impossible_clouds_are_one_sentence(segmenter, points, words):
    with pytest.raises(UserError, match=words) as error:
        segmenter(points)
    assert "\n" not in str(error.value)


def test_a_cloud_in_millimetres_is_one_sentence(segmenter):
    """Every voxel would get a table of its own in the first layer, 7 kB each."""
    points, _ = surface(5000)
    with pytest.raises(UserError, match="check that it is in metres"):
        segmenter(1000 * points)
    assert segmenter(points).masks.shape[1] == 5000


@pytest.mark.parametrize("full", [lambda: torch.empty(1 << 58), lambda: np.empty(1 << 58)])
def test_full_memory_is_one_sentence(network, full):
    segmenter = Segmenter(copy.deepcopy(network), device="cpu")
    segmenter.network.register_forward_pre_hook(lambda *_: full())
    with pytest.raises(UserError, match="memory is too small for this cloud"):
        segmenter(*surface())


def test_colours_must_belong_to_the_points(segmenter):
    with pytest.raises(UserError, match="same shape"):
        segmenter(np.zeros((4, 3)), np.zeros((3, 3), np.uint8))


def test_points_of_a_voxel_share_its_instance(segmenter):
    points, colours = surface()
    found = segmenter(np.repeat(points, 2, axis=0), np.repeat(colours, 2, axis=0))
    labels = found.labels().reshape(-1, 2)
    np.testing.assert_array_equal(labels[:, 0], labels[:, 1])


def test_the_order_of_points_does_not_matter(segmenter):
    points, colours = surface()
    order = np.random.default_rng(1).permutation(len(points))
    before, after = segmenter(points, colours), segmenter(points[order], colours[order])
    np.testing.assert_allclose(before.scores, after.scores, atol=1e-4)
    assert (before.labels()[order] == after.labels()).mean() > 0.99


def test_threads_share_a_segmenter(segmenter):
    clouds = [surface(seed=seed) for seed in range(4)]
    expected = [segmenter(*cloud).labels() for cloud in clouds]
    results = [None] * 4

    def work(i):
        results[i] = segmenter(*clouds[i]).labels()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, wanted in zip(results, expected):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_odd_clouds_have_a_result_when_segments_are_joined(network, cloud):
    if cloud == "a million points":
        pytest.skip("as with other settings")
    joining = Segmenter(network, PostProcessing(min_score=0, min_voxels=1, segments="join"), device="cpu")
    points = CLOUDS[cloud]()
    found = joining(points, np.full(points.shape, 90, np.uint8))
    assert found.masks.shape == (len(found), len(points))
    assert found.masks.sum(0).max(initial=0) <= 1  # a partition


def test_the_number_of_segments_is_bounded_where_every_point_is_alone():
    """A cloud far sparser than its voxels: 10,000 segments would be compared pair by pair, and each would have a query."""
    plane, lonely = grid(20, 20), np.stack(np.meshgrid(*[np.arange(22.0)] * 3), -1).reshape(-1, 3)[:10_000] + 5
    positions = np.concatenate([plane, lonely])
    segments = geometric_segments(positions, normals_of(positions), np.zeros_like(positions), 0.02)
    assert len(np.unique(segments)) == segments.max() + 1 == MOST_SEGMENTS
    assert len(np.unique(segments[:400])) == 1  # what is large stays as it is
    assert not np.isin(segments[400:], segments[:400]).any()


def test_every_segment_has_a_query_in_its_middle():
    positions = np.concatenate([grid(5, 5), grid(3, 3, (1, 0, 0))])
    assert middles(positions, np.repeat([0, 1], [25, 9])).tolist() == [12, 25 + 4]


def test_bf16_runs(network):
    assert (
        Segmenter(network, PostProcessing(min_score=0), device="cpu", precision="bf16")(*surface()).masks.shape[1]
        == 1500
    )


def grid(width, height, corner=(0, 0, 0)):
    u, v = np.meshgrid(np.arange(width) * 0.02, np.arange(height) * 0.02)
    return np.column_stack([u.ravel(), v.ravel(), np.zeros(u.size)]) + corner


def test_masks_are_split_where_they_fall_apart():
    positions = np.concatenate([grid(10, 10), grid(10, 10, (1, 0, 0)), [[5, 5, 5]]])
    found = instances_of(planted(np.ones((1, 201), bool), [0.9]), positions, PostProcessing(), 0.02)
    assert len(found) == 2
    assert sorted(found.masks.sum(1)) == [100, 100]
    np.testing.assert_allclose(found.scores, 0.9, atol=1e-3)


def test_small_and_doubtful_masks_and_repetitions_are_dropped():
    positions = grid(20, 20)
    masks = np.zeros((4, 400), bool)
    masks[0, :200], masks[1, :190], masks[2, 200:210], masks[3, 200:] = True, True, True, True
    found = instances_of(planted(masks, [0.8, 0.9, 0.9, 0.1]), positions, PostProcessing(), 0.02)
    np.testing.assert_allclose(found.scores, [0.9], atol=1e-3)
    assert found.masks.sum() == 190


def test_snapping_takes_the_segments_that_lie_mostly_inside():
    segments = np.repeat([0, 1, 2], 10)
    inside, probability = snapped(np.arange(4, 14), np.full(10, 0.8, np.float32), segments, 30)
    assert inside.tolist() == list(range(10))
    np.testing.assert_allclose(probability, 0.8)


def test_geometric_segments_part_where_the_colour_changes():
    positions = grid(30, 30)
    colours = np.where(positions[:, :1] < 0.3, -1.0, 1.0) * np.ones(3)
    segments = geometric_segments(positions, normals_of(positions), colours, 0.02)
    assert len(np.unique(segments)) == 2
    assert len(np.unique(geometric_segments(positions, normals_of(positions), 0 * colours, 0.02))) == 1


def test_geometric_segments_part_at_an_edge():
    """A floor and a wall: two large segments, little mixed."""
    floor, wall = grid(30, 30), grid(30, 30)[:, [0, 2, 1]] + [0, -0.01, 0.02]
    positions = np.concatenate([floor, wall])
    segments = geometric_segments(positions, normals_of(positions), np.zeros_like(positions), 0.02)
    most = [np.bincount(part).argmax() for part in (segments[:900], segments[900:])]
    assert most[0] != most[1]
    assert (segments[:900] == most[0]).mean() > 0.8
    assert (segments[900:] == most[1]).mean() > 0.8


def test_segments_end_to_end(network, tmp_path, capsys):
    """Of a room's corner, every instance is made of whole segments; by the class and by the command."""
    points = np.concatenate(
        [grid(40, 40), grid(40, 40)[:, [0, 2, 1]] + [0, -0.02, 0.02], grid(20, 20, (0.2, 0.3, 0.4))]
    )
    colours = np.random.default_rng(0).integers(0, 256, points.shape).astype(np.uint8)
    settings = {"min_score": 0, "min_voxels": 1, "split_m": 0, "max_overlap": 1}
    network = copy.deepcopy(network)
    with torch.no_grad():  # so that its masks cover most of the cloud
        x, positions, _ = Segmenter(network, device="cpu")._voxelised(points, colours)
        (prediction,) = network(x, positions)
        last = prediction.steps[-1]
        mean = last.embeddings.mean(0)
        network.mask_features_head.bias -= prediction.mask_logits(last).quantile(0.3) * mean / mean.square().sum()
    free = Segmenter(network, PostProcessing(**settings), device="cpu")
    snapping = Segmenter(network, PostProcessing(**settings, segments="snap"), device="cpu")
    x, positions, rows = snapping._voxelised(points, colours)
    centres = positions.numpy().astype(np.float64)
    shown, voxel_m = x.features[:, :3].numpy(), network.config.voxel_m
    segments = geometric_segments(centres, normals_of(centres), shown, voxel_m)[rows.numpy()]

    def torn(found):
        """(instance, segment) pairs of which only a part of the segment is in the instance."""
        shares = [found.masks.astype(int) @ (segments == s) / (segments == s).sum() for s in np.unique(segments)]
        return int(((np.array(shares) > 0) & (np.array(shares) < 1)).sum())

    assert len(np.unique(segments)) >= 3
    assert torn(free(points, colours)) > 0
    found = snapping(points, colours)
    assert len(found)
    assert torn(found) == 0
    write_cloud(tmp_path / "cloud.ply", {"points": points.astype(np.float32), "colours": colours})
    checkpoint.save(network, tmp_path / "c.pt")
    out = tmp_path / "out.ply"
    command = ["segment", str(tmp_path / "cloud.ply"), "-o", str(out), "--checkpoint", str(tmp_path / "c.pt")]
    assert main([*command, "--segments", "snap", "--min-score", "0"]) == 0, capsys.readouterr().err
    assert len(read_cloud(out)["points"]) == len(points)


def test_the_better_instance_owns_the_points():
    found = without_repetitions([(0.9, np.array([0, 1])), (0.5, np.array([1, 2, 3]))], 5, 0.7)
    assert found.labels().tolist() == [1, 1, 2, 2, 0]
    described = found.as_map(np.random.default_rng(0).random((5, 3)))
    assert [o.points for o in described.objects] == [2, 2]
    np.testing.assert_allclose(described.confidence, [0.9, 0.9, 0.5, 0.5, 0])


@pytest.mark.parametrize("seed", range(5))
def test_repetitions_are_those_of_a_comparison_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((30, 200)) < rng.choice([0.05, 0.3, 0.8], (30, 1))
    masks[3] = False
    expected = []
    for i, mask in enumerate(masks):
        ious = [(mask & masks[k]).sum() / max((mask | masks[k]).sum(), 1) for k in expected]
        if max(ious, default=0) <= 0.2:
            expected.append(i)
    found = without_repetitions([(1 - i / 40, np.flatnonzero(mask)) for i, mask in enumerate(masks)], 200, 0.2)
    np.testing.assert_array_equal(found.masks.toarray(), masks[expected])
    np.testing.assert_array_equal(found.scores, np.float32([1 - i / 40 for i in expected]))


def test_masks_over_points_are_those_over_their_voxels():
    rng = np.random.default_rng(0)
    masks, voxel = rng.random((6, 50)) < 0.3, rng.integers(0, 45, 300)  # five voxels without a point
    points = np.sort(rng.choice(400, 300, replace=False))
    expected = np.zeros((6, 400), bool)
    expected[:, points] = masks[:, voxel]
    np.testing.assert_array_equal(over_points(csr_array(masks), voxel, points, 400).toarray(), expected)
    assert over_points(csr_array((0, 50), dtype=bool), voxel, points, 400).shape == (0, 400)


def test_no_instances_are_a_map_too():
    none = Instances(csr_array((0, 3), dtype=bool), np.zeros(0, np.float32))
    assert none.labels().tolist() == [0, 0, 0]
    assert none.as_map(np.zeros((3, 3))).objects == []


def test_a_checkpoint_comes_back(network, tmp_path):
    checkpoint.save(network, tmp_path / "full.pt", half=False, steps=7)
    again = checkpoint.load(tmp_path / "full.pt").network
    assert again.config == network.config
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    checkpoint.save(network, tmp_path / "half.pt")
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * (tmp_path / "full.pt").stat().st_size
    half = checkpoint.load(tmp_path / "half.pt").network
    assert all(p.dtype == torch.float32 for p in half.parameters())


def test_a_checkpoint_brings_its_own_post_processing(network, tmp_path):
    checkpoint.save(network, tmp_path / "c.pt", post_processing={"min_voxels": 7, "max_overlap": 0.3})
    own = Segmenter.load(tmp_path / "c.pt", device="cpu").settings
    assert own == PostProcessing(min_voxels=7, max_overlap=0.3)
    changed = Segmenter.load(tmp_path / "c.pt", {"min_voxels": 9}, device="cpu").settings
    assert changed == PostProcessing(min_voxels=9, max_overlap=0.3)
    checkpoint.save(network, tmp_path / "odd.pt", post_processing={"min_voxel": 7})
    with pytest.raises(UserError, match="min_voxels"):
        Segmenter.load(tmp_path / "odd.pt", device="cpu")


class TrainingConfiguration:
    """What stands in a published checkpoint beside the parameters, of a package that is not installed here."""

    def __init__(self):
        self.values = {"lr": 1e-4}


def test_a_published_checkpoint_loads(tmp_path):
    """Names and shapes as Mask3D's and Segment3D's code makes them, with Lightning's surroundings."""
    config = NetworkConfig("tiny", classes=19, head_classes=20, hidden=64, feedforward=96)
    network = Mask3D(config)
    theirs = {}
    for name, value in network.state_dict().items():
        name = name.replace("query_projection.", "query_projection.layers.")
        pointwise = name.startswith("query_projection") and value.ndim == 2
        theirs[f"model.{name}"] = value[..., None] if pointwise else value
    content = {
        "epoch": 1,
        "state_dict": {**theirs, "criterion.empty_weight": torch.ones(20)},
        "hyper_parameters": TrainingConfiguration(),
    }
    torch.save(content, tmp_path / "theirs.ckpt")
    loaded = checkpoint.load(tmp_path / "theirs.ckpt").network
    assert loaded.config == config
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_the_names_of_mask3d():
    """The published names, as far as its code tells them; 34C's backbone is compared in test_res16unet."""
    names = {name.split(".")[0] for name in Mask3D(CONFIG).state_dict()}
    assert names == {
        *("backbone", "mask_features_head", "query_projection", "mask_embed_head", "class_embed_head", "pos_enc"),
        *("cross_attention", "self_attention", "ffn_attention", "lin_squeeze", "decoder_norm"),
    }
    shapes = {name: tuple(value.shape) for name, value in Mask3D(CONFIG).state_dict().items()}
    assert shapes["pos_enc.gauss_B"] == (3, 8)
    assert shapes["cross_attention.0.3.multihead_attn.in_proj_weight"] == (48, 16)
    assert shapes["self_attention.0.0.self_attn.out_proj.weight"] == (16, 16)
    assert shapes["ffn_attention.0.2.linear2.weight"] == (16, 16)
    assert shapes["lin_squeeze.0.0.weight"] == (16, 96)
    assert shapes["mask_embed_head.2.bias"] == (16,)


class Malicious:
    def __reduce__(self):
        import os

        return os.system, ("touch executed",)


def test_bad_checkpoints_are_one_sentence(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.pt").write_text("hello")
    torch.save({"state_dict": {"a": torch.ones(3)}}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"x": Malicious()}, tmp_path / "malicious.pt")
    checkpoint.save(network, tmp_path / "good.pt")
    content = torch.load(tmp_path / "good.pt", weights_only=True)
    torch.save({**content, "config": {**content["config"], "architecture": "99Z"}}, tmp_path / "unknown.pt")
    content["state_dict"]["decoder_norm.bias"].fill_(torch.nan)
    torch.save(content, tmp_path / "diverged.pt")
    content["state_dict"].pop("decoder_norm.bias")
    torch.save(content, tmp_path / "missing.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "good.pt").read_bytes()[:5000])
    for name in ("text", "other", "list", "malicious", "unknown", "missing", "cut", "absent", "diverged"):
        with pytest.raises(UserError) as error:
            checkpoint.load(tmp_path / f"{name}.pt")
        assert "\n" not in str(error.value), name
    assert not (tmp_path / "executed").exists()


def test_what_torch_says_of_a_checkpoint_that_was_cut_off_is_not_cut_off_itself(network, tmp_path):
    checkpoint.save(network, tmp_path / "good.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "good.pt").read_bytes()[:-100])
    with pytest.raises(UserError) as error:
        checkpoint.load(tmp_path / "cut.pt")
    assert str(error.value) == (
        f"The checkpoint {tmp_path / 'cut.pt'} cannot be read (PytorchStreamReader failed reading zip archive: failed finding central directory): "
        "it is damaged, cut off, or was not written by torch.save."
    )


@pytest.mark.parametrize(
    "change",
    [
        *({"classes": -1}, {"hidden": 0}, {"heads": 0}, {"hidden": 2_000_000}, {"hidden": 1024}, {"voxel_m": 0.0}),
        *({"voxel_m": math.nan}, {"rounds": 10**9}, {"rounds": 1.5}, {"queries": -1}, {"colour_std": (0.0, 0.0, 0.0)}),
        *({"colour_mean": (0.5,)}, {"keys": 3}, {"channels": "3"}, {"feedforward": 10**12}, {"unknown": 1}),
    ],
    ids=str,
)
def test_numbers_that_no_network_has_are_one_sentence(network, tmp_path, change):
    checkpoint.save(network, tmp_path / "c.pt")
    content = torch.load(tmp_path / "c.pt", weights_only=True)
    torch.save({**content, "config": {**content["config"], **change}}, tmp_path / "c.pt")
    with pytest.raises(UserError) as error:
        checkpoint.load(tmp_path / "c.pt")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_compressed_checkpoints_are_refused(network, tmp_path):
    """torch would inflate them without bound."""
    checkpoint.save(network, tmp_path / "c.pt")
    small = zipfile.ZipFile(tmp_path / "small.pt", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "c.pt") as stored, small:
        for name in stored.namelist():
            small.writestr(name, stored.read(name))
        small.writestr("archive/data/999", bytes(1 << 24))
    for load in (checkpoint.load, lambda file: read_parameters(file, "SAM")):
        with pytest.raises(UserError, match="cannot be read"):
            load(tmp_path / "small.pt")


def test_the_command_writes_a_labelled_cloud_and_a_picture(network, tmp_path, capsys):
    points, colours = surface(4000)
    write_cloud(tmp_path / "cloud.ply", {"points": points.astype(np.float32), "colours": colours})
    checkpoint.save(network, tmp_path / "c.pt")
    out = tmp_path / "new" / "out.ply"
    status = main(
        [
            "segment",
            str(tmp_path / "cloud.ply"),
            "-o",
            str(out),
            "--checkpoint",
            str(tmp_path / "c.pt"),
            "--min-score",
            "0",
        ]
    )
    assert status == 0, capsys.readouterr().err
    assert "instances" in capsys.readouterr().out
    cloud = read_cloud(out)
    assert len(cloud["points"]) == 4000
    assert {"instance", "confidence", "colours"} <= cloud.keys()
    assert out.with_suffix(".png").is_file()
    bare = tmp_path / "bare.ply"
    bare.write_text(
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n1 1 1\n"
    )
    assert main(["segment", str(bare), "-o", str(out), "--checkpoint", str(tmp_path / "c.pt")]) == 0


def test_no_cloud_is_written_without_its_picture(network, tmp_path, capsys):
    write_cloud(tmp_path / "cloud.ply", {"points": surface(50)[0].astype(np.float32)})
    checkpoint.save(network, tmp_path / "c.pt")
    (tmp_path / "out.png").mkdir()
    command = ["segment", str(tmp_path / "cloud.ply"), "-o", str(tmp_path / "out.ply")]
    assert main([*command, "--checkpoint", str(tmp_path / "c.pt")]) == 2
    assert "out.png cannot be written: it is a folder" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.pt", "cloud.ply", "out.png"]


def test_points_that_are_not_finite_keep_their_rows(network, tmp_path, capsys):
    points, _ = surface(300)
    points[::30] = np.nan
    write_cloud(tmp_path / "cloud.ply", {"points": points.astype(np.float32)})
    checkpoint.save(network, tmp_path / "c.pt")
    command = ["segment", str(tmp_path / "cloud.ply"), "-o", str(tmp_path / "out.ply"), "--min-score", "0"]
    assert main([*command, "--checkpoint", str(tmp_path / "c.pt")]) == 0
    found = read_cloud(tmp_path / "out.ply", finite_only=False)
    np.testing.assert_array_equal(found["points"], points.astype(np.float32))
    assert not found["instance"][::30].any()
    assert len(read_cloud(tmp_path / "out.ply")["points"]) == 290
    write_cloud(tmp_path / "cloud.ply", {"points": np.full((300, 3), np.nan, np.float32)})
    assert main([*command, "--checkpoint", str(tmp_path / "c.pt")]) == 0
    assert "none of its 300 is finite" in capsys.readouterr().err


def test_checkpoints_are_known_by_the_names_of_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("GCSEG_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(UserError, match="gcseg weights fetch mask3d-scannet200"):
        checkpoint.find("mask3d-scannet200")
    file = tmp_path / "mask3d_scannet200_val.ckpt"
    file.write_bytes(b"x")
    assert checkpoint.find("mask3d-scannet200") == file


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.ply", "-o", "out.ply"], "There is no cloud"),
        (["cloud.ply", "-o", "out.txt"], "must be named .ply"),
        (
            ["c.pt", "-o", "out.ply", "--checkpoint", "nothing"],
            "c.pt is not a PLY file",
        ),  # before the network is loaded
        (["cloud.ply", "-o", "no/../cloud.ply"], "is what is read: name another file"),
        (["cloud.ply", "-o", "map/instances.ply"], "instances.ply belongs to the map in"),
        (["cloud.ply", "-o", "map/picture.ply"], "picture.png belongs to the map in"),
        (["cloud.ply", "-o", "map/labels/0.ply"], "0.ply belongs to the map in"),
        (["map", "-o", "map/instances.ply"], "is what is read"),
        (["cloud.ply", "-o", "out.ply", "--checkpoint", "nothing"], "There is no checkpoint"),
        (["cloud.ply", "-o", "out.ply", "--checkpoint", "c.pt", "--min-score", "7"], "min_score"),
        (["cloud.ply", "-o", "out.ply", "--checkpoint", "c.pt", "--device", "cuda"], "no GPU"),
        (["cloud.ply", "-o", "out.ply", "--checkpoint", "c.pt", "--device", "gpu"], "device must be auto, cpu, cuda"),
        (["cloud.ply", "-o", "out.ply", "--checkpoint", "c.pt", "--device", "meta"], "device must be auto, cpu, cuda"),
    ],
)
def test_mistakes_on_the_command_line(network, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    write_cloud(tmp_path / "cloud.ply", {"points": surface(10)[0].astype(np.float32)})
    checkpoint.save(network, tmp_path / "c.pt")
    write_json_atomic(tmp_path / "map" / "summary.json", {"gcseg_ros": "test"})
    (tmp_path / "map" / "instances.ply").touch()
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["segment", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.ply").exists()
    assert sorted(file.name for file in (tmp_path / "map").iterdir()) == ["instances.ply", "summary.json"]


def test_torch_has_a_cache_where_the_user_has_no_name(tmp_path, monkeypatch):
    """`docker run --user 12345`: an id without an entry."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    def nobody(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is afterwards as it was
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    require_torch()
    assert cache_dir() == str(tmp_path / f"torchinductor_{os.getuid()}")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "own"))
    require_torch()
    assert cache_dir() == str(tmp_path / "own")


@pytest.mark.parametrize(("apart_m", "told"), [(0.02, False), (0.05, False), (0.08, True)])
def test_a_cloud_sparser_than_the_voxels_is_told(apart_m, told):
    points = apart_m * np.mgrid[:20, :20, :1].reshape(3, -1).T.astype(np.float32)
    assert ("a point every 0.08 m, and the network has voxels of 0.05 m" in remark_on_spacing(points, 0.05)) == told
    assert remark_on_spacing(np.tile(points, (3, 1)), 0.05) == remark_on_spacing(points, 0.05), (
        "points that repeat others"
    )
    assert remark_on_spacing(points[:1], 0.05) == remark_on_spacing(points[:0], 0.05) == ""


def test_a_cloud_on_its_side_is_told_and_one_upright_is_not():
    room = np.random.default_rng(0).uniform(0, (5, 6, 2.6), (500, 3)).astype(np.float32)
    assert remark_on_side(room) == remark_on_side(room[:0]) == ""
    assert "2.5 m along y: if that axis points up in it, say `--up y`" in remark_on_side(room[:, [0, 2, 1]])
    assert "2.5 m along x" in remark_on_side(room[:, [2, 0, 1]])
    assert remark_on_side(room * (0.4, 0.5, 1)) == "", "a narrow room that is higher than long"


def test_a_cloud_on_its_side_is_segmented_as_the_same_one_upright(network, tmp_path):
    points, colours = surface()
    upright, lying = points.astype(np.float32), (points[:, [0, 2, 1]] * [1, 1, -1]).astype(np.float32)
    checkpoint.save(network, tmp_path / "c.pt", post_processing={"min_score": 0, "min_voxels": 1})
    found = []
    for cloud, up in ((upright, "z"), (lying, "y")):
        write_cloud(tmp_path / "cloud.ply", {"points": cloud, "colours": colours})
        command = ["segment", str(tmp_path / "cloud.ply"), "-o", str(tmp_path / "out.ply"), "--up", up]
        assert main([*command, "--checkpoint", str(tmp_path / "c.pt")]) == 0
        found.append(read_cloud(tmp_path / "out.ply"))
        assert np.array_equal(found[-1]["points"], cloud), "it stays as it was"
    assert found[0]["instance"].any()
    assert np.array_equal(found[0]["instance"], found[1]["instance"])


def test_a_map_is_segmented_along_what_its_boxes_stand_along(network, tmp_path):
    """`gcseg map` has found that the world of these poses lies on its side."""
    points, colours = surface()
    lying, up = (points[:, [0, 2, 1]] * [1, 1, -1]).astype(np.float32), np.array([0, 1.0, 0])
    checkpoint.save(network, tmp_path / "c.pt", post_processing={"min_score": 0, "min_voxels": 1})
    every, none = np.ones(len(lying), np.int32), np.zeros(1, np.int64)
    objects = describe_objects(lying, every, every / 2, none, np.zeros_like(every), Objects(None), up)
    (tmp_path / "map").mkdir()
    write_instances_ply(tmp_path / "map/instances.ply", InstanceMap(lying, colours, every, every / 2, objects))
    write_instances_json(tmp_path / "map/instances.json", InstanceMap(lying, colours, every, every / 2, objects))
    write_cloud(tmp_path / "cloud.ply", {"points": lying @ rotation_to_z(up).T.astype(np.float32), "colours": colours})
    found = []
    for cloud in ("map", "cloud.ply"):
        command = ["segment", str(tmp_path / cloud), "-o", str(tmp_path / "out.ply")]
        assert main([*command, "--checkpoint", str(tmp_path / "c.pt")]) == 0
        found.append(read_cloud(tmp_path / "out.ply"))
    assert np.array_equal(found[0]["points"], lying), "it stays as it was"
    assert found[0]["instance"].any()
    assert np.array_equal(found[0]["instance"], found[1]["instance"])
