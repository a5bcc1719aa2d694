"""What `gcseg segment` does: a PLY file in, a labelled PLY file and a picture out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.camera.upright import turned_upright
from gcseg_ros.clouds.neighbours import distinct, spacing
from gcseg_ros.clouds.ply import read_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.instances.export import read_instances_json
from gcseg_ros.instances.instances import InstanceMap, upright
from gcseg_ros.output import check_own_file
from gcseg_ros.segmentation import require_torch

SPARSE, LEAST_APART_M = 1.3, 1e-3  # voxels' edges between neighbouring points; nearer ones repeat others
# Higher than rooms are, and the share of its height that a cloud on its side measures along another axis.
TALL_M, FLAT = 4.0, 0.6
NEARLY_ALL = (1, 99)  # percentiles of points


def segment_file(
    cloud: Path, output: Path, checkpoint: str | None, changes: Mapping[str, Any], device: str | None, up: str = "z"
) -> tuple[InstanceMap, str]:
    """Segment a PLY file, or the instances.ply in a folder of `gcseg map`; writes `output` and its picture (.png). Raises UserError.

    changes  of the checkpoint's own settings of the post-processing
    up       the axis of the cloud that points up, as in `camera.upright.AXES`; it is written as it was. Where z is said of a
             map, what its boxes stand along

    -> what was found, and remarks on the cloud if there are any
    """
    require_torch()
    from gcseg_ros.segmentation.segmenter import Segmenter
    from gcseg_ros.viewer.picture import write_with_picture

    if output.suffix.lower() != ".ply":
        raise UserError(f"The output {output} must be named .ply: a labelled cloud is written.")
    file = cloud / "instances.ply" if cloud.is_dir() else cloud
    if not file.is_file():
        raise UserError(f"There is no cloud {file}: expected a PLY file or a folder written by `gcseg map`.")
    for written in (output, output.with_suffix(".png")):
        check_own_file(written, [file])
    content = read_cloud(file, finite_only=False)
    segmenter = Segmenter.load(checkpoint, changes, device)
    points, colours = content["points"], content.get("colours")
    objects = cloud / "instances.json"
    standing = (
        upright(points, read_instances_json(objects)) if objects.is_file() and up == "z" else turned_upright(points, up)
    )
    result = segmenter(standing, colours).as_map(points, colours)
    finite = np.isfinite(points).all(1)
    shown = {name: getattr(result, name)[finite] for name in ("colours", "instance", "confidence")}
    standing = standing[finite]
    write_with_picture(output, result, replace(result, points=standing, **shown))
    if not len(standing):
        return result, f"The cloud has no point to segment: none of its {len(points):,} is finite."
    remarks = (
        remark_on_spacing(standing, segmenter.network.config.voxel_m),
        remark_on_side(standing) if up == "z" else "",
    )
    return result, " ".join(filter(None, remarks))


def remark_on_side(points: npt.NDArray[np.float32]) -> str:
    """A sentence where points (N, 3) m are so high, and so flat along another axis, that they seem to lie on their side, else nothing."""
    if not len(points):
        return ""
    x, y, height = np.ptp(np.percentile(points, NEARLY_ALL, axis=0), axis=0).tolist()
    axis, least = min(("x", x), ("y", y), key=lambda one: one[1])
    if height < TALL_M or least > FLAT * height:
        return ""
    return (
        f"The cloud is {height:.1f} m high and {least:.1f} m along {axis}: if that axis points up in it, say `--up {axis}` (or `--up=-{axis}`), "
        "for the network knows rooms that stand upright."
    )


def remark_on_spacing(points: npt.NDArray[np.float32], voxel_m: float) -> str:
    """A sentence where points (N, 3) are too far apart for a network of such voxels, else nothing."""
    points = points[distinct(points, LEAST_APART_M)]
    apart_m = spacing(cKDTree(points)) if len(points) > 1 else 0.0
    if apart_m <= SPARSE * voxel_m:
        return ""
    return (
        f"The cloud has a point every {apart_m:.2g} m, and the network has voxels of {voxel_m:g} m: expect less, for in a cloud as sparse as "
        "that voxels have no neighbours."
    )
