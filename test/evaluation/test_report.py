import json

import cv2
import numpy as np
import pytest
from rich.console import Console

from gcseg_ros.cli import main
from gcseg_ros.clouds.ply import write_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.report import evaluate, table
from gcseg_ros.instances.export import write_instances_json, write_instances_ply
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance


@pytest.fixture
def scene(tmp_path):
    """A folder with truth: three rows of points, 2 cm apart; 1 is stuff; two frames with instance images."""
    folder = tmp_path / "scene"
    (folder / "instance").mkdir(parents=True)
    x, y = np.meshgrid(np.arange(200) * 0.02, [0.0, 1.0, 2.0])
    points = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3).astype(np.float32)
    instance = np.repeat([1, 2, 3], 200)
    np.savez(folder / "gt_cloud.npz", points=points, instance=instance, stuff=instance == 1)
    for name in ("000000", "000001"):
        cv2.imwrite(str(folder / "instance" / f"{name}.png"), image())
    return folder


def image() -> np.ndarray:
    return np.repeat(np.array([[1], [2], [3]], np.uint16), 400, 1)


def truth_of(scene) -> dict[str, np.ndarray]:
    with np.load(scene / "gt_cloud.npz") as file:
        return dict(file)


def an_object(number: int, confidence: float) -> ObjectInstance:
    box = (np.zeros(3), np.eye(3), np.ones(3))
    return ObjectInstance(
        number, 200, np.zeros(3), (np.zeros(3), np.ones(3)), box, confidence, "000000", "000001", "active"
    )


@pytest.fixture
def output(tmp_path, scene):
    """What a perfect mapper would write, 1 cm off, with object 9 more that is wrong."""
    truth, folder = truth_of(scene), tmp_path / "out"
    (folder / "labels").mkdir(parents=True)
    extra = np.stack([np.arange(150) * 0.02, np.full(150, 2.03), np.full(150, 0.03)], 1)
    points = np.concatenate([truth["points"] + 0.005, extra]).astype(np.float32)
    instance = np.append(truth["instance"] + 10, np.full(150, 9)).astype(np.int32)
    colours = np.zeros((len(points), 3), np.uint8)
    objects = [an_object(i, 0.2) for i in (11, 12, 13)] + [an_object(9, 0.1)]
    made = InstanceMap(points, colours, instance, np.full(len(points), 0.5, np.float32), objects)
    write_instances_ply(folder / "instances.ply", made)
    write_instances_json(folder / "instances.json", made)
    cv2.imwrite(str(folder / "labels" / "000000.png"), image() + 10)
    cv2.imwrite(str(folder / "labels" / "000001.png"), image() + 10)
    return folder


def test_an_output_folder_against_a_scene(scene, output):
    found = evaluate(output, scene)
    assert (found.ap, found.ap50, found.ap25) == pytest.approx((1, 1, 1))
    assert (found.instances, found.predictions, found.coverage) == (3, 3, 1)
    assert found.best_iou == {1: 1, 2: 1, 3: 1}
    assert found.scores == "instances.json"
    assert found.tracking.frames == 2
    assert found.tracking.idf1 == 1


def test_stuff_excluded(scene, output):
    found = evaluate(str(output), str(scene), exclude_stuff=True)
    assert found.ap == 1
    assert set(found.best_iou) == {2, 3}
    assert found.predictions == 3  # the one on stuff is ignored, not counted against
    assert found.tracking.idf1 == 1
    labels = image()
    labels[0] = 0  # nothing found where the stuff is
    cv2.imwrite(str(output / "labels" / "000001.png"), labels + 10 * (labels > 0))
    assert evaluate(output, scene, exclude_stuff=True).tracking.idf1 == 1
    assert evaluate(output, scene).tracking.idf1 < 1


def test_2d_labels_that_cannot_be_compared_are_a_remark_and_no_more(scene, output, capsys):
    def remark() -> str:
        found = evaluate(output, scene)
        assert (found.ap, found.tracking) == (1, None)
        return found.remark

    assert evaluate(output, scene).remark is None
    (output / "summary.json").write_text('{"recording": "ROS topics"}')
    assert "come from ROS topics" in remark()
    (output / "summary.json").unlink()
    cv2.imwrite(str(output / "labels" / "000001.png"), image()[:, :9])
    assert "sizes must be equal" in remark()
    for number in range(2):
        (output / "labels" / f"00000{number}.png").rename(output / "labels" / f"{number}.png")
    assert "are they of the same recording?" in remark()
    assert main(["evaluate", str(output), "--truth", str(scene)]) == 0
    assert "The 2D labels are not compared" in capsys.readouterr().err


def test_a_truth_of_another_place_is_a_remark(tmp_path, scene, output, capsys):
    truth = truth_of(scene)
    np.savez(tmp_path / "shifted.npz", points=truth["points"] + np.float32([3, 0, 0]), instance=truth["instance"])
    found = evaluate(output, tmp_path / "shifted.npz")
    assert found.ap < 0.1
    assert "Only 26.0 % of the truth's points" in found.remark
    assert main(["evaluate", str(output), "--truth", str(tmp_path / "shifted.npz")]) == 0
    assert "in one world frame" in capsys.readouterr().err


def test_true_instances_that_are_left_out_are_counted(tmp_path, scene, output):
    truth = truth_of(scene)
    kept = (truth["instance"] == 2) | (np.arange(600) % 3 == 0)
    np.savez(tmp_path / "thin.npz", points=truth["points"][kept], instance=truth["instance"][kept])
    found = evaluate(output, tmp_path / "thin.npz")
    assert (found.instances, found.small) == (1, 2)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table(found))
    assert "2 of under 100 points left out" in shown.get()


def test_labels_of_stuff_that_do_not_occur_are_refused(tmp_path, scene, output):
    truth = truth_of(scene)
    np.savez(tmp_path / "scannet.npz", points=truth["points"], instance=1000 * truth["instance"] + 1)
    assert set(evaluate(output, tmp_path / "scannet.npz", True, [2, 22]).best_iou) == {1001, 3001}
    with pytest.raises(UserError, match=r"nothing labelled 7 or 22 .*: its labels are 1, 2, 3"):
        evaluate(output, tmp_path / "scannet.npz", True, [7, 22])


def test_clouds_and_where_their_scores_come_from(tmp_path, scene):
    truth = truth_of(scene)
    half = np.where(np.arange(600) % 200 < 120, truth["instance"], 0)
    wrong = np.where((np.arange(600) % 200 >= 120) & (truth["instance"] > 1), truth["instance"] + 10, half)
    wrong[480:500] = 13
    cloud = {"points": truth["points"], "instance": wrong}
    write_cloud(tmp_path / "equal.ply", cloud)
    np.savez(tmp_path / "equal.npz", **cloud)
    write_cloud(tmp_path / "ranked.ply", {**cloud, "confidence": np.where(wrong > 10, 0.1, 0.9)})
    write_cloud(tmp_path / "reversed.ply", {**cloud, "confidence": np.where(wrong > 10, 0.9, 0.1)})
    found = {
        name: evaluate(tmp_path / name, scene) for name in ("equal.ply", "equal.npz", "ranked.ply", "reversed.ply")
    }
    assert found["equal.ply"].scores == "equal"
    assert found["ranked.ply"].scores == "points"
    assert found["equal.ply"].at == found["equal.npz"].at
    assert found["ranked.ply"].ap50 > found["reversed.ply"].ap50


def test_truth_as_ply_gives_the_same(tmp_path, scene, output):
    write_cloud(tmp_path / "truth.ply", truth_of(scene))
    by_ply, by_scene = evaluate(output, tmp_path / "truth.ply"), evaluate(output, scene)
    assert by_ply.at == by_scene.at
    assert by_ply.tracking is None


def write_scannet(folder, masks: dict[str, np.ndarray], scores: dict[str, float]):
    (folder / "masks").mkdir(parents=True)
    for name, mask in masks.items():
        np.savetxt(folder / "masks" / f"{name}.txt", mask, "%d")
    (folder / "scene.txt").write_text("".join(f"masks/{name}.txt 1 {scores[name]}\n" for name in masks))
    return folder


def test_scannets_text_on_both_sides(tmp_path, scene):
    instance = truth_of(scene)["instance"]
    masks = {"a": instance == 1, "b": instance == 2, "overlapping": instance >= 2}
    folder = write_scannet(tmp_path / "prediction", masks, {"a": 0.9, "b": 0.8, "overlapping": 0.1})
    np.savetxt(tmp_path / "scene.txt", instance + 4000, "%d")
    for output in (folder, folder / "scene.txt"):
        for truth in (tmp_path / "scene.txt", scene):
            found = evaluate(output, truth)
            assert found.predictions == 3
            assert found.best_iou == pytest.approx(dict(zip(found.best_iou, (1, 1, 0.5), strict=True)))
            # At 0.5 the third is false; at 0.25 it is true for 3 and, as a second match, false for 2.
            assert (found.ap50, found.ap25) == pytest.approx((2 / 3, 23 / 24))
            assert found.coverage == 1


def test_several_scannet_predictions_in_a_folder(tmp_path, scene):
    instance = truth_of(scene)["instance"]
    folder = write_scannet(tmp_path / "prediction", {"a": instance == 1}, {"a": 1})
    (folder / "another.txt").write_text("masks/none.txt 1 0.5\n")
    assert evaluate(folder, scene).predictions == 1
    (folder / "scene.txt").rename(folder / "third.txt")
    with pytest.raises(UserError, match=r"2 \.txt files"):
        evaluate(folder, scene)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("masks/a.txt", "not lines of"),
        ("masks/a.txt 1 high", "not lines of"),
        ("masks/a.txt 1 nan", "finite"),
        ("1 0.5", "is not lines of `mask_file label score`: found '1 0.5'"),
        ("masks/a.txt 1", "is not lines of `mask_file label score`: found 'masks/a.txt 1'"),
        ("../scene.txt 1 0.5", "own folder"),
        ("/etc/hostname 1 0.5", "own folder"),
        ("masks/a\0.txt 1 0.5", "own folder"),
        ("masks/none.txt 1 0.5", "cannot be read"),
        ("masks/short.txt 1 0.5", "3 lines, but"),
        ("masks/words.txt 1 0.5", "one integer a line"),
    ],
)
def test_malformed_scannet_predictions(tmp_path, scene, line, message):
    folder = write_scannet(tmp_path / "prediction", {"a": np.ones(600)}, {"a": 1})
    (folder / "masks" / "short.txt").write_text("1\n1\n1\n")
    (folder / "masks" / "words.txt").write_text("yes\nno\n")
    (folder / "scene.txt").write_text(f"masks/a.txt 1 0.5\n{line}\n")
    with pytest.raises(UserError, match=message):
        evaluate(folder, scene)


def test_nothing_predicted(tmp_path, scene):
    write_cloud(tmp_path / "a.ply", {"points": np.zeros((0, 3)), "instance": np.zeros(0)})
    found = evaluate(tmp_path / "a.ply", scene)
    assert (found.ap, found.mean_best_iou, found.coverage, found.predictions) == (0, 0, 0, 0)


def test_sides_that_do_not_fit(tmp_path, scene, output):
    with pytest.raises(UserError, match="There is no output"):
        evaluate(tmp_path / "none", scene)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"neither instances\.ply nor"):
        evaluate(tmp_path / "empty", scene)
    write_cloud(tmp_path / "a.ply", {"points": np.zeros((3, 3))})
    with pytest.raises(UserError, match="no instance per point"):
        evaluate(tmp_path / "a.ply", scene)
    write_cloud(tmp_path / "a.ply", {"points": np.full((3, 3), 50), "instance": np.ones(3)})
    with pytest.raises(UserError, match="one world frame"):
        evaluate(tmp_path / "a.ply", scene)
    write_cloud(tmp_path / "nothing.ply", {"points": np.zeros((0, 3)), "instance": np.zeros(0)})
    with pytest.raises(UserError, match=r"nothing.ply has no points at all: give the truth"):
        evaluate(tmp_path / "a.ply", tmp_path / "nothing.ply")
    (tmp_path / "truth.txt").write_text("1001\n")
    with pytest.raises(UserError, match="has no points"):
        evaluate(output, tmp_path / "truth.txt")
    (output / "instances.json").write_text("[{}]")
    with pytest.raises(UserError, match=r"instances\.json"):
        evaluate(output, scene)


def test_json_and_table(tmp_path, scene, output):
    output = output.rename(tmp_path / "out[bold]")
    found = evaluate(output, scene)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert read["ap"] == 1
    assert read["at"]["0.5"] == 1
    assert read["best_iou"] == {"1": 1, "2": 1, "3": 1}
    assert read["tracking"]["id_switches"] == 0
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table(found))
    assert "AP50" in shown.get()
    assert "100.0" in shown.get()
    assert "[bold]" in shown.get()


def test_figures_that_do_not_exist_are_null(tmp_path, scene, output):
    truth = truth_of(scene)
    np.savez(tmp_path / "all_stuff.npz", **{**truth, "stuff": np.ones(600, bool)})
    found = evaluate(output, tmp_path / "all_stuff.npz", exclude_stuff=True)
    assert np.isnan(found.ap)
    assert found.to_dict()["ap"] is None
    assert "all_stuff.npz has no instance of 100 points or more" in found.remark
    assert json.dumps(found.to_dict(), allow_nan=False)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table(found))
    assert "nan" not in shown.get()
