"""The checkpoint that comes with the package: small, loads by itself, finds things."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the 3D segmenter needs torch")

from gcseg_ros.segmentation import Segmenter, checkpoint
from offline_training.labelling.samples import SampleFolder


def test_without_a_name_the_shipped_one_is_used():
    file = checkpoint.find(None)
    assert file.stem in checkpoint.shipped()
    assert file.stat().st_size < 15_000_000


def test_it_finds_the_largest_things_of_a_room(samples):
    folder = SampleFolder(samples)
    room = folder.read(folder.entries[0])
    labels = Segmenter.load(None, device="cpu")(room.points, room.colours).labels()
    floor = np.bincount(labels[room.instance == 1]).argmax()
    assert labels.max() > 1
    assert floor > 0
