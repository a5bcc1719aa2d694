"""The table of objects: what tells them apart is whole however narrow it is."""

import re

import numpy as np
import pytest
from rich.console import Console

from gcseg_ros.cli import main
from gcseg_ros.clouds.ply import write_cloud
from gcseg_ros.consoles import print_table
from gcseg_ros.instances.export import read_labelled
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
        assert f" {1000 + i} {123450 + i} 12.34 x 10.50 x 2.75 0.88 " in " ".join([*shown.get().split(), ""])
    if width >= 80:
        assert max(map(len, shown.get().splitlines())) <= width
    if not names[0]:  # a cloud that was labelled all at once
        assert not any(word in shown.get() for word in ("seen in", "state", "terminated"))
    elif width >= 80:
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


def test_a_cloud_whose_y_axis_points_up_stands_upright_where_that_is_said(tmp_path, capsys):
    """As `gcseg segment --up y` has written it."""
    file, points = tmp_path / "cloud.ply", np.random.default_rng(0).random((500, 3)).astype(np.float32) * (1, 3, 1)
    write_cloud(file, {"points": points.astype(np.float32), "instance": np.ones(500, np.int32)})
    assert main(["view", str(file), "--up", "y", "--png", str(tmp_path / "a.png")]) == 0
    assert main(["view", str(file), "--up", "y"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if " 500 " in line]
    sizes = re.findall(r"\d\.\d\d", row)
    assert float(sizes[2]) == pytest.approx(3, abs=0.1), "the height"
    assert float(sizes[0]) < 2
    (found,) = read_labelled(file, "y").objects
    assert found.axis_aligned_box[1][2] == points[:, 1].max()
    assert main(["view", str(tmp_path), "--up", "y"]) == 2
    assert f"give {tmp_path / 'instances.ply'}" in capsys.readouterr().err
