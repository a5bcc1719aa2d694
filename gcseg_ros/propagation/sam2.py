"""`propagation: sam2`: masks carried from a keyframe by SAM 2, from the images alone (Eq. 8, 10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gcseg_ros.config import FoundationConfig, Sam2Config
from gcseg_ros.errors import UserError
from gcseg_ros.masks.masks import Labels
from gcseg_ros.networks.runtime import Runtime, memory_errors
from gcseg_ros.networks.sam2 import load_sam2
from gcseg_ros.propagation.sam2_window import Sam2Window, Tracks
from gcseg_ros.state import Saved
from gcseg_ros.views import View

SLACK = 0.01
"""Share of the image that a mask may grow by in any case: what enters the view grows fast at first."""
SMALLER = "SAM 2 and these objects", "take smaller weights, or choose foundation.device=cpu"
"""What a full memory is too small for, and what to do."""


class Sam2Propagator:
    """Every object of a keyframe's label image is a prompt; objects come and go from window to window.

    An object is lost in a frame when the network says so (its score) or when its mask has grown too much at once: the
    network answers a lost object with a mask that floods the image. Lost for `patience` frames it is given up and costs
    nothing until a keyframe prompts it again. Where masks overlap, the pixel goes to the one with the highest logit.
    Masks end where depth does, as those of keyframes: the two are compared.
    """

    def __init__(self, config: Sam2Config, network: Any, runtime: Runtime) -> None:
        self.config = config
        self.window = Sam2Window(network, runtime, objects_per_batch=config.objects_per_batch)
        self.shape, self.quarters = (0, 0), 0  # of the views of the window
        self.area: dict[int, int] = {}  # object -> pixels when it was last seen
        self.lost: dict[int, int] = {}  # object -> frames since then
        self._encoded: npt.NDArray[np.uint8] | None = None  # the picture that the window has encoded
        self._problem: UserError | None = None  # why there is no window

    def prompt(self, view: View, labels: Labels) -> None:
        area = np.bincount(labels.ravel())
        ids = (np.flatnonzero(area[1:] >= self.config.min_object_px) + 1).tolist()
        self.shape, self.quarters = labels.shape, view.quarters
        self.area, self.lost = {id: int(area[id]) for id in ids}, dict.fromkeys(ids, 0)
        self._problem = None
        try:
            with memory_errors(*SMALLER):
                if ids:
                    self._encode(view)
                self.window.prompt(ids, labels[None] == np.array(ids, np.int32)[:, None, None])
        except UserError as error:
            self.window.forget()
            self._problem = error

    @memory_errors(*SMALLER)
    def __call__(self, view: View) -> Labels:
        if self._problem is not None:  # told once: until the next keyframe there is nothing to propagate
            problem, self._problem = self._problem, None
            raise problem
        # where a map is gone on with, images may be turned otherwise than those in the window's memory
        if not self.window.groups or (view.depth_m.shape, view.quarters) != (self.shape, self.quarters):
            return np.zeros(view.depth_m.shape, np.int32)
        self._encode(view)
        known = torch.from_numpy(view.depth_m > 0).to(self.window.runtime.device)
        best = torch.where(known, 0.0, torch.inf)
        labels = torch.zeros(self.shape, dtype=torch.int32, device=best.device)
        for tracks in self.window.track(self.shape):
            there = self._there(tracks, known)
            if there:
                logit, row = tracks.logits[there].max(0)
                ids = torch.tensor([tracks.ids[i] for i in there], dtype=torch.int32, device=best.device)
                better = logit > best
                best, labels = torch.where(better, logit, best), torch.where(better, ids[row], labels)
        self.window.give_up({id for id, frames in self.lost.items() if frames >= self.config.patience})
        return labels.cpu().numpy()

    def state(self) -> dict[str, Any]:
        """The window's memory, and the sizes of the objects; nothing before the first prompt."""
        ids = self.window.ids
        sizes = {"area": [self.area[id] for id in ids], "lost": [self.lost[id] for id in ids]}
        arrays = {name: np.array(values, np.int64) for name, values in sizes.items()}
        return (
            {**self.window.state(), **arrays, "shape": np.array(self.shape, np.int64), "quarters": self.quarters}
            if ids
            else {}
        )

    @memory_errors(*SMALLER)
    def restore(self, saved: Saved) -> None:
        """Take over the `state` of a propagator; one with another network begins at the next prompt. Raises UserError."""
        self._encoded = self._problem = None
        self.window.forget()
        if "quarters" not in saved:  # no window, or it is not known how its images were turned
            return
        self.window.restore(saved)
        if ids := self.window.ids:
            height, width = saved.array("shape", np.int64, (2,), 1, 1 << 16).tolist()
            self.shape, self.quarters = (height, width), saved.number("quarters", high=3)
            self.area = dict(zip(ids, saved.array("area", np.int64, (len(ids),), 0).tolist()))
            self.lost = dict(zip(ids, saved.array("lost", np.int64, (len(ids),), 0).tolist()))

    def _there(self, tracks: Tracks, known: Tensor) -> list[int]:
        """Rows of the objects that are in the frame, where its depth is `known`; keeps account of those that are lost."""
        there, areas = [], ((tracks.logits > 0) & known).sum((1, 2)).tolist()
        for row, (id, score, area) in enumerate(zip(tracks.ids, tracks.scores, areas)):
            most = self.config.max_growth * self.area[id] + SLACK * self.shape[0] * self.shape[1]
            if score > 0 and 0 < area <= most:
                self.area[id], self.lost[id] = area, 0
                there.append(row)
            else:
                self.lost[id] += 1
        return there

    def _encode(self, view: View) -> None:
        """A keyframe is the last frame of one window and the first of the next: it is encoded once."""
        if view.picture is not self._encoded:
            self.window.encode(view.picture)
            self._encoded = view.picture


def build_sam2_propagator(config: Sam2Config, foundation: FoundationConfig) -> Sam2Propagator:
    """The propagator with its weights. Raises UserError if its package, weights or device is not there."""
    runtime = Runtime.of(foundation)
    network = load_sam2(config.weights, config.configuration, config.overrides, foundation, runtime)
    return Sam2Propagator(config, network, runtime)
