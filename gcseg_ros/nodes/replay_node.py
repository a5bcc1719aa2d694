"""replay_node: a recording as the topics that a camera and an odometry source would publish, with /clock."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from itertools import islice
from typing import Any

from gcseg_ros.nodes.run import run  # first: says in one sentence that rclpy is missing

# isort: split
from rcl_interfaces.msg import SetParametersResult
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from gcseg_ros.errors import UserError
from gcseg_ros.frames import Frame, depth_to_millimetres
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.mapping_node import POSE_TYPES
from gcseg_ros.nodes.parameters import ReplayNodeConfig, declare, read
from gcseg_ros.recordings import open_recording, parse_options, prefetch
from gcseg_ros.ros_types.messages import nanoseconds, stamp_ns

STEP_S = 0.02
LAST_NS = 10**9 << 31  # builtin_interfaces/Time holds no more
SAY_EVERY_S = 5.0
LAST_ACK_S = 5.0


class Stopped(Exception):  # noqa: N818 - not an error
    """The node is being ended."""


class ReplayNode(Node):
    """Publishes in a thread of its own; `done` is set at the end of the recording, to the exit status."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__("replay_node", **arguments)
        declare(self, ReplayNodeConfig)
        self.config = config = read(self, ReplayNodeConfig)
        if not config.recording:
            raise UserError("The parameter recording must name a folder, a bag or synthetic:SEED; it is empty.")
        self._recording = open_recording(config.recording, **parse_options(config.recording_options.split()))
        self.done: Future = Future()
        self._stopped, self._sent_or_seen = threading.Event(), threading.Condition()
        self._in_flight: deque[int] = deque()  # stamps that were sent and are not mapped yet
        self._seen_s = 0.0
        self._said: set[str] = set()  # what the recording told
        self.sent = self.mapped = 0
        reliability = ReliabilityPolicy.RELIABLE if config.qos == "reliable" else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=config.topic_queue_size, reliability=reliability)
        reliable = QoSProfile(depth=max(100, config.topic_queue_size), reliability=ReliabilityPolicy.RELIABLE)
        self._colour = self.create_publisher(Image, "rgb/image", qos)
        self._depth = self.create_publisher(Image, "depth/image", qos)
        self._camera_info = self.create_publisher(CameraInfo, "rgb/camera_info", qos)
        self._pose = self.create_publisher(POSE_TYPES[config.pose_type], "pose", reliable)
        self._data = [self._colour, self._depth, self._camera_info, self._pose]
        self._clock_publisher = (
            self.create_publisher(Clock, "/clock", qos_profile_sensor_data) if config.clock else None
        )
        self._tf = self._tf_publisher(reliable) if config.publish_tf else None
        if config.flow_control:
            self.create_subscription(Image, config.labels_topic, self._take_labels, reliable)
        self._labels_topic = self.resolve_topic_name(config.labels_topic)
        self.add_on_set_parameters_callback(self._refuse_change)
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)

    def _refuse_change(self, parameters: list[Any]) -> SetParametersResult:
        allowed = all(p.name == "use_sim_time" or not self.has_parameter(p.name) for p in parameters)
        reason = (
            "" if allowed else "Parameters (but use_sim_time) are read when the node starts: start it anew with them."
        )
        return SetParametersResult(successful=allowed, reason=reason)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _tf_publisher(self, qos: QoSProfile) -> Any:
        try:
            from tf2_msgs.msg import TFMessage
        except ModuleNotFoundError:
            raise UserError("publish_tf needs tf2_msgs, which is not installed here: set it to false.") from None
        return self.create_publisher(TFMessage, "/tf", qos)

    def _take_labels(self, message: Image) -> None:
        stamp = stamp_ns(message.header.stamp)
        with self._sent_or_seen:
            self.mapped += 1
            self._seen_s = time.monotonic()
            if stamp in self._in_flight:  # frames are mapped in order: earlier ones have been mapped or dropped
                while self._in_flight.popleft() != stamp:
                    pass
            self._sent_or_seen.notify()

    def _run(self) -> None:
        try:
            self._wait_for_subscribers()
            self.get_logger().info(f"Replaying {self.config.recording}: {len(self._recording)} frames.")
            while True:
                self._play_once()
                if not self.config.loop:
                    break
            self._finish()
            self.get_logger().info(f"The end: {self.sent} frames sent{self._mapped_text()}.")
            status = 0
        except Stopped:
            return
        except UserError as error:
            self.get_logger().fatal(str(error))
            status = 2
        except Exception:
            if not self.context.ok():  # ended by a signal in the middle of a call
                return
            self.get_logger().fatal(traceback.format_exc())
            status = 1
        if status or self.config.exit_at_end:
            self.executor.create_task(self.done.set_result, status)  # wakes the executor too

    def _wait_for_subscribers(self) -> None:
        config = self.config
        start_s = said_s = time.monotonic()
        while config.wait_for_subscribers_s > 0:
            missing = [p.topic_name for p in self._data if p.get_subscription_count() == 0]
            if config.flow_control and self.count_publishers(self._labels_topic) == 0:
                missing.append(f"{self._labels_topic} (its publisher)")
            now_s = time.monotonic()
            if not missing:
                return
            if now_s - start_s > config.wait_for_subscribers_s:
                raise UserError(
                    f"Nobody reads {', '.join(missing)} after {config.wait_for_subscribers_s:g} s: start mapping_node in the same "
                    "ROS_DOMAIN_ID, and check the topics' names."
                )
            if now_s - said_s > SAY_EVERY_S:
                said_s = now_s
                self.get_logger().info(f"Waiting for readers of {', '.join(missing)}.")
            self._sleep(STEP_S)

    def _play_once(self) -> None:
        config = self.config
        end = config.start_frame + config.max_frames if config.max_frames else None
        first_ns: int | None = None
        start_s = said_s = time.monotonic()
        sent_before = self.sent
        for frame in prefetch(islice(iter(self._recording), config.start_frame, end)):
            stamp = nanoseconds(frame.stamp_s)
            if not 0 <= stamp < LAST_NS:
                raise UserError(
                    f"Frame {frame.name} of {config.recording} is stamped {frame.stamp_s:g} s, which ROS's time cannot hold: stamps are seconds."
                )
            if first_ns is None:
                first_ns, start_s = stamp, time.monotonic()
                self._say(self._recording.notes)
            self._sleep(0)
            start_s += self._wait_for_room()
            self._wait_until(start_s, first_ns, stamp)
            self._publish(frame, stamp)
            if time.monotonic() - said_s > SAY_EVERY_S:
                said_s = time.monotonic()
                self.get_logger().info(
                    f"{self.sent - sent_before} of {len(self._recording)} frames sent{self._mapped_text()}."
                )
        if first_ns is None:
            raise UserError(
                f"The recording {config.recording} has no usable frame from number {config.start_frame} on."
            )
        self._say([*self._recording.notes, *self._recording.left_out(len(self._recording))])

    def _say(self, sentences: list[str]) -> None:
        """Warn of what was taken for granted or left out, each once."""
        for sentence in sentences:
            if sentence not in self._said:
                self._said.add(sentence)
                self.get_logger().warning(sentence)

    def _wait_for_room(self) -> float:
        """Flow control: until fewer than `in_flight` frames are on their way. The seconds that it took."""
        if not self.config.flow_control:
            return 0.0
        return self._wait_until_at_most(self.config.in_flight - 1)

    def _wait_until_at_most(self, frames: int) -> float:
        start_s = self._seen_s = time.monotonic()
        while len(self._in_flight) > frames:
            if self._stopped.is_set():
                raise Stopped
            if self.count_publishers(self._labels_topic) == 0:
                raise UserError(f"Nobody publishes {self._labels_topic} any more: mapping_node has ended.")
            with self._sent_or_seen:
                self._sent_or_seen.wait_for(lambda: len(self._in_flight) <= frames, timeout=0.2)
            if time.monotonic() - self._seen_s > self.config.stall_timeout_s:
                self.get_logger().warning(
                    f"No labels for {self.config.stall_timeout_s:g} s: {len(self._in_flight)} frames were not mapped; going on."
                )
                self._in_flight.clear()
        return time.monotonic() - start_s

    def _wait_until(self, start_s: float, first_ns: int, stamp: int) -> None:
        """Pace by the stamps; /clock runs on meanwhile."""
        rate = self.config.rate
        if rate > 0:
            due_s = start_s + (stamp - first_ns) / 1e9 / rate
            while (left_s := due_s - time.monotonic()) > 0:
                self._tell_time(stamp - round(left_s * rate * 1e9))
                self._sleep(min(left_s, STEP_S))
        self._tell_time(stamp)

    def _publish(self, frame: Frame, stamp: int) -> None:
        config = self.config
        head = messages.header(stamp, config.frame_id)
        world = messages.header(stamp, config.map_frame_id or frame.world)
        depth = frame.depth_m
        if config.depth_encoding == "16UC1":
            depth = depth_to_millimetres(depth)
        with self._sent_or_seen:
            self._in_flight.append(stamp)
            self.sent += 1
        if self._tf is not None:
            self._tf.publish(messages.tf_message(frame.pose, world, config.frame_id))
        self._camera_info.publish(messages.camera_info_message(frame.intrinsics, head))
        self._pose.publish(messages.pose_message(frame.pose, config.pose_type, world, config.frame_id))
        self._depth.publish(messages.image_message(depth, config.depth_encoding, head))
        self._colour.publish(messages.image_message(frame.colour, "rgb8", head))
        if config.flow_control:
            return
        self._in_flight.clear()
        if config.rate == 0 and config.qos == "reliable":
            self._wait_for_acknowledgement()

    def _finish(self) -> None:
        if self.config.flow_control:
            self._wait_until_at_most(0)
        elif self.config.qos == "reliable":
            self._wait_for_acknowledgement()

    def _wait_for_acknowledgement(self) -> None:
        """Until DDS has delivered everything, or LAST_ACK_S have gone."""
        for publisher in self._data:
            publisher.wait_for_all_acked(Duration(seconds=LAST_ACK_S))

    def _tell_time(self, now_ns: int) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=messages.time_message(now_ns)))

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds) or not self.context.ok():
            raise Stopped

    def _mapped_text(self) -> str:
        return f", {self.mapped} mapped" if self.config.flow_control else ""


def main() -> None:
    run("replay_node", ReplayNode)


if __name__ == "__main__":
    main()
