"""`gcseg query`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from gcseg_ros.consoles import errors, print_line, print_table, progress
from gcseg_ros.errors import UserError


def query(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A folder of gcseg map.")],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What to look for, for example 'red mug'.")],
    negatives: Annotated[
        list[str] | None,
        typer.Option("--not", metavar="TEXT", help="What it is not; may be repeated. Scores are then probabilities."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="HEAT.ply",
            help="The heat map to write, and its picture; several texts are numbered.",
        ),
    ] = None,
    instances: Annotated[
        Path | None,
        typer.Option(
            metavar="CLOUD.ply", help="Ask for the instances of this cloud of the same place, of gcseg segment."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FOLDER", help="A CLIP of gcseg weights, or a model's folder as open_clip saves it."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="Weights; --model is then one of open_clip's architectures.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Show the best K objects.")] = 5,
    device: Annotated[str | None, typer.Option(metavar="cpu|cuda", help="Default: a GPU where there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find objects of a map by words: scores, boxes, and a heat map from green (low) through yellow to red (high).

    The first query of a map looks at its objects' pictures, which takes minutes; the features are kept in OUT.
    """
    from gcseg_ros.retrieval import answers
    from gcseg_ros.retrieval.encoder import DEFAULT_MODEL

    files = heat_files(output, len(texts), [instances] if instances else []) if output else []
    with progress("looking at objects", unit="crops") as advance:
        retrieval, found = answers.query_map(
            folder, instances, texts, negatives or [], model or DEFAULT_MODEL, weights, device, advance
        )
    answers.write_heat(files, retrieval, found)
    if as_json:
        print(json.dumps(answers.as_json(found, top), indent=2))
    else:
        for answer in found:
            print_table(answers.answers_table(answer, top))
    for file in files:
        print_line(f"Wrote {file}.", to=errors)
    for remark in retrieval.remarks([*texts, *(negatives or [])]):
        print_line(remark, "yellow", errors)


def heat_files(output: Path, answers: int, reads: Iterable[Path] = ()) -> list[Path]:
    """One file for each answer: `heat.ply`, or `heat_1.ply`, `heat_2.ply`, ... None of those it `reads`, or of a map. Raises UserError."""
    if output.suffix.lower() != ".ply":
        raise UserError(f"The output {output} must be named .ply: a heat map is a coloured cloud.")
    names = [output.name] if answers == 1 else [f"{output.stem}_{i + 1}{output.suffix}" for i in range(answers)]
    files = [output.with_name(name) for name in names]
    from gcseg_ros.output import check_own_file

    for file in files:
        check_own_file(file, reads)
        check_own_file(file.with_suffix(".png"), reads)
    return files
