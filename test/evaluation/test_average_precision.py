"""ScanNet's protocol: against its own evaluator's figures, against a plain loop, and by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from gcseg_ros.evaluation.average_precision import THRESHOLDS, Overlap, average_precision, best_ious

CASES = Path(__file__).parents[2] / "../shared/data/scannet_ap_cases.npz"


def figures(*scenes: Overlap) -> tuple[float, float, float]:
    result = average_precision(scenes)
    return result.ap, result.ap50, result.ap25


def plain_loop(scenes: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    """The protocol written out, a pair at a time."""
    results = []
    for threshold in THRESHOLDS:
        outcomes, missed, instances = [], 0, 0
        for truth, masks, scores in scenes:
            ids = [int(i) for i in np.unique(truth) if i != 0]
            kept = [p for p in range(len(masks)) if masks[p].sum() >= 100]

            def iou(p, i, truth=truth, masks=masks):
                return (masks[p] & (truth == i)).sum() / (masks[p] | (truth == i)).sum()

            used = set()
            for i in ids:
                if (truth == i).sum() < 100:
                    continue
                instances += 1
                best = None
                for p in kept:
                    if p in used or not iou(p, i) > threshold:
                        continue
                    if best is None:
                        best = scores[p]
                        used.add(p)
                    else:
                        outcomes.append((min(best, scores[p]), False))
                        best = max(best, scores[p])
                if best is None:
                    missed += 1
                else:
                    outcomes.append((best, True))
            for p in kept:
                if any(iou(p, i) > threshold for i in ids):
                    continue
                ignored = sum(1 for i in truth[masks[p]] if i == 0 or (truth == i).sum() < 100)
                if ignored / masks[p].sum() <= threshold:
                    outcomes.append((scores[p], False))
        if not instances:
            return (float("nan"),) * 3
        curve = []
        for score in sorted({score for score, _ in outcomes}):
            above = [true for other, true in outcomes if other >= score]
            curve.append((sum(above) / len(above), sum(above) / (sum(true for _, true in outcomes) + missed)))
        curve.append((1.0, 0.0))
        recall = [curve[0][1], *(r for _, r in curve), 0.0]
        results.append(sum(p * (recall[n] - recall[n + 2]) / 2 for n, (p, _) in enumerate(curve)))
    return float(np.mean(results[:9])), results[0], results[9]


def random_scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some true instances (a few small), masks that fit more or less well and overlap, scores with ties."""
    sizes = rng.choice([40, 99, 100, 150, 400], rng.integers(1, 8))
    truth = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32) * rng.integers(1, 4)
    masks = []
    for _ in range(rng.integers(0, 12)):
        mask = np.isin(truth, rng.choice(truth, rng.integers(1, 3)))
        mask = np.roll(mask, rng.integers(-60, 60)) ^ (rng.random(len(truth)) < rng.choice([0, 0.05, 0.3]))
        masks.append(mask)
    masks = np.array(masks, bool).reshape(-1, len(truth))
    return truth, masks, rng.integers(1, 5, len(masks)) / 4


@pytest.mark.skipif(not CASES.is_file(), reason="reference cases of ScanNet's evaluator are not here")
def test_figures_of_scannets_own_evaluator():
    file = np.load(CASES, allow_pickle=False)
    scenes = []
    for j in range(int(file["count"])):
        truth = file[f"truth_{j}"]
        masks = np.unpackbits(file[f"masks_{j}"], axis=1, count=len(truth)).astype(bool)
        scenes.append(Overlap.of_masks(truth, masks, file[f"scores_{j}"]))
        assert figures(scenes[-1]) == pytest.approx(tuple(file[f"expected_{j}"]), abs=1e-12)
        assert figures(Overlap.of_masks(truth, sparse.csr_array(masks), file[f"scores_{j}"])) == figures(scenes[-1])
    assert figures(*scenes) == pytest.approx(tuple(file["expected_all"]), abs=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_plain_loop(seed):
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng) for _ in range(rng.integers(1, 4))]
    expected = plain_loop(scenes)
    assert figures(*(Overlap.of_masks(*scene) for scene in scenes)) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def blocks(*sizes: int) -> np.ndarray:
    """Ids 0, 1, 2, ... in blocks."""
    return np.repeat(np.arange(len(sizes)), sizes)


def interval(n: int, start: int, stop: int) -> np.ndarray:
    return (np.arange(n) >= start) & (np.arange(n) < stop)


def test_by_hand_one_hit_one_miss():
    truth = blocks(0, 200, 200)
    masks = [interval(400, 0, 200)]
    # Precisions 1, 1 at recalls 1/2, 0 -> 1 * 1/4 + 1 * 1/4 at every threshold.
    assert figures(Overlap.of_masks(truth, np.array(masks), [0.9])) == pytest.approx((0.5, 0.5, 0.5))


def test_by_hand_false_positive_above_and_below():
    truth = blocks(0, 200, 800)
    hit, wrong = interval(1000, 0, 200), interval(1000, 300, 400)
    # Two instances, one found. Below: precisions 1/2, 1, 1 at recalls 1/2, 1/2, 0 -> 0 + 1 * 1/4 + 1 * 1/4.
    assert figures(Overlap.of_masks(truth, np.array([hit, wrong]), [0.9, 0.1])) == pytest.approx((0.5,) * 3)
    # Above: precisions 1/2, 0, 1 at recalls 1/2, 0, 0 -> 1/2 * 1/4 + 0 * 1/4 + 1 * 0.
    assert figures(Overlap.of_masks(truth, np.array([hit, wrong]), [0.1, 0.9])) == pytest.approx((0.125,) * 3)


def test_by_hand_iou_of_exactly_a_threshold_is_no_match():
    truth = blocks(100, 200)
    half = interval(300, 100, 200)
    assert figures(Overlap.of_masks(truth, half[None], [1.0])) == pytest.approx((0, 0, 1))
    more = interval(300, 100, 201)
    assert figures(Overlap.of_masks(truth, more[None], [1.0])) == pytest.approx((1 / 9, 1, 1))


def test_by_hand_second_match_is_false_with_the_lower_score():
    truth = blocks(0, 200)
    twice = np.array([interval(200, 0, 180), interval(200, 0, 200)])
    # At every threshold up to 0.85 both match: true at 0.9, false at 0.3; precisions 1/2, 1, 1 at recalls 1, 1, 0.
    assert average_precision([Overlap.of_masks(truth, twice, [0.3, 0.9])]).at[0.85] == pytest.approx(1)
    # Equal scores: precisions 1/2, 1 at recalls 1, 0 -> 1/2 * 1/2 + 1 * 1/2.
    assert average_precision([Overlap.of_masks(truth, twice, [0.5, 0.5])]).at[0.85] == pytest.approx(0.75)


def test_by_hand_regions_under_100_points_are_left_out():
    truth = blocks(0, 99, 300)
    small, large = interval(399, 0, 99), interval(399, 99, 399)
    assert figures(Overlap.of_masks(truth, np.array([large]), [0.1])) == pytest.approx((1, 1, 1))
    assert figures(Overlap.of_masks(truth, np.array([large, small]), [0.1, 0.9])) == pytest.approx((1, 1, 1))
    # A mask of 101 points that matches the small instance is ignored as well.
    around = interval(399, 0, 101)
    assert figures(Overlap.of_masks(truth, np.array([large, around]), [0.1, 0.9])) == pytest.approx((1, 1, 1))


def test_by_hand_mostly_void_is_ignored_threshold_by_threshold():
    truth = blocks(600, 400)
    hit, void = interval(1000, 600, 1000), interval(1000, 400, 700)  # two thirds of it on void
    at = average_precision([Overlap.of_masks(truth, np.array([hit, void]), [0.1, 0.9])]).at
    assert at[0.65] == pytest.approx(1)
    assert at[0.7] == pytest.approx(0.25)  # counted: precisions 1/2, 0, 1 at recalls 1, 0, 0


def test_empty_sides():
    truth = blocks(50, 200)
    nothing = np.zeros((0, 250), bool)
    assert figures(Overlap.of_masks(truth, nothing, [])) == (0, 0, 0)
    assert figures(Overlap.of_labels(truth, np.zeros(250, int))) == (0, 0, 0)
    assert np.isnan(figures(Overlap.of_masks(np.zeros(250, int), np.ones((1, 250), bool), [1]))).all()
    assert np.isnan(figures(Overlap.of_masks(np.zeros(0, int), np.zeros((0, 0), bool), []))).all()
    assert np.isnan(figures()).all()
    only_void = interval(250, 0, 50)
    assert figures(Overlap.of_masks(truth, only_void[None], [1])) == (0, 0, 0)


@pytest.mark.parametrize(
    ("truth", "masks", "scores"),
    [
        (np.zeros(5, int), np.zeros((1, 6), bool), [1]),
        (np.zeros(5, int), np.zeros((1, 5), bool), [1, 2]),
        (np.zeros(5, int), np.zeros((1, 5), bool), [np.nan]),
    ],
)
def test_inputs_that_do_not_fit(truth, masks, scores):
    with pytest.raises(ValueError, match="scores"):
        Overlap.of_masks(truth, masks, scores)


def test_best_iou_of_every_counted_instance():
    truth = blocks(0, 99, 200, 200)
    overlap = Overlap.of_masks(truth, interval(499, 99, 249)[None], [1])
    assert best_ious(overlap) == pytest.approx({2: 0.75, 3: 0})


scene_seeds = st.integers(0, 10_000)


@given(scene_seeds)
@settings(max_examples=30, deadline=None)
def test_renaming_ids_and_shuffling_points_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    truth, masks, scores = random_scene(rng)
    expected = average_precision([Overlap.of_masks(truth, masks, scores)])
    points = rng.permutation(len(truth))
    shuffled = average_precision([Overlap.of_masks(truth[points], masks[:, points], scores)])
    np.testing.assert_allclose([*shuffled.at.values()], [*expected.at.values()])
    # In ascending order, as greedy matching at 0.25 goes by ids.
    names = np.append(0, np.cumsum(rng.integers(1, 1000, truth.max(initial=0))))
    renamed = average_precision([Overlap.of_masks(names[truth], masks, scores)])
    np.testing.assert_allclose([*renamed.at.values()], [*expected.at.values()])


@given(scene_seeds)
@settings(max_examples=30, deadline=None)
def test_any_renaming_changes_nothing_at_thresholds_from_one_half(seed):
    rng = np.random.default_rng(seed)
    truth, masks, scores = random_scene(rng)
    expected = average_precision([Overlap.of_masks(truth, masks, scores)])
    names = np.append(0, 1 + rng.permutation(truth.max(initial=0)))
    order = rng.permutation(len(masks))
    renamed = average_precision([Overlap.of_masks(names[truth], masks[order], scores[order])])
    np.testing.assert_allclose([renamed.ap, renamed.ap50], [expected.ap, expected.ap50])


@given(scene_seeds)
@settings(max_examples=30, deadline=None)
def test_the_truth_itself_is_perfect_whatever_the_scores(seed):
    rng = np.random.default_rng(seed)
    truth, _, _ = random_scene(rng)
    confidence = {int(i): float(rng.random()) for i in np.unique(truth)}
    result = average_precision([Overlap.of_labels(truth, truth, confidence)])
    np.testing.assert_allclose([*result.at.values()], 1.0 if not np.isnan(result.ap) else np.nan)


@given(scene_seeds)
@settings(max_examples=30, deadline=None)
def test_predictions_on_void_change_nothing(seed):
    rng = np.random.default_rng(seed)
    truth, masks, scores = random_scene(rng)
    expected = average_precision([Overlap.of_masks(truth, masks, scores)])
    void = interval(500, 0, int(rng.integers(100, 500)))
    truth, masks = np.append(truth, np.zeros(500, int)), np.pad(masks, ((0, 1), (0, 500)))
    masks[-1, -500:] = void
    result = average_precision([Overlap.of_masks(truth, masks, np.append(scores, 1.0))])
    np.testing.assert_allclose([*result.at.values()], [*expected.at.values()])


@given(scene_seeds)
@settings(max_examples=30, deadline=None)
def test_labels_are_masks_that_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    truth, _, _ = random_scene(rng)
    labels = np.roll(truth, rng.integers(-80, 80)) * 7
    ids = np.unique(labels[labels > 0])
    confidence = {int(i): float(rng.random()) for i in ids}
    masks = labels == ids[:, None]
    scores = [confidence[int(i)] for i in ids]
    by_masks, by_labels = Overlap.of_masks(truth, masks, scores), Overlap.of_labels(truth, labels, confidence)
    for name in ("shared", "void", "scores", "true_sizes", "true_ids"):
        np.testing.assert_array_equal(getattr(by_masks, name), getattr(by_labels, name))
