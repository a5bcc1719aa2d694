"""A mesh whose faces say which object they are of, as Replica's: the object of each vertex."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.clouds.ply import read_header, skip_element
from gcseg_ros.errors import UserError


def objects_of_vertices(file: Path) -> npt.NDArray[np.int64]:
    """(N,) of each vertex the object_id that most of its faces have, the smaller one of two; -1 where it has no face.

    file  a binary PLY whose faces, polygons of any kind, have an `object_id`. Raises UserError.
    """
    broken = UserError(f"{file} is truncated, or its faces name vertices that it does not have: download it again.")
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            header = read_header(stream, file)
            elements = {element.name: element for element in header.elements}
            if list(elements)[:2] != ["vertex", "face"] or not header.order:
                raise UserError(f"{file} must be a binary mesh of vertices and faces: download it again.")
            skip_element(stream, elements["vertex"], header.order, size, file)
            data = stream.read()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.") from None
    face, vertices = elements["face"], elements["vertex"].count
    (_, kind, length), *others = face.properties or [("", "", None)]
    if length != "u1" or "object_id" not in [name for name, _, _ in others] or any(many for _, _, many in others):
        raise UserError(f"{file} must have faces with an `object_id`: it is habitat/mesh_semantic.ply of the download.")
    index = np.dtype(header.order + kind)
    rest = np.dtype([(name, header.order + other) for name, other, _ in others])
    sides, corners, tails, at = bytearray(), bytearray(), bytearray(), 0
    for _ in range(face.count):
        if at >= len(data):
            raise broken
        end = at + 1 + data[at] * index.itemsize
        sides.append(data[at])
        corners += data[at + 1 : end]
        tails += data[end : end + rest.itemsize]
        at = end + rest.itemsize
    if at > len(data):
        raise broken
    vertex = np.frombuffer(corners, index).astype(np.int64)
    if vertex.size and not 0 <= vertex.min() <= vertex.max() < vertices:
        raise broken
    ids, row = np.unique(np.frombuffer(tails, rest)["object_id"].astype(np.int64), return_inverse=True)
    pairs, faces = np.unique(vertex * len(ids) + np.repeat(row, np.frombuffer(sides, np.uint8)), return_counts=True)
    vertex, row = np.divmod(pairs, max(1, len(ids)))
    order = np.lexsort((-row, faces, vertex))  # of each vertex the last counts
    objects = np.full(vertices, -1, np.int64)
    objects[vertex[order]] = ids[row[order]]
    return objects
