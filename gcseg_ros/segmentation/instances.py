"""What a segmenter finds: scored masks over the points of a cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gcseg_ros.instances.instances import InstanceMap, labelled_map


@dataclass(frozen=True)
class Instances:
    """I instances over N points.

    masks   (I, N) bool, sparse; they may overlap
    scores  (I,) float32 0..1, descending
    """

    masks: csr_array
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def labels(self) -> npt.NDArray[np.int32]:
        """(N,): 1 + the best scored instance that a point belongs to, 0 = none."""
        labels = np.zeros(self.masks.shape[1], np.int32)
        for i in reversed(range(len(self))):
            labels[self.masks.indices[self.masks.indptr[i] : self.masks.indptr[i + 1]]] = i + 1
        return labels

    def as_map(self, points: npt.NDArray, colours: npt.NDArray[np.uint8] | None = None) -> InstanceMap:
        """With the cloud, as `gcseg map` gives it. points (N, 3), finite in instances; without colours grey."""
        labels = self.labels()
        return labelled_map(points, colours, labels, np.append(np.float32(0), self.scores)[labels])
