"""Augmentation of labelled clouds, as Mask3D's and MinkowskiNet's recipes have it, with sensor noise and varying density."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from offline_training.labelling.samples import Sample
from offline_training.segmenter.settings import Augmentation

BENDS_M = ((0.2, 0.4), (0.8, 1.6))
"""Granularity and magnitude of the elastic distortion (Choy et al., CVPR 2019)."""

Points = npt.NDArray[np.float64]


def augmented(sample: Sample, settings: Augmentation, rng: np.random.Generator) -> Sample:
    """The sample from elsewhere, in another size, bent, noisier, thinner, in another light. Centred in x and y."""
    if settings.drop:
        kept = rng.random(len(sample)) >= rng.uniform(0, settings.drop)
        sample = Sample(sample.points[kept], sample.colours[kept], sample.instance[kept])
    if not len(sample):
        return sample
    points = sample.points.astype(np.float64)
    points -= (points.min(0) + points.max(0)) / 2 * [1, 1, 0] + [0, 0, points[:, 2].min()]
    if settings.noise_m:
        points += rng.normal(0, 1, points.shape) * rng.uniform(0, settings.noise_m)
    if settings.elastic and rng.random() < settings.elastic:
        for granularity_m, magnitude_m in BENDS_M:
            points = bent(points, granularity_m, magnitude_m, rng)
    tilt = rng.uniform(-1, 1, 2) * settings.tilt_deg
    turn = rng.uniform(0, 360) if settings.turn else 0.0
    points = points @ Rotation.from_euler("xyz", [*tilt, turn], degrees=True).as_matrix().T
    flips = np.where(rng.random(3) < [0.5, 0.5, 0], -1, 1) if settings.flip else np.ones(3)
    points = points * flips * (1 + rng.uniform(-1, 1) * settings.scale)
    return replace(sample, points=points.astype(np.float32), colours=in_other_light(sample.colours, settings, rng))


def bent(points: Points, granularity_m: float, magnitude_m: float, rng: np.random.Generator) -> Points:
    """Points (N, 3) moved by smooth noise on a grid of this granularity, as wide as two box filters of three cells make it."""
    low = points.min(0)
    shape = np.ceil((points.max(0) - low) / granularity_m).astype(int) + 3
    grid = (points - low) / granularity_m
    moves = []
    for _ in range(3):
        noise = gaussian_filter(rng.standard_normal(shape), 1.15)
        moves.append(map_coordinates(noise, grid.T, order=1, mode="nearest"))
    return points + np.stack(moves, 1) * magnitude_m


def in_other_light(
    colours: npt.NDArray[np.uint8], settings: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Contrast, brightness and tint of (N, 3) colours changed; some without hue."""
    values = colours.astype(np.float64)
    if settings.grey and rng.random() < settings.grey:
        values = np.repeat(values.mean(1, keepdims=True), 3, 1)
    if settings.colour:
        mean = values.mean(0)
        values = mean + (values - mean) * np.exp(rng.normal(0, settings.colour))
        values = values * np.exp(rng.normal(0, settings.colour)) + rng.normal(0, 255 * settings.colour / 3, 3)
        values += rng.normal(0, 255 * settings.colour / 10, values.shape)
    return values.clip(0, 255).round().astype(np.uint8)


def cropped(sample: Sample, voxels: int, rng: np.random.Generator) -> Sample:
    """The points nearest in x and y to one of a random instance; 0: all."""
    if not voxels or len(sample) <= voxels:
        return sample
    instances = np.unique(sample.instance[sample.instance > 0])
    among = np.flatnonzero(sample.instance == rng.choice(instances)) if len(instances) else np.arange(len(sample))
    middle = sample.points[rng.choice(among), :2]
    near = np.argpartition(((sample.points[:, :2] - middle) ** 2).sum(1), voxels)[:voxels]
    near.sort()
    return Sample(sample.points[near], sample.colours[near], sample.instance[near])
