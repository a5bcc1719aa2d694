"""Many scenes at once: each one's figures, and those of all pooled, as benchmarks give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import AveragePrecision, Overlap, average_precision
from gcseg_ros.evaluation.report import load_prediction, percent, without_nan
from gcseg_ros.evaluation.truth import SCENE_CLOUD, check_stuff_labels, load_truth

SUFFIXES = (".npz", ".ply", ".txt")


@dataclass(frozen=True)
class SceneFigures:
    """Average precisions of one scene and the share of its truth that was covered, 0 to 1, NaN without true instances; how many were true
    and predicted."""

    name: str
    ap: float
    ap50: float
    ap25: float
    instances: int
    predictions: int
    coverage: float


@dataclass(frozen=True)
class Scenes:
    """The scenes one by one, and `overall`: ranked and matched as one set, which is not the scenes' mean."""

    scenes: list[SceneFigures]
    overall: AveragePrecision
    exclude_stuff: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes None."""
        return {
            "exclude_stuff": self.exclude_stuff,
            "overall": without_nan(asdict(self.overall)),
            "scenes": [without_nan(asdict(scene)) for scene in self.scenes],
        }


def evaluate_scenes(
    outputs: Path,
    truths: Path,
    names: Sequence[str] | None = None,
    exclude_stuff: bool = False,
    stuff_labels: Sequence[int] | None = None,
) -> Scenes:
    """Outputs against truths, scene by scene; memory holds one scene at a time.

    outputs  folder with SCENE/ of `gcseg map`, SCENE.ply, SCENE.npz, or SCENE.txt in ScanNet's format
    truths   folder with SCENE/gt_cloud.npz, SCENE.npz, SCENE.ply or SCENE.txt
    names    scenes; None: all truths, each of which must have an output
    Raises UserError.
    """
    if names is None:
        names = scene_names(truths)
    pairs = [(name, output_of(outputs, name), truth_of(truths, name)) for name in names]
    overlaps: list[Overlap] = []
    found = []
    labels: set[int] = set()
    for name, output, truth in pairs:
        counted = load_truth(truth, stuff_labels)
        labels |= counted.labels()
        if exclude_stuff:
            counted = counted.without_stuff()
        prediction = load_prediction(output, counted)
        overlap = prediction.overlap
        figures = average_precision([overlap])
        counts = int(overlap.counted.sum()), len(overlap.scores)
        found.append(SceneFigures(name, figures.ap, figures.ap50, figures.ap25, *counts, prediction.coverage))
        overlaps.append(overlap)
    if stuff_labels is not None:
        check_stuff_labels(stuff_labels, labels, str(truths))
    return Scenes(found, average_precision(overlaps), exclude_stuff)


def scene_names(truths: Path) -> list[str]:
    """The scenes in a folder of truths. Raises UserError."""
    if not truths.is_dir():
        raise UserError(
            f"There is no folder {truths}: expected SCENE/{SCENE_CLOUD}, SCENE.npz, SCENE.ply or SCENE.txt in it."
        )
    folders = {file.parent.name for file in truths.glob(f"*/{SCENE_CLOUD}")}
    files = {
        file.stem for file in truths.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    }
    if not folders and not files:
        raise UserError(
            f"{truths} has no truths: expected SCENE/{SCENE_CLOUD}, SCENE.npz, SCENE.ply or SCENE.txt in it."
        )
    return sorted(folders or files)


def truth_of(truths: Path, name: str) -> Path:
    """Raises UserError."""
    if (truths / name / SCENE_CLOUD).is_file():
        return truths / name
    return existing(truths, name, "truth")


def output_of(outputs: Path, name: str) -> Path:
    """Raises UserError."""
    folder = outputs / name
    if (folder / "instances.ply").is_file():
        return folder
    if (folder / f"{name}.txt").is_file():
        return folder / f"{name}.txt"
    return existing(outputs, name, "output")


def existing(folder: Path, name: str, what: str) -> Path:
    """The file of a scene. Raises UserError."""
    for suffix in SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise UserError(
        f"{folder} has no {what} of the scene {name}: expected {name}/, {name}.npz, {name}.ply or {name}.txt; all scenes count, "
        "name fewer with --scenes."
    )


def table(found: Scenes) -> Table:
    """The figures for a console, in percent."""
    columns = "scene", "AP", "AP50", "AP25", "true", "predicted", "coverage"
    shown = Table(*columns, title="stuff excluded" if found.exclude_stuff else None)
    for column in shown.columns[1:]:
        column.justify = "right"
    for scene in found.scenes:
        figures = [percent(value) for value in (scene.ap, scene.ap50, scene.ap25)]
        shown.add_row(
            escape(scene.name), *figures, str(scene.instances), str(scene.predictions), percent(scene.coverage)
        )
    shown.add_section()
    figures = [percent(value) for value in (found.overall.ap, found.overall.ap50, found.overall.ap25)]
    counts = (sum(getattr(scene, name) for scene in found.scenes) for name in ("instances", "predictions"))
    shown.add_row(f"all {len(found.scenes)}", *figures, *map(str, counts))
    return shown
