"""The graph of pieces, and the learned decision to join them."""

import heapq
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from toy_surfaces import VOXEL_M, graph, patch, strip, surface

from gcseg_ros.camera.upright import UP, rotation_to_z
from gcseg_ros.config import FinishingConfig
from gcseg_ros.errors import UserError
from gcseg_ros.finishing.finishing import finish
from gcseg_ros.finishing.joining import WEIGHTS, load_model, save_model, shipped_model
from gcseg_ros.finishing.piece_columns import ONE_LABEL, VOTES
from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.finishing.piece_graph import piece_graph
from gcseg_ros.joining.agglomeration import AREA, CONTACT, Agglomeration, join
from gcseg_ros.joining.boosted_trees import Trees
from gcseg_ros.joining.graph_network import GraphNetwork, ranges, shapes
from gcseg_ros.joining.model import JoiningModel
from gcseg_ros.mapping.voxel_map import SLOTS, Surface
from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS
from gcseg_ros.tracking.borders import Borders
from gcseg_ros.tracking.evidence import Evidence
from offline_training.joining.training import as_trees


def all_features(g: PieceGraph) -> np.ndarray:
    return Agglomeration(g, None).features_of(g.pairs)


def leaf(value: float) -> Trees:
    zero = np.zeros(1, np.int32)
    return Trees(zero - 1, np.zeros(1), zero, zero, np.zeros(1, bool), np.array([value]), zero, 0.0)


def always(probability: float) -> Trees:
    return leaf(np.log(probability / (1 - probability)))


def step(feature: int, threshold: float, low: float, high: float) -> Trees:
    """`low` up to the threshold of a feature, `high` beyond."""
    index, end = np.array([feature, -1, -1], np.int32), np.zeros(3, bool)
    left, right, root = (np.array(x, np.int32) for x in ([1, 0, 0], [2, 0, 0], [0]))
    return Trees(index, np.array([threshold, 0, 0]), left, right, end, np.array([0, low, high]), root, 0.0)


def network_that_says(log_odds: float, quality: float) -> GraphNetwork:
    """The same of everything."""
    of = len(PieceGraph.PIECE_NAMES), len(PieceGraph.NAMES)
    weights = {name: np.zeros((1, *shape), np.float32) for name, shape in (shapes(*of) | ranges(*of)).items()}
    weights["pieces.spread"] += 1
    weights["pairs.spread"] += 1
    weights["same.out_bias"] += log_odds
    weights["quality.out_bias"] += np.log(quality / (1 - quality))
    return GraphNetwork(weights)


def test_pieces_areas_and_contacts():
    g = graph(surface([(strip(0), 5), (strip(1), 2), (strip(3), 9)]))
    assert g.labels.tolist() == [5, 2, 9]
    assert g.nodes[:, AREA] == pytest.approx([400, 400, 400])
    assert g.pairs.tolist() == [[0, 1]]
    touching = 20 + 2 * 19  # straight and diagonal neighbours across the contact; two steps away is not touching
    assert g.edges[0, CONTACT] == touching
    assert len(all_features(g)[0]) == len(PieceGraph.NAMES)


def test_a_label_that_goes_around_a_corner_is_two_facets_which_know_that_they_were_one():
    floor, wall = patch([0, 0, 0], [1, 0, 0], [0, 1, 0]), patch([0, 1, 0], [1, 0, 0], [0, 0, 1])
    seen = surface([(floor, 1), (wall, 1), (strip(3), 2)])
    g, piece = piece_graph(seen, Evidence(), Borders())
    assert g.labels.tolist() == [1, 1, 2]
    assert (np.bincount(piece) >= 400).all()
    assert g.edges[0, ONE_LABEL] == g.edges[0, CONTACT] > 0
    instance, _, of_tracked = finish(
        seen, Evidence(), Borders(), FinishingConfig(joining="learned", join_probability=1.0)
    )
    assert len(np.unique(instance)) == 3
    assert instance[-1] == 2 == of_tracked[2]


def test_a_label_of_two_colours_is_two_facets():
    """A book on a table: a step of colour, or a larger one of lightness, parts them; noise and a little shade do not."""
    table, book = patch([0, 0, 0], [0.9, 0, 0], [0, 0.6, 0]), patch([0.9, 0, 0], [0.3, 0, 0], [0, 0.6, 0])

    def facets(change: list[float]) -> int:
        seen = surface([(table, 1), (book, 1)], paint=[0, 0])
        seen.lab += np.random.default_rng(0).normal(0, 2, seen.lab.shape)
        seen.lab[len(table[0]) :] += change
        return len(piece_graph(seen, Evidence(), Borders())[0])

    assert facets([0, 0, 0]) == 1
    assert facets([0, 15, 0]) == facets([0, 0, -15]) == facets([30, 0, 0]) == 2
    assert facets([6, 0, 0]) == 1


def test_views_of_two_labels_are_shared_among_their_facets_by_contact():
    floor, wall = patch([0, 0, 0], [1, 0, 0], [0, 1, 0]), patch([0, 1, 0], [1, 0, 0], [0, 0, 1])
    beside = patch([1, 0, 0], [0.6, 0, 0], [0, 1, 0])
    evidence = Evidence()
    evidence.put((1, 2), 0.5, 10)
    g = graph(surface([(floor, 1), (wall, 1), (beside, 2)]), evidence)
    between = [set(g.labels[pair].tolist()) == {1, 2} for pair in g.pairs]
    assert g.edges[between, VOTES].sum() == pytest.approx(10)


def test_a_video_ten_times_as_long_says_the_same_of_two_pieces():
    said = []
    for views in (200, 2000):
        evidence = Evidence()
        evidence.put((1, 2), 0.8, views)
        said.append(all_features(graph(surface([(strip(0), 1), (strip(1), 2)]), evidence)))
    assert said[1] == pytest.approx(said[0], rel=0.01, nan_ok=True)


def test_labels_seen_together_without_touching_have_an_edge():
    evidence = Evidence()
    evidence.put((1, 2), 0.5, 10)
    evidence.put((2, 7), 0.5, 10)  # 7 has lost its voxels
    g = graph(surface([(strip(0), 1), (strip(3), 2)]), evidence)
    assert g.pairs.tolist() == [[0, 1]]
    assert g.edges[0, VOTES] == 10
    assert np.isnan(all_features(g)[0, PieceGraph.NAMES.index("normals")])


def known_of(g: PieceGraph, *names: str) -> list[float]:
    assert len(g.pairs) == 1
    return [all_features(g)[0, PieceGraph.NAMES.index(name)] for name in names]


def test_parts_of_one_floor_have_an_edge_wherever_they_are():
    def two(offset: float, slope: float = 0.0, structural: float = 1.0) -> PieceGraph:
        other = patch([3, 0, offset], [0.6, 0, slope], [0, 0.6, 0])
        return graph(surface([(patch([0, 0, 0], [0.6, 0, 0], [0, 0.6, 0]), 1), (other, 2)]), structural=structural)

    assert two(0.05).pairs.tolist() == [[0, 1]]
    assert two(0.05).edges[0, [CONTACT, VOTES]].tolist() == [0, 0]
    assert known_of(two(0.05), "apart", "near") == pytest.approx([2.4, 0], abs=0.1)
    for others in (two(0.15), two(0.0, slope=0.3), two(0.05, structural=0.0)):  # another plane, tilted away, things
        assert not len(others.pairs)
    ours, turned = patch([0, 0, 0], [0.6, 0, 0], [0, 0.6, 0]), patch([3, 0, -0.15], [0.6, 0, 0], [0, 0.6, 0.3])
    assert not len(graph(surface([(ours, 1), (turned, 2)]), structural=1).pairs)  # about the line through both middles


def test_walls_have_an_edge_to_the_largest_wherever_they_are():
    """Cupboards hide the corners where they meet; the walls of a room are one object."""
    floor, largest = patch([0, 0, 0], [0.9, 0, 0], [0, 0.9, 0]), patch([3, 3, 0.6], [0.9, 0, 0], [0, 0, 0.9])
    left, right = (patch([x, 0, 0.6], [0, 0.6, 0], [0, 0, 0.6]) for x in (-3, 6))
    pieces = [(floor, 1), (left, 2), (right, 3), (largest, 4)]
    assert graph(surface(pieces), structural=1).pairs.tolist() == [[1, 3], [2, 3]]
    assert not len(graph(surface(pieces), structural=0).pairs)


def test_columns_in_a_row_are_no_plane():
    """Round, they face one way on the mean only."""
    angle, height = (
        x.reshape(-1) for x in np.meshgrid(np.arange(0, np.pi, 0.1), np.arange(0.015, 0.9, 0.03), indexing="ij")
    )
    normals = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    points = 0.3 * normals + np.stack([0 * height, 0 * height, height], axis=1)
    g = graph(surface([((points, normals), 1), ((points + np.array([3, 0, 0]), normals), 2)]), structural=1)
    assert len(g) == 2
    assert not len(g.pairs)


def test_each_part_of_a_large_plane_has_edges_to_the_eight_nearest():
    pairs = graph(surface([(strip(2 * i), i + 1) for i in range(12)]), structural=1).pairs
    assert pairs[pairs[:, 0] == 0, 1].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (pairs[:, 1] - pairs[:, 0]).max() == 8


def test_small_parts_of_a_plane_have_no_edges_across_the_room():
    small = [(patch([2 * i, 0, 0], [0.24, 0, 0], [0, 0.24, 0]), i + 1) for i in range(2)]
    assert not len(graph(surface(small), structural=1).pairs)


def test_pieces_that_are_near_have_an_edge_and_know_how_near():
    def two(gap: float) -> PieceGraph:
        return graph(surface([(strip(0), 1), (patch([0.6 + gap, 0, 0], [0.6, 0, 0], [0, 0.6, 0]), 2)]))

    near, further = two(0.03), two(0.06)
    assert near.edges[0, CONTACT] == 0
    assert known_of(near, "near")[0] > known_of(further, "near")[0] > 0
    assert 0.06 < known_of(near, "near_distance")[0] < known_of(further, "near_distance")[0] < 0.15
    assert not len(two(0.3).pairs)


def test_what_was_seen_of_near_labels_is_said_of_the_edge_that_they_have():
    evidence = Evidence()
    evidence.put((1, 2), 0.5, 10)
    g = graph(surface([(strip(0), 1), (patch([0.63, 0, 0], [0.6, 0, 0], [0, 0.6, 0]), 2)]), evidence)
    assert g.pairs.tolist() == [[0, 1]]
    assert g.edges[0, VOTES] == 10


def test_where_a_piece_is_touched():
    """A plate in a hole of the floor is touched all around, one beside the floor at one of its ends, a wall that stands on it below."""
    points, normals = patch([-1.2, -1.2, 0], [2.4, 0, 0], [0, 2.4, 0])
    hole = (np.abs(points[:, :2]) < 0.3).all(1)
    inside = surface([((points[~hole], normals[~hole]), 1), ((points[hole], normals[hole]), 2)])
    assert known_of(graph(inside), "contact_aside_smaller") == pytest.approx([0], abs=0.01)
    assert known_of(graph(inside), "contact_reach", "contact_breadth") == pytest.approx([1.3, 1.3], abs=0.15)
    beside = graph(surface([((points, normals), 1), (patch([1.2, -0.3, 0], [0.6, 0, 0], [0, 0.6, 0]), 2)]))
    assert known_of(beside, "contact_aside_smaller")[0] > 1.2
    assert known_of(beside, "contact_breadth")[0] < 0.3
    upright = graph(surface([((points, normals), 1), (patch([-0.3, 0, 0.03], [0.6, 0, 0], [0, 0, 0.6]), 2)]))
    assert known_of(upright, "contact_level_smaller") == pytest.approx([0], abs=0.05)


def test_boxes_around_pieces_follow_their_own_sides():
    """A plate of 1.2 by 0.6 m, turned: its box has these sides, and both its faces make up nearly the whole of the box."""
    for turn in (0, np.pi / 4, np.pi / 8):
        u, v = np.array([np.cos(turn), np.sin(turn), 0]), np.array([-np.sin(turn), np.cos(turn), 0])
        g = graph(surface([(patch([0, 0, 0], 1.2 * u, 0.6 * v), 1)]))
        known = dict(zip(PieceGraph.PIECE_NAMES, g.piece_features(g.nodes, g.low, g.high)[0], strict=True))
        assert np.exp([known["box_width"], known["box_length"]]) == pytest.approx([0.6, 1.2], abs=0.01)
        assert known["box_fill"] == pytest.approx(0.72 / (2 * (0.72 + 0.03 * 0.6 + 0.03 * 1.2)), rel=0.02)


def test_how_two_boxes_lie():
    """A plate above the middle of another: apart by the height between, its ground covered, all of its height outside."""
    below, above = patch([0, 0, 0], [1.2, 0, 0], [0, 1.2, 0]), patch([0.3, 0.3, 0.12], [0.6, 0, 0], [0, 0.6, 0])
    g = graph(surface([(below, 1), (above, 2)]))
    assert known_of(g, "separation", "least_overlap") == pytest.approx([0.12, 1.0], abs=0.01)
    assert known_of(g, "box_width_joined", "box_length_larger", "box_width_smaller") == pytest.approx(
        [1.17, 1.17, 0.57]
    )
    box, joined = 1.2 * 1.2 * 0.03, 1.2 * 1.2 * 0.15
    assert known_of(g, "growth") == pytest.approx([np.log(joined / box)])
    assert known_of(g, "growth_of_sum") == pytest.approx([np.log(joined / (box + 0.6 * 0.6 * 0.03))])


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_joined_pieces_are_known_as_if_they_had_been_one(seed):
    def grainy(*labels: int) -> PieceGraph:
        """In colours that are not quite even: the spread of an even one is what rounding leaves."""
        seen = surface([(strip(i), label) for i, label in enumerate(labels)], seed, paint=[0, 0, 1])
        seen.lab += np.random.default_rng(seed).normal(0, 0.3, seen.lab.shape)
        return graph(seen)

    apart, one = grainy(1, 2, 3), grainy(1, 1, 3)
    state = Agglomeration(apart, None)
    joined = state.join(0, 1)
    found = state.features_of(np.array([[joined, 2]]))
    by_cells = np.array([name.startswith("near") for name in PieceGraph.NAMES])  # a cell may be of two pieces
    assert found[:, ~by_cells] == pytest.approx(all_features(one)[:, ~by_cells], rel=1e-9, abs=1e-9, nan_ok=True)
    assert found[:, by_cells] == pytest.approx(all_features(one)[:, by_cells], rel=0.2)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_it_does_not_matter_which_piece_comes_first_nor_where_they_are(seed):
    parts = [(strip(0), 1), (patch([0, 0.6, 0], [0.9, 0, 0], [0, 0, 0.6]), 2)]
    g = graph(surface(parts, seed))
    a, b = g.pairs.T
    forward = g.features((g.nodes[a], g.nodes[b]), (g.low[a], g.low[b]), (g.high[a], g.high[b]), g.edges)
    backward = g.features((g.nodes[b], g.nodes[a]), (g.low[b], g.low[a]), (g.high[b], g.high[a]), g.edges)
    assert forward == pytest.approx(backward, nan_ok=True)
    moved = [((points + np.array([3.0, -6.0, 0]), normals), label) for (points, normals), label in parts]
    assert all_features(graph(surface(moved, seed))) == pytest.approx(forward, rel=1e-3, abs=1e-3, nan_ok=True)


def test_trees_say_what_scikit_learn_says(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, len(PieceGraph.NAMES)))
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nansum(x[:, :3], axis=1) > 0
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=64, min_samples_leaf=4).fit(x, y)
    assert (as_trees(model).feature < 0).sum() > 20 * 40, "trees with many leaves"
    assert as_trees(model)(x) == pytest.approx(model.predict_proba(x)[:, 1], abs=1e-12)
    with open(tmp_path / "model.npz", "wb") as file:
        network = network_that_says(2.0, 0.3)
        save_model(JoiningModel(as_trees(model), network, step(2, 1.0, 0.4, 0.7)), file)
    read = load_model(tmp_path / "model.npz")
    assert read.trees(x) == pytest.approx(model.predict_proba(x)[:, 1], abs=1e-12)
    assert read.confidence.total(np.array([[9.0, 9, 1, *[0] * 14], [0, 0, 2, *[0] * 14]])).tolist() == [0.4, 0.7]
    same, quality = read.network(np.zeros((1, len(PieceGraph.PIECE_NAMES))), np.array([[0, 0]]), x[:1])
    assert (same[0], quality[0]) == pytest.approx((2, 0.3))


def damaged() -> bytes:
    """The shipped weights with an impossible block in the middle of the compressed bytes of the largest array."""
    content = bytearray(WEIGHTS.read_bytes())
    with zipfile.ZipFile(WEIGHTS) as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
    start = largest.header_offset + 30 + len(largest.filename) + 100
    content[start : start + 200] = bytes([0xFF]) * 200
    return bytes(content)


@pytest.mark.parametrize("content", [b"", b"not a zip", damaged(), None])
def test_weights_that_are_no_weights(tmp_path, content):
    file = tmp_path / "model.npz"
    if content is None:
        np.savez(file, features=np.array(["share"]))
    else:
        file.write_bytes(content)
    with pytest.raises(UserError, match="joining weights"):
        load_model(file)


def test_joining_goes_as_far_as_it_is_probable():
    g = graph(surface([(strip(i), i + 1) for i in range(4)]))
    everything = join(g, 0.5, always(0.9))
    assert len(np.unique(everything.groups())) == 1
    roots, known = everything.objects()
    assert len(roots) == 1
    assert known[0, PieceGraph.OBJECT_NAMES.index("doubt_1")] == 0
    nothing = join(g, 0.95, always(0.9))
    assert nothing.groups().tolist() == [0, 1, 2, 3]
    doubts = nothing.objects()[1][:, PieceGraph.OBJECT_NAMES.index("doubt_1") :][:, :3]
    assert doubts == pytest.approx(np.array([[0.9, 0, 0], [0.9, 0.9, 0], [0.9, 0.9, 0], [0.9, 0, 0]]))


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_pairs_offered_at_once_do_not_rest_on_each_other(seed):
    rng = np.random.default_rng(seed)
    g = graph(surface([(strip(i), i + 1) for i in range(60)]))
    state = Agglomeration(g, always(0.9))
    probability = {pair: float(p) for pair, p in zip(map(tuple, g.pairs.tolist()), rng.random(len(g.pairs)))}
    state.current, state.heap = dict(probability), [(-p, pair) for pair, p in probability.items()]
    heapq.heapify(state.heap)
    offers = state.offers(0.4)
    assert 1 <= len(offers) <= 3  # a twentieth of sixty
    assert [probability[pair] for pair in offers] == sorted((probability[pair] for pair in offers), reverse=True)
    assert max(probability.values()) == probability[offers[0]]
    for a, b in offers:
        beside = [p for (i, j), p in probability.items() if {i, j} & {a, b} and (i, j) != (a, b)]
        assert max(beside) < probability[a, b] >= 0.4
    assert not set(offers) & set(state.offers(0.0))
    assert not Agglomeration(g, always(0.9)).offers(0.95)


def test_the_network_and_the_trees_decide_together():
    g = graph(surface([(strip(i), i + 1) for i in range(4)]))
    for trees, said, objects in ((0.9, -5.0, 4), (0.9, -2.0, 1), (0.1, 5.0, 1), (0.1, 2.0, 4)):
        state = join(g, 0.5, always(trees), network_that_says(said, 0.5))
        assert len(np.unique(state.groups())) == objects, (trees, said)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_mean_of_models_says_what_they_say_on_the_average(seed):
    rng = np.random.default_rng(seed)
    g = graph(surface([(strip(i), i + 1) for i in range(4)]))
    models, features = [], all_features(g)
    for _ in range(int(rng.integers(1, 4))):
        trees = Trees.mean([step(int(rng.integers(len(PieceGraph.NAMES))), *rng.normal(size=3)) for _ in range(3)])
        confidence = step(int(rng.integers(len(PieceGraph.OBJECT_NAMES))), *rng.random(3))
        models.append(JoiningModel(trees, network_that_says(rng.normal(), rng.random()), confidence))
    mean = JoiningModel.of(JoiningModel.mean(models).arrays(), PieceGraph)
    assert mean.trees.total(features) == pytest.approx(np.mean([m.trees.total(features) for m in models], axis=0))
    known = rng.normal(size=(5, len(PieceGraph.OBJECT_NAMES)))
    assert mean.confidence.total(known) == pytest.approx(np.mean([m.confidence.total(known) for m in models], axis=0))
    _, pairs, pieces, between = Agglomeration(g, None).known()
    said = [m.network(pieces, pairs, between) for m in [mean, *models]]
    assert said[0][0] == pytest.approx(np.mean([same for same, _ in said[1:]], axis=0), abs=1e-5)
    odds = [np.log(quality / (1 - quality)) for _, quality in said]
    assert odds[0] == pytest.approx(np.mean(odds[1:], axis=0), abs=1e-4)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_pairs_stay_judged_by_what_is_known_of_them_now(seed):
    rng = np.random.default_rng(seed)
    g = graph(surface([(strip(i), i + 1) for i in range(12)], seed))
    area = PieceGraph.NAMES.index("area_larger")
    trees = Trees.mean([step(area, float(np.log(400 * k)), *rng.normal(size=2)) for k in range(1, 6)])
    state = Agglomeration(g, trees, network_that_says(rng.normal(), 0.5))
    while pairs := state.offers(0.4):
        for pair in pairs:
            state.join(*pair)
        state.judge()
        left = np.array(list(state.current)).reshape(-1, 2)
        _, among, pieces, between = state.known()
        assert len(among) == len(left)
        if len(left):
            by_network, _ = state.network(pieces, among, between)
            odds = (trees.total(state.features_of(left)) + by_network[0]) / 2
            assert list(state.current.values()) == pytest.approx(1 / (1 + np.exp(-odds)))


def test_the_network_looks_again_at_what_has_been_joined():
    looks = []

    class Watched(GraphNetwork):
        def __call__(self, pieces, pairs, features):
            looks.append((len(pieces), len(pairs)))
            assert np.isfinite(pieces).all()
            return super().__call__(pieces, pairs, features)

    evidence = Evidence()
    evidence.appearance = {label: np.ones(1 + APPEARANCE_CHANNELS) for label in range(1, 9)}
    g = graph(surface([(strip(i), i + 1) for i in range(8)]), evidence)
    model = JoiningModel(always(0.9), Watched(network_that_says(1.0, 0.3).weights), leaf(0.5))
    state, roots, iou = model.join(g, 0.5)
    assert looks == [(8, 7), (6, 5), (5, 4), (4, 3), (3, 2), (2, 1), (1, 0), (1, 0)]
    assert (len(roots), iou[0]) == (1, pytest.approx((0.3 + 0.5) / 2))
    assert len(np.unique(state.groups())) == 1


def test_what_may_be_missing_of_an_object_is_known():
    """Three strips, the middle one of which may belong to either neighbour; the last is half as large."""
    half = tuple(part[: len(part) // 2] for part in strip(2))
    state = join(graph(surface([(strip(0), 1), (strip(1), 2), (half, 3)])), 0.5, always(0.4))
    missing = state.objects()[1][:, PieceGraph.OBJECT_NAMES.index("missing")]
    assert missing == pytest.approx([0.4, 0.4 + 0.4 / 2, 0.4])


def test_without_a_network_the_expected_iou_is_that_of_the_trees():
    doubt = PieceGraph.OBJECT_NAMES.index("doubt_1")
    g = graph(surface([(strip(i), i + 1) for i in range(3)]))
    for probability, expected in ((0.4, 0.6), (0.2, 0.9)):
        _, _, iou = JoiningModel(always(probability), None, step(doubt, 0.3, 0.9, 0.6)).join(g, 0.5)
        assert iou == pytest.approx([expected] * 3)
    for value, expected in ((-0.3, 0.01), (1.4, 1)):
        assert JoiningModel(always(0.4), None, leaf(value)).join(g, 0.5)[2] == pytest.approx([expected] * 3)


def test_an_empty_map_and_one_without_pieces():
    empty = Surface(np.zeros((0, 10), np.float32), *(np.zeros((0, SLOTS), t) for t in (np.int32, np.float32)), VOXEL_M)
    instance, _, _ = finish(empty, Evidence(), Borders(), FinishingConfig(joining="learned"))
    assert len(instance) == 0
    specks = surface([(patch([0, 0, 0], [0.06, 0, 0], [0, 0.06, 0]), 1)])
    instance, _, _ = finish(specks, Evidence(), Borders(), FinishingConfig(joining="learned"))
    assert not instance.any()


def test_the_shipped_decision_tells_a_box_on_the_floor_from_the_floor():
    floor = patch([-2, -2, 0], [4, 0, 0], [0, 4, 0])
    sides = [
        patch([0, 0, 0], [0.5, 0, 0], [0, 0, 0.5]), patch([0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]),
        patch([0, 0.5, 0.0], [0, 0, 0.5], [0.5, 0, 0]), patch([0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]),
        patch([0, 0, 0.5], [0.5, 0, 0], [0, 0.5, 0]),
    ]  # fmt: skip
    box = tuple(np.concatenate([side[k] for side in sides]) for k in (0, 1))
    evidence = Evidence()
    evidence.put((1, 2), 0.1, 50)
    evidence.seen, evidence.structural = {1: 50.0, 2: 50.0}, {1: 45.0, 2: 5.0}
    seen = surface([(floor, 1), (box, 2)])  # type: ignore[list-item]
    g, piece = piece_graph(seen, evidence, Borders())
    assert len(g) == 6
    root = shipped_model().join(g, 0.4)[0].groups()
    assert len(set(root[piece[len(floor[0]) :]].tolist())) == 1
    assert len(set(root.tolist())) == 2


def chain(leaves: int) -> Trees:
    """One tree, each of whose nodes has a leaf on its left: feature 0 up to 0.5 is 0, up to 1.5 is 1, and so on."""
    node = np.arange(2 * leaves - 1)
    inner = (node % 2 == 0) & (node < 2 * leaves - 2)
    left, right = np.where(inner, node + 1, 0).astype(np.int32), np.where(inner, node + 2, 0).astype(np.int32)
    feature, end = np.where(inner, 0, -1).astype(np.int32), np.zeros(len(node), bool)
    return Trees(feature, node / 2 + 0.5, left, right, end, node // 2 + 0.0, np.zeros(1, np.int32), 0.0)


def test_trees_of_up_to_64_leaves():
    tree = chain(64)
    x = np.arange(70.0)[:, None]
    assert Trees.of(tree.arrays(), 1).total(x).tolist() == np.minimum(x[:, 0], 63).tolist()
    assert tree.total(np.array([[np.nan], [np.inf], [-np.inf]])).tolist() == [63, 63, 0]
    with pytest.raises(ValueError, match="65 leaves, more than 64"):
        Trees.of(chain(65).arrays(), 1)


def test_trees_that_share_a_branch_are_refused():
    arrays = Trees.mean([step(0, 1.0, 0.4, 0.7), step(0, 1.0, 0.4, 0.7)]).arrays()
    Trees.of(arrays, 1)
    with pytest.raises(ValueError, match="not apart"):
        Trees.of({**arrays, "right": np.array([5, 0, 0, 5, 0, 0], np.int32)}, 1)
    with pytest.raises(ValueError, match="not apart"):
        Trees.of({**arrays, "roots": np.array([0, 0], np.int32)}, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence.feature": np.full(3, 99, np.int32)},
        {"confidence.value": np.zeros(2)},
        {"confidence.roots": np.full(1, 7, np.int32)},
        {"confidence": np.zeros(3)},
    ],
)
def test_a_confidence_that_is_for_other_objects_is_refused(changes):
    arrays = JoiningModel(always(0.5), None, step(2, 1.0, 0.4, 0.7)).arrays()
    JoiningModel.of(arrays, PieceGraph)
    with pytest.raises(ValueError, match=r"its trees|of its trees|confidence"):
        JoiningModel.of({**arrays, **changes}, PieceGraph)


def test_joining_does_not_depend_on_how_the_world_is_turned():
    """A table of four pieces on a floor, a wall behind it: the decision knows above from below."""
    parts = [
        (patch([0, 0, 0], [2.4, 0, 0], [0, 2.4, 0]), 1),
        (patch([0, 2.4, 0], [2.4, 0, 0], [0, 0, 2.1]), 2),
        (patch([0.6, 0.6, 0.75], [0.6, 0, 0], [0, 0.6, 0]), 3),
        (patch([1.2, 0.6, 0.75], [0.6, 0, 0], [0, 0.6, 0]), 4),
        (patch([0.6, 0.6, 0], [0, 0.6, 0], [0, 0, 0.75]), 5),
        (patch([0.9, 0.8, 0.78], [0.3, 0, 0], [0, 0.2, 0]), 6),
    ]
    seen, config = surface(parts), FinishingConfig(joining="learned")
    instance, confidence, _ = finish(seen, Evidence(), Borders(), config)
    turn = rotation_to_z(np.array([0.48, -0.6, 0.64]))
    other, otherwise, _ = finish(seen.turned(turn.T), Evidence(), Borders(), config, turn.T @ UP)
    assert (other == instance).all()
    np.testing.assert_allclose(otherwise, confidence, atol=0.02)
    assert len(np.unique(instance)) > 1
