"""One CLIP feature per instance: the mean over the crops of its best views."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import sparse

from gcseg_ros.config import Part
from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path, read_arrays
from gcseg_ros.retrieval.encoder import Encoder
from gcseg_ros.retrieval.selection import crops, shots
from gcseg_ros.retrieval.views import StoredView


class FeatureConfig(Part):
    """How an instance's feature is made; the defaults are OpenMask3D's."""

    views: int = Field(5, ge=1, description="views per instance")
    levels: int = Field(3, ge=1, le=10, description="crops per view")
    expansion: float = Field(0.1, ge=0, le=1, description="by how much of its size a crop grows a level, on each side")
    batch: int = Field(32, ge=1, description="crops that go through the model at once")


class NothingSeenError(UserError):
    """There is no instance, or none that a view shows."""


@dataclass(frozen=True)
class Features:
    """vectors (I, D) float32 of unit length, 0 where no view shows the instance; views (I,) int64: how many were used."""

    vectors: npt.NDArray[np.float32]
    views: npt.NDArray[np.int64]


def instance_features(
    points: npt.NDArray[np.floating],
    masks: sparse.csr_array,
    views: Sequence[StoredView],
    encoder: Encoder,
    config: FeatureConfig | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Features:
    """points (N, 3) world, metres; masks (I, N) bool. progress: called with the crops done and in all.

    Raises NothingSeenError; UserError where a view is damaged.
    """
    config = config or FeatureConfig()
    found = shots(points, masks, views, config.views)
    total = len(found) * config.levels
    sums: npt.NDArray[np.float64] | None = None
    waiting: list[tuple[int, npt.NDArray[np.uint8]]] = []
    done = 0

    def encode() -> None:
        nonlocal sums, done
        vectors = encoder.images([crop for _, crop in waiting])
        if sums is None:
            sums = np.zeros((masks.shape[0], vectors.shape[1]))
        np.add.at(sums, [row for row, _ in waiting], vectors)
        done += len(waiting)
        waiting.clear()
        progress(done, total)

    for v, in_view in groupby(found, key=lambda shot: shot.view):
        image = views[v].colour()
        for shot in in_view:
            for crop in crops(image, shot.box, config.levels, config.expansion):
                waiting.append((shot.instance, crop))
                if len(waiting) == config.batch:
                    encode()
    if waiting:
        encode()
    if sums is None:
        raise NothingSeenError(
            f"None of the {masks.shape[0]} instances is seen in any of the {len(views)} stored views: they must be of the same map."
        )
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    used = np.bincount([shot.instance for shot in found], minlength=masks.shape[0])
    return Features((sums / np.maximum(length, 1e-12)).astype(np.float32), used.astype(np.int64))


def features_file(folder: Path, encoder: Encoder, cloud: Path | None = None) -> Path:
    """Where the features of a map are kept, or those of another cloud of it."""
    names = [encoder.name, *([cloud.stem] if cloud else [])]
    return folder / f"features_{'_'.join(re.sub(r'[^A-Za-z0-9.-]+', '-', name) for name in names)}.npz"


def fingerprint(files: Sequence[Path], encoder: Encoder, config: FeatureConfig) -> str:
    """What features depend on, as hexadecimal digits."""
    digest = hashlib.sha256(repr((encoder.name, config.views, config.levels, config.expansion)).encode())
    for file in files:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def write_features(path: Path, features: Features, mark: str) -> None:
    """Atomically. mark: the `fingerprint`. Raises UserError."""
    with atomic_path(path) as temporary:
        np.savez(temporary, mark=np.array(mark), vectors=features.vectors, views=features.views)


def read_features(path: Path, mark: str, instances: int) -> Features | None:
    """The features of so many instances that were kept under this mark; None if there are none."""
    if not path.is_file():
        return None
    try:
        arrays = read_arrays(path)
        vectors, views = arrays["vectors"], arrays["views"]
        fits = str(arrays["mark"]) == mark and vectors.shape[:1] == views.shape == (instances,)
        if not fits or vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
            return None
    except (UserError, KeyError):
        return None
    return Features(vectors, views.astype(np.int64))
