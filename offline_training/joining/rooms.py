"""Generated rooms, mapped: the graph of their pieces, and how much of each true instance is in each piece."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

import gcseg_ros
from gcseg_ros.config import Config, FinishingConfig, ViewsConfig
from gcseg_ros.errors import UserError
from gcseg_ros.finishing.piece_graph import piece_graph
from gcseg_ros.mapper import Mapper
from gcseg_ros.mapping.pose_refinement import moved
from gcseg_ros.masks import boundary_network
from gcseg_ros.recordings import open_recording, synthetic
from gcseg_ros.recordings.synthetic import INVENTED_STYLES, TRAINING_STYLES, SyntheticRecording
from gcseg_ros.recordings.synthetic.recording import DRIFTING, EXACT, TruthBuilder
from gcseg_ros.state import Saved
from offline_training.joining.labelled import LabelledGraph

INVENTED_SEED = 500  # after the seed of the others
TRUTH_STRIDE = 3  # every third pixel each way is enough to know what a voxel of 3 cm is
TRUTH_REACH_M = 0.06
SETTINGS = Config(finishing=FinishingConfig(joining="votes"), views=ViewsConfig(most=0))
"""The default ones, but for joining: it is to be learned, and maps need not be finished."""


def room_names(count: int, frames: int, seed: int, styles: Sequence[str] = TRAINING_STYLES) -> list[str]:
    """`count` generated rooms, the styles in turn."""
    return [f"synthetic:{seed + i}:{styles[i % len(styles)]}:{frames}" for i in range(count)]


def training_rooms(rooms: int, invented: int, frames: int, seed: int) -> list[str]:
    """`rooms` of all training styles in turn, `invented` more of things that nobody has ever built."""
    return room_names(rooms, frames, seed) + room_names(invented, frames, seed + INVENTED_SEED, INVENTED_STYLES)


def mapped_rooms(names: list[str], cache: Path, poses: Sequence[str] = (EXACT,)) -> Iterator[list[LabelledGraph]]:
    """Map the rooms one after the other, each with exact and drifting `poses`, or one of these; what is in the cache already is read
    from there. Raises UserError."""
    cache.mkdir(parents=True, exist_ok=True)
    key = _digest()
    for name in names:
        files = {kind: cache / f"{name.replace(':', '_')}_{kind}_{key}.npz" for kind in poses}
        map_room(name, {kind: file for kind, file in files.items() if not file.is_file()})
        try:
            rooms = [mapped_room(file) for file in files.values()]
        except UserError as error:
            raise UserError(f"{error} Delete it, and the same command maps the room anew.") from None
        yield rooms


def map_room(name: str, files: Mapping[str, Path]) -> None:
    """Map a generated room, with each of the poses that files are given for, as `gcseg map` keeps its maps, with its truth."""
    if not files:
        return
    recording = open_recording(name)
    assert isinstance(recording, SyntheticRecording)
    given = {EXACT: recording.poses, DRIFTING: recording.drifted}
    maps = {kind: (*_mapper_and_truth(), TruthBuilder(recording.room)) for kind in files}
    for i, (frame, view) in enumerate(recording.views()):
        for kind, (mapper, _, seen) in maps.items():
            pose = given[kind][i]
            mapper.step(replace(frame, pose=pose))
            # true things are where they were mapped
            seen.add(view, recording.intrinsics, moved(pose, mapper.refine.correction), TRUTH_STRIDE)
    for kind, (mapper, truth, seen) in maps.items():
        cloud, points = seen.cloud(), mapper.voxel_map.surface().points
        _, nearest = cKDTree(cloud.points).query(points, distance_upper_bound=TRUTH_REACH_M)
        truth.instance = np.append(cloud.instance, 0)[nearest].astype(np.int32)
        mapper.save_state(files[kind])


def mapped_room(file: Path) -> LabelledGraph:
    """What has been mapped into a file, in pieces. Raises UserError."""
    mapper, truth = _mapper_and_truth()
    mapper.resume(file)
    surface = mapper.voxel_map.surface()
    graph, piece = piece_graph(surface, mapper.tracker.evidence, mapper.tracker.borders)
    counts = np.zeros((len(graph), int(truth.instance.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (piece[piece >= 0], truth.instance[piece >= 0]), 1)
    return LabelledGraph(graph, counts)


class TrueInstances:
    """Kept with a map: instance (v,) int32, the true one of each of its voxels, 0 = none."""

    def __init__(self) -> None:
        self.instance = np.zeros(0, np.int32)

    def state(self) -> dict[str, Any]:
        return {"instance": self.instance}

    def restore(self, saved: Saved) -> None:
        """Raises UserError."""
        self.instance = saved.array("instance", np.int32, (None,), 0)


def _mapper_and_truth() -> tuple[Mapper, TrueInstances]:
    truth = TrueInstances()
    mapper = Mapper(SETTINGS)
    mapper.extensions["truth"] = truth
    return mapper, truth


def mapping_sources() -> list[Path]:
    """All code that decides what a map keeps; not what is made of that when it is finished."""
    package = Path(gcseg_ros.__file__).parent
    modules = [package / f"{name}.py" for name in ("mapper", "views", "depth", "frames", "camera/upright", "state")]
    parts = ("masks", "mapping", "propagation", "tracking")
    return [*modules, *(file for part in parts for file in sorted((package / part).glob("*.py")))]


def _digest() -> str:
    """Changes with the generator, the settings and the code that maps."""
    digest = hashlib.sha256(boundary_network.WEIGHTS.read_bytes())
    digest.update(SETTINGS.model_dump_json(exclude={"finishing"}).encode())
    for source in (*mapping_sources(), *synthetic.sources()):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:8]
