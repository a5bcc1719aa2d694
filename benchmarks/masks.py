"""Mask generators side by side, alone and through the whole pipeline: `python benchmarks/masks.py RECORDING... [--json FILE]`.

RECORDING is a folder with its truth (gt_cloud.npz, instance/, pose/ and pose_noisy/ for drifting poses) or
synthetic:SEED:STYLE:FRAMES; `--held-out N` adds N generated rooms of the styles that nothing was trained on or tuned with.

Alone, at every other keyframe: mean over the true objects in view (100 pixels at least at working resolution) of the best IoU of a mask, the masks
that are tracked and the masks of any level; F-score of the borders of the tracked masks, within 2 pixels (Martin et al.
2004). Through the pipeline: AP / AP50 / AP25 of all instances in percent (ScanNet's protocol, class-agnostic), with exact
and with drifting poses. "true" are the true masks themselves; SAM takes part with `--generators ... sam`, where its weights are.
`--picture FILE` draws masks for a few frames of every recording, also of recordings without truth.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from accuracy import add_room_arguments, rooms, scores
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import load_config
from gcseg_ros.consoles import console, print_table
from gcseg_ros.evaluation.truth import carry, load_truth
from gcseg_ros.files import write_json_atomic
from gcseg_ros.mapper import Mapper
from gcseg_ros.masks import MaskGenerator, Proposals, overlaps
from gcseg_ros.masks.masks import Labels
from gcseg_ros.recordings import open_recording, prefetch
from gcseg_ros.viewer.overlay import overlay
from gcseg_ros.views import View, image_of_view

LEAST_PX = 100
TOLERANCE_PX = 2
PICTURED = (0.2, 0.5, 0.8)  # of a recording's length


class TrueMasks:
    """The truth as a mask generator: `instance/NAME.png` at working resolution, 0 where there is no depth."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def labels(self, view: View) -> Labels:
        image = cv2.imread(str(self.folder / "instance" / f"{view.name}.png"), cv2.IMREAD_UNCHANGED)
        return image_of_view(image, view).astype(np.int32)

    def __call__(self, view: View) -> Proposals:
        labels = np.where(view.depth_m > 0, self.labels(view), 0)
        return Proposals(labels, (labels,))


class Watched:
    """A generator that compares what it proposes with the truth, at every other keyframe, and draws it at some."""

    def __init__(self, generate: MaskGenerator, folder: Path, pictured: set[int]) -> None:
        self.generate, self.truth, self.pictured = generate, TrueMasks(folder), pictured
        self.colours: list[np.ndarray] = []
        self.pictures: list[np.ndarray] = []
        self.known = (folder / "instance").is_dir()
        self.tracked: list[float] = []
        self.any_level: list[float] = []
        self.borders = np.zeros(4)
        self.keyframes = 0

    def __call__(self, view: View) -> Proposals:
        proposals = self.generate(view)
        if self.known and self.keyframes % 2 == 0:
            truth = np.where(view.depth_m > 0, self.truth.labels(view), 0)
            tracked = best_ious(proposals.detections, truth)
            self.tracked += tracked.tolist()
            levels = [best_ious(level, truth) for level in proposals.levels]
            self.any_level += np.max([tracked, *levels], axis=0).tolist()
            self.borders += border_counts(proposals.detections, truth)
        if self.keyframes in self.pictured:
            self.colours.append(view.colour)
            self.pictures.append(overlay(view.colour, proposals.detections))
        self.keyframes += 1
        return proposals

    def figures(self) -> dict[str, float]:
        found, right, true, recalled = np.maximum(self.borders, 1e-9)
        precision, recall = right / found, recalled / true
        return {
            "iou": round(100 * float(np.mean(self.tracked)), 1),
            "iou_any_level": round(100 * float(np.mean(self.any_level)), 1),
            "border_f": round(100 * float(2 * precision * recall / max(precision + recall, 1e-9)), 1),
        }


def best_ious(masks: Labels, truth: Labels) -> np.ndarray:
    """For every true object of LEAST_PX or more, by id: the best IoU of a mask."""
    ids, truth_ids, common = overlaps(masks, truth)
    iou = common / np.maximum(common.sum(1, keepdims=True) + common.sum(0) - common, 1)
    iou[ids == 0] = 0
    return iou.max(0)[(truth_ids > 0) & (common.sum(0) >= LEAST_PX)]


def border_counts(masks: Labels, truth: Labels) -> np.ndarray:
    """Border pixels found, those near true ones, true ones, those near found ones."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * TOLERANCE_PX + 1,) * 2)
    found, true = borders(masks), borders(truth)
    near_found, near_true = cv2.dilate(found, disc), cv2.dilate(true, disc)
    return np.array([found.sum(), (found & near_true).sum(), true.sum(), (true & near_found).sum()], float)


def borders(labels: Labels) -> np.ndarray:
    """Pixels with another label, not 0, to their right or below: uint8."""
    out = np.zeros(labels.shape, np.uint8)
    out[:, :-1] |= (labels[:, :-1] != labels[:, 1:]) & (labels[:, :-1] > 0) & (labels[:, 1:] > 0)
    out[:-1] |= (labels[:-1] != labels[1:]) & (labels[:-1] > 0) & (labels[1:] > 0)
    return out


def settings_of(generator: str) -> list[str]:
    if generator == "true":
        return ["masks.generator=geometric", "finishing.structure=none"]
    return [f"masks.generator={generator}"]


def run(folder: Path, generator: str, poses: str | None, more: list[str]) -> tuple[Watched, dict[str, Any]]:
    """Map a recording with this generator; figures of the masks and of the map, as far as there is truth."""
    recording = open_recording(folder, **({"poses": poses} if poses else {}))
    mapper = Mapper(load_config(None, [*settings_of(generator), *more]))
    keyframes = len(recording) / mapper.config.tracking.keyframe_stride
    if generator == "true":
        mapper.tracker.generate = TrueMasks(folder)
    watched = Watched(mapper.tracker.generate, folder, {int(share * keyframes) for share in PICTURED})
    mapper.tracker.generate = watched
    for frame in prefetch(iter(recording)):
        mapper.step(frame)
    if not watched.known:
        return watched, {}
    result, truth = mapper.instances(), load_truth(folder)
    instance, _ = carry(result.points, result.instance, truth.points)
    return watched, {**watched.figures(), "ap": scores(truth, instance, {o.id: o.confidence for o in result.objects})}


def titled(image: np.ndarray, title: str) -> np.ndarray:
    image = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, title, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_room_arguments(parser)
    parser.add_argument("--generators", nargs="*", default=["geometric", "learned", "true"])
    parser.add_argument("--poses", nargs="*", default=["exact", "drifting"], choices=["exact", "drifting"])
    parser.add_argument("--picture", type=Path, help="PNG with masks of a few frames")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    grid: list[np.ndarray] = []
    for name, folder in rooms(options):
        truth = (folder / "instance").is_dir()
        columns: list[list[np.ndarray]] = []
        for generator in options.generators:
            if generator == "true" and not truth:
                continue
            row: dict[str, Any] = {"recording": name, "generator": generator}
            for poses in options.poses if truth else ["exact"]:
                watched, figures = run(folder, generator, "pose_noisy" if poses == "drifting" else None, options.set)
                row[f"ap_{poses}"] = figures.pop("ap", None)
                row |= figures if poses == options.poses[0] else {}
            columns = columns or [[titled(image, folder.name) for image in watched.colours]]
            columns.append([titled(image, generator) for image in watched.pictures])
            if truth:
                rows.append(row)
                console.print(row)
        grid += [np.concatenate(images, axis=1) for images in zip(*columns)]
    rows += [mean_row(rows, generator) for generator in options.generators if rows]
    print_table(table(rows, options.poses))
    if options.picture:
        width = max(image.shape[1] for image in grid)
        grid = [np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0))) for image in grid]
        cv2.imwrite(str(options.picture), np.concatenate(grid)[..., ::-1])
    if options.json:
        write_json_atomic(
            options.json, {"arguments": vars(options) | {"json": None, "keep": None, "picture": None}, "rows": rows}
        )


def mean_row(rows: list[dict[str, Any]], generator: str) -> dict[str, Any]:
    chosen = [row for row in rows if row["generator"] == generator]
    keys = [key for key, value in chosen[0].items() if not isinstance(value, str)]
    means = {key: np.mean([row[key] for row in chosen], axis=0).round(1).tolist() for key in keys}
    return {"recording": "mean", "generator": generator, **means}


def table(rows: list[dict[str, Any]], poses: list[str]) -> Table:
    shown = Table(
        "recording", "generator", "best IoU", "any level", "border F", *(f"AP / AP50 / AP25, {p} poses" for p in poses)
    )
    for row in rows:
        aps = [" / ".join(f"{x:.1f}" for x in row[f"ap_{p}"]) for p in poses]
        alone = [f"{row[key]:.1f}" if key in row else "" for key in ("iou", "iou_any_level", "border_f")]
        shown.add_row(row["recording"], row["generator"], *alone, *aps)
    return shown


if __name__ == "__main__":
    sys.exit(plainly(main))
