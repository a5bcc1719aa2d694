"""An encoder that does not look at the same crop twice: a map that grows is asked again and again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gcseg_ros.retrieval.encoder import Encoder, Vectors


class CachedEncoder:
    """Another encoder with the vectors of the crops and texts that it was given last.

    most     vectors of crops that are kept; the same number of texts
    encoded  how many crops the encoder has really been given
    """

    def __init__(self, encoder: Encoder, most: int = 20000) -> None:
        self.encoded = 0
        self._encoder, self._most = encoder, most
        self._images: OrderedDict[bytes, Vectors] = OrderedDict()
        self._texts: OrderedDict[bytes, Vectors] = OrderedDict()

    @property
    def name(self) -> str:
        return self._encoder.name

    @property
    def multilingual(self) -> bool:
        return self._encoder.multilingual

    def images(self, crops: Sequence[npt.NDArray[np.uint8]]) -> Vectors:
        """As the encoder's: B crops (h, w, 3) -> (B, D)."""
        keys = [hashlib.sha256(repr(crop.shape).encode() + crop.tobytes()).digest() for crop in crops]

        def encode(rows: list[int]) -> Vectors:
            self.encoded += len(rows)
            return self._encoder.images([crops[i] for i in rows])

        return self._cached(self._images, keys, encode)

    def texts(self, texts: Sequence[str]) -> Vectors:
        """As the encoder's: T texts -> (T, D)."""
        keys = [text.encode() for text in texts]
        return self._cached(self._texts, keys, lambda rows: self._encoder.texts([texts[i] for i in rows]))

    def cuts(self, text: str) -> bool:
        """As the encoder's."""
        return self._encoder.cuts(text)

    def _cached(
        self, memory: OrderedDict[bytes, Vectors], keys: list[bytes], encode: Callable[[list[int]], Vectors]
    ) -> Vectors:
        """The vectors of the keys; `encode` gives those of the rows that are not known."""
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in memory}
        if first:
            memory.update(zip(first, encode(list(first.values()))))
        vectors = np.stack([memory[key] for key in keys])
        for key in keys:
            memory.move_to_end(key)
        while len(memory) > max(self._most, len(keys)):
            memory.popitem(last=False)
        return vectors
