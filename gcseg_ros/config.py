"""All settings, one typed model per part, units in the names.

The YAML files, the ROS parameters (`tracking.keyframe_stride`), the command line's `--set` and `docs/configuration.md`
are all made from these models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from os.path import expanduser
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from gcseg_ros.errors import UserError, did_you_mean
from gcseg_ros.files import parse_yaml

PathText = Annotated[str, AfterValidator(expanduser)]
"""A path, or what else may stand in its place (synthetic:1, a name of weights). `~` is the home folder: behind = no
shell replaces it."""
PathOrNone = Annotated[str | None, AfterValidator(lambda path: path and expanduser(path))]


class Part(BaseModel):
    """Settings of one part: unknown names are refused, values are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        wanted = cls.model_fields[info.field_name or ""].annotation
        if wanted is not bool and any(isinstance(one, bool) for one in (value if isinstance(value, list) else [value])):
            raise PydanticCustomError("truth", "expected no truth value; in YAML yes and on are true, no and off false")
        return value


P = TypeVar("P", bound=Part)


class InputConfig(Part):
    """What is taken from the camera."""

    depth_max_m: float = Field(6.0, gt=0, le=1000, description="depth beyond this, and under 0.1 m, is ignored")
    turn: Literal["auto", "none", "clockwise", "half", "counterclockwise"] = Field(
        "auto",
        description="how images are turned, by right angles, so that up is up; auto: by the first pose of a recording, where the world's z axis lies clearly along another side of the image (a phone held upright); where it is not clear, as the same camera's images of a map that is gone on with",
    )
    working_width_px: int = Field(
        320,
        ge=64,
        description="frames are mapped at a whole fraction of their size: about as many pixels as an image of 4:3 of this width has",
    )
    filter_frames: float = Field(
        8.0, ge=0, le=1000, description="frames averaged by the temporal depth filter; 0 = off"
    )

    @property
    def working_px(self) -> float:
        """Pixels of a frame as it is mapped, about."""
        return 0.75 * self.working_width_px**2


class PosesConfig(Part):
    """Camera poses."""

    refine: bool = Field(True, description="correct what poses drift from one frame to the next, by what the map shows")


class FoundationConfig(Part):
    """Where and how the networks of SAM and SAM 2 run."""

    device: str = Field("auto", description="cpu, cuda, cuda:1; auto: a GPU where there is one")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the arithmetic; auto: bfloat16 on a GPU that has it (not a T4), else float32"
    )
    compile: bool = Field(False, description="compile the image encoders: minutes at the start, then faster")
    weights_dir: PathOrNone = Field(
        None, description="folder of the weights; default: $GCSEG_WEIGHTS_DIR, else ~/.cache/gcseg/weights"
    )


class SamConfig(Part):
    """Automatic masks of SAM or SAM 2, with the knobs of their packages' generators."""

    weights: PathOrNone = Field(
        None, description="name of gcseg weights list, or a file; default: sam-vit-h, for SAM 2 sam2.1-large"
    )
    configuration: str | None = Field(
        None, description="SAM 2: configuration of the package; default: the one that the weights fit"
    )
    overrides: str = Field("", description="SAM 2: changes to it, for example image_size=512; blanks between several")
    points_per_side: int = Field(32, ge=1, description="prompts along one side of the image")
    points_per_batch: int = Field(64, ge=1, description="prompts that are decoded at once")
    crops_per_batch: int = Field(0, ge=0, description="crops that are encoded at once; 0: 1 on a CPU, 4 on a GPU")
    pred_iou_thresh: float = Field(0.88, ge=0, le=1, description="least quality that the network predicts for a mask")
    stability_score_thresh: float = Field(0.95, ge=0, le=1, description="least stability of a mask")
    stability_score_offset: float = Field(1.0, ge=0, description="change of the cut that stability is measured with")
    box_nms_thresh: float = Field(0.7, ge=0, le=1, description="IoU of boxes that makes masks of one crop duplicates")
    crop_n_layers: int = Field(1, ge=0, le=4, description="layers of crops: layer i has 4^i; 0: the full image only")
    crop_nms_thresh: float = Field(0.7, ge=0, le=1, description="IoU of boxes that makes masks of crops duplicates")
    crop_overlap_ratio: float = Field(512 / 1500, ge=0, lt=1, description="overlap of crops, of the image's short side")
    crop_n_points_downscale_factor: int = Field(
        2, ge=1, validate_default=True, description="layer i has points_per_side / this^i prompts, at least one"
    )
    min_mask_region_area: int = Field(0, ge=0, description="smaller holes and islands are removed, px of the picture")
    scales: Literal["apart", "together"] = Field(
        "apart", description="whole, part and subpart masks each for themselves, or in one heap as in the packages"
    )
    containment: float = Field(
        0.8,
        gt=0,
        le=1,
        description="tau_c of Eq. 1: a fine mask that lies in a coarse one by more is redundant; 1: none",
    )

    @field_validator("crop_n_points_downscale_factor")
    @classmethod
    def _leaves_prompts(cls, value: int, info: ValidationInfo) -> int:
        points, layers = info.data.get("points_per_side"), info.data.get("crop_n_layers")
        if points is not None and layers is not None and value**layers > points:
            raise PydanticCustomError(
                "prompts",
                "layer {layers} of the crops would have no prompts; raise points_per_side ({points}) or lower crop_n_layers",
                {"layers": layers, "points": points},
            )
        return value


class MasksConfig(Part):
    """2D masks on keyframes."""

    generator: Literal["learned", "geometric", "sam", "sam2"] = Field("learned", description="what proposes masks")
    levels: tuple[float, ...] = Field(
        (0.4, 0.6, 0.8),
        min_length=1,
        description="learned, geometric: merging costs (0 to 1) at which regions are cut, from fine to coarse",
    )
    boundary_network: PathOrNone = Field(
        None,
        description="ONNX file of the learned generator; default: the shipped one; pieces of the map are joined without the appearance that another says",
    )
    tracked_level: int = Field(0, ge=0, description="learned, geometric: which of the levels is tracked")
    sam: SamConfig = SamConfig()

    @field_validator("levels")
    @classmethod
    def _rise(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) < 0 or max(value) > 1 or any(a >= b for a, b in pairwise(value)):
            raise PydanticCustomError("levels", "levels must rise, from fine to coarse, within 0 to 1")
        return value

    @field_validator("tracked_level")
    @classmethod
    def _is_a_level(cls, value: int, info: ValidationInfo) -> int:
        count = len(info.data.get("levels", ()))
        if count and value >= count:
            raise PydanticCustomError("level", "the last of the levels is {last}", {"last": count - 1})
        return value

    @property
    def sam_weights(self) -> str:
        """Name or file of the weights of SAM or SAM 2, whichever is the generator."""
        return self.sam.weights or ("sam-vit-h" if self.generator == "sam" else "sam2.1-large")


class Sam2Config(Part):
    """Propagation by SAM 2."""

    weights: PathText = Field("sam2.1-large", description="name of gcseg weights list, or a file")
    configuration: str | None = Field(
        None, description="configuration of the package; default: the one that the weights fit"
    )
    overrides: str = Field("", description="changes to it, for example image_size=512; blanks between several")
    objects_per_batch: int = Field(
        0, ge=0, description="objects that are propagated at once; 0: 1 on a CPU, 16 on a GPU"
    )
    min_object_px: int = Field(30, ge=1, description="smaller objects are not propagated, pixels at working resolution")
    max_growth: float = Field(
        2.0, gt=1, description="a mask that has grown by more since the frame before floods the image: it is lost"
    )
    patience: int = Field(5, ge=1, description="an object lost for so many frames is given up until the next keyframe")


class PropagationConfig(Part):
    """From a keyframe's masks to those of the frames after it (Eq. 8, 10)."""

    method: Literal["reprojection", "sam2"] = Field(
        "reprojection", description="through depth and pose, or by SAM 2 from the images"
    )
    sam2: Sam2Config = Sam2Config()


class TrackingConfig(Part):
    """Association of masks over time (Algorithm 1) and the granularity of objects."""

    keyframe_stride: int = Field(
        2,
        ge=1,
        description="frames from one keyframe to the next, at most: one that shows much that is new is a keyframe, too",
    )
    association: Literal["map", "algorithm1"] = Field(
        "map", description="through the map's labels, or Algorithm 1 of the paper"
    )
    granularity: Literal["letter", "persistent"] = Field(
        "persistent", description="Algorithm 1: what becomes of a mask inside an object"
    )
    dormant_view: Literal["points", "last_mask"] = Field(
        "points", description="Algorithm 1: how a dormant object is compared with detections"
    )
    match_iou: float = Field(0.4, gt=0, lt=1, description="Algorithm 1: theta of Eq. 9")
    max_dormant_frames: int = Field(
        300, ge=1, description="Algorithm 1: N_max, an object that is dormant longer than this is terminated"
    )
    min_mask_px: int = Field(30, ge=1, description="smallest new object, pixels at working resolution")


class MapConfig(Part):
    """The voxel map of label votes."""

    voxel_m: float = Field(0.03, gt=0, le=1, description="edge of a voxel")
    mask_edges_vote: bool = Field(True, description="whether the outermost pixels of masks vote (measured better)")


class FinishingConfig(Part):
    """From tracked labels to instances."""

    structure: Literal["auto", "planes", "none"] = Field(
        "auto",
        description="votes: find walls, floor and ceiling as planes; auto: where the masks do not tell them themselves",
    )
    joining: Literal["auto", "learned", "votes"] = Field(
        "auto",
        description="how pieces are joined: by a learned decision or by the masks' votes; auto: learned with learned masks",
    )
    join_probability: float = Field(
        0.5, gt=0, le=1, description="learned: least probability of being one object that joins two pieces"
    )
    join_things: float = Field(
        0.4, gt=0, le=1, description="votes, and the live cloud: share of votes that joins two touching pieces"
    )
    join_patches: float = Field(0.5, gt=0, le=1, description="votes: share of votes that joins two patches of a plane")
    min_voxels: int = Field(40, ge=1, description="smallest instance")


class ViewsConfig(Part):
    """Keyframes kept for queries by words."""

    most: int = Field(120, ge=0, description="keyframes kept, those that together show most; 0 = none, and no queries")
    width_px: int = Field(640, ge=64, description="their colour images are made no wider than this")
    jpeg_quality: int = Field(90, ge=1, le=100, description="quality at which these are compressed")


class Config(Part):
    """Everything that changes the result."""

    input: InputConfig = InputConfig()
    poses: PosesConfig = PosesConfig()
    masks: MasksConfig = MasksConfig()
    propagation: PropagationConfig = PropagationConfig()
    tracking: TrackingConfig = TrackingConfig()
    map: MapConfig = MapConfig()
    finishing: FinishingConfig = FinishingConfig()
    views: ViewsConfig = ViewsConfig()
    foundation: FoundationConfig = FoundationConfig()


def load_config(file: Path | None = None, settings: Iterable[str] = ()) -> Config:
    """Defaults, overridden by a YAML file, overridden by `part.name=value` settings. Raises UserError."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            read = parse_yaml(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"The configuration {file} cannot be read: {error}.") from None
        if read is not None and not isinstance(read, dict):
            raise UserError(
                f"The configuration {file} must hold parts such as `tracking:`; found {type(read).__name__}."
            )
        given = [pair for name, value in (read or {}).items() for pair in written_out(str(name), value)]
        for path, count in Counter(path for path, _ in given).items():
            if count > 1:
                raise UserError(f"The configuration {file} gives {path} twice, written out and nested: leave one out.")
        for path, value in given:
            set_value(values, path, value)
    for setting in settings:
        set_value(values, *parse_setting(setting))
    return build_config(values)


def parse_setting(setting: str, example: str = "tracking.keyframe_stride=10") -> tuple[str, Any]:
    """`part.name=value` -> its dotted path and value. Raises UserError."""
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise UserError(f"A setting is written part.name=value, for example {example}; found {setting!r}.")
    try:
        return path.strip(), parse_yaml(text)
    except ValueError:
        raise UserError(f"The value of {path.strip()} cannot be understood: {text!r}; write it as in YAML.") from None


def set_value(values: dict[str, Any], path: str, value: Any) -> None:
    """Put `value` at the dotted `path` of nested dictionaries; of a dictionary, each of its values."""
    for whole, setting in written_out(path, value):
        *parts, name = whole.split(".")
        part_values = values
        for part in parts:
            part_values = part_values.setdefault(part, {})
            if not isinstance(part_values, dict):
                raise UserError(f"The setting {whole} goes through {part}, which is a value, not a part.")
        part_values[name] = setting


def written_out(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of each value in a dictionary at `path`, or of the value that is there."""
    if isinstance(value, dict) and value:
        for below, part_value in value.items():
            yield from written_out(f"{path}.{below}", part_value)
    else:
        yield path, value


def build_config(values: dict[str, Any], model: type[P] = Config) -> P:  # type: ignore[assignment]
    """Nested dictionaries -> `model`; the first mistake becomes one sentence."""
    try:
        return model.model_validate(values)
    except ValidationError as errors:
        first = errors.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            settings = [path for path, _ in flat_fields(model)]
            parts = sorted({path.rpartition(".")[0] for path in settings})
            hint = did_you_mean(where.lower(), [*settings, *parts], f"known are {', '.join(settings)}.")
            raise UserError(f"There is no setting {where}: {hint}") from None
        raise UserError(f"The setting {where} = {first.get('input')!r} is not allowed: {first['msg']}.") from None


def flat_fields(part: type[Part] = Config, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """(dotted path, pydantic field) of every setting: what becomes a ROS parameter."""
    for name, info in part.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Part):
            yield from flat_fields(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info
