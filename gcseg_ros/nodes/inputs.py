"""A topic that is read: it takes the publisher's type and reliability, counts what comes, and can say why nothing does."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from gcseg_ros.errors import UserError
from gcseg_ros.nodes.diagnostics import InputState, PublisherState, Rate

KEPT = ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL
OF_PROCESS = 12  # bytes with which the DDS ids of all publishers of a process begin


class Input:
    """A subscription to `topic` for messages of one of `types` (the first until a publisher shows another one). Raises UserError where
    that is no name of a topic.

    qos_auto  change to best effort when a publisher offers no more, unless transient local is asked for and another offers it to reliable
              readers; and from transient local to volatile when none offers more
    kept      one message is enough; change to what was sent before and is kept (reliable, transient local), when every publisher offers it
    """

    def __init__(
        self,
        node: Node,
        name: str,
        topic: str,
        types: list[type],
        callback: Callable[[Any], None],
        qos: QoSProfile,
        qos_auto: bool = True,
        kept: bool = False,
    ) -> None:
        self._node, self.name, self._topic, self._types = node, name, topic, types
        self._callback, self._qos, self._qos_auto, self._kept = callback, qos, qos_auto, kept
        self.resolved = _resolved(node, name, topic)
        self.received = Rate()
        self._subscription: Any = None
        self._kind, self._offered = types[0], (qos.reliability, qos.durability)
        self.adapt()

    def adapt(self) -> None:
        """Subscribe, or subscribe anew if every publisher has another type, or what they offer asks for another QoS."""
        kinds = {type_name(kind): kind for kind in self._types}
        offered = [p for p in self._node.get_publishers_info_by_topic(self.resolved) if p.topic_type in kinds]
        kind, (reliability, durability) = self._kind, self._offered
        if offered and type_name(kind) not in {p.topic_type for p in offered}:
            kind = kinds[offered[0].topic_type]
        if offered:  # what was changed to is kept only as long as it is offered
            reliability, durability = self._qos.reliability, self._qos.durability
        profiles = {(p.qos_profile.reliability, p.qos_profile.durability) for p in offered}
        keeping = self._qos.durability == DurabilityPolicy.TRANSIENT_LOCAL and KEPT in profiles
        if self._qos_auto and not keeping and ReliabilityPolicy.BEST_EFFORT in {how for how, _ in profiles}:
            reliability = ReliabilityPolicy.BEST_EFFORT
        if self._qos_auto and {kept for _, kept in profiles} == {DurabilityPolicy.VOLATILE}:
            durability = DurabilityPolicy.VOLATILE
        if self._kept and profiles == {KEPT}:
            reliability, durability = KEPT
        if self._subscription is None or (kind, (reliability, durability)) != (self._kind, self._offered):
            self.close()
            self._kind, self._offered = kind, (reliability, durability)
            self._subscribe()

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def publishers(self) -> list[str]:
        """The nodes that publish a type that is read, by their full names; two of one name are there twice, but not one that publishes
        twice: drivers do so with the camera_info that two of their images share."""
        kinds = {type_name(kind) for kind in self._types}
        found = self._node.get_publishers_info_by_topic(self.resolved)
        nodes = {
            (f"{p.node_namespace.rstrip('/')}/{p.node_name}", bytes(p.endpoint_gid[:OF_PROCESS]))
            for p in found
            if p.topic_type in kinds
        }
        return sorted(name for name, _ in nodes)

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
            if set(types) & set(accepted) and topic != self.resolved and self._others_publish(topic)
        ]
        return InputState(
            name=self.name,
            resolved=self.resolved,
            accepted=accepted,
            reliable=self._offered[0] == ReliabilityPolicy.RELIABLE,
            received=self.received.count,
            publishers=publishers,
            alike=sorted(alike),
            silent_s=0.0 if self._kept else self.received.silent_s(time.monotonic()),
            every_s=self.received.every_s(),
        )

    def _others_publish(self, topic: str) -> bool:
        here = (self._node.get_name(), self._node.get_namespace())
        return any((p.node_name, p.node_namespace) != here for p in self._node.get_publishers_info_by_topic(topic))

    def _subscribe(self) -> None:
        qos = QoSProfile(
            depth=self._qos.depth,
            history=HistoryPolicy.KEEP_LAST,
            reliability=self._offered[0],
            durability=self._offered[1],
        )
        # Fast DDS refuses a second type of a topic within one process: `adapt` tries again when the graph shows the type
        with suppress(rclpy_implementation.RCLError):
            self._subscription = self._node.create_subscription(self._kind, self._topic, self._take, qos)

    def _take(self, message: Any) -> None:
        self.received.tick(time.monotonic())
        self._callback(message)


def _resolved(node: Node, name: str, topic: str) -> str:
    try:
        return node.resolve_topic_name(topic)
    except rclpy_implementation.RCLError as error:
        reason = str(error).removeprefix("failed to resolve name: ").split(", at /")[0]
        raise UserError(f"The topic of {name} is given as {topic!r}, which is no name in ROS: {reason}.") from None


def type_name(kind: type) -> str:
    """ROS's name of a message class: sensor_msgs/msg/Image."""
    package, _, name = kind.__module__.partition(".msg.")
    return f"{package}/msg/{kind.__name__}" if name else kind.__name__
