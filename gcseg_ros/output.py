"""The folder that `gcseg map` and the node's `~/save` write: built beside its place, put there when it is complete."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import gcseg_ros
from gcseg_ros.errors import UserError
from gcseg_ros.files import read_json, write_json_atomic
from gcseg_ros.mapping.export import write_instances_json, write_instances_ply
from gcseg_ros.mapping.instances import InstanceMap

SUMMARY = "summary.json"
FILES = ("instances.ply", "instances.json", "labels", "picture.png", SUMMARY)
"""What an output holds. Anything else in the folder is the user's and survives a replacement."""

_FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)


class OutputFolder:
    """`add` the labels of every frame, then `finish` with the map. Use it in a `with`: what is not finished is removed.

    Raises UserError if `path` holds something that is not an earlier output, or cannot be written.
    """

    def __init__(self, path: str | Path, overwrite: bool = True) -> None:
        self.path = Path(path).resolve()
        check_replaceable(self.path, overwrite)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part = Path(tempfile.mkdtemp(prefix=f"{self.path.name}.part-", dir=self.path.parent))
            self._part.chmod(0o755)
        except OSError as error:
            raise UserError(f"The output {path} cannot be written: {error.strerror}; choose another folder.") from None
        self._labels = self._part / "labels"

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._part, ignore_errors=True)

    def add(self, name: str, labels: npt.NDArray[np.uint16]) -> None:
        """(H, W) uint16 tracked ids of the frame `name`."""
        self._labels.mkdir(exist_ok=True)
        _write_png(self._labels / f"{name}.png", labels)

    def finish(self, instances: InstanceMap, summary: Mapping[str, Any]) -> None:
        """Write the map, give the labels the ids of its instances (`of_tracked`) and put the folder in its place."""
        from gcseg_ros.viewer.picture import write_picture

        write_instances_ply(self._part / "instances.ply", instances)
        write_instances_json(self._part / "instances.json", instances)
        write_picture(instances, self._part / "picture.png")
        if self._labels.is_dir():
            table = np.zeros(65536, np.uint16)  # an id that the map knows nothing of becomes 0
            table[: len(instances.of_tracked)] = instances.of_tracked
            with ThreadPoolExecutor() as pool:
                for done in [pool.submit(_renumber, file, table) for file in self._labels.iterdir()]:
                    done.result()
        versions = {"python": platform.python_version(), "numpy": np.__version__, "opencv": cv2.__version__}
        write_json_atomic(self._part / SUMMARY, {"gcseg_ros": gcseg_ros.__version__, **summary, **versions})
        self._put_in_place()

    def _put_in_place(self) -> None:
        if not self.path.is_dir() or not any(self.path.iterdir()):
            self._part.replace(self.path)
            return
        check_replaceable(self.path)
        before = Path(tempfile.mkdtemp(prefix=f"{self.path.name}.old-", dir=self.path.parent))
        self.path.replace(before)
        try:
            self._part.replace(self.path)
        except BaseException:
            before.replace(self.path)
            raise
        for kept in before.iterdir():
            if kept.name not in FILES:
                kept.replace(self.path / kept.name)
        shutil.rmtree(before)


def check_replaceable(path: Path, overwrite: bool = True) -> None:
    """UserError unless `path` is free, empty, or (with `overwrite`) an earlier output of gcseg."""
    try:
        occupied = path.is_dir() and any(path.iterdir())
    except OSError as error:
        raise UserError(f"The output {path} cannot be used: {error.strerror}; choose another folder.") from None
    if path == Path.cwd() or path.is_mount():
        raise UserError(
            f"The output {path} is the current folder or a mounted disk: name a folder in it, which is then made."
        )
    if path.exists() and not path.is_dir():
        raise UserError(f"The output {path} is a file: name a folder.")
    if not occupied:
        return
    if not is_output(path):
        raise UserError(
            f"The output {path} holds files that gcseg did not write (it has no {SUMMARY} of ours): name another folder."
        )
    if not overwrite:
        raise UserError(f"The output {path} holds an earlier result: name another folder, or leave out --no-overwrite.")


def is_output(path: Path) -> bool:
    """Whether `path` is a folder that this class has written."""
    try:
        return "gcseg_ros" in read_json(path / SUMMARY)
    except (UserError, TypeError):
        return False


def _write_png(file: Path, image: npt.NDArray, parameters: Sequence[int] = _FAST) -> None:
    if not cv2.imwrite(str(file), image, parameters):
        raise UserError(f"{file} cannot be written: is the disk full?")


def _renumber(file: Path, table: npt.NDArray[np.uint16]) -> None:
    labels = np.asarray(cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    renumbered = table[labels]
    if not np.array_equal(renumbered, labels):
        _write_png(file, renumbered)
