"""A network that passes messages along a graph of pieces (Gilmer et al., ICML 2017): what is one object, seen in its
surroundings.

Boosted trees judge a pair of pieces by what is known of the two. Whether a board is a shelf of the bookcase or a thing
on it shows in its neighbours, and theirs. Written once, for numpy and, where it is trained, for torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import expit

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Weights = Mapping[str, npt.NDArray[np.float32]]

WIDTH, LAYERS = 64, 4
SHARPEST = 8.0  # log-odds beyond this are not said
EPSILON = 1e-5  # of normalisation


def shapes(piece_features: int, pair_features: int) -> dict[str, tuple[int, ...]]:
    """Of the weights that are learned: two matrices and biases of each perceptron, scale and shift of each normalisation."""
    found: dict[str, tuple[int, ...]] = {}

    def perceptron(name: str, inputs: int, outputs: int = WIDTH) -> None:
        found[f"{name}.in"], found[f"{name}.in_bias"] = (inputs, WIDTH), (WIDTH,)
        found[f"{name}.out"], found[f"{name}.out_bias"] = (WIDTH, outputs), (outputs,)

    perceptron("pieces", piece_features)
    perceptron("pairs", pair_features + 1)
    for i in range(LAYERS):
        perceptron(f"{i}.pair", 3 * WIDTH)
        perceptron(f"{i}.piece", 3 * WIDTH)
        found[f"{i}.message"], found[f"{i}.message_bias"] = (2 * WIDTH, WIDTH), (WIDTH,)
        found[f"{i}.gate"], found[f"{i}.gate_bias"] = (WIDTH, 1), (1,)
        for kind in ("pair", "piece"):
            found[f"{i}.{kind}_scale"], found[f"{i}.{kind}_shift"] = (WIDTH,), (WIDTH,)
    perceptron("same", WIDTH, 1)
    perceptron("quality", WIDTH, 1)
    return found


def ranges(piece_features: int, pair_features: int) -> dict[str, tuple[int, ...]]:
    """Shapes of what is measured once: between which values features lie, their mean and their spread."""
    sizes = {"pieces": piece_features, "pairs": pair_features}
    return {f"{of}.{what}": (n,) for of, n in sizes.items() for what in ("low", "high", "mean", "spread")}


def forward(
    xp: Any, weights: Mapping[str, Any], pieces: Any, pairs: Any, ends: Any, total: Callable[[Any, Any], Any]
) -> Any:
    """What is said of m pairs of n pieces: log-odds (m,) of being one object, and of n pieces: log-odds (n,) of their quality.

    xp      numpy or torch
    pieces  (n, F) and pairs (m, G + 1): features, of `prepared`
    ends    (one, other), (m,) each: the pieces of each pair
    total   sums over the ends of pairs, ((m, k), (m, k)) -> (n, k): what comes to the one and to the other
    """

    def perceptron(name: str, x: Any) -> Any:
        hidden = (x @ weights[f"{name}.in"] + weights[f"{name}.in_bias"]).clip(0)
        return hidden @ weights[f"{name}.out"] + weights[f"{name}.out_bias"]

    def normalised(name: str, x: Any) -> Any:
        x = x - x.mean(1, keepdims=True)
        x = x / xp.sqrt((x * x).mean(1, keepdims=True) + EPSILON)
        return x * weights[f"{name}_scale"] + weights[f"{name}_shift"]

    one, other = ends
    h, e = perceptron("pieces", pieces), perceptron("pairs", pairs)
    for i in range(LAYERS):
        h_one, h_other = h[one], h[other]
        both = xp.concatenate([e, h_one + h_other, abs(h_one - h_other)], 1)
        e = normalised(f"{i}.pair", e + perceptron(f"{i}.pair", both))
        same = 1 / (1 + xp.exp(-(e @ weights[f"{i}.gate"] + weights[f"{i}.gate_bias"])))
        of_pair = e @ weights[f"{i}.message"][:WIDTH] + weights[f"{i}.message_bias"]
        of_piece = h @ weights[f"{i}.message"][WIDTH:]
        to_one, to_other = (of_pair + of_piece[other]).clip(0), (of_pair + of_piece[one]).clip(0)
        # what is probably the same object and what is not are told apart
        within = total(same * to_one, same * to_other) / (1 + total(same, same))
        around = total((1 - same) * to_one, (1 - same) * to_other) / (1 + total(1 - same, 1 - same))
        heard = xp.concatenate([h, within, around], 1)
        h = normalised(f"{i}.piece", h + perceptron(f"{i}.piece", heard))
    return perceptron("same", e)[:, 0], perceptron("quality", h)[:, 0]


def prepared(of: str, features: Floats, weights: Weights) -> npt.NDArray[np.float32]:
    """Features as the network takes them: cut to what is usual, of mean 0 and spread 1; what is not known is usual. of:
    pieces or pairs; of pairs one column more says whether something is not known."""
    cut = np.clip(features, weights[f"{of}.low"], weights[f"{of}.high"])
    known = np.nan_to_num((cut - weights[f"{of}.mean"]) / weights[f"{of}.spread"]).astype(np.float32)
    if of == "pieces":
        return known
    return np.column_stack([known, np.isnan(features).any(1)]).astype(np.float32)


@dataclass(frozen=True)
class GraphNetwork:
    """Several networks of different seeds, whose mean counts. weights: name -> (networks, ...) float32, as of `shapes`
    and `ranges`."""

    weights: Weights

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray], piece_features: int, pair_features: int) -> GraphNetwork:
        """From the arrays of a file. Raises ValueError or KeyError if they are not a network for so many features."""
        wanted = shapes(piece_features, pair_features) | ranges(piece_features, pair_features)
        weights = {name: arrays[name] for name in wanted}
        for name, array in weights.items():
            if array.dtype != np.float32 or array.shape[1:] != wanted[name] or len(array) != len(weights["same.out"]):
                raise ValueError(f"{name} of its graph network is {array.dtype} of shape {array.shape}")
        return cls(weights)

    def __call__(self, pieces: Floats, pairs: Ids, features: Floats) -> tuple[Floats, Floats]:
        """Log-odds (m,) that the pieces of each pair (m, 2) are one object, and the expected IoU (n,) of each piece
        with a true object.

        pieces (n, F): of each piece; features (m, G): of each pair
        """
        one, other = pairs.T
        every, ones = np.arange(len(pairs)), np.ones(len(pairs), np.float32)
        to_one, to_other = (csr_array((ones, (end, every)), (len(pieces), len(pairs))) for end in (one, other))

        def say(k: int) -> tuple[Floats, Floats]:
            weights = {name: array[k] for name, array in self.weights.items()}
            known, between = prepared("pieces", pieces, weights), prepared("pairs", features, weights)
            return forward(np, weights, known, between, (one, other), lambda a, b: to_one @ a + to_other @ b)

        with ThreadPoolExecutor() as pool:
            said = list(pool.map(say, range(len(self.weights["same.out"]))))
        same, quality = (np.mean([part[k] for part in said], axis=0, dtype=np.float64) for k in (0, 1))
        return np.clip(same, -SHARPEST, SHARPEST), np.asarray(expit(quality))
