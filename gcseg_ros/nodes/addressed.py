"""For which nodes parameters are, and what of those given to a node is for others: ROS passes over it. No ROS inside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gcseg_ros.files import parse_yaml

ALIKE = 0.7
"""How much the name of a section must be like a node's to be taken for a slip of it. The names of our nodes are less alike."""


def sections(content: Any, above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters in the YAML of a file, with the full name of the node that they are for; ROS allows `*` and `**` in it."""
    for name, value in content.items() if isinstance(content, dict) else ():
        if name == "ros__parameters" and isinstance(value, dict):
            yield above or "/", value
        else:
            yield from sections(value, f"{above}/{str(name).strip('/')}")


def meant(pattern: str, node: str) -> bool:
    """Whether parameters for `pattern` are for the node of this full name, as rclpy has it.

    >>> [meant(pattern, "/robot/mapping_node") for pattern in ("/**", "/robot/*", "/mapping_node")]
    [True, True, False]
    """
    expression = re.sub(r"/\*\*|/\*", lambda found: r"(/\w+)*" if found[0] == "/**" else r"/\w+", pattern)
    return re.fullmatch(expression, node) is not None


def without_effect(node: str, arguments: Sequence[str]) -> list[str]:
    """A sentence for each file of parameters, and each parameter, among a command's `arguments` that is for nodes of other names only.

    A file may be for several nodes: where one of its sections is for `node`, the full name, others are told of only if they look like a slip.
    """
    own = node.rpartition("/")[2]
    told = []
    for option, value in _given(arguments):
        if option == "--params-file":
            found: list[str] = []
            with suppress(OSError, ValueError):  # rcl has read it in its own way
                found = [name for name, _ in sections(parse_yaml(Path(value).read_text(encoding="utf-8")))]
            others = [name for name in found if not meant(name, node)]
            if len(others) < len(found):
                others = [name for name in others if name == f"/{own}" or _slip(name, own)]
            where = f"in {value} "
        else:
            name, separator, _ = value.partition(":=")[0].rpartition(":")
            others = [f"/{name.strip('/')}"] if separator and not meant(f"/{name.strip('/')}", node) else []
            where = f"({value}) "
        if others:
            names = " and ".join(others)
            told.append(
                f"What is given {where}for {names} has no effect here: this node is {node}; name that, or /** for any."
            )
    return told


def _slip(name: str, own: str) -> bool:
    last = name.rpartition("/")[2]
    return last != own and bool(get_close_matches(last, [own], 1, ALIKE))


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`--params-file` and `-p` with their values."""
    of_ros = False
    for before, argument in zip(["", *arguments], arguments):
        of_ros = argument == "--ros-args" or (of_ros and argument != "--")
        if of_ros and before in ("--params-file", "-p", "--param"):
            yield before, argument
