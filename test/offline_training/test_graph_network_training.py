"""Training of the network that sees pieces in their surroundings: it learns what no pair of pieces shows by itself."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

from gcseg_ros.joining.agglomeration import Agglomeration, Graph
from offline_training.joining.graph_network import fit_network, states_of
from offline_training.joining.labelled import LabelledGraph
from offline_training.joining.training import Settings, fit, train, untouched

HUBS = 8


class Toy(Graph):
    """Nodes: area, colour of a hub or 0. Edges: contact, whether it is between two leaves."""

    NAMES = ("between_leaves",)
    PIECE_NAMES = ("colour",)
    OBJECT_NAMES = ("area",)

    def features(self, nodes, low, high, edges):
        return edges[:, 1:2] / edges[:, :1]

    def piece_features(self, nodes, low, high):
        return nodes[:, 1:] / nodes[:, :1]

    def object_features(self, nodes, low, high, doubts, missing, contact):
        return np.log(nodes[:, :1])


def toy(seed: int) -> LabelledGraph:
    """Each hub has a colour and a leaf without one; things of one colour are one object. Leaves touch each other."""
    rng = np.random.default_rng(seed)
    colour = rng.permutation(np.repeat([-1.0, 1.0], HUBS // 2))
    hubs, leaves = np.arange(HUBS), np.arange(HUBS, 2 * HUBS)
    some = np.array([(i, j) for i in leaves for j in leaves if i < j and rng.random() < 0.5])
    pairs = np.concatenate([np.stack([hubs, leaves], axis=1), some])
    edges = np.ones((len(pairs), 2))
    edges[:HUBS, 1] = 0
    nodes = np.column_stack([np.full(2 * HUBS, 100.0), 100 * np.append(colour, np.zeros(HUBS))])
    truth = np.zeros((2 * HUBS, 3), np.int64)
    truth[np.arange(2 * HUBS), np.tile(np.where(colour > 0, 1, 2), 2)] = 100
    corner = np.zeros((2 * HUBS, 3))
    return LabelledGraph(Toy(nodes, corner, corner, pairs, edges), truth)


def test_the_network_learns_from_surroundings_what_trees_cannot():
    said: list[str] = []
    few = Settings(0.5, 1, trees=5, rounds=1, networks=1, epochs=25, states=3)
    model = train([toy(i) for i in range(24)], few, said.append)
    new = toy(99)
    between_leaves = new.graph.pairs[:, 0] >= HUBS
    features = Agglomeration(new.graph, None).features_of(new.graph.pairs)
    assert len(np.unique(model.trees(features)[between_leaves])) == 1
    assert model.network is not None
    _, pairs, pieces, between = Agglomeration(new.graph, None).known()
    odds, quality = model.network(pieces, pairs, between)
    assert ((odds > 0) == new.same(pairs)).mean() > 0.9
    state, roots, _ = model.join(new.graph, 0.5)
    assert len(roots) <= 4
    assert state.quality[roots].mean() > quality.mean() + 0.1


def test_states_are_what_agglomeration_leaves_behind():
    graph = toy(1)
    trees = fit([[untouched(toy(i))] for i in range(4)], Settings(0.5, 1, trees=5))
    states = states_of(graph, trees, 9, unlabelled_is_wrong=True, seed=3)
    assert len(states[0].pieces) == 2 * HUBS
    assert (states[0].iou == 1 / HUBS).all()
    assert len({len(state.pieces) for state in states}) > 3
    for state in states:
        assert state.pairs.max(initial=-1) < len(state.pieces)
        assert len(state.pairs) == len(state.between) == len(state.same) == len(state.importance)
        assert (state.importance > 0).all()
    some = states_of(graph, trees, 9, unlabelled_is_wrong=True, seed=3)
    assert all((a.pieces == b.pieces).all() and (a.pairs == b.pairs).all() for a, b in zip(states, some))


def test_the_same_states_and_seed_give_the_same_network():
    trees = fit([[untouched(toy(i))] for i in range(4)], Settings(0.5, 1, trees=5))
    states = [states_of(toy(i), trees, 3, unlabelled_is_wrong=True, seed=i) for i in range(4)]
    one, two, other = (fit_network(states, 2, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["same.in"], other["same.in"])


def test_what_has_no_label_may_be_unknown():
    graph = toy(2)
    truth = graph.truth.copy()
    truth[0] = [100, 0, 0]
    trees = fit([[untouched(graph)]], Settings(0.5, 1, trees=5))
    for wrong in (True, False):
        state = states_of(LabelledGraph(graph.graph, truth), trees, 1, unlabelled_is_wrong=wrong, seed=0)[0]
        assert (state.weight[0] > 0) == wrong
        assert state.iou[0] == 0
