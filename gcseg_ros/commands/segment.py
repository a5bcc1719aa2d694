"""What `gcseg segment` does: a PLY file in, a labelled PLY file and a picture out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.clouds.neighbours import distinct, spacing
from gcseg_ros.clouds.ply import read_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.instances.export import write_instances_ply
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.output import check_own_file
from gcseg_ros.segmentation import require_torch

SPARSE, LEAST_APART_M = 1.3, 1e-3  # voxels' edges between neighbouring points; nearer ones repeat others


def segment_file(
    cloud: Path, output: Path, checkpoint: str | None, changes: Mapping[str, Any], device: str | None
) -> tuple[InstanceMap, str]:
    """Segment a PLY file, or the instances.ply in a folder of `gcseg map`; writes `output` and its picture (.png). Raises UserError.

    changes  of the checkpoint's own settings of the post-processing

    -> what was found, and a remark on the cloud if there is one
    """
    require_torch()
    from gcseg_ros.segmentation.segmenter import Segmenter
    from gcseg_ros.viewer.picture import write_picture

    if output.suffix.lower() != ".ply":
        raise UserError(f"The output {output} must be named .ply: a labelled cloud is written.")
    file = cloud / "instances.ply" if cloud.is_dir() else cloud
    if not file.is_file():
        raise UserError(f"There is no cloud {file}: expected a PLY file or a folder written by `gcseg map`.")
    picture = output.with_suffix(".png")
    for written in (output, picture):
        check_own_file(written, [file])
    segmenter = Segmenter.load(checkpoint, changes, device)
    content = read_cloud(file, finite_only=False)
    points, colours = content["points"], content.get("colours")
    result = segmenter(points, colours).as_map(points, colours)
    write_instances_ply(output, result)
    finite = np.isfinite(points).all(1)
    shown = {name: getattr(result, name)[finite] for name in ("points", "colours", "instance", "confidence")}
    write_picture(replace(result, **shown), picture)
    return result, remark_on(shown["points"], segmenter.network.config.voxel_m)


def remark_on(points: npt.NDArray[np.float32], voxel_m: float) -> str:
    """A sentence where points (N, 3) are too far apart for a network of such voxels, else nothing."""
    points = points[distinct(points, LEAST_APART_M)]
    apart_m = spacing(cKDTree(points)) if len(points) > 1 else 0.0
    if apart_m <= SPARSE * voxel_m:
        return ""
    return (
        f"The cloud has a point every {apart_m:.2g} m, and the network has voxels of {voxel_m:g} m: expect less, for in a cloud as sparse as "
        "that voxels have no neighbours."
    )
