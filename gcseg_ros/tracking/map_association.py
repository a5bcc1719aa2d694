"""Association through the map: a detection is the object whose label the map holds at its pixels' 3D points."""

from __future__ import annotations

import numpy as np

from gcseg_ros.config import TrackingConfig
from gcseg_ros.masks.masks import Labels, overlaps
from gcseg_ros.tracking.label_pairs import touching
from gcseg_ros.tracking.objects import Objects

INSIDE = 0.8  # share of a detection's known pixels that lie on one object: it is a piece of that object
# A detection may be an object if so many of its pixels are on it, and such shares of those that are known to the map and of all.
LEAST_PX, KNOWN_SHARE, SHARE = 11, 0.3, 0.1


class MapAssociation:
    """`association: map`. No window, no dormancy to bridge: the map remembers where every object is."""

    def __init__(self, config: TrackingConfig) -> None:
        self.config = config

    def __call__(
        self, detections: Labels, propagated: Labels, in_map: Labels, objects: Objects, frame: str, now: int
    ) -> Labels:
        """Detections of a keyframe -> (h, w) int32 object ids.

        A label goes to the detection that covers most of it; also to others that lie in it but touch none of its
        detections (an occluder cuts it in two). Two that touch are different: the second becomes a new object.
        """
        ids, map_ids, common = overlaps(detections, in_map)
        result = np.zeros(int(ids.max()) + 1, np.int32)
        area, known = common.sum(axis=1), common[:, map_ids > 0].sum(axis=1)
        apart = set(map(tuple, touching(detections)[0].tolist()))
        holders: dict[int, list[int]] = {}
        enough = (common >= LEAST_PX) & (common >= KNOWN_SHARE * known[:, None]) & (common >= SHARE * area[:, None])
        rows, columns = np.nonzero(enough & (ids > 0)[:, None] & (map_ids > 0))
        for k in np.argsort(-common[rows, columns], kind="stable"):  # the largest overlaps first
            i, j = rows[k], columns[k]
            id = int(ids[i])
            others = holders.setdefault(int(map_ids[j]), [])
            if result[id] or (others and common[i, j] < INSIDE * known[i]):
                continue
            if any((min(id, other), max(id, other)) in apart for other in others):
                continue
            result[id] = map_ids[j]
            others.append(id)
        for i, id in enumerate(ids):
            if id > 0 and result[id] == 0 and area[i] >= self.config.min_mask_px:
                result[id] = objects.new(frame, now)
        return result[detections]
