"""2D masks.

Two representations: a label image (H, W) int32, 0 = none, for masks that do not overlap (everything after a keyframe's
masks are settled); and `Masks`, parallel arrays, for proposals that may (SAM's).
"""

from gcseg_ros.masks.masks import Masks, overlaps
from gcseg_ros.masks.proposals import MaskGenerator, Proposals, build_generator

__all__ = ["MaskGenerator", "Masks", "Proposals", "build_generator", "overlaps"]
