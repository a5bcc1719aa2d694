"""The map as files: `instances.ply` and `instances.json`, written and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gcseg_ros.camera.upright import turned_upright
from gcseg_ros.clouds.ply import read_cloud, write_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.files import read_json, write_json_atomic
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance, labelled_map


def write_instances_ply(path: str | Path, instances: InstanceMap) -> None:
    """Binary little-endian PLY: x y z (float, metres) red green blue (uchar) instance (int, 0 = none) confidence (float)."""
    cloud = {name: getattr(instances, name) for name in ("points", "colours", "instance", "confidence")}
    write_cloud(path, cloud)


def write_instances_json(path: str | Path, instances: InstanceMap) -> None:
    """The objects as a JSON list; `read_instances_json` describes an entry."""
    write_json_atomic(path, [object_entry(found) for found in instances.objects])


def object_entry(found: ObjectInstance) -> dict[str, Any]:
    """One object as plain JSON values. Metres, world frame; `rotation` has the box's axes as columns (row-major 3x3)."""
    centre, rotation, size = (np.asarray(part, float).tolist() for part in found.oriented_box)
    low, high = (np.asarray(part, float).tolist() for part in found.axis_aligned_box)
    return {
        "id": int(found.id),
        "points": int(found.points),
        "centre": np.asarray(found.centre, float).tolist(),
        "oriented_box": {"centre": centre, "rotation": rotation, "size": size},
        "axis_aligned_box": {"min": low, "max": high},
        "confidence": float(found.confidence),
        "first_seen": found.first_seen,
        "last_seen": found.last_seen,
        "state": found.state,
    }


def read_instances_json(path: str | Path) -> list[ObjectInstance]:
    """The objects of an `instances.json`. Raises UserError."""
    try:
        return [object_from_entry(entry) for entry in read_json(path)]
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not a list of objects as `gcseg map` writes it ({type(error).__name__}: {error}): run gcseg map again."
        ) from None


def object_from_entry(entry: dict[str, Any]) -> ObjectInstance:
    """The inverse of `object_entry`. Raises KeyError, OverflowError, TypeError or ValueError where the entry is none."""
    oriented, aligned = entry["oriented_box"], entry["axis_aligned_box"]
    found = ObjectInstance(
        id=int(entry["id"]),
        points=int(entry["points"]),
        centre=np.array(entry["centre"], float).reshape(3),
        axis_aligned_box=(np.array(aligned["min"], float).reshape(3), np.array(aligned["max"], float).reshape(3)),
        oriented_box=(
            np.array(oriented["centre"], float).reshape(3),
            np.array(oriented["rotation"], float).reshape(3, 3),
            np.array(oriented["size"], float).reshape(3),
        ),
        confidence=float(entry["confidence"]),
        first_seen=str(entry["first_seen"]),
        last_seen=str(entry["last_seen"]),
        state=str(entry["state"]),
    )
    numbers = (found.centre, *found.axis_aligned_box, *found.oriented_box, found.confidence)
    if not (all(np.isfinite(number).all() for number in numbers) and 0 <= found.id <= np.iinfo(np.int32).max):
        raise ValueError("a number is not finite, or an id out of range")
    return found


def read_instance_map(out: str | Path) -> InstanceMap:
    """The map in the folder OUT of `gcseg map` (instances.ply, instances.json). Raises UserError."""
    out = Path(out)
    if not (out / "instances.ply").is_file():
        raise UserError(f"There is no instances.ply in {out}: expected a folder written by `gcseg map`.")
    cloud = read_cloud(out / "instances.ply")
    missing = [name for name in ("colours", "instance", "confidence") if name not in cloud]
    if missing:
        raise UserError(f"{out / 'instances.ply'} has no {' and no '.join(missing)}: run gcseg map again.")
    return InstanceMap(
        cloud["points"],
        cloud["colours"],
        cloud["instance"],
        cloud["confidence"],
        read_instances_json(out / "instances.json"),
    )


def read_labelled(file: Path, up: str = "z") -> InstanceMap:
    """A PLY with an instance per point, turned so that its axis `up` (as in `camera.upright.AXES`) is z. Raises UserError."""
    cloud = read_cloud(file)
    if "instance" not in cloud:
        raise UserError(f"{file} has no instance per point: expected a cloud written by gcseg segment.")
    labels = np.maximum(cloud["instance"], 0)
    confidence = cloud.get("confidence", np.ones(len(labels), np.float32))
    return labelled_map(turned_upright(cloud["points"], up), cloud.get("colours"), labels, confidence)
