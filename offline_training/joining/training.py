"""Training of joining: boosted trees, on the pairs that agglomeration meets on its way (GALA), the network that sees pieces in
their surroundings, and how good an object can be expected to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from gcseg_ros.errors import UserError
from gcseg_ros.joining.agglomeration import AREA, Agglomeration, Floats, join
from gcseg_ros.joining.boosted_trees import Trees
from gcseg_ros.joining.model import JoiningModel, Linear
from offline_training.joining.bins import Bins
from offline_training.joining.graph_network import fit_networks, states_of
from offline_training.joining.labelled import LabelledGraph, mostly_labelled, partly_labelled

WALK_THRESHOLD = 0.1  # agglomeration on the way to samples goes on to pairs as improbable as this


@dataclass(frozen=True)
class Settings:
    """threshold of joining; smaller objects are none; whether objects of what has no label are wrong, or not known;
    seed; whether the confidence is linear; rounds of walking and fitting again; the boosted trees'; how many networks, the
    epochs that each is trained, and how many states of each graph they see."""

    threshold: float
    least_area: float
    unlabelled_is_wrong: bool = True
    seed: int = 0
    linear_confidence: bool = False
    rounds: int = 2
    trees: int = 200
    rate: float = 0.1
    leaves: int = 40
    least_in_leaf: int = 40
    features: float = 0.3  # share that a split chooses from
    regularisation: float = 20.0
    networks: int = 2
    epochs: int = 40
    states: int = 10


@dataclass
class Samples:
    """features (m, F), same (m,) bool, importance (m,)."""

    features: Floats
    same: npt.NDArray[np.bool_]
    importance: Floats

    @classmethod
    def of(cls, parts: Sequence[Samples]) -> Samples:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def train(graphs: Sequence[LabelledGraph], settings: Settings, say: Callable[[str], None]) -> JoiningModel:
    """Fit to all pairs of pieces, then `rounds` times also to the pairs met on the way with the trees so far; then the confidence."""
    if len(graphs) < 2:
        raise UserError(
            f"Joining is learned from two scenes or more, half to learn from, half to try on: there is {len(graphs)}."
        )
    parts = [[untouched(graph)] for graph in graphs]
    trees = fit(parts, settings)
    for i in range(settings.rounds):
        for graph, met in zip(graphs, parts):
            met.append(walk(graph, trees))
        trees = fit(parts, settings)
        say(f"round {i + 1}: {sum(len(part.same) for met in parts for part in met)} samples")
    halves = [fit(parts[1 - half :: 2], settings) for half in range(2)]
    del parts
    unseen = [halves[i % 2] for i in range(len(graphs))]  # trees that have not seen a graph
    network = None
    if settings.networks:
        states = [
            states_of(graph, trees, settings.states, settings.unlabelled_is_wrong, settings.seed + i)
            for i, (graph, trees) in enumerate(zip(graphs, unseen))
        ]
        say(f"{sum(map(len, states))} states of {len(graphs)} graphs for {settings.networks} networks")
        network = fit_networks(states, settings.epochs, settings.networks, settings.seed)
    return JoiningModel(trees, network, fit_confidence(graphs, unseen, settings))


def untouched(labelled: LabelledGraph) -> Samples:
    """All pairs of pieces, before anything is joined."""
    graph = labelled.graph
    pairs = graph.pairs[partly_labelled(labelled.truth, graph.pairs)]
    state = Agglomeration(graph, None)
    some = [state.features_of(few) for few in state.some_at_once(pairs)]
    features = np.concatenate([np.zeros((0, len(graph.NAMES))), *some])
    return Samples(features, labelled.same(pairs), labelled.importance(pairs))


def walk(labelled: LabelledGraph, trees: Trees) -> Samples:
    """The pairs met by agglomeration that joins what truly is one object, and only that."""
    state, width = Agglomeration(labelled.graph, trees), len(labelled.graph.NAMES)
    met = [Samples(np.zeros((0, width)), np.zeros(0, bool), np.zeros(0))]
    for pairs, truly in labelled.offers(state, WALK_THRESHOLD, only_true=True):
        met.append(Samples(state.features_of(pairs), truly, np.sqrt(state.nodes[pairs, AREA].min(1))))
    return Samples.of(met)


def fit(parts: Sequence[Sequence[Samples]], settings: Settings) -> Trees:
    """Trees for the samples of some graphs. Raises UserError if there are none, or all of one kind."""
    samples = Samples.of([part for met in parts for part in met])
    if len(np.unique(samples.same)) < 2:
        raise UserError(
            f"There are {len(samples.same)} pairs of pieces to learn from, of one object and of two are both needed: take more scenes."
        )
    model = HistGradientBoostingClassifier(
        max_iter=settings.trees,
        learning_rate=settings.rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.least_in_leaf,
        max_features=settings.features,
        l2_regularization=settings.regularisation,
        early_stopping=False,
        random_state=settings.seed,
    )
    bins = Bins.of(samples.features, samples.importance)
    model.fit(bins(samples.features), samples.same, samples.importance)
    return bins.undo(as_trees(model))


def fit_confidence(graphs: Sequence[LabelledGraph], unseen: Sequence[Trees], settings: Settings) -> Trees | Linear:
    """Of objects' IoU with the true ones; graphs are joined by trees that have not seen them."""
    outcomes = [objects_and_ious(graph, trees, settings) for graph, trees in zip(graphs, unseen)]
    known, iou = (np.concatenate([outcome[k] for outcome in outcomes]) for k in (0, 1))
    if not len(known):
        raise UserError(
            "No object of the scenes is at least half labelled, so there is no confidence to learn: take scenes with more labels."
        )
    if settings.linear_confidence:
        scaler = StandardScaler().fit(known)
        ridge = Ridge(3.0).fit(scaler.transform(known), iou)
        weights = ridge.coef_ / scaler.scale_
        return Linear(np.append(weights, ridge.intercept_ - weights @ scaler.mean_))
    model = HistGradientBoostingRegressor(
        max_iter=150,
        learning_rate=0.05,
        max_leaf_nodes=12,
        min_samples_leaf=30,
        max_features=0.4,
        l2_regularization=10,
        early_stopping=False,
        random_state=settings.seed,
    )
    return as_trees(model.fit(known, iou))


def objects_and_ious(labelled: LabelledGraph, trees: Trees, settings: Settings) -> tuple[Floats, Floats]:
    """What is known of the objects (m, F) that joining makes of a graph, and their best IoU (m,) with true instances."""
    state = join(labelled.graph, settings.threshold, trees)
    roots, known = state.objects()
    truth = labelled.truth_of(state, roots)
    counts = state.nodes[roots, AREA] >= settings.least_area
    if not settings.unlabelled_is_wrong:
        counts &= mostly_labelled(truth)
    return known[counts], labelled.best_iou(truth)[counts]


def as_trees(model: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> Trees:
    """scikit-learn's trees as plain arrays."""
    trees = [predictors[0].nodes for predictors in model._predictors]
    roots = np.cumsum([0] + [len(nodes) for nodes in trees[:-1]]).astype(np.int32)
    nodes = np.concatenate(trees)
    offset = np.repeat(roots, [len(tree) for tree in trees])
    leaf = nodes["is_leaf"].astype(bool)
    return Trees(
        feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(leaf, 0, nodes["left"] + offset).astype(np.int32),
        right=np.where(leaf, 0, nodes["right"] + offset).astype(np.int32),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].astype(np.float64),
        roots=roots,
        bias=float(np.ravel(model._baseline_prediction)[0]),
    )


def measure(graphs: Sequence[LabelledGraph], trees: Trees) -> dict[str, float]:
    """Over all pairs of pieces of these graphs, by importance: area under the ROC curve, log loss."""
    samples = Samples.of([untouched(graph) for graph in graphs])
    probability = trees(samples.features)
    return {
        "pairs": len(samples.same),
        "auc": float(roc_auc_score(samples.same, probability, sample_weight=samples.importance)),
        "log_loss": float(log_loss(samples.same, probability, sample_weight=samples.importance)),
    }
