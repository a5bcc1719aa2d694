"""Whose TF a bag's is, where topics contradict each other: robots with namespaces often call their frames the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

import numpy as np

from gcseg_ros.camera.transforms import TransformTree
from gcseg_ros.errors import UserError
from gcseg_ros.recordings.bag_files import BagFiles
from gcseg_ros.recordings.bag_topics import Topics, shared_namespaces
from gcseg_ros.ros_types.messages import pose_matrix, stamp_ns


def without_rivals(
    bag: BagFiles, topics: Topics, told_pose: str, starts: Iterable[Collection[str]], camera: str
) -> tuple[tuple[str, ...], list[str]]:
    """The topics of TF without those that contradict one nearer to the camera, and notes on what was passed over.

    Near is what shares most namespaces with the pose topic that was told ("tf": none), then with depth. But TF still leads to the camera
    afterwards, from one of the first of `starts` from which it does; where it does so from none, or only through what contradicts itself,
    nothing is passed over.
    """
    sources = {topic: topic.removesuffix("_static") for topic in topics.tf}  # /tf and /tf_static are one
    names = sorted(set(sources.values()), key=lambda name: _distance(name, topics.depth, told_pose))
    if len(names) < 2:
        return topics.tf, []
    trees, rivals = _rivals(bag, sources)
    choices = [_agreeing([first, *names], rivals) for first in names] + [names]
    leading = (
        choice for start in starts for choice in choices if _leads([trees[name] for name in choice], start, camera)
    )
    kept = next(leading, names)
    notes = []
    for name in names:
        if name not in kept:
            other = next(other for other in kept if frozenset((name, other)) in rivals)
            notes.append(
                f"{name} is passed over: it tells otherwise of the frame {rivals[frozenset((name, other))]} than {other}; if it is that of the "
                f"camera's robot, choose it with pose_topic={name}."
            )
    return tuple(topic for topic in topics.tf if sources[topic] in kept), notes


def _agreeing(names: Collection[str], rivals: Collection[frozenset[str]]) -> list[str]:
    """Those of the names, the first before the others, that do not contradict each other."""
    chosen: list[str] = []
    for name in names:
        if name not in chosen and all(frozenset((name, other)) not in rivals for other in chosen):
            chosen.append(name)
    return chosen


def _distance(name: str, depth: str, told_pose: str) -> tuple[int, int, int, int, str]:
    """Sorts sources of TF, the nearest to what was told and to depth first."""
    told = "" if told_pose == "tf" else f"/{told_pose.lstrip('/')}"
    shared = shared_namespaces(name, depth)
    return -shared_namespaces(name, told), -shared, name.count("/") - shared, len(name), name


def _rivals(bag: BagFiles, sources: Mapping[str, str]) -> tuple[dict[str, TransformTree], dict[frozenset[str], str]]:
    """The tree of every source of TF, and pairs of them that contradict each other, with a frame that they do so of."""
    trees = {name: TransformTree() for name in sources.values()}
    rivals: dict[frozenset[str], str] = {}
    with suppress(UserError):  # a bag that is cut off: what is before that counts
        for topic, _, message in bag.messages(sources):
            name = sources[topic]
            for transform in message.transforms:
                with suppress(UserError):
                    parent, child, T = transform.header.frame_id, transform.child_frame_id, pose_matrix(transform)
                    trees[name].add(parent, child, stamp_ns(transform.header.stamp), T, topic != name)
                    for other in trees.keys() - {name}:
                        if trees[name].contradicts(trees[other], child):
                            rivals.setdefault(frozenset((name, other)), child)
    return trees, rivals


def _leads(trees: Collection[TransformTree], start: Collection[str], camera: str) -> bool:
    """Whether these together lead from one of the frames to the camera."""
    together = TransformTree()
    for tree in trees:
        for parent, child in tree.links():
            together.add(parent, child, 0, np.eye(4), static=True)
    return any(together.connected(frame, camera) for frame in start)
