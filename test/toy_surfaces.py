"""Small surfaces of labelled patches, as a map would give them, and the graphs of their pieces."""

from collections.abc import Sequence

import numpy as np

from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.finishing.piece_graph import piece_graph
from gcseg_ros.mapping.voxel_map import SLOTS, Surface
from gcseg_ros.tracking.borders import Borders
from gcseg_ros.tracking.evidence import Evidence

VOXEL_M = 0.03


def patch(corner, u, v) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals of a parallelogram, one a voxel."""
    corner, u, v = np.array(corner, float), np.array(u, float), np.array(v, float)
    steps = [np.arange(0.5, round(np.linalg.norm(w) / VOXEL_M)) * VOXEL_M / np.linalg.norm(w) for w in (u, v)]
    a, b = np.meshgrid(*steps, indexing="ij")
    points = corner + a.reshape(-1, 1) * u + b.reshape(-1, 1) * v
    normal = np.cross(u, v)
    return points, np.tile(normal / np.linalg.norm(normal), (len(points), 1))


def surface(
    parts: list[tuple[tuple[np.ndarray, np.ndarray], int]], seed: int = 0, paint: Sequence[int] | None = None
) -> Surface:
    """((points, normals), label) each, in a colour of its own, or painted with one of so many colours."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(0, 50, (len(parts), 3))[list(paint or range(len(parts)))]
    points, normals = (np.concatenate([part[k] for part, _ in parts]) for k in (0, 1))
    sums = np.zeros((len(points), 10), np.float32)
    sums[:, 0] = 5
    sums[:, 1:4], sums[:, 4:7] = 5 * points, 5 * normals
    sums[:, 7:] = 5 * np.concatenate([np.tile(colour, (len(part[0]), 1)) for colour, (part, _) in zip(colours, parts)])
    labels, votes = np.zeros((len(points), SLOTS), np.int32), np.zeros((len(points), SLOTS), np.float32)
    labels[:, 0] = np.concatenate([np.full(len(part[0]), label) for part, label in parts])
    votes[:, 0] = rng.uniform(1, 5, len(points))
    return Surface(sums, labels, votes, VOXEL_M)


def strip(i: int) -> tuple[np.ndarray, np.ndarray]:
    """The i-th of squares of 0.6 m side by side on the floor."""
    return patch([0.6 * i, 0, 0], [0.6, 0, 0], [0, 0.6, 0])


def graph(seen: Surface, evidence: Evidence | None = None, structural: float = 0.0) -> PieceGraph:
    """A label was seen as often as it has voxels, and in this share of the views it was part of the room."""
    evidence = Evidence() if evidence is None else evidence
    for label, size in zip(*(x.tolist() for x in np.unique(seen.label, return_counts=True))):
        evidence.seen[label], evidence.structural[label] = size, structural * size
    return piece_graph(seen, evidence, Borders())[0]
