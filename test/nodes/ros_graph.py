"""A ROS graph for one test: a context, a domain and a namespace of its own. Nothing sleeps: tests wait for conditions."""

import os
import time
import uuid

import numpy as np

from gcseg_ros.frames import CameraIntrinsics, Frame

CAMERA = CameraIntrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)


DOMAIN_ID = 1 + os.getpid() % 100


def tiny_frame(i: int, stamp_s: float | None = None) -> Frame:
    """A box before a wall, the camera moving to the right."""
    depth_m = np.full((48, 64), 2.0, np.float32)
    depth_m[12:32, 14:34] = 1.5
    colour = np.full((48, 64, 3), 60, np.uint8)
    colour[12:32, 14:34] = (200, 120, 40)
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]  # looking along the world's x
    pose[:3, 3] = 0, 0.01 * i, 1
    return Frame(f"{i:06d}", 100 + i / 10 if stamp_s is None else stamp_s, colour, depth_m, CAMERA, pose)


class Ros:
    """Nodes of one test, spun by `until`."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN_ID)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.namespace = f"/t{uuid.uuid4().hex[:8]}"
        self.nodes = []

    def add(self, kind, **parameters):
        """A node of this class with these parameters (`__` in a name stands for a dot)."""
        from rclpy.parameter import Parameter

        given = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        node = kind(context=self.context, namespace=self.namespace, parameter_overrides=given)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def helper(self, name="helper"):
        """A plain node."""
        import rclpy

        return self.add(lambda **arguments: rclpy.create_node(name, **arguments))

    def until(self, condition, timeout_s=60.0):
        """Spin until the condition holds; its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, "waited too long"
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def spin_for(self, seconds):
        """Give things that must not happen a chance to happen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, node, service):
        """The answer of a std_srvs/Trigger service of this name in the test's namespace."""
        from std_srvs.srv import Trigger

        client = node.create_client(Trigger, service)
        self.until(client.service_is_ready)
        answer = client.call_async(Trigger.Request())
        self.until(answer.done)
        return answer.result()

    def close(self):
        for node in self.nodes:
            if hasattr(node, "stop"):
                node.stop()
            node.destroy_node()
        self.executor.shutdown()
        self.context.try_shutdown()


class Camera:
    """What a camera and an odometry source publish, one frame at a time."""

    def __init__(self, ros: Ros, pose_kind: str = "Odometry", best_effort: bool = False) -> None:
        from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
        from nav_msgs.msg import Odometry
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import CameraInfo, Image

        kinds = {kind.__name__: kind for kind in (PoseStamped, PoseWithCovarianceStamped, Odometry)}
        reliability = ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE
        qos = QoSProfile(depth=20, reliability=reliability)
        self.ros, self.pose_kind = ros, pose_kind
        self.node = ros.helper("camera")
        self.colour = self.node.create_publisher(Image, "rgb/image", qos)
        self.depth = self.node.create_publisher(Image, "depth/image", qos)
        self.camera_info = self.node.create_publisher(CameraInfo, "rgb/camera_info", qos)
        self.pose = self.node.create_publisher(kinds[pose_kind], "pose", QoSProfile(depth=20))

    def wait(self):
        """Until somebody reads every topic."""
        topics = (self.colour, self.depth, self.camera_info, self.pose)
        self.ros.until(lambda: all(p.get_subscription_count() for p in topics))
        return self

    def messages(self, frame, camera_frame="camera", body_frame="camera", map_frame="map"):
        """colour, depth, camera_info and pose of a frame."""
        from gcseg_ros.nodes import messages
        from gcseg_ros.ros_types.messages import nanoseconds

        head = messages.header(nanoseconds(frame.stamp_s), camera_frame)
        world = messages.header(nanoseconds(frame.stamp_s), map_frame)
        return (
            messages.image_message(frame.colour, "rgb8", head),
            messages.image_message(frame.depth_m, "32FC1", head),
            messages.camera_info_message(frame.intrinsics, head),
            messages.pose_message(frame.pose, self.pose_kind, world, body_frame),
        )

    def publish(self, *messages):
        for publisher, message in zip((self.colour, self.depth, self.camera_info, self.pose), messages, strict=True):
            if message is not None:
                publisher.publish(message)

    def send(self, frame, **frame_ids):
        self.publish(*self.messages(frame, **frame_ids))
