import cv2
import numpy as np
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.tracking import FrameTable, compare_folders, tracking_quality


def halves(left: int, right: int) -> np.ndarray:
    """A 20x40 image of two ids side by side, 400 pixels each."""
    return np.repeat(np.repeat(np.array([[left, right]], np.uint16), 20, 0), 20, 1)


def quality(*frames: tuple[np.ndarray, np.ndarray], void=()):
    return tracking_quality(FrameTable.of(truth, labels, void) for truth, labels in frames)


def test_perfect_under_other_names():
    truth = [halves(1, 2), halves(2, 1), halves(1, 0)]
    names = np.array([0, 65535, 3], np.uint16)
    found = quality(*((t, names[t]) for t in truth))
    assert found == (found.__class__)(3, 1.0, 1.0, 1.0, 0)


def test_an_id_that_changes_half_way():
    truth = [halves(1, 2)] * 4
    labels = [halves(5, 6), halves(5, 6), halves(5, 7), halves(5, 7)]
    found = quality(*zip(truth, labels, strict=True))
    assert found.mean_best_iou == 1
    assert found.id_switches == 1
    assert found.idf1 == pytest.approx(6 / 8)
    # Object 1 keeps its id; object 2 bears two ids, each with IoU 1/2 over half of it.
    assert found.association_quality == pytest.approx((1 + 0.5) / 2)


def test_two_objects_under_one_id():
    found = quality((halves(1, 2), halves(3, 3)))
    assert found.mean_best_iou == pytest.approx(0.5)
    assert found.association_quality == pytest.approx(0.5)
    assert found.idf1 == 0  # an IoU of one half is no match


def test_no_labels_at_all():
    found = quality((halves(1, 2), halves(0, 0)))
    assert (found.mean_best_iou, found.association_quality, found.idf1, found.id_switches) == (0, 0, 0, 0)


def test_void_is_left_out():
    perfect = quality((halves(1, 2), halves(1, 9)))
    assert quality((halves(1, 0), halves(1, 9))) == quality((halves(1, 2), halves(1, 9)), void=[2]) == perfect
    assert np.isnan(quality((halves(0, 0), halves(1, 2))).idf1)
    assert quality().frames == 0


def test_a_small_mask_that_is_found_counts_among_those_that_were_tracked():
    truth, labels = halves(0, 0), halves(0, 0)
    truth[:10, :11] = 1  # 110 pixels
    labels[:8, :10] = 1  # 80 of them: an IoU of 0.73
    assert quality((truth, labels)).idf1 == 1


def test_small_masks_are_no_objects_of_a_frame():
    truth, labels = halves(1, 2), halves(1, 2)
    truth[:9, :11] = 3  # 99 pixels
    labels[:9, :11] = 8
    assert quality((truth, labels)).idf1 == 1
    assert quality((truth, np.where(labels == 8, 0, labels))).mean_best_iou == 1


def test_lost_and_found_again_under_the_same_id_is_no_switch():
    truth = [halves(1, 2)] * 3
    labels = [halves(5, 6), halves(5, 0), halves(5, 6)]
    found = quality(*zip(truth, labels, strict=True))
    assert found.id_switches == 0
    assert found.idf1 == pytest.approx(2 * 5 / (6 + 5))


def write_images(folder, images):
    folder.mkdir()
    for name, image in images.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
    return folder


def test_folders_are_compared_by_name(tmp_path):
    truth = write_images(tmp_path / "truth", {f"{i:06}": halves(1, 300 + i) for i in range(4)})
    labels = write_images(tmp_path / "labels", {f"{i:06}": halves(1, 300 + i) for i in (1, 2, 7)})
    found = compare_folders(truth, labels)
    assert found.frames == 2
    assert found.idf1 == 1


def test_labels_of_depth_that_was_repeated_are_compared_in_the_truth_s_pixels(tmp_path):
    truth = write_images(tmp_path / "truth", {"000000": halves(1, 2)})
    fine = cv2.resize(halves(5, 6), None, fx=2.5, fy=2.5, interpolation=cv2.INTER_NEAREST_EXACT)
    found = compare_folders(truth, write_images(tmp_path / "labels", {"000000": fine}))
    assert (found.mean_best_iou, found.idf1) == (1, 1)


def test_images_that_do_not_fit(tmp_path):
    truth = write_images(tmp_path / "truth", {"000000": halves(1, 2)})
    with pytest.raises(UserError, match="of the same recording"):
        compare_folders(truth, tmp_path)
    other = write_images(tmp_path / "other", {"000000": halves(1, 2)[:10]})
    with pytest.raises(UserError, match="sizes must be equal"):
        compare_folders(truth, other)
    colour = write_images(tmp_path / "colour", {"000000": np.zeros((20, 40, 3), np.uint8)})
    with pytest.raises(UserError, match="label image"):
        compare_folders(truth, colour)
    (other / "000000.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="unreadable"):
        compare_folders(truth, other)
    cv2.imwrite(str(other / "000000.png"), np.zeros((1, 8193), np.uint16))
    with pytest.raises(UserError, match=r"000000.png has 8193x1 pixels, more than 8192 a side"):
        compare_folders(truth, other)
