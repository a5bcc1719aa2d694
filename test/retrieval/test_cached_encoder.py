"""An encoder with a memory gives what the encoder gives, and asks it less."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gcseg_ros.retrieval.cached_encoder import CachedEncoder


class Counting:
    """Vectors that are the mean colour, or the length and first letter; counts what it is asked."""

    name, multilingual = "counting", False

    def __init__(self):
        self.asked = 0

    def images(self, crops):
        self.asked += len(crops)
        return np.stack([crop.mean(axis=(0, 1)) for crop in crops]).astype(np.float32)

    def texts(self, texts):
        self.asked += len(texts)
        return np.array([[len(text), ord(text[0])] for text in texts], np.float32)

    def cuts(self, text):
        return len(text) > 3


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=6), st.integers(1, 12))
def test_the_same_vectors_in_the_same_order(batches, most):
    encoder = Counting()
    cached = CachedEncoder(encoder, most)
    for batch in batches:
        crops = [np.full((1 + value, 2, 3), value, np.uint8) for value in batch]
        np.testing.assert_array_equal(cached.images(crops), Counting().images(crops))
        texts = [chr(97 + value) * (1 + value) for value in batch]
        np.testing.assert_array_equal(cached.texts(texts), Counting().texts(texts))
    if most >= 10:
        assert encoder.asked == 2 * len({value for batch in batches for value in batch})
    assert cached.encoded <= encoder.asked
    assert (cached.name, cached.multilingual) == ("counting", False)
    assert [cached.cuts(text) for text in ("cup", "cups")] == [False, True]


def test_crops_of_the_same_bytes_but_another_shape_are_told_apart():
    cached = CachedEncoder(Counting())
    cached.images([np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)])
    assert cached.encoded == 2
