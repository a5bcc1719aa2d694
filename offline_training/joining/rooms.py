"""Generated rooms, mapped: the graph of their pieces, and how much of each true instance is in each piece."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.agglomeration import Ids
from gcseg_ros.config import Config, FinishingConfig
from gcseg_ros.files import atomic_path
from gcseg_ros.mapper import Mapper
from gcseg_ros.mapping import piece_graph as building
from gcseg_ros.mapping import piece_sums
from gcseg_ros.mapping.masked_pieces import with_masks
from gcseg_ros.mapping.piece_graph import piece_graph
from gcseg_ros.mapping.pieces import PieceGraph
from gcseg_ros.masks import boundary_network
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.synthetic import INVENTED_STYLES, TRAINING_STYLES, SyntheticRecording
from offline_training.joining.labelled import LabelledGraph

if TYPE_CHECKING:
    from gcseg_ros.segmentation.segmenter import Segmenter

INVENTED_SEED = 500  # after the seed of the others
TRUTH_STRIDE = 3  # every third pixel each way is enough to know what a voxel of 3 cm is
TRUTH_REACH_M = 0.06


def room_names(count: int, frames: int, seed: int, styles: Sequence[str] = TRAINING_STYLES) -> list[str]:
    """`count` generated rooms, the styles in turn."""
    return [f"synthetic:{seed + i}:{styles[i % len(styles)]}:{frames}" for i in range(count)]


def training_rooms(rooms: int, invented: int, frames: int, seed: int) -> list[str]:
    """`rooms` of all training styles in turn, `invented` more of things that nobody has ever built."""
    return room_names(rooms, frames, seed) + room_names(invented, frames, seed + INVENTED_SEED, INVENTED_STYLES)


@dataclass(frozen=True)
class MappedRoom:
    """The pieces of a mapped room.

    graph            of the pieces
    truth            (n, instances) voxels of each piece that belong to each true instance, column 0 = to none
    points, colours  (v, 3) m, uint8 RGB: the map's voxels
    piece            (v,) of each voxel, -1 = none
    """

    graph: PieceGraph
    truth: Ids
    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]
    piece: Ids

    def labelled(self, segmenter: Segmenter | None) -> LabelledGraph:
        """With what a segmenter says of the pieces, if there is one."""
        if segmenter is None:
            return LabelledGraph(self.graph, self.truth)
        from gcseg_ros.segmentation.joining import masks_of_pieces

        masks = masks_of_pieces(segmenter, self.points, self.colours, self.piece)
        return LabelledGraph(with_masks(self.graph, *masks), self.truth)


def mapped_rooms(names: list[str], cache: Path) -> Iterator[MappedRoom]:
    """Map the rooms one after the other; what is in the cache already is read from there."""
    cache.mkdir(parents=True, exist_ok=True)
    key = _digest()
    for name in names:
        file = cache / f"{name.replace(':', '_')}_{key}.npz"
        if not file.is_file():
            with atomic_path(file) as part:
                save(map_room(name), part)
        yield load(file)


def map_room(name: str) -> MappedRoom:
    """A generated room as the default settings map it, with its truth; joining, which is to be learned from it, is not needed."""
    recording = open_recording(name)
    assert isinstance(recording, SyntheticRecording)
    mapper = Mapper(Config(finishing=FinishingConfig(joining="votes")))
    for frame in recording:
        mapper.step(frame)
    surface = mapper.voxel_map.surface()
    graph, piece = piece_graph(surface, mapper.tracker.evidence, mapper.tracker.borders)
    truth = recording.truth(TRUTH_STRIDE)
    _, nearest = cKDTree(truth.points).query(surface.points, distance_upper_bound=TRUTH_REACH_M)
    instance = np.append(truth.instance, 0)[nearest]
    counts = np.zeros((len(graph), int(instance.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (piece[piece >= 0], instance[piece >= 0]), 1)
    return MappedRoom(graph, counts, surface.points, surface.colours, piece)


def save(room: MappedRoom, file: Path) -> None:
    others = {name: value for name, value in vars(room).items() if name != "graph"}
    with open(file, "wb") as out:
        np.savez_compressed(out, **others, **vars(room.graph))


def load(file: Path) -> MappedRoom:
    with np.load(file, allow_pickle=False) as saved:
        graph = PieceGraph(**{field.name: saved[field.name] for field in fields(PieceGraph)})
        return MappedRoom(graph, *(saved[field.name] for field in fields(MappedRoom)[1:]))


def _digest() -> str:
    """Changes with the boundary network and with what is known of pieces, not with the features made of it, nor with what
    `gcseg_ros.agglomeration` has for both."""
    digest = hashlib.sha256(boundary_network.WEIGHTS.read_bytes())
    for source in (building.__file__, piece_sums.__file__):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:8]
