"""A trained network -> one ONNX file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import torch

from gcseg_ros.masks.boundary_network import CHANNELS
from offline_training.boundaries.appearance import Floats
from offline_training.boundaries.network import BoundaryUNet, Calibrated

OUTPUTS = ("maps", "affinities", "appearance")


def export(network: BoundaryUNet, scale: float, bias: float, mean: Floats, components: Floats, path: Path) -> None:
    """Write `network`, calibrated, with the `principal_components` of what it knows, to `path`: input `features` (1, CHANNELS, H, W),
    outputs `maps` (1, 2, H, W), `affinities` (1, K, H/2, W/2), `appearance` (1, APPEARANCE_CHANNELS, H/4, W/4)."""
    known = (torch.from_numpy(x).float() for x in (mean, components))
    model = Calibrated(network, scale, bias, *known).eval()
    temporary = path.with_name(path.name + ".tmp")
    with warnings.catch_warnings():
        # the tracing exporter is all that is needed, without onnxscript
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (torch.zeros(1, CHANNELS, 240, 320),),
            str(temporary),
            input_names=["features"],
            output_names=[*OUTPUTS],
            dynamic_axes={name: {2: f"{name}_rows", 3: f"{name}_columns"} for name in ("features", *OUTPUTS)},
            opset_version=17,
            dynamo=False,
        )
    os.replace(temporary, path)
