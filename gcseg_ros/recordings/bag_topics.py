"""Which topics of a bag are the colour, the depth, the camera and the pose: guessed from types and names, or told."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

from gcseg_ros.errors import UserError

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
ODOMETRY = "nav_msgs/msg/Odometry"  # the only pose that says of which frame it is
TF = "tf2_msgs/msg/TFMessage"
POSES = (
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    ODOMETRY,
)
NO_COLOUR_WORDS = {"depth", "infra", "infra1", "infra2", "ir", "mask", "labels", "overlay", "confidence", "disparity"}
NO_POSE_WORDS = {"goal", "initialpose", "target", "setpoint"}
OPTIONS = {
    "rgb_topic": "colour images",
    "depth_topic": "depth images, registered to colour if possible",
    "camera_info_topic": "the depth images' camera_info",
    "pose_topic": "poses of the camera, or `tf`, or a topic of TF",
}


@dataclass(frozen=True)
class Topics:
    """The topics that make frames. Without `rgb_camera_info` colour has depth's camera; without `pose`, only TF can give it.

    poses  all that could be `pose`, the likeliest by its name first
    """

    rgb: str
    depth: str
    camera_info: str
    rgb_camera_info: str | None
    pose: str | None
    poses: tuple[str, ...]
    tf: tuple[str, ...]


def choose_topics(types: Mapping[str, str], given: Mapping[str, str], bag: str) -> Topics:
    """Topics for `types` (topic -> message type); `given` (OPTIONS) wins. Raises UserError that lists what there is.

    Depth: "depth" in its name; aligned or registered to colour before not, near a colour topic's namespace, raw before
    compressed. Colour: "rgb" or "color" in its name, else the only other kind of image; near depth's namespace, raw before
    compressed, rectified first. Camera: beside depth, beside colour, or the only one. Pose: a topic called
    `pose` or of a camera, then any, of any beside TF odometry first, and of several robots' (namespaces with TF each) that of the
    one whose depth it is; whether TF leads to the camera, and is better than any of these, or from what an odometry moves, only its
    messages tell.
    """

    def one_of(option: str, allowed: Collection[str], candidates: list[str], expected: str) -> str:
        wanted = given.get(option)
        if wanted is not None:
            candidates = [name for name in (wanted, f"/{wanted}") if types.get(name, "") in allowed]
            expected = f"{expected} on {wanted}"
        if not candidates:
            listed = ", ".join(f"{name} [{kind}]" for name, kind in sorted(types.items())) or "none"
            raise UserError(f"{bag} has no {expected}; choose one with {option}; topics found: {listed}.")
        return candidates[0]

    images = [name for name, kind in types.items() if kind in (IMAGE, COMPRESSED)]
    told_rgb = given.get("rgb_topic", "")
    colours = [name for name in (told_rgb, f"/{told_rgb}") if name in images] or _colours(images)
    depth = one_of(
        "depth_topic",
        (IMAGE, COMPRESSED),
        sorted((name for name in images if "depth" in name.lower()), key=_depth_rank(types, colours)),
        "depth images (sensor_msgs/Image or CompressedImage with `depth` in the topic's name)",
    )
    rgb = one_of(
        "rgb_topic",
        (IMAGE, COMPRESSED),
        sorted(_colours([name for name in images if name != depth]), key=_colour_rank(types, depth)),
        "colour images (sensor_msgs/Image or CompressedImage with `rgb` or `color` in the topic's name)",
    )
    if rgb == depth:
        raise UserError(f"{bag}: rgb_topic and depth_topic are both {rgb}: colour and depth are two topics.")
    infos = [name for name, kind in types.items() if kind == CAMERA_INFO]
    beside = [info for info in (camera_info_beside(depth), camera_info_beside(rgb)) if info in infos]
    camera_info = one_of(
        "camera_info_topic",
        (CAMERA_INFO,),
        beside or (infos if len(infos) == 1 else []),
        f"camera calibration (sensor_msgs/CameraInfo, expected on {camera_info_beside(depth)} or {camera_info_beside(rgb)})",
    )
    tf = tuple(name for name, kind in types.items() if kind == TF)
    poses = _poses(types, tf, depth)
    pose: str | None = None
    told = given.get("pose_topic", "")
    if told != "tf" and not {told, f"/{told}"} & {*tf} and (told or poses or not tf):
        pose = one_of(
            "pose_topic",
            POSES,
            poses,
            "poses (TF on /tf, or PoseStamped, PoseWithCovarianceStamped or Odometry)",
        )
    rgb_camera_info = camera_info_beside(rgb) if camera_info_beside(rgb) in infos else None
    return Topics(rgb, depth, camera_info, rgb_camera_info, pose, tuple(poses), tf)


def _poses(types: Mapping[str, str], tf: Collection[str], depth: str) -> list[str]:
    """Topics that may give the camera's pose, the likeliest first, as `choose_topics` says."""
    found = [name for name, kind in types.items() if kind in POSES and not _words(name) & NO_POSE_WORDS]
    own = [name for name in found if name.endswith("/pose") or "camera" in name.lower()]
    robots = tuple(
        name.removesuffix("tf") for name in tf if _of_depths_robot(name, depth) in tf and name.endswith("/tf")
    )
    namesakes = [name for name in found if (its := _of_depths_robot(name, depth)) != name and its in found]
    of_others = [name for name in namesakes if name.startswith(robots)]
    tf_first = bool(tf and not own)

    def rank(name: str) -> tuple:
        return name in of_others, name not in own, tf_first and types[name] != ODOMETRY, len(name), name

    return sorted(found, key=rank)


def _colours(images: Collection[str]) -> list[str]:
    """Those that are called colour, else all that are not called anything else."""
    others = [name for name in images if "depth" not in name.lower() and not _words(name) & NO_COLOUR_WORDS]
    return [name for name in others if re.search("rgb|colou?r", name.lower())] or others


def _depth_rank(types: Mapping[str, str], colours: Collection[str]) -> Callable[[str], tuple]:
    def rank(name: str) -> tuple:
        aligned = ("aligned" in name or "registered" in name) and "infra" not in name
        shared = max((shared_namespaces(name, colour) for colour in colours), default=0)
        compressed = types[name] == COMPRESSED
        lossless = not compressed or name.endswith("compressedDepth")
        return not aligned, not lossless, -shared, compressed, "infra" in name, "rect" not in name, len(name), name

    return rank


def _colour_rank(types: Mapping[str, str], depth: str) -> Callable[[str], tuple]:
    def rank(name: str) -> tuple:
        return -shared_namespaces(name, depth), types[name] == COMPRESSED, "rect" not in name, len(name), name

    return rank


def _of_depths_robot(topic: str, depth: str) -> str:
    """What a topic is called in depth's first namespace, if its own first one is a robot's."""
    return "/".join([*depth.split("/")[:2], *topic.split("/")[2:]])


def shared_namespaces(one: str, other: str) -> int:
    """How many of their first namespaces two topics share."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one.split("/"), other.split("/")))))


def camera_info_beside(image_topic: str) -> str:
    """Where image_transport puts the camera_info of an image topic."""
    parts = image_topic.split("/")
    if parts[-1] in ("compressed", "compressedDepth"):
        parts.pop()
    return "/".join([*parts[:-1], "camera_info"])


def _words(topic: str) -> set[str]:
    return set(re.split("[/_]", topic.lower()))
