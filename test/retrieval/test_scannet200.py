"""ScanNet200: the classes, average precision by class against a plain loop, and the paper's Tab. 5 in miniature."""

import json
from collections import Counter

import numpy as np
import pytest
from planted import PALETTE, ColourEncoder, instance_map, patch, stored, wall_frame

from gcseg_ros.clouds.ply import write_cloud
from gcseg_ros.evaluation.average_precision import Overlap, average_precision
from gcseg_ros.evaluation.scannet200 import (
    assigned,
    class_report,
    class_table,
    classes,
    overlaps_by_class,
    prompts,
)
from gcseg_ros.instances.export import write_instances_json, write_instances_ply
from gcseg_ros.retrieval import write_views
from offline_training import retrieval as command
from offline_training.commands import run

CHAIR, TABLE, WALL, GUITAR = 2, 4, 1, 112


def test_the_classes_are_scannet200_s():
    known = classes()
    assert len(known) == len({k.id for k in known}) == len({k.name for k in known}) == 200
    assert Counter(k.group for k in known) == {"head": 66, "common": 68, "tail": 66}
    of = {k.name: k for k in known}
    assert (of["wall"].id, of["chair"].id, of["floor"].id, of["mattress"].id) == (1, 2, 3, 1191)
    assert (of["couch"].group, of["mattress"].group, of["guitar"].group) == ("head", "common", "tail")
    assert prompts()[1] == "a chair in a scene"


def rows(*spans, length=1000):
    masks = np.zeros((len(spans), length), bool)
    for mask, (a, b) in zip(masks, spans):
        mask[a:b] = True
    return masks


def truth_of(length=1000, **spans):
    truth = np.zeros(length, np.int64)
    for id, (a, b) in spans.items():
        truth[a:b] = int(id.removeprefix("id"))
    return truth


def names(report):
    return {name: (figures.ap, figures.ap50, figures.ap25) for name, figures in report.by_class.items()}


def test_the_class_must_be_right():
    truth = truth_of(id2001=(0, 200), id4001=(300, 500))
    masks = rows((0, 200), (300, 500))
    right = class_report([overlaps_by_class(truth, masks, np.array([CHAIR, TABLE]))])
    assert names(right) == {"chair": (1, 1, 1), "table": (1, 1, 1)}
    wrong = class_report([overlaps_by_class(truth, masks, np.array([TABLE, CHAIR]))])
    assert names(wrong) == {"chair": (0, 0, 0), "table": (0, 0, 0)}
    assert right.groups["head"].ap == right.all.ap == 1
    assert np.isnan(right.groups["tail"].ap)


def test_a_wrong_class_is_counted_against_but_not_on_walls():
    """On another class's instance a prediction is wrong; on walls, floors and what has no label it is not counted."""
    truth = truth_of(id2001=(0, 200), id4001=(300, 500), id1001=(500, 700))

    def ap(masks, labels):
        return names(class_report([overlaps_by_class(truth, masks, np.array(labels))]))["chair"][1]

    assert ap(rows((0, 200), (300, 500)), [CHAIR, CHAIR]) < 1
    assert ap(rows((0, 200), (500, 700)), [CHAIR, CHAIR]) == 1
    assert ap(rows((0, 200), (750, 950)), [CHAIR, CHAIR]) == 1
    assert ap(rows((0, 200), (500, 700)), [CHAIR, WALL]) == 1
    assert ap(rows((0, 200), (300, 350)), [CHAIR, CHAIR]) == 1  # under 100 points


def test_points_on_other_classes_lower_the_iou():
    truth = truth_of(id2001=(0, 200), id4001=(200, 500))
    found = overlaps_by_class(truth, rows((0, 400)), np.array([CHAIR]))
    assert found[CHAIR].iou.tolist() == [[0.5]]
    assert found[CHAIR].sizes.tolist() == [400]


def test_one_class_alone_is_the_class_agnostic_protocol():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(1, 7), 160)[:900]
    truth = np.append(truth, np.zeros(100, int))
    masks = np.stack([np.roll(truth == i, rng.integers(0, 90)) for i in (1, 2, 2, 3, 5, 6)])
    scores = rng.random(len(masks))
    plain = average_precision([Overlap.of_masks(truth, masks, scores)])
    labelled = np.where(truth > 0, 2000 + truth, 0)
    report = class_report([overlaps_by_class(labelled, masks, np.full(len(masks), CHAIR), scores)])
    assert names(report) == {"chair": pytest.approx((plain.ap, plain.ap50, plain.ap25))}


def plain_ap(scenes, wanted, threshold):
    """One class at one threshold as ScanNet's evaluator defines it, written out. scenes: (truth, masks, labels, scores)."""
    counted = [known.id for known in classes() if known.name not in ("wall", "floor")]
    right, wrong, missed = [], [], 0
    for truth, masks, labels, scores in scenes:
        things = [truth == id for id in np.unique(truth) if id // 1000 == wanted]
        found = [(m, s) for m, label, s in zip(masks, labels, scores) if label == wanted and m.sum() >= 100]
        used = set()
        for thing in things:
            if thing.sum() < 100:
                continue
            best = None
            for k, (mask, score) in enumerate(found):
                if k in used or (mask & thing).sum() / (mask | thing).sum() <= threshold:
                    continue
                if best is None:
                    best = score
                    used.add(k)
                else:
                    wrong.append(min(best, score))
                    best = max(best, score)
            if best is None:
                missed += 1
            else:
                right.append(best)
        for mask, score in found:
            if any((mask & thing).sum() / (mask | thing).sum() > threshold for thing in things):
                continue
            ignored = (mask & ~np.isin(truth // 1000, counted)).sum()
            ignored += sum((mask & thing).sum() for thing in things if thing.sum() < 100)
            if ignored / mask.sum() <= threshold:
                wrong.append(score)
    right, wrong = np.array(right), np.array(wrong)
    precision, recall = [], []
    for score in np.unique(np.append(right, wrong)):
        above = (right >= score).sum()
        precision.append(above / (above + (wrong >= score).sum()))
        recall.append(above / (len(right) + missed))
    precision, recall = np.array([*precision, 1.0]), np.array([*recall, 0.0])
    before, after = np.append(recall[:1], recall[:-1]), np.append(recall[1:], 0.0)
    return float(precision @ (before - after) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_every_class_as_written_out(seed):
    rng = np.random.default_rng(seed)
    kinds = np.array([WALL, CHAIR, TABLE, GUITAR, 0])
    scenes = []
    for _ in range(2):
        sizes = rng.integers(60, 260, 12)
        ids = np.array([1000 * kind + 1 + k if kind else 0 for k, kind in enumerate(rng.choice(kinds, 12))])
        truth = np.repeat(ids, sizes)
        starts = np.cumsum(sizes) - sizes
        spans = [
            (a + rng.integers(-60, 60), a + n + rng.integers(-60, 60)) for a, n in zip(starts, sizes) for _ in "ab"
        ]
        masks = rows(*((max(a, 0), b) for a, b in spans), length=len(truth))
        labels = np.where(rng.random(24) < 0.7, np.repeat(ids // 1000, 2), rng.choice(kinds, 24))
        scenes.append((truth, masks, labels, rng.choice([0.2, 0.5, 0.9], 24)))
    report = class_report([overlaps_by_class(*scene) for scene in scenes])
    for known in classes():
        if known.name in report.by_class:
            figures = report.by_class[known.name]
            assert figures.ap50 == pytest.approx(plain_ap(scenes, known.id, 0.5))
            assert figures.ap25 == pytest.approx(plain_ap(scenes, known.id, 0.25))
    assert report.by_class
    assert "wall" not in report.by_class


def test_groups_are_means_over_classes_and_scenes_are_pooled():
    first = overlaps_by_class(
        truth_of(id2001=(0, 200), id39001=(300, 500), id4001=(600, 800)), rows((0, 200)), np.array([CHAIR])
    )
    second = overlaps_by_class(truth_of(id2001=(0, 200), id112001=(300, 500)), rows((300, 500)), np.array([GUITAR]))
    report = class_report([first, second])
    of = names(report)
    assert of["cushion"] == of["table"] == (0, 0, 0)
    assert of["guitar"] == (1, 1, 1)
    assert 0 < of["chair"][0] < 1  # one of two
    assert report.groups["head"].ap == pytest.approx(of["chair"][0] / 2)
    assert (report.groups["common"].ap, report.groups["tail"].ap) == (0, 1)
    assert report.all.ap == pytest.approx((of["chair"][0] + 1) / 4)
    assert report.to_dict()["scenes"] == 2
    assert class_table(report, per_class=True).row_count == 8


def test_unseen_instances_get_no_class():
    scores = np.full((200, 3), 0.1)
    scores[5, 0] = scores[199, 1] = 0.9
    scores[:, 2] = np.nan
    assert assigned(scores).tolist() == [6, 1191, 0]


class NamedColours(ColourEncoder):
    """The colour of a chair is 7 of the palette, a table's 12, a guitar's 30, anything else's not in the room."""

    def texts(self, texts):
        colour = {"a chair in a scene": 7, "a table in a scene": 12, "a guitar in a scene": 30}
        return np.stack([np.eye(64, dtype=np.float32)[colour.get(text, 63)] for text in texts])


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Two scenes with a chair, a table and a guitar each: maps, truths, and the stand-in for CLIP."""
    monkeypatch.setattr(command.OpenClip, "load", lambda *_: NamedColours())
    (tmp_path / "truth").mkdir()
    for scene in ("scene0000_00", "scene0001_00"):
        out = tmp_path / "maps" / scene
        points, ids, frame = [], [], wall_frame(colour=PALETTE[1])
        for id, colour, x in ((1, 7, -0.9), (2, 12, -0.2), (3, 30, 0.5)):
            points.append(patch(x, -0.2, 2, size=0.36))
            ids.append(np.full(len(points[-1]), id))
            u, v = (np.round(points[-1][:, k] / 2 * 130 + c).astype(int) for k, c in ((0, 79.5), (1, 59.5)))
            frame.colour[v.min() : v.max() + 1, u.min() : u.max() + 1] = PALETTE[colour]
        instances = instance_map(np.concatenate(points), np.concatenate(ids))
        write_instances_ply(out / "instances.ply", instances)
        write_instances_json(out / "instances.json", instances)
        write_views(out / "views.npz", [stored(frame)])
        true = np.array([0, CHAIR, TABLE, GUITAR])[instances.instance] * 1000 + 1
        np.savez(tmp_path / "truth" / f"{scene}.npz", points=instances.points, instance=true)
    return tmp_path


def evaluated(capsys, *arguments):
    capsys.readouterr()
    status = run(command.main, [str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, " ".join(said.err.split())


def test_the_table_in_miniature(dataset, capsys):
    status, out, _ = evaluated(capsys, dataset / "maps", "--truth", dataset / "truth", "--json")
    report = json.loads(out)
    assert (status, report["scenes"]) == (0, 2)
    assert report["all"] == {"ap": 1, "ap50": 1, "ap25": 1}
    assert report["groups"]["tail"]["ap"] == 1
    assert report["groups"]["common"]["ap"] is None
    assert set(report["by_class"]) == {"chair", "table", "guitar"}


def test_truth_as_scannet_s_text_and_instances_of_the_network(dataset, capsys):
    (dataset / "text").mkdir()
    for file in (dataset / "truth").glob("*.npz"):
        with np.load(file) as truth:
            np.savetxt(dataset / "text" / f"{file.stem}.txt", truth["instance"], "%d")
            write_cloud(dataset / "scans" / file.stem / f"{file.stem}_vh_clean_2.ply", {"points": truth["points"]})
            order = np.array([0, 9, 5, 3], np.int32)
            labels = order[np.searchsorted([2001, 4001, 112001], truth["instance"]) + 1]
            write_cloud(dataset / "network" / f"{file.stem}.ply", {"points": truth["points"], "instance": labels})
    arguments = [dataset / "maps", "--truth", dataset / "text", "--scans", dataset / "scans"]
    status, out, _ = evaluated(capsys, *arguments, "--instances", dataset / "network")
    assert status == 0
    assert "100.0" in out
    status, _, said = evaluated(capsys, *arguments[:3])
    assert (status, "--scans" in said) == (2, True)


def test_truth_as_datasets_are_prepared(dataset, capsys):
    for file in (dataset / "truth").glob("*.npz"):
        (dataset / "prepared" / file.stem).mkdir(parents=True)
        file.rename(dataset / "prepared" / file.stem / "gt_cloud.npz")
    status, out, _ = evaluated(capsys, dataset / "maps", "--truth", dataset / "prepared")
    assert (status, "100.0" in out) == (0, True)


def test_a_scene_where_nothing_is_seen_has_no_predictions(dataset, capsys):
    write_views(dataset / "maps" / "scene0001_00" / "views.npz", [stored(wall_frame(depth_m=5.0))])
    status, out, said = evaluated(capsys, dataset / "maps", "--truth", dataset / "truth", "--json")
    assert (status, "scene0001_00 has no predictions" in said) == (0, True)
    assert 0 < json.loads(out)["all"]["ap"] < 1


def test_what_is_missing_is_said(dataset, capsys):
    def said(*arguments):
        status, _, text = evaluated(capsys, *arguments)
        assert status == 2
        return text

    maps, truth = dataset / "maps", dataset / "truth"
    assert "There are no maps in" in said(dataset, "--truth", truth)
    assert "has no truth of the scene scene0000_00" in said(maps, "--truth", maps)
    first, second = (dataset / "network" / f"scene000{i}_00.ply" for i in (0, 1))
    write_cloud(first, {"points": np.zeros((1, 3)), "instance": np.ones(1)})
    words = said(maps, "--truth", truth, "--instances", dataset / "network")
    assert str(second) in words
    assert "1/2" not in words, "it is known before hours of looking"
    with np.load(truth / "scene0000_00.npz") as file:
        np.savez(truth / "scene0000_00.npz", points=file["points"], instance=file["instance"] % 1000)
    assert "none of ScanNet200's classes" in said(maps, "--truth", truth)
