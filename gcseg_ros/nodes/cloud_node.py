"""What the nodes that work on a cloud share: listening to it, and surviving whatever comes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from sensor_msgs.msg import PointCloud2

from gcseg_ros.errors import UserError
from gcseg_ros.nodes.diagnostics import InputState
from gcseg_ros.nodes.inputs import Input
from gcseg_ros.nodes.managed import LATCHED, ManagedNode
from gcseg_ros.nodes.worker import Worker
from gcseg_ros.ros_types.clouds import PointCloud, to_point_cloud


class CloudNode(ManagedNode):
    """A lifecycle node on the topic `topics.cloud`."""

    _had_points = False  # the cloud that came before
    stop_timeout_s = 1.0  # nothing is lost when the node ends in the middle of a cloud

    def _cloud_input(self) -> Input:
        return Input(self, "cloud", self._config.topics.cloud, [PointCloud2], self._take_cloud, LATCHED)

    def _cloud_worker(self, idle: Callable[[], None]) -> Worker[PointCloud2]:
        """What works on one cloud after the other, the latest of those that wait, and is `idle` in between."""
        return Worker(
            process=partial(self._guarded, self._process),
            idle=partial(self._guarded, idle),
            size=1,
            policy="drop_oldest",
            drop=lambda message: self._drops("replaced by a newer cloud"),
        )

    def _take_cloud(self, message: PointCloud2) -> None:
        """Executor thread. A newer cloud takes the place of one that waits; the first without points, of a map that was reset, is
        never passed over."""
        self._heard()
        message.header.frame_id = message.header.frame_id.lstrip("/")  # tf2 and RViz refuse it
        has_points = message.width * message.height > 0
        if has_points:
            self._worker.put(message)
        elif self._had_points:
            self._worker.call(partial(self._guarded, self._process, message))
        self._had_points = has_points

    @abstractmethod
    def _process(self, message: PointCloud2) -> None:
        """Worker thread."""

    def _read(self, message: PointCloud2) -> PointCloud | None:
        """The message's points. What is wrong with it is counted and said; None if nothing can be done with it."""
        try:
            cloud = to_point_cloud(message)
        except UserError as error:
            self._drops("cloud not usable", str(error))
            return None
        if cloud.left_out:
            self._drops(
                "cloud with points that are not finite",
                f"{cloud.left_out} of the cloud's {cloud.left_out + len(cloud)} points are not finite and were left out.",
            )
        if not len(cloud):
            self._drops("cloud without points", "A cloud came that has no points: is the map empty?")
        return cloud

    def _may_be_silent(self) -> bool:
        return self._complete.count > 0  # a map that does not change is not published again

    def _farewell(self) -> str:
        return "Nobody publishes the cloud any more; the last one stays."

    def _silence(self, silent_s: float, states: list[InputState]) -> str:
        lines = [f"{self.get_name()}: no cloud for {silent_s:.0f} s. Needed are:", *(state.line() for state in states)]
        lines.append(
            "  Start mapping_node, or give the name of another cloud (cloud_topic:=... to the launch file, the parameter "
            "topics.cloud); `ros2 topic list -t` shows all."
        )
        return "\n".join(lines)

    def _status(self, now_s: float) -> tuple[str, dict[str, Any]]:
        return f"{self._complete.count} clouds", {"waiting": len(self._worker)}
