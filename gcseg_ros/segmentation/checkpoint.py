"""Checkpoints: ours, and those of Mask3D and Segment3D. Nothing in a file is ever executed (`weights_only`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gcseg_ros.errors import UserError, quoted
from gcseg_ros.files import check_stored
from gcseg_ros.joining.model import JoiningModel
from gcseg_ros.networks.parameters import mismatched, write_parameters
from gcseg_ros.segmentation.network import Mask3D, NetworkConfig
from gcseg_ros.segmentation.res16unet import ARCHITECTURES, Res16UNet
from gcseg_ros.segmentation.segment_graph import SegmentGraph
from gcseg_ros.weights import TABLE, locate

FORMAT = "gcseg_ros segmenter 1"
FEATURES = SegmentGraph.feature_names()
"""That the decision which segments are one object rests on."""

RENAMES: tuple[tuple[str, str | None], ...] = (
    ("criterion.", None),
    ("model.", ""),
    ("query_projection.layers.", "query_projection."),
)
"""Beginnings of names in the published checkpoints (PyTorch Lightning around Mask3D's model) -> ours; None: left out.
Everything else has the same name: backbone, mask_features_head, pos_enc, cross_attention, self_attention, ffn_attention,
lin_squeeze, decoder_norm, mask_embed_head, class_embed_head."""


class Checkpoint(NamedTuple):
    """network: on the CPU, in evaluation mode, float32; post_processing: the settings that belong to it, those that are
    not the defaults; joining: the learned decision which geometric segments are one object, if it has one; notes: how
    it was trained."""

    network: Mask3D
    post_processing: dict[str, Any]
    joining: JoiningModel | None
    notes: dict[str, Any]


class Inert:
    """Stands for every foreign object in a checkpoint (configuration of the training): takes anything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def save(
    network: Mask3D,
    path: str | Path,
    half: bool = True,
    post_processing: Mapping[str, Any] | None = None,
    joining: JoiningModel | None = None,
    **notes: Any,
) -> None:
    """Write a checkpoint, in float16 if `half`. Raises UserError, also where a parameter is not finite.

    post_processing  settings of `PostProcessing` that its masks want
    joining          the decision which segments are one object, of `offline_training.join_segments`
    notes            plain values that are stored with it (how it was trained)
    """
    state = {
        name: (value.half() if half and value.is_floating_point() else value).cpu()
        for name, value in network.state_dict().items()
    }
    if broken := not_finite(state):
        raise UserError(
            f"{path} is not written: {len(broken)} of the network's {len(state)} parameters are not finite{' in float16' if half else ''}, first "
            f"{broken[0]}. Its training has diverged: train with a lower rate."
        )
    content = {
        "format": FORMAT,
        "config": asdict(network.config),
        "post_processing": dict(post_processing or {}),
        "notes": notes,
        "state_dict": state,
    }
    if joining is not None:
        arrays = {name: torch.from_numpy(array) for name, array in joining.arrays().items()}
        content["joining"] = {"features": FEATURES, "arrays": arrays}
    write_parameters(content, path)


def load(path: str | Path) -> Checkpoint:
    """Raises UserError."""
    path = Path(path)
    content = read(path)
    state = content.get("state_dict", content)
    if not (isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise UserError(
            f"{path} holds no parameters of a network: expected a checkpoint of gcseg_ros, Mask3D or Segment3D."
        )
    post_processing: dict[str, Any] = {}
    joining, notes = None, {}
    try:
        if content.get("format") == FORMAT:
            config = NetworkConfig(**content["config"])
            post_processing, notes = dict(content.get("post_processing", {})), dict(content.get("notes", {}))
            joining = joining_of(content["joining"]) if "joining" in content else None
        else:
            state = converted(state)
            config = config_of(state)
        with torch.device("meta"):  # what does not fit takes no memory
            wanted = Mask3D(config).state_dict()
        if wrong := mismatched(wanted, state):
            raise UserError(
                f"{path} does not fit the architecture {config.architecture}: {len(wrong)} parameters are missing, too many or of another shape, "
                f"first {wrong[0]}."
            )
        network = Mask3D(config)
        network.load_state_dict(state)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise UserError(
            f"{path} is not a checkpoint of this architecture ({type(error).__name__}: {quoted(error)}): expected one of gcseg_ros, Mask3D or Segment3D."
        ) from None
    if broken := not_finite(network.state_dict()):
        raise UserError(
            f"{path} finds nothing: {len(broken)} of its network's parameters are not finite, first {broken[0]}. Its training has diverged, or "
            "the file is damaged: give another."
        )
    return Checkpoint(network.eval(), post_processing, joining, notes)


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """The names of parameters with NaN or infinity."""
    return [name for name, value in state.items() if not value.isfinite().all()]


def joining_of(content: Mapping[str, Any]) -> JoiningModel:
    """Raises ValueError or KeyError if it is not what `save` wrote."""
    if content["features"] != FEATURES:
        raise ValueError("its joining was trained on other features: train it again (offline_training.join_segments)")
    arrays = {name: array.numpy() for name, array in content["arrays"].items()}
    return JoiningModel.of(arrays, SegmentGraph)


def read(path: Path) -> dict[str, Any]:
    """The content of a file of torch.save; foreign classes in it become `Inert`. Raises UserError."""
    if not path.is_file():
        names = f" or one of the names {', '.join(shipped())}" if shipped() else ""
        raise UserError(f"There is no checkpoint {path}: give the file of one{names}.")
    try:
        check_stored(path)
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(Inert, name) for name in foreign]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no common type for broken files
        raise UserError(
            f"The checkpoint {path} cannot be read ({quoted(error)}): it is damaged, cut off, or was not written by torch.save."
        ) from None
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds a {type(content).__name__}: expected a checkpoint of gcseg_ros, Mask3D or Segment3D."
        )
    return content


def converted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of a published checkpoint under our names. 1x1 convolutions over queries are our linear layers."""
    result = {}
    for name, value in state.items():
        ours: str | None = name
        for theirs, mine in RENAMES:
            if ours is not None and ours.startswith(theirs):
                ours = None if mine is None else mine + ours[len(theirs) :]
        if ours is not None:
            result[ours] = value.squeeze(-1) if ours.startswith("query_projection.") and value.ndim == 3 else value
    return result


def config_of(state: dict[str, Tensor]) -> NetworkConfig:
    """The configuration that these parameters belong to, from their shapes. Heads and rounds leave no trace: Mask3D's 8 and 3."""
    config = replace(
        NetworkConfig(),
        channels=state["backbone.conv0p1s1.kernel"].shape[1],
        head_classes=state["backbone.final.kernel"].shape[1],
        hidden=state["mask_features_head.kernel"].shape[1],
        feedforward=state["ffn_attention.0.0.linear1.weight"].shape[0],
        classes=state["class_embed_head.weight"].shape[0],
    )
    shapes = {n.removeprefix("backbone."): tuple(v.shape) for n, v in state.items() if n.startswith("backbone.")}
    for name in ARCHITECTURES:
        with torch.device("meta"):
            backbone = Res16UNet(name, config.channels, config.head_classes)
        if {n: tuple(v.shape) for n, v in backbone.state_dict().items()} == shapes:
            return replace(config, architecture=name)
    raise ValueError(f"its backbone is none of {', '.join(ARCHITECTURES)}")


def shipped() -> dict[str, Path]:
    """The checkpoints that come with the package, by name."""
    return {file.stem: file for file in sorted(Path(__file__).parent.glob("*.pt"))}


def find(name: str | Path | None) -> Path:
    """The file of a checkpoint: a path, the name of one that comes with the package (None: the first of these), or of
    `gcseg weights`.

    Raises UserError.
    """
    known = shipped()
    if name is None:
        if not known:
            raise UserError(
                "This version of gcseg_ros comes without a trained checkpoint: give the file of one as `checkpoint` (ours, Mask3D's or Segment3D's)."
            )
        return next(iter(known.values()))
    if str(name) in known:
        return known[str(name)]
    return locate(name) if str(name) in {entry.name for entry in TABLE} else Path(name)
