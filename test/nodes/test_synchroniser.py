"""Complete frames from separate streams, without ROS."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.nodes.synchroniser import Pose, Synchroniser

MS = 10**6


class AllPoses:
    """A pose for every stamp from `since` on."""

    def __init__(self, since=0):
        self.since, self.forgotten = since, 0

    def at(self, stamp_ns, camera_frame):
        return Pose(np.eye(4)) if stamp_ns >= self.since else None

    def in_gap(self, stamp_ns):
        return False

    def forget(self):
        self.forgotten += 1


def make(slop_ms=0, size=10, poses=None):
    drops, jumps = Counter(), []
    synchroniser = Synchroniser(
        poses or AllPoses(), slop_ms * MS, size, lambda reason: drops.update([reason]), jumps.append
    )
    synchroniser.camera_info = "info"
    return synchroniser, drops, jumps


def feed(synchroniser, events):
    """(stream, stamp in ms) in order of arrival -> pairs of (colour, depth) stamps in ms."""
    out = []
    for stream, stamp in events:
        synchroniser.add(stream, stamp * MS, "camera", stamp)
        out += [(found.colour, found.depth) for found in synchroniser.ready()]
    return out


C, D = "colour", "depth"


@pytest.mark.parametrize(
    ("slop_ms", "events", "pairs", "drops"),
    [
        # equal stamps, in either order of arrival
        (0, [(C, 0), (D, 0), (D, 33), (C, 33)], [(0, 0), (33, 33)], {}),
        # a lost depth image
        (0, [(C, 0), (C, 33), (D, 33)], [(33, 33)], {"colour without depth": 1}),
        # exact means exact
        (0, [(C, 0), (D, 1), (C, 33), (D, 34)], [], {"colour without depth": 2, "depth without colour": 1}),
        # within the slop
        (10, [(C, 0), (D, 7), (C, 33), (D, 40)], [(0, 7), (33, 40)], {}),
        # a lost depth image, a slop of at least a frame, and depth that comes before colour
        (20, [(C, 0), (D, 17), (C, 17), (D, 33), (C, 33)], [(17, 17), (33, 33)], {"colour without depth": 1}),
        (50, [(C, 0), (D, 33), (C, 33), (D, 66), (C, 66)], [(33, 33), (66, 66)], {"colour without depth": 1}),
        # beyond the slop
        (5, [(C, 0), (D, 7)], [], {"colour without depth": 1}),
        # the nearer partner is taken when both are there
        (20, [(C, 0), (C, 12), (D, 14)], [(12, 14)], {"colour without depth": 1}),
        # images of one stream that come out of order
        (0, [(C, 33), (C, 0), (D, 0), (D, 33)], [(0, 0), (33, 33)], {}),
        # two messages with one stamp
        (0, [(C, 0), (C, 0), (D, 0)], [(0, 0)], {}),
    ],
)
def test_pairs(slop_ms, events, pairs, drops):
    synchroniser, dropped, _ = make(slop_ms)
    assert feed(synchroniser, events) == pairs
    assert dropped == drops


def test_a_frame_waits_for_its_calibration():
    synchroniser, dropped, _ = make()
    synchroniser.camera_info = None
    assert feed(synchroniser, [(C, 0), (D, 0)]) == []
    synchroniser.camera_info = "late"
    assert [found.camera_info for found in synchroniser.ready()] == ["late"]
    assert not dropped


def test_queues_are_bounded_and_what_goes_is_counted():
    synchroniser, dropped, _ = make(size=3)
    feed(synchroniser, [(C, i) for i in range(10)])
    assert len(synchroniser) == 3
    assert dropped == {"colour without depth": 7}


def test_frames_without_calibration_or_pose_are_bounded():
    synchroniser, dropped, _ = make(size=3, poses=AllPoses(since=10**18))
    feed(synchroniser, [(s, i) for i in range(10) for s in (C, D)])
    assert len(synchroniser) == 3
    assert dropped == {"no pose yet": 7}
    synchroniser.camera_info = None
    feed(synchroniser, [(C, 50), (D, 50)])
    assert dropped["no camera_info"] == 1


def test_frames_before_the_first_pose_do_not_hold_up_the_others():
    synchroniser, dropped, _ = make(poses=AllPoses(since=20 * MS))
    assert feed(synchroniser, [(s, i) for i in (0, 10, 20, 30) for s in (C, D)]) == [(20, 20), (30, 30)]
    assert dropped == {"no pose at the image's stamp": 2}


def test_a_bag_that_starts_again_goes_on():
    poses = AllPoses()
    synchroniser, dropped, jumps = make(poses=poses)
    first = feed(synchroniser, [(s, 1000 * i) for i in range(5, 9) for s in (C, D)])
    # a colour image without depth waits when the clock goes back
    again = feed(synchroniser, [(C, 9000), *((s, 1000 * i) for i in range(5, 9) for s in (C, D))])
    assert first == again == [(1000 * i, 1000 * i) for i in range(5, 9)]
    assert jumps == [pytest.approx(4.0)]
    assert dropped == {"clock went back": 1}
    assert poses.forgotten == 1


def test_pairs_are_as_early_after_a_bag_began_again():
    """Depth comes 2 ms after colour: that is no gap between images of one stream."""
    synchroniser, drops, _ = make(slop_ms=20)
    once = [(stream, 33 * i + later) for i in range(100) for stream, later in ((C, 0), (D, 2))]
    feed(synchroniser, once)
    feed(synchroniser, once[:4])
    assert feed(synchroniser, once[4:6]) == [(66, 68)]
    assert drops == {}


def test_small_disorder_is_not_a_jump():
    synchroniser, _, jumps = make()
    feed(synchroniser, [(C, 1000), (C, 500)])
    assert jumps == []


def test_clear_forgets_everything_without_counting():
    synchroniser, dropped, _ = make()
    feed(synchroniser, [(C, 0), (C, 33)])
    synchroniser.clear()
    assert len(synchroniser) == 0
    assert not dropped


@given(st.permutations([(s, 33 * i) for i in range(6) for s in (C, D)]), st.integers(0, 10))
def test_in_any_order_of_arrival_every_image_is_paired_dropped_or_waiting(events, slop_ms):
    synchroniser, dropped, _ = make(slop_ms, size=4)
    pairs = feed(synchroniser, events)
    assert all(abs(colour - depth) <= slop_ms for colour, depth in pairs)
    assert len({colour for colour, _ in pairs}) == len(pairs)
    assert 2 * len(pairs) + sum(dropped.values()) + len(synchroniser) == len(events)


@given(st.lists(st.booleans(), min_size=40, max_size=40), st.integers(0, 6))
def test_with_lost_messages_the_rest_is_paired(lost, jitter_ms):
    """Depth comes `jitter_ms` after colour; some messages are lost; all whole pairs are found, in order."""
    sent = [[(C, 33 * i), (D, 33 * i + jitter_ms)] for i in range(20)]
    kept = [event for i, event in enumerate(event for pair in sent for event in pair) if not lost[i]]
    synchroniser, _, _ = make(10)
    whole = [(pair[0][1], pair[1][1]) for i, pair in enumerate(sent) if not lost[2 * i] and not lost[2 * i + 1]]
    assert feed(synchroniser, kept) == whole


@given(st.lists(st.booleans(), min_size=40, max_size=40), st.integers(-16, 16), st.integers(17, 100))
def test_with_a_large_slop_each_pair_is_the_nearest(lost, offset_ms, slop_ms):
    """Depth is `offset_ms` away from colour, and its message comes first; of all but the first two frames some are lost."""
    sent = [((D, 33 * i + 20 + offset_ms), (C, 33 * i + 20)) for i in range(22)]
    gone = iter([False] * 4 + lost)
    kept = [[event for event in frame if not next(gone)] for frame in sent]
    synchroniser, dropped, _ = make(slop_ms)
    pairs = feed(synchroniser, [event for frame in kept for event in frame])
    assert {(frame[1][1], frame[0][1]) for frame in kept if len(frame) == 2} <= set(pairs)
    paired = {(s, stamp) for pair in pairs for s, stamp in zip((C, D), pair)}
    alone = [event for frame in kept for event in frame if event not in paired]
    for colour, depth in pairs:
        of_others = [abs(stamp - (depth if s == C else colour)) for s, stamp in alone]
        assert abs(colour - depth) <= min(of_others, default=slop_ms)
    assert 2 * len(pairs) + sum(dropped.values()) + len(synchroniser) == sum(map(len, kept))
