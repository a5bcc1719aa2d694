"""The environment variable that names a file of Fast DDS profiles: its name changed between ROS distributions."""

from __future__ import annotations

import os

BEFORE_KILTED = ("humble", "iron", "jazzy")
"""Their Fast DDS 2 reads the old name only."""
OLD, NEW = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"


def profiles_variable() -> str:
    """The variable that Fast DDS of the ROS distribution of this shell reads."""
    return OLD if os.environ.get("ROS_DISTRO") in BEFORE_KILTED else NEW


def profiles_given() -> dict[str, str]:
    """What is set of the two variables, by name."""
    return {name: os.environ[name] for name in (OLD, NEW) if os.environ.get(name)}
