"""Boosted trees for the decision to join two pieces, trained on the pairs that agglomeration meets on its way (GALA)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from gcseg_ros.config import FinishingConfig
from gcseg_ros.mapping.joining import Agglomeration, Model, Trees, join
from gcseg_ros.mapping.pieces import AREA, FEATURES, Floats
from offline_training.joining.rooms import LabelledGraph

LEAST_AREA = FinishingConfig().min_voxels
WALK_THRESHOLD = 0.1  # agglomeration on the way to samples goes on to pairs as improbable as this


@dataclass(frozen=True)
class Settings:
    """seed; rounds of walking and fitting again; threshold of joining; the boosted trees'."""

    seed: int = 0
    rounds: int = 2
    threshold: float = FinishingConfig().join_probability
    trees: int = 500
    rate: float = 0.04
    leaves: int = 40
    least_in_leaf: int = 40
    features: float = 0.3  # share that a split chooses from
    regularisation: float = 20.0


@dataclass
class Samples:
    """features (m, F), same (m,) bool, importance (m,)."""

    features: Floats
    same: npt.NDArray[np.bool_]
    importance: Floats

    @classmethod
    def of(cls, parts: Sequence[Samples]) -> Samples:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def train(rooms: Sequence[LabelledGraph], settings: Settings, console: Console) -> Model:
    """Fit to all pairs of pieces, then `rounds` times also to the pairs met on the way with the trees so far."""
    parts = [[untouched(room)] for room in rooms]
    trees = fit(parts, settings)
    for i in range(settings.rounds):
        for room, met in zip(rooms, parts):
            met.append(walk(room, trees))
        trees = fit(parts, settings)
        console.print(f"round {i + 1}: {sum(len(part.same) for met in parts for part in met)} samples")
    return Model(trees, fit_confidence(rooms, parts, settings))


def untouched(room: LabelledGraph) -> Samples:
    """All pairs of pieces, before anything is joined."""
    graph = room.graph
    pairs = graph.pairs[room.truth[graph.pairs][:, :, 1:].sum((1, 2)) > 0]
    if not len(pairs):
        return Samples(np.zeros((0, len(FEATURES))), np.zeros(0, bool), np.zeros(0))
    state = Agglomeration(graph, None)
    return Samples(state.features_of(pairs), room.same(pairs), room.importance(pairs))


def walk(room: LabelledGraph, trees: Trees) -> Samples:
    """The pairs met by agglomeration that joins what truly is one object, and only that."""
    state, truth = Agglomeration(room.graph, trees), room.truth.copy()
    features, same, importance = [], [], []
    while (pair := state.next(WALK_THRESHOLD)) is not None:
        pairs = np.array([pair])
        features.append(state.features_of(pairs)[0])
        same.append(bool(room.same(pairs, truth)[0]))
        importance.append(float(np.sqrt(state.nodes[list(pair), AREA].min())))
        if same[-1]:
            joined = state.join(*pair)
            truth[joined] = truth[list(pair)].sum(0)
    return Samples(np.array(features).reshape(-1, len(FEATURES)), np.array(same, bool), np.array(importance))


def fit(parts: Sequence[Sequence[Samples]], settings: Settings) -> Trees:
    """Trees for the samples of some rooms."""
    samples = Samples.of([part for met in parts for part in met])
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
    model.fit(samples.features, samples.same, samples.importance)
    return as_trees(model)


def fit_confidence(
    rooms: Sequence[LabelledGraph], parts: Sequence[Sequence[Samples]], settings: Settings
) -> npt.NDArray[np.float64]:
    """Ridge regression of objects' IoU with the true ones; rooms are joined by trees that have not seen them."""
    outcomes = []
    for half in range(2):
        trees = fit(parts[1 - half :: 2], settings)
        outcomes += [objects_and_ious(room, trees, settings.threshold) for room in rooms[half::2]]
    known, iou = (np.concatenate([outcome[k] for outcome in outcomes]) for k in (0, 1))
    scaler = StandardScaler().fit(known)
    ridge = Ridge(3.0).fit(scaler.transform(known), iou)
    weights = ridge.coef_ / scaler.scale_
    return np.append(weights, ridge.intercept_ - weights @ scaler.mean_)


def objects_and_ious(room: LabelledGraph, trees: Trees, threshold: float) -> tuple[Floats, Floats]:
    """What is known of the objects (m, F) that joining makes of a room, and their best IoU (m,) with true instances."""
    state = join(room.graph, threshold, trees)
    roots, known = state.objects()
    truth = np.zeros_like(room.truth)
    np.add.at(truth, state.groups(), room.truth)
    common, size = truth[roots], room.truth.sum(0)
    iou = common / np.maximum(common.sum(1, keepdims=True) + size - common, 1)
    large = state.nodes[roots, AREA] >= LEAST_AREA
    return known[large], iou[large, 1:].max(1)


def as_trees(model: HistGradientBoostingClassifier) -> Trees:
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


def measure(rooms: Sequence[LabelledGraph], trees: Trees) -> dict[str, float]:
    """Over all pairs of pieces of these rooms, by importance: area under the ROC curve, log loss."""
    samples = Samples.of([untouched(room) for room in rooms])
    probability = trees(samples.features)
    return {
        "pairs": len(samples.same),
        "auc": float(roc_auc_score(samples.same, probability, sample_weight=samples.importance)),
        "log_loss": float(log_loss(samples.same, probability, sample_weight=samples.importance)),
    }
