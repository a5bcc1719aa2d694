"""query_node over real DDS: the views and clouds of a real mapping_node, and a stand-in for CLIP that knows colours."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_graph import CAMERA, tiny_frame
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from gcseg_ros.errors import UserError
from gcseg_ros.instances.instances import labelled_map
from gcseg_ros.nodes import messages, query_node
from gcseg_ros.nodes.mapping_node import MappingNode
from gcseg_ros.nodes.query_node import QueryNode, parsed
from gcseg_ros.retrieval.heat import RAMP
from gcseg_ros.retrieval.views import StoredView
from gcseg_ros.ros_types.clouds import to_point_cloud

LATCHED = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SUCCESS = TransitionCallbackReturn.SUCCESS
COLOURS = {"orange thing": (200, 120, 40), "grey thing": (60, 60, 60), "blue thing": (0, 0, 255)}


class ColourEncoder:
    """A crop's feature is its mean colour, a text's the colour that it names."""

    name, multilingual = "colours", False

    def images(self, crops):
        return unit([crop.reshape(-1, 3).mean(0) for crop in crops])

    def texts(self, texts):
        return unit([COLOURS.get(text, (1, 1, 1)) for text in texts])

    def cuts(self, text):
        return False


def unit(vectors):
    # away from grey, so that cosines tell colours apart
    vectors = np.array(vectors, np.float32)
    vectors = np.column_stack([vectors - vectors.mean(1, keepdims=True), np.full(len(vectors), 10)]).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def colours(monkeypatch):
    monkeypatch.setattr(query_node.OpenClip, "load", lambda *_: ColourEncoder())


class Asker:
    """Asks, and hears what comes back."""

    def __init__(self, ros):
        self.ros, self.node = ros, ros.helper("asker")
        self.publisher = self.node.create_publisher(String, f"{ros.namespace}/query_node/query", 10)
        self.status, self.heat, self.boxes, self.scores = [], [], [], []
        for kind, topic, heard in (
            (String, "status", self.status),
            (PointCloud2, "heatmap", self.heat),
            (MarkerArray, "result", self.boxes),
            (String, "scores", self.scores),
        ):
            self.node.create_subscription(kind, f"{ros.namespace}/query_node/{topic}", heard.append, LATCHED)

    def __call__(self, text):
        """The next sentence."""
        count = len(self.status)
        self.ros.until(self.publisher.get_subscription_count)
        self.publisher.publish(String(data=text))
        self.ros.until(lambda: len(self.status) > count)
        return self.status[count].data


def start(ros, **parameters):
    node = ros.add(QueryNode, **{"rate_hz": 0.0, **parameters})
    node.start()
    return node


def mapped(ros, camera, frames):
    """A mapping_node that has mapped the frames: a wall, and an orange box before it."""
    heard = []
    node = ros.add(MappingNode, mode="bag", cloud_rate_hz=30.0, topic_queue_size=50)
    node.start()
    ros.helper("labels").create_subscription(Image, f"{ros.namespace}/mapping_node/labels", heard.append, 10)
    camera.wait()
    for frame in frames:
        camera.send(frame)
    ros.until(lambda: len(heard) == len(frames))
    return node


def publisher_of_views(ros):
    """publish(stamp, map_began[, view]): a view's messages on the test's `views`."""
    node, some = ros.helper("views"), tiny_frame(0)
    publishers = [
        node.create_publisher(kind, f"{ros.namespace}/views/{name}", LATCHED) for name, kind in messages.VIEW.items()
    ]
    of_a_wall = StoredView.encoded("", some.pose, CAMERA, some.colour, CAMERA, some.depth_m)

    def publish(stamp, map_began, view=of_a_wall):
        heads = messages.header(stamp, "c"), messages.header(stamp, "map")
        for p, m in zip(
            publishers, messages.view_messages(view, *heads, messages.time_message(map_began)), strict=True
        ):
            p.publish(m)

    return publish


def test_views_of_a_map_that_was_reset_are_gone(ros, camera, frames, colours):
    mapper = mapped(ros, camera, frames)
    early = start(ros)
    kept = mapper._session._mapper.gatherer.views
    ros.until(lambda: early._map and len(early._gatherer.views) == len(kept) > 1)
    busy, look_on, clouds = threading.Event(), threading.Event(), []
    early._worker.call(lambda: (busy.set(), look_on.wait()))
    ros.until(busy.is_set)
    listener = ros.helper("listener")
    listener.create_subscription(PointCloud2, f"{ros.namespace}/mapping_node/cloud", clouds.append, LATCHED)
    assert ros.call(listener, "mapping_node/reset").success
    ros.until(lambda: clouds and not clouds[-1].width)
    late = ros.add(QueryNode, rate_hz=0.0)
    late.start()
    ros.until(lambda: early.count_subscribers(f"{ros.namespace}/mapping_node/views/pose") == 2)
    ros.spin_for(1.0)
    assert late._gatherer.views == []
    camera.send(frames[0])  # its cloud takes no reset's place, while the map is still looked at
    ros.until(lambda: late._map and late._gatherer.views)
    ros.until(lambda: len(early._worker._items) == 3)  # an empty cloud, a view, a cloud
    look_on.set()
    ros.until(early._worker.call(lambda: None).done)
    assert len(early._gatherer.views) == len(late._gatherer.views) == mapper._session.frames == 1


def test_answers_go_with_the_map_that_they_are_of(ros, camera, frames, colours):
    mapped(ros, camera, frames)
    node, ask = start(ros), Asker(ros)
    ros.until(lambda: node._map and node._gatherer.views)
    ask("orange thing")
    ros.until(lambda: ask.heat and ask.boxes and ask.scores)
    assert ask.heat[-1].width
    assert ros.call(ask.node, "mapping_node/reset").success
    ros.until(lambda: len(ask.heat) == len(ask.boxes) == len(ask.scores) == 2)
    assert ask.heat[-1].width == 0
    assert len(ask.boxes[-1].markers) == 1, "all are deleted"
    assert json.loads(ask.scores[-1].data)["answers"] == []


def test_a_map_that_was_begun_anew_is_noticed(ros, camera, frames, colours):
    mapper, node = mapped(ros, camera, frames), start(ros)
    ros.until(lambda: node._map and node._gatherer.views)
    for step in (mapper.trigger_deactivate, mapper.trigger_cleanup, mapper.trigger_configure, mapper.trigger_activate):
        assert step() == SUCCESS
    ros.until(lambda: node._map is None)
    before = node._gatherer
    camera.wait().send(frames[0])  # its stamp is that of a view of the earlier map
    ros.until(lambda: node._map and node._gatherer is not before)
    ros.until(lambda: node._gatherer.views)
    assert len(before.views) > len(node._gatherer.views) == mapper._session.frames == 1


def test_views_of_another_map_take_the_place_of_those_before_whatever_the_cloud_says(ros, colours):
    node = start(ros, **{"topics.views": "views"})
    publish = publisher_of_views(ros)
    publish(stamp=1, map_began=1)
    publish(stamp=2, map_began=1)
    ros.until(lambda: len(node._gatherer.views) == 2)
    publish(stamp=1, map_began=2)
    ros.until(lambda: node._map_began == 2 and node._gatherer.views)
    node._had_points = True
    node._take_cloud(PointCloud2(header=messages.header(1, "map")))  # that of the beginning may come late, or never
    ros.until(node._worker.call(lambda: None).done)
    assert [view.name for view in node._gatherer.views] == ["1"]


def test_many_views_may_wait_for_their_messages_and_lost_ones_are_counted(ros, colours):
    node = start(ros, most_views=300, **{"topics.views": "views"})
    publish = publisher_of_views(ros)
    camera_info = node._inputs[4]
    assert camera_info.name == "view depth_info"
    for stamp in range(1, 602):  # one topic of all comes before the others
        camera_info._take(messages.camera_info_message(CAMERA, messages.header(stamp, "c")))
    publish(stamp=2, map_began=1)
    ros.until(lambda: node._gatherer.views)
    assert node._drops.reasons == {"view not usable": 1}


def test_a_late_reader_has_the_views_that_are_kept_and_not_only_the_last_ones(ros, camera, frames, colours):
    heard, away = [], np.diag([-1.0, -1, 1, 1])
    mapper = ros.add(MappingNode, mode="bag", topic_queue_size=50, views__most=2, tracking__keyframe_stride=1)
    mapper.start()
    ros.helper("labels").create_subscription(Image, f"{ros.namespace}/mapping_node/labels", heard.append, 10)
    camera.wait()
    for i in range(5):  # one view of the other side, and ever better ones of this side
        frame = replace(frames[0], stamp_s=frames[0].stamp_s + i)
        depth_m = frame.depth_m if i == 0 else frame.depth_m / i
        camera.send(replace(frame, depth_m=depth_m, pose=away @ frame.pose if i == 0 else frame.pose))
        ros.until(lambda i=i: len(heard) == i + 1)
    ros.until(lambda: mapper._views.sent > 2)
    late = start(ros)
    kept = {view.jpeg + view.png for view in mapper._session.views()}
    assert len(kept) == 2
    ros.until(lambda: {view.jpeg + view.png for view in late._gatherer.views} >= kept)
    ros.spin_for(0.5)
    names = [view.name for view in late._gatherer.views]
    assert len(set(names)) == len(names)


def test_a_text_finds_its_object_in_what_a_mapping_node_sends(ros, camera, frames, colours):
    ask = Asker(ros)
    node = start(ros, best=1)
    assert "no map to ask yet" in ask("orange thing")
    mapped(ros, camera, frames)
    ros.until(lambda: node._map and node._gatherer.views)
    said = ask("orange thing; grey thing")
    assert said.startswith("“orange thing”: object ")
    ros.until(lambda: ask.scores and ask.heat and ask.boxes)
    answers = json.loads(ask.scores[-1].data)["answers"]
    assert [answer["text"] for answer in answers] == ["orange thing", "grey thing"]
    orange, grey = (answer["objects"][0] for answer in answers)
    assert orange["id"] != grey["id"]
    assert orange["oriented_box"]["centre"][0] == pytest.approx(1.5, abs=0.1), "the box stands before the wall"
    assert {marker.ns for marker in ask.boxes[-1].markers[1:]} == {"boxes", "texts"}
    assert any(marker.text.startswith("orange thing ") for marker in ask.boxes[-1].markers)

    ask("orange thing")
    ros.until(lambda: len(ask.heat) == 2)
    heat = to_point_cloud(ask.heat[-1])
    assert ask.heat[-1].header.frame_id == "map"
    assert (heat.colours[heat.instance == orange["id"]] == RAMP[2]).all(), "red"
    assert (heat.colours[heat.instance == grey["id"]] != RAMP[2]).any(axis=1).all()
    assert [field.name for field in ask.heat[-1].fields] == ["x", "y", "z", "rgb", "instance_id", "score"]


def test_negatives_and_other_scripts(ros, camera, frames, colours):
    ask = Asker(ros)
    node = start(ros)
    mapped(ros, camera, frames)
    ros.until(lambda: node._map and node._gatherer.views)
    ask("orange thing; -grey thing")
    ros.until(lambda: ask.scores)
    content = json.loads(ask.scores[-1].data)
    assert content["negatives"] == ["grey thing"]
    assert content["answers"][0]["objects"][0]["score"] > 0.9, "a probability"
    ask("оранжевая вещь")
    ros.until(lambda: any("not in Latin letters" in sentence.data for sentence in ask.status))


def test_at_rate_0_it_looks_at_what_is_new_when_asked(ros, camera, frames, colours):
    ask = Asker(ros)
    node = start(ros, rate_hz=0.0)
    mapped(ros, camera, frames[:3])
    ros.until(lambda: node._map and node._gatherer.views)
    ask("orange thing")
    before = node._retrieval
    node._stale = False
    camera.send(frames[5])
    ros.until(lambda: node._stale)
    assert node._retrieval is before
    ask("orange thing")
    assert node._retrieval is not before


def test_what_was_asked_too_early_is_answered_when_the_map_comes(ros, camera, frames, colours):
    ask = Asker(ros)
    start(ros, rate_hz=20.0)
    assert "no map to ask yet" in ask("orange thing")
    mapped(ros, camera, frames)
    ros.until(lambda: any("“orange thing”: object" in sentence.data for sentence in ask.status))


def test_an_answer_follows_the_map(ros, camera, frames, colours):
    ask = Asker(ros)
    node = start(ros, rate_hz=20.0)
    mapped(ros, camera, frames)
    ros.until(lambda: node._retrieval is not None)
    ask("orange thing")
    ros.until(lambda: ask.heat)
    before, encoded = len(ask.heat), node._encoder.encoded
    camera.send(frames[0])
    ros.until(lambda: len(ask.heat) > before)
    assert node._encoder.encoded <= encoded + 30, "what has not changed is not looked at again"


def test_a_query_need_not_wait_until_everything_new_has_been_looked_at(ros, camera, frames, monkeypatch):
    gate = threading.Event()
    gate.set()

    class Slow(ColourEncoder):
        def images(self, crops):
            assert gate.wait(60)
            return super().images(crops)

    monkeypatch.setattr(query_node.OpenClip, "load", lambda *_: Slow())
    ask = Asker(ros)
    node = start(ros, rate_hz=20.0, batch=1)
    mapped(ros, camera, frames[:3])
    ros.until(lambda: node._retrieval is not None and not node._stale)
    before = node._retrieval
    gate.clear()
    camera.send(frames[5])
    ros.until(lambda: not node._stale)  # it has begun to look
    ask.publisher.publish(String(data="orange thing"))
    ros.until(lambda: node._waiting)
    assert node._retrieval is before
    gate.set()
    ros.until(lambda: ask.status)
    assert "object" in ask.status[0].data
    ros.until(lambda: node._retrieval is not before)


@pytest.mark.parametrize("text", ["", "   ", ";;", "-bowl", "\x00\n", "?!", "x" * 5000])
def test_what_is_no_query_is_answered(ros, colours, text):
    ask = Asker(ros)
    start(ros)
    assert "query" in ask(text)
    assert "no map to ask yet" in ask("mug")


def test_without_weights_one_sentence_and_everything_else_goes_on(ros, camera, frames, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("GCSEG_WEIGHTS_DIR", str(tmp_path))
    ask = Asker(ros)
    node = start(ros)
    assert "gcseg weights fetch" in capfd.readouterr().err
    mapped(ros, camera, frames)
    ros.until(lambda: node._map and node._gatherer.views)
    assert "gcseg weights fetch" in ask("mug")
    assert "gcseg weights fetch" in ask("lamp")
    # as soon as they are there, it answers
    monkeypatch.setattr(query_node.OpenClip, "load", lambda *_: ColourEncoder())
    assert "object" in ask("orange thing")


def test_a_map_without_views_or_without_ids_and_broken_views(ros, colours):
    ask = Asker(ros)
    node = start(ros, **{"topics.cloud": "cloud", "topics.views": "views"})
    publisher = ask.node.create_publisher(PointCloud2, f"{ros.namespace}/cloud", LATCHED)
    points = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    cloud = messages.cloud_message(
        labelled_map(points, None, np.ones(50, int), np.ones(50)), messages.header(1, "map"), "camera"
    )
    del cloud.fields[4]
    publisher.publish(cloud)
    ros.until(lambda: node._drops.reasons.get("cloud without instances") == 1)
    cloud = messages.cloud_message(
        labelled_map(points, None, np.ones(50, int), np.ones(50)), messages.header(1, "map"), "camera"
    )
    publisher.publish(cloud)
    ros.until(lambda: node._map)
    assert "no view of it" in ask("mug")
    publisher_of_views(ros)(1, 1, StoredView("1", np.eye(4), CAMERA, CAMERA, b"no jpeg", b"no png"))
    ros.until(lambda: node._drops.reasons.get("view not usable") == 1)
    assert "no view of it" in ask("mug")


def test_lifecycle(ros, colours):
    node = ros.add(QueryNode, autostart=False)
    node.start()
    for _ in range(2):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        assert node._encoder is not None
        assert node.trigger_deactivate() == SUCCESS
        assert node._encoder is None
        assert node.trigger_cleanup() == SUCCESS
    assert node.trigger_shutdown() == SUCCESS


def test_too_many_queries_at_once(ros, colours, monkeypatch):
    ask = Asker(ros)
    node = start(ros)
    ros.until(ask.publisher.get_subscription_count)
    blocked = threading.Event()
    node._worker.call(lambda: blocked.wait(30))
    for i in range(query_node.MOST_WAITING + 3):
        node._take_query(String(data=f"mug {i}"))
    blocked.set()
    ros.until(lambda: node._drops.reasons.get("query not answered") == 3)
    ros.until(lambda: not node._waiting)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("red mug", (["red mug"], [])),
        (" red  mug ; lamp;", (["red mug", "lamp"], [])),
        ("mug; -bowl; - plate", (["mug"], ["bowl", "plate"])),
        ("half-open door", (["half-open door"], [])),
        ("红色杯子", (["红色杯子"], [])),
    ],
)
def test_parsed(query, expected):
    assert parsed(query) == expected


@pytest.mark.parametrize("query", ["", "-bowl", ";", "mug; -"])
def test_parsed_refuses(query):
    with pytest.raises(UserError):
        parsed(query)
