"""Rooms: every style builds, renders, is deterministic, and its labels are consistent."""

import numpy as np
import pytest

from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics, back_project, project
from gcseg_ros.recordings.synthetic import (
    HELD_OUT_STYLES,
    STYLES,
    TRAINING_STYLES,
    build_room,
    random_view,
    render,
    training_view,
    walk,
)
from gcseg_ros.recordings.synthetic.designs import HELD_OUT, TRAINING, load, make
from gcseg_ros.recordings.synthetic.look import Look
from gcseg_ros.recordings.synthetic.path import look_from
from gcseg_ros.recordings.synthetic.primitives import MISS, STACK, build_solids, cast
from gcseg_ros.recordings.synthetic.rendering import cast_depth

SMALL = CameraIntrinsics(80, 60, 66, 66, 39.5, 29.5)


def test_styles_are_split():
    assert len(TRAINING_STYLES) >= 14
    assert len(HELD_OUT_STYLES) >= 4
    assert not set(TRAINING_STYLES) & set(HELD_OUT_STYLES)
    assert "demo" in STYLES


@pytest.mark.parametrize("style", STYLES)
def test_every_style_builds_and_renders(style):
    room = build_room(11, style)
    assert [o.id for o in room.objects] == list(range(1, len(room.objects) + 1))
    parts = [part for o in room.objects for part in o.parts.values()]
    assert sorted(parts) == list(range(1, len(parts) + 1))
    owner = {part: o.id for o in room.objects for part in o.parts.values()}
    camera, pose = random_view(room, np.random.default_rng(0))
    view = render(room, camera.scaled(80, 60), pose)
    seen = view.depth_m > 0
    assert seen.mean() > 0.5
    assert ((view.instance > 0) == seen).all()
    assert all(owner[p] == i for p, i in set(zip(view.part[seen].tolist(), view.instance[seen].tolist())))
    assert len(np.unique(view.instance)) >= 3
    assert view.colour.std() > 3
    assert (view.cosine[seen] > -1e-6).all()
    assert (view.cosine <= 1 + 1e-5).all()
    names = [o.name for o in room.objects if o.is_stuff]
    assert names.count("wall") == names.count("floor") == 1  # the walls of a room are one object


@pytest.mark.parametrize("family", ["invention", "small invention", "hung invention"])
def test_no_invention_is_impossible(family):
    """One in a thousand was, and ended hours of training."""
    for seed in range(1500):
        lower, upper = make(family, Look(np.random.default_rng(seed), STYLES["invented"])).bounds()
        assert lower[2] == pytest.approx(0, abs=1e-9)
        assert 0.01 < (upper - lower).max() < 2.6


@pytest.mark.parametrize(
    "family", [(f, h) for h in (False, True) for f in sorted((load(), HELD_OUT if h else TRAINING)[1])]
)
def test_every_design_stands_on_the_floor(family):
    name, held_out = family
    designs = (HELD_OUT if held_out else TRAINING)[name]
    style = STYLES[HELD_OUT_STYLES[0] if held_out else "living"]
    for seed in range(2 * len(designs)):
        item = make(name, Look(np.random.default_rng(seed), style))
        lower, upper = item.bounds()
        assert np.allclose(lower[:2], -upper[:2])
        assert lower[2] == pytest.approx(0, abs=1e-9)
        assert (upper[:2] < 2.6).all()
        assert upper[2] < 3.0
        assert np.isfinite(np.stack(item.matrices)).all()
        assert (np.abs(np.linalg.det(np.stack(item.matrices)[:, :3, :3])) > 1e-13).all()
        for surface in item.surfaces:
            assert surface.size[0] > 0
            # something carries it: of rays from just above, one at least meets the item at once
            x, y, z = surface.centre
            w, d = surface.size
            starts = [
                (x + i * w, y + j * d, z + 0.02) for i in np.linspace(-0.4, 0.4, 4) for j in np.linspace(-0.4, 0.4, 7)
            ]
            assert min(shoot(item, start, (0, 0, -1))[0] for start in starts) < 0.03, (item.name, surface)


def shoot(item, origin, direction):
    count = len(item.kinds)
    solids = build_solids(
        item.kinds, np.stack(item.matrices), np.asarray(item.parameters, float), [0] * count, [1] * count, [1] * count
    )
    return cast(solids.geometry, np.empty((STACK, 2)), *map(float, origin), *map(float, direction), 1e-6, MISS, False)


def test_same_seed_same_room_and_same_pixels():
    a, b, c = build_room(5, "living"), build_room(5, "living"), build_room(6, "living")
    pose = look_from([*a.corners.mean(0), 1.3], [*a.corners[0], 0.5])
    first, second = render(a, SMALL, pose), render(b, SMALL, pose)
    for name in vars(first):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert a.corners.shape != c.corners.shape or not np.allclose(a.corners, c.corners)


def test_threads_do_not_change_the_picture():
    room = build_room(2, "kitchen")
    pose = look_from([*room.corners.mean(0), 1.3], [*room.corners[1], 0.5])
    one, three = render(room, SMALL, pose), render(room, SMALL, pose, threads=3)
    assert np.array_equal(one.colour, three.colour)
    assert np.array_equal(one.depth_m, three.depth_m)


def test_floor_depth_follows_the_pinhole_model():
    """Straight over the floor: z-depth of a floor pixel is height / (direction's descent)."""
    room = build_room(4, "gym")
    camera = CameraIntrinsics(160, 120, 130, 130, 79.5, 59.5)
    _, pose = random_view(room, np.random.default_rng(1))
    view = render(room, camera, pose)
    floor = next(o.id for o in room.objects if o.name == "floor")
    mask = view.instance == floor
    assert mask.sum() > 200
    points = back_project(view.depth_m, camera, pose)[mask]
    assert np.abs(points[:, 2]).max() < 1e-5
    assert np.allclose(np.abs(view.normal[mask][:, 2]), 1, atol=1e-6)


@pytest.mark.parametrize(("style", "seed"), [("living", 3), ("office", 8), ("cafe", 1)])
def test_two_views_agree_on_instances(style, seed):
    room = build_room(seed, style)
    camera = CameraIntrinsics(160, 120, 130, 130, 79.5, 59.5)
    poses = walk(room, 40)
    a, b = render(room, camera, poses[0]), render(room, camera, poses[12])
    points = back_project(a.depth_m, camera, poses[0])[a.depth_m > 0]
    labels = a.instance[a.depth_m > 0]
    pixels, depth = project(points, camera, poses[12])
    u, v = np.round(pixels).astype(int).T
    inside = (depth > 0.1) & (u >= 0) & (v >= 0) & (u < 160) & (v < 120)
    u, v, depth, labels = u[inside], v[inside], depth[inside], labels[inside]
    visible = np.abs(b.depth_m[v, u] - depth) < 0.01
    assert visible.sum() > 500
    # half a pixel beside an edge another object may be as far away
    near = [
        np.roll(b.instance, shift, (0, 1))[v, u] == labels for shift in [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    ]
    assert np.any(near, 0)[visible].mean() > 0.995


@pytest.mark.parametrize(
    ("style", "seed"), [("demo", 0), ("bedroom", 2), ("open_plan", 1), ("hallway", 3), ("storage", 4)]
)
def test_walks_are_smooth_and_touch_nothing(style, seed):
    room = build_room(seed, style)
    poses = walk(room, 150)
    assert poses.shape == (150, 4, 4)
    assert np.allclose(poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3), atol=1e-9)
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    assert steps.max() < 0.1
    cosines = np.einsum("nij,nij->n", poses[1:, :3, :3], poses[:-1, :3, :3])
    assert np.degrees(np.arccos(np.clip((cosines - 1) / 2, -1, 1))).max() < 9
    wide = CameraIntrinsics(24, 5, 12, 12, 11.5, 2)
    for pose in poses[::6]:
        eye = pose[:3, 3]
        assert 0.5 < eye[2] < 2.2
        for yaw in np.arange(4) * np.pi / 2:
            depth, _ = cast_depth(room, wide, look_from(eye, eye + np.array([np.cos(yaw), np.sin(yaw), 0])))
            assert (depth[depth > 0] > 0.1).all()


def test_walk_revisits():
    """Objects leave the view for more than 30 frames and come back."""
    room = build_room(1, "demo")
    poses = walk(room, 240)
    seen = []
    for pose in poses[::3]:
        counts = np.bincount(cast_depth(room, SMALL, pose)[1].ravel(), minlength=len(room.objects) + 1)
        seen.append(counts > 15)
    seen = np.array(seen)
    returns = 0
    for o in room.objects:
        frames = np.flatnonzero(seen[:, o.id])
        returns += not o.is_stuff and len(frames) > 1 and np.diff(frames).max() > 10
    assert returns >= 3


def test_unknown_style_and_bad_seed_are_user_errors():
    with pytest.raises(UserError, match="living"):
        build_room(1, "livingroom")
    with pytest.raises(UserError, match="from 0"):
        build_room(-1, "living")


def test_training_views_are_deterministic_and_noisy():
    a, b = training_view(48, (160, 120)), training_view(48, (160, 120))
    assert a.colour.shape == (120, 160, 3)
    assert a.colour.dtype == np.uint8
    assert a.depth_m.dtype == np.float32
    assert a.instance.dtype == a.part.dtype == np.uint16
    assert a.stuff.dtype == np.bool_
    for name in vars(a):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    views = [training_view(24 * i, (160, 120)) for i in range(12)]
    assert len({v.colour.tobytes() for v in views}) == 12
    valid = np.mean([(v.depth_m > 0).mean() for v in views])
    assert 0.4 < valid < 1.0
    off = np.concatenate([np.abs(v.depth_m - v.exact_depth_m)[v.depth_m > 0] for v in views])
    assert 0.0005 < np.mean(off[off < 0.1]) < 0.03
    assert 0.05 < np.mean([v.stuff.mean() for v in views]) < 0.95
