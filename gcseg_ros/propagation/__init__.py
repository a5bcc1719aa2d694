"""Carrying masks from a keyframe to the frames after it (Eq. 8, 10)."""

from gcseg_ros.config import FoundationConfig, PropagationConfig
from gcseg_ros.packages import SAM2, require_packages
from gcseg_ros.propagation.reprojection import Propagator, ReprojectionPropagator

__all__ = ["Propagator", "ReprojectionPropagator", "build_propagator"]


def build_propagator(config: PropagationConfig, foundation: FoundationConfig) -> Propagator:
    """The propagator that `propagation.method` names. Raises UserError if its package, weights or device is not there."""
    if config.method == "reprojection":
        return ReprojectionPropagator()
    require_packages("propagation.method=sam2", SAM2)
    from gcseg_ros.propagation.sam2 import build_sam2_propagator

    return build_sam2_propagator(config.sam2, foundation)
