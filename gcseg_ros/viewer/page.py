"""A map as one HTML page that any browser opens, without a server and without a network.

`page.html` is the page; its cloud goes in as planes of bytes: coordinates in steps of a millimetre (more where 16 bits would not
do) and numbers of objects, both as differences along a space-filling curve, then colours; zlib, base64.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.clouds.neighbours import distinct
from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance
from gcseg_ros.viewer.colours import NONE, instance_colours
from gcseg_ros.viewer.floor_plan import FloorPlan
from gcseg_ros.viewer.picture import LEAST_SPACING_M, MOST_POINTS, best_view, drawn_spacing, evenly

MOST_OBJECTS = 65535
STEP_M = 0.001
SAMPLE = 500
"""Points that the first view is fitted to."""


def write_page(instances: InstanceMap, path: str | Path, title: str) -> None:
    """`page` as a file. Raises UserError."""
    text = page(instances, title)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")  # the title may be a folder's name of any bytes


def page(instances: InstanceMap, title: str, most_points: int = MOST_POINTS) -> str:
    """The page's HTML. Of larger clouds `most_points` are shown, evenly chosen. Raises UserError for more than 65535 objects."""
    total = len(instances.points)
    chosen = evenly(total, most_points)
    points = instances.upright_points[chosen].astype(np.float64)
    ids, number = np.unique(np.maximum(instances.instance[chosen], 0), return_inverse=True)
    if not len(ids) or ids[0] != 0:
        ids, number = np.append(0, ids), number + 1
    if len(ids) > MOST_OBJECTS:
        raise UserError(
            f"The map has {len(ids) - 1} objects; a page can show {MOST_OBJECTS - 1}: leave out the small ones."
        )
    low, size = (points.min(0), np.ptp(points, 0)) if total else (np.zeros(3), np.ones(3))
    step = np.maximum(size / 65535, STEP_M)
    place = np.round((points - low) / step).astype(np.uint16)
    order = np.lexsort((along_a_curve(place), number))
    columns = np.column_stack([place, number.reshape(-1)]).astype(np.uint16)[order]

    count = f"{total:,} points" if len(points) == total else f"{len(points):,} of {total:,} points"
    header = {
        "points": len(points),
        "told": f"{len(ids) - 1:,} objects, {count}",
        "low": low.tolist(),
        "step": step.tolist(),
        "size": size.tolist(),
        "sample": points[:: max(1, len(points) // SAMPLE)].round(2).tolist(),
        "objects": [{"colour": NONE}, *described(ids[1:], number, instances.objects)],
        **standpoint(points, ids[number]),
    }
    template = files("gcseg_ros.viewer").joinpath("page.html").read_text(encoding="utf-8")
    cloud = base64.b64encode(zlib.compress(planes(columns, instances.colours[chosen][order]))).decode()
    content = {"TITLE": html.escape(title), "HEADER": script_json(header), "CLOUD": cloud}
    return re.sub("@([A-Z]+)@", lambda found: content[found[1]], template)


def planes(columns: npt.NDArray[np.uint16], colours: npt.NDArray[np.uint8]) -> bytes:
    """(N, C) columns as differences modulo 2^16, each its low and then its high bytes; then the three of (N, 3) colours."""
    differences = np.diff(columns, axis=0, prepend=np.zeros((1, columns.shape[1]), np.uint16))
    halves = [half.astype(np.uint8) for column in differences.T for half in (column & 255, column >> 8)]
    return b"".join(plane.tobytes() for plane in (*halves, *np.ascontiguousarray(colours.T)))


def along_a_curve(place: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """Where places (N, 3) lie on Morton's curve (1966), to 12 bits an axis: near in number is near in space."""
    code = np.zeros(len(place), np.int64)
    for bit in range(12):
        for axis in range(3):
            code |= (place[:, axis].astype(np.int64) >> (bit + 4) & 1) << (3 * bit + axis)
    return code


def standpoint(points: npt.NDArray[np.float64], ids: npt.NDArray[np.integer]) -> dict[str, Any]:
    """From where to look first (radians), below which height (m; None: no cut), and how far points are apart (m)."""
    if len(points) < 10:
        return {"azimuth": 0.8, "cut": None, "spacing": 0.03}
    below = FloorPlan(points).below_ceiling
    kept = points[:, 2] < below
    return {
        "azimuth": best_view(points[kept], ids[kept]) if kept.any() else 0.8,
        "cut": below if np.isfinite(below) else None,
        "spacing": drawn_spacing(cKDTree(points[distinct(points, LEAST_SPACING_M)])),
    }


def described(
    ids: npt.NDArray[np.integer], number: npt.NDArray[np.integer], objects: list[ObjectInstance]
) -> list[dict[str, Any]]:
    """What the page says about the objects `ids` (K,); `number` (N,) counts them from 1."""
    shown = np.bincount(number.reshape(-1), minlength=len(ids) + 1)[1:]
    known = {found.id: found for found in objects}
    entries = []
    for id, colour, points in zip(ids.tolist(), instance_colours(ids).tolist(), shown.tolist()):
        entry = {
            "id": id,
            "colour": colour,
            "points": points,
            "size": "",
            "confidence": "",
            "told": f"{points:,} points",
        }
        if id in known:
            found = known[id]
            size = " x ".join(f"{edge:.2f}" for edge in found.oriented_box[2])
            confidence = f"{found.confidence:.2f}"
            told = f"{size} m, {found.points:,} points, confidence {confidence}"
            if found.first_seen:
                told += f", seen in {found.first_seen} to {found.last_seen}, {found.state}"
            entry |= {"points": found.points, "size": size, "confidence": confidence, "told": told}
        entries.append(entry)
    return entries


def script_json(data: Any) -> str:
    """JSON that cannot end the script element which it stands in."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")
