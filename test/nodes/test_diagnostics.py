"""What a node says when nothing comes, and how it counts. No ROS."""

import itertools
import sys
from threading import Event, Thread

import pytest

from gcseg_ros.nodes.diagnostics import (
    Drops,
    InputState,
    PublisherState,
    Rate,
    silence_report,
    stamps_apart,
    without_stamp,
)

IMAGE = "sensor_msgs/msg/Image"


def state(**given):
    return InputState(
        **{"name": "depth", "resolved": "/d", "accepted": [IMAGE], "reliable": True, "received": 0, **given}
    )


def publisher(type=IMAGE, best_effort=False):
    return PublisherState("camera", type, best_effort)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"received": 7}, "7 messages."),
        ({"received": 7, "silent_s": 9.0, "publishers": [publisher()]}, "7 messages, the last 9 s ago."),
        ({"received": 7, "silent_s": 9.0}, "the last 9 s ago: nobody publishes it any more."),
        ({}, "nobody publishes it."),
        ({"alike": ["/a", "/b"]}, "topics of this type: /a, /b"),
        ({"publishers": [publisher("std_msgs/msg/String")]}, f"camera publishes std_msgs/msg/String, expected {IMAGE}"),
        ({"publishers": [publisher(best_effort=True)]}, "set qos to sensor_data"),
        ({"publishers": [publisher(best_effort=True)], "reliable": False}, "has sent nothing that arrived"),
        ({"publishers": [publisher()]}, "has sent nothing that arrived"),
    ],
)
def test_a_line_says_why_a_topic_is_silent(given, expected):
    assert expected in state(**given).line()


def test_the_report_names_every_topic_and_advises():
    drops = Drops(print)
    report = silence_report(
        "mapping_node", 5, [state(), state(name="colour", resolved="/c", received=9)], "exactly", drops
    )
    assert report.startswith("mapping_node: no complete frame for 5 s")
    assert "/d" in report
    assert "/c, 9 messages" in report
    assert "ros2 topic list" in report


def test_when_all_topics_arrive_it_shows_what_was_dropped():
    drops = Drops(print)
    drops("colour without depth")
    report = silence_report("mapping_node", 5, [state(received=3)], "exactly", drops)
    assert "colour without depth: 1" in report
    assert "sync_slop_s" in report


def test_what_has_stopped_is_not_said_to_arrive():
    states = [state(received=3, silent_s=9.0), state(name="pose", received=9)]
    report = silence_report("mapping_node", 5, states, "exactly", Drops(print), "The latest stamps are apart.")
    assert "Nothing comes any more of depth: " in report
    assert "All topics arrive" not in report
    assert "apart" not in report


def test_what_comes_seldom_has_not_stopped():
    states = [state(received=30), state(name="pose", received=9, silent_s=4.0, every_s=3.0)]
    report = silence_report("mapping_node", 5, states, "exactly", Drops(print))
    assert "Nothing comes any more" not in report
    assert "raise pose_gap_s" in report


def test_what_is_known_is_said_instead_of_guesses():
    report = silence_report("mapping_node", 5, [state(received=3)], "exactly", Drops(print), "TF is cut.")
    assert report.endswith("Dropped: none. TF is cut.")


def test_latest_stamps_that_are_far_apart_are_told():
    second = 10**9
    said = stamps_apart({"colour": 100 * second, "depth": 100 * second + 1, "pose": 95 * second})
    assert said.startswith("The latest stamps are apart: pose 5.0 s before colour: ")
    said = stamps_apart({"colour": 100 * second, "depth": 103 * second, "tf": 3700 * second})
    assert "depth 3.0 s after, tf 3600.0 s after colour" in said
    assert not stamps_apart({"colour": 100 * second, "depth": 101 * second})
    assert not stamps_apart({})


def test_stamps_that_nobody_has_set_are_not_called_another_clock():
    assert stamps_apart({"colour": 0, "depth": 0, "pose": 10**18}) == without_stamp("colour", "depth")
    assert not stamps_apart({"colour": 0, "depth": 0, "pose": 0}), "simulated time may begin there"


@pytest.mark.parametrize("name", ["pose", "tf"])
def test_what_poses_that_are_missing_may_need_is_advised(name):
    report = silence_report("mapping_node", 5, [state(name=name, received=3)], "exactly", Drops(print))
    assert "pose_gap_s" in report
    assert "use_sim_time" in report


def test_a_reason_is_counted_always_and_said_rarely():
    said = []
    drops = Drops(said.append)
    for _ in range(100):
        drops("too dark", "The image is dark: open the lens.")
        drops("quiet")
    assert drops.reasons == {"too dark": 100, "quiet": 100}
    assert drops.total == 200
    assert len(said) == 1
    assert "open the lens" in said[0]


@pytest.fixture
def threads_in_quick_turn():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("threads_in_quick_turn")
def test_one_thread_may_count_while_another_one_asks():
    rate, drops, done = Rate(), Drops(print), Event()

    def count():
        for i in itertools.count():
            rate.tick(i / 1000)
            drops(f"reason {i}")
            if done.is_set():
                break

    counting = Thread(target=count, daemon=True)
    counting.start()
    for _ in range(300):
        rate.hz(0)
        drops.total  # noqa: B018
    done.set()
    counting.join()
    assert rate.count == drops.total


def test_rate():
    rate = Rate(window_s=1.0)
    assert rate.hz(0.0) == 0
    assert rate.silent_s(9.0) == rate.every_s() == 0
    for i in range(31):
        rate.tick(i / 30)
    assert rate.hz(1.0) == pytest.approx(30)
    assert rate.count == 31
    assert rate.hz(100.0) == 0
    assert rate.silent_s(100.0) == 99
    rate.tick(100.0)
    assert rate.every_s() == pytest.approx(1 / 30), "a pause is not usual"
