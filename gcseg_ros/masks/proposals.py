"""What every mask generator gives: the masks to track, and the same view at several levels of granularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gcseg_ros.config import FoundationConfig, MasksConfig
from gcseg_ros.masks.masks import Labels
from gcseg_ros.packages import SAM, require_packages
from gcseg_ros.views import View

if TYPE_CHECKING:
    from gcseg_ros.masks.boundary_network import BoundaryMaps


@dataclass(frozen=True)
class Proposals:
    """Masks of one keyframe at working resolution.

    detections  (h, w) int32: the masks that are tracked (S1 of Algorithm 1), 0 = none
    levels      label images from fine to coarse: each votes on which touching objects are one
    maps        what the boundary network says of each pixel; None if the generator has none
    """

    detections: Labels
    levels: tuple[Labels, ...]
    maps: BoundaryMaps | None = None


class MaskGenerator(Protocol):
    """Finds the masks of a view, each view on its own."""

    def __call__(self, view: View) -> Proposals: ...


def build_generator(config: MasksConfig, foundation: FoundationConfig | None = None, threads: int = 2) -> MaskGenerator:
    """The generator that `masks.generator` names. Raises UserError if its package, weights or device is not there.

    threads  of the boundary network; the masks are the same
    """
    if config.generator in ("sam", "sam2"):
        needed = SAM if config.generator == "sam" else (*SAM, "sam2")
        require_packages(f"masks.generator={config.generator}", needed)
        from gcseg_ros.masks.sam import build_sam_generator

        return build_sam_generator(config, foundation or FoundationConfig())
    if config.generator == "geometric":
        from gcseg_ros.masks.geometric import GeometricGenerator

        return GeometricGenerator(config)
    from gcseg_ros.masks.learned import LearnedGenerator

    return LearnedGenerator(config, threads)
