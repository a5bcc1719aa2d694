"""The checkpoint that comes with the package: small, loads by itself, finds things."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the 3D segmenter needs torch")

from gcseg_ros.evaluation.average_precision import Overlap, average_precision
from gcseg_ros.evaluation.baselines import measure
from gcseg_ros.evaluation.truth import load_truth
from gcseg_ros.segmentation import Segmenter, checkpoint
from offline_training.labelling.samples import SampleFolder

DATA = Path(__file__).parents[2] / "../shared/data"


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


@pytest.mark.skipif(not DATA.is_dir(), reason="the rendered rooms in ../shared are not there")
@pytest.mark.parametrize("room", ["small_house_bedroom", "small_house_living"])
def test_it_beats_what_needs_no_training_on_a_rendered_room(room):
    truth = load_truth(DATA / room)
    found = Segmenter.load(None, device="cpu")(truth.points, truth.colours)
    scores = dict(enumerate(found.scores.tolist(), 1))
    ours = average_precision([Overlap.of_labels(truth.instance, found.labels(), scores)])
    for method in ("planes", "felzenszwalb"):
        theirs = measure(truth, method, 1)
        assert ours.ap > theirs["ap"]
        assert ours.ap50 > theirs["ap50"]
        assert ours.ap25 > theirs["ap25"]
