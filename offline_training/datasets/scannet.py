"""ScanNet (Dai et al., CVPR 2017) and ScanNet200 (Rozenberszki et al., ECCV 2022): one download, two lists of classes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.scannet200 import classes as scannet200_classes
from gcseg_ros.evaluation.truth import STUFF_LABELS
from offline_training.datasets.annotations import SceneFiles
from offline_training.datasets.scenes import Dataset, Scene, read_list

BENCHMARK = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
"""The NYU40 ids that ScanNet's benchmark counts; wall and floor are 1 and 2."""
LABELS = "scannetv2-labels.combined.tsv"
LISTS = "https://github.com/ScanNet/ScanNet/tree/master/Tasks/Benchmark"
OTHER = {"nyu40id": 40, "id": 1163}
"""What is called neither: NYU40's `otherprop`, ScanNet200's `object`."""


class ScanNet(Dataset):
    """ROOT: scans/SCENE/, scans_test/SCENE/, the table of labels, and the lists scannetv2_train.txt, _val and _test."""

    column, counted, stuff = "nyu40id", frozenset(BENCHMARK), STUFF_LABELS["nyu40"]

    def __init__(self, root: Path, everything: bool = False) -> None:
        super().__init__(root)
        self.everything = everything
        self._class_of = self._read_labels()

    def _read_labels(self) -> dict[str, int]:
        file = self.root / LABELS
        if not file.is_file():
            raise UserError(
                f"There is no {file}: download-scannet.py writes it with --label_map; put it into {self.root}."
            )
        try:
            with file.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream, delimiter="\t"))
            return {row["raw_category"]: int(row[self.column] or 0) for row in rows}
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{file} must be a table with columns raw_category and {self.column} ({error}): download it again."
            ) from None

    def class_of(self, label: str) -> int:
        id = self._class_of.get(label, 0)
        if self.everything:
            return id or OTHER[self.column]
        return id if id in self.counted else 0

    def scenes(self) -> Iterator[Scene]:
        for split in ("train", "val", "test"):
            names = read_list(
                [self.root / f"scannetv2_{split}.txt", self.root / "splits" / f"scannetv2_{split}.txt"], LISTS
            )
            for name in names:
                folder = self.root / ("scans_test" if split == "test" else "scans") / name
                if folder.is_dir():
                    mesh = folder / f"{name}_vh_clean_2.ply"
                    segments = folder / f"{name}_vh_clean_2.0.010000.segs.json"
                    files = SceneFiles(mesh, segments, folder / f"{name}.aggregation.json")
                    yield Scene(name, split, None if split == "test" else files, folder / f"{name}.sens")


class ScanNet200(ScanNet):
    column = "id"
    counted, stuff = frozenset(known.id for known in scannet200_classes()), STUFF_LABELS["scannet200"]
