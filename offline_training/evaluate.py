"""Evaluate many scenes: `python -m offline_training.evaluate OUTPUTS --truth TRUTHS`; write them for a benchmark: `--write DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gcseg_ros.consoles import errors, print_line, print_table
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.report import labels_of, load_instances
from gcseg_ros.evaluation.scannet_text import write_masks
from gcseg_ros.evaluation.scenes import evaluate_scenes, output_of, scene_names, table
from gcseg_ros.evaluation.truth import SCENE_CLOUD, carry, load_cloud
from offline_training.commands import run

MESHES = (f"{{0}}/{SCENE_CLOUD}", "{0}/{0}_vh_clean_2.ply", "{0}/scans/mesh_aligned_0.05.ply", "{0}.ply", "{0}.npz")
"""Where the points of a scene may lie: prepared, ScanNet's scans, ScanNet++'s data, or a cloud of any kind."""


def main(
    outputs: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUTS", help="A folder with SCENE/ of gcseg map, SCENE.ply, .npz or .txt (ScanNet's)."
        ),
    ],
    truth: Annotated[
        Path | None, typer.Option(metavar="TRUTHS", help="A folder with SCENE/gt_cloud.npz, SCENE.npz, .ply or .txt.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(metavar="LIST", help="Only these scenes: a file, one name a line, as splits/val.txt.")
    ] = None,
    exclude_stuff: Annotated[bool, typer.Option("--exclude-stuff", help="Leave out walls, floor and ceiling.")] = False,
    stuff_labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="Labels of stuff where ids are label x 1000 + number (ScanNet).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    write: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the outputs in ScanNet's format, on the points of --meshes."),
    ] = None,
    meshes: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="ScanNet's scans or scans_test, ScanNet++'s data; default: TRUTHS."),
    ] = None,
    label: Annotated[int, typer.Option(min=1, help="The class that is written for every instance.")] = 1,
) -> None:
    """Average precision scene by scene and overall, by ScanNet's protocol, class-agnostic."""
    names = read_names(scenes) if scenes else None
    if truth is None and write is None:
        raise UserError("Nothing to do: give --truth TRUTHS to evaluate, or --write DIR with --meshes FOLDER.")
    if write is not None:
        points = meshes or truth
        if points is None:
            raise UserError("--write wants the points that are to be labelled: give --meshes FOLDER.")
        chosen = names or (scene_names(truth) if truth else folder_names(points))
        for name in chosen:
            count = write_scene(output_of(outputs, name), mesh_of(points, name), write / f"{name}.txt", label)
            print_line(f"{name}: {count} instances written", to=errors)
    if truth is None:
        return
    stuff = exclude_stuff or stuff_labels is not None
    with errors.status("evaluating"):
        found = evaluate_scenes(outputs, truth, names, stuff, labels_of(stuff_labels))
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print_table(table(found))


def read_names(file: Path) -> list[str]:
    """Each once, as often as it may be named. Raises UserError."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read as a list of scenes: {error}.") from None
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise UserError(f"{file} names no scene: expected one name a line.")
    return names


def folder_names(meshes: Path) -> list[str]:
    """The scenes that have a folder. Raises UserError."""
    names = sorted(path.name for path in meshes.glob("*") if path.is_dir())
    if not names:
        raise UserError(
            f"{meshes} holds no scene: expected a folder SCENE/ of each; give theirs with --meshes, or name the scenes with --scenes."
        )
    return names


def mesh_of(folder: Path, name: str) -> Path:
    """The file with a scene's points. Raises UserError."""
    for pattern in MESHES:
        if (folder / pattern.format(name)).is_file():
            return folder / pattern.format(name)
    expected = ", ".join(pattern.format(name) for pattern in MESHES)
    raise UserError(f"{folder} has no points of the scene {name}: expected one of {expected}.")


def write_scene(output: Path, mesh: Path, text: Path, label: int) -> int:
    """The output carried to the mesh's points, as a prediction in ScanNet's format: how many instances. Raises UserError."""
    if output.suffix == ".txt":
        raise UserError(f"{output} is in ScanNet's format already: give folders of gcseg map, PLY or NPZ files.")
    cloud, confidence, _ = load_instances(output)
    points = load_cloud(mesh)["points"]
    labels, near = carry(cloud["points"], cloud["instance"], points)
    if not near.any():
        raise UserError(f"No point of {output} lies within 5 cm of {mesh}: both must be in one world frame, in metres.")
    return write_masks(text, labels, confidence, label)


if __name__ == "__main__":
    sys.exit(run(main))
