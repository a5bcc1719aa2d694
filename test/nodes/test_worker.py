"""The mapping thread: which items are processed, which are dropped, and in which order."""

import threading

import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.nodes.worker import Worker


class Gate:
    """Processes items only while open."""

    def __init__(self, size, policy):
        self.open, self.entered = threading.Event(), threading.Event()
        self.done, self.dropped, self.idle = [], [], threading.Event()
        self.worker = Worker(self.process, self.idle.set, size, policy, self.dropped.append, idle_s=0.01)

    def process(self, item):
        self.entered.set()
        assert self.open.wait(10)
        self.done.append(item)

    def put_behind_first(self, items):
        """The first item is being processed while the others come."""
        self.worker.put(0)
        assert self.entered.wait(10)
        for item in items:
            self.worker.put(item)

    def finish(self):
        self.open.set()
        self.worker.call(lambda: None).result(10)
        self.worker.stop(10)


@pytest.mark.parametrize(
    ("size", "policy", "done", "dropped"),
    [
        (1, "drop_oldest", [0, 5], [1, 2, 3, 4]),  # the latest wins
        (3, "drop_oldest", [0, 3, 4, 5], [1, 2]),
        (3, "drop_newest", [0, 1, 2, 3], [4, 5]),
        (9, "drop_newest", [0, 1, 2, 3, 4, 5], []),
    ],
)
def test_policies(size, policy, done, dropped):
    gate = Gate(size, policy)
    gate.put_behind_first([1, 2, 3, 4, 5])
    assert len(gate.worker) == min(size, 5)
    gate.finish()
    assert (gate.done, gate.dropped) == (done, dropped)


def test_calls_come_after_the_items_that_wait_and_are_never_dropped():
    gate = Gate(1, "drop_oldest")
    gate.put_behind_first([1])
    answer = gate.worker.call(lambda: list(gate.done))
    gate.worker.put(2)  # overtakes 1
    gate.open.set()
    assert answer.result(10) == [0]
    gate.finish()
    assert (gate.done, gate.dropped) == ([0, 2], [1])


def test_an_error_goes_to_the_caller_and_the_thread_lives_on():
    gate = Gate(1, "drop_oldest")
    with pytest.raises(ZeroDivisionError):
        gate.worker.call(lambda: 1 / 0).result(10)
    assert gate.worker.call(lambda: 7).result(10) == 7
    assert gate.idle.wait(10)
    gate.finish()


def test_clear_and_stop():
    gate = Gate(5, "drop_newest")
    gate.put_behind_first([1, 2])
    gate.worker.clear()
    assert len(gate.worker) == 0
    gate.finish()
    assert gate.done == [0]
    gate.worker.put(9)
    with pytest.raises(UserError, match="stopped"):
        gate.worker.call(lambda: None).result(1)


def test_a_call_that_still_waits_when_the_thread_stops_is_answered():
    gate = Gate(1, "drop_oldest")
    gate.put_behind_first([])
    answer = gate.worker.call(lambda: None)
    assert not gate.worker.stop(0.01)
    gate.open.set()
    with pytest.raises(UserError, match="nothing was done"):
        answer.result(10)


def test_a_thread_that_does_not_end_in_time_may_go_on():
    gate = Gate(5, "drop_newest")
    gate.put_behind_first([1])
    assert not gate.worker.stop(0.01, or_go_on=True)
    gate.open.set()
    assert gate.worker.call(lambda: list(gate.done)).result(10) == [0, 1]
    assert gate.worker.stop(10, or_go_on=True)


def test_stop_says_whether_the_thread_has_ended():
    going, gate = threading.Event(), threading.Event()
    worker = Worker(lambda _: (going.set(), gate.wait(10)), lambda: None, 1, "drop_newest", print)
    worker.put(1)
    assert going.wait(10)
    assert not worker.stop(0.01)
    gate.set()
    assert worker.stop(10)
