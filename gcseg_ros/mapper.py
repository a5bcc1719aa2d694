"""The mapping pipeline: frame -> view -> tracked masks -> voxel map of votes -> instances. The same live and offline."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gcseg_ros.config import Config
from gcseg_ros.errors import UserError
from gcseg_ros.finishing.finishing import finish
from gcseg_ros.finishing.joining import shipped_model
from gcseg_ros.finishing.votes import same_colour
from gcseg_ros.frames import Array, Frame
from gcseg_ros.instances.instances import InstanceMap, describe_objects
from gcseg_ros.mapping.astray import Astray
from gcseg_ros.mapping.gravity import Gravity
from gcseg_ros.mapping.left_out import LeftOut
from gcseg_ros.mapping.map_frame import MapFrame
from gcseg_ros.mapping.pose_refinement import PoseRefinement
from gcseg_ros.mapping.resumed import Resumed
from gcseg_ros.mapping.voxel_map import Surface, VoxelMap
from gcseg_ros.masks import Proposals, build_generator
from gcseg_ros.propagation import build_propagator
from gcseg_ros.retrieval.gatherer import ViewGatherer
from gcseg_ros.state import Saved, Stateful, read_state, write_state
from gcseg_ros.tracking.objects import MOST_OBJECTS
from gcseg_ros.tracking.tracker import Tracker
from gcseg_ros.views import View, ViewBuilder, labels_of_frame

LIVE_THREADS = 2  # of the boundary network


@dataclass(frozen=True)
class TrackedFrame:
    """What one step gives.

    index      how many frames were mapped before this one
    labels     (H, W) uint16 tracked id per pixel at the frame's size, 0 = none
    keyframe   whether masks were detected in this frame
    """

    index: int
    labels: npt.NDArray[np.uint16]
    keyframe: bool


@dataclass(frozen=True)
class Detections:
    """What can be said of a frame by itself: its view, and its masks (S1) if it is a keyframe."""

    frame: Frame
    view: View
    proposals: Proposals | None


class Mapper:
    """`step` every frame in order of time; `instances()` whenever a map is wanted. The paper's Algorithm 1 is `Tracker.step`.

    A step is `view_of`, `detect`, then `track`. Each may run ahead of the next, in a thread of its own, as long as each
    takes the frames in order: the result is the same, and processors have something to do.

    Memory is bounded by the map's surface and its objects, not by the length of the video.

    gatherer    the keyframes kept for queries by words
    map_frame   of a node's map the frame that it is in, also where it is gone on with and saved by `gcseg map`
    extensions  by name, whatever else is to be saved and restored with the map
    """

    def __init__(self, config: Config | None = None, live: bool = False) -> None:
        """live: never wait for a slow generator's masks; they are adopted when they are there, so runs differ.

        Raises UserError if the configuration needs a package, weights or a device that is not there.
        """
        self.config = config or Config()
        self.stages: dict[str, float] = {}
        self._of_tracked: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._asked = 0  # frames mapped when that was asked for
        joining = self.config.finishing.joining
        if joining == "learned" or (joining == "auto" and self.config.masks.generator == "learned"):
            # if it cannot be read, that is told now, not when the map is to be finished
            shipped_model()
        self._build_view = ViewBuilder(self.config.input)
        self._left_out = LeftOut(self.config.input.depth_max_m)
        self.voxel_map = VoxelMap(self.config.map)
        self.refine, self.astray, self.gravity = PoseRefinement(self.voxel_map), Astray(), Gravity()
        self._resumed: Resumed | None = None
        # offline, one processor is for tracking while another looks ahead
        threads = LIVE_THREADS if live else max(1, min(LIVE_THREADS, (os.cpu_count() or 1) - 1))
        generate = build_generator(self.config.masks, self.config.foundation, threads)
        propagate = build_propagator(self.config.propagation, self.config.foundation)
        background = live and self.config.masks.generator in ("sam", "sam2")
        self.tracker = Tracker(self.config.tracking, generate, propagate, self.voxel_map, background)
        self.gatherer = ViewGatherer(self.config.views)
        self.map_frame = MapFrame()
        self.extensions: dict[str, Stateful] = {
            "views": self.gatherer,
            "left_out": self._left_out,
            "frame": self.map_frame,
        }

    def step(self, frame: Frame) -> TrackedFrame:
        """Map one frame. Causal: nothing of a later frame changes what is returned here."""
        return self.track(self.detect(frame, self.view_of(frame)))

    def view_of(self, frame: Frame) -> View:
        """The first part of a step: filtered depth and normals at working resolution."""
        with self._stage("depth"):
            return self._build_view(frame)

    def detect(self, frame: Frame, view: View) -> Detections:
        """The second part of a step: masks."""
        with self._stage("masks"):
            return Detections(frame, view, self.tracker.detect(view))

    def track(self, detections: Detections) -> TrackedFrame:
        """The third part of a step: where the camera is, objects and the map.

        Raises UserError where masks cannot be propagated; then nothing has changed.
        """
        view, index, poses, went = detections.view, self.tracker.frames, self.refine.state(), self.astray.state()
        if self.config.poses.refine:
            with self._stage("poses"):
                view = self.refine(view)
            if self.astray(detections.frame.stamp_s, detections.view.pose, self.refine.fits):
                self._build_view.mapped = detections.view
                return TrackedFrame(index, labels_of_frame(self.tracker.pass_over(view), detections.frame, view), False)
        with self._stage("tracking"):
            try:
                labels, keyframe = self.tracker.step(view, detections.proposals)
            except UserError:
                self.refine.restore(Saved("poses", 0, poses))
                self.astray.restore(Saved("astray", 0, went))
                raise
        with self._stage("map"):
            if self._resumed is not None:
                self._resumed(view)
            self._left_out.outside += self.voxel_map.integrate(view, labels)  # Eq. 3-5, 11
            self.gravity(view.pose, detections.frame.z_up, view.quarters if self.config.input.turn == "auto" else 0)
        if keyframe:
            self._left_out.add(detections.frame.depth_m, detections.frame.colour)
            with self._stage("views"):
                self.gatherer(detections.frame.turned(view.quarters), view)
        self._build_view.mapped = detections.view
        return TrackedFrame(index, labels_of_frame(labels, detections.frame, view), keyframe)

    @property
    def busy(self) -> bool:
        """Whether a thread is still at work on masks, beside the steps."""
        return self.tracker.background is not None and self.tracker.background.busy

    def cloud(self) -> InstanceMap:
        """The map as it stands, its labels joined by evidence, for live display: about a second for a million voxels."""
        surface = self.voxel_map.surface()
        groups = self.tracker.evidence.join(self.config.finishing.join_things, same_colour(surface))
        of_tracked = np.array([groups.of(i) for i in range(len(self.tracker.objects) + 1)], np.int64)
        up = self.gravity.up(surface.normals)
        return self._instance_map(surface, of_tracked[surface.label], surface.share, of_tracked, up)

    def instance_ids(self, labels: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Tracked ids of any shape -> the instances they belonged to when `cloud` or `instances` was last asked; new
        ones as they are."""
        objects = self.tracker.objects
        table = np.arange(len(objects) + 1, dtype=np.uint16)
        known = np.flatnonzero(objects.since[: len(self._of_tracked)] < self._asked)
        table[known] = self._of_tracked[known]
        return table[labels]

    def instances(self) -> InstanceMap:
        """The finished map: pieces joined, specks cleaned up; a few seconds."""
        with self._stage("finishing"):
            surface = self.voxel_map.surface()
            up = self.gravity.up(surface.normals)
            instance, confidence, of_tracked = finish(
                surface, self.tracker.evidence, self.tracker.borders, self.config.finishing, up
            )
            return self._instance_map(surface, instance, confidence, of_tracked, up)

    def save_state(self, path: str | Path) -> None:
        """Write everything that `resume` needs as one file, in one step: the map of the frames that were tracked.
        Raises UserError where it cannot be written."""
        header = {
            "frames": self.tracker.frames,
            "objects": len(self.tracker.objects),
            "voxel_m": self.voxel_map.voxel_m,
        }
        parts = {name: part.state() for name, part in self._parts().items()}
        write_state(path, header, {**parts, "instances": {"of_tracked": self._of_tracked, "asked": self._asked}})

    def resume(self, path: str | Path) -> None:
        """Go on from a state file, or from an output folder that has one: as if its frames had been mapped here.

        Raises UserError if it is no such file, or of another voxel size; the mapper is then not to be used.
        """
        state = read_state(path)
        if state.header.get("voxel_m") != self.voxel_map.voxel_m:
            raise UserError(
                f"The map in {path} has voxels of {state.header.get('voxel_m')} m, and map.voxel_m is {self.voxel_map.voxel_m}: set it "
                "to the map's to go on from there."
            )
        for name, part in self._parts().items():
            if name in state or name not in self.extensions:
                part.restore(state.part(name))
        instances, objects = state.part("instances"), len(self.tracker.objects)
        self._of_tracked = instances.array("of_tracked", np.int64, (None,), 0, MOST_OBJECTS)
        if len(self._of_tracked) > objects + 1:
            raise instances.wrong("of_tracked", f"at most {objects + 1} ids", f"{len(self._of_tracked)}")
        self._asked = instances.number("asked")
        self._resumed = Resumed(self.voxel_map)

    def _parts(self) -> dict[str, Stateful]:
        """What remembers, by name."""
        tracker = self.tracker
        own = {
            "depth": self._build_view,
            "map": self.voxel_map,
            "poses": self.refine,
            "astray": self.astray,
            "gravity": self.gravity,
            "tracking": tracker,
            "objects": tracker.objects,
            "evidence": tracker.evidence,
            "borders": tracker.borders,
            "association": tracker.associate,
            "propagation": tracker.propagate,
        }
        return {name: part for name, part in {**own, **self.extensions}.items() if isinstance(part, Stateful)}

    def statistics(self) -> dict[str, object]:
        """frames, keyframes, objects by state, tracked ids, map voxels, how poses are corrected, and seconds by stage so far."""
        objects = self.tracker.objects
        return {
            "frames": self.tracker.frames,
            "keyframes": self.tracker.keyframes,
            "objects": objects.counts(),
            "ids": {"in_use": objects.in_use, "taken_back": objects.taken_back, "refused": objects.refused},
            "voxels": len(self.voxel_map),
            "poses": {**self.refine.counts(), "astray": self.astray.count},
            "seconds": {stage: round(seconds, 3) for stage, seconds in self.stages.items()},
        }

    def _instance_map(
        self,
        surface: Surface,
        instance: npt.NDArray[np.int64],
        confidence: npt.NDArray[np.floating],
        of_tracked: npt.NDArray[np.int64],
        up: Array,
    ) -> InstanceMap:
        self._of_tracked, self._asked = of_tracked, self.tracker.frames
        objects = describe_objects(
            surface.points, instance, confidence, of_tracked, surface.label, self.tracker.objects, up
        )
        return InstanceMap(
            surface.points,
            surface.colours,
            instance.astype(np.int32),
            confidence.astype(np.float32),
            objects,
            of_tracked,
            self.tracker.objects.since.copy(),
        )

    def notes(self) -> list[str]:
        """What the user of the map should know, one sentence each."""
        voxels = self.voxel_map
        return [
            *self._left_out.notes(len(voxels), voxels.voxel_m, voxels.reach_m),
            *self.refine.notes(self.tracker.frames),
            *self.astray.notes(),
            *self.gravity.notes(),
            *(self._resumed.notes() if self._resumed is not None else []),
            *self._build_view.notes(),
            *self.tracker.objects.notes(),
        ]

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start
