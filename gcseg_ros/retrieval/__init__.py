"""Objects by words: CLIP features of each instance's best views, and their cosine with a text's (OpenMask3D's protocol).

gatherer (views kept while mapping) -> views (their file) -> selection (which views show an instance, crops)
-> encoder (CLIP) -> features (averaged per instance) -> retrieval (scores, ranking) -> heat (colours).

    from gcseg_ros.retrieval import OpenClip, Retrieval, heat_colours

    encoder = OpenClip.load("clip-vit-b-32")                    # once: seconds; UserError where package or weights are missing
    retrieval = Retrieval.load("out/my_room", encoder)          # a folder of gcseg map: its views and features, which are
                                                                # computed and kept there the first time; UserError
    retrieval = Retrieval.of(instances, views, encoder)         # or from an InstanceMap and read_views(...)
    scores = retrieval.query(["red mug"], negatives=["bowl"])   # (T, I) float32, NaN = in no view; milliseconds; UserError
    retrieval.ids                                               # (I,) the instance of each column
    retrieval.ranking(scores[0], most=5)                        # [Hit(object: ObjectInstance, score, views), ...], best first
    retrieval.per_point(scores[0])                              # (N,) float32 score of each point of retrieval.instances
    heat_colours(retrieval.per_point(scores[0]))                # (N, 3) uint8, green - yellow - red; grey = NaN
    retrieval.remarks(["rote Tasse"])                           # sentences worth telling the user, for example another script

Everything a user can cause (no views, an empty query, missing weights) is a UserError of one sentence. Only `encoder`
imports torch and open_clip, and only when a model is loaded. A stand-in for CLIP is anything with `Encoder`'s members.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcseg_ros.retrieval.encoder import Encoder, OpenClip
    from gcseg_ros.retrieval.gatherer import ViewGatherer
    from gcseg_ros.retrieval.heat import heat_colours
    from gcseg_ros.retrieval.retrieval import Hit, Retrieval
    from gcseg_ros.retrieval.views import StoredView, read_views, write_views

__all__ = [
    "Encoder",
    "Hit",
    "OpenClip",
    "Retrieval",
    "StoredView",
    "ViewGatherer",
    "heat_colours",
    "read_views",
    "write_views",
]

_MODULES = {
    **dict.fromkeys(("Encoder", "OpenClip"), "encoder"),
    **dict.fromkeys(("Hit", "Retrieval"), "retrieval"),
    **dict.fromkeys(("StoredView", "read_views", "write_views"), "views"),
    **{"ViewGatherer": "gatherer", "heat_colours": "heat"},
}


def __getattr__(name: str) -> object:
    """What is asked for is imported then, so that the command line's help comes at once."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
