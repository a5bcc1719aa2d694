"""Clouds in PLY files: any is read, ASCII or binary, and binary ones are written."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path
from gcseg_ros.frames import check_near

Cloud = dict[str, npt.NDArray[Any]]

# The PLY format's scalar types (Turk, "The PLY Polygon File Format", 1994, and the sized names in use since).
TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"},
    **{"double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8"},
}
FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
HEADER_LIMIT = 64 * 1024
BLACK = 2.0  # of 255: a cloud whose colours are all below is one of colours from 0 to 1

# What a cloud may hold: key -> names of its properties (several spellings), dtype in memory, and in files.
COLUMNS: dict[str, tuple[list[tuple[str, ...]], type, str]] = {
    "points": ([("x", "y", "z")], np.float32, "float"),
    "normals": ([("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z")], np.float32, "float"),
    "colours": ([("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue")], np.uint8, "uchar"),
    "instance": ([("instance",), ("instance_id",)], np.int32, "int"),
    "confidence": ([("confidence",)], np.float32, "float"),
    "stuff": ([("stuff",)], np.bool_, "uchar"),
}  # fmt: skip


def write_cloud(path: str | Path, cloud: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a cloud as `read_cloud` gives it (any subset that has `points`) as binary little-endian PLY."""
    columns = [(name, COLUMNS[name][0][0], COLUMNS[name][2]) for name in COLUMNS if name in cloud]
    rows = np.empty(len(cloud["points"]), [(p, "<" + TYPES[kind]) for _, names, kind in columns for p in names])
    for name, properties, _ in columns:
        values = np.asarray(cloud[name]).reshape(len(rows), len(properties))
        for i, column in enumerate(properties):
            rows[column] = values[:, i]
    declared = "".join(f"property {kind} {p}\n" for _, names, kind in columns for p in names)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(rows)}\n{declared}end_header\n"
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header.encode())
        file.write(rows.tobytes())  # numpy's tofile says neither why it failed nor, of the last block, that it did


def read_cloud(path: str | Path, finite_only: bool = True) -> Cloud:
    """The vertices of a PLY file, ASCII or binary of either byte order, as arrays.

    `points` (N,3) float32 always; where the file has them `normals` (N,3) float32, `colours` (N,3) uint8, `instance`
    (N,) int32, `confidence` (N,) float32, `stuff` (N,) bool. Other properties and elements are passed over. Points that
    are not finite (pixels without depth in organised clouds) are left out where `finite_only`. Raises UserError on
    anything that is not such a file; memory is bounded by the file's size, whatever its header says.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = read_header(file, path)
            rows = read_vertices(file, header, size, path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    cloud = {}
    for name, (spellings, dtype, _) in COLUMNS.items():
        present = next((names for names in spellings if all(p in rows for p in names)), None)
        if present:
            columns = np.stack([rows[p] for p in present], 1)
            cloud[name] = converted(columns if len(present) > 1 else columns[:, 0], dtype, name, path)
    if "points" not in cloud:
        raise UserError(
            f"{path} has no x, y and z per vertex (it has {', '.join(rows) or 'nothing'}): expected a cloud."
        )
    finite = np.isfinite(cloud["points"]).all(1)
    check_near(cloud["points"][finite], f"{path}: its points are")
    if finite_only and not finite.all():
        cloud = {name: values[finite] for name, values in cloud.items()}
    return cloud


def converted(values: npt.NDArray[Any], dtype: type, name: str, path: Path) -> npt.NDArray[Any]:
    """`values` of any numeric type as `dtype`; colours of 16 bits are scaled to 255, and so are those from 0 to 1, cut
    at both ends."""
    if dtype in (np.int32, np.uint8):
        values = np.nan_to_num(values)
        if dtype is np.uint8 and values.dtype.kind == "f" and np.abs(values).max(initial=0) < BLACK:
            values = np.clip(values, 0, 1) * 255
        elif dtype is np.uint8 and values.dtype.str.endswith("u2") and values.max(initial=0) > 255:
            values = values / 257
        limit = np.iinfo(dtype)
        if len(values) and (values.min() < limit.min or values.max() > limit.max):
            raise UserError(
                f"{path}: {name} must lie from {limit.min} to {limit.max}; found {values.min():g} to {values.max():g}."
            )
        values = np.rint(values)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values.astype(dtype))


@dataclass
class Element:
    """An element of a PLY header. properties: (name, type, type of the list's count or None for a scalar)."""

    name: str
    count: int
    properties: list[tuple[str, str, str | None]] = field(default_factory=list)

    @property
    def has_lists(self) -> bool:
        return any(length for _, _, length in self.properties)

    def dtype(self, order: str) -> np.dtype:
        return np.dtype([(name, order + kind) for name, kind, _ in self.properties])


@dataclass
class Header:
    order: str  # "" for ASCII, else numpy's sign of the byte order
    elements: list[Element]


def read_header(file: BinaryIO, path: Path) -> Header:
    """Parse up to and including `end_header`; the file then stands at the first byte of data."""
    if file.readline(16).strip() != b"ply":
        raise UserError(f"{path} is not a PLY file: its first line must be `ply`.")
    order, elements = None, []
    while True:
        raw = file.readline(HEADER_LIMIT)
        if not raw.endswith(b"\n") or file.tell() > HEADER_LIMIT:
            raise UserError(f"{path} is not a complete PLY file: the header has no `end_header`.")
        line = raw.decode("latin-1").strip()
        match line.split():
            case ["end_header"]:
                break
            case [] | ["comment" | "obj_info", *_]:
                continue
            case ["format", kind, "1.0"] if kind in FORMATS:
                order = FORMATS[kind]
            case ["element", name, count] if count.isdecimal() and len(count) < 19:
                elements.append(Element(name, int(count)))
            case ["property", "list", length, kind, name] if (
                elements and kind in TYPES and TYPES.get(length, "f")[0] != "f"
            ):
                elements[-1].properties.append((name, TYPES[kind], TYPES[length]))
            case ["property", kind, name] if elements and kind in TYPES:
                elements[-1].properties.append((name, TYPES[kind], None))
            case _:
                raise UserError(f"{path}: the PLY header has a line that is not understood: {line[:80]!r}.")
    if order is None:
        raise UserError(f"{path}: the PLY header has no `format` line.")
    for element in elements:
        names = [name for name, _, _ in element.properties]
        if len(set(names)) < len(names):
            raise UserError(f"{path}: the PLY header names a property of {element.name} twice.")
    return Header(order, elements)


def read_vertices(file: BinaryIO, header: Header, size: int, path: Path) -> Cloud:
    """The vertex element, property name -> (N,) values of the file's type (float64 if ASCII)."""
    for element in header.elements:
        if element.name == "vertex":
            break
        skip_element(file, element, header.order, size, path)
    else:
        raise UserError(f"{path} has no vertex element: expected a cloud.")
    if element.has_lists:
        raise UserError(f"{path} has lists as properties of its vertices: expected plain numbers.")
    names = [name for name, _, _ in element.properties]
    left = size - file.tell()
    dtype = element.dtype(header.order)
    needed = element.count * (dtype.itemsize if header.order else 2 * len(names)) - (not header.order)
    if needed > left:
        raise UserError(
            f"{path} is truncated: its header promises {element.count} points, but only {left} bytes follow."
        )
    if not names:
        return {}
    if header.order:
        rows = np.fromfile(file, dtype, element.count)
        return {name: rows[name] for name in names}
    return read_ascii_rows(file, element, names, path)


def read_ascii_rows(file: BinaryIO, element: Element, names: list[str], path: Path) -> Cloud:
    """The next `element.count` lines that are not blank, as numbers."""
    if element.count == 0:
        return {name: np.empty(0) for name in names}
    lines = (line.decode("latin-1") for line in islice(filter(bytes.strip, file), element.count))
    try:
        table = np.loadtxt(lines, np.float64, comments=None, ndmin=2)
    except ValueError as error:
        raise UserError(
            f"{path}: a line of the vertices is not {len(names)} numbers: {str(error).split(';')[0].rstrip('.')}."
        ) from None
    if table.shape != (element.count, len(names)):
        raise UserError(
            f"{path} is truncated: its header promises {element.count} points with {len(names)} numbers each; found {table.shape[0]} "
            f"with {table.shape[1]}."
        )
    kinds = [kind for _, kind, _ in element.properties]
    return {name: as_declared(column, np.dtype(kind)) for name, kind, column in zip(names, kinds, table.T)}


def as_declared(column: npt.NDArray[np.float64], dtype: np.dtype) -> npt.NDArray[Any]:
    """Numbers of a text as the header's integers, where they are such."""
    if dtype.kind not in "iu" or not np.isfinite(column).all():
        return column
    limit = np.iinfo(dtype)
    fits = (column == np.rint(column)) & (column >= limit.min) & (column <= limit.max)
    return column.astype(dtype) if fits.all() else column


def skip_element(file: BinaryIO, element: Element, order: str, size: int, path: Path) -> None:
    """Move past an element that stands before the vertices."""
    truncated = UserError(f"{path} is truncated: it ends within the element {element.name}.")
    if not element.properties:
        return
    if not order:
        if sum(1 for _ in islice(file, element.count)) < element.count:
            raise truncated
        return
    if not element.has_lists:
        end = file.tell() + element.count * element.dtype(order).itemsize
        if end > size:
            raise truncated
        file.seek(end)
        return
    for _ in range(element.count):
        for _, kind, length in element.properties:
            items = 1
            if length:
                code = np.dtype(length)
                raw = file.read(code.itemsize)
                if len(raw) < code.itemsize:
                    raise truncated
                items = struct.unpack(order + code.char, raw)[0]
            end = file.tell() + items * np.dtype(kind).itemsize
            if items < 0 or end > size:
                raise truncated
            file.seek(end)
