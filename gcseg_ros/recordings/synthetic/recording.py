"""`synthetic:SEED[:STYLE[:FRAMES]]` as a recording, its exact truth, and its export in ScanNet's layout."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.encoded_images import write_image
from gcseg_ros.errors import UserError
from gcseg_ros.files import check_movable, resolved
from gcseg_ros.frames import CameraIntrinsics, Frame, back_project, depth_to_millimetres
from gcseg_ros.recordings import Recording
from gcseg_ros.recordings.synthetic.styles import STYLES

if TYPE_CHECKING:
    from gcseg_ros.recordings.synthetic.rendering import View
    from gcseg_ros.recordings.synthetic.room import Room

PREFIX = "synthetic:"
EXACT, DRIFTING = "pose", "pose_noisy"
DEFAULT_STYLE = "demo"
DEFAULT_FRAMES = 240
CAMERA = CameraIntrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)
RATE_HZ = 15.0
TRUTH_RANGE_M, TRUTH_VOXEL_M = 6.0, 0.02  # how far surface is of the truth, and its voxels


@dataclass(frozen=True)
class TruthCloud:
    """The surface that a walk saw. points (N,3) float32 m; instance (N,) int32; stuff (N,) bool; colors (N,3) uint8;
    normals (N,3) float32; count (N,) int32 pixels that fell on the voxel."""

    points: npt.NDArray[np.float32]
    instance: npt.NDArray[np.int32]
    stuff: npt.NDArray[np.bool_]
    colors: npt.NDArray[np.uint8]
    normals: npt.NDArray[np.float32]
    count: npt.NDArray[np.int32]

    def save(self, file: Path) -> None:
        """As npz, written whole or not at all."""
        part = file.with_name(file.name + ".part")
        with open(part, "wb") as out:
            np.savez_compressed(out, **vars(self))
        os.replace(part, file)


class SyntheticRecording(Recording):
    """A walk through the room of (seed, style): 640x480, f = 525, 15 Hz, about 0.05 m a frame, noisy depth.

    poses  the names that an exported recording's folders have: `pose` for exact ones, `pose_noisy` for those with drift
    """

    format: ClassVar[str] = "synthetic"
    expects: ClassVar[str] = "synthetic:SEED, synthetic:SEED:STYLE or synthetic:SEED:STYLE:FRAMES, no folder"
    options: ClassVar[dict[str, str]] = {"poses": f"{EXACT} or {DRIFTING}, the poses with drift"}

    def __init__(self, path: Path, poses: str = EXACT) -> None:
        super().__init__(Path(path))
        self.seed, self.style, self.frames = parse(str(path))
        if poses not in (EXACT, DRIFTING):
            raise UserError(f"The poses of a synthetic recording are {EXACT} or {DRIFTING}; found {poses!r}.")
        self.drifts = poses == DRIFTING
        self.intrinsics = CAMERA
        self.threads = os.cpu_count() or 1

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return str(path).startswith(PREFIX)

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Frame]:
        for frame, _ in self.views():
            yield frame

    @cached_property
    def room(self) -> Room:
        from gcseg_ros.recordings.synthetic.room import build_room

        return build_room(self.seed, self.style)

    @cached_property
    def poses(self) -> npt.NDArray[np.float64]:
        """Camera-to-world, (frames,4,4): where the camera truly is."""
        from gcseg_ros.recordings.synthetic.path import walk

        return walk(self.room, self.frames)

    @cached_property
    def drifted(self) -> npt.NDArray[np.float64]:
        """(frames,4,4) Where an odometry takes the camera to be."""
        return drift(self.poses, np.random.default_rng([self.seed, 3]))

    def views(self) -> Iterator[tuple[Frame, View]]:
        """Each frame as the sensor gives it, with the exact view: seen from where the camera truly is."""
        from gcseg_ros.recordings.synthetic.rendering import render
        from gcseg_ros.recordings.synthetic.sensor import (
            SENSORS,
            ColourSensor,
            auto_exposure,
            sense_colour,
            sense_depth,
        )

        sensors = STYLES[self.style].sensors
        sensor = SENSORS[sensors[self.seed % len(sensors)]]
        glance = self.intrinsics.scaled(80, 60)
        glances = [render(self.room, glance, pose).colour for pose in self.poses[:: max(1, len(self) // 12)]]
        camera = ColourSensor(exposure=auto_exposure(np.concatenate(glances)))
        for i, pose in enumerate(self.poses):
            view = render(self.room, self.intrinsics, pose, self.threads)
            rng = np.random.default_rng([self.seed, i])
            colour = sense_colour(view.colour, camera, rng)
            depth = sense_depth(view, sensor, rng)
            known = self.drifted[i] if self.drifts else pose
            yield Frame(f"{i:06d}", i / RATE_HZ, colour, depth, self.intrinsics, known), view

    def truth(self, stride: int = 2) -> TruthCloud:
        """The exact surface seen within 6 m, in 2 cm voxels; every `stride`-th pixel each way is used."""
        from gcseg_ros.recordings.synthetic.rendering import render

        camera = self.intrinsics.scaled(self.intrinsics.width // stride, self.intrinsics.height // stride)
        builder = TruthBuilder(self.room)
        for pose in self.poses:
            builder.add(render(self.room, camera, pose, self.threads), camera, pose)
        return builder.cloud()


class TruthBuilder:
    """Collects exact views into voxels; each voxel takes the instance that most pixels saw in it."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.rows: list[npt.NDArray[np.float64]] = []
        self.keys: list[npt.NDArray[np.int64]] = []

    def add(self, view: View, camera: CameraIntrinsics, pose: npt.NDArray[np.float64], stride: int = 1) -> None:
        """A view; every `stride`-th of its pixels each way is used."""
        some = np.s_[::stride, ::stride]
        depth, instance = view.depth_m[some], view.instance[some]
        seen = (depth > 0) & (depth <= TRUTH_RANGE_M) & (instance > 0)
        points = back_project(depth, camera.every(stride), pose)[seen]
        cell = np.floor(points / TRUTH_VOXEL_M).astype(np.int64) + (1 << 14)
        key = (((cell[:, 0] << 15) | cell[:, 1]) << 15 | cell[:, 2]) << 16 | instance[seen]
        ones = np.ones((len(points), 1))
        self.reduce([key], [np.hstack([points, view.colour[some][seen], view.normal[some][seen], ones])])
        if len(self.keys) > 24:
            keys, rows = self.keys, self.rows
            self.keys, self.rows = [], []
            self.reduce(keys, rows)

    def reduce(self, keys: list[npt.NDArray[np.int64]], rows: list[npt.NDArray[np.float64]]) -> None:
        """Append the sums of rows with equal keys."""
        key, row = np.concatenate(keys), np.concatenate(rows)
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        self.keys.append(key[first])
        self.rows.append(np.add.reduceat(row[order], first) if len(first) else row[:0])

    def cloud(self) -> TruthCloud:
        keys, rows = self.keys, self.rows
        self.keys, self.rows = [], []
        self.reduce(keys, rows)
        key, total = self.keys[0], self.rows[0]
        voxel, instance, count = key >> 16, (key & 0xFFFF).astype(np.int32), total[:, 9]
        order = np.lexsort((-count, voxel))
        best = order[np.flatnonzero(np.diff(voxel[order], prepend=-1))]
        total, instance = total[best], instance[best]
        mean = total[:, :9] / total[:, 9:]
        normals = mean[:, 6:] / (np.linalg.norm(mean[:, 6:], axis=1, keepdims=True) + 1e-9)
        return TruthCloud(
            mean[:, :3].astype(np.float32),
            instance,
            self.room.stuff_mask(instance.astype(np.uint16)),
            mean[:, 3:6].round().astype(np.uint8),
            normals.astype(np.float32),
            total[:, 9].astype(np.int32),
        )


def parse(spec: str) -> tuple[int, str, int]:
    """(seed, style, frames) of "synthetic:SEED[:STYLE[:FRAMES]]". Raises UserError."""
    how = f"expected synthetic:SEED[:STYLE[:FRAMES]] with one of the styles {', '.join(STYLES)}; found {spec!r}"
    fields = spec.removeprefix(PREFIX).split(":")
    if not spec.startswith(PREFIX) or not 1 <= len(fields) <= 3:
        raise UserError(f"A synthetic recording is named by a seed: {how}.")
    seed, style, frames = fields + ["", DEFAULT_STYLE, str(DEFAULT_FRAMES)][len(fields) :]
    if not seed.isdecimal() or len(seed) > 9:
        raise UserError(f"The seed of a synthetic recording is a whole number from 0 to 999999999: {how}.")
    if style not in STYLES:
        raise UserError(f"There is no room style {style!r}: {how}.")
    if not frames.isdecimal() or not 1 <= int(frames) <= 100_000:
        raise UserError(f"The number of frames is a whole number from 1 to 100000: {how}.")
    return int(seed), style, int(frames)


def drift(poses: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The poses as an odometry with slow random drift would give them: under 4 cm and 1.5 degrees off."""

    def bounded(step: float, most: float) -> npt.NDArray[np.float64]:
        path = np.cumsum(rng.normal(0, step, (len(poses), 3)), 0)
        path -= path[0]
        size = np.linalg.norm(path, axis=1).max()
        return path * min(1.0, most / max(size, 1e-12))

    shift, turn = bounded(0.003, 0.039), bounded(np.radians(0.15), np.radians(1.45))
    drifted = poses.copy()
    for i in range(len(poses)):
        drifted[i, :3, :3] = poses[i, :3, :3] @ cv2.Rodrigues(turn[i])[0]
        drifted[i, :3, 3] += shift[i]
    return drifted


def export(
    spec: str, folder: str | Path, frames: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write a synthetic recording in ScanNet's exported layout, with its truth; returns the folder.

    color/ depth/ pose/ pose_noisy/ intrinsic/ instance/ instances.json gt_cloud.npz meta.json. `frames` overrides the
    spec's. The folder appears when all of it is written. `progress(done, of)` is called after each frame. Raises
    UserError for a bad spec, or a folder that is not empty, cannot be replaced (before anything is rendered) or cannot
    be written.
    """
    recording = SyntheticRecording(Path(spec if str(spec).startswith(PREFIX) else PREFIX + str(spec)))
    if frames is not None:
        recording = SyntheticRecording(Path(f"{PREFIX}{recording.seed}:{recording.style}:{frames}"))
    target = resolved(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(
            f"The folder {target} must be new or empty to receive the recording; it is not: choose another."
        )
    check_movable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            write(recording, work, progress)
            work.chmod(0o755)
            os.replace(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"The recording {target} cannot be written: {error.strerror or error}; free some space or choose another folder."
        ) from None
    return target


def write(recording: SyntheticRecording, folder: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """All files of an exported recording into an existing folder."""
    for name in ("color", "depth", EXACT, DRIFTING, "intrinsic", "instance"):
        (folder / name).mkdir()
    matrix = np.eye(4)
    matrix[:3, :3] = recording.intrinsics.matrix
    for kind in ("color", "depth"):
        np.savetxt(folder / "intrinsic" / f"intrinsic_{kind}.txt", matrix, "%.9f")
    builder = TruthBuilder(recording.room)
    pixels = np.zeros(len(recording.room.objects) + 1, np.int64)
    most = pixels.copy()
    for (frame, view), drifted in zip(recording.views(), recording.drifted):
        name = frame.name
        write_image(folder / "color" / f"{name}.jpg", frame.colour[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        write_image(folder / "depth" / f"{name}.png", depth_to_millimetres(frame.depth_m))
        write_image(folder / "instance" / f"{name}.png", view.instance)
        np.savetxt(folder / EXACT / f"{name}.txt", frame.pose, "%.9f")
        np.savetxt(folder / DRIFTING / f"{name}.txt", drifted, "%.9f")
        counts = np.bincount(view.instance.ravel(), minlength=len(pixels))
        pixels += counts
        most = np.maximum(most, counts)
        builder.add(view, recording.intrinsics, frame.pose)
        if progress is not None:
            progress(int(name) + 1, len(recording))
    builder.cloud().save(folder / "gt_cloud.npz")
    objects = {
        str(o.id): {
            "name": o.name,
            "is_stuff": o.is_stuff,
            "is_flat": o.is_flat,
            "pixels": int(pixels[o.id]),
            "max_pixels": int(most[o.id]),
            "box_min": o.box[0].round(4).tolist(),
            "box_max": o.box[1].round(4).tolist(),
        }
        for o in recording.room.objects
        if pixels[o.id]
    }
    (folder / "instances.json").write_text(json.dumps(objects, indent=1))
    meta = {
        "seed": recording.seed,
        "style": recording.style,
        "frames": len(recording),
        "frame_rate": RATE_HZ,
        "gt_voxel": TRUTH_VOXEL_M,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))
