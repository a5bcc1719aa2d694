"""Packages that only some settings need: what one is told to install."""

import shutil
import subprocess
import sys
from pathlib import Path

import gcseg_ros
from gcseg_ros.packages import extra


def test_with_a_checkout_it_is_installed_anew_with_the_extra():
    root = Path(__file__).parents[1]
    assert extra("viewer") == f"{sys.executable} -m pip install -e '{root}[viewer]'"


def test_without_a_checkout_the_packages_of_the_extra_are_named(tmp_path):
    """As from a wheel or a git URL: pip refuses `-e` there."""
    shutil.copytree(Path(gcseg_ros.__file__).parent, tmp_path / "gcseg_ros", ignore=shutil.ignore_patterns("*.pt"))
    code = f"import sys; sys.path[0] = '{tmp_path}'; from gcseg_ros.packages import extra; print(extra(sys.argv[1]))"

    def told(name):
        return subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True).stdout

    assert told("viewer") == f"{sys.executable} -m pip install 'rerun-sdk>=0.20'\n"
    assert " ros-rclpy ros-rmw-fastrtps-cpp " in told("ros")
