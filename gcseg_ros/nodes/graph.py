"""The node graph: which nodes run, with which parameters and topics. The launch files and the demo are made from it.

Nothing here imports ROS. Arguments are texts, as a launch file gets them; an empty one leaves the matter to the YAML files.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import expanduser
from pathlib import Path
from typing import Any

from gcseg_ros.errors import UserError
from gcseg_ros.files import parse_yaml
from gcseg_ros.nodes.addressed import sections
from gcseg_ros.ros_types.dds import profiles_given, profiles_variable, transports_given
from gcseg_ros.share import config_file

PACKAGE = "gcseg_ros"
SENSORS = ("realsense_d435i", "azure_kinect", "orbbec", "zed", "oak_d", "phone")
VIEWED = {
    "mapping_node": ("labels", "overlay", "cloud", "instances"),
    "segmentation_node": ("cloud", "instances"),
    "query_node": ("heatmap", "result"),
}
"""What RViz shows of each node."""
FOR_ALL = ("use_sim_time", "autostart")
"""Parameters that all nodes of a graph share."""
BAG_DELAY_S = 3
"""A bag starts so much later than mapping_node is active, so that DDS has brought them together when its first images come."""


@dataclass(frozen=True)
class Argument:
    """A launch argument."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeSpec:
    """One node. `parameters` win over `parameter_files`, of which the later win over the earlier."""

    package: str
    executable: str
    namespace: str = ""
    parameter_files: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: list[tuple[str, str]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    log_level: str = "info"

    def command(self) -> list[str]:
        """How to start it without `launch`: one of this package's modules, as a process of this Python."""
        command = [sys.executable, "-m", f"{self.package}.nodes.{self.executable}", *self.arguments, "--ros-args"]
        if self.namespace:
            command += ["-r", f"__ns:=/{self.namespace.strip('/')}"]
        for file in self.parameter_files:
            command += ["--params-file", file]
        for name, value in self.parameters.items():
            command += ["-p", f"{name}:={json.dumps(value)}"]
        for before, after in self.remappings:
            command += ["-r", f"{before}:={after}"]
        return [*command, "--log-level", self.log_level]


@dataclass(frozen=True)
class Graph:
    """Nodes, other processes (a bag that is played) and what all of them need in their environment."""

    nodes: list[NodeSpec]
    processes: list[list[str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


COMMON = (
    Argument("namespace", "", "namespace of all nodes"),
    Argument("log_level", "info", "least severe messages that are shown", ("debug", "info", "warn", "error", "fatal")),
    Argument("rviz", "false", "start RViz", ("true", "false")),
    Argument("rviz_cfg", "", "RViz configuration; empty: config/gcseg.rviz"),
)
NETWORK = (
    Argument("source", "", "of segmentation_node's instances; empty: tracked", ("", "tracked", "network", "fused")),
    Argument("checkpoint", "", "of the 3D network; empty: the one of this version"),
    Argument("device", "", "of the networks: cpu, cuda; empty: a GPU where there is one"),
)
MAPPED = (
    Argument(
        "config_file",
        "",
        "a YAML file of mapping_node's parameters that wins over mapping.yaml and the sensor's; its use_sim_time and autostart are for all nodes",
    ),
    Argument("output_dir", "", "folder that ~/save writes; empty: gcseg_map, or gcseg_map_NAMESPACE"),
    Argument("resume", "", "folder that ~/save or gcseg map has written: its map is gone on with"),
    Argument("segmentation", "false", "start segmentation_node on the map", ("true", "false")),
    *NETWORK,
    Argument("query", "false", "start query_node on the map", ("true", "false")),
    Argument("clip_model", "", "of query_node: a CLIP of gcseg weights, or a folder; empty: the usual"),
    *COMMON,
)
MAPPING_ARGUMENTS = (
    Argument("sensor", "", "topics and limits of a known camera (config/SENSOR.yaml)", ("", *SENSORS)),
    Argument("rgb_topic", "", "colour image, registered to depth (sensor_msgs Image or CompressedImage)"),
    Argument("depth_topic", "", "depth image, 16UC1 mm or 32FC1 m"),
    Argument("camera_info_topic", "", "calibration of the colour image"),
    Argument("pose_topic", "", "PoseStamped, PoseWithCovarianceStamped or Odometry"),
    Argument(
        "pose_source",
        "",
        "where the camera's pose comes from; empty: topic if pose_topic is given",
        ("", "topic", "tf"),
    ),
    Argument("tf_topic", "", "TF's moving transforms; empty: /tf"),
    Argument("tf_static_topic", "", "TF's static transforms; empty: /tf_static"),
    Argument("frame_id", "", "frame that the poses move; empty: the odometry's child_frame_id, else the camera"),
    Argument("map_frame_id", "", "frame of the map; empty: that of the poses"),
    Argument(
        "mode", "", "live: the latest frame, bag: every frame; empty: bag if rosbag is given", ("", "live", "bag")
    ),
    Argument("approx_sync", "", "stamps may differ by sync_slop_s", ("", "true", "false")),
    Argument("sync_queue_size", "", "images that wait for their partners and their pose"),
    Argument("topic_queue_size", "", "messages that DDS keeps for each image topic"),
    Argument("qos", "", "of the images", ("", "auto", "sensor_data", "reliable")),
    Argument("use_sim_time", "", "time from /clock; empty: true if rosbag is given", ("", "true", "false")),
    Argument("autostart", "", "the nodes configure and activate themselves; empty: true", ("", "true", "false")),
    Argument("rosbag", "", "a bag to play; switches simulated time on"),
    Argument("rosbag_args", "", "further arguments of `ros2 bag play`, for example --rate 0.5"),
    *MAPPED,
)
REPLAY_ARGUMENTS = (
    Argument("recording", "synthetic:1", "folder, bag or synthetic:SEED[:STYLE[:FRAMES]]"),
    Argument("recording_options", "", "what its format takes: NAME=VALUE, with blanks between several"),
    Argument(
        "map_frame_id",
        "",
        "frame of its poses; empty: map, or map_without_up (7-Scenes). Of a resumed map: the one that it was saved in",
    ),
    Argument("rate", "0", "speed of time; 0 = as fast as frames are mapped"),
    Argument("loop", "false", "start again at the end", ("true", "false")),
    Argument("max_frames", "0", "frames replayed; 0 = all"),
    *MAPPED,
)
SEGMENTATION_ARGUMENTS = (
    Argument("cloud_topic", "", "PointCloud2 in a fixed frame; empty: that of mapping_node"),
    Argument("config_file", "", "a YAML file of segmentation_node's parameters that wins over segmentation.yaml"),
    *NETWORK,
    Argument("use_sim_time", "", "time from /clock; empty: false", ("", "true", "false")),
    Argument("autostart", "", "the nodes configure and activate themselves; empty: true", ("", "true", "false")),
    *COMMON,
)


def mapping(arguments: Mapping[str, str]) -> Graph:
    """mapping_node on a camera's topics, or on a bag. `arguments` as in MAPPING_ARGUMENTS. Raises UserError."""
    given = _given(MAPPING_ARGUMENTS, arguments)
    bag = expanduser(given["rosbag"])
    parameters: dict[str, Any] = {
        f"topics.{name}": given[f"{name}_topic"]
        for name in ("rgb", "depth", "camera_info", "pose", "tf", "tf_static")
        if given[f"{name}_topic"]
    }
    if bag:
        parameters["use_sim_time"] = True
    if given["pose_topic"]:
        parameters["pose_source"] = "topic"
    for name in ("pose_source", "frame_id", "map_frame_id", "mode", "qos", "output_dir", "resume"):
        if given[name]:
            parameters[name] = given[name]
    parameters |= _switches(given, "approx_sync", "use_sim_time", "autostart")
    for name in ("sync_queue_size", "topic_queue_size"):
        if given[name]:
            parameters[name] = _number(given, name, int)
    mapper = "/".join(["", *filter(None, given["namespace"].split("/")), "mapping_node"])
    play = [sys.executable, "-m", f"{PACKAGE}.nodes.when_active", mapper]
    play += ["ros2", "bag", "play", bag, "--clock", "--delay", str(BAG_DELAY_S)]
    play += ["--qos-profile-overrides-path", config_file("rosbag_qos.yaml"), *_words(given, "rosbag_args")]
    common = _for_all(given["config_file"])
    common |= {name: parameters[name] for name in FOR_ALL if name in parameters}
    nodes = [
        _mapping_node(given, parameters),
        *_on_the_map(given, common),
        *_rviz(given, common.get("use_sim_time", False)),
    ]
    return Graph(nodes, [play] if bag else [], environment())


def replay(arguments: Mapping[str, str], **parameters: Any) -> Graph:
    """replay_node and mapping_node, every frame mapped. `arguments` as in REPLAY_ARGUMENTS; `parameters` of mapping_node."""
    given = _given(REPLAY_ARGUMENTS, arguments)
    mapped = {"mode": "bag", "qos": "reliable", "use_sim_time": True, **parameters}
    mapped |= {name: given[name] for name in ("output_dir", "resume") if given[name]}
    replayed = {
        "recording": given["recording"],
        "rate": _number(given, "rate", float),
        "loop": given["loop"] == "true",
        "max_frames": _number(given, "max_frames", int),
        "flow_control": True,
        **{name: given[name] for name in ("recording_options", "map_frame_id") if given[name]},
    }
    player = NodeSpec(PACKAGE, "replay_node", given["namespace"], [], replayed, log_level=given["log_level"])
    on_the_map = _on_the_map(given, {**_for_all(given["config_file"]), "use_sim_time": True})
    nodes = [_mapping_node(given, mapped), player, *on_the_map, *_rviz(given, use_sim_time=True)]
    return Graph(nodes, [], environment())


def segmentation(arguments: Mapping[str, str]) -> Graph:
    """segmentation_node on any cloud. `arguments` as in SEGMENTATION_ARGUMENTS. Raises UserError."""
    given = _given(SEGMENTATION_ARGUMENTS, arguments)
    common = _switches(given, *FOR_ALL)
    topic = {"topics.cloud": given["cloud_topic"]} if given["cloud_topic"] else {}
    node = _segmentation_node(given, {**topic, **common}, given["config_file"])
    use_sim_time = {**_for_all(given["config_file"]), **common}.get("use_sim_time", False)
    return Graph([node, *_rviz(given, use_sim_time)], [], environment())


def _mapping_node(given: Mapping[str, str], parameters: dict[str, Any]) -> NodeSpec:
    files = [config_file("mapping.yaml")]
    if given.get("sensor"):
        files.append(config_file(f"{given['sensor']}.yaml"))
    if given.get("rosbag"):
        files.append(config_file("bag.yaml"))
    if given["segmentation"] == "true" and given["source"] in ("network", "fused"):
        parameters = {"cloud_colours": "camera", **parameters}  # the network is to see them
    files += _own_file(given["config_file"])
    return NodeSpec(PACKAGE, "mapping_node", given["namespace"], files, parameters, log_level=given["log_level"])


def _on_the_map(given: Mapping[str, str], parameters: dict[str, Any]) -> list[NodeSpec]:
    """The nodes that work on mapping_node's map, as far as they are asked for."""
    nodes = [_segmentation_node(given, parameters)] if given["segmentation"] == "true" else []
    if given["query"] == "true":
        asked = {"topics.cloud": "segmentation_node/cloud"} if nodes else {}
        asked |= {name: given[key] for name, key in (("model", "clip_model"), ("device", "device")) if given[key]}
        files = [config_file("query.yaml")]
        space, level = given["namespace"], given["log_level"]
        nodes.append(NodeSpec(PACKAGE, "query_node", space, files, {**asked, **parameters}, log_level=level))
    return nodes


def _segmentation_node(given: Mapping[str, str], parameters: dict[str, Any], file: str = "") -> NodeSpec:
    files = [config_file("segmentation.yaml"), *_own_file(file)]
    chosen = {name: given[name] for name in ("source", "checkpoint", "device") if given[name]}
    space, level = given["namespace"], given["log_level"]
    return NodeSpec(PACKAGE, "segmentation_node", space, files, {**chosen, **parameters}, log_level=level)


def _own_file(file: str) -> list[str]:
    file = expanduser(file)
    if file and not Path(file).is_file():
        raise UserError(f"The config_file {file} does not exist: give the path of a YAML file.")
    return [file] if file else []


def _for_all(file: str) -> dict[str, Any]:
    """What a file of parameters says that concerns all nodes, whichever it is written for. Raises UserError."""
    found: dict[str, Any] = {}
    for path in _own_file(file):
        try:
            for _, given in sections(parse_yaml(Path(path).read_text(encoding="utf-8"))):
                found |= {name: given[name] for name in FOR_ALL if name in given}
        except (OSError, ValueError) as error:
            raise UserError(f"The config_file {file} cannot be read: {error}.") from None
    return found


def _rviz(given: Mapping[str, str], use_sim_time: bool) -> list[NodeSpec]:
    if given["rviz"] != "true":
        return []
    space = given["namespace"].strip("/")
    # the configuration has absolute names
    names = [f"/{node}/{topic}" for node, topics in VIEWED.items() for topic in topics] if space else []
    file, frame = expanduser(given["rviz_cfg"]) or config_file("gcseg.rviz"), given.get("map_frame_id")
    return [
        NodeSpec(
            "rviz2",
            "rviz2",
            given["namespace"],
            parameters={"use_sim_time": use_sim_time},
            remappings=[(name, f"/{space}{name}") for name in names],
            arguments=["-d", file, *(["-f", frame] if frame else [])],
            log_level=given["log_level"],
        )
    ]


def environment() -> dict[str, str]:
    """What a node's process needs: Fast DDS with enough shared memory for images, unless the user has profiles or transports of
    their own.

    Whoever publishes needs it: the camera's process too.
    """
    return {} if profiles_given() or transports_given() else {profiles_variable(): config_file("fastdds.xml")}


def _given(arguments: tuple[Argument, ...], values: Mapping[str, str]) -> dict[str, str]:
    """All arguments with their defaults. Raises UserError for a name or a value that is not allowed."""
    known = {argument.name: argument for argument in arguments}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"There is no argument {name}. Known are {', '.join(known)}.")
        if known[name].choices and value not in known[name].choices:
            raise UserError(f"The argument {name} must be one of {', '.join(known[name].choices)}; found {value!r}.")
    return {name: values.get(name, argument.default) for name, argument in known.items()}


def _switches(given: Mapping[str, str], *names: str) -> dict[str, bool]:
    """Those of these arguments that are given, as true or false."""
    return {name: given[name] == "true" for name in names if given[name]}


def _words(given: Mapping[str, str], name: str) -> list[str]:
    """The argument's words, as a shell has them: what is quoted may hold blanks. Raises UserError."""
    try:
        return shlex.split(given[name])
    except ValueError as error:
        raise UserError(f"The argument {name} cannot be read ({error}): {given[name]}") from None


def _number(given: Mapping[str, str], name: str, kind: type[int] | type[float]) -> int | float:
    """The argument's value. Raises UserError where it is none of this kind."""
    try:
        return kind(given[name])
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise UserError(f"The argument {name} must be {expected}; found {given[name]!r}.") from None
