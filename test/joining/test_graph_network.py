"""The network that sees pieces among all others: what it says does not hang on order, and is the same in numpy and in torch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.joining.graph_network import SHARPEST, GraphNetwork, forward, prepared, ranges, shapes

PIECES, PAIRS = 5, 7  # features


def weights(seed: int = 0, networks: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {name: rng.normal(size=(networks, *shape)) * 0.2 for name, shape in shapes(PIECES, PAIRS).items()}
    values = {"low": -2.0, "high": 2.0, "mean": 0.1, "spread": 0.8}
    found |= {
        name: np.full((networks, *shape), values[name.split(".")[1]]) for name, shape in ranges(PIECES, PAIRS).items()
    }
    return {name: array.astype(np.float32) for name, array in found.items()}


def network(seed: int = 0, networks: int = 2) -> GraphNetwork:
    return GraphNetwork.of(weights(seed, networks), PIECES, PAIRS)


def graph(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 9))
    pairs = np.array([(i, j) for i in range(count) for j in range(i + 1, count) if rng.random() < 0.6], np.int64)
    between = rng.normal(size=(len(pairs), PAIRS))
    between[rng.random(between.shape) < 0.1] = np.nan
    return rng.normal(size=(count, PIECES)), pairs.reshape(-1, 2), between


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_neither_the_order_of_pieces_and_pairs_nor_which_comes_first_matters(seed):
    pieces, pairs, between = graph(seed)
    same, quality = network()(pieces, pairs, between)
    rng = np.random.default_rng(seed)
    place, order = rng.permutation(len(pieces)), rng.permutation(len(pairs))  # piece i goes to place[i]
    moved = place[pairs][order]
    moved[::2] = moved[::2, ::-1]
    of_moved, quality_moved = network()(pieces[np.argsort(place)], moved, between[order])
    assert of_moved == pytest.approx(same[order], abs=1e-4)
    assert quality_moved[place] == pytest.approx(quality, abs=1e-5)
    assert ((quality > 0) & (quality < 1)).all()


def test_a_piece_hears_of_its_surroundings_only_along_pairs():
    pieces, between = np.random.default_rng(0).normal(size=(4, PIECES)), np.zeros((2, PAIRS))
    pairs = np.array([[0, 1], [2, 3]])
    before = network()(pieces, pairs, between)
    pieces[3] += 1
    after = network()(pieces, pairs, between)
    assert after[0][0] == before[0][0]
    assert after[0][1] != before[0][1]
    assert (after[1] == before[1]).tolist() == [True, True, False, False]


def test_without_pairs_there_is_still_something_to_say_of_pieces():
    same, quality = network()(np.zeros((3, PIECES)), np.zeros((0, 2), np.int64), np.zeros((0, PAIRS)))
    assert (same.shape, quality.shape) == ((0,), (3,))
    assert quality == pytest.approx(quality[0])


def test_several_networks_are_heard_alike():
    pieces, pairs, between = graph(3)
    given_weights = weights()
    alone = [GraphNetwork({name: array[[k]] for name, array in given_weights.items()}) for k in (0, 1)]
    said = [one(pieces, pairs, between)[0] for one in alone]
    assert network()(pieces, pairs, between)[0] == pytest.approx(np.clip(np.mean(said, axis=0), -SHARPEST, SHARPEST))


def test_it_says_in_numpy_what_torch_says():
    torch = pytest.importorskip("torch", reason="training needs torch")
    pieces, pairs, between = graph(7)
    given_weights = {name: array[0] for name, array in weights(networks=1).items()}
    one, other = torch.from_numpy(pairs.T.copy())
    inputs = [torch.from_numpy(prepared(of, x, given_weights)) for of, x in (("pieces", pieces), ("pairs", between))]

    def total(a, b):
        return torch.zeros(len(pieces), a.shape[1]).index_add(0, one, a).index_add(0, other, b)

    tensors = {name: torch.from_numpy(array) for name, array in given_weights.items()}
    same, quality = forward(torch, tensors, *inputs, (one, other), total)
    found = network(networks=1)(pieces, pairs, between)
    assert found[0] == pytest.approx(same.clip(-SHARPEST, SHARPEST).numpy(), abs=1e-4)
    assert found[1] == pytest.approx(torch.sigmoid(quality).numpy(), abs=1e-5)


def test_what_is_not_known_is_usual_and_what_is_unusual_is_cut():
    of = {name: array[0] for name, array in weights().items()}
    found = prepared("pairs", np.array([[np.nan, *[0.1] * (PAIRS - 1)], [50.0, *[0.1] * (PAIRS - 1)]]), of)
    assert found == pytest.approx(np.array([[0.0] * PAIRS + [1], [(2 - 0.1) / 0.8] + [0.0] * PAIRS]), abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"same.out": np.zeros((2, 64, 2), np.float32)},
        {"pairs.in": np.zeros((2, PAIRS, 64), np.float32)},
        {"0.gate": np.zeros((3, 64, 1), np.float32)},
        {"pieces.low": np.zeros((2, PIECES))},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change):
    (name,) = change
    with pytest.raises(ValueError, match=name):
        GraphNetwork.of({**weights(), **change}, PIECES, PAIRS)
    with pytest.raises(KeyError):
        GraphNetwork.of({k: v for k, v in weights().items() if k != name}, PIECES, PAIRS)
