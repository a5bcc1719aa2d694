"""Prepare a dataset from its official download: `python -m offline_training.datasets scannet|scannet200|scannetpp|replica ROOT -o DIR`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gcseg_ros.consoles import errors, print_line, progress
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.truth import SCENE_CLOUD
from gcseg_ros.files import atomic_path, read_json, sole_writer, write_json_atomic
from offline_training.commands import run
from offline_training.datasets.annotations import annotated, write_truth
from offline_training.datasets.frames import export_frames, is_exported
from offline_training.datasets.replica import Replica
from offline_training.datasets.scannet import ScanNet, ScanNet200
from offline_training.datasets.scannetpp import ScanNetPP
from offline_training.datasets.scenes import Dataset, Scene

DATASETS: dict[str, type[Any]] = {
    "scannet": ScanNet,
    "scannet200": ScanNet200,
    "scannetpp": ScanNetPP,
    "replica": Replica,
}
NO_SENS = {
    "scannetpp": "ScanNet++ has no .sens files: leave out --frames; its own toolkit extracts the iPhone's frames.",
    "replica": "Replica has no .sens files: leave out --frames; its images are rendered, as NICE-SLAM shares them.",
}
INDEX, ENTRY = "index.json", {"scene", "split", "recording", "instances", "points"}


def main(
    dataset: Annotated[Literal["scannet", "scannet200", "scannetpp", "replica"], typer.Argument(help="Which one.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The official download.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write.")],
    split: Annotated[Literal["train", "val", "test", "all"], typer.Option(help="Only these scenes.")] = "all",
    scenes: Annotated[
        list[str] | None, typer.Option("--scene", metavar="NAME", help="Only this scene; may be repeated.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all-objects", help="Every annotated object counts, not only those of the benchmark's classes."),
    ] = False,
    frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="ScanNet: also export every N-th frame of the .sens files.")
    ] = None,
) -> None:
    """Write a folder a scene, with its truth, ScanNet's text of it, the splits and an index. What is there already is left out."""
    if frames and dataset in NO_SENS:
        raise UserError(NO_SENS[dataset])
    source: Dataset = DATASETS[dataset](root, everything)
    protocol: dict[str, Any] = {"dataset": dataset, "all_objects": everything, "frames": frames}
    check_settings(output, protocol)
    chosen = [s for s in source.scenes() if split in ("all", s.split) and (not scenes or s.name in scenes)]
    missing = sorted(set(scenes or []) - {scene.name for scene in chosen})
    if missing or not chosen:
        what = f"has none of the scenes {', '.join(missing)}" if missing else "has no scenes"
        raise UserError(f"{root} {what} of the split {split}: see docs/datasets.md for what to download.")
    with sole_writer(output):
        failures = prepare_all(source, chosen, output, protocol)
    if failures:
        raise UserError(
            f"{len(failures)} of {len(chosen)} scenes could not be prepared: put right what is missing and run the same command "
            f"again; first: {failures[0]}"
        )
    print(f"{len(chosen)} scenes: {output}")


def prepare_all(source: Dataset, chosen: Sequence[Scene], output: Path, protocol: dict[str, Any]) -> list[str]:
    """Each scene, and the index after it; a sentence for each that could not be prepared."""
    entries: dict[str, dict[str, Any]] = {e["scene"]: e for e in known_entries(output)}
    write_index(output, protocol, entries)
    failures = []
    with progress("scenes", len(chosen)) as advance:
        for done, scene in enumerate(chosen):
            advance(done, text=scene.name)
            try:
                entries[scene.name] = prepare(source, scene, output, protocol["frames"], entries.get(scene.name))
            except UserError as error:
                failures.append(str(error))
                with suppress(OSError):
                    (output / scene.name).rmdir()  # only where it is empty
                print_line(f"Not prepared: {scene.name}: {error}", to=errors)
            write_index(output, protocol, entries)
    return failures


def prepare(
    source: Dataset, scene: Scene, output: Path, frames: int | None, known: dict[str, Any] | None
) -> dict[str, Any]:
    """Write what is missing of one scene; its entry of the index. Raises UserError."""
    folder = output / scene.name
    folder.mkdir(parents=True, exist_ok=True)
    entry: dict[str, Any] = {
        "scene": scene.name,
        "split": scene.split,
        "recording": str(scene.recording),
        "instances": None,
        "points": None,
    }
    cloud, text = folder / SCENE_CLOUD, output / "instance_gt" / f"{scene.name}.txt"
    if known and cloud.is_file() and text.is_file():
        entry |= {name: known[name] for name in ("instances", "points")}
    elif scene.annotation:
        truth = annotated(scene.annotation, source.class_of, source.stuff)
        write_truth(truth, cloud, text)
        things = set(truth.instance[~truth.stuff].tolist()) - {0}
        entry |= {"instances": len(things), "points": len(truth.points)}
    if frames:
        if not is_exported(folder):
            export_frames(scene.recording, folder, frames)
        entry["recording"] = str(folder)
    return entry


def check_settings(output: Path, protocol: dict[str, Any]) -> None:
    """Raises UserError where the folder holds something else, or was prepared otherwise."""
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file: give a folder to write.")
    if not (output / INDEX).is_file():
        if output.is_dir() and any(output.iterdir()):
            raise UserError(f"{output} holds other files: give a new folder, or one that this command began.")
        return
    before = {name: value for name, value in read_index(output).items() if name != "scenes"}
    if before != protocol:
        raise UserError(f"{output} was prepared with {before}, now asked for is {protocol}: give another folder.")


def known_entries(output: Path) -> list[dict[str, Any]]:
    return read_index(output)["scenes"] if (output / INDEX).is_file() else []


def read_index(output: Path) -> dict[str, Any]:
    """Raises UserError."""
    index = read_json(output / INDEX)
    scenes = index.get("scenes") if isinstance(index, dict) else None
    if not isinstance(scenes, list) or not all(isinstance(e, dict) and e.keys() >= ENTRY for e in scenes):
        raise UserError(
            f"{output / INDEX} is not what this command writes: expected settings, and `scenes` with {', '.join(sorted(ENTRY))} each; give a new folder."
        )
    return index


def write_index(output: Path, protocol: dict[str, Any], entries: dict[str, dict[str, Any]]) -> None:
    """index.json, and splits/NAME.txt with the scenes of each split."""
    write_json_atomic(output / INDEX, {**protocol, "scenes": [entries[name] for name in sorted(entries)]})
    for split in ("train", "val", "test"):
        names = sorted(entry["scene"] for entry in entries.values() if entry["split"] == split)
        with atomic_path(output / "splits" / f"{split}.txt") as temporary:
            temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(main, interrupted="Interrupted: run the same command again to go on."))
