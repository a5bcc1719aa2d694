"""Pieces joined by the masks' votes: without a learned decision, for masks that none was learned of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gcseg_ros.config import FinishingConfig
from gcseg_ros.finishing.piece_graph import cells
from gcseg_ros.finishing.structure import Plane, structural_planes
from gcseg_ros.mapping.voxel_map import LEAST_VOXELS, Surface
from gcseg_ros.tracking.evidence import Evidence
from gcseg_ros.tracking.label_pairs import pairs_of

PLANE_TOLERANCE_M = 0.05  # what stands further off a plane is not part of it
ALONG_PLANE = 0.6  # least cosine between the normals of a voxel and of its plane
PATCH_SHARE = 0.5  # share of a label's voxels on planes that makes it a patch
SAME_PLANE, SAME_PLANE_M = 0.97, 0.2  # planes whose normals and offsets differ by less are one
# Voxels of patches, but off the planes: those no further apart are one part. It belongs to the thing that enough of it
# touches, or is one itself.
PART_M, PART_VOXELS = 0.05, 40
BESIDE_M, BESIDE_VOXELS, BESIDE_SHARE = 0.06, 2, 0.1
PATCH_TOUCH_M, PATCH_CONTACT = 0.07, 4  # how near voxels of touching patches are, and the least number of them
COARSE_M = 0.03  # of finer voxels, one in a cell of this edge stands for all: pairs of near ones would take all memory
PATCH_PRIOR = 10.0  # views' worth of evidence from touching, equally coloured patches of one plane
PATCH_COLOUR = 8.0  # Lab difference that ends it
SMALL_PATCH = 150  # voxels; smaller patches join their surroundings
AROUND_M, AROUND_SHARE = 0.08, 0.3  # these are patches no further away, of at least so much of it
OTHER_COLOUR = 25.0  # Lab difference at which a vote for joining is worth a third
FIT = np.array([0.072, 0.567, 0.05, -0.227, -0.56])  # expected IoU; see _confidence_by_votes
SURE_FROM = 0.35  # expected IoU
# The share of each grade that had an IoU over 0.5 on those rooms, in eighths: their float32 means are exact, so ties stay.
SURE, UNSURE = 0.625, 0.125

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# instance of each voxel; a function from the final instances of the voxels to the confidence of each instance
Joined = tuple[Ids, Callable[[Ids], Floats]]


def by_votes(surface: Surface, evidence: Evidence, config: FinishingConfig) -> Joined:
    """Pieces joined by what the masks of keyframes said of each pair; of planes of the room, patches of one plane and colour."""
    label = surface.label.copy()
    label[np.bincount(label)[label] < LEAST_VOXELS] = 0
    count = 1 + max([int(surface.label.max())] + [b for _, b in evidence.weight])
    if config.structure == "planes" or (config.structure == "auto" and not evidence.seen):
        label, count, patch, home = _split_off_planes(surface, label, count)
    else:
        patch, home = np.zeros(count, bool), np.full(count, -1)

    alike = same_colour(surface)
    things = evidence.join(config.join_things, alike, lambda a, b: not patch[a] and not patch[b])
    touching = _coplanar_patches(surface, label, patch, home)
    patches = evidence.join(config.join_patches, alike, lambda a, b: bool(patch[a] and patch[b]), touching)
    joined = np.array([0] + [(patches if patch[i] else things).of(i) for i in range(1, count)])
    nearest = np.array([(patches if patch[i] else things).nearest.get(i, 0.0) for i in range(count)])
    instance = _absorb_small_patches(surface.points, joined[label], patch)
    return instance, lambda instance: _confidence_by_votes(instance, surface, nearest)


def same_colour(surface: Surface) -> Callable[[int, int], float]:
    """How alike the mean colours of two tracked labels are, 0..1; lightness counts half, for shade and light.

    Masks see one view's contrast at a border, this the whole of both pieces: a carpet is not the floor.
    """
    mean = _mean_colour(surface.label, surface)
    mean[:, 0] *= 0.5

    def alike(a: int, b: int) -> float:
        if max(a, b) >= len(mean):
            return 1.0  # it has lost all its voxels since
        return float(np.exp(-((mean[a] - mean[b]) ** 2).sum() / OTHER_COLOUR**2))

    return alike


def _mean_colour(label: Ids, surface: Surface) -> npt.NDArray[np.float64]:
    """Lab colour of each label, (max label + 1, 3)."""
    size = np.maximum(np.bincount(label), 1)
    return np.stack([np.bincount(label, surface.lab[:, k]) for k in range(3)], axis=1) / size[:, None]


def _split_off_planes(
    surface: Surface, label: Ids, count: int
) -> tuple[Ids, int, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Labels (n,) without the parts of patches that stand off the planes of the room, and how many labels there are
    then; of each whether it is a patch, and on which plane most of it lies, -1 = on none."""
    planes = structural_planes(surface.points, surface.normals)
    plane_of, nearest = _planes_of_voxels(surface, planes)
    size = np.bincount(label, minlength=count)
    patch = (size > 0) & (np.bincount(label, plane_of >= 0, minlength=count) >= PATCH_SHARE * size)
    patch[0] = False
    label, count = _without_parts(surface, label, count, patch, nearest > PLANE_TOLERANCE_M)
    patch = np.append(patch, np.zeros(count - len(patch), bool))
    on = (plane_of >= 0) & patch[label]
    voxels = np.bincount(label[on] * len(planes) + plane_of[on], minlength=count * len(planes)).reshape(count, -1)
    home = np.where(voxels.any(axis=1), voxels.argmax(axis=1), -1) if planes else np.full(count, -1)
    return label, count, patch, home


def _planes_of_voxels(surface: Surface, planes: list[Plane]) -> tuple[Ids, Floats]:
    """The plane (n,) that each voxel lies on, the first of those that are the same, -1 = none; how far the nearest of
    all is (m)."""
    plane_of, nearest = np.full(len(surface.points), -1), np.full(len(surface.points), np.inf)
    for k, plane in enumerate(planes):
        distance = np.abs(plane.distance(surface.points))
        nearest = np.minimum(nearest, distance)
        on = (distance < PLANE_TOLERANCE_M) & (surface.normals @ plane.normal > ALONG_PLANE)
        plane_of[on] = next((i for i, other in enumerate(planes[:k]) if _same_plane(plane, other)), k)
    return plane_of, nearest


def _same_plane(a: Plane, b: Plane) -> bool:
    return bool(a.normal @ b.normal > SAME_PLANE and abs(a.offset - b.offset) < SAME_PLANE_M)


def _without_parts(
    surface: Surface, label: Ids, count: int, patch: npt.NDArray[np.bool_], stands_off: npt.NDArray[np.bool_]
) -> tuple[Ids, int]:
    """Labels (n,) where what `stands_off` the planes (n,) leaves the patches, part by part; and how many labels there
    are then."""
    points = surface.points
    off = np.flatnonzero((label > 0) & patch[label] & stands_off)
    thing = (label > 0) & ~patch[label]
    if not (len(off) and thing.any()):
        return label, count
    label = label.copy()
    some, stands_for = _thinned(points[off], np.zeros(len(off), np.int64), surface.voxel_m)
    pairs = cKDTree(points[off[some]]).query_pairs(PART_M, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(some), len(some)))
    part_of = connected_components(graph, directed=False)[1][stands_for]
    _, touch = cKDTree(points[thing]).query(points[off], distance_upper_bound=BESIDE_M)
    neighbour = np.append(label[thing], 0)[touch]
    order = np.argsort(part_of, kind="stable")
    for part in np.split(order, np.cumsum(np.bincount(part_of))[:-1]):
        around = neighbour[part][neighbour[part] > 0]
        if len(around) > max(BESIDE_VOXELS, BESIDE_SHARE * len(part)):
            label[off[part]] = np.bincount(around).argmax()
        elif len(part) >= PART_VOXELS:
            label[off[part]] = count
            count += 1
        else:
            label[off[part]] = 0
    return label, count


def _coplanar_patches(
    surface: Surface, label: Ids, patch: npt.NDArray[np.bool_], home: npt.NDArray[np.int64]
) -> Iterator[tuple[tuple[int, int], float, float]]:
    """Votes for joining patches of one plane that touch and have one colour."""
    on = np.flatnonzero((label > 0) & patch[label])
    if not len(on):
        return
    on = on[_thinned(surface.points[on], label[on], surface.voxel_m)[0]]
    size = np.bincount(label[on])
    mean = _mean_colour(label, surface)
    pairs = on[cKDTree(surface.points[on]).query_pairs(PATCH_TOUCH_M, output_type="ndarray")]
    pairs = pairs[label[pairs[:, 0]] != label[pairs[:, 1]]]
    smaller_first = size[label[pairs[:, 0]]] <= size[label[pairs[:, 1]]]
    pairs = np.where(smaller_first[:, None], pairs, pairs[:, ::-1])
    contact = np.unique(np.stack([pairs[:, 0], label[pairs[:, 1]]], axis=1), axis=0)  # voxels of the smaller
    codes, contacts = np.unique(label[contact[:, 0]] << 32 | contact[:, 1], return_counts=True)
    for (small, big), k in zip(pairs_of(codes).tolist(), contacts.tolist()):
        if k < PATCH_CONTACT or home[small] != home[big]:
            continue
        s = float(size[small])
        difference = float(np.linalg.norm((mean[small] - mean[big]) * (0.7, 1, 1)))
        same = min(1.0, 2 * max(k / (3 * s**0.5), k / s)) * float(np.exp(-((difference / PATCH_COLOUR) ** 2)))
        yield (min(small, big), max(small, big)), same, PATCH_PRIOR * s**0.5


def _thinned(points: npt.NDArray[np.float32], of: Ids, voxel_m: float) -> tuple[Ids, Ids]:
    """Of what each is `of`, one point in each cell of COARSE_M, and for each point which of them stands for it; all,
    where voxels are as large as cells."""
    if voxel_m >= COARSE_M:
        return np.arange(len(points)), np.arange(len(points))
    _, first, at = np.unique(cells(points.astype(np.float64), of, COARSE_M), return_index=True, return_inverse=True)
    return first, at


def _absorb_small_patches(points: npt.NDArray, instance: Ids, patch: npt.NDArray[np.bool_]) -> Ids:
    size = np.bincount(instance, minlength=len(patch))
    large = (instance > 0) & patch[instance] & (size[instance] >= SMALL_PATCH)
    small = np.flatnonzero((patch & (size < SMALL_PATCH))[instance])
    if not (large.any() and len(small)):
        return instance
    instance = instance.copy()
    small = small[np.argsort(instance[small], kind="stable")]
    _, nearest = cKDTree(points[large]).query(points[small], distance_upper_bound=AROUND_M)
    beside = np.append(instance[large], 0)[nearest]
    ends = np.cumsum(size[np.unique(instance[small])])
    for piece, around in zip(np.split(small, ends[:-1]), np.split(beside, ends[:-1])):
        near = around > 0
        instance[piece] = np.bincount(around[near]).argmax() if near.mean() > AROUND_SHARE else 0
    return instance


def _confidence_by_votes(instance: Ids, surface: Surface, nearest: Floats) -> Floats:
    """Per instance, SURE or UNSURE, by the IoU that it can be expected to have.

    The expectation is a least-squares fit on generated rooms, of: its size, the agreement of its votes, how well it was
    seen, and how nearly it was joined with a neighbour. Two grades, because ScanNet's protocol interpolates precision
    between distinct scores: finer ones measured lower there than equal ones, these two higher.
    """
    size = np.maximum(np.bincount(instance), 1)
    seen = np.maximum(np.bincount(instance, surface.weight) / size, 1e-6)
    agreement = np.bincount(instance, surface.share) / size
    expected = FIT @ np.stack([np.log(size), agreement, np.log(seen), nearest[: len(size)], np.ones(len(size))])
    value = np.where(expected > SURE_FROM, SURE, UNSURE)
    value[0] = 0
    return value
