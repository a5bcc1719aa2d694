"""Augmentation, crops, examples and the loss by anchors."""

import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from gcseg_ros.evaluation.baselines import normals_of  # noqa: E402
from gcseg_ros.segmentation.features import surface_directions  # noqa: E402
from gcseg_ros.segmentation.network import Step  # noqa: E402
from offline_training.labelling.samples import Sample, SampleFolder  # noqa: E402
from offline_training.segmenter.augmentation import augmented, cropped  # noqa: E402
from offline_training.segmenter.examples import Examples, batched  # noqa: E402
from offline_training.segmenter.losses import anchor_losses  # noqa: E402
from offline_training.segmenter.matcher import Weights  # noqa: E402
from offline_training.segmenter.settings import Augmentation, load_settings  # noqa: E402

NONE = Augmentation(turn=False, tilt_deg=0, flip=False, scale=0, elastic=0, colour=0)


@pytest.fixture(scope="module")
def room(samples):
    folder = SampleFolder(samples)
    return folder.read(folder.choose(["map"])[0])


def distances(points):
    rows = np.random.default_rng(0).integers(0, len(points), (2, 300))
    return np.linalg.norm(points[rows[0]].astype(float) - points[rows[1]], axis=1)


def test_without_augmentation_only_the_place_changes(room):
    same = augmented(room, NONE, np.random.default_rng(0))
    np.testing.assert_allclose(distances(same.points), distances(room.points), atol=1e-5)
    np.testing.assert_array_equal(same.colours, room.colours)
    np.testing.assert_allclose((same.points.min(0) + same.points.max(0))[:2], 0, atol=1e-5)
    assert same.points[:, 2].min() == 0


@pytest.mark.parametrize(
    ("change", "ratio"), [({"turn": True}, 0), ({"flip": True}, 0), ({"tilt_deg": 5}, 0), ({"scale": 0.1}, 0.1)]
)
def test_rigid_changes_keep_distances_and_scaling_keeps_their_ratios(room, change, ratio):
    changed = augmented(room, NONE.model_copy(update=change), np.random.default_rng(1))
    ratios = (
        distances(changed.points)[distances(room.points) > 0.5] / distances(room.points)[distances(room.points) > 0.5]
    )
    assert np.ptp(ratios) < 1e-3
    assert abs(ratios.mean() - 1) <= ratio + 1e-4
    assert not np.allclose(changed.points, augmented(room, NONE, np.random.default_rng(1)).points)
    np.testing.assert_array_equal(changed.instance, room.instance)


def test_noise_bending_and_dropping_are_bounded(room):
    noisy = augmented(room, NONE.model_copy(update={"noise_m": 0.01}), np.random.default_rng(2))
    still = augmented(room, NONE, np.random.default_rng(2))
    assert 0 < np.abs(noisy.points - still.points).max() < 0.06
    bent = augmented(room, NONE.model_copy(update={"elastic": 1.0}), np.random.default_rng(2))
    assert 0.01 < np.abs(bent.points - still.points).std() < 0.5
    fewer = augmented(room, NONE.model_copy(update={"drop": 0.5}), np.random.default_rng(2))
    assert len(room) / 2.2 < len(fewer) < len(room)


def test_light_changes_colours_only(room):
    changed = augmented(room, NONE.model_copy(update={"colour": 0.2}), np.random.default_rng(3))
    assert np.abs(changed.colours.astype(int) - room.colours).mean() > 3
    grey = augmented(room, NONE.model_copy(update={"grey": 1.0}), np.random.default_rng(3))
    assert (grey.colours == grey.colours[:, :1]).all()


def test_a_crop_is_what_is_nearest_around_an_instance(room):
    small = cropped(room, 500, np.random.default_rng(0))
    assert len(small) == 500
    assert small.instance.any()
    assert cropped(room, 0, np.random.default_rng(0)) is room
    assert cropped(room, 10**6, np.random.default_rng(0)) is room
    empty = Sample(room.points, room.colours, np.zeros_like(room.instance))
    assert len(cropped(empty, 500, np.random.default_rng(0))) == 500


def test_an_example_depends_on_its_number_alone(samples):
    folder = SampleFolder(samples)
    settings = load_settings("small", 2, ["augmentation.crop_voxels=400"])
    entries = [(folder, entry) for entry in folder.choose(["map"])]
    one, other = Examples(entries, settings), Examples(entries, settings)
    one[0], one[1]
    for name, values in one[5].items():
        assert torch.equal(values, other[5][name])
    assert not torch.equal(one[5]["coordinates"], one[8]["coordinates"])
    batch = batched([one[0], one[1]])
    assert batch["coordinates"].shape == (800, 4)
    assert batch["coordinates"][:, 0].unique().tolist() == [0, 1]
    assert batch["features"].shape == (800, 6)


def test_directions_of_floors_and_walls():
    grid = np.mgrid[0:1:0.05, 0:1:0.05].reshape(2, -1).T
    flat = np.zeros(len(grid))
    np.testing.assert_allclose(
        surface_directions(normals_of(np.column_stack([grid, flat]))), np.tile([1, 0, 0], (400, 1)), atol=1e-5
    )
    wall = surface_directions(normals_of(np.column_stack([flat, grid])))
    np.testing.assert_allclose(wall, np.tile([0, 1, 0], (400, 1)), atol=1e-5)


def test_queries_that_know_their_anchors_instance_cost_least():
    labels = torch.tensor([1, 1, 1, 2, 2, 0])
    anchors = torch.tensor([1, 2, 2, 0])
    right = torch.where(labels == torch.tensor([1, 2, 2, 9])[:, None], 9.0, -9.0)
    sure = torch.tensor([[9.0, -9], [9, -9], [9, -9], [-9, 9]])
    best = anchor_losses(Step(sure, right), right, labels, anchors, Weights())
    assert all(float(value) < 0.2 for value in best.values())
    worse = anchor_losses(Step(-sure, -right), -right, labels, anchors, Weights())
    assert all(float(worse[name]) > float(best[name]) + 0.3 for name in best)


def test_a_crop_without_instances_has_a_loss_with_gradients():
    logits = torch.randn(3, 5, requires_grad=True)
    scores = torch.randn(3, 2, requires_grad=True)
    parts = anchor_losses(Step(scores, logits), logits, torch.zeros(5).long(), torch.zeros(3).long(), Weights())
    sum(parts.values()).backward()
    assert torch.isfinite(scores.grad).all()
    assert float(parts["mask"].detach()) == 0


def test_a_windows_logits_are_its_ellipsoids():
    from gcseg_ros.segmentation.windows import WindowHead, monomials

    torch.manual_seed(0)
    head = WindowHead(4)
    queries, starts, points = torch.randn(5, 4), torch.rand(5, 3) * 8, torch.rand(40, 3) * 10
    values = head.linear(queries)
    logits = head(queries, starts) @ monomials(points).t()
    for q in range(5):
        L = torch.diag(values[q, :3].exp())
        L[1, 0], L[2, 0], L[2, 1] = values[q, 3], values[q, 4], values[q, 5]
        inside = (points - starts[q] - values[q, 6:9]) @ L
        torch.testing.assert_close(logits[q], values[q, 9] - inside.square().sum(1), atol=1e-3, rtol=1e-4)


def test_examples_can_be_sent_to_a_worker_that_is_spawned(samples):
    """As on macOS, and everywhere from Python 3.14 on."""
    folder = SampleFolder(samples)
    examples = Examples([(folder, folder.choose(["map"])[0])], load_settings("small", 2))
    sent = pickle.loads(pickle.dumps(examples))
    assert sent[0].keys() == examples[0].keys()
    assert all(torch.equal(value, examples[0][name]) for name, value in sent[0].items())
