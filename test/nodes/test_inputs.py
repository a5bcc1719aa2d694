"""A topic that is read, over real DDS: it follows what its publishers offer."""

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from gcseg_ros.nodes.inputs import Input
from gcseg_ros.nodes.managed import LATCHED

VOLATILE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)


def test_what_one_publisher_keeps_is_heard_beside_a_volatile_one_and_that_one_when_it_is_alone(ros):
    """As on /tf_static, where ros1_bridge publishes as well."""
    heard, node = [], ros.helper("camera")
    keeping = node.create_publisher(String, "x", LATCHED)
    keeping.publish(String(data="before"))
    volatile = node.create_publisher(String, "x", VOLATILE)
    listener = ros.helper("listener")
    ros.until(lambda: len(listener.get_publishers_info_by_topic(f"{ros.namespace}/x")) == 2)
    reader = Input(listener, "x", "x", [String], lambda message: heard.append(message.data), LATCHED, True)
    ros.until(lambda: heard == ["before"])
    node.destroy_publisher(keeping)
    ros.until(lambda: reader.adapt() or volatile.get_subscription_count())
    volatile.publish(String(data="now"))
    ros.until(lambda: heard == ["before", "now"])


@pytest.mark.parametrize("durability", [DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL])
def test_what_one_publisher_keeps_is_heard_beside_a_best_effort_one_and_that_one_when_it_is_alone(ros, durability):
    """DDS sends what is kept only to readers that are reliable."""
    heard, node = [], ros.helper("camera")
    keeping = node.create_publisher(String, "x", LATCHED)
    keeping.publish(String(data="before"))
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT, durability=durability)
    hasty = node.create_publisher(String, "x", qos)
    listener = ros.helper("listener")
    ros.until(lambda: len(listener.get_publishers_info_by_topic(f"{ros.namespace}/x")) == 2)
    reader = Input(listener, "x", "x", [String], lambda message: heard.append(message.data), LATCHED, True)
    ros.until(lambda: heard == ["before"], timeout_s=10)
    node.destroy_publisher(keeping)
    ros.until(lambda: reader.adapt() or hasty.get_subscription_count())
    hasty.publish(String(data="now"))
    ros.until(lambda: heard == ["before", "now"])
