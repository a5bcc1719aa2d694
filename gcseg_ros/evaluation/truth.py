"""Ground truth of one scene, and carrying a predicted cloud to its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gcseg_ros.clouds.ply import Cloud, read_cloud
from gcseg_ros.errors import UserError
from gcseg_ros.files import read_arrays
from gcseg_ros.frames import check_near

SCENE_CLOUD = "gt_cloud.npz"
MOST_COMPRESSED = 1 << 30  # bytes of arrays that are compressed: thirty million points
CARRY_M = 0.05
INSTANCES_PER_LABEL = 1000
"""ScanNet's ids are label x 1000 + number of the instance; below 1000 is unlabelled."""
NYU40_LABELS = 40
STUFF_LABELS = {"nyu40": (1, 2, 22), "scannet200": (1, 3)}
"""Wall and floor in ScanNet's two lists of labels, and NYU40's ceiling, which its benchmark does not count."""


@dataclass(frozen=True)
class Truth:
    """Points and their true instances, world frame, metres.

    instance  (N,) int64, 0 = none
    points    (N, 3) float32; None where the format has none (ScanNet's text)
    stuff     (N,) bool, walls, floors and the like; None where the file does not say
    normals   (N, 3) float32, colours (N, 3) uint8: where the file has them
    """

    name: str
    instance: npt.NDArray[np.int64]
    points: npt.NDArray[np.float32] | None = None
    stuff: npt.NDArray[np.bool_] | None = None
    normals: npt.NDArray[np.float32] | None = None
    colours: npt.NDArray[np.uint8] | None = None

    def without_stuff(self) -> Truth:
        """Stuff becomes void: nothing to find there, and predictions on it are not counted against. Raises UserError."""
        if self.stuff is None:
            raise UserError(
                f"{self.name} does not say which points are stuff (a bool array or property `stuff`): leave out --exclude-stuff, or name the labels of stuff with --stuff-labels where ids are label x 1000 + number."
            )
        return replace(self, instance=np.where(self.stuff, 0, self.instance))

    def labels(self) -> set[int]:
        """Those of ids that are label x 1000 + number."""
        return set((np.unique(self.instance) // INSTANCES_PER_LABEL).tolist()) - {0}


def check_stuff_labels(wanted: Sequence[int], labels: set[int], name: str) -> None:
    """Raises UserError where `labels`, those of `name`, have none of the wanted ones."""
    if not labels & set(wanted):
        raise UserError(
            f"{name} has nothing labelled {' or '.join(map(str, wanted))} (--stuff-labels): its labels are {', '.join(map(str, sorted(labels)))}."
        )


def load_truth(path: str | Path, stuff_labels: Sequence[int] | None = None) -> Truth:
    """From NPZ or PLY (points, instance, optional stuff), a scene's folder with gt_cloud.npz, or ScanNet's text.

    stuff_labels  of ids that are label x 1000 + number: which labels are stuff. None: what the file says; of text, wall, floor
                  and ceiling by NYU40's labels, or wall and floor by ScanNet200's where a label is above 40.
    Raises UserError.
    """
    path = Path(path)
    if not path.exists():
        room = str(path).startswith("synthetic:")
        raise UserError(
            f"There is no file or folder {path}: expected the truth as NPZ, PLY, ScanNet's text or a scene's folder."
            + (f" A generated room and its truth are written by gcseg synthesize {path} -o FOLDER." if room else "")
        )
    file = path / SCENE_CLOUD if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise UserError(
            f"{path} has no truth: expected {SCENE_CLOUD} in it (generated and rendered scenes have one); give an NPZ or PLY file."
        )
    if file.suffix.lower() == ".txt":
        ids = read_numbers(file)
        if not (ids >= INSTANCES_PER_LABEL).any():
            raise UserError(f"{file} has no instance: ScanNet's ids are label * 1000 + instance, one a line.")
        labels = ids // INSTANCES_PER_LABEL
        if stuff_labels is None:
            stuff_labels = STUFF_LABELS["scannet200" if labels.max() > NYU40_LABELS else "nyu40"]
        return Truth(str(path), np.where(labels > 0, ids, 0), stuff=np.isin(labels, stuff_labels))
    cloud = load_cloud(file)
    if "instance" not in cloud:
        raise UserError(f"{file} has no instance per point: expected `instance`, an id from 1, 0 for none.")
    instance = cloud["instance"].astype(np.int64)
    if stuff_labels is not None:
        if not (instance >= INSTANCES_PER_LABEL).any():
            raise UserError(
                f"{file} has no ids that are label x {INSTANCES_PER_LABEL} + number, so --stuff-labels says nothing of it: use --exclude-stuff where it has `stuff`."
            )
        cloud["stuff"] = np.isin(instance // INSTANCES_PER_LABEL, stuff_labels)
    return Truth(str(path), instance, cloud["points"], *(cloud.get(name) for name in ("stuff", "normals", "colours")))


def load_cloud(path: str | Path) -> Cloud:
    """The arrays of a PLY or NPZ file, named and typed as `read_cloud` gives them. Raises UserError."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".ply", ".npz"):
        raise UserError(f"{path} is neither PLY nor NPZ: expected a cloud with an instance per point.")
    cloud = read_cloud(path) if suffix == ".ply" else read_npz(path)
    if "instance" in cloud and cloud["instance"].min(initial=0) < 0:
        raise UserError(
            f"{path} has negative instance ids ({cloud['instance'].min()}): expected ids from 1, 0 for none."
        )
    return cloud


def read_npz(path: Path) -> Cloud:
    """A cloud from NPZ: `points`, and where it has them `instance`, `confidence`, `stuff`, `normals`, `colours`."""
    # name in the file -> name in the cloud, width of a row, kinds of numbers allowed, dtype in memory
    known: dict[str, tuple[str, tuple[int, ...], str, type]] = {
        "points": ("points", (3,), "fiu", np.float32),
        "normals": ("normals", (3,), "f", np.float32),
        "colours": ("colours", (3,), "u", np.uint8),
        "colors": ("colours", (3,), "u", np.uint8),
        "instance": ("instance", (), "iu", np.int64),
        "confidence": ("confidence", (), "fiu", np.float32),
        "stuff": ("stuff", (), "biu", np.bool_),
    }
    arrays = read_arrays(path, known, MOST_COMPRESSED)
    if "points" not in arrays:
        raise UserError(f"{path} has no array `points`: expected points (N, 3) and instance (N,).")
    cloud: Cloud = {}
    for name, values in arrays.items():
        target, width, kinds, dtype = known[name]
        expected = (*arrays["points"].shape[:1], *width)
        if values.shape != expected or values.dtype.kind not in kinds:
            number = "numbers" if "f" in kinds else "bool" if "b" in kinds else "integers"
            raise UserError(f"{path}: `{name}` must be {expected} {number}; found {values.shape} {values.dtype}.")
        cloud[target] = values.astype(dtype)
    if not np.isfinite(cloud["points"]).all():
        raise UserError(f"{path}: `points` must be finite; {(~np.isfinite(cloud['points'])).any(1).sum()} are not.")
    check_near(cloud["points"], f"{path}: its points are")
    return cloud


def read_numbers(path: Path) -> npt.NDArray[np.int64]:
    """One integer a line. Raises UserError."""
    try:
        lines = path.read_bytes().splitlines()
        numbers = np.loadtxt(lines, np.float64, comments=None, ndmin=2) if any(lines) else np.empty((0, 1))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise UserError(f"{path} is not one integer a line: {str(error).split(';')[0].rstrip('.')}.") from None
    if numbers.shape[1] != 1:
        raise UserError(f"{path} is not one integer a line: it has {numbers.shape[1]} columns.")
    if not ((numbers == np.rint(numbers)) & (np.abs(numbers) < 2**53)).all():
        raise UserError(f"{path} is not one integer a line: it has numbers that are none.")
    return numbers[:, 0].astype(np.int64)


def carry(
    points: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], to: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Labels (N,) of points (N, 3) at the points `to` (M, 3): the nearest point's within 5 cm, else 0.

    Gives the labels (M,) and whether there was a point near, (M,) bool.
    """
    if not len(points) or not len(to):
        return np.zeros(len(to), np.int64), np.zeros(len(to), bool)
    distance, nearest = cKDTree(points).query(to, distance_upper_bound=CARRY_M, workers=-1)
    near = np.isfinite(distance)
    return np.append(labels, 0).astype(np.int64)[nearest] * near, near
