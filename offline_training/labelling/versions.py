"""What labels may depend on beside the settings: versions, and the weights that the settings use."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gcseg_ros
from gcseg_ros.finishing import joining
from gcseg_ros.masks import boundary_network
from gcseg_ros.weights import locate
from gcseg_ros.weights.store import sha256
from offline_training.labelling.scene import Labelling


def versions(settings: Labelling) -> dict[str, str]:
    """Of packages, and digests of the weights in use. Raises UserError where these are not there."""
    found = {"gcseg_ros": gcseg_ros.__version__, "python": platform.python_version()}
    found |= {name: sha256(file)[:16] for name, file in weights(settings)}
    for name in ("numpy", "scipy", "numba", "opencv-python-headless", "onnxruntime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def weights(settings: Labelling) -> Iterator[tuple[str, Path]]:
    """What uses them, and their file."""
    config = settings.mapping
    folder = config.foundation.weights_dir
    if config.masks.generator == "learned":
        yield "masks", locate(config.masks.boundary_network or boundary_network.WEIGHTS)
    elif config.masks.generator != "geometric":
        yield "masks", locate(config.masks.sam_weights, folder)
    if settings.stage == 1:
        return
    if config.propagation.method == "sam2":
        yield "propagation", locate(config.propagation.sam2.weights, folder)
    if config.finishing.joining != "votes":
        yield "joining", joining.WEIGHTS
