"""Objects made of geometric segments: as masks vote, and by the learned decision, from samples to checkpoint."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the 3D segmenter needs torch")

from planted_masks import planted  # noqa: E402

from gcseg_ros.errors import UserError  # noqa: E402
from gcseg_ros.joining.agglomeration import AREA, Agglomeration  # noqa: E402
from gcseg_ros.joining.boosted_trees import Trees  # noqa: E402
from gcseg_ros.joining.graph_network import ranges, shapes  # noqa: E402
from gcseg_ros.joining.model import OF_NETWORK, JoiningModel, Linear  # noqa: E402
from gcseg_ros.segmentation import Segmenter, checkpoint  # noqa: E402
from gcseg_ros.segmentation.joining import joined  # noqa: E402
from gcseg_ros.segmentation.network import Mask3D, NetworkConfig  # noqa: E402
from gcseg_ros.segmentation.post_processing import PostProcessing  # noqa: E402
from gcseg_ros.segmentation.query_masks import together_of  # noqa: E402
from gcseg_ros.segmentation.segment_graph import SegmentGraph, segment_graph  # noqa: E402
from gcseg_ros.segmentation.segments import SegmentedCloud  # noqa: E402
from offline_training.joining.labelled import LabelledGraph  # noqa: E402
from offline_training.joining.training import Settings, train  # noqa: E402

VOXEL_M = 0.05


def strips(segments, rng=None, corner=(0, 0, 0)):
    """A floor in strips of 4 x 6 voxels, the i-th in the segment segments[i]; each strip has a colour of its own."""
    u, v = np.meshgrid(np.arange(4 * len(segments)) * VOXEL_M, np.arange(6) * VOXEL_M, indexing="ij")
    positions = np.column_stack([u.ravel(), v.ravel(), np.zeros(u.size)]) + corner
    strip = np.repeat(np.arange(len(segments)), 24)
    colours = np.zeros((len(strip), 3)) if rng is None else rng.normal(size=(len(segments), 3))[strip]
    normals = np.tile([0.0, 0.0, 1.0], (len(strip), 1))
    return SegmentedCloud(positions, normals, colours, np.asarray(segments)[strip], VOXEL_M)


def test_segments_are_joined_as_most_masks_say():
    """Six segments of two objects; of ten masks seven see the first object whole, two without a segment, one sees both objects."""
    cloud = strips(range(6))
    first, second = np.isin(cloud.segments, [0, 1, 2]), np.isin(cloud.segments, [3, 4, 5])
    masks = np.array([first] * 7 + [first & (cloud.segments != 2)] * 2 + [first | second] + [second] * 3)
    found = joined(planted(masks, [0.9] * len(masks)), cloud, 0.1)
    assert sorted(voxels.tolist() for _, voxels, _ in found) == [list(range(72)), list(range(72, 144))]
    assert all(0.7 < score <= 0.9 for score, _, _ in found)


def test_no_query_joins_nothing_and_one_segment_is_one_object():
    cloud = strips([0])
    assert joined(planted(np.ones((1, 24), bool), [0.01]), cloud, 0.1) == []
    ((score, voxels, _),) = joined(planted(np.ones((1, 24), bool), [0.9]), cloud, 0.1)
    assert (round(score, 2), len(voxels)) == (0.95, 24)


def coverage(rng, queries, sizes):
    return rng.uniform(0.1, 0.9, queries), rng.random((queries, sizes))


def all_features(graph: SegmentGraph) -> np.ndarray:
    return Agglomeration(graph, None).features_of(graph.pairs)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_joined_segments_are_known_as_if_they_had_been_one(seed):
    objectness, of = coverage(np.random.default_rng(seed), 5, 3)
    of_one = np.stack([of[:, :2].mean(1), of[:, 2]], axis=1)  # strips are of one size
    apart = segment_graph(strips([0, 1, 2], np.random.default_rng(seed)), objectness, of)
    one = segment_graph(strips([0, 0, 1], np.random.default_rng(seed)), objectness, of_one)
    assert apart.nodes[:, AREA].tolist() == [24, 24, 24]
    state = Agglomeration(apart, None)
    joined_piece = state.join(0, 1)
    assert state.features_of(np.array([[joined_piece, 2]])) == pytest.approx(all_features(one), rel=1e-9, abs=1e-7)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_neither_the_order_nor_the_place_matters(seed):
    objectness, of = coverage(np.random.default_rng(seed), 4, 2)
    segments = [0, 0, 1]
    graph = segment_graph(strips(segments, np.random.default_rng(seed)), objectness, of)
    a, b = graph.pairs.T
    sides = [(x[a], x[b]) for x in (graph.nodes, graph.low, graph.high)]
    forward = graph.features(*sides, graph.edges)
    assert graph.features(*(side[::-1] for side in sides), graph.edges) == pytest.approx(forward)
    moved = segment_graph(strips(segments, np.random.default_rng(seed), (5, -40, 0)), objectness, of)
    assert all_features(moved) == pytest.approx(forward, abs=1e-6)
    assert forward[0, SegmentGraph.NAMES.index("together")] == pytest.approx(together_of(objectness, of)[0, 1])
    assert forward.shape == (1, len(SegmentGraph.NAMES))


def test_segments_that_do_not_touch_are_a_pair_if_masks_put_them_together():
    cloud = strips([0, 1, 2])
    both, none = np.array([[0.9, 0.1, 0.9]]), np.array([[0.9, 0.1, 0.0]])
    assert segment_graph(cloud, np.ones(1), both).pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert segment_graph(cloud, np.ones(1), none).pairs.tolist() == [[0, 1], [1, 2]]


def labelled(rng) -> LabelledGraph:
    """Twelve strips, two an object; masks say nothing, the colour everything."""
    cloud = strips(range(12))
    objects = np.repeat(np.arange(1, 7), 2)
    colours = rng.normal(size=(7, 3))[objects[cloud.segments]]
    cloud = SegmentedCloud(cloud.positions, cloud.normals, colours, cloud.segments, VOXEL_M)
    truth = np.zeros((12, 7), np.int64)
    truth[np.arange(12), objects] = 24
    return LabelledGraph(segment_graph(cloud, np.ones(1), np.full((1, 12), 0.5)), truth)


def test_the_decision_is_learned_from_labels():
    rng = np.random.default_rng(0)
    said: list[str] = []
    rooms = [labelled(rng) for _ in range(20)]
    model = train(rooms, Settings(0.5, 1, trees=30, rate=0.2, least_in_leaf=5, networks=0), said.append)
    assert len(said) == 2
    new = labelled(rng)
    probability = model.trees(all_features(new.graph))
    touching = new.graph.edges[:, 0] > 0
    assert ((probability > 0.5) == new.same(new.graph.pairs))[touching].mean() > 0.9


def test_labels_of_one_kind_teach_nothing():
    rng = np.random.default_rng(0)
    room = labelled(rng)
    alike = LabelledGraph(room.graph, np.ones((12, 2), np.int64))
    with pytest.raises(UserError, match="take more scenes"):
        train([alike, alike], Settings(0.5, 1), print)
    with pytest.raises(UserError, match="two scenes or more"):
        train([room], Settings(0.5, 1), print)


def constant(probability: float, iou: float = 0.7) -> JoiningModel:
    """Says the same of everything."""
    zero = np.zeros(1, np.int32)
    value = np.array([np.log(probability / (1 - probability))])
    confidence = Linear(np.append(np.zeros(len(SegmentGraph.OBJECT_NAMES)), iou))
    return JoiningModel(Trees(zero - 1, np.zeros(1), zero, zero, np.zeros(1, bool), value, zero, 0.0), None, confidence)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Mask3D(NetworkConfig("tiny", hidden=16, heads=2, feedforward=16, rounds=1, queries=6)).eval()


def test_a_checkpoint_keeps_the_decision_and_it_is_used(network, tmp_path):
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.random((3000, 3)) * [1, 1, 0.01], rng.random((3000, 3)) * [1, 0.01, 1]])
    post = {"segments": "join", "min_score": 0.0, "min_voxels": 1, "split_m": 0.0}
    counts = []
    for probability in (0.01, 0.99):
        checkpoint.save(network, tmp_path / "c.pt", post_processing=post, joining=constant(probability))
        segmenter = Segmenter.load(tmp_path / "c.pt", device="cpu")
        counts.append(len(segmenter(points)))
    assert counts[0] > counts[1] == 1
    assert segmenter(points).scores == pytest.approx([0.7])
    direct = Segmenter(network, PostProcessing(**post), device="cpu", joining=constant(0.01))
    assert len(direct(points)) == counts[0]


def broken(**changes):
    return JoiningModel.of({**constant(0.5).arrays(), **changes}, SegmentGraph)


@pytest.mark.parametrize(
    "changes",
    [
        {"feature": np.zeros(1, np.int32)},  # its children are itself
        {"feature": np.full(1, 99, np.int32)},
        {"feature": np.zeros(1, np.int32), "left": np.full(1, 9, np.int32), "right": np.full(1, 9, np.int32)},
        {"roots": np.full(1, 5, np.int32)},
        {"roots": np.full(1, -1, np.int32)},
        {"value": np.zeros(2)},
        {"value": np.zeros(1, np.float32)},
        {"missing_left": np.zeros(1)},
        {"confidence": np.zeros(3)},
    ],
)
def test_trees_that_would_lead_nowhere_are_not_walked(changes):
    with pytest.raises(ValueError, match=r"trees|confidence"):
        broken(**changes)


def test_a_network_for_other_graphs_is_refused():
    """Segments tell a network nothing: a file that has one all the same must not fail in the middle of a cloud."""
    names = shapes(0, len(SegmentGraph.NAMES)) | ranges(0, len(SegmentGraph.NAMES))
    network = {OF_NETWORK + name: np.zeros((1, *shape), np.float32) for name, shape in names.items()}
    with pytest.raises(ValueError, match="for other graphs"):
        broken(**network)


def test_a_broken_decision_in_a_checkpoint_is_one_sentence(network, tmp_path):
    checkpoint.save(network, tmp_path / "c.pt", joining=constant(0.5))
    content = torch.load(tmp_path / "c.pt", weights_only=True)
    for name, joining in {
        "other": {**content["joining"], "features": ["height"]},
        "endless": {
            **content["joining"],
            "arrays": {**content["joining"]["arrays"], "feature": torch.zeros(1, dtype=torch.int32)},
        },
        "empty": {},
        "text": "hello",
    }.items():
        torch.save({**content, "joining": joining}, tmp_path / f"{name}.pt")
        with pytest.raises(UserError) as error:
            checkpoint.load(tmp_path / f"{name}.pt")
        assert "\n" not in str(error.value), name
