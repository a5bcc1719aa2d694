"""`docs/configuration.md` and the YAML of all defaults, from the configuration models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import yaml

from gcseg_ros.config import Config, Part, flat_fields

INTRODUCTION = """# Configuration

Generated from `gcseg_ros/config.py` by `gcseg config --markdown`; a test keeps it current.

Every setting has one name. It is given in a YAML file (`gcseg map --config F`, the node's `config_file`), written out or nested, alone
(`gcseg map --set tracking.keyframe_stride=10`) or as a ROS parameter of the mapping node
(`-p tracking.keyframe_stride:=10`). What is not given has its default; unknown names and values out of range are refused.
`gcseg config` prints all defaults as YAML to start from.
"""


def parts() -> Iterator[tuple[str, type[Part]]]:
    """(name, model) of the parts of the configuration."""
    for name, info in Config.model_fields.items():
        assert isinstance(info.annotation, type)
        yield name, info.annotation


def as_markdown() -> str:
    """One table a part: setting, default, what is allowed, meaning."""
    text = INTRODUCTION
    for name, model in parts():
        title = (model.__doc__ or "").strip().splitlines()[0]
        text += f"\n## {name}\n\n{title}\n\n| setting | default | allowed | meaning |\n|---|---|---|---|\n"
        for path, info in flat_fields(model, f"{name}."):
            cells = f"`{path}`", f"`{shown(info.default)}`", allowed(info), info.description or ""
            text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return text


def as_yaml() -> str:
    """All defaults with their meaning as comments."""
    text = "# All settings of gcseg map with their defaults. Keep what you change.\n"
    return text + "".join(_yaml_lines(Config, ""))


def _yaml_lines(model: type[Part], indent: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Part):
            yield f"{indent}{name}:\n"
            yield from _yaml_lines(info.annotation, indent + "  ")
        else:
            yield f"{indent}{name}: {shown(info.default)}  # {info.description}\n"


def shown(value: Any) -> str:
    """A default as YAML on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True).removesuffix("...\n").strip()


def allowed(info: Any) -> str:
    """The values that a field takes, in words."""
    if get_origin(info.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(info.annotation))
    signs = {"gt": "&gt; {}", "ge": "&ge; {}", "lt": "&lt; {}", "le": "&le; {}"}
    limits = [
        sign.format(getattr(rule, name))
        for rule in info.metadata
        for name, sign in signs.items()
        if hasattr(rule, name)
    ]
    return ", ".join([getattr(info.annotation, "__name__", str(info.annotation)), *limits])
