"""The objects of a map for a console."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from gcseg_ros.instances.instances import ObjectInstance
from gcseg_ros.viewer.colours import instance_colours

FOLDED = "seen in"


def objects_table(objects: Iterable[ObjectInstance]) -> Table:
    """One row an object, the largest first; the bar has the object's colour in picture.png. Where it is narrow, the
    frames' names are folded; what was labelled all at once has none, nor states."""
    objects = sorted(objects, key=lambda found: -found.points)
    history = any(found.first_seen for found in objects)
    table = Table("", "id", "points", "size (m)", "confidence", *([FOLDED, "state"] if history else []), box=None)
    for found in objects:
        red, green, blue = instance_colours(np.array(found.id)).tolist()
        size = " x ".join(f"{edge:.2f}" for edge in found.oriented_box[2])
        table.add_row(
            Text("██", style=f"rgb({red},{green},{blue})"),
            str(found.id),
            str(found.points),
            size,
            f"{found.confidence:.2f}",
            *([Text(f"{found.first_seen} - {found.last_seen}"), Text(found.state)] if history else []),
        )
    for column in table.columns:
        if column.header == FOLDED:
            column.overflow = "fold"
        else:
            column.no_wrap, column.min_width = True, max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    return table
