"""Class-agnostic 3D instance maps from posed RGB-D video. The core; ROS 2 lives in `gcseg_ros.nodes` only."""

__version__ = "0.1.0"
