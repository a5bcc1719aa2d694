"""Instances with classes by ScanNet200's protocol (Rozenberszki, Litany, Dai, ECCV 2022): AP of head, common and tail classes.

A class-agnostic instance gets its class by retrieval, as in OpenMask3D's evaluation (Takmaz et al., NeurIPS 2023) and the paper's
Tab. 5: the class whose name, as "a NAME in a scene", is most like it. All scores are 1. Walls and floors are queries too, but
are not counted: 198 classes are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from rich.table import Table
from scipy import sparse

from gcseg_ros.evaluation.average_precision import MIN_POINTS, Overlap, average_precision
from gcseg_ros.evaluation.report import percent, without_nan

GROUPS = ("head", "common", "tail")
NOT_COUNTED = (1, 3)
"""Wall and floor."""
PROMPT = "a {} in a scene"


@dataclass(frozen=True)
class ObjectClass:
    """id: in label images and truth files; group: head, common or tail, by how often it is in the training set."""

    id: int
    name: str
    group: str


@cache
def classes() -> tuple[ObjectClass, ...]:
    """All 200, by id."""
    table = yaml.safe_load((Path(__file__).parent / "scannet200.yaml").read_text(encoding="utf-8"))
    return tuple(ObjectClass(id, name, group) for id, (name, group) in sorted(table.items()))


def prompts() -> list[str]:
    """What is asked for each of `classes()`."""
    return [PROMPT.format(known.name) for known in classes()]


def assigned(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Scores (200, I) of the `prompts` -> the class id (I,) of each instance; 0 for those that were in no view (NaN)."""
    ids = np.array([known.id for known in classes()], np.int64)
    best = ids[np.nan_to_num(scores, nan=-np.inf).argmax(axis=0)]
    return np.where(np.isfinite(scores).all(axis=0), best, 0)


@dataclass(frozen=True)
class Figures:
    """Mean over the classes that the truth has, 0 to 1; NaN where it has none. AP is the mean over IoU 0.50:0.05:0.90."""

    ap: float
    ap50: float
    ap25: float


@dataclass(frozen=True)
class ClassReport:
    """all; head, common, tail: `groups`; by_class: name -> figures of each class that the truth has."""

    scenes: int
    all: Figures
    groups: dict[str, Figures]
    by_class: dict[str, Figures]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes None."""
        return without_nan(asdict(self))


def overlaps_by_class(
    truth: npt.NDArray[np.integer],
    masks: npt.NDArray[np.bool_] | sparse.sparray,
    labels: npt.NDArray[np.integer],
    scores: npt.NDArray[np.floating] | None = None,
) -> dict[int, Overlap]:
    """One scene: class id -> how the predictions of this class lie on its true instances; only classes with one or the other.

    truth   (N,) ScanNet's ids, class id x 1000 + instance; other classes than the 198 are void
    masks   (P, N) bool, may overlap; labels (P,) class ids, others than the 198 are left out; scores (P,), default 1
    """
    valid = np.array([known.id for known in classes() if known.id not in NOT_COUNTED])
    masks = sparse.csr_array(masks, dtype=bool)
    kept = np.isin(labels, valid) & (np.diff(masks.indptr) >= MIN_POINTS)
    labels = labels[kept]
    scores = np.ones(len(labels)) if scores is None else scores[kept]
    truth = np.where(np.isin(truth // 1000, valid), truth, 0)
    scene = Overlap.of_masks(truth, masks[kept], scores)
    class_of = scene.true_ids // 1000
    found = {}
    for id in np.union1d(class_of, labels).tolist():
        rows, columns = labels == id, class_of == id
        found[id] = Overlap(
            scene.shared[rows][:, columns],
            scene.void[rows],
            scene.scores[rows],
            scene.true_sizes[columns],
            scene.true_ids[columns],
            scene.shared[rows][:, ~columns].sum(1),
        )
    return found


def class_report(scenes: Sequence[Mapping[int, Overlap]]) -> ClassReport:
    """Average precision of each class over all scenes (`overlaps_by_class`), and their means."""
    by_class = {}
    for known in classes():
        result = average_precision([scene[known.id] for scene in scenes if known.id in scene])
        if np.isfinite(result.ap):
            by_class[known.name] = Figures(result.ap, result.ap50, result.ap25)
    groups = {
        group: mean_figures([by_class[k.name] for k in classes() if k.group == group and k.name in by_class])
        for group in GROUPS
    }
    return ClassReport(len(scenes), mean_figures(list(by_class.values())), groups, by_class)


def mean_figures(figures: Sequence[Figures]) -> Figures:
    """NaN of nothing."""
    if not figures:
        return Figures(float("nan"), float("nan"), float("nan"))
    return Figures(*np.mean([(one.ap, one.ap50, one.ap25) for one in figures], axis=0).tolist())


def class_table(report: ClassReport, per_class: bool = False) -> Table:
    """The figures for a console, in percent, in the columns of the paper's Tab. 5."""
    table = Table("", "AP", "AP50", "AP25", "classes", title=f"ScanNet200, {report.scenes} scenes")
    for column in table.columns[1:]:
        column.justify = "right"
    count = {g: sum(k.group == g and k.name in report.by_class for k in classes()) for g in GROUPS}
    for name, figures, number in (
        ("all", report.all, len(report.by_class)),
        *((group, report.groups[group], count[group]) for group in GROUPS),
    ):
        table.add_row(name, percent(figures.ap), percent(figures.ap50), percent(figures.ap25), str(number))
    if per_class:
        table.add_section()
        for name, figures in report.by_class.items():
            table.add_row(name, percent(figures.ap), percent(figures.ap50), percent(figures.ap25), "")
    return table
