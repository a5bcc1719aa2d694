"""The six transitions of Fig. 3, and what must hold after any sequence of matchings."""

from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.tracking.objects import MOST_OBJECTS, Objects, State


def test_all_six_transitions():
    objects = Objects(max_dormant_frames=10)
    chair, table = objects.new("0", 0), objects.new("0", 0)  # (a) new -> active
    assert objects.counts() == {"active": 2, "dormant": 0, "terminated": 0}
    objects.update([chair, table], "5", 5)  # (b) active -> active
    assert objects[table].last_seen == "5"
    objects.update([chair], "10", 10)  # (c) active -> dormant
    assert objects[table].state is State.DORMANT
    objects.update([chair], "15", 15)  # (d) dormant -> dormant: 10 frames, not more than N_max
    assert objects[table].state is State.DORMANT
    objects.update([chair, table], "15b", 15)  # (e) dormant -> active
    assert objects[table].state is State.ACTIVE
    objects.update([chair], "20", 20)
    objects.update([chair], "26", 26)  # (f) dormant -> terminated: 11 frames
    assert objects[table].state is State.TERMINATED
    assert objects[table].last_seen == "15b"  # its history is kept
    assert objects.counts() == {"active": 1, "dormant": 0, "terminated": 1}


def test_without_a_limit_nothing_is_terminated():
    objects = Objects(max_dormant_frames=None)
    objects.new("0", 0)
    objects.update([], "1", 10**9)
    assert objects.counts()["dormant"] == 1


@given(st.lists(st.sets(st.integers(1, 6)), max_size=30), st.integers(1, 6))
def test_counts_always_add_up_and_the_terminated_stay_so(matchings, limit):
    objects = Objects(max_dormant_frames=limit)
    for _ in range(6):
        objects.new("0", 0)
    terminated: set[int] = set()
    for now, matched in enumerate(matchings, start=1):
        objects.update(matched - terminated, str(now), now)
        assert sum(objects.counts().values()) == 6
        assert terminated <= {o.id for o in objects if o.state is State.TERMINATED}
        terminated = {o.id for o in objects if o.state is State.TERMINATED}
        for o in objects:
            waited = now - o.matched_at
            assert (o.state is State.ACTIVE) == (waited == 0)
            assert (o.state is State.TERMINATED) == (waited > limit)


def test_ids_fit_a_uint16_image():
    objects = Objects(None)
    ids = [objects.new("0", 0) for _ in range(MOST_OBJECTS + 2)]
    assert ids[MOST_OBJECTS - 1] == 65535
    assert ids[MOST_OBJECTS:] == [0, 0]
    assert objects.refused == 2


def test_ids_that_were_taken_back_are_given_again_the_lowest_first():
    objects = Objects(None)
    for now in range(4):
        objects.new(str(now), now)
    objects.update([1], "5", 5)
    objects.update([1, 4], "9", 9)
    assert objects.unseen(9) == [2, 3]
    objects.take_back([2, 3], 9)
    assert objects.counts() == {"active": 2, "dormant": 0, "terminated": 0}
    assert objects.unseen(9) == []
    assert [objects.new("11", 11) for _ in range(3)] == [2, 3, 5]
    assert objects[2].first_seen == "11"
    assert objects.since.tolist() == [0, 0, 11, 11, 3, 11]
    assert (objects.in_use, objects.taken_back, objects.refused) == (5, 2, 0)


def test_ids_run_short_when_few_are_left():
    objects = Objects(None)
    objects.most = 32
    for _ in range(30):
        objects.new("0", 0)
    assert not objects.run_short
    objects.new("0", 0)
    assert objects.run_short
