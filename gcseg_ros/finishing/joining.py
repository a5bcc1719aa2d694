"""What is learned for joining the pieces of a map: the decision whether two are one object, and how good an object has become.

Trained on generated rooms (`joining.npz`; with what the 3D segmenter says, `joining_network.npz`; `python -m offline_training.joining`;
docs/joining.md).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal
from zipfile import BadZipFile

import numpy as np

from gcseg_ros.errors import UserError
from gcseg_ros.finishing.described_pieces import DescribedPieceGraph
from gcseg_ros.finishing.masked_pieces import MaskedPieceGraph
from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.joining.model import JoiningModel

Joining = Literal["learned", "network"]
WEIGHTS: dict[Joining, Path] = {
    "learned": Path(__file__).with_name("joining.npz"),
    "network": Path(__file__).with_name("joining_network.npz"),
}
GRAPHS: dict[Joining, type[PieceGraph]] = {"learned": DescribedPieceGraph, "network": MaskedPieceGraph}


def load_model(file: Path, joining: Joining) -> JoiningModel:
    """Raises UserError if the file is missing, broken or of another version."""
    kind = GRAPHS[joining]
    try:
        with np.load(file, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        if arrays["features"].tolist() != kind.feature_names():
            raise ValueError("it was trained on other features")
        return JoiningModel.of(arrays, kind)
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise UserError(
            f"The joining weights {file} cannot be used ({error}): reinstall the package or make them with "
            "`python -m offline_training.joining`."
        ) from None


def save_model(model: JoiningModel, file: BinaryIO, joining: Joining) -> None:
    kind, arrays = GRAPHS[joining], dict[str, Any](model.arrays())
    np.savez_compressed(file, features=np.array(kind.feature_names()), **arrays)


def joining_of(setting: Literal["auto", "learned", "network"]) -> Joining:
    """What `finishing.joining` means."""
    return "network" if setting == "network" else "learned"


@cache
def shipped_model(setting: Literal["auto", "learned", "network"]) -> JoiningModel:
    """The model that comes with the package for a setting of `finishing.joining`."""
    joining = joining_of(setting)
    return load_model(WEIGHTS[joining], joining)
