"""The environment variables of Fast DDS: the one that names a file of profiles, whose name changed between ROS distributions, and
the one that chooses transports."""

from __future__ import annotations

import os

BEFORE_KILTED = ("humble", "iron", "jazzy")
"""Their Fast DDS 2 reads the old name only."""
OLD, NEW = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"

TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"
"""UDPv4 where containers have no common /dev/shm, LARGE_DATA for wifi. Profiles with transports of their own overrule it."""


def profiles_variable() -> str:
    """The variable that Fast DDS of the ROS distribution of this shell reads."""
    return OLD if os.environ.get("ROS_DISTRO") in BEFORE_KILTED else NEW


def profiles_given() -> dict[str, str]:
    """What is set of the two variables, by name."""
    return {name: os.environ[name] for name in (OLD, NEW) if os.environ.get(name)}


def transports_given() -> str:
    """What the user has set of TRANSPORTS; empty if nothing."""
    return os.environ.get(TRANSPORTS, "")
