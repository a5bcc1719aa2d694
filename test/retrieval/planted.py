"""A room in which every object has a colour of its own, and a stand-in for CLIP that knows these colours by name."""

from dataclasses import replace

import cv2
import numpy as np

from gcseg_ros.frames import CameraIntrinsics, Frame, back_project
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance
from gcseg_ros.recordings import open_recording
from gcseg_ros.retrieval import StoredView

LEVELS = np.array([0, 85, 170, 255])
PALETTE = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS, indexing="ij"), -1).reshape(-1, 3).astype(np.uint8)
CAMERA = CameraIntrinsics(160, 120, 130.0, 130.0, 79.5, 59.5)


class ColourEncoder:
    """A crop's feature is the share of each colour of the palette in it; the text "colour 7" means the seventh of them."""

    name, multilingual = "colours", False

    def __init__(self):
        self.batches = []

    def images(self, crops):
        self.batches.append(len(crops))
        shares = []
        for crop in crops:
            steps = np.rint(cv2.medianBlur(np.ascontiguousarray(crop), 3) / 85.0).astype(int)
            shares.append(np.bincount((steps @ [16, 4, 1]).ravel(), minlength=64))
        return units(np.array(shares, np.float32))

    def texts(self, texts):
        return np.stack([np.eye(64, dtype=np.float32)[int(text.split()[-1])] for text in texts])

    def cuts(self, text):
        return len(text) > 200


def units(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def planted_frames(spec, size=(320, 240)):
    """Frames of a generated room, every object in the colour of its id (mod 64), and the true labelled cloud of 3 cm voxels."""
    recording = open_recording(spec)
    recording.intrinsics = recording.intrinsics.scaled(*size)
    frames, points, ids = [], [], []
    for frame, view in recording.views():
        frames.append(replace(frame, colour=PALETTE[view.instance % 64]))
        seen = (view.depth_m > 0) & (view.depth_m < 6)
        points.append(back_project(view.depth_m, frame.intrinsics, frame.pose)[seen])
        ids.append(view.instance[seen])
    points, ids = np.concatenate(points), np.concatenate(ids)
    cells = np.column_stack([np.floor(points / 0.03).astype(np.int64), ids])
    _, first = np.unique(cells, axis=0, return_index=True)
    return frames, points[first], ids[first]


def instance_map(points, instance):
    """An InstanceMap of labelled points (N, 3), (N,)."""
    objects = [object_instance(int(i), points[instance == i]) for i in np.unique(instance) if i > 0]
    grey, ones = np.full((len(points), 3), 128, np.uint8), np.ones(len(points), np.float32)
    return InstanceMap(points.astype(np.float32), grey, instance.astype(np.int32), ones, objects)


def object_instance(id, points):
    low, high = points.min(0).astype(float), points.max(0).astype(float)
    box = (low + high) / 2, np.eye(3), high - low
    return ObjectInstance(id, len(points), (low + high) / 2, (low, high), box, 1.0, "", "", "active")


def facing(x=0.0, y=0.0, z=0.0):
    """Camera-to-world: at (x, y, z), looking along the world's z axis."""
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def wall_frame(name="wall", pose=None, depth_m=2.0, colour=(170, 85, 0)):
    """A frame that looks straight at one flat, plain thing."""
    shape = CAMERA.height, CAMERA.width
    image = np.broadcast_to(np.array(colour, np.uint8), (*shape, 3)).copy()
    return Frame(name, 0.0, image, np.full(shape, depth_m, np.float32), CAMERA, facing() if pose is None else pose)


def stored(frame):
    """A frame as a stored view, colour and depth of one size."""
    k = frame.intrinsics
    return StoredView.encoded(frame.name, frame.pose, k, frame.colour, k, frame.depth_m)


def patch(x, y, z, size=0.3, step=0.03):
    """Points of a square that faces the cameras of `facing`, (N, 3)."""
    a, b = np.meshgrid(np.arange(0, size, step), np.arange(0, size, step))
    return np.stack([x + a.ravel(), y + b.ravel(), np.full(a.size, z)], 1)
