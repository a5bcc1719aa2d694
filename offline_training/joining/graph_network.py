"""Training of the network that sees pieces in their surroundings (gcseg_ros/joining/graph_network.py), on graphs as agglomeration leaves them behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gcseg_ros.joining.agglomeration import AREA, Agglomeration, Floats, Ids, Pair
from gcseg_ros.joining.boosted_trees import Trees
from gcseg_ros.joining.graph_network import GraphNetwork, forward, prepared, shapes
from offline_training.joining.labelled import LabelledGraph, mostly_labelled, partly_labelled

OWN_THRESHOLD = 0.3  # on the way with errors pairs as improbable as this are joined,
TRUE_THRESHOLD = 0.02  # and on the way without, if they are one object
RATE, DECAY, NOISE, DROPPED, QUALITY = 2e-3, 0.02, 0.1, 0.1, 0.2  # QUALITY: what its loss weighs
Singles = npt.NDArray[np.float32]
USUAL = (1, 99)  # percentiles of a feature that are between its lowest and its highest value


@dataclass(frozen=True)
class State:
    """A graph when some of its pieces are joined.

    pieces (n, F), between (m, G) features; pairs (m, 2); same, importance (m,); iou, weight (n,): of pieces with a true object
    """

    pieces: Singles
    pairs: Ids
    between: Singles
    same: npt.NDArray[np.bool_]
    importance: Floats
    iou: Floats
    weight: Floats


def states_of(labelled: LabelledGraph, unseen: Trees, count: int, unlabelled_is_wrong: bool, seed: int) -> list[State]:
    """`count` states: untouched; then in turn as far as the trees have gone with errors, and without.

    unseen: trees that were not trained on the graph
    """
    random = np.random.default_rng(seed)
    true = _way(labelled, unseen, TRUE_THRESHOLD, only_true=True)
    own = _way(labelled, unseen, OWN_THRESHOLD, only_true=False)
    found = [_state(labelled, [], unlabelled_is_wrong)]
    for k in range(1, count):
        way, share = (own, 1 - random.random() ** 2) if k % 2 else (true, random.random())
        found.append(_state(labelled, way[: int(share * (len(way) + 1))], unlabelled_is_wrong))
    return found


def _way(labelled: LabelledGraph, trees: Trees, threshold: float, only_true: bool) -> list[Pair]:
    """The pairs that agglomeration joins, one after the other."""
    offers = labelled.offers(Agglomeration(labelled.graph, trees), threshold, only_true)
    joined = (pairs[same] if only_true else pairs for pairs, same in offers)
    return [(a, b) for pairs in joined for a, b in pairs.tolist()]


def _state(labelled: LabelledGraph, way: Sequence[Pair], unlabelled_is_wrong: bool) -> State:
    state = Agglomeration(labelled.graph, None)
    for pair in way:
        state.join(*pair)
    roots, pairs, pieces, between = state.known()
    truth, area = labelled.truth_of(state, roots), state.nodes[roots, AREA]
    judged, counts = partly_labelled(truth, pairs), unlabelled_is_wrong | mostly_labelled(truth)
    same, importance = labelled.same(pairs, truth), judged * np.sqrt(area[pairs].min(1))
    return State(
        pieces.astype(np.float32),
        pairs,
        between.astype(np.float32),
        same,
        importance,
        labelled.best_iou(truth),
        counts * np.sqrt(area),
    )


def fit_networks(states: Sequence[Sequence[State]], epochs: int, count: int, seed: int) -> GraphNetwork:
    """`count` networks, side by side; one of the states of each graph is seen in every epoch."""
    fitted = joblib.Parallel(n_jobs=min(count, joblib.cpu_count()))(
        joblib.delayed(fit_network)(states, epochs, seed + k) for k in range(count)
    )
    return GraphNetwork({name: np.stack([weights[name] for weights in fitted]) for name in fitted[0]})


def fit_network(states: Sequence[Sequence[State]], epochs: int, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of one."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    untouched = [of_graph[0] for of_graph in states]
    fixed = {
        f"{of}.{what}": value.astype(np.float32)
        for of, name in (("pieces", "pieces"), ("pairs", "between"))
        for what, value in _usual(np.concatenate([getattr(state, name) for state in untouched])).items()
    }
    weights = _first_weights(shapes(untouched[0].pieces.shape[1], untouched[0].between.shape[1]))
    optimiser = torch.optim.AdamW(weights.values(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * len(states))
    for _ in range(epochs):
        for i in random.permutation(len(states)):
            state = states[i][random.integers(len(states[i]))]
            if state.importance.any() and state.weight.any():
                optimiser.zero_grad()
                _loss(weights, fixed, state).backward()
                torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
                optimiser.step()
            schedule.step()
    return fixed | {name: weight.detach().numpy() for name, weight in weights.items()}


def _usual(features: Singles) -> dict[str, npt.NDArray[np.floating]]:
    low, high = np.nanpercentile(features, USUAL, axis=0)
    cut = np.clip(features, low, high)
    mean, spread = (of(cut, axis=0, dtype=np.float64) for of in (np.nanmean, np.nanstd))
    return {"low": low, "high": high, "mean": mean, "spread": spread + 1e-6}


def _first_weights(wanted: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """As `torch.nn.Linear` begins; normalisations change nothing at first."""
    weights = {}
    inputs = 1
    for name, shape in wanted.items():
        if name.endswith("_scale"):
            value = torch.ones(shape)
        elif name.endswith("_shift"):
            value = torch.zeros(shape)
        else:
            inputs = shape[0] if len(shape) == 2 else inputs  # a bias follows its matrix
            value = (2 * torch.rand(shape) - 1) / inputs**0.5
        weights[name] = value.requires_grad_()
    return weights


def _loss(weights: dict[str, Tensor], fixed: dict[str, npt.NDArray[np.float32]], state: State) -> Tensor:
    """Binary cross entropy of pairs by importance, and of the expected IoU of pieces."""
    pieces, pairs = (
        _disturbed(prepared(of, x, fixed)) for of, x in (("pieces", state.pieces), ("pairs", state.between))
    )
    one, other = torch.from_numpy(state.pairs.T.copy())

    def total(to_one: Tensor, to_other: Tensor) -> Tensor:
        zero = to_one.new_zeros(len(pieces), to_one.shape[1])
        return zero.index_add(0, one, to_one).index_add(0, other, to_other)

    same, quality = forward(torch, weights, pieces, pairs, (one, other), total)
    losses: list[Any] = []
    for said, truth, weight in ((same, state.same, state.importance), (quality, state.iou, state.weight)):
        weight = torch.from_numpy(weight.astype(np.float32))
        every = binary_cross_entropy_with_logits(said, torch.from_numpy(truth.astype(np.float32)), reduction="none")
        losses.append((weight * every).sum() / weight.sum())
    return losses[0] + QUALITY * losses[1]


def _disturbed(x: npt.NDArray[np.float32]) -> Tensor:
    noisy = torch.from_numpy(x) + NOISE * torch.randn(x.shape)
    return torch.nn.functional.dropout(noisy, DROPPED)
