"""Stage 3's labels: what the network is sure of, and what it is not."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcseg_ros.segmentation.instances import Instances
from offline_training.labelling.samples import UNKNOWN
from offline_training.segmenter.pseudo_labels import confident_labels
from offline_training.segmenter.settings import PseudoLabels


def found(*instances):
    """Instances (score, first point, last point + 1), best first, over 12 points."""
    masks = np.zeros((len(instances), 12), bool)
    for mask, (_, first, end) in zip(masks, instances):
        mask[first:end] = True
    return Instances(csr_array(masks), np.array([score for score, _, _ in instances], np.float32))


@pytest.mark.parametrize(
    ("instances", "labels"),
    [
        (((0.9, 0, 4), (0.7, 4, 8)), "111122220000"),
        (((0.9, 0, 4), (0.5, 4, 8)), "1111????0000"),
        (((0.9, 0, 4), (0.5, 2, 8)), "1111????0000"),
        (((0.9, 0, 4), (0.8, 2, 6), (0.3, 6, 7)), "1111???00000"),
        (((0.2, 0, 12),), "????????????"),
        ((), "000000000000"),
    ],
    ids=["sure", "unsure", "unsure beneath", "too little of it is left", "all unsure", "nothing"],
)
def test_what_the_network_is_not_sure_of_is_not_nothing(instances, labels):
    expected = [UNKNOWN if label == "?" else int(label) for label in labels]
    filters = PseudoLabels(min_confidence=0.6, min_points=3)
    assert confident_labels(found(*instances), filters).tolist() == expected
