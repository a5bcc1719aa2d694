"""Carrying masks from a keyframe to the frames after it (Eq. 8, 10)."""

from gcseg_ros.propagation.reprojection import Propagator, ReprojectionPropagator

__all__ = ["Propagator", "ReprojectionPropagator"]
