"""The table of objects: what tells them apart is whole however narrow it is."""

import numpy as np
import pytest
from rich.console import Console

from gcseg_ros.consoles import print_table
from gcseg_ros.instances.instances import ObjectInstance
from gcseg_ros.viewer.table import objects_table

BOX = np.zeros(3), np.eye(3), np.array([12.34, 10.5, 2.75])
FIRST, LAST = "1305031102.175304.color", "1305031129.007111.color"


def room(first=FIRST, last=LAST):
    """Objects 1007, 1006, ... of 123457, 123456, ... points."""
    return [
        ObjectInstance(1000 + i, 123450 + i, BOX[0], BOX[:2], BOX, 0.875, first, last, "terminated") for i in range(8)
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("names", [(FIRST, LAST), ("000003", "000700"), ("", "")])
def test_on_a_terminal_only_the_frames_are_folded(width, names):
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(objects_table(room(*names)), crop=False)
    for i in range(8):
        assert f" {1000 + i} {123450 + i} 12.34 x 10.50 x 2.75 0.88 " in " ".join(shown.get().split())
    if width >= 80:
        assert max(map(len, shown.get().splitlines())) <= width
        column = shown.get().index("seen in")
        folded = [line[column:].partition("  ")[0].split("terminated")[0] for line in shown.get().splitlines()[1:]]
        assert "".join("".join(folded).split()) == 8 * "-".join(names)


def test_in_a_pipe_every_object_is_one_line(capsys):
    print_table(objects_table(room()))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert lines[1].split()[1:] == [
        *("1007", "123457", "12.34", "x", "10.50", "x", "2.75", "0.88"),
        *(FIRST, "-", LAST, "terminated"),
    ]


def test_a_map_without_objects(capsys):
    print_table(objects_table([]))
    assert "confidence" in capsys.readouterr().out
