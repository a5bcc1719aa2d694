"""Miniature recordings of every format, written without the package's own code, and what frames should be."""

import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scannet_folder import write_scannet_folder
from scipy.spatial.transform import Rotation

from gcseg_ros.frames import back_project

WIDTH, HEIGHT = 16, 12
K = np.array([[14.0, 0, 7.5], [0, 14.5, 5.5], [0, 0, 1]])
SECOND = 10**9


@dataclass
class View:
    """What a frame should turn out to be: RGB, whole millimetres, camera-to-world."""

    number: int
    colour: np.ndarray
    depth_mm: np.ndarray
    pose: np.ndarray

    @property
    def stamp_ns(self) -> int:
        return 100 * SECOND + self.number * SECOND // 10


def make_views(count=4, seed=0):
    rng = np.random.default_rng(seed)
    views = []
    for number in range(count):
        depth = rng.integers(500, 5000, (HEIGHT, WIDTH)).astype(np.uint16)
        depth[0, :3] = 0
        pose = np.eye(4)
        pose[:3, :3] = Rotation.random(random_state=rng).as_matrix()
        pose[:3, 3] = rng.normal(size=3)
        views.append(View(number, rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8), depth, pose))
    return views


def check_frames(frames, views):
    """The frames are these views (poses to 1e-8: the files are text)."""
    frames = list(frames)
    assert len(frames) == len(views)
    for frame, view in zip(frames, views):
        np.testing.assert_array_equal(frame.colour, view.colour)
        np.testing.assert_array_equal(frame.depth_m, view.depth_mm.astype(np.float32) * np.float32(0.001))
        np.testing.assert_allclose(frame.pose, view.pose, atol=1e-8)
        np.testing.assert_allclose(frame.intrinsics.matrix, K)
        assert (frame.intrinsics.width, frame.intrinsics.height) == (WIDTH, HEIGHT)


def check_ahead_and_right(ahead, right, left, above, atol=1e-6):
    """Two views of a phone 2 m before a wall, at (1, 1.5, 2) of ARKit's world, whose y axis is up: (x, y, z) there is (x, -z, y) where z is.
    The first looks ahead, along y; the second to the right, along x. left, above: of the middle, where the first pixel is, in metres."""
    for frame in (ahead, right):
        np.testing.assert_allclose(frame.pose[:3, 3], (1, -2, 1.5))
    points = back_project(ahead.depth_m, ahead.intrinsics, ahead.pose)
    np.testing.assert_allclose(points[..., 1], 0, atol=1e-6)
    np.testing.assert_allclose(points[0, 0], (1 - left, 0, 1.5 + above), atol=1e-6)
    # what is to the left of who looks along x has a larger y
    points = back_project(right.depth_m, right.intrinsics, right.pose)
    np.testing.assert_allclose(points[0, 0], (3, -2 + left, 1.5 + above), atol=atol)


def save_image(path: Path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def save_matrix(path: Path, matrix):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, matrix, fmt="%.10f")


def four(matrix):
    """(3,3) -> (4,4)"""
    T = np.eye(4)
    T[:3, :3] = matrix
    return T


def write_scannet(folder: Path, views, name="{:06d}"):
    frames = ((name.format(view.number), view.colour, view.depth_mm, view.pose) for view in views)
    return write_scannet_folder(folder, frames, K)


def write_sens(
    file: Path,
    views,
    version=4,
    colour_compression=1,
    depth_compression=1,
    units=1000.0,
    frames=None,
    T_colour_depth=None,
):
    file.parent.mkdir(parents=True, exist_ok=True)
    name = b"StructureSensor"
    with file.open("wb") as out:
        out.write(struct.pack("<IQ", version, len(name)) + name)
        for matrix in (four(K), np.eye(4), four(K), np.eye(4) if T_colour_depth is None else T_colour_depth):
            out.write(matrix.astype("<f4").tobytes())
        out.write(struct.pack("<iiIIII", colour_compression, depth_compression, WIDTH, HEIGHT, WIDTH, HEIGHT))
        out.write(struct.pack("<fQ", units, len(views) if frames is None else frames))
        for view in views:
            colour = cv2.imencode(".png", view.colour[..., ::-1])[1].tobytes()
            depth = view.depth_mm.astype("<u2").tobytes()
            depth = zlib.compress(depth) if depth_compression == 1 else depth
            out.write(view.pose.astype("<f4").tobytes())
            out.write(struct.pack("<4Q", 0, 0, len(colour), len(depth)) + colour + depth)
        out.write(struct.pack("<Q", 0))  # no IMU frames
    return file


def write_scannetpp(scene: Path, views, every=1):
    """Colour twice the size of depth, as the iPhone's is larger; colour images extracted `every` frames."""
    index = {}
    for view in views:
        name = f"frame_{view.number:06d}"
        if view.number % every == 0:
            save_image(scene / f"iphone/rgb/{name}.png", view.colour.repeat(2, 0).repeat(2, 1))
        save_image(scene / f"iphone/depth/{name}.png", view.depth_mm)
        double = [[28.0, 0, 15.5], [0, 29.0, 11.5], [0, 0, 1]]
        pose = np.eye(4)
        index[name] = {"pose": pose.tolist(), "aligned_pose": view.pose.tolist(), "intrinsic": double}
        index[name]["timestamp"] = view.stamp_ns / SECOND
    (scene / "iphone/pose_intrinsic_imu.json").write_text(json.dumps(index))
    return scene


def write_tum(folder: Path, views, colour_delay_s=0.004, pose_every_s=0.1):
    """Depth at the views' stamps, colour a little later, poses at the views' stamps."""
    rgb, depth, truth = ["# color images"], ["# depth maps"], ["# ground truth trajectory"]
    for view in views:
        stamp = view.stamp_ns / SECOND
        save_image(folder / f"rgb/{stamp + colour_delay_s:.6f}.png", view.colour)
        save_image(folder / f"depth/{stamp:.6f}.png", view.depth_mm * 5)
        rgb.append(f"{stamp + colour_delay_s:.6f} rgb/{stamp + colour_delay_s:.6f}.png")
        depth.append(f"{stamp:.6f} depth/{stamp:.6f}.png")
        numbers = [*view.pose[:3, 3], *Rotation.from_matrix(view.pose[:3, :3]).as_quat()]
        truth.append(f"{stamp:.6f} " + " ".join(f"{number:.10f}" for number in numbers))
    for name, lines in (("rgb", rgb), ("depth", depth), ("groundtruth", truth)):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    camera = {"width": WIDTH, "height": HEIGHT, "fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    (folder / "camera.yaml").write_text(json.dumps(camera))
    return folder


def write_seven_scenes(folder: Path, views, colour_suffix="png"):
    for view in views:
        stem = f"frame-{view.number:06d}"
        save_image(folder / f"{stem}.color.{colour_suffix}", view.colour)
        save_image(folder / f"{stem}.depth.png", np.where(view.depth_mm == 0, 65535, view.depth_mm).astype(np.uint16))
        save_matrix(folder / f"{stem}.pose.txt", view.pose)
    save_matrix(folder / "camera-intrinsics.txt", K)
    return folder


def write_replica(room: Path, views):
    """As NICE-SLAM shares it: a line of 16 numbers an image, 6553.5 depth units a metre, the camera beside the rooms."""
    for view in views:
        save_image(room / f"results/frame{view.number:06d}.png", view.colour)  # a jpg would change the colours
        raw = np.rint(view.depth_mm * 6.5535).astype(np.uint16)
        save_image(room / f"results/depth{view.number:06d}.png", raw)
    (room / "traj.txt").write_text("".join(" ".join(f"{x:.18e}" for x in view.pose.ravel()) + "\n" for view in views))
    camera = {"w": WIDTH, "h": HEIGHT, "fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "scale": 6553.5}
    (room.parent / "cam_params.json").write_text(json.dumps({"camera": camera}))
    return room


def write_arkitscenes(video: Path, views, confidence=2, colour="lowres_wide"):
    """As a video of ARKitScenes' raw dataset. Lines of the trajectory are world-to-camera: a rotation vector and a translation."""
    lines = []
    for view in views:
        stamp = view.stamp_ns / SECOND
        stem = f"{video.name}_{stamp:.3f}"
        save_image(video / f"{colour}/{stem}.png", view.colour)
        save_image(video / f"lowres_depth/{stem}.png", view.depth_mm)
        save_image(video / f"confidence/{stem}.png", np.full((HEIGHT, WIDTH), confidence, np.uint8))
        pincam = video / f"{colour}_intrinsics/{stem}.pincam"
        pincam.parent.mkdir(exist_ok=True)
        pincam.write_text(f"{WIDTH} {HEIGHT} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}")
        inverse = np.linalg.inv(view.pose)
        numbers = [stamp, *Rotation.from_matrix(inverse[:3, :3]).as_rotvec(), *inverse[:3, 3]]
        lines.append(" ".join(f"{number:.12f}" for number in numbers) + "\n")
    (video / "lowres_wide.traj").write_text("".join(lines))
    return video


class BagBuilder:
    """Writes messages of a rosbag2; the log time is the stamp unless given."""

    def __init__(self, path: Path, storage="mcap", compressed: CompressionMode | None = None):
        self.path = path
        self.store = get_typestore(Stores.ROS2_KILTED)
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
        if compressed is not None:
            self._writer.set_compression(compressed, CompressionFormat.ZSTD)
        self._connections = {}

    def __enter__(self):
        self._writer.open()
        return self

    def __exit__(self, *error):
        self._writer.close()

    def make(self, kind, *fields):
        package, name = kind.split("/")
        return self.store.types[f"{package}/msg/{name}"](*fields)

    def send(self, topic, kind, log_ns, *fields):
        package, name = kind.split("/")
        full = f"{package}/msg/{name}"
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, full, typestore=self.store)
        raw = self.store.serialize_cdr(self.make(kind, *fields), full)
        self._writer.write(self._connections[topic], log_ns, raw)

    def header(self, stamp, frame):
        return self.make(
            "std_msgs/Header", self.make("builtin_interfaces/Time", stamp // SECOND, stamp % SECOND), frame
        )

    def image(self, topic, stamp, pixels, encoding, frame="optical", log_ns=None):
        rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1).view(np.uint8)
        self.send(
            topic,
            "sensor_msgs/Image",
            stamp if log_ns is None else log_ns,
            self.header(stamp, frame),
            *pixels.shape[:2],
            encoding,
            0,
            rows.shape[1],
            rows.ravel(),
        )

    def compressed(self, topic, stamp, data, format, frame="optical"):
        fields = self.header(stamp, frame), format, np.frombuffer(data, np.uint8)
        self.send(topic, "sensor_msgs/CompressedImage", stamp, *fields)

    def camera_info(self, topic, stamp, matrix=K, size=(WIDTH, HEIGHT), frame="optical", distortion=(0,) * 5):
        P = np.hstack([matrix, np.zeros((3, 1))])
        roi = self.make("sensor_msgs/RegionOfInterest", 0, 0, 0, 0, False)
        model = "plumb_bob", np.array(distortion, float), np.ravel(matrix), np.eye(3).ravel(), P.ravel(), 0, 0, roi
        self.send(topic, "sensor_msgs/CameraInfo", stamp, self.header(stamp, frame), size[1], size[0], *model)

    def _pose(self, T):
        quaternion = Rotation.from_matrix(T[:3, :3]).as_quat()
        return self.make(
            "geometry_msgs/Pose",
            self.make("geometry_msgs/Point", *T[:3, 3]),
            self.make("geometry_msgs/Quaternion", *quaternion),
        )

    def pose(self, topic, stamp, T, log_ns=None):
        log_ns = stamp if log_ns is None else log_ns
        self.send(topic, "geometry_msgs/PoseStamped", log_ns, self.header(stamp, "map"), self._pose(T))

    def pose_with_covariance(self, topic, stamp, T):
        pose = self.make("geometry_msgs/PoseWithCovariance", self._pose(T), np.zeros(36))
        self.send(topic, "geometry_msgs/PoseWithCovarianceStamped", stamp, self.header(stamp, "map"), pose)

    def odometry(self, topic, stamp, T, child="base_link"):
        pose = self.make("geometry_msgs/PoseWithCovariance", self._pose(T), np.zeros(36))
        zero = self.make("geometry_msgs/Vector3", 0.0, 0.0, 0.0)
        twist = self.make(
            "geometry_msgs/TwistWithCovariance", self.make("geometry_msgs/Twist", zero, zero), np.zeros(36)
        )
        self.send(topic, "nav_msgs/Odometry", stamp, self.header(stamp, "odom"), child, pose, twist)

    def tf(self, stamp, *links, topic="/tf", log_ns=None):
        """links: (parent, child, T_parent_child)"""
        transforms = []
        for parent, child, T in links:
            pose = self._pose(T)
            vector = self.make("geometry_msgs/Vector3", pose.position.x, pose.position.y, pose.position.z)
            transform = self.make("geometry_msgs/Transform", vector, pose.orientation)
            transforms.append(self.make("geometry_msgs/TransformStamped", self.header(stamp, parent), child, transform))
        self.send(topic, "tf2_msgs/TFMessage", stamp if log_ns is None else log_ns, transforms)
