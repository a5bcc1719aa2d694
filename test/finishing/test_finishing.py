"""From tracked labels to instances, on a floor with a box made by hand."""

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from gcseg_ros.config import FinishingConfig
from gcseg_ros.finishing.finishing import finish
from gcseg_ros.finishing.structure import structural_planes
from gcseg_ros.finishing.votes import (
    PATCH_PRIOR,
    PATCH_TOUCH_M,
    SMALL_PATCH,
    _absorb_small_patches,
    _coplanar_patches,
)
from gcseg_ros.instances.instances import describe_objects, upright_box
from gcseg_ros.mapping.voxel_map import SLOTS, Surface
from gcseg_ros.tracking.borders import Borders
from gcseg_ros.tracking.evidence import Evidence
from gcseg_ros.tracking.objects import Objects

STEP = 0.03


def patch(origin, along, across, normal, step=STEP) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of a rectangle: points (n, 3) and normals (n, 3)."""
    a, b = np.asarray(along, float), np.asarray(across, float)
    i, j = np.meshgrid(np.arange(np.linalg.norm(a) / step), np.arange(np.linalg.norm(b) / step), indexing="ij")
    unit_a, unit_b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    points = origin + step * (i.reshape(-1, 1) * unit_a + j.reshape(-1, 1) * unit_b)
    return points, np.tile(np.asarray(normal, float), (len(points), 1))


def surface(parts: list[tuple[np.ndarray, np.ndarray, int]], voxel_m: float = STEP) -> Surface:
    """Parts (points, normals, label) as the voxels of a map, seen well and in one colour."""
    points = np.concatenate([p for p, _, _ in parts])
    sums = np.zeros((len(points), 10), np.float32)
    weight = 5.0
    sums[:, 0] = weight
    sums[:, 1:4] = weight * points
    sums[:, 4:7] = weight * np.concatenate([n for _, n, _ in parts])
    sums[:, 7] = weight * 60
    labels = np.zeros((len(points), SLOTS), np.int32)
    labels[:, 0] = np.concatenate([np.full(len(p), label) for p, _, label in parts])
    votes = np.zeros((len(points), SLOTS), np.float32)
    votes[:, 0] = 5.0
    return Surface(sums, labels, votes, voxel_m)


FLOOR = patch([0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 1])
TOP = patch([1, 1, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 1])
FRONT = patch([1, 1, 0.05], [0.5, 0, 0], [0, 0, 0.45], [0, -1, 0])


def room(top: int = 2, front: int = 3) -> Surface:
    return surface([(*FLOOR, 1), (*TOP, top), (*FRONT, front)])


def test_evidence_joins_the_sides_of_a_box():
    evidence = Evidence()
    evidence.put((2, 3), 0.9, 30)
    instance, confidence, of_tracked = finish(room(), evidence, Borders(), FinishingConfig())
    assert len(np.unique(instance)) == 2
    assert of_tracked[2] == of_tracked[3] != of_tracked[1]
    assert ((confidence > 0) & (confidence <= 1)).all()


@pytest.mark.parametrize("structure", ["planes", "none"])
def test_without_evidence_they_stay_apart(structure):
    instance, _, _ = finish(room(), Evidence(), Borders(), FinishingConfig(structure=structure))
    assert len(np.unique(instance)) == 3


def test_a_carpet_of_another_colour_is_not_the_floor():
    """Both are flat, and half of the masks take them for one."""
    carpet = patch([1.5, 1.5, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1])
    evidence = Evidence()
    evidence.put((1, 2), 0.6, 100)
    for lightness, groups in ((60, 1), (60 + 80, 2)):
        whole = surface([(*FLOOR, 1), (*carpet, 2)])
        whole.lab[len(FLOOR[0]) :, 0] = lightness
        instance, _, _ = finish(whole, evidence, Borders(), FinishingConfig(structure="none"))
        assert len(np.unique(instance)) == groups


def test_the_floor_is_never_joined_with_a_thing_when_structure_is_looked_for():
    evidence = Evidence()
    evidence.put((1, 3), 1.0, 100)
    instance, _, of_tracked = finish(room(), evidence, Borders(), FinishingConfig(structure="planes"))
    assert of_tracked[1] != of_tracked[3]
    joined, _, of_tracked = finish(room(), evidence, Borders(), FinishingConfig(structure="none"))
    assert of_tracked[1] == of_tracked[3]
    assert len(np.unique(joined)) < len(np.unique(instance))


def test_what_stands_off_the_floor_leaves_the_floors_label():
    """The box's front carries the floor's label by mistake."""
    instance, _, of_tracked = finish(room(front=1), Evidence(), Borders(), FinishingConfig(structure="planes"))
    front = instance[-len(FRONT[0]) :]
    assert (front[FRONT[0][:, 2] > 0.1] != of_tracked[1]).all()


@pytest.mark.parametrize(
    "config",
    [FinishingConfig(structure="planes"), FinishingConfig(joining="learned", join_probability=1.0)],
    ids=["off a plane", "around a corner"],
)
def test_what_is_split_off_the_last_label_has_an_id_that_label_images_can_hold(config):
    """The box's front carries the floor's label by mistake; more than that there are none."""
    last = 65535
    elsewhere = TOP[0] + 1, TOP[1]
    some, _, _ = finish(surface([(*FLOOR, 4), (*elsewhere, 2), (*FRONT, 4)]), Evidence(), Borders(), config)
    instance, confidence, of_tracked = finish(
        surface([(*FLOOR, last), (*elsewhere, 2), (*FRONT, last)]), Evidence(), Borders(), config
    )
    assert np.unique(some).tolist() == [2, 4, 5]
    assert np.unique(instance).tolist() == [1, 2, last]
    name = np.array([0, 0, 2, 0, last, 1])
    np.testing.assert_array_equal(instance, name[some])
    assert (confidence > 0).all()
    assert of_tracked[[2, last]].tolist() == [2, last]


def two_floors_and_a_box(step: float) -> Surface:
    """The floor is two patches that touch, and the box's front carries the label of one of them by mistake."""
    half, other = (patch([0, y, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1], step) for y in (0, 1))
    top = patch([1, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 1], step)
    front = patch([1, 0.5, 0.06], [0.5, 0, 0], [0, 0, 0.44], [0, -1, 0], step)
    return surface([(*half, 1), (*other, 2), (*top, 3), (*front, 1)], step)


@pytest.mark.parametrize("step", [0.03, 0.006])
def test_fine_voxels_are_joined_by_votes_as_coarse_ones_are_and_in_little_memory(step):
    """Pairs of voxels within a reach grow with the fourth power of how fine they are."""
    fine, config = two_floors_and_a_box(step), FinishingConfig(joining="votes", structure="planes")
    tracemalloc.start()
    instance, _, _ = finish(fine, Evidence(), Borders(), config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    floor, box = fine.points[:, 2] < 0.04, fine.points[:, 2] > 0.1
    assert len(np.unique(instance[floor])) == 1, "the two halves"
    assert len(np.unique(instance[box])) == 1, "its front left the floor, for the top"
    assert instance[floor][0] != instance[box][0]
    assert peak < 300e6, "200 MB of it for planes, however many voxels there are"


def test_coplanar_patches_that_touch_have_votes_by_each_voxel_of_the_smaller_that_is_near():
    """Voxels of 3 cm, by a loop over all pairs."""
    rng = np.random.default_rng(0)
    floor = patch([0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1])
    seeds = rng.random((6, 2))
    label = 1 + np.linalg.norm(floor[0][:, None, :2] - seeds, axis=2).argmin(1)
    flat = surface([(floor[0][label == i], floor[1][label == i], i) for i in range(1, 7)])
    label, is_patch, home = flat.label, np.arange(7) > 0, np.zeros(7, np.int64)
    expected, size = {}, np.bincount(label)
    near = np.linalg.norm(flat.points[:, None] - flat.points, axis=2) <= PATCH_TOUCH_M
    for a, b in combinations(range(1, 7), 2):
        small, big = (a, b) if size[a] <= size[b] else (b, a)
        k, s = near[label == small][:, label == big].any(1).sum(), size[small]
        if k >= 4:
            expected[a, b] = min(1, 2 * max(k / (3 * s**0.5), k / s)), PATCH_PRIOR * s**0.5
    votes = {pair: said for pair, *said in _coplanar_patches(flat, label, is_patch, home)}
    assert len(votes) > 4
    assert votes == {pair: pytest.approx(said) for pair, said in expected.items()}


def test_specks_are_no_instances():
    speck = (FLOOR[0][:12] + np.array([0, 0, 1]), FLOOR[1][:12])
    instance, confidence, of_tracked = finish(
        surface([(*FLOOR, 1), (*speck, 2)]), Evidence(), Borders(), FinishingConfig()
    )
    assert not instance[-12:].any()
    assert not confidence[-12:].any()
    assert of_tracked[2] == 0


def test_an_empty_map_and_an_unlabelled_one():
    for labels in (np.zeros((0, 3)), FLOOR[0]):
        parts = [(labels, np.tile([0.0, 0, 1], (len(labels), 1)), 0)]
        instance, confidence, of_tracked = finish(surface(parts), Evidence(), Borders(), FinishingConfig())
        assert not instance.any()
        assert not confidence.any()
        assert of_tracked.tolist() == [0]


def test_small_patches_get_what_most_of_their_voxels_lie_beside_patch_by_patch():
    rng = np.random.default_rng(4)
    points = rng.uniform(0, (3, 3, 0.1), (4000, 3)).astype(np.float32)
    large = 1 + (points[:, 0] > 1.5) + 2 * (points[:, 1] > 1.5)  # four of them
    cell = (points[:, :2] / 0.3).astype(int) @ (1, 10)
    instance = np.where(rng.permutation(100)[cell] < 30, 5 + cell, large)  # small patches, which are holes in them
    instance[points[:, 0] < 0.6] = np.where(cell < 50, 5 + cell, 0)[points[:, 0] < 0.6]  # some lie beside nothing
    patch = np.arange(110) > 0
    patch[5 + cell[0]] = False
    size = np.bincount(instance, minlength=110)
    beside = np.isin(instance, np.flatnonzero(size >= SMALL_PATCH)) & (instance > 0)
    expected = instance.copy()
    for i in np.flatnonzero(patch & (size > 0) & (size < SMALL_PATCH)):
        distance, nearest = cKDTree(points[beside]).query(points[instance == i])
        near = distance < 0.08
        found = np.bincount(instance[beside][nearest[near]]).argmax() if near.mean() > 0.3 else 0
        expected[instance == i] = found
    found = _absorb_small_patches(points, instance, patch)
    np.testing.assert_array_equal(found, expected)
    assert {0, 1, 2, 3, 4} <= set(found[instance != found].tolist()), "each of them grows, and some patches go"


def test_planes_of_a_corner():
    wall = patch([0, 0, 0], [3, 0, 0], [0, 0, 2.5], [0, 1, 0])
    points, normals = (np.concatenate([a, b]) for a, b in zip(FLOOR, wall))
    noise = np.random.default_rng(0).normal(size=points.shape) * 0.005
    planes = structural_planes(points + noise, normals)
    found = sorted((plane.normal.round(1) + 0.0).tolist() for plane in planes)
    assert found == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    assert all(abs(plane.offset) < 0.01 for plane in planes)


def test_a_table_top_is_not_structure():
    """0.9 m2 with the floor behind it."""
    table = patch([1, 1, 0.7], [1.0, 0, 0], [0, 0.9, 0], [0, 0, 1])
    points, normals = (np.concatenate([a, b]) for a, b in zip(FLOOR, table))
    assert len(structural_planes(points, normals)) == 1


def test_boxes_are_upright_and_tight():
    rng = np.random.default_rng(1)
    angle = 0.4
    R = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-0.3, 0.3) for z in (0, 0.8)])
    inside = rng.uniform([-1, -0.3, 0], [1, 0.3, 0.8], (200, 3))
    centre, rotation, size = upright_box(np.concatenate([corners, inside]) @ R.T + [5, 6, 7])
    np.testing.assert_allclose(centre, [5, 6, 7.4], atol=1e-5)
    np.testing.assert_allclose(np.sort(size), [0.6, 0.8, 2.0], atol=1e-5)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
    local = (inside @ R.T + [5, 6, 7] - centre) @ rotation
    assert (np.abs(local) <= size / 2 + 1e-5).all()


def test_boxes_stand_along_what_points_up():
    rng = np.random.default_rng(2)
    points = rng.uniform(-1, 1, (300, 3)) * [1, 0.3, 0.8]
    turn = Rotation.random(random_state=3).as_matrix()
    centre, rotation, size = upright_box(points @ turn.T + [1, 2, 3], turn[:, 2])
    level = upright_box(points)
    np.testing.assert_allclose(centre, turn @ level[0] + [1, 2, 3], atol=1e-5)
    np.testing.assert_allclose(rotation[:, 2], turn[:, 2], atol=1e-9)
    np.testing.assert_allclose(sorted(size), sorted(level[2]), atol=1e-4)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
    local = (points @ turn.T + [1, 2, 3] - centre) @ rotation
    assert (np.abs(local) <= size / 2 + 1e-5).all()
    assert np.linalg.det(rotation) > 0


def test_objects_carry_the_history_of_what_they_are_made_of():
    objects = Objects(None)
    first, second = objects.new("0003", 3), objects.new("0007", 7)
    objects.update([first, second], "0009", 9)
    objects.update([second], "0012", 12)
    points = np.random.default_rng(0).random((20, 3)).astype(np.float32)
    label = np.full(20, 1)
    described = describe_objects(points, label, np.full(20, 0.5), np.array([0, 1, 1]), label, objects)
    assert [(o.id, o.points, o.first_seen, o.last_seen, o.state) for o in described] == [
        (1, 20, "0003", "0012", "active")
    ]


def test_an_instance_that_is_most_of_no_tracked_object_still_has_a_history():
    """Object 1 went mostly to instance 1; instance 9 is the rest of it."""
    objects = Objects(None)
    objects.new("0003", 3)
    instance = np.array([1] * 15 + [9] * 5)
    points = np.random.default_rng(0).random((20, 3)).astype(np.float32)
    described = describe_objects(points, instance, np.full(20, 0.5), np.array([0, 1]), np.ones(20, np.int64), objects)
    assert [(o.id, o.first_seen) for o in described] == [(1, "0003"), (9, "0003")]
