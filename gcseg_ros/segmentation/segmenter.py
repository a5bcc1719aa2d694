"""`Segmenter`: a cloud in, instances out, in one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array

from gcseg_ros.clouds.neighbours import normals_of
from gcseg_ros.config import build_config
from gcseg_ros.errors import UserError
from gcseg_ros.joining.model import JoiningModel
from gcseg_ros.networks.runtime import device_of, memory_errors
from gcseg_ros.segmentation import checkpoint
from gcseg_ros.segmentation.features import COLOUR, COLOUR_AND_NORMAL, normalised_colours, surface_directions
from gcseg_ros.segmentation.instances import Instances
from gcseg_ros.segmentation.network import Mask3D, ScenePrediction
from gcseg_ros.segmentation.post_processing import PostProcessing, instances_of
from gcseg_ros.segmentation.segments import SegmentedCloud, middles
from gcseg_ros.segmentation.sparse_tensor import SparseTensor, voxel_means

MOST_VOXELS = 2_000_000
MOST_CUBES = 300_000
"""Of 8 voxels along each edge, that voxels lie in; the first layer's table takes 7 kB for each. A surface fills about
64 in each."""
APART = 1000
"""So many voxels of which hardly two lie in one cube are no surface."""


class Prediction(NamedTuple):
    """prediction of the network; positions (N, 3) m of the voxels; rows (P,) the voxel of each point; cloud, if there
    are segments."""

    prediction: ScenePrediction
    positions: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    cloud: SegmentedCloud | None


class Segmenter:
    """Finds the instances of a cloud. Safe to call from several threads.

    network    of `checkpoint.load`; see `Segmenter.load`
    settings   thresholds of the post-processing
    device     "cpu", "cuda", "cuda:1"; None: a GPU where there is one
    precision  "fp32", or "bf16": faster on CPUs with AMX and on GPUs, a few percent off
    backend    of the convolutions: auto | torch | spconv | minkowski
    joining    the learned decision which segments are one object, of `checkpoint.load`; None: the masks' votes

    Raises UserError.
    """

    def __init__(
        self,
        network: Mask3D,
        settings: PostProcessing | None = None,
        device: str | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
        backend: str = "auto",
        joining: JoiningModel | None = None,
    ) -> None:
        self.device = device_of(device or "auto")
        self.network = network.to(self.device).eval()
        self.settings = settings or PostProcessing()
        self.precision, self.backend, self.joining = precision, backend, joining

    @classmethod
    def load(
        cls,
        name: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
        device: str | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
        backend: str = "auto",
    ) -> Segmenter:
        """From a checkpoint's file or name (None: the one that comes with the package). Raises UserError.

        changes  of settings of the post-processing; the others are the checkpoint's own, or the defaults
        """
        loaded = checkpoint.load(checkpoint.find(name))
        settings = build_config({**loaded.post_processing, **(changes or {})}, PostProcessing)
        return cls(loaded.network, settings, device, precision, backend, loaded.joining)

    @memory_errors("this cloud", "cut it into rooms, or free some")
    @torch.inference_mode()
    def __call__(
        self, points: npt.NDArray, colours: npt.NDArray[np.uint8] | None = None, queries: int | None = None
    ) -> Instances:
        """The instances of a cloud, over its points.

        points   (N, 3) metres, z up; points that are not finite belong to no instance
        colours  (N, 3) uint8 RGB; None: the mean colour of the training is assumed
        queries  most instances, default the checkpoint's

        Raises UserError if the shapes differ, the cloud has too many voxels, too lonely ones or is too wide, or the
        memory is full.
        """
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or (colours is not None and colours.shape != points.shape):
            raise UserError(
                f"A cloud is points of shape (N, 3) and colours of the same shape; found {points.shape} and {None if colours is None else colours.shape}."
            )
        finite = np.flatnonzero(np.isfinite(points).all(1))
        if not len(finite):
            return Instances(csr_array((0, len(points)), dtype=bool), np.zeros(0, np.float32))
        seen = self.predict(points[finite], None if colours is None else colours[finite], queries)
        voxel_m = self.network.config.voxel_m
        found = instances_of(seen.prediction, seen.positions, self.settings, voxel_m, seen.cloud, self.joining)
        return Instances(over_points(found.masks, seen.rows, finite, len(points)), found.scores)

    @torch.inference_mode()
    def predict(
        self,
        points: npt.NDArray,
        colours: npt.NDArray[np.uint8] | None = None,
        queries: int | None = None,
    ) -> Prediction:
        """What the network says of a cloud of finite points, before anything is made of its masks. As `__call__`."""
        x, positions, rows = self._voxelised(points, colours)
        config, use = self.network.config, self.settings.segments
        centres = positions.cpu().numpy().astype(np.float64)
        shown, cloud, anchors = x.features[:, :COLOUR], None, None
        if config.channels == COLOUR_AND_NORMAL or use != "off":
            normals = normals_of(centres)
        if config.channels == COLOUR_AND_NORMAL:
            directions = torch.from_numpy(surface_directions(normals)).to(self.device)
            x = x.with_features(torch.cat([shown, directions], 1))
        if use != "off":
            cloud = SegmentedCloud.of(centres, normals, shown.cpu().numpy(), config.voxel_m)
            if use == "join":
                anchors = torch.from_numpy(middles(centres, cloud.segments)).to(self.device)
        bf16 = self.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            (prediction,) = self.network(x, positions, queries, anchors=anchors)
        return Prediction(prediction, centres, rows.cpu().numpy(), cloud)

    def _voxelised(
        self, points: npt.NDArray, colours: npt.NDArray[np.uint8] | None
    ) -> tuple[SparseTensor, torch.Tensor, torch.Tensor]:
        """Mean colours (other channels 0) and positions (relative to the cloud's corner) of the voxels, and the voxel
        of each point."""
        config = self.network.config
        cells = np.floor(points / config.voxel_m)
        if np.abs(cells).max() >= 2**53:
            raise UserError(
                f"The cloud has points {np.abs(points).max():.3g} m from its origin: coordinates must be metres."
            )
        coordinates = torch.zeros(len(points), 4, dtype=torch.int64, device=self.device)
        coordinates[:, 1:] = torch.from_numpy(cells.astype(np.int64))
        features = torch.zeros(len(points), config.channels, device=self.device)
        if colours is not None:
            features[:, :COLOUR] = torch.from_numpy(normalised_colours(colours, config))
        x, rows = SparseTensor.of_points(coordinates, features, self.backend)
        voxels, cubes = len(x.level), len(torch.unique_consecutive(x.level.keys >> 9))
        if voxels >= APART and voxels < 1.1 * cubes:
            raise UserError(
                f"Hardly two of the cloud's {voxels:,} voxels lie within {8 * config.voxel_m:g} m of each other: check that it is in metres, or give a denser one."
            )
        if voxels > MOST_VOXELS or cubes > MOST_CUBES:
            raise UserError(
                f"The cloud fills {voxels:,} voxels of {config.voxel_m} m in {cubes:,} cubes of 8 x 8 x 8, at most {MOST_VOXELS:,} in {MOST_CUBES:,} are possible: cut it into rooms, or check that it is in metres."
            )
        relative = torch.from_numpy((points - points.min(0)).astype(np.float32)).to(self.device)
        positions = voxel_means(relative, rows, len(x.level))
        return x, positions, rows


def over_points(masks: csr_array, voxel: npt.NDArray, points: npt.NDArray, count: int) -> csr_array:
    """Masks (I, V) over voxels -> (I, count) over points; voxel (P,): of each of the `points` (P,), ascending."""
    of_voxel = points[np.argsort(voxel, kind="stable")]
    sizes = np.bincount(voxel, minlength=masks.shape[1])
    starts = np.append(0, sizes.cumsum())
    lengths = sizes[masks.indices]
    ends = np.append(0, lengths.cumsum())
    columns = of_voxel[np.arange(ends[-1]) + np.repeat(starts[masks.indices] - ends[:-1], lengths)]
    return csr_array((np.ones(ends[-1], bool), columns, ends[masks.indptr]), shape=(len(masks.indptr) - 1, count))
