"""`gcseg evaluate`: an output against the truth, as figures, table and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.markup import escape
from rich.table import Table

from gcseg_ros.clouds.ply import Cloud
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import MIN_POINTS, Overlap, average_precision, best_ious
from gcseg_ros.evaluation.scannet_text import read_masks
from gcseg_ros.evaluation.tracking import TrackingQuality, compare_folders
from gcseg_ros.evaluation.truth import Truth, carry, check_stuff_labels, load_cloud, load_truth
from gcseg_ros.instances.export import read_instances_json
from gcseg_ros.output import mapped_live


@dataclass(frozen=True)
class Evaluation:
    """ScanNet's protocol, class-agnostic: regions of at least 100 points, predictions carried to the truth's points within 5 cm.

    The shares are from 0 to 1, NaN where there is nothing to measure.

    ap, ap50, ap25  average precision, mean over IoU 0.50:0.05:0.90, at 0.50, at 0.25
    at              the same per IoU threshold
    instances       true instances counted
    small           true instances left out, because they have fewer than 100 points
    predictions     predicted instances counted
    mean_best_iou   over the true instances: IoU of the prediction that fits best (ignores confidences and false positives)
    best_iou        the same per true id
    coverage        share of the truth's instance points that have a predicted point within 5 cm, labelled or not
    scores          where the confidences come from: "instances.json", "points", "file" or "equal"
    tracking        quality of the 2D labels, where the output has labels and the truth is a scene with instance images
    remark          why there are no figures, or these cannot be compared, and what makes one doubt that both sides are of one place
    """

    output: str
    truth: str
    exclude_stuff: bool
    ap: float
    ap50: float
    ap25: float
    at: dict[float, float]
    instances: int
    small: int
    predictions: int
    mean_best_iou: float
    best_iou: dict[int, float]
    coverage: float
    scores: str
    tracking: TrackingQuality | None = None
    remark: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes None, keys become text."""
        return without_nan(asdict(self))


@dataclass(frozen=True)
class Prediction:
    """A prediction on the truth's points: their overlap, the share covered, and where the scores come from."""

    overlap: Overlap
    coverage: float
    scores: str


def evaluate(
    output: str | Path, truth: str | Path, exclude_stuff: bool = False, stuff_labels: Sequence[int] | None = None
) -> Evaluation:
    """An output against its truth.

    output  OUT of `gcseg map`; a PLY or NPZ cloud with `instance` and optional `confidence` per point; or ScanNet's text
            (a .txt of lines "mask_file label score", or a folder with one), masks in the order of the truth's points
    truth   NPZ, PLY, a scene's folder (gt_cloud.npz) or ScanNet's .txt
    exclude_stuff, stuff_labels  walls, floors and the like become void; which labels these are, see `load_truth`
    Raises UserError.
    """
    output = Path(output)
    full = load_truth(truth, stuff_labels)
    if stuff_labels is not None:
        check_stuff_labels(stuff_labels, full.labels(), full.name)
    counted = full.without_stuff() if exclude_stuff else full
    prediction = load_prediction(output, counted)
    best = best_ious(prediction.overlap)
    figures = average_precision([prediction.overlap])
    tracking, uncompared = evaluate_tracking(output, Path(truth), full if exclude_stuff else None)
    remarks = [remark_on_truth(prediction, counted), remark_on_coverage(prediction), uncompared]
    return Evaluation(
        output=str(output),
        truth=counted.name,
        exclude_stuff=exclude_stuff,
        ap=figures.ap,
        ap50=figures.ap50,
        ap25=figures.ap25,
        at=figures.at,
        instances=len(best),
        small=int((~prediction.overlap.counted).sum()),
        predictions=len(prediction.overlap.scores),
        mean_best_iou=mean(best.values()),
        best_iou=best,
        coverage=prediction.coverage,
        scores=prediction.scores,
        tracking=tracking,
        remark=" ".join(filter(None, remarks)) or None,
    )


def remark_on_truth(prediction: Prediction, truth: Truth) -> str | None:
    """A sentence where there is nothing to find."""
    if prediction.overlap.counted.any():
        return None
    return f"There is no average precision: {truth.name} has no instance of {MIN_POINTS} points or more that counts."


def remark_on_coverage(prediction: Prediction) -> str | None:
    """A sentence where most of the truth is far from every point of a cloud: masks cover no more than what they are of."""
    if prediction.scores == "file" or not prediction.coverage < 0.5:
        return None
    return (
        f"Only {percent(prediction.coverage)} % of the truth's points on instances have a predicted point within 5 cm: are both of one place, "
        "in one world frame, in metres, and is the prediction as dense?"
    )


def evaluate_tracking(output: Path, scene: Path, stuff_of: Truth | None) -> tuple[TrackingQuality | None, str | None]:
    """2D quality, where both sides have images, or why these cannot be compared. stuff_of: the truth whose instances on stuff are left out."""
    labels, instance = output / "labels", scene / "instance"
    if not (labels.is_dir() and instance.is_dir()):
        return None, None
    void = [] if stuff_of is None else np.unique(stuff_of.instance[stuff_of.stuff]).tolist()
    try:
        if mapped_live(output):
            raise UserError(
                f"those of {output} come from ROS topics and are numbered, not named as the recording's frames."
            )
        return compare_folders(instance, labels, void), None
    except UserError as error:
        return None, f"The 2D labels are not compared: {error}"


def load_prediction(output: Path, truth: Truth) -> Prediction:
    """Recognise the kind of output and lay it on the truth's points. Raises UserError."""
    if not output.exists():
        raise UserError(
            f"There is no output at {output}: expected a folder of `gcseg map`, a PLY, an NPZ or ScanNet's text."
        )
    if output.suffix.lower() == ".txt":
        return masks_prediction(output, truth)
    if not output.is_dir() or (output / "instances.ply").is_file():
        return cloud_prediction(*load_instances(output), output, truth)
    texts = sorted(output.glob("*.txt"))
    matching = [text for text in texts if text.stem == Path(truth.name).stem] or texts
    if len(matching) == 1:
        return masks_prediction(matching[0], truth)
    raise UserError(
        f"{output} has neither instances.ply nor one prediction in ScanNet's text for {truth.name} (it has {len(texts)} .txt files)."
    )


def load_instances(output: Path) -> tuple[Cloud, dict[int, float], str]:
    """The cloud of a folder of `gcseg map`, a PLY or an NPZ, the confidence of each id in it, and where that comes from.

    The objects' if known, else the mean of the points', else all equal. Raises UserError.
    """
    cloud = load_cloud(output / "instances.ply" if output.is_dir() else output)
    if "instance" not in cloud:
        raise UserError(f"{output} has no instance per point: expected `instance`, an id from 1, 0 for none.")
    ids = np.unique(cloud["instance"][cloud["instance"] > 0]).tolist()
    objects = output / "instances.json"
    known = {found.id: found.confidence for found in read_instances_json(objects)} if objects.is_file() else {}
    if known and all(i in known for i in ids):
        return cloud, known, "instances.json"
    if "confidence" in cloud:
        return cloud, mean_confidence(cloud["instance"], cloud["confidence"]), "points"
    return cloud, dict.fromkeys(ids, 1.0), "equal"


def cloud_prediction(
    cloud: Cloud, confidence: Mapping[int, float], scores: str, output: Path, truth: Truth
) -> Prediction:
    """A cloud carried to the truth's points."""
    if truth.points is None:
        raise UserError(
            f"{truth.name} has no points, so a cloud cannot be compared with it: give the truth as NPZ or PLY."
        )
    if not len(truth.points):
        raise UserError(f"{truth.name} has no points at all: give the truth of the scene.")
    labels, near = carry(cloud["points"], cloud["instance"], truth.points)
    if len(cloud["points"]) and not near.any():
        raise UserError(
            f"No point of {output} lies within 5 cm of {truth.name}: both must be in one world frame, in metres."
        )
    return Prediction(Overlap.of_labels(truth.instance, labels, confidence), share(near, truth), scores)


def mean_confidence(instance: npt.NDArray[np.integer], confidence: npt.NDArray[np.floating]) -> dict[int, float]:
    """Id -> mean of its points' confidences, (N,) each; what is not finite counts as 0."""
    ids, row = np.unique(instance, return_inverse=True)
    total = np.bincount(row, np.nan_to_num(confidence, posinf=0, neginf=0), minlength=len(ids))
    return dict(zip(ids.tolist(), (total / np.maximum(np.bincount(row), 1)).tolist(), strict=True))


def masks_prediction(text: Path, truth: Truth) -> Prediction:
    """ScanNet's text, over the truth's points."""
    masks, scores = read_masks(text, len(truth.instance))
    covered = np.asarray(masks.sum(0)).ravel() > 0
    return Prediction(Overlap.of_masks(truth.instance, masks, scores), share(covered, truth), "file")


def labels_of(text: str | None) -> list[int] | None:
    """`1,2` -> [1, 2]. Raises UserError."""
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UserError(f"--stuff-labels is a list of whole numbers such as 1,2; found {text!r}.")
    return [int(part) for part in parts]


def share(near: npt.NDArray[np.bool_], truth: Truth) -> float:
    """Share of the truth's instance points where `near` (N,) holds."""
    return mean(near[truth.instance > 0].tolist())


def mean(values: Sequence[float] | Any) -> float:
    """NaN of nothing."""
    values = list(values)
    return float(np.mean(values)) if values else float("nan")


def table(evaluation: Evaluation) -> Table:
    """The figures for a console, in percent."""
    stuff = ", stuff excluded" if evaluation.exclude_stuff else ""
    title = f"{Path(evaluation.output).name} against {Path(evaluation.truth).name}{stuff}"
    shown = Table("class-agnostic", "value", title=escape(title))
    shown.columns[1].justify = "right"
    for name, value in (("AP", evaluation.ap), ("AP50", evaluation.ap50), ("AP25", evaluation.ap25)):
        shown.add_row(name, percent(value))
    small = f" ({evaluation.small} of under {MIN_POINTS} points left out)" if evaluation.small else ""
    shown.add_row(f"true instances{small}", str(evaluation.instances))
    shown.add_row(f"predictions (scores: {evaluation.scores})", str(evaluation.predictions))
    shown.add_row("mean best IoU", percent(evaluation.mean_best_iou))
    shown.add_row("coverage within 5 cm", percent(evaluation.coverage))
    if evaluation.tracking:
        shown.add_section()
        shown.add_row(
            f"2D mean best IoU ({evaluation.tracking.frames} frames)", percent(evaluation.tracking.mean_best_iou)
        )
        shown.add_row("association quality (STQ)", percent(evaluation.tracking.association_quality))
        shown.add_row("IDF1", percent(evaluation.tracking.idf1))
        shown.add_row("id switches", str(evaluation.tracking.id_switches))
    return shown


def percent(value: float) -> str:
    """One decimal; "-" for NaN."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def without_nan(value: Any) -> Any:
    """Nested dictionaries as JSON takes them: texts for names, None for NaN."""
    if isinstance(value, dict):
        return {str(name): without_nan(item) for name, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
