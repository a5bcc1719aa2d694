"""Settings of the nodes, and how they and the core's settings become ROS parameters with descriptions and limits."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, Field
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from gcseg_ros.config import Config, Part, PathText, build_config, flat_fields, set_value
from gcseg_ros.errors import UserError, did_you_mean

M = TypeVar("M", bound=Part)

FrameName = Annotated[str, AfterValidator(lambda name: name.lstrip("/"))]
"""A frame of TF: ROS 2 refuses names that begin with a slash, as ROS 1 had them."""

OF_RCLPY = re.compile(r"use_sim_time|start_type_description_service|qos_overrides\..*")
"""Parameters that rclpy itself declares."""


class ManagedNodeConfig(Part):
    """Settings that the lifecycle nodes share."""

    autostart: bool = Field(True, description="configure and activate without being told by a lifecycle manager")
    diagnostics_rate_hz: float = Field(1.0, gt=0, le=100, description="how often /diagnostics is published")
    warn_after_s: float = Field(
        5.0, gt=0, le=3600, description="warn when nothing to work on (complete frame, cloud, map) came for so long"
    )


class Topics(Part):
    """Names of the topics that are read; remapping works as well."""

    rgb: str = Field("rgb/image", description="colour, sensor_msgs Image or CompressedImage, registered to depth")
    depth: str = Field("depth/image", description="depth, sensor_msgs Image or CompressedImage: 16UC1 mm or 32FC1 m")
    camera_info: str = Field("rgb/camera_info", description="calibration of the colour image, sensor_msgs CameraInfo")
    pose: str = Field("pose", description="PoseStamped, PoseWithCovarianceStamped or Odometry")
    tf: str = Field("/tf", description="TF's moving transforms; of a robot in a namespace often tf")
    tf_static: str = Field(
        "/tf_static", description="TF's static transforms; of a robot in a namespace often tf_static"
    )


class MappingNodeConfig(ManagedNodeConfig, Config):
    """The core's settings and those of mapping_node."""

    mode: Literal["live", "bag"] = Field("live", description="live maps the latest frame, bag maps every frame")
    topics: Topics = Topics()

    qos: Literal["auto", "sensor_data", "reliable"] = Field(
        "auto",
        description="of the images: auto is sensor_data live, reliable in bag mode where the publisher offers it",
    )
    topic_queue_size: int = Field(
        10, ge=1, le=1000, description="messages that DDS keeps for each image topic; bag mode: at least bag_queue_size"
    )
    approx_sync: bool = Field(
        True, description="colour, depth and pose may differ in time by sync_slop_s; else not at all"
    )
    sync_slop_s: float = Field(
        0.02, ge=0, le=1, description="largest difference in time between colour, depth and pose"
    )
    sync_queue_size: int = Field(30, ge=1, le=1000, description="images that wait for their partners and their pose")
    bag_queue_size: int = Field(100, ge=1, le=10000, description="bag mode: frames that wait to be mapped")
    bag_queue_policy: Literal["drop_oldest", "drop_newest"] = Field(
        "drop_newest", description="bag mode: which frame goes when that queue is full"
    )
    rectify: bool = Field(
        False, description="colour and depth are raw images: straighten what the lens of camera_info bends"
    )
    depth_scaled_to_colour: bool = Field(
        False, description="depth covers the same view as colour with fewer pixels (phones)"
    )

    pose_source: Literal["topic", "tf"] = Field("topic", description="where the camera's pose comes from")
    pose_type: Literal["auto", "PoseStamped", "PoseWithCovarianceStamped", "Odometry"] = Field(
        "auto", description="type of the pose topic; auto takes it from the publisher"
    )
    pose_gap_s: float = Field(
        0.5,
        gt=0,
        le=10,
        description="poses or transforms at most this far apart are interpolated between; transforms that hardly differ also further apart",
    )
    map_frame_id: FrameName = Field(
        "", description="frame of the map; empty: that of the poses; with pose_source tf that of resume, else map"
    )
    frame_id: FrameName = Field(
        "", description="frame that the poses move; empty: the odometry's child_frame_id, else the camera"
    )
    body_to_camera: list[float] = Field(
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        description="x y z qx qy qz qw of the camera's optical frame in the frame that the poses move; identity: ask TF",
    )

    cloud_rate_hz: float = Field(
        1.0,
        ge=0,
        le=30,
        description="at most so often ~/cloud, ~/instances and ~/detections, and of a large map so seldom that they take a tenth of the time, but every 10 s; 0 = never",
    )
    cloud_colours: Literal["instance", "camera"] = Field("instance", description="rgb of ~/cloud")
    output_dir: PathText = Field(
        "", description="folder that ~/save writes; empty: gcseg_map, or gcseg_map_NAMESPACE of a node in a namespace"
    )
    resume: PathText = Field("", description="folder that ~/save or gcseg map has written: its map is gone on with")
    save_labels: bool = Field(
        True, description="keep every frame's label image, for ~/save, on disk until ~/reset (about 10 kB each)"
    )

    @property
    def core(self) -> Config:
        """The settings of the mapper alone."""
        return Config(**{name: getattr(self, name) for name in Config.model_fields})


class ReplayNodeConfig(Part):
    """Settings of replay_node."""

    recording: PathText = Field("", description="folder, bag or synthetic:SEED[:STYLE[:FRAMES]]")
    recording_options: str = Field("", description="what the format takes: NAME=VALUE, with blanks between several")
    rate: float = Field(1.0, ge=0, le=1000, description="speed of time; 0 = as fast as the frames are taken")
    loop: bool = Field(False, description="start again at the end, with the same stamps, as a bag does")
    exit_at_end: bool = Field(True, description="end the process after the last frame")
    start_frame: int = Field(0, ge=0, description="frames left out at the start")
    max_frames: int = Field(0, ge=0, description="frames published; 0 = all")
    qos: Literal["sensor_data", "reliable"] = Field("reliable", description="of the images")
    topic_queue_size: int = Field(30, ge=1, le=1000, description="messages that DDS keeps for each topic")
    wait_for_subscribers_s: float = Field(
        600.0, ge=0, description="wait so long until every topic has a subscriber; 0 = do not wait"
    )
    flow_control: bool = Field(False, description="wait for the labels of mapped frames, so that none is lost")
    labels_topic: str = Field("mapping_node/labels", description="flow control: where the labels of mapped frames come")
    in_flight: int = Field(8, ge=1, le=1000, description="flow control: frames sent and not yet mapped")
    stall_timeout_s: float = Field(120.0, gt=0, description="flow control: go on after so long without any label")
    depth_encoding: Literal["32FC1", "16UC1"] = Field("32FC1", description="metres without loss, or millimetres")
    pose_type: Literal["Odometry", "PoseStamped", "PoseWithCovarianceStamped"] = Field(
        "Odometry", description="type of the pose topic"
    )
    map_frame_id: FrameName = Field(
        "", description="frame of the poses; empty: map, or map_without_up where it is not known which way is up"
    )
    frame_id: FrameName = Field("camera_optical_frame", description="the camera's optical frame")
    clock: bool = Field(True, description="publish /clock")
    publish_tf: bool = Field(False, description="publish the poses on /tf as well (needs tf2_msgs)")


class CloudTopic(Part):
    """The topic that is read; remapping works as well."""

    cloud: str = Field(
        "mapping_node/cloud", description="PointCloud2 in a fixed frame: x y z, optional rgb, instance_id"
    )


class SegmentationNodeConfig(ManagedNodeConfig):
    """Settings of segmentation_node."""

    topics: CloudTopic = CloudTopic()
    source: Literal["tracked", "network", "fused"] = Field(
        "tracked",
        description="instances are the cloud's own, the 3D network's, or the network's masks voted by the cloud's own",
    )
    checkpoint: PathText = Field("", description="of the network, a file or a name; empty: the one of this version")
    device: str = Field("", description="of the network: cpu, cuda, cuda:1; empty: a GPU where there is one")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of the network's arithmetic")
    min_score: float = Field(0.1, ge=0, le=1, description="the network's instances with a lower score are left out")
    min_points: int = Field(40, ge=1, description="smaller instances are left out")
    rate_hz: float = Field(0.5, ge=0, le=30, description="segment at most so often; 0 = on ~/segment only")
    min_new: float = Field(0.02, ge=0, le=1, description="segment when this share of the surface or its ids is new")
    id_voxel_m: float = Field(0.05, gt=0, description="ids are kept by comparing surface in voxels of this size")
    cloud_colours: Literal["instance", "camera"] = Field("instance", description="rgb of ~/cloud")


class QueryTopics(CloudTopic):
    """Names of the topics that are read; remapping works as well."""

    views: str = Field(
        "mapping_node/views",
        description="where the topics colour, depth, camera_info, depth_info, pose and map of its views are",
    )


class QueryNodeConfig(ManagedNodeConfig):
    """Settings of query_node."""

    topics: QueryTopics = QueryTopics()
    model: PathText = Field(
        "", description="a CLIP of gcseg weights, a folder as open_clip saves it, or an architecture; empty: the usual"
    )
    weights: PathText = Field("", description="file of weights, where model is an architecture")
    device: str = Field("", description="of the model: cpu, cuda; empty: a GPU where there is one")
    most_views: int = Field(120, ge=1, le=1000, description="views of the map that are kept")
    views_per_object: int = Field(5, ge=1, le=20, description="views of an object that are looked at")
    batch: int = Field(32, ge=1, le=1000, description="crops that go through the model at once")
    best: int = Field(3, ge=1, le=100, description="objects that get a box, per text")
    rate_hz: float = Field(0.2, ge=0, le=30, description="look at what is new at most so often; 0 = when asked only")


def declare(node: Node, model: type[Part]) -> None:
    """Declare every setting of `model`; `part.name` is nested. Raises UserError for a value of the wrong type or out of range.

    A name that was given to the node but is not a setting is said in a warning: rclpy would pass over it.
    """
    overrides = node._parameter_overrides  # rclpy has no public view of what was given and not declared
    for path, info in flat_fields(model):
        default = ros_default(info)
        given = overrides.get(path)
        if given is not None and isinstance(default, float) and given.type_ == Parameter.Type.INTEGER:
            overrides[path] = Parameter(path, value=float(given.value))  # `rate: 3` is meant as 3.0
        if given is not None and isinstance(default, list) and given.type_ == Parameter.Type.INTEGER_ARRAY:
            overrides[path] = Parameter(path, value=list(map(float, given.value)))
        try:
            if given is not None and given.type_ == Parameter.Type.NOT_SET:  # `[]`: rclpy says so only when it is read
                raise ParameterUninitializedException(path)
            node.declare_parameter(path, default, describe(info))
        except (InvalidParameterTypeException, InvalidParameterValueException, ParameterUninitializedException):
            value = None if given is None else given.value
            raise UserError(f"The parameter {path} must be {expectation(info, default)}; found {value!r}.") from None
    known = [path for path, _ in flat_fields(model)]
    for name in overrides:
        if name not in known and not OF_RCLPY.fullmatch(name):
            all_of_them = f"`ros2 param list {node.get_fully_qualified_name()}` shows all."
            advice = did_you_mean(name, known, all_of_them)
            node.get_logger().warning(f"The parameter {name} is not known and has no effect: {advice}")


def read(node: Node, model: type[M], changed: Iterable[Parameter] = ()) -> M:
    """The declared parameters, as they will be with those that are `changed`, as a checked `model`. Raises UserError."""
    values: dict[str, Any] = {}
    changes = {parameter.name: parameter.value for parameter in changed}
    for path, info in flat_fields(model):
        value = changes[path] if path in changes else node.get_parameter(path).value
        value = value.tolist() if isinstance(value, array) else value
        none = info.default is None and value in ("", "null")  # a YAML file's null comes as a text
        set_value(values, path, None if none else value)
    return build_config(values, model)


def ros_default(info: Any) -> Any:
    """A field's default as a ROS parameter can hold it: lists for tuples, an empty text for None."""
    default = info.get_default(call_default_factory=True)
    if default is None:
        return ""
    return list(default) if isinstance(default, tuple) else default


def describe(info: Any) -> ParameterDescriptor:
    """Description and limits of a pydantic field, for `ros2 param describe`."""
    descriptor = ParameterDescriptor(description=info.description or "", additional_constraints=limits(info))
    low, high = bound(info, "ge", "gt"), bound(info, "le", "lt")
    if low is not None and high is not None:
        if info.annotation is float:
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        elif info.annotation is int:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return descriptor


def expectation(info: Any, default: Any) -> str:
    """What a value must be, in words."""
    if is_choice(info):
        return limits(info)
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list of numbers"}
    return f"{kinds[type(default)]} {limits(info)}".strip()


def limits(info: Any) -> str:
    """ "one of: a, b", or "> 0, <= 1", or nothing."""
    if is_choice(info):
        return "one of: " + ", ".join(map(str, get_args(info.annotation)))
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return ", ".join(f"{sign} {bound(info, kind):g}" for kind, sign in signs.items() if bound(info, kind) is not None)


def is_choice(info: Any) -> bool:
    return get_origin(info.annotation) is Literal


def bound(info: Any, *kinds: str) -> Any:
    """The first limit of one of these kinds ("ge", "gt", "le", "lt") among a field's constraints, None without."""
    return next((getattr(rule, kind) for rule in info.metadata for kind in kinds if hasattr(rule, kind)), None)
