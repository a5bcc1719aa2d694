"""The labels of one scene: fragments of keyframes (stage 1, Eq. 1-6) or what the tracker says of all frames (stage 2, Eq. 11-12)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from gcseg_ros.config import Config, Part
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.truth import SCENE_CLOUD, carry, load_cloud
from gcseg_ros.frames import Frame, back_project
from gcseg_ros.mapper import Mapper
from gcseg_ros.masks import build_generator
from gcseg_ros.recordings import Recording, open_recording
from gcseg_ros.recordings.synthetic import SyntheticRecording
from gcseg_ros.views import ViewBuilder
from offline_training.labelling.samples import Entry, Sample, thinned, write_sample


class Labelling(Part):
    """All that the labels of a scene depend on, besides the scene."""

    stage: int = Field(ge=1, le=2, description="1: keyframes, each on its own; 2: all frames, tracked")
    keyframe_stride: int = Field(10, ge=1, description="stage 1: frames from one keyframe to the next")
    every: int = Field(1, ge=1, description="stage 2: only every n-th frame is used")
    min_points: int = Field(100, ge=1, description="smaller masks are dropped (Sec. 3.1.2)")
    voxel_m: float = Field(0.02, gt=0, description="samples are thinned to one point a voxel")
    complete: bool = Field(False, description="stage 2: also carry the labels to the scene's own complete cloud")
    synthetic_width_px: int = Field(320, ge=64, description="synthetic rooms are rendered this wide")
    options: dict[str, str] = Field({}, description="what the recordings' format takes beside the path")
    mapping: Config = Config()


class Labelled(NamedTuple):
    """entries: of a scene's samples; notes: sentences of its reader and its mapper, for the user to check."""

    entries: list[Entry]
    notes: list[str]


def label_scene(
    spec: str, folder: Path, settings: Labelling, progress: Callable[[int, int], None] = lambda done, of: None
) -> Labelled:
    """Write the samples of a recording (a path or synthetic:SEED:STYLE:FRAMES) to `folder`.

    progress  called after each frame with the number of frames done and how many there are
    Raises UserError if the recording cannot be used.
    """
    recording = open_recording(spec, **settings.options)
    if isinstance(recording, SyntheticRecording):
        width, camera = settings.synthetic_width_px, recording.intrinsics
        recording.intrinsics = camera.scaled(width, width * camera.height // camera.width)
    name = scene_name(spec)
    made = fragments if settings.stage == 1 else whole_scene
    entries = []
    for kind, frame, cloud in made(recording, settings, progress):
        cloud = thinned(cloud, settings.voxel_m)
        instances = np.unique(cloud.instance[cloud.instance > 0])
        if len(instances):
            file = f"samples/{name}.{kind}{f'.{frame}' if frame else ''}.npz"
            write_sample(folder / file, cloud)
            entries.append(Entry(spec, kind, file, frame, len(cloud), len(instances)))
    entries = entries or [Entry(spec, "fragment" if settings.stage == 1 else "map", "")]
    return Labelled(entries, recording.notes + recording.left_out(len(recording)))


def scene_name(spec: str) -> str:
    """A file name for a recording: its last folders' and a digest of where it is, or the synthetic room's fields."""
    if spec.startswith("synthetic:"):
        return spec.replace(":", "_")
    path = Path(spec).resolve()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9_.-]", "_", f"{path.parent.name}_{path.name}_{digest}")


def fragments(
    recording: Recording, settings: Labelling, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, str, Sample]]:
    """Each keyframe alone: its 2D masks (Eq. 2), lifted (Eq. 3-5), those of few points dropped."""
    generate = build_generator(settings.mapping.masks, settings.mapping.foundation)
    for number, frame in enumerate(recording):
        if number % settings.keyframe_stride == 0:
            view = ViewBuilder(settings.mapping.input)(frame)
            masks = generate(view).detections
            seen = view.measured_m > 0
            points = back_project(view.measured_m, view.intrinsics, view.pose)[seen].astype(np.float32)
            yield "fragment", frame.name, Sample(points, view.colour[seen], large(masks[seen], settings.min_points))
        progress(number + 1, len(recording))


def whole_scene(
    recording: Recording, settings: Labelling, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, str, Sample]]:
    """All frames tracked (Algorithm 1) and lifted; with `complete` also the scene's own cloud with these labels.

    What the mapper has to say is put with the recording's notes.
    """
    mapper = Mapper(settings.mapping)
    own = CompleteCloud(recording) if settings.complete else None
    frames = own.frames() if own else iter(recording)
    for number, frame in enumerate(islice(frames, 0, None, settings.every)):
        mapper.step(frame)
        progress(min((number + 1) * settings.every, len(recording)), len(recording))
    found = mapper.instances()
    recording.notes += mapper.notes()
    instance = large(found.instance, settings.min_points)
    yield "map", "", Sample(found.points, found.colours, instance)
    if own:
        points, colours = own.cloud()
        labels, near = carry(found.points, instance, points)  # what no frame saw is left out
        yield "complete", "", Sample(points[near], colours[near], labels[near].astype(np.int32))


def large(labels: Any, min_points: int) -> Any:
    """(N,) int32 labels, 0 where fewer than `min_points` have the same."""
    return np.where(np.bincount(labels)[labels] >= min_points, labels, 0).astype(np.int32)


class CompleteCloud:
    """A scene's complete 3D point cloud (Sec. 3): points and colours only. Its truth is never looked at.

    Of a synthetic room it is the exact surface that the walk saw, of a folder its gt_cloud.npz. Raises UserError where there is none.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.file = recording.path / SCENE_CLOUD
        if isinstance(recording, SyntheticRecording):
            from gcseg_ros.recordings.synthetic.recording import TruthBuilder

            self.builder = TruthBuilder(recording.room)
        elif not self.file.is_file():
            raise UserError(f"{recording.path} has no complete cloud ({SCENE_CLOUD}): label it without --complete.")

    def frames(self) -> Iterator[Frame]:
        if not isinstance(self.recording, SyntheticRecording):
            yield from self.recording
            return
        for frame, view in self.recording.views():
            self.builder.add(view, self.recording.intrinsics, frame.pose)
            yield frame

    def cloud(self) -> tuple[Any, Any]:
        """points (N, 3) float32, colours (N, 3) uint8."""
        if isinstance(self.recording, SyntheticRecording):
            surface = self.builder.cloud()
            return surface.points, surface.colors
        cloud = load_cloud(self.file)
        grey = np.full(cloud["points"].shape, 170, np.uint8)
        return cloud["points"], cloud.get("colours", grey)
