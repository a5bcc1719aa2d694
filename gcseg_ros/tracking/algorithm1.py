"""Association by Algorithm 1 of the paper: propagated masks, then dormant objects, then new ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from gcseg_ros.config import TrackingConfig
from gcseg_ros.mapping.state import Saved
from gcseg_ros.masks.masks import Labels, overlaps
from gcseg_ros.tracking.matching import iou_of_counts, match
from gcseg_ros.tracking.objects import Objects

INSIDE = 0.8  # share of one mask in another that counts as inside: tau_c of Eq. 1
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
        iou = _iou_where_known(common, ids, s2_ids)
        for i, j in match(iou, self.config.match_iou):
            result[ids[i]] = s2_ids[j]

        # dormant objects against the detections that are left
        seen_again = self._dormant_labels(detections.shape, in_map, objects)
        for labels in seen_again:
            _, dormant_ids, dormant_common = overlaps(detections, labels)
            left = np.isin(ids, np.flatnonzero(result == 0))[:, None]
            for i, j in match(_iou_where_known(dormant_common, ids, dormant_ids) * left, self.config.match_iou):
                if dormant_ids[j] not in result:
                    result[ids[i]] = dormant_ids[j]

        # what is left is new, unless the granularity of a propagated object persists
        area, s2_area = common.sum(axis=1), common.sum(axis=0)
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

    def _dormant_labels(self, shape: tuple[int, int], in_map: Labels, objects: Objects) -> list[Labels]:
        """Dormant objects in the present view: their 3D points, or their last 2D masks one by one."""
        if not objects.dormant:
            return []
        if self.config.dormant_view == "points":
            dormant = np.zeros(len(objects) + 1, bool)
            dormant[list(objects.dormant)] = True
            return [np.where(dormant[in_map], in_map, 0)]
        layers = []
        for id in objects.dormant:
            packed, size = self.last_masks.get(id, NO_MASK)
            if size == shape:
                layers.append(np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(np.int32) * id)
        return layers

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


def _iou_where_known(common: np.ndarray, ids: np.ndarray, other: np.ndarray) -> np.ndarray:
    """IoU (n, m), 0 for the label 0; pixels of a detection that no other mask covers are unknown, not disagreement."""
    known = common[:, other > 0].sum(axis=1)
    return iou_of_counts(common, known, common.sum(axis=0)) * (ids > 0)[:, None] * (other > 0)[None, :]
