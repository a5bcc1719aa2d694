"""From tracked labels to instances: pieces are joined, by learned decision or by the masks' votes; specks are cleaned up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.camera.upright import UP, rotation_to_z
from gcseg_ros.config import FinishingConfig
from gcseg_ros.finishing.joining import shipped_model
from gcseg_ros.finishing.piece_graph import piece_graph
from gcseg_ros.finishing.votes import Ids, Joined, by_votes
from gcseg_ros.frames import Array
from gcseg_ros.jit import njit
from gcseg_ros.joining.agglomeration import AREA
from gcseg_ros.mapping.voxel_map import Surface
from gcseg_ros.tracking.borders import Borders
from gcseg_ros.tracking.evidence import Evidence
from gcseg_ros.tracking.label_pairs import pairs_of
from gcseg_ros.tracking.objects import MOST_OBJECTS

SMOOTH_NEIGHBOURS, SMOOTH_RADIUS_M = 16, 0.09  # voxels that vote for one's instance, itself among them


def finish(
    surface: Surface, evidence: Evidence, borders: Borders, config: FinishingConfig, up: Array = UP
) -> tuple[Ids, npt.NDArray[np.float32], Ids]:
    """up (3,): the unit vector of the world that points up -> instance (n,) per voxel, 0 = none; confidence (n,) 0..1;
    instance of each tracked label (max label + 1,)."""
    tracked = surface.label
    if not len(tracked):
        return tracked, surface.share, np.zeros(1, np.int64)
    with ThreadPoolExecutor(1) as pool:  # a second processor has something to do while pieces are joined
        neighbours = pool.submit(_neighbours, surface.points)
        if config.joining == "learned" or (config.joining == "auto" and len(borders)):
            instance, confidence = _by_learned_decision(surface, evidence, borders, config, up)
        else:
            instance, confidence = by_votes(surface, evidence, config)
        instance = _smooth(instance, surface, neighbours.result())
    instance[np.bincount(instance)[instance] < config.min_voxels] = 0
    expected = confidence(instance)[instance].astype(np.float32)
    instance = _with_ids_that_fit(instance)
    return instance, expected, _label_table(tracked, instance)


def _by_learned_decision(
    surface: Surface, evidence: Evidence, borders: Borders, config: FinishingConfig, up: Array
) -> Joined:
    upright = surface if np.array_equal(up, UP) else surface.turned(rotation_to_z(up))
    graph, piece = piece_graph(upright, evidence, borders)
    joined, roots, iou = shipped_model().join(graph, config.join_probability)
    # an object goes by the label that its root is a facet of; where several do, only the largest of them
    taken: set[int] = set()
    name, fresh = np.zeros(len(graph) + 1, np.int64), int(surface.label.max()) + 1
    for i in roots[np.argsort(-joined.nodes[roots, AREA], kind="stable")].tolist():
        name[i] = graph.labels[i]
        if name[i] in taken:
            name[i], fresh = fresh, fresh + 1
        taken.add(int(name[i]))
    expected = np.zeros(fresh)
    expected[name[roots]] = iou
    return name[np.append(joined.groups(), len(graph))[piece]], lambda instance: expected


def _neighbours(points: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Indices (n, SMOOTH_NEIGHBOURS) of each point's nearest, itself included; n where there are fewer."""
    _, near = cKDTree(points).query(points, SMOOTH_NEIGHBOURS, distance_upper_bound=SMOOTH_RADIUS_M)
    return near.astype(np.int32)


def _smooth(instance: Ids, surface: Surface, near: npt.NDArray[np.int32]) -> Ids:
    """Each voxel takes the instance that its `_neighbours` vote for; voxels without one get one where they touch it.

    A neighbour's vote weighs by how clear its own votes were and how well it was seen.
    """
    if not instance.any():
        return instance
    return _most_votes(instance, near, np.append(surface.share * np.sqrt(surface.weight), 0)[near])


@njit
def _most_votes(instance: Ids, near: npt.NDArray[np.int32], weight: npt.NDArray[np.float32]) -> Ids:
    """Of each voxel the instance that its neighbours near (n, k) have most weight (n, k) for; its own where none has one.

    A neighbour beyond the last voxel is none.
    """
    winner = instance.copy()
    for i in range(len(near)):
        most = 0.0
        for j in range(near.shape[1]):
            candidate = instance[near[i, j]] if near[i, j] < len(instance) else 0
            if candidate == 0 or (most > 0 and candidate == winner[i]):
                continue
            votes = 0.0
            for k in range(near.shape[1]):
                if near[i, k] < len(instance) and instance[near[i, k]] == candidate:
                    votes += weight[i, k]
            if votes > most:
                winner[i], most = candidate, votes
    return winner


def _with_ids_that_fit(instance: Ids) -> Ids:
    """What was split off a label has an id beyond all labels. Where label images cannot hold it, it becomes the lowest
    that is unused."""
    over = np.unique(instance[instance > MOST_OBJECTS])
    if not len(over):
        return instance
    unused = np.setdiff1d(np.arange(1, MOST_OBJECTS + 1), instance)[: len(over)]
    name = np.arange(over[-1] + 1)
    name[over] = 0
    name[over[: len(unused)]] = unused
    return name[instance]


def _label_table(tracked: Ids, instance: Ids) -> Ids:
    """The instance that most voxels of each tracked label went to."""
    table = np.zeros(int(tracked.max(initial=0)) + 1, np.int64)
    codes, counts = np.unique(tracked << 32 | instance, return_counts=True)
    label, most = pairs_of(codes[np.argsort(counts, kind="stable")]).T
    table[label] = most  # of several the last one stays
    table[0] = 0
    return table
