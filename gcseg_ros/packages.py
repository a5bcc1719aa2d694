"""Packages that only some settings need."""

from __future__ import annotations

import getpass
import importlib.metadata
import importlib.util
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from gcseg_ros.errors import UserError

INSTALL = {
    "torch": "pip install torch torchvision",
    "torchvision": "pip install torchvision",
    "segment_anything": "pip install segment-anything",
    "sam2": "SAM2_BUILD_CUDA=0 pip install --no-build-isolation sam2",
}
SAM = "torch", "torchvision", "segment_anything"
SAM2 = "torch", "torchvision", "sam2"


def is_installed(file: str) -> bool:
    """Whether pip or colcon has put this file where it is; else it is of a checkout."""
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(file).resolve().parts)


def requirements(extra: str | None = None) -> dict[str, str]:
    """What this package needs, or an extra of it does: versions by name, such as {"numpy": ">=1.26"}."""
    try:
        lines = importlib.metadata.requires("gcseg_ros") or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        lines = []
    found = {}
    for line in lines:
        needed, _, marker = line.partition(";")
        of = re.search(r"extra == .(\w+)", marker)
        if extra == (of and of[1]):
            name = re.split(r"[^\w.-]", needed, maxsplit=1)[0]
            found[name] = needed.removeprefix(name).strip()
    return found


def extra(name: str) -> str:
    """The command that installs an extra of this package. It is not on PyPI: a checkout is installed anew, with more."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "setup.py").is_file():
        return f"{sys.executable} -m pip install -e '{checkout}[{name}]'"
    return shlex.join([sys.executable, "-m", "pip", "install", *map("".join, requirements(name).items())])


def require_packages(who: str, names: tuple[str, ...], of: str | None = None) -> None:
    """Raises UserError, with how to install it, for the first of these that is not there. Imports nothing; call it before you do.

    of  the extra that brings them; None: each is installed by itself
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            install = extra(of) if of else INSTALL[name]
            raise UserError(f"{who} needs the package {name}, which is not installed: {install}.")
    if "torch" in names:
        name_torch_cache()


def name_torch_cache() -> None:
    """PyTorch names the folder of its cache after the user, and cannot be used where the user has no name (docker run --user 12345)."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        folder = os.path.join(tempfile.gettempdir(), f"torchinductor_{os.getuid()}")
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", folder)
