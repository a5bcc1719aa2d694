"""Replica (Straub et al., 2019): objects are faces of the mesh for AI Habitat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gcseg_ros.errors import UserError
from gcseg_ros.files import read_json
from offline_training.datasets.annotations import SceneFiles
from offline_training.datasets.scenes import Dataset, Scene

MESH, INFO = Path("habitat") / "mesh_semantic.ply", Path("habitat") / "info_semantic.json"
STUFF = ("wall", "floor", "ceiling")


class Replica(Dataset):
    """ROOT: SCENE/habitat/, as download.sh leaves them. There are no splits: all scenes are `val`.

    Class ids and names are those that each scene's info_semantic.json lists. With `everything` all other names (`undefined`) are one
    class, the number after these.
    """

    def __init__(self, root: Path, everything: bool = False) -> None:
        super().__init__(root)
        self.everything = everything
        self._folders = sorted(folder.parent.parent for folder in root.glob(f"*/{MESH}"))
        self._ids = _classes(self._folders[0] / INFO) if self._folders else {}
        self.stuff = tuple(self._ids[name] for name in STUFF if name in self._ids)

    def class_of(self, label: str) -> int:
        return self._ids.get(label, max(self._ids.values()) + 1 if self.everything else 0)

    def scenes(self) -> Iterator[Scene]:
        for folder in self._folders:
            files = SceneFiles(folder / MESH, folder / MESH, folder / INFO)
            frames = self.root / folder.name.replace("_", "")  # as NICE-SLAM calls them: room0 for room_0
            yield Scene(folder.name, "val", files, frames if frames.is_dir() else folder)


def _classes(file: Path) -> dict[str, int]:
    """Name -> id, from 1. Raises UserError."""
    content = read_json(file)
    try:
        ids = {str(entry["name"]): int(entry["id"]) for entry in content["classes"] if int(entry["id"]) > 0}
    except (KeyError, TypeError, ValueError):
        ids = {}
    if not ids:
        raise UserError(f"{file} must hold `classes` with an `id` and a `name` each: download it again.")
    return ids
