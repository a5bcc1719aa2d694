"""From a network's masks to instances: threshold, snap to segments or join these, split with DBSCAN, score, drop repetitions."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from scipy.sparse import csr_array

from gcseg_ros.clouds.clustering import Cells, dbscan
from gcseg_ros.config import Part
from gcseg_ros.jit import njit
from gcseg_ros.joining.model import JoiningModel
from gcseg_ros.segmentation.instances import Instances
from gcseg_ros.segmentation.joining import QUERIES_AT_ONCE, Mask, joined
from gcseg_ros.segmentation.network import ScenePrediction
from gcseg_ros.segmentation.segments import SegmentedCloud, snapped


class PostProcessing(Part):
    """From masks to instances."""

    min_score: float = Field(0.1, ge=0, le=1, description="objectness times mean mask probability")
    min_voxels: int = Field(30, ge=1, description="smallest instance")
    split_m: float = Field(
        0.05, ge=0, description="DBSCAN's eps: parts of a mask further apart are instances of their own; 0 = off"
    )
    split_neighbours: int = Field(5, ge=1, description="DBSCAN's number of points")
    max_overlap: float = Field(0.2, gt=0, le=1, description="IoU with a better instance above which one is dropped")
    segments: Literal["off", "snap", "join"] = Field(
        "off",
        description="snap: masks consist of whole geometric segments; join: segments are put together by the checkpoint's learned decision, or as the masks say where it has none, for many queries an object; then each segment has a query as well",
    )
    join_probability: float = Field(0.5, gt=0, lt=1, description="of being one object, at which segments are joined")


def instances_of(
    prediction: ScenePrediction,
    positions: npt.NDArray,
    settings: PostProcessing,
    voxel_m: float,
    cloud: SegmentedCloud | None = None,
    joining: JoiningModel | None = None,
) -> Instances:
    """Of one scene, over its voxels.

    positions  (N, 3) of the voxels, metres
    cloud      with its segments, where the settings want them
    joining    the learned decision which segments are one object; None: the masks' votes
    """
    count = len(positions)
    cells = Cells.of(positions, max(settings.split_m, 2.5 * voxel_m)) if settings.split_m else None
    if cloud is not None and settings.segments == "join":
        masks = iter(joined(prediction, cloud, settings.min_score, settings.join_probability, joining))
    else:
        masks = masks_of(prediction, settings.min_score)

    def pieces_of(mask: Mask) -> list[tuple[float, npt.NDArray]]:
        """(score, voxels) of each part of a mask that is large and likely enough."""
        objectness, voxels, probability = mask
        if cloud is not None and settings.segments == "snap":
            voxels, probability = snapped(voxels, probability, cloud.segments, count)
        pieces = np.ones(len(voxels), np.int64) if cells is None else dbscan(cells, settings.split_neighbours, voxels)
        sizes, sums = np.bincount(pieces), np.bincount(pieces, probability)
        scores = objectness * sums / np.maximum(sizes, 1)
        if settings.segments == "join":  # else the smallest splinter of an object ranks as high as the object
            scores = scores * np.sqrt(sizes / len(voxels))
        large = (sizes >= settings.min_voxels) & (scores >= settings.min_score)
        large[:1] = False  # noise
        return [(float(scores[piece]), voxels[pieces == piece]) for piece in np.flatnonzero(large)]

    found: list[tuple[float, npt.NDArray]] = []
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        while some := list(islice(masks, QUERIES_AT_ONCE)):
            for parts in threads.map(pieces_of, some):
                found += parts
    found.sort(key=lambda item: -item[0])
    return without_repetitions(found, count, settings.max_overlap)


def masks_of(prediction: ScenePrediction, min_score: float) -> Iterator[Mask]:
    """Objectness, voxels (V,) and mask probability (V,) of each query that can reach the score."""
    step = prediction.steps[-1]
    objectness = 1 - step.scores.float().softmax(1)[:, -1]
    likely = (objectness >= min_score).nonzero().squeeze(1)
    for some in likely.split(QUERIES_AT_ONCE):
        logits = (step.embeddings[some].float() @ prediction.features.float().t()).cpu()
        for query, row in zip(some.tolist(), logits):
            voxels = (row > 0).nonzero().squeeze(1)
            if len(voxels):
                yield float(objectness[query]), voxels.numpy(), torch.sigmoid(row[voxels]).numpy()


def without_repetitions(found: list[tuple[float, npt.NDArray]], count: int, max_overlap: float) -> Instances:
    """Instances (score, voxels), best first, without those that overlap a better one that is kept too much."""
    sizes = np.array([len(voxels) for _, voxels in found], np.int64)
    ends = np.append(0, sizes.cumsum())
    columns = np.concatenate([voxels for _, voxels in found]) if found else np.zeros(0, np.int64)
    kept = first_of_overlapping(columns, ends, count, max_overlap)
    masks = csr_array((np.ones(len(columns), bool), columns, ends), shape=(len(found), count))
    return Instances(csr_array(masks[kept]), np.array([found[i][0] for i in kept], np.float32))


@njit
def first_of_overlapping(columns: npt.NDArray, ends: npt.NDArray, count: int, max_overlap: float) -> npt.NDArray:
    """Non-maximum suppression: the masks, voxels columns[ends[i] : ends[i + 1]], whose IoU with no earlier kept one is
    above `max_overlap`.

    Each voxel keeps a list of the kept masks that it is in, so a mask is only compared with those that it meets.
    """
    masks = len(ends) - 1
    kept = np.empty(masks, np.int64)
    number = 0
    newest = np.full(count, -1, np.int64)  # of each voxel: its latest entry
    entry_mask, entry_before = np.empty(len(columns), np.int64), np.empty(len(columns), np.int64)
    entries = 0
    for i in range(masks):
        shared = np.zeros(number, np.int64)
        for e in range(ends[i], ends[i + 1]):
            entry = newest[columns[e]]
            while entry >= 0:
                shared[entry_mask[entry]] += 1
                entry = entry_before[entry]
        apart = True
        for k in range(number):
            union = ends[i + 1] - ends[i] + ends[kept[k] + 1] - ends[kept[k]] - shared[k]
            if shared[k] > max_overlap * union:
                apart = False
                break
        if apart:
            for e in range(ends[i], ends[i + 1]):
                entry_mask[entries], entry_before[entries] = number, newest[columns[e]]
                newest[columns[e]] = entries
                entries += 1
            kept[number] = i
            number += 1
    return kept[:number]
