"""All settings, one typed model per part, units in the names.

The YAML files, the ROS parameters (`tracking.keyframe_stride`), the command line's `--set` and `docs/configuration.md`
are all made from these models.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gcseg_ros.errors import UserError


class Part(BaseModel):
    """Settings of one part: unknown names are refused, values are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


P = TypeVar("P", bound=Part)


class InputConfig(Part):
    """What is taken from the camera."""

    depth_max_m: float = Field(6.0, gt=0, description="depth beyond this is ignored")
    working_width_px: int = Field(
        320, ge=64, description="frames are mapped at a whole fraction of their size, near this width"
    )
    filter_frames: float = Field(8.0, ge=0, description="frames averaged by the temporal depth filter; 0 = off")


class MasksConfig(Part):
    """2D masks on keyframes."""

    generator: Literal["learned", "geometric"] = Field("learned", description="what proposes masks")
    levels: tuple[float, ...] = Field(
        (0.4, 0.6, 0.8), min_length=1, description="merging costs at which regions are cut, from fine to coarse"
    )
    boundary_network: str | None = Field(
        None, description="ONNX file of the learned generator; default: the shipped one"
    )
    tracked_level: int = Field(0, ge=0, description="which of the levels is tracked")


class TrackingConfig(Part):
    """Association of masks over time (Algorithm 1) and the granularity of objects."""

    keyframe_stride: int = Field(2, ge=1, description="frames from one keyframe to the next")
    association: Literal["map", "algorithm1"] = Field(
        "map", description="through the map's labels, or Algorithm 1 of the paper"
    )
    granularity: Literal["letter", "persistent"] = Field(
        "persistent", description="Algorithm 1: what becomes of a mask inside an object"
    )
    dormant_view: Literal["points", "last_mask"] = Field(
        "points", description="Algorithm 1: how a dormant object is compared with detections"
    )
    match_iou: float = Field(0.4, gt=0, lt=1, description="theta of Eq. 9")
    max_dormant_frames: int = Field(300, ge=1, description="N_max: dormant longer than this is terminated")
    min_mask_px: int = Field(30, ge=1, description="smallest new object, pixels at working resolution")


class MapConfig(Part):
    """The voxel map of label votes."""

    voxel_m: float = Field(0.03, gt=0, description="edge of a voxel")
    mask_edges_vote: bool = Field(True, description="whether the outermost pixels of masks vote (measured better)")


class FinishingConfig(Part):
    """From tracked labels to instances."""

    structure: Literal["auto", "planes", "none"] = Field(
        "auto", description="find walls, floor and ceiling as planes; auto: where the masks do not tell them themselves"
    )
    join_things: float = Field(0.4, gt=0, le=1, description="share of votes that joins two touching pieces")
    join_patches: float = Field(0.5, gt=0, le=1, description="share of votes that joins two patches of a plane")
    min_voxels: int = Field(40, ge=1, description="smallest instance")


class ViewsConfig(Part):
    """Keyframes kept for queries by words."""

    most: int = Field(120, ge=0, description="keyframes kept, those that together show most; 0 = none, and no queries")
    width_px: int = Field(640, ge=64, description="their colour images are made no wider than this")
    jpeg_quality: int = Field(90, ge=1, le=100, description="quality at which these are compressed")


class Config(Part):
    """Everything that changes the result."""

    input: InputConfig = InputConfig()
    masks: MasksConfig = MasksConfig()
    tracking: TrackingConfig = TrackingConfig()
    map: MapConfig = MapConfig()
    finishing: FinishingConfig = FinishingConfig()
    views: ViewsConfig = ViewsConfig()


def load_config(file: Path | None = None, settings: Iterable[str] = ()) -> Config:
    """Defaults, overridden by a YAML file, overridden by `part.name=value` settings. Raises UserError."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            read = yaml.safe_load(Path(file).read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"The configuration {file} cannot be read: {' '.join(str(error).split())}.") from None
        if read is not None and not isinstance(read, dict):
            raise UserError(
                f"The configuration {file} must hold parts such as `tracking:`; found {type(read).__name__}."
            )
        values = read or {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path.strip():
            raise UserError(
                f"A setting is written part.name=value, for example tracking.keyframe_stride=10; found {setting!r}."
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UserError(
                f"The value of {path.strip()} cannot be understood: {text!r}; write it as in YAML."
            ) from None
        set_value(values, path.strip(), value)
    return build_config(values)


def set_value(values: dict[str, Any], path: str, value: Any) -> None:
    """Put `value` at the dotted `path` of nested dictionaries."""
    *parts, name = path.split(".")
    for part in parts:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise UserError(f"The setting {path} goes through {part}, which is a value, not a part.")
    values[name] = value


def build_config(values: dict[str, Any], model: type[P] = Config) -> P:  # type: ignore[assignment]
    """Nested dictionaries -> `model`; the first mistake becomes one sentence."""
    try:
        return model.model_validate(values)
    except ValidationError as errors:
        first = errors.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = [path for path, _ in flat_fields(model)]
            close = get_close_matches(where, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}."
            raise UserError(f"There is no setting {where}: {hint}") from None
        raise UserError(f"The setting {where} = {first.get('input')!r} is not allowed: {first['msg']}.") from None


def flat_fields(part: type[Part] = Config, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """(dotted path, pydantic field) of every setting: what becomes a ROS parameter."""
    for name, info in part.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Part):
            yield from flat_fields(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info
