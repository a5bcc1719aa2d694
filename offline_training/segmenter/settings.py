"""Settings of the training: one YAML file a stage in offline_training/config/, checked by these models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from gcseg_ros.config import Part, build_config, parse_setting, set_value
from gcseg_ros.errors import UserError
from gcseg_ros.files import parse_yaml
from gcseg_ros.segmentation.features import COLOUR, COLOUR_AND_NORMAL
from gcseg_ros.segmentation.network import NetworkConfig
from gcseg_ros.segmentation.post_processing import PostProcessing

CONFIGURATIONS = Path(__file__).parents[1] / "config"


class Augmentation(Part):
    """Every example is changed anew."""

    turn: bool = Field(True, description="by any angle about z")
    tilt_deg: float = Field(2.8, ge=0, description="and by up to this about x and y")
    flip: bool = Field(True, description="x and y, each with probability 1/2")
    scale: float = Field(0.1, ge=0, lt=1, description="up to this share larger or smaller")
    elastic: float = Field(0.5, ge=0, le=1, description="share of examples that are bent (granularity 0.2 and 0.8 m)")
    colour: float = Field(0.1, ge=0, description="brightness, contrast and tint vary by about this share")
    grey: float = Field(0.0, ge=0, le=1, description="share of examples without hue")
    noise_m: float = Field(0.0, ge=0, description="points move by up to this deviation")
    drop: float = Field(0.0, ge=0, lt=1, description="up to this share of points is left out")
    crop_voxels: int = Field(0, ge=0, description="the voxels nearest to a vertical line through a random one; 0 = all")


class Objective(Part):
    """The loss (Eq. 7, 13, 14)."""

    assignment: Literal["hungarian", "anchors"] = Field(
        "hungarian", description="which instance a query learns: the cheapest one to one, or the one that it starts on"
    )
    objectness: float = Field(2.0, ge=0, description="weight lambda_obj")
    mask: float = Field(5.0, ge=0, description="weight lambda_ce")
    dice: float = Field(2.0, ge=0, description="weight lambda_dice")
    no_object: float = Field(0.1, ge=0, description="weight of queries without an object in the objectness")
    points: int = Field(20_000, ge=1, description="masks are compared at this many voxels of a scene")


class PseudoLabels(Part):
    """Stage 3: what the network of stage 2 says of whole scenes is filtered (Sec. 3.3.1)."""

    min_confidence: float = Field(0.6, ge=0, le=1, description="tau")
    min_points: int = Field(150, ge=1, description="smaller masks are left out")
    split_m: float = Field(0.05, ge=0, description="DBSCAN's eps; parts further apart are instances of their own")
    split_neighbours: int = Field(5, ge=1, description="DBSCAN's number of points")
    queries: int = Field(400, ge=1, description="at prediction")


class Training(Part):
    """All that the result depends on, besides the samples."""

    stage: int = Field(ge=1, le=3)
    network: NetworkConfig = NetworkConfig()
    kinds: tuple[Literal["fragment", "map", "complete"], ...] = Field(
        ("fragment",), min_length=1, description="of samples"
    )
    epochs: int = Field(20, ge=1, description="times that every sample is seen")
    steps: int | None = Field(None, ge=1, description="instead of epochs: steps of the optimiser")
    batch: int = Field(8, ge=1, description="examples a step, on all devices together")
    rate: float = Field(2e-4, gt=0, description="highest learning rate of the one-cycle schedule")
    warm_up: float = Field(0.3, gt=0, lt=1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    average_steps: int = Field(
        0, ge=0, description="the network kept is the mean of about this many steps; 0 = the last"
    )
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    seed: int = Field(0, ge=0, description="of weights, order, augmentation and drawn voxels")
    augmentation: Augmentation = Augmentation()
    objective: Objective = Objective()
    pseudo_labels: PseudoLabels = PseudoLabels()
    validate_every: int = Field(1000, ge=1, description="steps between measurements")
    validation_clouds: int = Field(8, ge=1, description="at most this many are measured")
    evaluation: PostProcessing = PostProcessing()
    evaluation_queries: int = Field(400, ge=1)
    save_every: int = Field(500, ge=1, description="steps between saved states")

    def total_steps(self, samples: int) -> int:
        return self.steps or max(1, round(self.epochs * samples / self.batch))


def load_settings(name: str, stage: int, changes: Sequence[str] = ()) -> Training:
    """`name` is one of the folders in offline_training/config or a YAML file; changes: part.name=value, of which epochs replaces the file's steps. Raises UserError."""
    file = CONFIGURATIONS / name / f"stage{stage}.yaml"
    if not file.is_file():
        file = Path(name)
    if not file.is_file():
        known = ", ".join(sorted(folder.name for folder in CONFIGURATIONS.iterdir() if folder.is_dir()))
        raise UserError(f"There is no configuration {name}: give a YAML file or one of {known}.")
    try:
        values: Any = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"The configuration {file} cannot be read: {error}.") from None
    if not isinstance(values, dict):
        raise UserError(
            f"The configuration {file} must hold settings such as `batch: 8`; found {type(values).__name__}."
        )
    given = [parse_setting(change, "augmentation.tilt_deg=5") for change in changes]
    named = {path for path, _ in given}
    if "epochs" in named and "steps" not in named:
        values.pop("steps", None)
    for path, value in given:
        set_value(values, path, value)
    values.setdefault("stage", stage)
    settings = build_config(values, Training)
    if settings.stage != stage:
        raise UserError(f"{file} is for stage {settings.stage}: give --stage {settings.stage}, or another file.")
    if settings.network.channels not in (COLOUR, COLOUR_AND_NORMAL):
        raise UserError(
            f"The setting network.channels = {settings.network.channels} is not allowed: {COLOUR} (colour) or {COLOUR_AND_NORMAL} (colour and normal)."
        )
    return settings
