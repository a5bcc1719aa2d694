"""Weights of foundation models and published checkpoints: known by name, found in a folder, fetched and verified.

    >>> from gcseg_ros.weights import locate
    >>> locate("sam-vit-b")  # or a file of one's own; a UserError says which file to put where

Nothing here needs torch or the network but `fetch`.
"""

from gcseg_ros.weights.download import fetch
from gcseg_ros.weights.store import FOLDER_VARIABLE, State, locate, state_of, weights_folder
from gcseg_ros.weights.table import TABLE, Weights, named

__all__ = ["FOLDER_VARIABLE", "TABLE", "State", "Weights", "fetch", "locate", "named", "state_of", "weights_folder"]
