"""The views of a map that queries look at: as messages of mapping_node, and put together again from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.publisher import PublisherEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from gcseg_ros.errors import UserError
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.inputs import Input
from gcseg_ros.retrieval.views import StoredView
from gcseg_ros.ros_types.messages import stamp_ns

MOST_INCOMPLETE = 200
"""At least so many views may wait for the rest of their messages."""


class ViewOutputs:
    """The topics ~/views/colour, /depth, ... (`messages.VIEW`) of one map, for query_node, also one that comes late: DDS keeps the latest.

    A reset makes them anew in the worker's thread: they are no lifecycle publishers, which a transition may go through meanwhile, and have
    no events, which the executor may wait for.

    sent  views so far
    """

    def __init__(self, node: Node, most: int) -> None:
        """most: views of the map that are kept."""
        self._node, self._most = node, most
        qos, no_events = _kept(max(1, most)), PublisherEventCallbacks(use_default_callbacks=False)
        self._publishers: list[Any] = [
            node.create_publisher(kind, f"~/views/{name}", qos, event_callbacks=no_events)
            for name, kind in messages.VIEW.items()
        ]
        self._stamps: dict[str, int] = {}  # of the views that were sent and are still kept
        self.sent = self._stamp = 0  # the latter of the last one
        self._readers = 0
        self._map_began = messages.time_message(time.time_ns())  # tells the views of one map from those of the next

    def publish(self, views: Iterable[StoredView], stamp_ns: int, camera_frame: str, map_frame: str) -> None:
        """Of the views kept, those that are new, stamped now, and all where a reader has come and DDS has others for it. The messages of
        a view have one stamp, always the same, those of no other view the same."""
        before, self._readers = self._readers, self._publishers[-1].get_subscription_count()
        again = self._readers > before and self.sent > self._most
        known, self._stamps = self._stamps, {}
        for view in views:
            if view.name not in known:
                self._stamp = max(stamp_ns, self._stamp + 1)
                self.sent += 1
            stamp = self._stamps[view.name] = known.get(view.name, self._stamp)
            if view.name in known and not again:
                continue
            frame, world = messages.header(stamp, camera_frame), messages.header(stamp, map_frame)
            for publisher, message in zip(
                self._publishers, messages.view_messages(view, frame, world, self._map_began)
            ):
                publisher.publish(message)

    def withdraw(self) -> None:
        """Destroy the topics, with all that DDS keeps of them."""
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers = []


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
        self.inputs = [
            Input(node, f"view {name}", f"{prefix}/{name}", [kind], partial(self._add, name), _kept(most))
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


def _kept(most: int) -> QoSProfile:
    """Of so many views, also for readers that come late."""
    return QoSProfile(depth=most, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
