"""The network's masks voted by tracked ids."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from gcseg_ros.segmentation.fusion import fuse
from gcseg_ros.segmentation.instances import Instances


def found(masks, scores):
    return Instances(csr_array(np.array(masks, bool).reshape(len(scores), -1)), np.array(scores, np.float32))


def test_a_mask_joins_the_tracked_pieces_that_lie_in_it_and_takes_their_borders():
    #                 two pieces of a chair      a lamp   untracked
    tracked = np.array([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 0, 0])
    masks = [[0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0]]
    label, confidence = fuse(found(masks, [0.9]), tracked, np.full(13, 0.5, np.float32))
    assert label[:8].tolist() == [1] * 8, "the first point too, which the mask has missed"
    lamp = label[8]
    assert lamp > 1
    assert label[8:].tolist() == [lamp, lamp, lamp, 1, 0]
    np.testing.assert_allclose(confidence, [0.9] * 8 + [0.5] * 3 + [0.9, 0])


def test_a_tracked_id_that_no_mask_has_most_of_stays_whole():
    tracked = np.full(9, 4)
    masks = [[1, 1, 1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 1, 1]]
    label, confidence = fuse(found(masks, [0.9, 0.8]), tracked, np.full(9, 0.25, np.float32))
    assert len(set(label)) == 1
    assert label[0] > 2
    assert (confidence == 0.25).all()


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_tracked_ids_are_never_cut_and_nothing_is_lost(points):
    tracked, first, second = (np.array(column) for column in zip(*points))
    masks = found([first, second], [0.9, 0.4])
    label, confidence = fuse(masks, tracked, np.full(len(tracked), 0.1, np.float32))
    for id in set(tracked.tolist()) - {0}:
        assert len(set(label[tracked == id].tolist())) == 1
    assert (label[tracked > 0] > 0).all()
    np.testing.assert_array_equal(label[tracked == 0], masks.labels()[tracked == 0])
    assert ((confidence > 0) == (label > 0)).all()


def test_without_masks_or_points():
    nothing = Instances(csr_array((0, 3), dtype=bool), np.zeros(0, np.float32))
    label, confidence = fuse(nothing, np.array([0, 7, 7]), np.full(3, 0.5, np.float32))
    assert label[0] == 0
    assert label[1] == label[2] > 0
    assert confidence.tolist() == [0, 0.5, 0.5]
    empty = Instances(csr_array((0, 0), dtype=bool), np.zeros(0, np.float32))
    assert fuse(empty, np.zeros(0, int), np.zeros(0, np.float32))[0].shape == (0,)
