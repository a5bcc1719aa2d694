"""A dataset as its download lies there: scenes, splits, classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcseg_ros.errors import UserError
from offline_training.datasets.annotations import SceneFiles


@dataclass(frozen=True)
class Scene:
    """name; split: train, val or test; annotation: None where it is not public (test); recording: what `gcseg map` takes."""

    name: str
    split: str
    annotation: SceneFiles | None
    recording: Path


class Dataset(ABC):
    """root: the download; stuff: the ids of classes that are stuff, as walls and floors."""

    stuff: tuple[int, ...] = ()

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UserError(f"There is no folder {root}: give the root of the official download.")
        self.root = root

    @abstractmethod
    def scenes(self) -> Iterator[Scene]:
        """The scenes that are there, by split. Raises UserError where a list is missing."""

    @abstractmethod
    def class_of(self, label: str) -> int:
        """The class id of what an annotator called an object; 0 = not counted."""


def read_list(files: Sequence[Path], source: str) -> list[str]:
    """The lines of the first of these files that is there. Raises UserError."""
    for file in files:
        if file.is_file():
            lines = file.read_text(encoding="utf-8").splitlines()
            return [line.strip() for line in lines if line.strip()]
    raise UserError(f"There is no {files[0]}: expected a list, one name a line; {source}.")
