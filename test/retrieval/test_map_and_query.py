"""`gcseg map`, then `gcseg query`, on a recording in which three plain boards stand before a wall; CLIP is a stand-in."""

import json

import numpy as np
import pytest
from planted import CAMERA, PALETTE, ColourEncoder
from scannet_folder import write_scannet_folder

from gcseg_ros.cli import main
from gcseg_ros.retrieval import OpenClip, read_views

BOARDS = {7: -0.9, 12: -0.2, 30: 0.5}  # colour of the palette -> left edge, metres
SIDE, WALL_M, BOARD_M = 0.4, 2.6, 1.8


def seen_from(x):
    """Colour (H, W, 3) and depth (H, W) in metres of a camera at (x, 0, 0) that looks along z."""
    v, u = np.mgrid[: CAMERA.height, : CAMERA.width]
    right, down = (u - CAMERA.cx) / CAMERA.fx * BOARD_M + x, (v - CAMERA.cy) / CAMERA.fy * BOARD_M
    colour, depth = np.broadcast_to(PALETTE[42], (*u.shape, 3)).copy(), np.full(u.shape, WALL_M)
    for index, left in BOARDS.items():
        on = (right >= left) & (right < left + SIDE) & (abs(down) < SIDE / 2)
        colour[on], depth[on] = PALETTE[index], BOARD_M
    return colour, depth


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """In ScanNet's layout; the world's z is up."""
    folder = tmp_path_factory.mktemp("query") / "walk"
    frames = []
    to_world = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    for i, x in enumerate(np.linspace(-0.5, 0.5, 8)):
        colour, depth = seen_from(x)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = to_world, (x, 0, 1)
        frames.append((f"{i:06}", colour, 1000 * depth, pose))
    return write_scannet_folder(folder, frames, CAMERA.matrix)


@pytest.fixture(scope="module")
def out(walk):
    assert main(["map", str(walk), "-o", str(walk.parent / "out"), "--masks", "geometric"]) == 0
    return walk.parent / "out"


def test_the_map_brings_its_views(out):
    summary = json.loads((out / "summary.json").read_text())
    assert summary["views"]["kept"] == len(read_views(out)) > 0
    assert summary["views"]["kept"] + summary["views"]["passed_over"] == summary["keyframes"]


def test_each_board_is_the_best_for_its_colour(out, capsys, monkeypatch):
    monkeypatch.setattr(OpenClip, "load", lambda *_: ColourEncoder())
    capsys.readouterr()
    heat = out.parent / "heat.ply"
    assert main(["query", str(out), *(f"colour {index}" for index in BOARDS), "-o", str(heat), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    for answer, left in zip(answers, BOARDS.values(), strict=True):
        best = answer["objects"][0]
        np.testing.assert_allclose(best["centre"], [left + SIDE / 2, BOARD_M, 1], atol=0.06)
        assert best["score"] > 0.7
        assert best["score"] > answer["objects"][1]["score"] + 0.2
    assert [file.name for file in sorted(out.parent.glob("heat*.ply"))] == ["heat_1.ply", "heat_2.ply", "heat_3.ply"]


def test_a_map_may_be_made_without_views(walk, tmp_path, capsys):
    arguments = ["--masks", "geometric", "--max-frames", "2", "--set", "views.most=0"]
    assert main(["map", str(walk), "-o", str(tmp_path / "out"), *arguments]) == 0
    assert not (tmp_path / "out" / "views.npz").exists()
    assert main(["query", str(tmp_path / "out"), "mug"]) == 2
    assert "views.most above 0" in " ".join(capsys.readouterr().err.split())
