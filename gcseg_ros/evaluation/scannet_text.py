"""ScanNet's text formats of instances, read and written: what its benchmark and its evaluator take.

A prediction of a scene is SCENE.txt, lines "mask_file label score"; a mask file holds 0 or 1 per point, one a line, in the
order of the scene's mesh. A truth is SCENE.txt with label x 1000 + number of the instance per point, 0 = none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.truth import INSTANCES_PER_LABEL, read_numbers
from gcseg_ros.files import atomic_path

MASKS = "predicted_masks"


def read_masks(text: Path, points: int) -> tuple[sparse.csr_array, list[float]]:
    """Masks (P, points) bool, which may overlap, and scores. Raises UserError."""
    try:
        lines = [line.split() for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
        if short := next((line for line in lines if len(line) < 3), None):
            raise ValueError(f"found {' '.join(short)!r}")
        entries = [(" ".join(line[:-2]), float(line[-1])) for line in lines]
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{text} is not lines of `mask_file label score`: {error}.") from None
    folder = text.parent.resolve()
    masks, scores = [], []
    for name, score in entries:
        inside = name and "\0" not in name and (folder / name).resolve().is_relative_to(folder)
        if not inside or not math.isfinite(score):
            raise UserError(
                f"{text} must name mask files in its own folder with finite scores; found {name!r} with {score}."
            )
        file = folder / name
        mask = read_numbers(file) != 0
        if len(mask) != points:
            raise UserError(f"{file} has {len(mask)} lines, but its scene {points} points: one line a point.")
        masks.append(np.flatnonzero(mask))
        scores.append(score)
    starts = np.cumsum([0, *(len(mask) for mask in masks)])
    columns = np.concatenate([np.empty(0, np.int64), *masks])
    return sparse.csr_array((np.ones(len(columns), bool), columns, starts), (len(masks), points)), scores


def write_masks(
    text: Path, labels: npt.NDArray[np.integer], confidence: Mapping[int, float], class_label: int = 1
) -> int:
    """Write a prediction: how many instances. labels (N,) in the order of the mesh's points, 0 = none. Raises UserError.

    class_label  of all instances: the formats want one, the instances here have none
    """
    ids = np.unique(labels[labels > 0]).tolist()
    lines = []
    for number, id in enumerate(ids):
        name = f"{MASKS}/{text.stem}_{number:03d}.txt"
        rows = np.full((len(labels), 2), ord("\n"), np.uint8)
        rows[:, 0] = np.where(labels == id, ord("1"), ord("0"))
        with atomic_path(text.parent / name) as temporary:
            temporary.write_bytes(rows.tobytes())
        lines.append(f"{name} {class_label} {confidence[id]:.6f}\n")
    with atomic_path(text) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return len(ids)


def write_ids(text: Path, instance: npt.NDArray[np.integer], class_label: int = 1) -> None:
    """Write a truth. instance (N,) ids that already are label x 1000 + number, else numbered anew with this label. Raises UserError."""
    ids = np.unique(instance[instance > 0])
    if len(ids) and ids[0] < INSTANCES_PER_LABEL:
        if len(ids) >= INSTANCES_PER_LABEL:
            raise UserError(
                f"{text} cannot hold {len(ids)} instances of one label: at most {INSTANCES_PER_LABEL - 1} have a number."
            )
        numbers = class_label * INSTANCES_PER_LABEL + 1 + np.searchsorted(ids, instance)
        instance = np.where(instance > 0, numbers, 0)
    with atomic_path(text) as temporary:
        np.savetxt(temporary, instance, "%d")
