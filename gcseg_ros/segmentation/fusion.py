"""The network's masks and the tracked instances of the same cloud, brought together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.segmentation.instances import Instances


def fuse(
    found: Instances, tracked: npt.NDArray[np.integer], tracked_confidence: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The network's masks, voted by tracked ids: labels (N,), 0 = none, and confidences (N,) 0..1.

    The points of a tracked id vote for the mask that they lie in. If more than half are for one mask, the whole of the id
    belongs to it, so that masks have the tracked borders and join what tracking has left in pieces; else it stays an
    instance of its own, with its own confidence. Points without a tracked id belong to their mask.

    found               over N points
    tracked             (N,) ids, 0 = none
    tracked_confidence  (N,)
    """
    masks = found.labels()
    ids, row = np.unique(tracked, return_inverse=True)
    votes = np.zeros((len(ids), len(found) + 1), np.int64)
    np.add.at(votes, (row, masks), 1)
    winner = votes[:, 1:].argmax(axis=1) + 1 if len(found) else np.zeros(len(ids), np.int64)
    won = 2 * votes[np.arange(len(ids)), winner] > votes.sum(axis=1)
    label = np.where(won & (winner > 0), winner, len(found) + 1 + np.arange(len(ids)))[row]
    label = np.where(tracked > 0, label, masks).astype(np.int32)
    score = np.append(np.float32(0), found.scores)[np.minimum(label, len(found))]
    return label, np.where(label > len(found), tracked_confidence, score).astype(np.float32)
