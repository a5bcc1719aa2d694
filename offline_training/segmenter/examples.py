"""Training examples: samples, augmented, cropped and voxelised.

Everything about example number i follows from (seed, i) alone: training can stop and go on anywhere, on any number of devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gcseg_ros.clouds.neighbours import normals_of
from gcseg_ros.segmentation.features import COLOUR_AND_NORMAL, normalised_colours, surface_directions
from offline_training.labelling.samples import Entry, Sample, SampleFolder, read_sample, thinned
from offline_training.segmenter.augmentation import augmented, cropped
from offline_training.segmenter.settings import Training

FINER = 0.6
KEPT_IN_MEMORY = 256
"""Samples, a few MB each."""

Batch = dict[str, Tensor]


class Examples(Dataset):
    """Example number i -> {"coordinates" (V, 3) int64, "features" (V, C), "positions" (V, 3) metres, "labels" (V,) int64}."""

    def __init__(self, samples: Sequence[tuple[SampleFolder, Entry]], settings: Training) -> None:
        self.files = [folder.path / entry.file for folder, entry in samples]
        self.settings = settings

    @cached_property
    def read(self) -> Callable[[Path], Sample]:
        """`read_thinned`, of what was read lately from memory. Each worker makes its own: such a cache cannot be sent to a process."""
        return lru_cache(KEPT_IN_MEMORY)(self.read_thinned)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.settings.seed, 1, number])
        return self.prepare(self.read(self.file(number)), rng)

    def file(self, number: int) -> Path:
        """The sample that an example is of: each epoch has all of them, in another order."""
        epoch, place = divmod(number, len(self.files))
        order = np.random.default_rng([self.settings.seed, 0, epoch]).permutation(len(self.files))
        return self.files[order[place]]

    def read_thinned(self, file: Path) -> Sample:
        """Finer than the network's voxels, so that every example still falls into them differently."""
        return thinned(read_sample(file), FINER * self.settings.network.voxel_m)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Tensor]:
        config = self.settings.network
        sample = thinned(augmented(sample, self.settings.augmentation, rng), config.voxel_m)
        sample = cropped(sample, self.settings.augmentation.crop_voxels, rng)
        features = normalised_colours(sample.colours, config)
        if config.channels == COLOUR_AND_NORMAL:
            features = np.concatenate([features, surface_directions(normals_of(sample.points.astype(np.float64)))], 1)
        arrays: dict[str, npt.NDArray] = {
            "coordinates": np.floor(sample.points / config.voxel_m).astype(np.int64),
            "features": features,
            "positions": sample.points - sample.points.min(0, initial=0),
            "labels": sample.instance.astype(np.int64),
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def batched(examples: Iterable[dict[str, Tensor]]) -> Batch:
    """Several examples in one: coordinates become (V, 4) with the number of the example first."""
    parts = [
        {**example, "coordinates": torch.nn.functional.pad(example["coordinates"], (1, 0), value=i)}
        for i, example in enumerate(examples)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
