"""SAM3D's bottom-up merging on clouds whose right answer is plain, and the command on a generated room."""

import json

import numpy as np
import pytest

from gcseg_ros.evaluation.merging import LabelCloud, adopted, merged, merged_bottom_up, numbered, thinned
from gcseg_ros.instances.export import read_instance_map
from offline_training.commands import run
from offline_training.merging import main


def strip(start, stop, labels):
    """Points every 5 cm along x in 10 rows; labels: (from column, label) pieces."""
    columns = np.arange(start, stop)
    x, y = np.meshgrid(columns, np.arange(10), indexing="ij")
    points = (np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3) * 0.05 + 0.025).astype(np.float32)
    label = np.zeros(len(columns), np.int64)
    for first, value in labels:
        label[columns >= first] = value
    return LabelCloud(points, np.zeros(points.shape, np.uint8), np.repeat(label, 10))


def groups(cloud):
    """(first column, last column) of each label."""
    columns = np.floor(cloud.points[:, 0] / 0.05).astype(int)
    return sorted(
        (columns[cloud.label == i].min(), columns[cloud.label == i].max()) for i in range(1, cloud.label.max() + 1)
    )


def test_what_overlaps_becomes_one():
    """Two objects side by side, of which each view sees parts under other names."""
    first, second = strip(0, 30, [(0, 5), (20, 2)]), strip(10, 60, [(10, 1), (20, 7)])
    both = merged(first, second, 0.05, 0.5)
    assert len(both.points) == 600
    assert groups(both) == [(0, 19), (20, 59)]


def test_little_in_common_stays_apart():
    first, second = strip(0, 30, [(0, 1)]), strip(27, 60, [(27, 1)])
    assert len(groups(merged(first, second, 0.05, 0.5))) == 2


def test_a_part_joins_the_whole_in_either_direction():
    whole, part = strip(0, 60, [(0, 1)]), strip(10, 20, [(10, 4)])
    for pair in ((whole, part), (part, whole)):
        assert groups(merged(*pair, 0.05, 0.5)) == [(0, 59)]


def test_the_unlabelled_take_the_label_of_the_place():
    first, second = strip(0, 30, [(0, 1)]), strip(0, 30, [])
    assert (merged(first, second, 0.05, 0.5).label == 1).all()


def test_a_chain_of_views_is_one_object():
    clouds = [strip(i, i + 20, [(i, 1 + i % 3)]) for i in range(0, 70, 5)]
    result = merged_bottom_up(clouds, share=0.2)  # pairs of pairs share less of each
    assert groups(result) == [(0, 84)]
    assert len(merged_bottom_up([]).points) == 0
    assert groups(merged_bottom_up(clouds[:1])) == [(0, 19)]


def test_the_larger_share_wins_where_two_want_one_label():
    labels, others = np.repeat([1, 1], [40, 60]), np.repeat([2, 3], [40, 60])
    rows = np.arange(100)
    assert set(adopted(labels, others, rows, rows, 0.5)) == {3}


def test_thinning_prefers_labelled_points_and_small_objects_vanish():
    points = np.float32([[0.01, 0, 0], [0.02, 0, 0], [0.2, 0, 0]])
    thin = thinned(LabelCloud(points, np.zeros((3, 3), np.uint8), np.array([0, 4, 0])), 0.05)
    assert thin.label.tolist() == [4, 0]
    assert numbered(np.repeat([0, 3, 8], [5, 30, 10]), 20).tolist() == [0] * 5 + [1] * 30 + [0] * 10


def test_the_command(tmp_path, capsys):
    out = tmp_path / "out"
    assert run(main, ["synthetic:3:demo:4", "-o", str(out), "--stride", "2"]) == 0, capsys.readouterr().err
    found = read_instance_map(out)
    assert len(found.objects) > 3
    assert (out / "picture.png").is_file()
    assert json.loads((out / "summary.json").read_text())["skipped_frames"] == {}
    assert run(main, ["synthetic:3:demo:4", "-o", str(out), "--option", "poses=other"]) == 2
    assert "found 'other'" in capsys.readouterr().err
    assert run(main, [str(tmp_path / "nowhere"), "-o", str(tmp_path / "other")]) == 2
    assert "no recording" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("how", ["file", "setting", "option"])
def test_the_summary_tells_which_masks_were_merged(tmp_path, how):
    config = tmp_path / "config.yaml"
    config.write_text("masks: {generator: geometric}")
    given = {
        "file": ["--config", str(config)],
        "setting": ["--masks", "learned", "--set", "masks.generator=geometric"],
        "option": ["--masks", "geometric"],
    }[how]
    out = tmp_path / "out"
    assert run(main, ["synthetic:3:demo:2", "-o", str(out), "--stride", "2", *given]) == 0
    assert json.loads((out / "summary.json").read_text())["masks"] == "geometric"
