"""Networks of SAM 2: any configuration that the installed package `sam2` (or EdgeTAM's, which takes its place) comes with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from gcseg_ros.config import FoundationConfig
from gcseg_ros.errors import UserError, quoted
from gcseg_ros.networks.parameters import fill, read_parameters
from gcseg_ros.networks.runtime import Runtime, shared
from gcseg_ros.weights import locate

SIZES = {96: "t", 112: "b+", 144: "l"}  # width of the first stage -> the configuration's letter
SMALL_BLOCKS = 16  # small is as wide as tiny, but deeper
SIDE = 32  # the encoder halves a picture five times
OVERRIDE = re.compile(r"[A-Za-z_][\w.]*=\S+")


def load_sam2(
    weights: str, configuration: str | None, overrides: str, foundation: FoundationConfig, runtime: Runtime
) -> Any:
    """A SAM2VideoPredictor with these weights, ready on the device; the same one while somebody uses it. Raises UserError."""
    changes = tuple(overrides.split())
    for change in changes:
        if not OVERRIDE.fullmatch(change) or "_target_" in change:
            raise UserError(
                f"A change to SAM 2's configuration is written name=value, as image_size=512; found {change!r}."
            )
        name, _, value = change.partition("=")
        if name == "image_size" and not (value.isdecimal() and int(value) and int(value) % SIDE == 0):
            raise UserError(
                f"SAM 2 takes pictures whose side is a multiple of {SIDE} pixels, as image_size=512; found {change!r}."
            )
    file = locate(weights, foundation.weights_dir)
    key = ("sam2", file.resolve(), configuration, changes, runtime)
    return shared(key, lambda: _load(file, configuration, changes, runtime))


def _load(file: Path, configuration: str | None, changes: tuple[str, ...], runtime: Runtime) -> Any:
    state = read_parameters(file, "SAM 2")
    configuration = configuration or fitting_configuration(state, file)
    network = build_sam2(configuration, changes)
    fill(network, state, file, f"SAM 2 with the configuration {configuration}")
    runtime.place(network, network.image_encoder, network.image_size)
    return network


def build_sam2(configuration: str, changes: tuple[str, ...] = ()) -> Any:
    """A SAM2VideoPredictor without weights, on the CPU. changes: of the configuration's `model`. Raises UserError."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from sam2.build_sam import build_sam2_video_predictor

    try:
        network = build_sam2_video_predictor(
            configuration, device="cpu", hydra_overrides_extra=[f"++model.{change}" for change in changes]
        )
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(
            f"The package sam2 cannot build the configuration {configuration!r} ({quoted(error)}): name one of its own, as "
            "configs/sam2.1/sam2.1_hiera_l.yaml."
        ) from None
    network.fill_hole_area = 0  # needs an extension in CUDA, and only changes the output
    return network


def fitting_configuration(state: dict[str, Tensor], file: Path) -> str:
    """The package's configuration that has such parameters. Raises UserError."""
    if any(name.startswith("spatial_perceiver.") for name in state):
        return "configs/edgetam.yaml"
    stem = state.get("image_encoder.trunk.patch_embed.proj.weight")
    size = SIZES.get(stem.shape[0]) if stem is not None else None
    if size is None:
        raise UserError(
            f"{file} is no checkpoint of SAM 2 that is known by its shape: name its configuration (propagation.sam2.configuration, "
            "masks.sam.configuration), or choose weights of `gcseg weights list`."
        )
    blocks = {name.split(".")[3] for name in state if name.startswith("image_encoder.trunk.blocks.")}
    if size == "t" and len(blocks) == SMALL_BLOCKS:
        size = "s"
    version = "sam2.1" if "no_obj_embed_spatial" in state else "sam2"
    return f"configs/{version}/{version}_hiera_{size}.yaml"
