"""Objects made of geometric segments: which segments are one, as many masks say, and how sure that is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

from gcseg_ros.joining.agglomeration import Floats, Ids
from gcseg_ros.joining.model import JoiningModel
from gcseg_ros.segmentation.network import ScenePrediction
from gcseg_ros.segmentation.query_masks import together_of
from gcseg_ros.segmentation.segment_graph import segment_graph
from gcseg_ros.segmentation.segments import SegmentedCloud

QUERIES_AT_ONCE = 16
"""Dense masks are held for this many queries."""

Mask = tuple[float, npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""A mask's score without the share of its voxels' probabilities, its voxels and their probabilities."""


def joined(
    prediction: ScenePrediction,
    cloud: SegmentedCloud,
    min_score: float,
    join_probability: float = 0.5,
    joining: JoiningModel | None = None,
) -> list[Mask]:
    """A partition of the cloud: segments that are joined by a learned decision, or without one (`joining`) as the masks say.

    Many queries learn every object, so this is a vote of many, where non-maximum suppression keeps the word of one. The score of
    an object is the IoU that is to be expected of it; as the masks say: `scores_of`.
    """
    every = np.arange(len(cloud.segments))
    objectness, coverage = coverage_of(prediction, every, cloud.segments, min_score)
    if len(objectness) == 0:
        return []
    if joining is None:
        groups = joined_by_votes(together_of(objectness, coverage), join_probability)
        score = scores_of(objectness, coverage, np.bincount(cloud.segments), groups)
    else:
        state, roots, score = joining.join(segment_graph(cloud, objectness, coverage), join_probability)
        groups = np.searchsorted(roots, state.groups())
    of_voxel = groups[cloud.segments]
    order = np.argsort(of_voxel, kind="stable")
    voxels = np.split(order, np.bincount(of_voxel).cumsum()[:-1])
    return [(float(s), v, np.ones(len(v), np.float32)) for s, v in zip(score, voxels) if s >= min_score]


def joined_by_votes(together: Floats, join_probability: float) -> Ids:
    """(S,) group of each segment, from 0, by average linkage of how probably two are one object (S, S)."""
    if len(together) == 1:
        return np.zeros(1, np.int64)
    distance = 1 - together
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    return fcluster(tree, 1 - join_probability, "distance").astype(np.int64) - 1


def scores_of(objectness: Floats, coverage: Floats, sizes: npt.NDArray, groups: Ids) -> Floats:
    """How well masks (Q,), (Q, S) fit groups of segments: (groups,), the mean of two: objectness times IoU of the mask that
    fits best, and the mean IoU of the masks that cover a group. sizes (S,): voxels of each segment."""
    of_object = np.zeros((len(sizes), groups.max() + 1))
    of_object[np.arange(len(sizes)), groups] = sizes
    object_sizes = of_object.sum(0)
    inside = (coverage > 0.5).astype(np.float64)
    shared = inside @ of_object
    iou = shared / ((inside @ sizes)[:, None] + object_sizes - shared)
    covers = objectness[:, None] * (coverage @ of_object) / object_sizes
    mean = (covers * iou).sum(0) / np.maximum(covers.sum(0), 1e-9)
    return np.asarray(((objectness[:, None] * iou).max(0) + mean) / 2)


def coverage_of(
    prediction: ScenePrediction, voxels: Ids, pieces: Ids, min_score: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Objectness (Q,) of the queries above half of `min_score`, and the mean probability of each one's mask on each piece (Q, S).

    voxels, pieces  (P,) of P points: the voxel that each lies in, the piece that it belongs to, from 0
    """
    step = prediction.steps[-1]
    objectness = 1 - step.scores.float().softmax(1)[:, -1]
    likely = (objectness >= min_score / 2).nonzero().squeeze(1)
    sizes = np.bincount(pieces)
    used, at = np.unique(voxels, return_inverse=True)
    shares = csr_array((1 / sizes[pieces], (at, pieces)), (len(used), len(sizes)))  # of a piece in each voxel
    features = prediction.features[torch.from_numpy(used).to(prediction.features.device)].float().t()
    coverage = np.zeros((len(likely), len(sizes)))
    for first in range(0, len(likely), QUERIES_AT_ONCE):
        rows = slice(first, first + QUERIES_AT_ONCE)
        coverage[rows] = torch.sigmoid(step.embeddings[likely[rows]].float() @ features).cpu().numpy() @ shares
    return objectness[likely].cpu().numpy().astype(np.float64), coverage
