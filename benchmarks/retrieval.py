"""What queries by words cost: gathering views while mapping, choosing views, CLIP per crop, and the query itself.

    python benchmarks/retrieval.py RECORDING [--frames 60] [--architecture ViT-B-32]

CLIP runs with random weights, which cost what trained ones do. Processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
import timeit
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from open_clip import create_model_and_transforms, get_tokenizer

from gcseg_ros.commands.endings import plainly
from gcseg_ros.errors import UserError
from gcseg_ros.files import write_json_atomic
from gcseg_ros.instances.instances import labelled_map
from gcseg_ros.mapper import Mapper
from gcseg_ros.recordings import open_recording
from gcseg_ros.retrieval import OpenClip, Retrieval
from gcseg_ros.retrieval.features import Features
from gcseg_ros.retrieval.retrieval import instance_ids, label_masks
from gcseg_ros.retrieval.selection import shots

INSTANCES, DIMENSIONS = 500, 768


class KnownText:
    """An encoder that knows its texts: what is left is the query."""

    name, multilingual = "known", True

    def texts(self, texts: list[str]) -> np.ndarray:
        return np.full((len(texts), DIMENSIONS), DIMENSIONS**-0.5, np.float32)

    def images(self, crops: list[np.ndarray]) -> np.ndarray:
        raise NotImplementedError

    def cuts(self, text: str) -> bool:
        return False


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The least of several runs."""
    return min(timeit.repeat(work, number=1, repeat=repeats, timer=time.process_time))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--architecture", default="ViT-B-32")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    mapper = Mapper()
    frames = 0
    for frame in islice(open_recording(arguments.recording), arguments.frames):
        mapper.step(frame)
        frames += 1
    if not frames:
        raise UserError(f"{arguments.recording} has no frames to map: give a recording that has.")
    views, spent = mapper.gatherer.views, mapper.stages
    share, gathering = spent["views"] / sum(spent.values()), spent["views"] / frames
    size = sum(len(view.jpeg) + len(view.png) for view in views) / max(len(views), 1)
    print(f"gathering: {1000 * gathering:.1f} ms a frame (wall), {100 * share:.1f} % of the mapping")
    print(f"           {mapper.gatherer.counts()}, {size / 1e3:.0f} kB a view")

    instances = mapper.instances()
    masks = label_masks(instances.instance, instance_ids(instances))
    found = shots(instances.points, masks, views, 5)
    choosing = seconds(lambda: shots(instances.points, masks, views, 5), 2)
    print(f"choosing views: {choosing:.2f} s for {masks.shape[0]} instances in {len(views)} views, {len(found)} shots")

    model, _, preprocess = create_model_and_transforms(arguments.architecture)
    encoder = OpenClip("random", model, preprocess, get_tokenizer(arguments.architecture), "cpu")
    crops = [np.zeros((120, 90, 3), np.uint8)] * 16
    crop, text = seconds(lambda: encoder.images(crops), 3) / 16, seconds(lambda: encoder.texts(["red mug"]), 3)
    print(f"{arguments.architecture}: {1000 * crop:.0f} ms a crop, {1000 * text:.0f} ms a text")

    labels = np.repeat(np.arange(1, INSTANCES + 1), 4)
    points = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    room = labelled_map(points, None, labels, np.ones(len(labels), np.float32))
    vectors = np.random.default_rng(0).normal(size=(INSTANCES, DIMENSIONS)).astype(np.float32)
    retrieval = Retrieval(room, Features(vectors, np.ones(INSTANCES, np.int64)), KnownText())
    query = seconds(lambda: retrieval.ranking(retrieval.query(["red mug"], ["bowl"])[0], 5), 20)
    print(f"query of {INSTANCES} instances, the text's vector known: {1000 * query:.2f} ms")
    if arguments.json:
        taken_s = {
            "gathering a frame": gathering,
            "choosing views": choosing,
            "crop": crop,
            "text": text,
            "query": query,
        }
        write_json_atomic(arguments.json, {"frames": frames, "instances": masks.shape[0], "seconds": taken_s})


if __name__ == "__main__":
    sys.exit(plainly(main))
