"""What texts find in a map: heat maps, the best boxes and scores, as files, tables and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table
from rich.text import Text

from gcseg_ros.errors import UserError
from gcseg_ros.instances.export import object_entry
from gcseg_ros.retrieval.encoder import OpenClip
from gcseg_ros.retrieval.heat import heat_colours
from gcseg_ros.retrieval.retrieval import Hit, Retrieval, checked
from gcseg_ros.retrieval.views import read_views


@dataclass(frozen=True)
class Answer:
    """What one text found. scores (I,) float32; hits: all instances that were scored, best first."""

    text: str
    scores: npt.NDArray[np.float32]
    hits: list[Hit]


def query_map(
    out: Path,
    cloud: Path | None,
    texts: Sequence[str],
    negatives: Sequence[str],
    model: str,
    weights: str | None,
    device: str | None,
    progress: Callable[[int, int], None],
) -> tuple[Retrieval, list[Answer]]:
    """Ask a folder of `gcseg map`, or another `cloud` of the same place. What can be wrong is looked at before the model is loaded. Raises UserError."""
    asked, against = checked(texts), checked(negatives) if negatives else []
    if not (out / "instances.ply").is_file():
        raise UserError(f"There is no map in {out}: expected a folder written by `gcseg map`.")
    read_views(out)
    retrieval = Retrieval.load(out, OpenClip.load(model, weights, device), progress=progress, cloud=cloud)
    scores = retrieval.query(asked, against)
    return retrieval, [Answer(text, row, retrieval.ranking(row)) for text, row in zip(asked, scores)]


def write_heat(files: Sequence[Path], retrieval: Retrieval, answers: Sequence[Answer]) -> None:
    """Each answer's cloud: x y z, the heat as colour, instance, and the score as `confidence` (0 where there is none).

    Beside each a picture (.png): the heat, and the instances. Raises UserError.
    """
    from gcseg_ros.viewer.picture import write_with_picture

    instances = retrieval.instances
    for file, answer in zip(files, answers):
        scores = retrieval.per_point(answer.scores)
        heat = replace(instances, colours=heat_colours(scores), confidence=np.nan_to_num(scores))
        write_with_picture(file, heat, heat)


def answers_table(answer: Answer, most: int) -> Table:
    """The best objects of one answer; the bar has the object's colour in its heat map."""
    title = Text(f"“{answer.text}”", style="table.title")
    table = Table("", "score", "id", "centre (m)", "size (m)", "points", "views", box=None, title=title)
    table.title_justify = "left"
    colours = heat_colours(np.array([hit.score for hit in answer.hits])).tolist()
    for hit, (red, green, blue) in list(zip(answer.hits, colours))[:most]:
        found = hit.object
        table.add_row(
            Text("██", style=f"rgb({red},{green},{blue})"),
            f"{hit.score:.3f}",
            str(found.id),
            ", ".join(f"{value:.2f}" for value in found.oriented_box[0]),
            " x ".join(f"{edge:.2f}" for edge in found.oriented_box[2]),
            str(found.points),
            str(hit.views),
        )
    return table


def as_json(answers: Sequence[Answer], most: int | None = None) -> list[dict[str, Any]]:
    """Text, and its objects with score, number of views and what `instances.json` says of them, best first."""
    return [
        {
            "text": answer.text,
            "objects": [
                {"score": hit.score, "views": hit.views, **object_entry(hit.object)} for hit in answer.hits[:most]
            ],
        }
        for answer in answers
    ]
