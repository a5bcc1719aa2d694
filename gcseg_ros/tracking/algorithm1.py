"""Association by Algorithm 1 of the paper: propagated masks, then dormant objects, then new ones.

An active object without a match sleeps from this keyframe on (Sec. 3.2.1, Step 3), so it is looked for as dormant ones are:
propagation may have lost it within the window though it is in view.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gcseg_ros.config import TrackingConfig
from gcseg_ros.masks.masks import Labels, overlaps
from gcseg_ros.state import Saved
from gcseg_ros.tracking.matching import iou_of_counts, match
from gcseg_ros.tracking.objects import Objects

INSIDE = 0.8  # share of one mask in another that counts as inside
KEEP = -1  # marks pixels that keep their propagated label
MOST_PIXELS = 1 << 15  # on an edge of an image
NO_MASK = np.zeros(0, np.uint8), (0, 0)  # of an object from before `last_mask` was chosen


class Algorithm1:
    """`association: algorithm1`."""

    def __init__(self, config: TrackingConfig) -> None:
        self.config = config
        self.last_masks: dict[int, tuple[np.ndarray, tuple[int, int]]] = {}  # object -> its last 2D mask, packed

    def __call__(
        self, detections: Labels, propagated: Labels, in_map: Labels, objects: Objects, frame: str, now: int
    ) -> Labels:
        """Detections S1 of a keyframe and masks S2 propagated to it -> (h, w) int32 object ids.

        in_map: the label of the map at each pixel, by which dormant objects are seen again.
        """
        ids, s2_ids, common = overlaps(detections, propagated)
        result = np.zeros(int(ids.max()) + 1, np.int32)

        # Eq. 9: one-to-one between S1 and S2; the object takes the detection's mask
        area, s2_area = common.sum(axis=1), common.sum(axis=0)
        iou = iou_of_counts(common, area, s2_area) * (ids > 0)[:, None] * (s2_ids > 0)
        for i, j in match(iou, self.config.match_iou):
            result[ids[i]] = s2_ids[j]

        # dormant objects, and active ones that were not matched, against the detections that are left
        unmatched = sorted((objects.active | objects.dormant.keys()).difference(result.tolist()))
        dormant, iou = self._dormant(detections, ids, area, in_map, unmatched)
        left = (ids > 0) & (result[ids] == 0)
        for i, j in match(iou * left[:, None], self.config.match_iou):
            result[ids[i]] = dormant[j]

        # what is left is new, unless the granularity of a propagated object persists
        for i, id in enumerate(ids):
            if id == 0 or result[id] != 0 or area[i] < self.config.min_mask_px:
                continue
            if self.config.granularity == "persistent":
                within = common[i] * (s2_ids > 0)
                if within.max(initial=0) >= INSIDE * area[i]:
                    result[id] = s2_ids[within.argmax()]
                    continue
                covered = (within >= INSIDE * s2_area) & (s2_area >= self.config.min_mask_px)
                if covered.sum() > 1:
                    result[id] = KEEP
                    continue
            result[id] = objects.new(frame, now)
        labels = result[detections]
        labels = np.where(labels == KEEP, propagated, labels)
        self._remember(labels, objects)
        return labels

    def _dormant(
        self, detections: Labels, ids: np.ndarray, area: np.ndarray, in_map: Labels, unmatched: list[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Those of the objects `unmatched` that can be seen (m,), and the IoU (n, m) of detections `ids` (n,) with what
        is to be seen of them: their 3D points, or their last 2D masks. What the map does not know of a detection is no
        disagreement with it."""
        if self.config.dormant_view == "points":
            _, known, common = overlaps(detections, in_map)
            dormant = np.isin(known, unmatched)
            iou = iou_of_counts(common, common[:, known > 0].sum(axis=1), common.sum(axis=0))
            return known[dormant], iou[:, dormant]
        seen, columns = [], []
        for id in unmatched:
            packed, shape = self.last_masks.get(id, NO_MASK)
            if shape == detections.shape:
                mask = np.unpackbits(packed, count=detections.size).astype(bool)
                common = np.bincount(detections.ravel()[mask], minlength=int(ids.max()) + 1)
                columns.append(iou_of_counts(common[ids][:, None], area, mask.sum(keepdims=True))[:, 0])
                seen.append(id)
        return np.array(seen, np.int64), np.array(columns).reshape(len(seen), len(ids)).T

    def _remember(self, labels: Labels, objects: Objects) -> None:
        """Keep the last masks of objects that are active or dormant, if they are asked for."""
        if self.config.dormant_view != "last_mask":
            return
        known = objects.active | objects.dormant.keys()
        self.last_masks = {id: mask for id, mask in self.last_masks.items() if id in known}
        for id in np.unique(labels[labels > 0]):
            self.last_masks[int(id)] = np.packbits(labels == id), labels.shape

    def state(self) -> dict[str, Any]:
        """The last masks: their objects, their sizes (height, width), and their bits one after the other."""
        masks = self.last_masks.values()
        return {
            "ids": np.array(list(self.last_masks), np.int64),
            "sizes": np.array([size for _, size in masks], np.int64).reshape(-1, 2),
            "bits": np.concatenate([np.zeros(0, np.uint8), *(packed for packed, _ in masks)]),
        }

    def restore(self, saved: Saved) -> None:
        """Take over another's `state`. Raises UserError."""
        if "ids" not in saved:
            return  # of another association
        ids = saved.array("ids", np.int64, (None,), 1, saved.objects).tolist()
        sizes = saved.array("sizes", np.int64, (len(ids), 2), 1, MOST_PIXELS)
        ends = np.cumsum(-(-sizes.prod(axis=1) // 8))
        bits = saved.array("bits", np.uint8, (int(ends[-1]) if ids else 0,))
        packed = np.split(bits, ends[:-1])
        self.last_masks = {id: (mask, (h, w)) for id, mask, (h, w) in zip(ids, packed, sizes.tolist())}
