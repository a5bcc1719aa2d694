"""ScanNet++ (Yeshwanth et al., ICCV 2023)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from gcseg_ros.errors import UserError
from offline_training.datasets.annotations import SceneFiles
from offline_training.datasets.scenes import Dataset, Scene, read_list

SPLITS = {"train": "nvs_sem_train.txt", "val": "nvs_sem_val.txt", "test": "sem_test.txt"}
BENCHMARK = Path("metadata") / "semantic_benchmark"
LISTS = "they come with the download (splits/)"


class ScanNetPP(Dataset):
    """ROOT: data/ID/scans/, data/ID/iphone/, splits/ and metadata/semantic_benchmark/, as the download script leaves them.

    Classes are numbered from 1 in the order of top100.txt; names are first mapped by map_benchmark.csv. With `everything` all other
    names are one class, the number after these (101), so that every annotated object counts.
    """

    def __init__(self, root: Path, everything: bool = False) -> None:
        super().__init__(root)
        folder = root / BENCHMARK
        self.everything = everything
        names = read_list([folder / "top100.txt"], "it comes with the download (metadata/)")
        instances = set(read_list([folder / "top100_instance.txt"], "it comes with the download (metadata/)"))
        self._ids = {name: i for i, name in enumerate(names, 1)}
        self._mapped = self._read_mapping(folder / "map_benchmark.csv")
        self.stuff = tuple(i for name, i in self._ids.items() if name not in instances)

    def _read_mapping(self, file: Path) -> dict[str, str]:
        """What an annotator wrote -> the benchmark's name, where these differ; names that map to None are in no class."""
        try:
            with file.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream))
            return {row["class"]: row["semantic_map_to"] for row in rows if row["semantic_map_to"]}
        except (OSError, KeyError, TypeError, csv.Error) as error:
            raise UserError(
                f"{file} must be a table with columns class and semantic_map_to ({error}): it comes with the download (metadata/)."
            ) from None

    def class_of(self, label: str) -> int:
        return self._ids.get(self._mapped.get(label, label), len(self._ids) + 1 if self.everything else 0)

    def scenes(self) -> Iterator[Scene]:
        for split, file in SPLITS.items():
            for name in read_list([self.root / "splits" / file], LISTS):
                folder = self.root / "data" / name
                if folder.is_dir():
                    scans = folder / "scans"
                    files = SceneFiles(
                        scans / "mesh_aligned_0.05.ply", scans / "segments.json", scans / "segments_anno.json"
                    )
                    yield Scene(name, split, None if split == "test" else files, folder)
