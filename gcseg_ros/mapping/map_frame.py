"""The frame of ROS that a map is in: saved with it, since a resumed map must be shown before a pose has come that names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gcseg_ros.state import Saved


@dataclass
class MapFrame:
    """id: the frame's name without a slash before it, empty while it is not known; a map of `gcseg map` alone knows none."""

    id: str = ""

    def state(self) -> dict[str, Any]:
        return {"id": self.id}

    def restore(self, saved: Saved) -> None:
        self.id = saved.text("id").lstrip("/")
