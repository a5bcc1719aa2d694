"""Granularity-consistent mask tracking (Algorithm 1) as one causal step per frame."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from gcseg_ros.config import TrackingConfig
from gcseg_ros.mapping.voxel_map import LEAST_VOXELS, VoxelMap
from gcseg_ros.masks import MaskGenerator, Proposals
from gcseg_ros.masks.masks import Labels
from gcseg_ros.propagation import Propagator
from gcseg_ros.state import Saved
from gcseg_ros.tracking.algorithm1 import Algorithm1
from gcseg_ros.tracking.background import BackgroundGenerator
from gcseg_ros.tracking.borders import Borders
from gcseg_ros.tracking.evidence import Evidence
from gcseg_ros.tracking.map_association import MapAssociation
from gcseg_ros.tracking.objects import Objects
from gcseg_ros.views import View

LATELY = 30  # frames; ids of what was seen since are not taken back, and they are not looked through more often
LEAST_OVERLAP = 0.7  # of a view with the one before it; below, propagated masks leave too much of it without any
MANY = 8192  # ids given since they were last looked through, after which they are again


class Association(Protocol):
    """Detections of a keyframe -> object ids."""

    def __call__(
        self, detections: Labels, propagated: Labels, in_map: Labels, objects: Objects, frame: str, now: int
    ) -> Labels: ...


class Tracker:
    """Views, in order of time -> label images with object ids that last.

    A window reaches from one keyframe to the next and shares that frame with the window after it. The paper lets the
    video's last keyframe adopt the propagated masks; a causal tracker cannot know it, and treats it as any other.
    """

    def __init__(
        self,
        config: TrackingConfig,
        generate: MaskGenerator,
        propagate: Propagator,
        voxel_map: VoxelMap,
        background: bool = False,
    ) -> None:
        """background: find the masks of keyframes beside the tracking, which adopts them when they are there."""
        self.config = config
        self.generate = generate
        self.background = BackgroundGenerator(generate) if background else None
        self.propagate = propagate
        self.voxel_map = voxel_map
        self.by_map = config.association == "map"
        self.associate: Association = MapAssociation(config) if self.by_map else Algorithm1(config)
        self.objects = Objects(None if self.by_map else config.max_dormant_frames)
        self.evidence = Evidence()
        self.borders = Borders()
        self.seen = 0  # views whose masks were asked for
        self.frames = 0
        self.keyframes = 0
        self.looked_through = 0  # the frame at which ids were last looked through for those that can be taken back

    def detect(self, view: View) -> Proposals | None:
        """The masks of a keyframe; None of any other view. S1: Eq. 2. Once for each view, in order; may run ahead of `step`.

        A view that shows much that the one before it did not is a keyframe whatever the stride: frames that are far apart.
        """
        due = self.seen % self.config.keyframe_stride == 0 or view.overlap < LEAST_OVERLAP
        self.seen += 1
        if self.background is not None:
            return self.background(view, due)
        return self.generate(view) if due else None

    def step(self, view: View, proposals: Proposals | None) -> tuple[Labels, bool]:
        """Tracked masks (h, w) int32 of this view with what `detect` said of it, and whether it was a keyframe: Algorithm 1.

        Raises UserError where masks cannot be propagated; then nothing has changed.
        """
        if proposals is not None and self.by_map:  # does not look at the propagated masks
            propagated = np.zeros_like(proposals.detections)
        else:
            propagated = self.propagate(view)  # S2: Eq. 8, 10
        now, self.frames = self.frames, self.frames + 1
        if proposals is None:
            return propagated, False
        self.keyframes += 1
        if now - self.looked_through >= LATELY and (
            self.objects.run_short or self.objects.given_since(self.looked_through) >= MANY
        ):
            self._take_back(now)
        in_map = self.voxel_map.look_up(view.depth_m, view)
        self.evidence.add(in_map, proposals, view.depth_m)
        if proposals.maps is not None:
            self.borders.add(in_map, proposals.maps, view.depth_m)
        # match S1 with S2 (Eq. 9) or with the map, update the states (Fig. 3), prompt the next window
        labels = self.associate(proposals.detections, propagated, in_map, self.objects, view.name, now)
        self.objects.update(_ids(labels), view.name, now)
        self.propagate.prompt(view, labels)
        return labels, True

    def pass_over(self, view: View) -> Labels:
        """In place of `step`, where a view's pose is wrong: nothing of it is tracked; (h, w) int32, all 0."""
        self.frames += 1
        return np.zeros(view.depth_m.shape, np.int32)

    def _take_back(self, now: int) -> None:
        """Free the ids of pieces that stayed too small to be part of an instance and were not seen lately.

        So what is remembered of pieces follows the surface seen, not the time spent looking at it.
        Nobody else knows them: propagation has those of active objects, Algorithm 1 those of active and dormant ones.
        """
        self.looked_through, most = now, len(self.objects)
        led = self.voxel_map.led(most)
        ids = [id for id in self.objects.unseen(now - LATELY) if led[id] < LEAST_VOXELS]
        if ids:
            self.voxel_map.forget({*ids}, most)
            self.evidence.forget({*ids})
            self.borders.forget({*ids})
            self.objects.take_back(ids, now)

    def state(self) -> dict[str, Any]:
        """The counts; objects, evidence, association and propagation have states of their own."""
        return {"frames": self.frames, "keyframes": self.keyframes, "looked_through": self.looked_through}

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        self.frames, self.keyframes = saved.number("frames"), saved.number("keyframes")
        self.looked_through = saved.number("looked_through")
        self.seen = self.frames


def _ids(labels: Labels) -> list[int]:
    present = np.bincount(labels.ravel()) > 0
    return (np.flatnonzero(present[1:]) + 1).tolist()
