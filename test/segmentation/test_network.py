"""Decoder, losses and matching: a definition each, and a network that learns a room by heart."""

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the 3D segmenter needs torch")
from torch.nn.functional import cross_entropy  # noqa: E402

from gcseg_ros.errors import UserError  # noqa: E402
from gcseg_ros.evaluation.average_precision import Overlap, average_precision  # noqa: E402
from gcseg_ros.segmentation.attention import attend, projection  # noqa: E402
from gcseg_ros.segmentation.network import Mask3D, NetworkConfig  # noqa: E402
from gcseg_ros.segmentation.positions import FourierEncoding, furthest_points  # noqa: E402
from gcseg_ros.segmentation.post_processing import PostProcessing  # noqa: E402
from gcseg_ros.segmentation.segmenter import Segmenter  # noqa: E402
from gcseg_ros.segmentation.sparse_tensor import SparseTensor, voxel_means  # noqa: E402
from offline_training.segmenter.losses import drawn_masks, objectness_loss, segmenter_loss  # noqa: E402
from offline_training.segmenter.matcher import Weights, cross_entropies, dices, match  # noqa: E402

SMALL = NetworkConfig("tiny", hidden=32, heads=4, feedforward=64, rounds=1, queries=8, keys=(50, 50, 50, 50))


def scenes(counts, seed=0, extent=30):
    """A batch of scenes of random voxels with positions in metres, and instance labels by octant."""
    rng = np.random.default_rng(seed)
    rows = [
        np.unique(np.column_stack([np.full(n, b), rng.integers(0, extent, (n, 3))]), axis=0)
        for b, n in enumerate(counts)
    ]
    coordinates = torch.from_numpy(np.concatenate(rows))
    x, _ = SparseTensor.of_points(
        coordinates, torch.from_numpy(rng.normal(size=(len(coordinates), 3))).float(), "torch"
    )
    positions = x.coordinates[:, 1:].float() * 0.02
    octant = (x.coordinates[:, 1:] >= extent // 2).long() @ torch.tensor([1, 2, 4])
    ends = x.level.scene_ends
    return x, positions, [octant[a:b] for a, b in itertools.pairwise(ends)]


def test_attention_is_that_of_pytorchs_module():
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(16, 4)
    q, k, v = torch.randn(3, 16), torch.randn(7, 16), torch.randn(7, 16)
    blocked = torch.rand(3, 7) < 0.4
    expected = module(q, k, v, attn_mask=blocked, need_weights=False)[0]
    inputs = [projection(module, i, x) for i, x in enumerate((q, k, v))]
    torch.testing.assert_close(attend(module, *inputs, ~blocked), expected)


def test_furthest_points_are_spread():
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [10, 0, 0], [4, 0, 0], [9, 0, 0]])
    assert furthest_points(line, 4).tolist() == [0, 2, 3, 1]
    assert furthest_points(line[:1], 4).tolist() == [0]
    assert furthest_points(line + 1e6, 3).tolist() == [0, 2, 3]


def test_fourier_encoding_of_the_unit_cube():
    encoding = FourierEncoding(8)
    encoding.gauss_B.fill_(0.25)
    low, high = torch.zeros(3), torch.tensor([2.0, 4.0, 0.0])
    out = encoding(torch.tensor([[0.0, 0, 0], [2.0, 4.0, 0]]), low, high)
    torch.testing.assert_close(out[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(
        out[1], torch.tensor([math.sin(math.pi)] * 4 + [math.cos(math.pi)] * 4), atol=1e-6, rtol=0
    )


def test_a_batch_gives_what_its_scenes_give():
    torch.manual_seed(0)
    network = Mask3D(SMALL).eval()
    x, positions, _ = scenes([200, 90])
    with torch.no_grad():
        together = network(x, positions)
        for b, prediction in enumerate(together):
            here = x.level.batch == b
            coordinates = x.coordinates[here].clone()
            coordinates[:, 0] = 0
            alone, _ = SparseTensor.of_points(coordinates, x.features[here], "torch")
            (expected,) = network(alone, positions[here])
            assert len(prediction.steps) == 5
            torch.testing.assert_close(prediction.steps[-1].scores, expected.steps[-1].scores, atol=1e-4, rtol=1e-4)
            logits = prediction.mask_logits(prediction.steps[-1])
            assert logits.shape == (8, int(here.sum()))
            torch.testing.assert_close(logits, expected.mask_logits(expected.steps[-1]), atol=1e-3, rtol=1e-3)


def test_inference_gives_what_its_layers_say():
    """Without gradients convolution, norm, shortcut and relu are done at once: the same numbers."""
    torch.manual_seed(0)
    network = Mask3D(SMALL).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.copy_(torch.rand_like(values) + 0.5)
    x, *_ = scenes([300])
    x = x.with_features(x.features.double())
    plain = network.backbone(x)
    with torch.no_grad():
        fused = network.backbone(x)
    for a, b in zip(fused, plain, strict=True):
        torch.testing.assert_close(a.features, b.features.detach(), atol=1e-10, rtol=1e-10)


def test_masks_of_a_few_queries_at_once_change_nothing(monkeypatch):
    """The memory for attention masks is bounded, whatever the numbers of queries and voxels."""
    torch.manual_seed(0)
    model, (x, positions, _) = Mask3D(SMALL).eval(), scenes([300])
    held = []
    for layer in model.cross_attention[0]:
        layer.register_forward_pre_hook(lambda _, inputs: held.append(inputs[3].numel()))
    with torch.no_grad():
        (whole,) = model(x, positions)
        monkeypatch.setattr("gcseg_ros.segmentation.network.PAIRS_AT_ONCE", 1000)
        held.clear()
        (parts,) = model(x, positions)
    assert max(held) <= 1000 < 8 * len(x.level.coarser.level)
    for a, b in zip(whole.steps, parts.steps, strict=True):
        torch.testing.assert_close(a.embeddings, b.embeddings, atol=1e-5, rtol=1e-5)


def test_fewer_voxels_than_queries_and_a_single_one():
    network = Mask3D(SMALL).eval()
    for count in (1, 5):
        x, positions, _ = scenes([count])
        (prediction,) = network(x, positions)
        assert len(prediction.anchors) == len(x.level)
        assert torch.isfinite(prediction.mask_logits(prediction.steps[-1])).all()


@pytest.mark.parametrize("counts", [(200, 0, 90), (0, 200, 0), (0, 0)])
def test_scenes_without_voxels_have_no_queries(counts):
    """Anywhere in a batch; the other scenes are what they are without them, and the loss learns from those."""
    network = Mask3D(SMALL)
    x, positions, _ = scenes(counts)
    predictions = network.eval()(x, positions, scenes=len(counts))
    assert [len(p.features) for p in predictions] == [int((x.level.batch == b).sum()) for b in range(len(counts))]
    for count, prediction in zip(counts, predictions):
        assert len(prediction.anchors) == (8 if count else 0)
        assert prediction.mask_logits(prediction.steps[-1]).shape == (len(prediction.anchors), len(prediction.features))
    if any(counts):
        full, *_ = scenes([n for n in counts if n])
        expected = network(full.with_features(x.features), positions)
        got = [p for p in predictions if len(p.anchors)]
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a.steps[-1].scores, b.steps[-1].scores, atol=1e-4, rtol=1e-4)
    labels = [torch.ones(len(p.features), dtype=torch.int64) for p in predictions]
    loss = segmenter_loss(network.train()(x, positions, scenes=len(counts)), labels)["total"]
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_the_decoders_tensors_are_made_on_the_inputs_device():
    """A tensor made without naming the device would land on `meta` here, and mixing devices fails."""
    network = Mask3D(SMALL).train()
    x, positions, _ = scenes([200])
    with torch.device("meta"):
        (prediction,) = network(x, positions)
    assert prediction.mask_logits(prediction.steps[-1]).device.type == "cpu"


def test_configurations_that_do_not_exist_are_refused():
    with pytest.raises(UserError, match="34C, 18A, 14A, tiny"):
        NetworkConfig("50")
    with pytest.raises(UserError, match="multiple"):
        NetworkConfig(hidden=100)


def test_costs_are_the_losses_of_every_pair():
    torch.manual_seed(0)
    logits, masks = torch.randn(4, 30) * 3, (torch.rand(3, 30) < 0.3).float()
    for q in range(4):
        for g in range(3):
            expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[q], masks[g])
            torch.testing.assert_close(cross_entropies(logits, masks)[q, g], expected)
            p = logits[q].sigmoid()
            expected = 1 - (2 * (p * masks[g]).sum() + 1) / (p.sum() + masks[g].sum() + 1)
            torch.testing.assert_close(dices(logits, masks)[q, g], expected)


def test_queries_are_matched_with_the_instances_that_they_show():
    masks = torch.eye(3).repeat_interleave(4, 1)
    logits = torch.cat([masks[[2, 0]] * 20 - 10, torch.full((1, 12), -10.0), masks[[1]] * 20 - 10])
    query, instance = match(torch.zeros(4, 2), logits, masks, Weights())
    assert dict(zip(query.tolist(), instance.tolist())) == {0: 2, 1: 0, 3: 1}


def test_perfect_predictions_cost_nothing():
    scores, known = torch.tensor([[20.0, -20], [-20, 20]]), torch.zeros(2, dtype=torch.bool)
    assert objectness_loss(scores, torch.tensor([0]), 0.1, known) < 1e-6
    assert objectness_loss(scores, torch.tensor([1]), 0.1, known) > 10


def test_a_query_that_starts_where_nothing_is_known_learns_only_what_it_is_matched_with():
    torch.manual_seed(0)
    scores, matched = torch.randn(5, 2, requires_grad=True), torch.tensor([1, 3])
    wanted = torch.tensor([1, 0, 1, 0, 1])
    all_known = objectness_loss(scores, matched, 0.1, torch.zeros(5, dtype=torch.bool))
    torch.testing.assert_close(all_known, cross_entropy(scores, wanted, torch.tensor([1, 0.1])))
    unknown = torch.tensor([True, True, False, False, False])
    loss = objectness_loss(scores, matched, 0.1, unknown)
    torch.testing.assert_close(loss, cross_entropy(scores[1:], wanted[1:], torch.tensor([1, 0.1])))
    loss.backward()
    assert scores.grad.abs().sum(1).ne(0).tolist() == [False, True, True, True, True]


def test_objectness_of_half_precise_scores_is_summed_in_full_precision():
    """The mean over 400 queries in bfloat16 has two digits."""
    scores = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)).bfloat16()
    arguments = torch.arange(9), 0.1, torch.zeros(400, dtype=torch.bool)
    assert objectness_loss(scores, *arguments) == objectness_loss(scores.float(), *arguments)


def test_unknown_voxels_and_scenes_without_instances():
    label = torch.tensor([-1, 0, 2, 2, 5, -1])
    voxels, masks = drawn_masks(label, 100)
    assert voxels.tolist() == [1, 2, 3, 4]
    assert masks.tolist() == [[0, 1, 1, 0], [0, 0, 0, 1]]
    assert len(drawn_masks(torch.ones(1000, dtype=torch.int64), 10)[0]) == 10
    network = Mask3D(SMALL)
    x, positions, _ = scenes([60, 60])
    ends = x.level.scene_ends
    for value in (0, -1):
        losses = segmenter_loss(
            network(x, positions), [torch.full((b - a,), value) for a, b in itertools.pairwise(ends)]
        )
        assert torch.isfinite(losses["total"])
        losses["total"].backward()


def test_the_loss_reaches_every_parameter_that_is_used():
    torch.manual_seed(0)
    network = Mask3D(SMALL).train()
    x, positions, labels = scenes([200, 150])
    losses = segmenter_loss(network(x, positions), labels, points=100, generator=torch.Generator().manual_seed(0))
    assert set(losses) == {"objectness", "mask", "dice", "total"}
    losses["total"].backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    assert without == {"backbone.final.kernel", "backbone.final.bias"}
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def room(seed=0):
    """Points (N, 3), instance ids and colours of a floor, two walls and four boxes."""
    rng = np.random.default_rng(seed)
    parts = []

    def surface(corner, u, v, instance, colour):
        u, v = np.array(u), np.array(v)
        count = int(np.linalg.norm(u) * np.linalg.norm(v) / 0.04**2)
        along = rng.random((count, 2))
        parts.append(
            (corner + along[:, :1] * u + along[:, 1:] * v, np.full(count, instance), np.tile(colour, (count, 1)))
        )

    surface([0, 0, 0], [2.4, 0, 0], [0, 2.0, 0], 1, [150, 130, 100])
    surface([0, 0, 0], [2.4, 0, 0], [0, 0, 1.2], 2, [200, 200, 200])
    surface([0, 0, 0], [0, 2.0, 0], [0, 0, 1.2], 3, [200, 200, 180])
    boxes = [(0.4, 0.4, 0.4, 0.3, 0.4), (1.3, 0.3, 0.5, 0.4, 0.6), (0.4, 1.2, 0.3, 0.4, 0.5), (1.5, 1.2, 0.5, 0.5, 0.3)]
    for instance, (x, y, a, b, h) in enumerate(boxes, 4):
        colour = rng.integers(0, 255, 3)
        surface([x, y, h], [a, 0, 0], [0, b, 0], instance, colour)
        for corner, along in ([x, y], [a, 0, 0]), ([x, y], [0, b, 0]), ([x + a, y], [0, b, 0]), ([x, y + b], [a, 0, 0]):
            surface([*corner, 0], along, [0, 0, h], instance, colour)
    points, instance, colours = (np.concatenate(column) for column in zip(*parts))
    return points, instance, colours.astype(np.uint8)


def test_learns_a_room_by_heart():
    """Network, losses, matching and post-processing together: AP50 above 90 on the room that was trained on."""
    torch.manual_seed(0)
    points, instance, colours = room()
    config = NetworkConfig("tiny", hidden=64, heads=4, feedforward=128, rounds=1, queries=16, voxel_m=0.08)
    network = Mask3D(config).train()
    segmenter = Segmenter(network, PostProcessing(min_score=0.3, min_voxels=10, split_m=0.2), device="cpu")
    network.train()
    x, positions, rows = segmenter._voxelised(points, colours)
    labels = torch.zeros(len(x.level), dtype=torch.int64)
    labels[rows] = torch.from_numpy(instance)
    steps = 150
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        losses = segmenter_loss(network(x, positions), [labels], points=1000, generator=generator)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        schedule.step()
    network.eval()
    found = segmenter(points, colours)
    figures = average_precision([Overlap.of_masks(instance, found.masks, found.scores)])
    assert figures.ap50 > 0.9


def test_voxel_means():
    out = voxel_means(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([2, 2, 0]), 3)
    assert out.flatten().tolist() == [5, 0, 2]
