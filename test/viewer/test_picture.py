from dataclasses import replace

import numpy as np
import pytest

from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.viewer.colours import instance_colours
from gcseg_ros.viewer.floor_plan import FloorPlan
from gcseg_ros.viewer.picture import BACKGROUND, render_picture
from gcseg_ros.viewer.splatting import Camera, depth_shading, framed, rotation_towards, splat


def grid(low, high, step=0.03):
    """Points on an axis-aligned plate or box, (N, 3)."""
    axes = [np.arange(a, b + 1e-9, step) if b > a else np.array([a]) for a, b in zip(low, high)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


@pytest.fixture(scope="module")
def room():
    """4 x 3 x 2.5 m: floor 1, walls 2 to 5 (at x = 0, x = 4, y = 0, y = 3), a table's block 6 and the ceiling 7."""
    parts = [
        grid((0, 0, 0), (4, 3, 0)),
        grid((0, 0, 0), (0, 3, 2.5)),
        grid((4, 0, 0), (4, 3, 2.5)),
        grid((0, 0, 0), (4, 0, 2.5)),
        grid((0, 3, 0), (4, 3, 2.5)),
        grid((1.5, 1, 0.03), (2.5, 2, 0.7), 0.06),
        grid((0, 0, 2.5), (4, 3, 2.5)),
    ]
    ids = np.repeat(np.arange(1, 8), [len(part) for part in parts]).astype(np.int32)
    points = np.concatenate(parts).astype(np.float32)
    colours = np.full((len(points), 3), 150, np.uint8)
    return InstanceMap(points, colours, ids, np.ones(len(points), np.float32))


def shows(picture, colour):
    """Number of pixels of this colour, lit or shaded."""
    direction = colour / np.linalg.norm(colour)
    pixels = picture.reshape(-1, 3).astype(float)
    length = np.linalg.norm(pixels, axis=1)
    return int((pixels @ direction > 0.995 * np.maximum(length, 1)).sum())


def test_opened_shows_the_table_and_keeps_far_walls(room):
    kept = FloorPlan(room.points).opened(azimuth=np.radians(-60))  # from -y and a little from +x
    share = {i: kept[room.instance == i].mean() for i in range(1, 8)}
    assert share[1] == 1
    assert share[6] == 1
    assert share[7] == 0, "the ceiling goes"
    assert share[3] < 0.25, "near walls go down to a stub"
    assert share[4] < 0.25
    assert share[2] > 0.7, "far walls stay"
    assert share[5] > 0.7


def test_the_picture_has_both_panels_and_the_colours_of_what_is_seen(room):
    picture = render_picture(room, (600, 300))
    assert picture.shape == (300, 600, 3)
    assert picture.dtype == np.uint8
    left, right = picture[:, :300], picture[:, 300:]
    empty = (picture == BACKGROUND.astype(np.uint8)).all(-1)
    assert 0.1 < 1 - empty.mean() < 0.9
    assert empty[0].all(), "there is a margin"
    assert empty[-1].all()
    assert (empty[:, :300] == empty[:, 300:]).mean() > 0.99
    assert shows(left, np.array([150, 150, 150])) > 10_000
    colours = instance_colours(np.arange(8)).astype(float)
    for seen in (1, 6):
        assert shows(right, colours[seen]) > 1000
    assert shows(right, colours[7]) < 50
    assert (render_picture(room, (600, 300)) == picture).all()


@pytest.mark.parametrize("count", [0, 1, 9, 10])
def test_a_map_of_almost_nothing_still_gives_a_picture(count):
    points = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    some = InstanceMap(points, np.zeros((count, 3), np.uint8), np.ones(count, np.int32), np.ones(count, np.float32))
    assert render_picture(some, (200, 100)).shape == (100, 200, 3)


def test_flat_clouds_one_place_and_a_stray_point():
    stray = np.append(grid((0, 0, 1), (2, 2, 1)), [[0, 1e6, 0]], axis=0)
    for points in (np.zeros((50, 3)), grid((0, 0, 1), (2, 2, 1)), grid((0, 1, 0), (2, 1, 2)), stray):
        n = len(points)
        flat = InstanceMap(
            points.astype(np.float32), np.zeros((n, 3), np.uint8), np.ones(n, np.int32), np.ones(n, np.float32)
        )
        assert render_picture(flat, (200, 100)).shape == (100, 200, 3)


def test_framed_has_everything_inside_and_fills_the_image():
    points = np.random.default_rng(1).uniform([-3, -1, 0], [5, 4, 2], (3000, 3))
    for azimuth in (0.3, 2.0, 4.5):
        camera = framed(points, rotation_towards(azimuth, 0.8), (400, 200))
        u, v, z = camera.project(points).T
        assert z.min() > 0
        assert (u > 0).all()
        assert (u < 400).all()
        assert (v > 0).all()
        assert (v < 200).all()
        assert max(np.ptp(u) / 400, np.ptp(v) / 200) > 0.85


def test_splat_nearest_wins_and_depth_is_metric():
    camera = Camera(rotation_towards(0, np.pi / 2), np.array([0.0, 0, 4]), 100.0, (50.0, 50.0))
    points = np.array([[0.0, 0, 0], [0, 0, 1]])
    image, depth = splat(points, np.array([[1], [2]], np.float32), camera, (101, 101), 0.05)
    assert image[50, 50, 0] == pytest.approx(2)
    assert depth[50, 50] == pytest.approx(3, abs=1e-5)
    assert np.isinf(depth[0, 0])


def test_shading_darkens_what_lies_behind_an_edge():
    depth = np.full((60, 300), 5, np.float32)
    depth[:, 150:] = 4
    shade = depth_shading(depth, 0.1)
    assert shade[30, 5] == pytest.approx(1, abs=0.01)
    assert shade[30, 148] < 0.6
    assert shade[30, 155:].min() > 0.95
    assert depth_shading(np.full((20, 20), np.inf, np.float32), 0.1).shape == (20, 20)


def test_points_that_repeat_others_change_nothing(room):
    """Organised clouds have all pixels without depth at one place."""
    once = render_picture(room, (600, 300))
    repeated = np.concatenate([np.arange(len(room.points)), np.zeros(30_000, np.int64), np.arange(len(room.points))])
    np.testing.assert_array_equal(render_picture(rows_of(room, repeated), (600, 300)), once)
    np.testing.assert_array_equal(
        render_picture(rows_of(room, np.zeros(30_000, np.int64)), (600, 300)),
        np.broadcast_to(BACKGROUND.astype(np.uint8), (300, 600, 3)),
    )


def rows_of(instances, rows):
    cloud = {name: getattr(instances, name)[rows] for name in ("points", "colours", "instance", "confidence")}
    return replace(instances, **cloud)


def test_of_large_clouds_some_points_are_drawn(room, monkeypatch):
    """The picture of five million points took ten times as long as the network that found what it shows."""
    once = rows_of(room, np.unique(room.points, axis=0, return_index=True)[1])
    some = rows_of(once, np.linspace(0, len(once.points) - 1, 9000).astype(np.int64))
    drawn = render_picture(some, (600, 300))
    assert (render_picture(once, (600, 300)) != drawn).any()
    monkeypatch.setattr("gcseg_ros.viewer.picture.MOST_POINTS", 9000)
    np.testing.assert_array_equal(render_picture(once, (600, 300)), drawn)
