"""The ray caster against geometry worked out by other means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.recordings.synthetic.items import Item, turn
from gcseg_ros.recordings.synthetic.materials import Material
from gcseg_ros.recordings.synthetic.primitives import (
    BOX,
    FRUSTUM,
    MISS,
    ROUNDED,
    SPHERE,
    STACK,
    TORUS,
    WAVE,
    build_solids,
    cast,
    local_normal,
    wave_height,
)

GREY = Material()


def solids_of(item, pose=None):
    matrices = np.stack(item.matrices) if pose is None else pose @ np.stack(item.matrices)
    count = len(item.kinds)
    return build_solids(
        item.kinds, matrices, np.asarray(item.parameters, float), [0] * count, [1] * count, range(count)
    )


def shoot(solids, origin, direction, tmax=MISS, any_hit=False):
    return cast(solids.geometry, np.empty((STACK, 2)), *map(float, origin), *map(float, direction), 1e-6, tmax, any_hit)


def test_box_face_distance():
    item = Item("box")
    item.box((3, 0, 0), (2, 4, 6), GREY)
    assert shoot(solids_of(item), (0, 0, 0), (1, 0, 0))[0] == pytest.approx(2, abs=1e-9)
    # the ray's parameter counts in lengths of its direction
    assert shoot(solids_of(item), (0, 0, 0), (0.5, 0.1, 0))[0] == pytest.approx(4, abs=1e-9)
    assert shoot(solids_of(item), (0, 0, 0), (-1, 0, 0)) == (MISS, -1)


def test_box_from_inside_meets_the_far_face():
    item = Item("box")
    item.box((0, 0, 0), (2, 2, 2), GREY)
    assert shoot(solids_of(item), (0, 0, 0), (0, 0, 1))[0] == pytest.approx(1, abs=1e-9)


def test_sphere_ring_rod_and_rounded_box_on_their_axes():
    item = Item("ball")
    item.ball((5, 0, 0), (1, 2, 3), GREY)
    assert shoot(solids_of(item), (0, 0, 0), (1, 0, 0))[0] == pytest.approx(4)
    ring = Item("ring")
    ring.ring((5, 0, 0), 1.0, 0.25, GREY)
    assert shoot(solids_of(ring), (0, 0, 0), (1, 0, 0))[0] == pytest.approx(3.75, abs=1e-4)
    assert shoot(solids_of(ring), (5, 0, 2), (0, 0, -1))[1] == -1, "through the hole"
    rod = Item("rod")
    rod.rod((5, 0, -1), (5, 0, 1), 0.3, GREY, end_radius=0.1)
    assert shoot(solids_of(rod), (0, 0, 0), (1, 0, 0))[0] == pytest.approx(4.8)
    assert shoot(solids_of(rod), (5, 0, 9), (0, 0, -1))[0] == pytest.approx(8), "its cap"
    soft = Item("soft")
    soft.soft((5, 0, 0), (2, 2, 2), GREY, radius=0.5)
    assert shoot(solids_of(soft), (0, 0, 0), (1, 0, 0))[0] == pytest.approx(4, abs=1e-5)
    # along the diagonal of the corner: the rounding takes r (sqrt 3 - 1) off
    away = shoot(solids_of(soft), (0, -5, -5), np.ones(3) / np.sqrt(3))[0]
    assert away == pytest.approx(5 * np.sqrt(3) - (np.sqrt(3) - 0.5 * (np.sqrt(3) - 1)), abs=1e-5)


def test_open_tube_shows_its_inside_and_lets_rays_through():
    item = Item("tube")
    item.rod((0, 0, 0), (0, 0, 2), 0.5, GREY, caps=0)
    assert shoot(solids_of(item), (0, 0, 5), (0, 0, -1))[1] == -1
    assert shoot(solids_of(item), (0, 0, 1), (1, 0, 0))[0] == pytest.approx(0.5)


def test_cut_sphere_is_a_bowl():
    item = Item("bowl")
    item.ball((0, 0, 0), (1, 1, 1), GREY, cut=(-1, 0))
    assert shoot(solids_of(item), (0, 0, 5), (0, 0, -1))[0] == pytest.approx(6)


unit = st.floats(-1, 1, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([BOX, ROUNDED, FRUSTUM, SPHERE, TORUS, WAVE]),
    angles=st.tuples(unit, unit, unit),
    scale=st.tuples(*[st.floats(0.2, 2)] * 3),
    aim=st.tuples(unit, unit, unit),
)
def test_hits_lie_on_the_surface(kind, angles, scale, aim):
    """Whatever the affine map, the hit point fulfils the unit shape's implicit equation, and the normal looks out."""
    parameters = {
        BOX: (0, 0, 0, 0),
        ROUNDED: (1, 0.8, 0.6, 0.3),
        FRUSTUM: (1.0, 0.4, 3, 0),
        SPHERE: (-1, 1, 0, 0),
        TORUS: (0.3, 0, 0, 0),
        WAVE: (9.0, 0.4, 1.0, 0.3),
    }[kind]
    matrix = np.eye(4)
    matrix[:3, :3] = turn(*(3 * np.array(angles))) @ np.diag(scale)
    matrix[:3, 3] = 0.3, -0.2, 0.1
    solids = build_solids([kind], matrix[None], np.array([parameters], float), [0], [1], [1])
    origin = np.array([4.0, 3.0, 2.0])
    target = matrix[:3, 3] + 0.4 * np.asarray(aim)
    t, index = shoot(solids, origin, target - origin)
    if index < 0:
        return
    hit = np.linalg.inv(matrix) @ np.append(origin + t * (target - origin), 1)
    x, y, z = hit[:3]
    p = np.array([parameters], float)
    error = {
        BOX: lambda: np.abs([x, y, z]).max() - 1,
        ROUNDED: lambda: np.linalg.norm(np.maximum(np.abs([x, y, z]) - np.array(parameters[:3]) + 0.3, 0)) - 0.3,
        FRUSTUM: lambda: min(abs(np.hypot(x, y) - (0.7 - 0.3 * z)), abs(abs(z) - 1)),
        SPHERE: lambda: np.linalg.norm([x, y, z]) - 1,
        TORUS: lambda: np.hypot(np.hypot(x, y) - 1, z) - 0.3,
        WAVE: lambda: y - wave_height(x, z, p, 0),
    }[kind]()
    assert abs(error) < 1e-3
    if kind in (BOX, ROUNDED, SPHERE):
        assert np.dot(local_normal(kind, p, 0, x, y, z), [x, y, z]) > 0


def test_hierarchy_finds_what_brute_force_finds():
    rng = np.random.default_rng(3)
    item = Item("heap")
    for _ in range(200):
        kind = rng.integers(3)
        centre, size = rng.uniform(-2, 2, 3), rng.uniform(0.05, 0.4, 3)
        if kind == 0:
            item.box(centre, size, GREY, turned=turn(*rng.uniform(-3, 3, 3)))
        elif kind == 1:
            item.ball(centre, size, GREY)
        else:
            item.rod(centre, centre + size, 0.05, GREY)
    together = solids_of(item)
    single = []
    for i in range(len(item.kinds)):
        alone = Item("one", kinds=[item.kinds[i]], matrices=[item.matrices[i]], parameters=[item.parameters[i]])
        single.append(solids_of(alone))
    for _ in range(60):
        origin, direction = rng.uniform(-4, 4, 3), rng.normal(size=3)
        nearest = min(shoot(one, origin, direction)[0] for one in single)
        assert shoot(together, origin, direction)[0] == pytest.approx(nearest, rel=1e-9)
        assert (shoot(together, origin, direction, any_hit=True)[1] >= 0) == (nearest < MISS)
