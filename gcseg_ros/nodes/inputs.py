"""A topic that is read: it takes the publisher's type and reliability, counts what comes, and can say why nothing does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from gcseg_ros.nodes.diagnostics import InputState, PublisherState, Rate


class Input:
    """A subscription to `topic` for messages of one of `types` (the first until a publisher shows another one).

    qos_auto  change to best effort when the publisher offers no more
    """

    def __init__(
        self,
        node: Node,
        name: str,
        topic: str,
        types: list[type],
        callback: Callable[[Any], None],
        qos: QoSProfile,
        qos_auto: bool,
    ) -> None:
        self._node, self.name, self._topic, self._types = node, name, topic, types
        self._callback, self._qos, self._qos_auto = callback, qos, qos_auto
        self.resolved = node.resolve_topic_name(topic)
        self.received = Rate()
        self._subscription: Any = None
        self._subscribe(types[0], qos.reliability)

    def adapt(self) -> None:
        """Subscribe anew if every publisher has another type, or offers only best effort."""
        publishers = self._node.get_publishers_info_by_topic(self.resolved)
        kinds = {type_name(kind): kind for kind in self._types}
        offered = [p for p in publishers if p.topic_type in kinds]
        if not offered:
            return
        kind = self._kind if type_name(self._kind) in {p.topic_type for p in offered} else kinds[offered[0].topic_type]
        reliability = self._reliability
        if self._qos_auto and any(p.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for p in offered):
            reliability = ReliabilityPolicy.BEST_EFFORT
        if (kind, reliability) != (self._kind, self._reliability):
            self._node.destroy_subscription(self._subscription)
            self._subscribe(kind, reliability)

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def state(self) -> InputState:
        """What is known about the topic now."""
        publishers = [
            PublisherState(
                info.node_name, info.topic_type, info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
            )
            for info in self._node.get_publishers_info_by_topic(self.resolved)
        ]
        accepted = [type_name(kind) for kind in self._types]
        alike = [
            topic
            for topic, types in self._node.get_topic_names_and_types()
            if set(types) & set(accepted) and topic != self.resolved and self._node.count_publishers(topic)
        ]
        return InputState(
            name=self.name,
            resolved=self.resolved,
            accepted=accepted,
            reliable=self._reliability == ReliabilityPolicy.RELIABLE,
            received=self.received.count,
            publishers=publishers,
            alike=sorted(alike),
        )

    def _subscribe(self, kind: type, reliability: ReliabilityPolicy) -> None:
        self._kind, self._reliability = kind, reliability
        qos = QoSProfile(
            depth=self._qos.depth,
            history=HistoryPolicy.KEEP_LAST,
            reliability=reliability,
            durability=self._qos.durability,
        )
        self._subscription = self._node.create_subscription(kind, self._topic, self._take, qos)

    def _take(self, message: Any) -> None:
        self.received.tick(time.monotonic())
        self._callback(message)


def type_name(kind: type) -> str:
    """ROS's name of a message class: sensor_msgs/msg/Image."""
    package, _, name = kind.__module__.partition(".msg.")
    return f"{package}/msg/{kind.__name__}" if name else kind.__name__
