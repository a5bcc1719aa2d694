"""The map and its labels as messages.

Images and clouds are filled through array.array('B'): rclpy copies it as one block (0.05 ms for a 640x480 image), where an
ndarray is converted element by element (54 ms).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovarianceStamped, Quaternion, TransformStamped, Vector3
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField, TimeReference
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from gcseg_ros.frames import Array, CameraIntrinsics, rigid
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance
from gcseg_ros.retrieval.answers import Answer
from gcseg_ros.retrieval.heat import heat_colours
from gcseg_ros.retrieval.views import StoredView
from gcseg_ros.ros_types.messages import intrinsics_from_info, pose_matrix, stamp_ns
from gcseg_ros.viewer.colours import instance_colours

IMAGES = {"rgb8": (np.uint8, 3), "16UC1": (np.uint16, 1), "32FC1": (np.float32, 1)}
CLOUD = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("instance_id", "<u4")]
FIELD_TYPES = {"<f4": PointField.FLOAT32, "<u4": PointField.UINT32}


VIEW = {
    "colour": CompressedImage,
    "depth": CompressedImage,
    "camera_info": CameraInfo,
    "depth_info": CameraInfo,
    "pose": PoseStamped,
    "map": TimeReference,
}
"""The messages that a view of query_node consists of, by the last part of their topic's name. `map` says of which map it is: of that
which began at `time_ref`, by the machine's clock."""


def header(stamp_ns: int, frame_id: str) -> Header:
    return Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def time_message(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)


def image_message(pixels: npt.NDArray[Any], encoding: Literal["rgb8", "16UC1", "32FC1"], head: Header) -> Image:
    """(H, W[, 3]) array of the encoding's type -> sensor_msgs/Image."""
    dtype, channels = IMAGES[encoding]
    if pixels.dtype != dtype:
        raise TypeError(f"{encoding} needs {np.dtype(dtype).name}; found {pixels.dtype.name}")
    height, width = pixels.shape[:2]
    return Image(
        header=head,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * channels * pixels.itemsize,
        data=data_of(pixels),
    )


def camera_info_message(camera: CameraIntrinsics, head: Header) -> CameraInfo:
    """A rectified camera without distortion."""
    K = camera.matrix
    return CameraInfo(
        header=head,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=K.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=np.hstack([K, np.zeros((3, 1))]).ravel().tolist(),
    )


def pose_message(matrix: Array, kind: str, head: Header, child_frame_id: str) -> Any:
    """Camera-to-world (4,4) -> Odometry, PoseStamped or PoseWithCovarianceStamped."""
    pose = pose_of(matrix[:3, 3], matrix[:3, :3])
    if kind == "PoseStamped":
        return PoseStamped(header=head, pose=pose)
    message = PoseWithCovarianceStamped(header=head) if kind == "PoseWithCovarianceStamped" else Odometry(header=head)
    message.pose.pose = pose
    if kind == "Odometry":
        message.child_frame_id = child_frame_id
    return message


def tf_message(matrix: Array, head: Header, child_frame_id: str) -> Any:
    """Camera-to-world (4,4) as tf2_msgs/TFMessage; raises ModuleNotFoundError where tf2_msgs is not installed."""
    from tf2_msgs.msg import TFMessage

    pose = pose_of(matrix[:3, 3], matrix[:3, :3])
    moved = TransformStamped(header=head, child_frame_id=child_frame_id)
    moved.transform.rotation = pose.orientation
    moved.transform.translation = Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z)
    return TFMessage(transforms=[moved])


def cloud_message(instances: InstanceMap, head: Header, colours: Literal["instance", "camera"]) -> PointCloud2:
    """x y z rgb instance_id confidence; instance_id 0 is no instance, rgb is the instance's colour or the camera's."""
    rgb = instance_colours(instances.instance) if colours == "instance" else instances.colours
    return _cloud(instances, rgb, "confidence", instances.confidence, head)


def heat_message(instances: InstanceMap, scores: npt.NDArray[np.float32], head: Header) -> PointCloud2:
    """x y z rgb instance_id score: scores (N,) from green through yellow to red; grey and NaN where there is none."""
    return _cloud(instances, heat_colours(scores), "score", scores, head)


def _cloud(
    instances: InstanceMap, colours: npt.NDArray[np.uint8], name: str, values: npt.NDArray[np.float32], head: Header
) -> PointCloud2:
    """x y z rgb instance_id, and the values (N,) by this name."""
    points, rgb = np.empty(len(instances.points), [*CLOUD, (name, "<f4")]), colours.astype(np.uint32)
    points["x"], points["y"], points["z"] = instances.points.T
    points["rgb"] = rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    points["instance_id"], points[name] = instances.instance.clip(0), values
    fields = [
        # RViz and PCL read the packed colour as a float's bits
        PointField(
            name=name, offset=offset, datatype=PointField.FLOAT32 if name == "rgb" else FIELD_TYPES[dtype.str], count=1
        )
        for name, (dtype, offset) in points.dtype.fields.items()  # type: ignore[union-attr]
    ]
    return PointCloud2(
        header=head,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=points.itemsize,
        row_step=points.nbytes,
        data=data_of(points),
        is_dense=True,
    )


def markers_message(objects: Iterable[ObjectInstance], head: Header) -> MarkerArray:
    """A translucent box and the id for every object; markers of earlier messages are removed."""
    markers = [Marker(header=head, action=Marker.DELETEALL)]
    for found in objects:
        colour = instance_colours(np.array(found.id))
        markers += [
            box_marker(found, colour, "boxes", found.id, head),
            text_marker(found, str(found.id), "ids", found.id, head),
        ]
    return MarkerArray(markers=markers)


def answers_message(answers: Iterable[Answer], best: int, head: Header) -> MarkerArray:
    """A box and "text score" for the `best` objects of each answer, in the colour of its heat map; earlier ones are removed."""
    markers = [Marker(header=head, action=Marker.DELETEALL)]
    for answer in answers:
        colours = heat_colours(np.array([hit.score for hit in answer.hits]))
        for hit, colour in list(zip(answer.hits, colours))[:best]:
            text = f"{answer.text} {hit.score:.2f}"
            markers += [
                box_marker(hit.object, colour, "boxes", len(markers), head),
                text_marker(hit.object, text, "texts", len(markers), head),
            ]
    return MarkerArray(markers=markers)


def box_marker(found: ObjectInstance, colour: npt.NDArray[np.uint8], space: str, id: int, head: Header) -> Marker:
    """The object's oriented box, translucent; colour (3,) RGB."""
    centre, rotation, size = found.oriented_box
    red, green, blue = (colour / 255).tolist()
    box = Marker(header=head, ns=space, id=id, type=Marker.CUBE, pose=pose_of(centre, rotation))
    box.scale = Vector3(**dict(zip("xyz", np.maximum(size, 0.01).tolist())))
    box.color = ColorRGBA(r=red, g=green, b=blue, a=0.3)
    return box


def text_marker(found: ObjectInstance, text: str, space: str, id: int, head: Header) -> Marker:
    """A text above the object."""
    x, y, _ = found.oriented_box[0]
    top = np.array([x, y, found.axis_aligned_box[1][2] + 0.05])
    marker = Marker(header=head, ns=space, id=id, type=Marker.TEXT_VIEW_FACING, pose=pose_of(top, np.eye(3)))
    marker.text, marker.scale.z, marker.color = text, 0.1, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    return marker


def detections_message(objects: Iterable[ObjectInstance], head: Header) -> Any:
    """vision_msgs/Detection3DArray; raises ModuleNotFoundError where vision_msgs is not installed."""
    from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesisWithPose

    detections = []
    for found in objects:
        centre, rotation, size = found.oriented_box
        pose = pose_of(centre, rotation)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = "object", float(found.confidence)
        hypothesis.pose.pose = pose
        box = BoundingBox3D(center=pose, size=Vector3(**dict(zip("xyz", map(float, size)))))
        detections.append(Detection3D(header=head, id=str(found.id), bbox=box, results=[hypothesis]))
    return Detection3DArray(header=head, detections=detections)


def diagnostics_message(name: str, level: bytes, summary: str, values: dict[str, Any], stamp: Time) -> DiagnosticArray:
    """One status; floats are shown with three digits."""
    shown = {key: f"{value:.3g}" if isinstance(value, float) else str(value) for key, value in values.items()}
    status = DiagnosticStatus(
        level=level,
        name=name,
        message=summary,
        hardware_id="none",
        values=[KeyValue(key=key, value=value) for key, value in shown.items()],
    )
    return DiagnosticArray(header=Header(stamp=stamp), status=[status])


def view_messages(view: StoredView, frame: Header, world: Header, map_began: Time) -> tuple[Any, ...]:
    """The messages of `VIEW`, in its order: colour as jpeg, depth as 16-bit png in millimetres, their calibrations, the pose, the map."""
    return (
        CompressedImage(header=frame, format="rgb8; jpeg compressed bgr8", data=array("B", view.jpeg)),
        CompressedImage(header=frame, format="16UC1; png compressed", data=array("B", view.png)),
        camera_info_message(view.camera, frame),
        camera_info_message(view.depth_camera, frame),
        pose_message(view.pose, "PoseStamped", world, frame.frame_id),
        TimeReference(header=frame, time_ref=map_began),
    )


def view_of(colour: Any, depth: Any, camera_info: Any, depth_info: Any, pose: Any) -> StoredView:
    """The view that `view_messages` was made from, named by its stamp. Raises UserError."""
    return StoredView(
        str(stamp_ns(pose.header.stamp)),
        rigid(pose_matrix(pose)),
        intrinsics_from_info(camera_info),
        intrinsics_from_info(depth_info),
        bytes(colour.data),
        bytes(depth.data),
    )


def pose_of(position: npt.ArrayLike, rotation: npt.ArrayLike) -> Pose:
    """(3,) and (3,3) -> geometry_msgs/Pose."""
    x, y, z, w = Rotation.from_matrix(rotation).as_quat().tolist()
    return Pose(
        position=Point(**dict(zip("xyz", map(float, np.asarray(position))))), orientation=Quaternion(x=x, y=y, z=z, w=w)
    )


def data_of(values: npt.NDArray[Any]) -> array:
    data = array("B")
    data.frombytes(np.ascontiguousarray(values).view(np.uint8).data if values.size else b"")
    return data
