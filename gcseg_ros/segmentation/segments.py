"""Geometric segments of a cloud, and how a network's masks are put together from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from gcseg_ros.evaluation.baselines import neighbour_pairs
from gcseg_ros.graph_segmentation import graph_segmentation
from gcseg_ros.segmentation.network import ScenePrediction

COLOUR_WEIGHT = 0.14
"""Of a colour's difference, in deviations of the training's colours, beside 1 - cos of the normals' angle."""
SCALE, SMALLEST_VOXELS = 0.3, 10
MOST_SEGMENTS = 4000
"""Joining compares all pairs of segments."""
SHARPNESS = 8
"""How much more a mask says of the segments that it covers well."""
QUERIES_AT_ONCE = 16
"""Dense masks are held for this many queries."""

Mask = tuple[float, npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""A mask's score without the share of its voxels' probabilities, its voxels and their probabilities."""


def geometric_segments(
    positions: npt.NDArray, normals: npt.NDArray, colours: npt.NDArray, voxel_m: float
) -> npt.NDArray[np.int64]:
    """(N,) from 0: pieces of smooth surface of one colour, by Felzenszwalb and Huttenlocher's graph segmentation (IJCV 2004).

    positions (N, 3) metres; normals (N, 3), of either sign; colours (N, 3) normalised as the network's (all equal where there are none).
    """
    pairs = neighbour_pairs(positions, radius_m=3 * voxel_m)
    a, b = pairs.T
    weight = 1 - np.abs((normals[a] * normals[b]).sum(1)) + COLOUR_WEIGHT * np.abs(colours[a] - colours[b]).max(1)
    smallest = SMALLEST_VOXELS
    segments = graph_segmentation(len(positions), pairs, weight, SCALE, smallest) - 1
    while segments.max(initial=-1) >= MOST_SEGMENTS and smallest < len(positions):
        smallest *= 2
        segments = graph_segmentation(len(positions), pairs, weight, SCALE, smallest) - 1
    if segments.max(initial=-1) < MOST_SEGMENTS:
        return segments
    # Specks without a neighbour that they could be merged with: the smallest are taken together.
    rank = np.argsort(np.argsort(-np.bincount(segments), kind="stable"))
    return np.minimum(rank, MOST_SEGMENTS - 1)[segments]


def middles(positions: npt.NDArray, segments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(S,) rows: of each segment the voxel nearest to its centre."""
    sizes = np.bincount(segments)
    centres = np.stack([np.bincount(segments, axis) for axis in positions.T], 1) / sizes[:, None]
    distance = np.square(positions - centres[segments]).sum(1)
    return np.lexsort((distance, segments))[sizes.cumsum() - sizes]


def snapped(
    voxels: npt.NDArray, probability: npt.NDArray, segments: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray, npt.NDArray]:
    """The mask of all segments that lie in it by more than half; added voxels get the mask's mean probability."""
    sizes = np.bincount(segments)
    share = np.bincount(segments[voxels], minlength=len(sizes)) / np.maximum(sizes, 1)
    inside = np.flatnonzero(share[segments] > 0.5)
    values = np.full(count, probability.mean(), np.float32)
    values[voxels] = probability
    return inside, values[inside]


def joined(prediction: ScenePrediction, segments: npt.NDArray[np.int64], min_score: float) -> list[Mask]:
    """A partition of the cloud: segments that the queries' masks put together, by average linkage.

    What the queries that cover segment s say of segment t, averaged, is the probability that t belongs to the object of s. Many
    queries learn every object, so this is a vote of many, where non-maximum suppression keeps the word of one.
    The score of an object is the mean of two: objectness times IoU of the mask that fits it best, and the mean IoU of the masks that cover it.
    """
    objectness, coverage = coverage_of(prediction, segments, min_score)
    sizes = np.bincount(segments).astype(np.float64)
    if len(objectness) == 0:
        return []
    weight = coverage**SHARPNESS * objectness[:, None]
    together = weight.T @ coverage / np.maximum(weight.sum(0)[:, None], 1e-9)
    together = (together + together.T) / 2
    distance = 1 - together
    np.fill_diagonal(distance, 0)
    cluster = np.zeros(1, np.int64)
    if len(sizes) > 1:
        cluster = fcluster(linkage(squareform(distance, checks=False), "average"), 0.5, "distance") - 1
    of_object = np.zeros((len(sizes), cluster.max() + 1))
    of_object[np.arange(len(sizes)), cluster] = sizes
    object_sizes = of_object.sum(0)
    inside = (coverage > 0.5).astype(np.float64)
    shared = inside @ of_object
    iou = shared / (inside @ sizes[:, None] + object_sizes - shared)
    covers = objectness[:, None] * (coverage @ of_object) / object_sizes
    mean = (covers * iou).sum(0) / np.maximum(covers.sum(0), 1e-9)
    score = ((objectness[:, None] * iou).max(0) + mean) / 2
    of_voxel = cluster[segments]
    order = np.argsort(of_voxel, kind="stable")
    voxels = np.split(order, np.bincount(of_voxel).cumsum()[:-1])
    return [(float(s), v, np.ones(len(v), np.float32)) for s, v in zip(score, voxels) if s >= min_score]


def coverage_of(
    prediction: ScenePrediction, segments: npt.NDArray[np.int64], min_score: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Objectness (Q,) of the queries above half of `min_score`, and the mean probability of each one's mask on each segment (Q, S)."""
    step = prediction.steps[-1]
    objectness = 1 - step.scores.float().softmax(1)[:, -1]
    likely = (objectness >= min_score / 2).nonzero().squeeze(1)
    order = np.argsort(segments, kind="stable")
    sizes = np.bincount(segments)
    starts = sizes.cumsum() - sizes
    features = prediction.features[torch.from_numpy(order).to(prediction.features.device)].float().t()
    coverage = np.zeros((len(likely), len(sizes)))
    for first in range(0, len(likely), QUERIES_AT_ONCE):
        rows = slice(first, first + QUERIES_AT_ONCE)
        probability = torch.sigmoid(step.embeddings[likely[rows]].float() @ features).cpu().numpy()
        coverage[rows] = np.add.reduceat(probability, starts, axis=1) / sizes
    return objectness[likely].cpu().numpy().astype(np.float64), coverage
