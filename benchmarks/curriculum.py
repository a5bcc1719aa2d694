"""The paper's ablations on synthetic rooms: `python benchmarks/curriculum.py -o OUT [--rooms 8] [--held-out 4] [--steps 600]`.

Tab. 4: every combination of stages. What is trained alone begins with random weights; "3" learns from what "1+2" predicts, "1+3"
from what "1" predicts. Tab. 3: stage 2 from keyframes only, and from more and more of the tracked frames between them.
The score is AP / AP50 / AP25 on the exact clouds of rooms whose styles are never trained on. OUT keeps everything: an
interrupted run goes on. Writes OUT/curriculum.json and OUT/curriculum.png.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.table import Table

from gcseg_ros.commands.endings import plainly
from gcseg_ros.config import load_config
from gcseg_ros.consoles import console, print_table
from gcseg_ros.files import write_json_atomic
from gcseg_ros.recordings.synthetic import HELD_OUT_STYLES, TRAINING_STYLES, SyntheticRecording
from gcseg_ros.segmentation import checkpoint
from offline_training.labelling.engines import label_here
from offline_training.labelling.samples import SampleFolder, begin, write_index
from offline_training.labelling.scene import Labelling
from offline_training.labelling.versions import versions
from offline_training.segmenter.pseudo_labels import predict_labels
from offline_training.segmenter.settings import Training, load_settings
from offline_training.segmenter.training import STATE, train
from offline_training.segmenter.validation import Cloud, average_precision_of, validation_clouds

CURRICULA = ("1", "2", "3", "1+2", "1+3", "1+2+3")
KEYFRAME_STRIDE = 8
USED_FRAMES = (8, 4, 2, 1)
"""Every n-th frame is used; the keyframes are always the same."""
FIRST_SEED, FIRST_HELD_OUT_SEED = 6000, 6500


class Ablation:
    """Labels, networks and scores in one folder; what is there already is not made again."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.rooms = [
            f"synthetic:{FIRST_SEED + i}:{TRAINING_STYLES[i % len(TRAINING_STYLES)]}:{options.frames}"
            for i in range(options.rooms)
        ]
        self.held_out = [self.truth(i) for i in range(options.held_out)]

    def truth(self, number: int) -> Path:
        """The exact cloud of a held-out room."""
        file = self.folder / "held_out" / f"{number}_{self.options.frames}.npz"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            style = HELD_OUT_STYLES[number % len(HELD_OUT_STYLES)]
            spec = f"synthetic:{FIRST_HELD_OUT_SEED + number}:{style}:{self.options.frames}"
            SyntheticRecording(Path(spec)).truth().save(file)
        return file

    def labels(self, stage: int, every: int = 1, stride: int | None = None) -> SampleFolder:
        folder = self.folder / f"labels{stage}_{every}{'' if stride is None else f'_{stride}'}"
        mapping = load_config(None, [] if stride is None else [f"tracking.keyframe_stride={stride}"])
        labelling = Labelling(stage=stage, every=every, complete=stage == 2, mapping=mapping)
        entries = begin(folder, {**labelling.model_dump(mode="json"), "versions": versions(labelling)})
        known = {entry.scene for entry in entries}
        missing = [room for room in self.rooms if room not in known]
        for room, result in label_here(missing, folder, labelling, lambda scene, done, of: None):
            if isinstance(result, str):
                raise SystemExit(f"{room}: {result}")
            entries += result.entries
            write_index(folder, entries)
        return SampleFolder(folder)

    def settings(self, stage: int) -> Training:
        return load_settings("small", stage, [f"steps={self.options.steps}", *self.options.set])

    def network(self, name: str, stage: int, labels: Sequence[SampleFolder], start: Path | None) -> Path:
        output = self.folder / "networks" / name
        chosen = self.settings(stage)
        entries = [
            (folder, entry) for folder in labels for entry in folder.choose(chosen.kinds) if entry.scene in self.rooms
        ]
        resume = (output / STATE).is_file()  # where all steps are done, nothing more is
        return train(chosen, entries, output, start, resume, accelerator=self.options.accelerator)

    def curriculum(self, stages: str) -> Path:
        """The network after these stages, for example "1+2"."""
        before, _, last = stages.rpartition("+")
        start = self.curriculum(before) if before else None
        if last == "3":
            teacher = start or self.curriculum("1+2")
            predicted = self.folder / "networks" / stages / "labels"
            labels = [predict_labels(teacher, [self.labels(2)], predicted, self.settings(3))]
        else:
            labels = [self.labels(int(last))]
        return self.network(stages, int(last), labels, start)

    def frames(self, every: int) -> Path:
        labels = self.labels(2, every, KEYFRAME_STRIDE // every)
        return self.network(f"every{every}", 2, [labels], None)

    def score(self, file: Path, clouds: Sequence[Cloud]) -> list[float]:
        found = average_precision_of(checkpoint.load(file).network, clouds, self.settings(2))
        return [round(100 * value, 1) for value in found.values()]


def draw(path: Path, rows: Sequence[dict[str, Any]], width: int = 900) -> None:
    """Bars of the three figures of each row."""
    height, left = 60 + 46 * len(rows), 250
    picture = np.full((height, width, 3), 255, np.uint8)
    most = max([1.0, *(max(row["scores"]) for row in rows)])
    for i, row in enumerate(rows):
        y = 40 + 46 * i
        cv2.putText(picture, row["name"], (10, y + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        for k, (value, colour) in enumerate(
            zip(row["scores"], ((150, 90, 30), (60, 140, 60), (60, 110, 220)), strict=True)
        ):
            end = left + round((width - left - 70) * value / most)
            cv2.rectangle(picture, (left, y + 12 * k), (end, y + 12 * k + 9), colour, -1)
            cv2.putText(
                picture,
                f"{value:.1f}",
                (end + 6, y + 12 * k + 9),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.35,
                colour,
                1,
                cv2.LINE_AA,
            )
    title = "AP (blue), AP50 (green), AP25 (orange) in percent, held-out rooms"
    cv2.putText(picture, title, (10, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.imwrite(str(path), picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rooms", type=int, default=8)
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--frames", type=int, default=80, help="of each room")
    parser.add_argument("--steps", type=int, default=600, help="of each stage")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="other settings of the training"
    )
    parser.add_argument("--only", nargs="*", choices=("stages", "frames"), default=("stages", "frames"))
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    ablation = Ablation(options.output, options)
    clouds = validation_clouds(ablation.held_out, len(ablation.held_out), ())
    rows: list[dict[str, Any]] = []

    def report(name: str, file: Path) -> None:
        rows.append({"name": name, "scores": ablation.score(file, clouds)})
        console.print(rows[-1])
        plain = {key: value for key, value in vars(options).items() if key != "output"}
        write_json_atomic(options.output / "curriculum.json", {"arguments": plain, "rows": rows})
        draw(options.output / "curriculum.png", rows)

    if "stages" in options.only:
        for stages in CURRICULA:
            report(f"stages {stages}", ablation.curriculum(stages))
    if "frames" in options.only:
        for every in USED_FRAMES:
            what = (
                "keyframes only" if every == KEYFRAME_STRIDE else f"every {every}. frame" if every > 1 else "all frames"
            )
            report(f"stage 2, {what}", ablation.frames(every))
    table = Table("trained on", "AP", "AP50", "AP25")
    for row in rows:
        table.add_row(row["name"], *(f"{value:.1f}" for value in row["scores"]))
    print_table(table)


if __name__ == "__main__":
    sys.exit(plainly(main, "Interrupted: what is done stays; the same command goes on."))
