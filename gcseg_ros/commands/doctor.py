"""`gcseg doctor`: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

import gcseg_ros
from gcseg_ros.errors import UserError
from gcseg_ros.packages import INSTALL, extra, is_installed, requirements
from gcseg_ros.ros_types.dds import TRANSPORTS, profiles_given, profiles_variable, transports_given
from gcseg_ros.share import config_file
from gcseg_ros.weights import FOLDER_VARIABLE, TABLE, weights_folder

NEEDED = "numpy", "scipy", "numba", "opencv", "pydantic", "pyyaml", "typer", "rich", "rosbags", "onnxruntime"
TRAINING = "lightning", "tensorboard", "scikit-learn", "onnx"
OPENCV = "opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"
COVERAGE = "7.6.1"
"""numba cannot be imported beside an older one (numba/numba#10239), such as apt's on Ubuntu 22.04 and 24.04."""


@dataclass(frozen=True)
class Check:
    """One line: a name, what was found, whether it will do, and what to do where not. Mapping works without optional ones."""

    name: str
    found: str
    ok: bool = True
    advice: str = ""
    optional: bool = False


def checks() -> list[Check]:
    """Everything looked at, in order. Nothing is changed, and nothing that is slow or may crash is imported here."""
    return [
        Check("gcseg_ros", f"{gcseg_ros.__version__} in {Path(gcseg_ros.__file__).parent}"),
        system(),
        python(),
        *(package(name) for name in NEEDED),
        *coverage(),
        compiler(),
        network(),
        cores(),
        memory(),
        gpu(),
        ros(),
        shared_memory(),
        dds_profile(),
        package("torch", f"for gcseg segment: {extra('segmentation')}", "segmentation"),
        package("open_clip_torch", f"for gcseg query: {extra('retrieval')}", "retrieval"),
        package("rerun-sdk", f"for gcseg view --rrd: {extra('viewer')}", "viewer"),
        package("segment-anything", f"for --masks sam: {INSTALL['torch']} segment-anything", "sam"),
        package("sam2", f"for --propagation sam2, after torch: {INSTALL['sam2']}", "sam"),
        *(package(name, f"for training: {extra('train')}", "train") for name in TRAINING),
        package("ray", f"for labelling with --engine ray: {extra('ray')}", "ray"),
        weights(),
    ]


def lines(found: Iterable[Check]) -> list[str]:
    """A line a check, with rich's markup."""
    shown = []
    for check in found:
        mark, style = ("ok", "green") if check.ok else ("optional", "yellow") if check.optional else ("not ok", "red")
        advice = "" if check.ok or not check.advice else f": {check.advice}"
        shown.append(f"[{style}]{mark:8}[/] {check.name:16} {escape(check.found + advice)}")
    return shown


def system() -> Check:
    """On Windows no command runs, this one neither."""
    return Check("system", platform.platform(), sys.platform == "linux", "only Linux is tested", optional=True)


def python() -> Check:
    return Check(
        "Python",
        f"{platform.python_version()} in {sys.prefix}",
        sys.version_info >= (3, 10),
        "gcseg_ros needs Python 3.10 or later",
    )


def package(name: str, advice: str = "", of: str | None = None) -> Check:
    """An installed distribution, not older than setup.py asks for. One with advice is optional: the extra `of` brings it."""
    names = OPENCV if name == "opencv" else (name,)
    least = requirements(of).get(names[0], "").removeprefix(">=")
    for distribution in names:
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        too_old = f"gcseg_ros needs >={least}: {install(distribution, least)}"
        return Check(name, version, numbers(version) >= numbers(least), too_old, optional=bool(advice))
    if name == "opencv" and importlib.util.find_spec("cv2"):
        return Check(name, "without a version: it is from apt")
    return Check(name, "not installed", False, advice or install(names[0], least), optional=bool(advice))


def install(distribution: str, least: str) -> str:
    here = f"pip install '{distribution}>={least}'" if least else f"pip install {distribution}"
    return here if sys.prefix != sys.base_prefix else f"{here}, or activate the virtual environment"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def coverage() -> list[Check]:
    """Nothing here needs it, but numba imports it where it is."""
    try:
        version = importlib.metadata.version("coverage")
    except importlib.metadata.PackageNotFoundError:
        return []
    advice = f"numba cannot be imported beside it: {install('coverage', COVERAGE)}"
    return [Check("coverage", version, numbers(version) >= numbers(COVERAGE), advice)]


def compiler() -> Check:
    """numba compiles the loops on the first run and keeps them: in NUMBA_CACHE_DIR, beside a checkout's files, or in the user's cache."""
    places = [str(Path(gcseg_ros.__file__).parent), os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")]
    if is_installed(gcseg_ros.__file__):
        places.reverse()
    for folder in (os.environ.get("NUMBA_CACHE_DIR"), *places):
        if folder and can_be_made(Path(folder)):
            return Check("numba's cache", f"writable in {folder}")
    advice = "set NUMBA_CACHE_DIR to a writable folder, or each run compiles anew (about half a minute)"
    return Check("numba's cache", "not writable", False, advice, optional=True)


def can_be_made(folder: Path) -> bool:
    """Whether this user can write in the folder, or make it."""
    there = next(above for above in (folder.absolute(), *folder.absolute().parents) if os.path.exists(above))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def network() -> Check:
    """Whether the learned masks' network is there."""
    file = Path(gcseg_ros.__file__).parent / "masks" / "boundary.onnx"
    if file.is_file():
        return Check("boundary network", f"{file.stat().st_size / 1e6:.1f} MB")
    return Check("boundary network", "boundary.onnx is not in the package", False, "use --masks geometric", True)


def cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check(
        "processor", f"{usable} cores, {platform.machine()}", usable >= 2, "two cores keep up with a camera", True
    )


def memory() -> Check:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(lines[name].split()[0]) / 1e6 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return Check("memory", "unknown")
    return Check("memory", f"{free:.1f} of {total:.1f} GB free", free > 1.5, "mapping a house needs about 1 GB", True)


def gpu() -> Check:
    """Named for the record: nothing here needs one."""
    command = shutil.which("nvidia-smi")
    if command:
        query = [command, "--query-gpu=name", "--format=csv,noheader"]
        try:
            names = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.split("\n")
            return Check("GPU", ", ".join(filter(None, names)) + " (not needed)")
        except (OSError, subprocess.SubprocessError):
            pass
    return Check("GPU", "none found (not needed)")


def weights() -> Check:
    """Weights of foundation models; their sizes are looked at, not their checksums."""
    try:
        folder = weights_folder()
    except UserError:
        return Check("weights", "no home folder to keep them in", False, f"set {FOLDER_VARIABLE} to a folder", True)
    there = [entry for entry in TABLE if (folder / entry.file).is_file()]
    broken = [e.name for e in there if e.size is not None and (folder / e.file).stat().st_size != e.size]
    if broken:
        return Check("weights", f"{', '.join(broken)} not whole in {folder}", False, "gcseg weights fetch NAME", True)
    if not there:
        return Check("weights", f"none in {folder}", False, "for SAM, SAM 2 and CLIP: gcseg weights fetch NAME", True)
    return Check("weights", f"{', '.join(entry.name for entry in there)} in {folder}")


def ros() -> Check:
    if importlib.util.find_spec("rclpy") is None:
        advice = f"source /opt/ros/DISTRO/setup.bash, or {extra('ros')} on Python 3.11 to 3.13"
        return Check("ROS 2", "rclpy is not importable", False, advice, optional=True)
    distribution = os.environ.get("ROS_DISTRO", "wheels from PyPI")
    middleware = os.environ.get("RMW_IMPLEMENTATION", "default middleware")
    return Check("ROS 2", f"{distribution}, {middleware}, domain {os.environ.get('ROS_DOMAIN_ID', '0')}")


def shared_memory() -> Check:
    """Fast DDS moves images between processes through /dev/shm."""
    try:
        status = os.statvfs("/dev/shm")
        free = status.f_bavail * status.f_frsize / 1e6
        with tempfile.TemporaryFile(dir="/dev/shm"):
            pass
    except OSError:
        return Check("shared memory", "/dev/shm is not usable", False, "images then go over UDP: slower", True)
    advice = "images between processes need 256 MB: docker run --shm-size=512m"
    return Check("shared memory", f"{free:.0f} MB free in /dev/shm", free >= 256, advice, optional=True)


def dds_profile() -> Check:
    """The Fast DDS profile whose shared-memory segment holds whole images; the launch file and the demo set it themselves."""
    name, given = profiles_variable(), profiles_given()
    if name in given:
        there = Path(given[name]).is_file()
        return Check("DDS profile", f"{name}={given[name]}", there, "this file does not exist", optional=True)
    if not given and (transports := transports_given()):
        return Check(
            "DDS profile", f"none, as {TRANSPORTS}={transports} asks: profiles would overrule it", optional=True
        )
    other = f", {' '.join(given)} is: its name in other ROS distributions" if given else ""
    try:
        profile = config_file("fastdds.xml")
    except UserError as error:
        return Check("DDS profile", f"{name} is not set{other}", False, str(error), optional=True)
    advice = f"the launch file sets it; for nodes started by hand: export {name}={shlex.quote(profile)}"
    if given:  # the launch file leaves the matter to the user
        advice = f"export {name} instead"
    return Check("DDS profile", f"{name} is not set{other}", False, advice, optional=True)
