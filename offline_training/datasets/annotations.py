"""Annotations of ScanNet's family: a mesh is over-segmented, and an object is a group of segments (in Replica's of one)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.clouds.ply import read_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.scannet_text import write_ids
from gcseg_ros.evaluation.truth import INSTANCES_PER_LABEL
from gcseg_ros.files import atomic_path, read_json
from offline_training.datasets.faces import objects_of_vertices

VOID = 0


@dataclass(frozen=True)
class SceneFiles:
    """Of one scene: the mesh that the annotation belongs to, the segment of each vertex (as JSON, or a mesh whose faces have an object),
    and the groups of segments."""

    mesh: Path
    segments: Path
    groups: Path


@dataclass(frozen=True)
class AnnotatedScene:
    """The mesh's vertices, in its order and frame of reference (that of the camera poses).

    points    (N, 3) float32 metres; colours (N, 3) uint8
    instance  (N,) int64 class id x 1000 + number of the object from 1; 0 = none, or of a class that is not counted
    stuff     (N,) bool
    """

    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]
    instance: npt.NDArray[np.int64]
    stuff: npt.NDArray[np.bool_]


def annotated(files: SceneFiles, class_of: Callable[[str], int], stuff_classes: tuple[int, ...]) -> AnnotatedScene:
    """Where groups overlap, a vertex belongs to the smallest that is counted (as ScanNet++'s toolkit has it; ScanNet's do not overlap).

    class_of  what an annotator called an object -> its class id, 0 = not counted
    Raises UserError.
    """
    cloud = read_cloud(files.mesh)
    segment_of = segment_indices(files.segments)
    if len(segment_of) != len(cloud["points"]):
        raise UserError(
            f"{files.segments} has {len(segment_of)} vertices, but {files.mesh} {len(cloud['points'])}: download both again."
        )
    known, row, sizes = np.unique(segment_of, return_inverse=True, return_counts=True)
    members, classes = [], []
    for label, segments in groups_of(files.groups):
        members.append(np.flatnonzero(np.isin(known, segments)))
        classes.append(class_of(label))
    if len(members) >= INSTANCES_PER_LABEL:
        raise UserError(f"{files.groups} has {len(members)} objects: at most {INSTANCES_PER_LABEL - 1} are possible.")
    of_segment = np.full(len(known), VOID, np.int64)
    for number in sorted(range(len(members)), key=lambda i: -sizes[members[i]].sum()):
        if classes[number]:
            of_segment[members[number]] = classes[number] * INSTANCES_PER_LABEL + number + 1
    instance = of_segment[row]
    stuff = np.isin(instance // INSTANCES_PER_LABEL, stuff_classes) & (instance > 0)
    grey = np.full(cloud["points"].shape, 170, np.uint8)
    return AnnotatedScene(cloud["points"], cloud.get("colours", grey), instance, stuff)


def segment_indices(file: Path) -> npt.NDArray[np.int64]:
    """(N,) the segment of each vertex. Raises UserError."""
    if file.suffix == ".ply":
        return objects_of_vertices(file)
    content = read_json(file)
    indices = np.asarray(content.get("segIndices", []) if isinstance(content, dict) else [])
    if indices.ndim != 1 or not len(indices) or indices.dtype.kind not in "iu":
        raise UserError(f"{file} must hold `segIndices`, an integer per vertex: download it again.")
    return indices.astype(np.int64)


def groups_of(file: Path) -> list[tuple[str, list[int]]]:
    """(what the annotator called it, its segments) of each object. Raises UserError."""
    content = read_json(file)
    try:
        if "objects" in content:
            return [(str(entry["class_name"]), [int(entry["id"])]) for entry in content["objects"]]
        return [(str(group["label"]), [int(s) for s in group["segments"]]) for group in content["segGroups"]]
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{file} must hold `segGroups` with a `label` and `segments` each, or Replica's `objects` with a `class_name` and an `id`: "
            "download it again."
        ) from None


def write_truth(scene: AnnotatedScene, cloud: Path, text: Path) -> None:
    """As NPZ (points, colours, instance, stuff) and in ScanNet's format, an id a line. Raises UserError."""
    write_ids(text, scene.instance)
    with atomic_path(cloud) as temporary:
        np.savez_compressed(
            temporary, points=scene.points, colours=scene.colours, instance=scene.instance, stuff=scene.stuff
        )
