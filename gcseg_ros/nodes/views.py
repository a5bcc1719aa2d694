"""The views that mapping_node publishes for queries, put together again from their messages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from gcseg_ros.errors import UserError
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.inputs import Input
from gcseg_ros.retrieval.views import StoredView
from gcseg_ros.ros_types.messages import stamp_ns

MOST_INCOMPLETE = 200
"""At least so many views may wait for the rest of their messages."""


class ViewInputs:
    """Reads the topics `prefix`/colour, /depth, ... (`messages.VIEW`) and hands over each view that is complete.

    inputs  one for each topic
    """

    def __init__(
        self,
        node: Node,
        prefix: str,
        most: int,
        take: Callable[[StoredView, str, int], None],
        refuse: Callable[[str], None],
    ) -> None:
        """most: views that DDS keeps; take: is given a view, the frame of its pose, and when its map began; refuse: a sentence
        about one that cannot be used."""
        self._take, self._refuse = take, refuse
        self._most_incomplete = max(MOST_INCOMPLETE, 2 * most)  # DDS may send all of a topic before the next
        self._incomplete: dict[int, dict[str, Any]] = {}
        qos = QoSProfile(
            depth=most, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self.inputs = [
            Input(node, f"view {name}", f"{prefix}/{name}", [kind], partial(self._add, name), qos, True)
            for name, kind in messages.VIEW.items()
        ]

    def _add(self, name: str, message: Any) -> None:
        stamp = stamp_ns(message.header.stamp)
        parts = self._incomplete.setdefault(stamp, {})
        parts[name] = message
        if len(parts) == len(messages.VIEW):
            del self._incomplete[stamp]
            map_began = stamp_ns(parts.pop("map").time_ref)
            try:
                self._take(messages.view_of(**parts), parts["pose"].header.frame_id, map_began)
            except UserError as error:
                self._refuse(str(error))
        elif len(self._incomplete) > self._most_incomplete:
            del self._incomplete[min(self._incomplete)]
            self._refuse("A view of the map came without some of its messages: DDS has lost them.")
