"""Which views show an instance, where in them, and what is cut out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import CAMERA, facing, patch, stored, wall_frame
from scipy import sparse

from gcseg_ros.retrieval.selection import box_in, choose, crops, detail, shots, visibility


def masks(*rows):
    return sparse.csr_array(np.array(rows, bool))


def test_what_lies_at_the_measured_depth_is_visible():
    view = stored(wall_frame(depth_m=2.0))
    points = np.array([[0, 0, 2.0], [0, 0, 2.05], [0, 0, 3.0], [0, 0, 1.0], [0, 0, -2.0], [9, 0, 2.0], [0, 0, 0.0]])
    assert (visibility(points, view) > 0).tolist() == [True, True, False, False, False, False, False]


def test_nothing_is_visible_where_nothing_was_measured():
    view = stored(wall_frame(depth_m=0.0))
    assert not visibility(np.array([[0, 0, 2.0]]), view).any()


def test_detail_falls_with_the_area_in_the_image():
    full, twice, four = detail(np.array([1.0, 4.0, 8.0]), 500.0)
    assert (full, twice) == (1, 0.25)
    assert four == twice / 4


def test_the_first_view_shows_most_and_the_next_what_is_new():
    frames = [
        wall_frame("left", facing(-1.2)),
        wall_frame(),
        wall_frame("again", facing(0.01)),
        wall_frame("right", facing(1.2)),
    ]
    views = [stored(frame) for frame in frames]
    wide, small = np.concatenate([patch(x, 0, 2) for x in np.arange(-2, 2, 0.3)]), patch(-0.15, 0, 2)
    chosen = {shot.view for shot in shots(wide, masks(np.ones(len(wide))), views, 3)}
    assert {0, 3} < chosen  # the two in the middle show most, but one of them is enough
    assert [shot.view for shot in shots(small, masks(np.ones(len(small))), views, 1)] in ([1], [2])
    showing = [v for v in range(4) if visibility(small, views[v]).any()]
    assert [shot.view for shot in shots(small, masks(np.ones(len(small))), views, 9)] == showing


def test_masks_may_overlap_and_be_hidden_or_empty():
    seen, hidden = patch(0, 0, 2), patch(0, 0, 5)
    points = np.concatenate([seen, hidden])
    first, n = np.arange(len(points)) < len(seen), len(points)
    found = shots(points, masks(first, ~first, first, np.zeros(n), np.ones(n)), [stored(wall_frame())], 5)
    assert [shot.instance for shot in found] == [0, 2, 4]
    assert found[0].box == found[1].box == found[2].box


def test_no_views_and_no_instances():
    points = patch(0, 0, 2)
    assert shots(points, masks(np.ones(len(points))), [], 5) == []
    assert shots(np.zeros((0, 3)), sparse.csr_array((0, 0), dtype=bool), [stored(wall_frame())], 5) == []


def test_the_box_is_around_the_thing():
    x0, y0, x1, y1 = box_in(patch(0, 0, 2), stored(wall_frame()))
    scale = CAMERA.fx / 2
    assert x0 == pytest.approx(CAMERA.cx - 0.015 * scale, abs=1.5)
    assert x1 == pytest.approx(CAMERA.cx + 0.285 * scale, abs=2.5)
    assert y1 - y0 == x1 - x0


def test_strays_do_not_stretch_the_box():
    points = patch(0, 0, 2, size=0.6)
    view = stored(wall_frame())
    assert np.ptp(box_in(np.vstack([points, [[-1, 0, 2]]]), view)[::2]) <= np.ptp(box_in(points, view)[::2]) + 2


def test_boxes_end_at_the_image_and_specks_have_none():
    view = stored(wall_frame())
    x0, y0, x1, y1 = box_in(patch(-2, -2, 2, size=4), view)
    assert (x0, y0, x1, y1) == (0, 0, CAMERA.width, CAMERA.height)
    assert box_in(np.array([[0, 0, 30.0]]), view) is None


def test_crops_grow_as_openmask3d_s():
    """mask2box_multi_level of its mask_features_computation/utils.py: box (10, 20, 50, 41), image 100 x 60, ratio 0.1."""
    image = np.arange(60 * 100 * 3, dtype=np.uint32).reshape(60, 100, 3).astype(np.uint8)
    for crop, (x0, y0, x1, y1) in zip(
        crops(image, (10, 20, 50, 41), 3, 0.1), [(10, 20, 50, 41), (6, 18, 54, 43), (2, 16, 58, 45)], strict=True
    ):
        np.testing.assert_array_equal(crop, image[y0:y1, x0:x1])
    assert [c.shape[:2] for c in crops(image, (0, 0, 100, 60), 2, 0.5)] == [(60, 100), (60, 100)]


@given(st.integers(0, 5), st.integers(0, 6), st.integers(1, 7), st.randoms(use_true_random=False))
def test_views_are_chosen_greedily(views, points, most, random):
    worth = np.array([[random.choice([0, 0, 0.25, 1]) for _ in range(points)] for _ in range(views)], np.float32)
    worth = worth.reshape(views, points)
    chosen = choose(worth, most)
    useful = np.flatnonzero(worth.sum(1) > 0)
    assert len(chosen) == len(set(chosen)) == min(most, len(useful))
    best = np.zeros(points)
    for v in chosen:
        gains = {u: np.maximum(worth[u] - best, 0).sum() for u in useful if u not in chosen[: chosen.index(v)]}
        assert gains[v] == pytest.approx(max(gains.values()), abs=1e-3)
        best = np.maximum(best, worth[v])
