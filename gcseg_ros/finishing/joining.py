"""What is learned for joining the pieces of a map: the decision whether two are one object, and how good an object has become.

Trained on generated rooms (`joining.npz`; `python -m offline_training.joining`; docs/joining.md).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gcseg_ros.errors import UserError, quoted
from gcseg_ros.files import read_arrays
from gcseg_ros.finishing.piece_features import PieceGraph
from gcseg_ros.joining.model import JoiningModel

WEIGHTS = Path(__file__).with_name("joining.npz")
MOST_BYTES = 1 << 26  # of the arrays in such a file, which is compressed; those of the shipped one have 3 MB


def load_model(file: Path) -> JoiningModel:
    """Raises UserError if the file is missing, broken or of another version."""
    try:
        arrays = read_arrays(file, most=MOST_BYTES)
        if arrays["features"].tolist() != PieceGraph.feature_names():
            raise ValueError("it was trained on other features")
        return JoiningModel.of(arrays, PieceGraph)
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"The joining weights {file} cannot be used ({quoted(error)}): reinstall the package or make them with "
            "`python -m offline_training.joining`."
        ) from None


def save_model(model: JoiningModel, file: BinaryIO) -> None:
    arrays = dict[str, Any](model.arrays())
    np.savez_compressed(file, features=np.array(PieceGraph.feature_names()), **arrays)


@cache
def shipped_model() -> JoiningModel:
    """The model that comes with the package."""
    return load_model(WEIGHTS)
