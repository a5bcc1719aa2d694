"""The register of furniture: families ("chair") of designs ("armchair"), each a function `Look -> Item`.

Designs marked held out appear in the held-out styles only, so that generalisation to unseen furniture can be measured.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TypeVar

from gcseg_ros.recordings.synthetic.items import Item
from gcseg_ros.recordings.synthetic.look import Look

Design = TypeVar("Design", bound=Callable[..., Item])

TRAINING: dict[str, dict[str, Callable[..., Item]]] = {}
HELD_OUT: dict[str, dict[str, Callable[..., Item]]] = {}


def design(family: str, held_out: bool = False) -> Callable[[Design], Design]:
    """Register a function as a design of a family, under its own name."""

    def register(function: Design) -> Design:
        (HELD_OUT if held_out else TRAINING).setdefault(family, {})[function.__name__] = function
        return function

    return register


def make(family: str, look: Look, **settings: object) -> Item:
    """An item of the family, in a design that the style allows, its footprint centred and standing on z = 0."""
    load()
    found = TRAINING.get(family, {})
    if look.style.held_out:
        found = HELD_OUT.get(family, found)
    names = look.style.designs.get(family) or tuple(found)
    name = look.choose(names)
    return found[name](look, **settings).centred()


def load() -> None:
    """Import all furniture modules once."""
    if not TRAINING:
        package = importlib.import_module("gcseg_ros.recordings.synthetic.furniture")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
