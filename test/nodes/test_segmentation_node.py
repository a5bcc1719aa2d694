"""segmentation_node over real DDS, on tiny clouds."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2, PointField
from visualization_msgs.msg import MarkerArray

from gcseg_ros.errors import UserError
from gcseg_ros.instances.instances import labelled_map
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.segmentation_node import SegmentationNode
from gcseg_ros.ros_types.clouds import to_point_cloud
from gcseg_ros.viewer.colours import instance_colours

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SUCCESS = TransitionCallbackReturn.SUCCESS


def start(ros, **parameters):
    node = ros.add(
        SegmentationNode,
        **{"topics.cloud": "cloud", "rate_hz": 30.0, "min_points": 1, "diagnostics_rate_hz": 20.0, **parameters},
    )
    node.start()
    return node


class Source:
    """Publishes clouds, and hears what the node makes of them."""

    def __init__(self, ros, qos=LATCHED):
        self.ros, self.node = ros, ros.helper("source")
        self.publisher = self.node.create_publisher(PointCloud2, f"{ros.namespace}/cloud", qos)
        self.clouds, self.markers, self.diagnostics = [], [], []
        for kind, topic, heard in (
            (PointCloud2, "cloud", self.clouds),
            (MarkerArray, "instances", self.markers),
            (DiagnosticArray, "/diagnostics", self.diagnostics),
        ):
            name = topic if topic.startswith("/") else f"{ros.namespace}/segmentation_node/{topic}"
            self.node.create_subscription(kind, name, heard.append, LATCHED if heard is not self.diagnostics else 10)

    def send(self, message):
        """Publish; the next labelled cloud."""
        count = len(self.clouds)
        self.ros.until(self.publisher.get_subscription_count)
        self.publisher.publish(message)
        self.ros.until(lambda: len(self.clouds) > count)
        return to_point_cloud(self.clouds[-1])


def boxes(ids, frame="map", colours="camera"):
    """A cloud of 27 points for each of these ids, side by side."""
    grid = np.stack(np.meshgrid(*[np.arange(3) * 0.1] * 3), axis=-1).reshape(-1, 3)
    points = np.concatenate([grid + np.array([x, 0, 0]) for x in range(len(ids))] or [grid[:0]]).astype(np.float32)
    labels = np.repeat(np.array(ids, np.int64), len(grid))
    camera = np.full((len(points), 3), 90, np.uint8)
    return messages.cloud_message(
        labelled_map(points, camera, labels, np.full(len(points), 0.5)), messages.header(5, frame), colours
    )


def reasons(node):
    return dict(node._drops.reasons)


def test_ids_and_colours_stay_with_their_objects(ros):
    source = Source(ros)
    node = start(ros)
    first = source.send(boxes([7, 3]))
    assert sorted(set(first.instance)) == [1, 2]
    later = source.send(boxes([30, 80, 20]))
    np.testing.assert_array_equal(later.instance[: len(first)], first.instance)
    np.testing.assert_array_equal(later.colours, instance_colours(later.instance))
    assert set(later.instance[len(first) :]) == {3}
    assert source.clouds[-1].header == boxes([]).header
    ros.until(lambda: len(source.markers) == 2)
    assert {(m.ns, m.id) for m in source.markers[-1].markers[1:]} == {
        (n, i) for n in ("boxes", "ids") for i in (1, 2, 3)
    }
    assert reasons(node) == {}
    np.testing.assert_allclose(later.confidence, 0.5)


def test_who_comes_late_gets_the_last_map_and_a_late_node_the_last_cloud(ros):
    source = Source(ros)
    source.publisher.publish(boxes([1]))
    start(ros)
    ros.until(lambda: source.clouds)
    heard = []
    ros.helper("late").create_subscription(
        PointCloud2, f"{ros.namespace}/segmentation_node/cloud", heard.append, LATCHED
    )
    ros.until(lambda: heard)


def test_a_volatile_best_effort_publisher_is_followed(ros):
    source = Source(ros, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    start(ros)
    source.send(boxes([1]))


def test_only_what_is_new_enough_is_segmented_unless_asked(ros):
    source = Source(ros)
    node = start(ros, min_new=0.4)
    client = ros.helper("client")
    empty = ros.call(client, "segmentation_node/segment")
    assert not empty.success
    assert "No cloud has come on" in empty.message
    source.send(boxes([1, 2, 3]))
    source.publisher.publish(boxes([1, 2, 3, 4]))
    ros.until(lambda: node._new == pytest.approx(0.25))
    ros.spin_for(0.3)
    assert len(source.clouds) == 1
    asked = ros.call(client, "segmentation_node/segment")
    assert asked.success, asked.message
    assert "4 instances in 108 points, 1 of them new" in asked.message
    ros.until(lambda: len(source.clouds) == 2)
    source.send(boxes([1, 2, 3, 4, 5, 6, 7]))


def test_a_map_that_was_reset_is_said_at_once(ros):
    source = Source(ros)
    start(ros, rate_hz=0.001)
    source.send(boxes([1, 2, 3]))
    assert not len(source.send(boxes([])))


def test_an_empty_map_at_the_start_is_no_news_and_its_frame_is_none(ros):
    source = Source(ros)
    node = start(ros)
    source.publisher.publish(boxes([]))
    ros.until(lambda: node._complete.count)
    source.send(boxes([1], frame="odom"))
    assert set(source.send(boxes([])).instance) == set()
    assert set(source.send(boxes([1], frame="odom")).instance) == {1}, "ids go on"
    assert reasons(node) == {"cloud without points": 1}


def test_small_instances_are_left_out(ros):
    source = Source(ros)
    start(ros, min_points=28)
    assert not source.send(boxes([1, 2])).instance.any()


def test_another_frame_begins_ids_anew(ros):
    source = Source(ros)
    start(ros)
    assert set(source.send(boxes([3])).instance) == {1}
    assert set(source.send(boxes([3, 4], frame="/map")).instance) == {1, 2}, "that is the same frame"
    assert source.clouds[-1].header.frame_id == "map"
    assert set(source.send(boxes([0, 4], frame="odom")).instance) == {0, 1}, "in map it was 2"


def changed(change):
    message = boxes([1])
    change(message)
    return message


def with_nan(message):
    values = np.frombuffer(message.data, np.uint8).copy()
    values[:4] = np.frombuffer(np.float32(np.nan).tobytes(), np.uint8)
    message.data = values.tobytes()


MALFORMED = {
    "without z": lambda m: m.fields.pop(2),
    "without fields": lambda m: setattr(m, "fields", []),
    "truncated": lambda m: setattr(m, "data", m.data[:-9]),
    "point_step 0": lambda m: setattr(m, "point_step", 0),
    "row_step too small": lambda m: setattr(m, "row_step", 3),
    "a field outside": lambda m: setattr(m.fields[0], "offset", 1000),
    "a field of no known type": lambda m: setattr(m.fields[1], "datatype", 77),
    "a vector": lambda m: setattr(m.fields[1], "count", 3),
    "huge": lambda m: setattr(m, "width", 2**32 - 1),
    "x is a byte at the end": lambda m: m.fields.__setitem__(0, PointField(name="x", offset=23, datatype=7, count=1)),
}


def test_malformed_clouds_are_counted_and_the_node_lives_on(ros, capfd):
    source = Source(ros)
    node = start(ros)
    ros.until(source.publisher.get_subscription_count)
    for i, change in enumerate(MALFORMED.values(), 1):
        source.publisher.publish(changed(change))
        ros.until(lambda: reasons(node).get("cloud not usable") == i)  # noqa: B023 - called within the loop
    assert len(source.send(changed(with_nan))) == 26
    assert len(source.send(boxes([]))) == 0
    assert len(source.send(boxes([4]))) == 27
    assert reasons(node) == {
        "cloud not usable": len(MALFORMED),
        "cloud with points that are not finite": 1,
        "cloud without points": 1,
    }
    said = capfd.readouterr().err
    assert said.count("cloud not usable") == 1, "one sentence, and then the count"
    assert "1 of the cloud's 27 points are not finite" in said
    values = {value.key: value.value for value in source.diagnostics[-1].status[0].values}
    ros.until(lambda: f"dropped: cloud not usable={len(MALFORMED)}" in shown(source.diagnostics))
    assert values["source"] == "tracked"


def shown(diagnostics):
    return [f"{value.key}={value.value}" for value in diagnostics[-1].status[0].values]


def test_a_cloud_without_ids_cannot_be_tracked(ros):
    source = Source(ros)
    node = start(ros)
    ros.until(source.publisher.get_subscription_count)
    source.publisher.publish(changed(lambda m: m.fields.pop(4)))
    ros.until(lambda: reasons(node) == {"cloud not segmented": 1})
    answer = ros.call(ros.helper("client"), "segmentation_node/segment")
    assert not answer.success
    assert "field instance_id" in answer.message
    source.send(boxes([1]))


def test_silence_is_explained(ros, capfd):
    start(ros, warn_after_s=0.2)
    ros.until(lambda: "cloud_topic:=" in (said := capfd.readouterr().err) and "nobody publishes it" in said)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny network with random weights."""
    torch = pytest.importorskip("torch", reason="the 3D segmenter needs torch")
    from gcseg_ros.segmentation import checkpoint
    from gcseg_ros.segmentation.network import Mask3D, NetworkConfig

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("network") / "tiny.pt"
    checkpoint.save(Mask3D(NetworkConfig("tiny", hidden=16, heads=2, feedforward=16, rounds=1, queries=6)), file)
    return str(file)


@pytest.mark.parametrize("source_of", ["network", "fused"])
def test_the_network_is_loaded_on_activation_and_freed_on_deactivation(ros, checkpoint, source_of):
    source = Source(ros)
    node = ros.add(
        SegmentationNode,
        **{"topics.cloud": "cloud", "source": source_of, "checkpoint": checkpoint, "device": "cpu", "autostart": False},
        **{"min_score": 0.0, "min_points": 1},
    )
    node.start()
    assert node.trigger_configure() == SUCCESS
    assert node._segmenter is None
    assert node.trigger_activate() == SUCCESS
    assert node._segmenter is not None
    first = source.send(boxes([1, 2]))
    if source_of == "fused":
        assert first.instance.all(), "what no mask has won stays an instance of its own"
    assert node.trigger_deactivate() == SUCCESS
    assert node._segmenter is None
    answer = ros.call(ros.helper("client"), "segmentation_node/segment")
    assert "not active" in answer.message
    assert node.trigger_activate() == SUCCESS
    again = ros.call(ros.helper("client2"), "segmentation_node/segment")
    assert again.success, again.message
    ros.until(lambda: len(source.clouds) > 1)
    np.testing.assert_array_equal(to_point_cloud(source.clouds[-1]).instance, first.instance)


def test_colours_of_instances_are_not_shown_to_the_network(ros, checkpoint, capfd):
    source = Source(ros)
    start(ros, source="network", checkpoint=checkpoint, device="cpu", min_score=0.0)
    source.send(boxes([1, 2], colours="instance"))
    ros.until(lambda: "set mapping_node's cloud_colours to camera" in capfd.readouterr().err)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"checkpoint": "/nowhere.pt"}, "There is no checkpoint /nowhere.pt"),
        ({"device": "cuda"}, "no GPU"),
        ({"min_score": 2.0}, "min_score must be a number >= 0, <= 1"),
        ({"source": "magic"}, "source = 'magic' is not allowed"),
    ],
)
def test_what_cannot_be_activated_is_one_sentence(ros, capfd, checkpoint, parameters, sentence):
    import torch

    if "device" in parameters and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises((SystemExit, UserError)) as ended:
        start(ros, **{"source": "network", "checkpoint": checkpoint, **parameters})
    said = capfd.readouterr().err + str(ended.value)
    assert sentence in said
    assert "Traceback" not in said
