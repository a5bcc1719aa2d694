"""mapping_node: colour, depth, calibration and pose in; tracked labels and the map of instances out."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from gcseg_ros.nodes.run import run  # first: says in one sentence that rclpy is missing

# isort: split
import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

try:
    from tf2_msgs.msg import TFMessage
except ModuleNotFoundError:
    TFMessage = None
try:
    from vision_msgs.msg import Detection3DArray
except ModuleNotFoundError:
    Detection3DArray = None

from gcseg_ros.errors import UserError
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.diagnostics import WARN_EVERY_S, InputState, Rate, silence_report, stamps_apart, without_stamp
from gcseg_ros.nodes.inputs import Input
from gcseg_ros.nodes.managed import LATCHED, RELIABLE, ManagedNode
from gcseg_ros.nodes.parameters import MappingNodeConfig, read
from gcseg_ros.nodes.poses import MountedPoses, TfPoses, TopicPoses, matrix_from_xyz_quaternion
from gcseg_ros.nodes.session import MappingSession, Unusable, warm_up
from gcseg_ros.nodes.synchroniser import FrameSet, Pose, PoseSource, Synchroniser
from gcseg_ros.nodes.views import ViewOutputs
from gcseg_ros.nodes.worker import Worker
from gcseg_ros.ros_types.messages import stamp_ns
from gcseg_ros.viewer.overlay import overlay

POSE_TYPES = {kind.__name__: kind for kind in (Odometry, PoseStamped, PoseWithCovarianceStamped)}
JOINTS = "tf of the joints"  # TF's moving part, where a topic gives the poses
NO_MOUNT = "no transform from body to camera"
OTHER_WORLD = "poses in another frame than the map"
POSES = {"live": 100, "bag": 1000}
"""That DDS keeps. Where there is no time to read all, the oldest go: live, the image's own pose must not wait behind them."""
PUBLISHING = 0.1  # of the time: it takes the longer, the larger the map is, and frames wait for it
LONGEST_PAUSE_S = 10.0  # between clouds that are due: the first takes long where loops are still to be compiled
OTHER_CLOCK_S = 3600.0  # stamps that differ by more from the node's clock were made by another one


class MappingNode(ManagedNode):
    """Configured: the mapper exists and can be saved. Active: it takes frames."""

    settings, task = MappingNodeConfig, "mapping"
    optional = ManagedNode.optional | {JOINTS}
    shared = ManagedNode.shared | {JOINTS}
    changeable = ManagedNode.changeable | {"output_dir"}  # to save elsewhere what a disk has refused

    def __init__(self, **arguments: Any) -> None:
        super().__init__("mapping_node", **arguments)
        self._session: Any = None  # a MappingSession while configured
        self._offer("~/save", self._save)
        self._offer("~/reset", self._reset)

    # -- lifecycle ----------------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        self._config = config = read(self, MappingNodeConfig)
        self._body_to_camera = matrix_from_xyz_quaternion(config.body_to_camera, "body_to_camera")
        if config.pose_source == "tf" and TFMessage is None:
            raise UserError("pose_source tf needs tf2_msgs, which is not installed here: use a pose topic.")
        if not warm_up.cache_info().currsize:
            self.get_logger().info(
                "Preparing the mapper; on its first run on a machine it is compiled, which takes a minute."
            )
            warm_up()
        self._session = MappingSession(config, self.get_logger().warning)
        self._received_s: dict[int, float] = {}
        self._jumps, self._told_of_jumps_s = 0, -WARN_EVERY_S  # of the clock, since that was told
        self._mapped = Rate()
        self._refused = ""  # why the latest frame could not be mapped
        self._latency_s = self._delay_s = 0.0
        self._statistics: dict[str, Any] = {}
        # a map of unknown frame is published when a pose names it
        waits = self._session.frames and config.pose_source == "topic"
        known = config.map_frame_id or self._session.frame.id
        self._map_frame_id, self._camera_frame_id = known or ("" if waits else "map"), ""
        self._stamp_ns, self._published_s = self.get_clock().now().nanoseconds, 0.0
        self._publishing_s = 0.0  # that it took to make and publish the last cloud
        self._dirty = self._session.frames > 0  # whether the map is newer than what was published
        # an empty map tells who listens that the one they have is no more
        self._unsent: InstanceMap | None = None if self._dirty else self._session.cloud()
        if self._session.frames:
            self.get_logger().info(f"Going on with the map of {self._session.frames} frames in {config.resume}.")
            saved, told = self._session.frame.id, config.map_frame_id
            if saved and told and saved != told:
                advice = f"set map_frame_id:={saved}" if config.pose_source == "tf" else "leave map_frame_id empty"
                self.get_logger().warning(
                    f"The map in {config.resume} was saved in the frame {saved!r}, map_frame_id is {told!r}: {advice} unless both are the "
                    "same world."
                )
        self._labels = self._advertise(Image, "~/labels", RELIABLE)
        self._overlay = self._advertise(Image, "~/overlay", RELIABLE)
        self._cloud = self._advertise(PointCloud2, "~/cloud", LATCHED)
        self._markers = self._advertise(MarkerArray, "~/instances", LATCHED)
        if Detection3DArray is not None:
            self._detections = self._advertise(Detection3DArray, "~/detections", LATCHED)
        self._views = ViewOutputs(self, config.views.most)
        self._made.append(lambda: self._views.withdraw())
        live = config.mode == "live"
        self._worker: Worker[FrameSet] = Worker(
            process=partial(self._guarded, self._process),
            idle=partial(self._guarded, self._publish_what_is_due),
            size=1 if live else config.bag_queue_size,
            policy="drop_oldest" if live else config.bag_queue_policy,
            drop=self._overtaken,
        )

    def _activate(self) -> None:
        config = self._config
        self._tf = TfPoses(self._map_frame_id, config.frame_id, config.pose_gap_s)
        slop_s = config.sync_slop_s if config.approx_sync else 0.0
        self._topic_poses = TopicPoses(not config.approx_sync, slop_s, config.pose_gap_s)
        poses: PoseSource = self._tf if config.pose_source == "tf" else self._topic_poses
        if np.array_equal(self._body_to_camera, np.eye(4)):  # else nobody asks TF
            poses = MountedPoses(poses, self._tf, config.frame_id)
        self._synchroniser = Synchroniser(
            poses,
            round(slop_s * 1e9),
            config.sync_queue_size,
            self._drops,
            self._jumped,
        )
        self._last_stamps: dict[str, int] = {}
        self._inputs = [*self._camera_inputs(), *self._pose_inputs()]
        self.get_logger().info(
            f"Mapping in {config.mode} mode from "
            + ", ".join(f"{i.name} {i.resolved}" for i in self._inputs)
            + f"; {self.resolve_service_name('~/save')} writes {self._output_dir()}."
        )

    def _output_dir(self) -> str:
        """As it is set now. Robots that start in one folder do not write over each other's map."""
        own = "_".join(["gcseg_map", *filter(None, self.get_namespace().split("/"))])
        return read(self, MappingNodeConfig).output_dir or own

    def _cleanup(self) -> None:
        super()._cleanup()
        if self._session is not None:
            if unsaved := self._session.frames - self._session.saved:
                unless = " unless the ~/save that is still at work ends well" if self.busy and self._answering else ""
                self._warn_at_the_end(
                    f"{unsaved} of {self._session.frames} mapped frames are in no saved map and are gone{unless}: call ~/save, and wait for its "
                    "answer, before the node ends or is cleaned up."
                )
            self.busy |= self._session.busy
            self._session.close()
            self._session = None

    # -- in: executor thread -------------------------------------------------------------------------------------------

    def _camera_inputs(self) -> list[Input]:
        config, topics = self._config, self._config.topics
        reliable = config.qos == "reliable" or (config.qos == "auto" and config.mode == "bag")
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        # every frame of a bag is to be mapped: those that come while this thread is held up, too
        depth = max(config.topic_queue_size, config.bag_queue_size if config.mode == "bag" else 1)
        qos, auto = QoSProfile(depth=depth, reliability=reliability), config.qos == "auto"
        images = [Image, CompressedImage]
        return [
            Input(self, "colour", topics.rgb, images, partial(self._take_image, "colour"), qos, auto),
            Input(self, "depth", topics.depth, images, partial(self._take_image, "depth"), qos, auto),
            Input(self, "camera_info", topics.camera_info, [CameraInfo], self._take_camera_info, qos, auto, kept=True),
        ]

    def _pose_inputs(self) -> list[Input]:
        """The pose topic, or TF. TF's static part also tells how the camera sits on the body."""
        config, topics = self._config, self._config.topics
        latched = QoSProfile(depth=1000, reliability=RELIABLE.reliability, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        inputs = []
        if config.pose_source == "tf":
            inputs.append(self._tf_input("tf"))
        else:
            kinds = list(POSE_TYPES.values()) if config.pose_type == "auto" else [POSE_TYPES[config.pose_type]]
            inputs.append(Input(self, "pose", topics.pose, kinds, self._take_pose, self._poses_qos()))
        if TFMessage is not None:
            inputs.append(
                Input(self, "tf_static", topics.tf_static, [TFMessage], partial(self._take_tf, True), latched)
            )
        return inputs

    def _tf_input(self, name: str) -> Input:
        take = partial(self._take_tf, False)
        return Input(self, name, self._config.topics.tf, [TFMessage], take, self._poses_qos())

    def _poses_qos(self) -> QoSProfile:
        return QoSProfile(depth=POSES[self._config.mode], reliability=RELIABLE.reliability)

    def _take_image(self, stream: str, message: Any) -> None:
        frame_id = message.header.frame_id.lstrip("/")
        self._synchroniser.add(stream, self._stamp_of(stream, message), frame_id, message)
        self._release()

    def _stamp_of(self, stream: str, message: Any) -> int:
        """In ns. That it is 0 is told of where the one before was, too: simulated time begins there, maybe again."""
        before, stamp = self._last_stamps.get(stream), stamp_ns(message.header.stamp)
        if stamp == before == 0:
            self._say_once(without_stamp(stream))
        self._last_stamps[stream] = stamp
        return stamp

    def _take_camera_info(self, message: CameraInfo) -> None:
        self._synchroniser.camera_info = message
        self._release()

    def _take_pose(self, message: Any) -> None:
        try:
            self._synchroniser.watch("pose", self._stamp_of("pose", message))
            self._topic_poses.add(message)
        except UserError as error:
            self._drops("pose not usable", str(error))
        self._release()

    def _take_tf(self, static: bool, message: Any) -> None:
        try:
            self._tf.add(message.transforms, static)
        except UserError as error:
            self._drops("transform not usable", str(error))
        if disputed := self._tf.disputed():
            self._say_once(disputed)
        self._release()

    def _release(self) -> None:
        """Hand over the frames that have become complete."""
        for found in self._synchroniser.ready():
            now_s = self._heard()
            matrix = self._camera_on_body(found) if self._in_the_map(found.pose) else None
            if matrix is None:
                continue
            self._received_s[found.stamp_ns] = now_s
            self._worker.put(replace(found, pose=replace(found.pose, matrix=found.pose.matrix @ matrix)))

    def _refuse(self, reason: str, sentence: str) -> None:
        """A frame that came whole cannot be mapped: counted, said, and shown in /diagnostics."""
        self._drops(reason, sentence)
        self._refused = reason

    def _in_the_map(self, pose: Pose) -> bool:
        """Whether the pose is in the map's frame, which the first one names unless it is known; if not that is counted."""
        told, map_frame = self._config.map_frame_id, self._session.frame
        if told:
            if told != pose.frame_id:
                self._say_once(
                    f"Poses are in the frame {pose.frame_id!r}, the map is published in {told!r} as told: leave map_frame_id empty to "
                    "take the poses' frame."
                )
            return True
        map_frame.id = map_frame.id or pose.frame_id
        if pose.frame_id and pose.frame_id != map_frame.id:
            self._refuse(
                OTHER_WORLD,
                f"Poses are in the frame {pose.frame_id!r}, the map is in {map_frame.id!r}: set map_frame_id:={map_frame.id} if both are the "
                "same world, or call ~/reset for a map in the new one.",
            )
            return False
        self._map_frame_id = map_frame.id or self._map_frame_id or "map"
        return True

    def _camera_on_body(self, found: FrameSet) -> Any:
        """T_body_camera (4,4), None (and counted) while TF cannot tell it."""
        pose, config = found.pose, self._config
        body = config.frame_id or pose.child_frame_id
        if not np.array_equal(self._body_to_camera, np.eye(4)) or not found.frame_id or body == found.frame_id:
            return self._body_to_camera
        if not body:
            self._say_once(
                f"{config.topics.pose} does not say of what it is the pose: it is taken for the camera's optical frame "
                f"{found.frame_id!r}; if it is a robot's, set frame_id:=base_link, or what its frame is called."
            )
            return self._body_to_camera
        if TFMessage is None:
            self._say_once(
                f"Poses move {body!r}, images are from {found.frame_id!r}, and tf2_msgs is not installed: both are taken as the "
                "same frame; give body_to_camera if they are not."
            )
            return self._body_to_camera
        matrix = self._tf.between(body, found.frame_id, found.stamp_ns)
        if matrix is None:
            self._listen_to_joints()
            self._refuse(
                NO_MOUNT,
                f"Poses move {body!r}, images are from {found.frame_id!r}, and {config.topics.tf_static} does not connect them, nor "
                f"does {config.topics.tf} so far, which is read from now on: publish that transform, or give body_to_camera.",
            )
        return matrix

    def _listen_to_joints(self) -> None:
        """The camera may hang on one that moves. TF's moving part is read for nobody else: on some robots it comes a thousand times a second."""
        if not any(input_.name in ("tf", JOINTS) for input_ in self._inputs):
            self._inputs.append(self._tf_input(JOINTS))

    def _jumped(self, seconds_back: float) -> None:
        self._jumps += 1
        now_s = time.monotonic()
        if now_s - self._told_of_jumps_s < WARN_EVERY_S:
            return
        jumps, self._jumps, self._told_of_jumps_s = self._jumps, 0, now_s
        if jumps > WARN_EVERY_S:
            self.get_logger().warning(
                f"The clock went back {jumps} times since it was last told: do two nodes publish one topic, with two clocks "
                "(ros2 topic info -v TOPIC)? Frames that wait are dropped each time."
            )
            return
        self.get_logger().info(
            f"The clock went back by {seconds_back:.1f} s (does a bag start again?): going on with the same map."
        )

    def _overtaken(self, found: FrameSet) -> None:
        self._received_s.pop(found.stamp_ns, None)
        if self._config.mode == "live":
            self._drops("replaced by a newer frame")
        else:
            self._drops(
                "queue full",
                f"More than {self._config.bag_queue_size} frames wait to be mapped: play the bag slower, or raise bag_queue_size.",
            )

    def _farewell(self) -> str:
        return f"Nobody publishes any more; {self._session.frames} frames are mapped."

    def _silence(self, silent_s: float, states: list[InputState]) -> str:
        config = self._config
        close = f"stamps within {config.sync_slop_s} s" if config.approx_sync else "exactly equal stamps"
        sync = f"with {close} (approx_sync {str(config.approx_sync).lower()}, sync_queue_size {config.sync_queue_size})"
        known = self._tf.disconnected() if config.pose_source == "tf" else ""
        known = known or stamps_apart(self._synchroniser.newest | self._tf.newest())
        return silence_report(self.get_name(), silent_s, states, sync, self._drops, known)

    # -- map: worker thread ---------------------------------------------------------------------------------------------

    def _process(self, found: FrameSet) -> None:
        received_s = self._received_s.pop(found.stamp_ns, time.monotonic())
        try:
            frame, tracked = self._session.step(found)
        except Unusable as error:
            self._refuse(error.reason, str(error))
            return
        except Exception:  # said and counted by who calls
            self._refused = "failed"
            raise
        self._refused = ""
        head = messages.header(found.stamp_ns, found.frame_id)
        self._labels.publish(messages.image_message(tracked.labels, "16UC1", head))
        if self._overlay.get_subscription_count():
            painted = overlay(frame.colour, self._session.instance_ids(tracked.labels))
            self._overlay.publish(messages.image_message(painted, "rgb8", head))
        now_s = time.monotonic()
        self._mapped.tick(now_s)
        self._latency_s = now_s - received_s
        self._delay_s = (self.get_clock().now().nanoseconds - found.stamp_ns) / 1e9
        self._statistics = self._session.statistics()
        self._stamp_ns, self._dirty, self._camera_frame_id = found.stamp_ns, True, found.frame_id
        self._publish_what_is_due()

    def _may_publish(self) -> bool:
        return self._cloud.is_activated and bool(self._map_frame_id)

    def _publish_what_is_due(self) -> None:
        if self._may_publish():
            self._views.publish(self._session.views(), self._stamp_ns, self._camera_frame_id, self._map_frame_id)
            self._send_map()
            self._publish_map_if_due()

    def _publish_map_if_due(self) -> None:
        rate_hz, now_s = self._config.cloud_rate_hz, time.monotonic()
        if not (self._dirty and rate_hz > 0):
            return
        pause_s = min((1 / PUBLISHING - 1) * self._publishing_s, LONGEST_PAUSE_S)
        if now_s - self._published_s >= max(1 / rate_hz, pause_s):
            self._publish_map(self._session.cloud())
            self._publishing_s = self._published_s - now_s

    def _publish_map(self, instances: InstanceMap) -> None:
        self._dirty, self._unsent = False, instances
        self._send_map()

    def _send_map(self) -> None:
        """What is to be published, now or once the node is active and knows the map's frame."""
        if self._unsent is None or not self._may_publish():
            return
        instances, self._unsent = self._unsent, None
        head = messages.header(self._stamp_ns, self._map_frame_id)
        self._cloud.publish(messages.cloud_message(instances, head, self._config.cloud_colours))
        self._markers.publish(messages.markers_message(instances.objects, head))
        if Detection3DArray is not None:
            self._detections.publish(messages.detections_message(instances.objects, head))
        self._published_s = time.monotonic()

    def _save_now(self) -> str:
        if self._session.frames:  # else no pose has named the frame, and nothing is saved
            self._session.frame.id = self._map_frame_id
        instances, sentence = self._session.save(self._output_dir())
        self._publish_map(instances)
        return sentence

    def _reset_now(self) -> str:
        self._session.reset()
        self._views.withdraw()
        self._views = ViewOutputs(self, self._config.views.most)
        self._statistics = {}
        self._publish_map(self._session.cloud())
        self._publishing_s = 0.0
        return "The map is empty."

    # -- out: executor thread -------------------------------------------------------------------------------------------

    async def _save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return await self._answer(self._save_now, response)

    async def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._worker is not None:
            self._worker.clear()
            self._received_s.clear()
        if self._inputs:
            self._synchroniser.clear()
        return await self._answer(self._reset_now, response)

    def _trouble(self) -> str:
        return f"frames come and cannot be mapped: {self._refused}" if self._refused else ""

    def _status(self, now_s: float) -> tuple[str, dict[str, Any]]:
        values: dict[str, Any] = {"mode": self._config.mode, "frames mapped": self._mapped.count}
        values |= {"mapped rate_hz": self._mapped.hz(now_s), "complete frames rate_hz": self._complete.hz(now_s)}
        values["waiting to be synchronised"] = len(self._synchroniser) if self._inputs else 0
        values |= {"waiting to be mapped": len(self._worker), "latency_s": self._latency_s}
        if abs(self._delay_s) < OTHER_CLOCK_S:
            values["delay_s"] = self._delay_s
        for key, value in self._statistics.items():
            values |= {f"{key} {k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        return f"{self._mapped.count} frames mapped", values


def main() -> None:
    run("mapping_node", MappingNode)


if __name__ == "__main__":
    main()
