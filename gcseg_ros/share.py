"""The files beside the package: `config` and `launch`."""

from __future__ import annotations

import sys
from pathlib import Path

from gcseg_ros.errors import UserError


def share() -> Path:
    """The folder that holds `config` and `launch`: of the checkout, or where the package was installed."""
    here = Path(__file__).resolve()
    candidates = [
        here.parents[1],
        *(parent / "share" / "gcseg_ros" for parent in here.parents),
        Path(sys.prefix, "share", "gcseg_ros"),
    ]
    for folder in candidates:
        if (folder / "config" / "mapping.yaml").is_file():
            return folder
    raise UserError("The folder config of gcseg_ros was not found: install the package again.")


def config_file(name: str) -> str:
    return str(share() / "config" / name)
