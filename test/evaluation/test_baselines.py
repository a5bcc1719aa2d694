import json
from pathlib import Path

import numpy as np
import pytest

from gcseg_ros.clouds.graph_segmentation import graph_segmentation
from gcseg_ros.evaluation.baselines import (
    METHODS,
    main,
    measure,
    neighbour_pairs,
    ransac_planes,
    scene_normals,
)
from gcseg_ros.evaluation.truth import Truth, load_truth

LIVING = Path(__file__).parents[2] / "../shared/data/small_house_living"


def room(n: int = 80) -> Truth:
    """A floor, a wall, and two boxes' tops in the air, 2 cm apart."""
    u, v = (grid.ravel() * 0.02 for grid in np.meshgrid(np.arange(n), np.arange(n)))
    small = (u < 0.3) & (v < 0.3)
    flat = np.zeros_like(u)
    parts = [
        np.stack([u, v, flat], 1),
        np.stack([u, flat - 0.01, v + 0.1], 1),
        np.stack([u + 0.2, v + 0.5, flat + 0.4], 1)[small],
        np.stack([u + 0.7, v + 0.5, flat + 1], 1)[small],
    ]
    points = np.concatenate(parts) + np.random.default_rng(0).normal(0, 0.001, (sum(map(len, parts)), 3))
    instance = np.repeat([1, 2, 3, 4], [len(part) for part in parts])
    return Truth("room", instance, points.astype(np.float32), stuff=instance <= 2)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_a_simple_room(method):
    found = measure(room(), method, seeds=2)
    assert found["ap"] > 0.95
    assert measure(room(), method, seeds=1, exclude_stuff=True)["ap50"] == 1


def test_planes_are_the_same_for_the_same_seed():
    points = room().points.astype(float)
    one, other = (ransac_planes(points, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.max() == 2


def test_normals_decide_what_a_plane_takes():
    u, v = (grid.ravel() * 0.02 for grid in np.meshgrid(np.arange(60), np.arange(60)))
    floor = np.stack([u, v, np.zeros_like(u)], 1)
    wall = np.stack([np.full_like(u, 0.61), v, u / 2 - 0.3], 1)  # stands through the floor
    points = np.concatenate([floor, wall])
    normals = np.repeat(np.array([[0.0, 0, 1], [1, 0, 0]]), len(u), 0)
    blind = ransac_planes(points, np.random.default_rng(0))
    seeing = ransac_planes(points, np.random.default_rng(0), normals)
    assert (
        len(np.unique(blind[: len(u)])) + len(np.unique(blind[len(u) :])) == 3
    )  # the first plane took some of the other
    np.testing.assert_array_equal(seeing, np.repeat(seeing[[0, -1]], len(u)))
    assert sorted(seeing[[0, -1]]) == [1, 2]


def test_estimated_normals_of_a_floor():
    truth = room()
    assert np.abs(scene_normals(truth)[truth.instance == 1] @ [0, 0, 1]).mean() > 0.98


def test_degenerate_clouds():
    rng = np.random.default_rng(0)
    for points in (np.zeros((0, 3)), np.zeros((1, 3)), np.zeros((50, 3)), np.arange(30)[:, None] * np.ones(3)):
        truth = Truth("few", np.ones(len(points), int), points.astype(np.float32))
        for method in METHODS.values():
            assert method(truth, rng).shape == (len(points),)


def plain_segmentation(n, pairs, weight, scale, min_points):
    """Sets of nodes, as the paper writes it."""
    sets = {i: {i} for i in range(n)}
    inner = dict.fromkeys(range(n), 0.0)
    where = list(range(n))
    for enough in (False, True):
        for e in np.argsort(weight, kind="stable"):
            a, b = where[pairs[e][0]], where[pairs[e][1]]
            if a == b:
                continue
            small = min(len(sets[a]), len(sets[b])) < min_points
            light = weight[e] <= min(inner[a] + scale / len(sets[a]), inner[b] + scale / len(sets[b]))
            if small if enough else light:
                sets[a] |= sets.pop(b)
                inner[a] = weight[e]
                for i in sets[a]:
                    where[i] = a
    return where


@pytest.mark.parametrize("seed", range(10))
def test_graph_segmentation_equals_the_papers_sets(seed):
    rng = np.random.default_rng(seed)
    points = rng.random((80, 3))
    pairs = neighbour_pairs(points, 5, 0.4)
    weight = rng.random(len(pairs)).round(1)
    scale, smallest = rng.choice([0.3, 1, 3]), rng.choice([1, 5])
    found = graph_segmentation(80, pairs, weight, scale, smallest)
    expected = plain_segmentation(80, pairs, weight, scale, smallest)
    pairs_of_labels = np.unique(np.stack([found, expected]), axis=1)
    assert pairs_of_labels.shape[1] == len(np.unique(found)) == len(set(expected))


def test_neighbour_pairs_are_each_there_once():
    points = np.array([[0, 0, 0], [0.02, 0, 0], [0.04, 0, 0], [1, 1, 1.0]])
    assert neighbour_pairs(points).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_the_command(tmp_path, capsys):
    truth = room()
    np.savez(tmp_path / "room.npz", points=truth.points, instance=truth.instance, stuff=truth.stuff)
    assert main([str(tmp_path / "room.npz"), "--method", "all", "--seeds", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["method"], len(row["seeds"])) for row in rows] == [
        ("planes", 2),
        ("oriented_planes", 2),
        ("felzenszwalb", 1),
    ]
    assert main([str(tmp_path / "room.npz"), "--seeds", "1"]) == 0
    assert f"│ {tmp_path / 'room.npz'} │ planes" in capsys.readouterr().out  # however long the path is
    assert main([str(tmp_path / "none.npz")]) == 2
    assert capsys.readouterr().err.startswith("error: There is no file or folder")
    with pytest.raises(SystemExit):
        main([str(tmp_path / "room.npz"), "--seeds", "0"])
    (tmp_path / "truth.txt").write_text("1001\n")
    assert main([str(tmp_path / "truth.txt")]) == 2


@pytest.mark.skipif(not LIVING.is_dir(), reason="the shared recordings are not here")
def test_near_the_known_figures_of_the_living_room():
    found = measure(load_truth(LIVING), "planes", seeds=1)
    assert 100 * np.array([found["ap"], found["ap50"], found["ap25"]]) == pytest.approx([44, 59, 73], abs=5)
