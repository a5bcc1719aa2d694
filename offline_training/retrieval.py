"""`python -m offline_training.retrieval`: ScanNet200 by retrieval, the paper's Tab. 5."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from gcseg_ros.clouds.ply import read_cloud
from gcseg_ros.consoles import errors, print_line, print_table
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import Overlap
from gcseg_ros.evaluation.scannet200 import (
    assigned,
    class_report,
    class_table,
    classes,
    overlaps_by_class,
    prompts,
)
from gcseg_ros.evaluation.scenes import truth_of
from gcseg_ros.evaluation.truth import Truth, carry, load_truth
from gcseg_ros.retrieval import OpenClip, Retrieval
from gcseg_ros.retrieval.encoder import DEFAULT_MODEL, Encoder
from gcseg_ros.retrieval.features import NothingSeenError
from gcseg_ros.retrieval.retrieval import label_masks
from gcseg_ros.retrieval.views import VIEWS
from offline_training.commands import run


def main(
    maps: Annotated[Path, typer.Argument(metavar="MAPS", help="A folder with SCENE folders of gcseg map.")],
    truth: Annotated[
        Path,
        typer.Option(
            metavar="TRUTHS",
            help="A folder with SCENE/gt_cloud.npz, SCENE.npz, .ply or .txt, instances as class id x 1000 + number.",
        ),
    ],
    scans: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="ScanNet's scans, whose meshes have the points of .txt truths."),
    ] = None,
    instances: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="SCENE.ply of gcseg segment, in place of the maps' instances.")
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME|FOLDER", help="As in gcseg query.")] = DEFAULT_MODEL,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="As in gcseg query.")] = None,
    device: Annotated[str | None, typer.Option(metavar="cpu|cuda", help="Default: a GPU where there is one.")] = None,
    per_class: Annotated[bool, typer.Option("--classes", help="Show every class.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Class names as queries: each instance takes the most similar class; AP of head, common and tail classes.

    Tab. 5 is made with --model clip-vit-l-14-336, on ScanNet's 312 validation scenes.
    """
    scenes = find_scenes(maps)
    truths = {scene: find_truth(truth, scene, scans) for scene in scenes}
    clouds = {scene: instances / f"{scene}.ply" for scene in scenes} if instances else {}
    if missing := next((cloud for cloud in clouds.values() if not cloud.is_file()), None):
        raise UserError(f"There is no {missing}: --instances wants the cloud of every map's scene.")
    encoder = OpenClip.load(model, weights, device)
    found = []
    for i, scene in enumerate(scenes):
        print_line(f"{i + 1}/{len(scenes)} {scene}", to=errors)
        found.append(evaluate_scene(maps / scene, clouds.get(scene), truths[scene].load(), encoder))
    report = class_report(found)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        print_table(class_table(report, per_class))


def find_scenes(maps: Path) -> list[str]:
    """Names of the maps in a folder. Raises UserError if there are none."""
    scenes = sorted(file.parent.name for file in maps.glob(f"*/{VIEWS}"))
    if not scenes:
        raise UserError(
            f"There are no maps in {maps}: expected folders of gcseg map, SCENE/instances.ply and SCENE/{VIEWS}."
        )
    return scenes


class SceneTruth:
    """Files of a scene's truth: instances, and the mesh that has their points where the first has none."""

    def __init__(self, file: Path, mesh: Path | None) -> None:
        self.file, self.mesh = file, mesh

    def load(self) -> Truth:
        """With points; instances are class id x 1000 + number. Raises UserError."""
        truth = load_truth(self.file)
        points = truth.points if self.mesh is None else read_cloud(self.mesh)["points"]
        if points is None or len(points) != len(truth.instance):
            raise UserError(
                f"{self.file} is of {len(truth.instance)} points and {self.mesh} of {0 if points is None else len(points)}: they must be of one scan."
            )
        if not np.isin(truth.instance // 1000, [known.id for known in classes()]).any():
            raise UserError(
                f"{self.file} has none of ScanNet200's classes: expected instances as class id x 1000 + number."
            )
        return Truth(truth.name, truth.instance, points)


def find_truth(folder: Path, scene: str, scans: Path | None) -> SceneTruth:
    """Raises UserError if a file is missing."""
    file = truth_of(folder, scene)
    if file.suffix != ".txt":
        return SceneTruth(file, None)
    if scans is None:
        raise UserError(f"{file} has no points: give ScanNet's scans with --scans FOLDER.")
    mesh = scans / scene / f"{scene}_vh_clean_2.ply"
    if not mesh.is_file():
        raise UserError(f"There is no {mesh}, which has the points of {file}.")
    return SceneTruth(file, mesh)


def evaluate_scene(out: Path, cloud: Path | None, truth: Truth, encoder: Encoder) -> dict[int, Overlap]:
    """What `class_report` takes: each instance with the class that it resembles most, on the truth's points.

    cloud: instances to evaluate in place of the map's. A scene where nothing is seen has no predictions. Raises UserError.
    """
    assert truth.points is not None
    try:
        retrieval = Retrieval.load(out, encoder, cloud=cloud)
    except NothingSeenError as reason:
        print_line(f"{out.name} has no predictions: {reason}", "yellow", errors)
        return overlaps_by_class(truth.instance, np.zeros((0, len(truth.instance)), bool), np.zeros(0, np.int64))
    labels = assigned(retrieval.query(prompts()))
    carried, _ = carry(retrieval.instances.points, retrieval.instances.instance, truth.points)
    return overlaps_by_class(truth.instance, label_masks(carried, retrieval.ids), labels)


if __name__ == "__main__":
    sys.exit(run(main))
