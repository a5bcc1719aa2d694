"""The files of networks' parameters: read without running what is in them, checked, written in one step.

Needs PyTorch; whoever imports this module has called `require_packages` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gcseg_ros.errors import UserError, quoted
from gcseg_ros.files import atomic_path, check_stored


def read_parameters(file: Path, what: str) -> dict[str, Tensor]:
    """Names and values in a checkpoint of torch.save, bare or under "model" or "state_dict"; no code in it is ever run.

    what: the kind of checkpoint, for the error. Raises UserError.
    """
    try:
        check_stored(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no common type for broken files
        raise UserError(
            f"{file} cannot be read as a checkpoint of {what} ({type(error).__name__}): it is damaged, or something else; compare "
            "it with `gcseg weights verify`, or fetch it again."
        ) from None
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not (isinstance(content, dict) and content and all(isinstance(value, Tensor) for value in content.values())):
        raise UserError(f"{file} holds no parameters of a network: expected a checkpoint of {what}.")
    return content


def fill(network: nn.Module, state: dict[str, Tensor], file: Path, what: str) -> None:
    """Load exactly these parameters. Raises UserError if they are not those of the network."""
    if wrong := mismatched(network.state_dict(), state):
        raise UserError(
            f"{file} is no checkpoint of {what}: {len(wrong)} parameters are missing, too many or of another shape, first "
            f"{wrong[0]}; choose the weights and the configuration that belong together."
        )
    network.load_state_dict(state)


def mismatched(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Names of parameters that only one of the two has; where there are none, of those whose shapes differ. Empty: they fit."""
    return sorted(wanted.keys() ^ given.keys()) or [name for name in wanted if wanted[name].shape != given[name].shape]


def write_parameters(content: Mapping[str, Any], path: str | Path) -> None:
    """As `torch.save`, in one step, and the same bytes for the same content. Raises UserError where it cannot be written."""
    with atomic_path(path) as temporary:
        try:
            # given a path, torch.save writes its name, which is random, into the file
            with temporary.open("wb") as file:
                torch.save(content, file)
        except (OSError, RuntimeError) as error:  # torch has its own way to say that the disk is full
            said = getattr(error, "strerror", None) or quoted(error)
            raise OSError(None, f"{said}; is the disk full?") from None
