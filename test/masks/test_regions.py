"""Watershed and agglomeration on boundary maps whose right answer is plain to see."""

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.masks.regions import EdgeCost, _flood, build_hierarchy, watershed


def hierarchy_of(boundary: np.ndarray, depth: np.ndarray | None = None):
    nothing = np.zeros_like(boundary)
    depth = np.ones_like(boundary) if depth is None else depth
    lab = np.zeros((*boundary.shape, 3), np.float32)
    ridge = (boundary * 255).astype(np.uint8)
    return build_hierarchy(ridge, depth, lab, (boundary, nothing, nothing, nothing), EdgeCost(small_px=1))


def rooms(strong: float, weak: float) -> np.ndarray:
    """Three columns: a strong wall between the first two, a weak one between the last two."""
    boundary = np.zeros((40, 60), np.float32)
    boundary[:, 20] = strong
    boundary[:, 40] = weak
    return boundary


def test_levels_go_from_fine_to_coarse():
    hierarchy = hierarchy_of(rooms(0.9, 0.4))
    count = [len(np.unique(hierarchy.cut(level))) for level in (0.2, 0.6, 0.99)]
    assert count == [3, 2, 1]
    halves = hierarchy.cut(0.6)
    assert halves[0, 0] != halves[0, 30]
    assert halves[0, 30] == halves[0, 59]


def test_a_gap_in_a_wall_is_outvoted_by_the_rest_of_it():
    boundary = rooms(0.9, 0.9)
    boundary[18:22, 20] = 0
    hierarchy = hierarchy_of(boundary)
    assert len(np.unique(hierarchy.cut(0.5))) == 3


def test_depth_and_no_depth_stay_apart():
    depth = np.ones((40, 60), np.float32)
    depth[:, 40:] = 0
    labels = hierarchy_of(rooms(0.3, 0.3), depth).cut(0.5)
    assert labels[0, 0] == labels[0, 30] != labels[0, 59]


def test_an_image_without_any_boundary_is_one_region():
    assert (hierarchy_of(np.zeros((20, 30), np.float32)).cut(0.5) == 1).all()


def test_an_image_that_is_all_boundary_is_one_region():
    regions, count = watershed(np.full((20, 30), 255, np.uint8))
    assert count == 1
    assert (regions == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_flooding_reaches_every_pixel_over_the_lowest_pass(seed):
    """The flood's label of a pixel must be one that reaches it at the minimax height (Dijkstra over heights)."""
    rng = np.random.default_rng(seed)
    ridge = rng.integers(0, 6, (8, 9)).astype(np.uint8)
    markers = np.zeros((8, 9), np.int32)
    for id, p in enumerate(rng.choice(72, 3, replace=False), start=1):
        markers.flat[p] = id
        ridge.flat[p] = 0
    labels = _flood(ridge, markers)
    pass_height = np.stack([minimax(ridge, markers == id) for id in (1, 2, 3)])
    mine = np.take_along_axis(pass_height, labels[None].astype(np.int64) - 1, 0)[0]
    np.testing.assert_array_equal(mine, pass_height.min(axis=0))


def minimax(ridge: np.ndarray, start: np.ndarray) -> np.ndarray:
    height = np.full(ridge.shape, 999)
    heap = [(0, int(v), int(u)) for v, u in np.argwhere(start)]
    for _, v, u in heap:
        height[v, u] = 0
    while heap:
        h, v, u = heapq.heappop(heap)
        for y, x in ((v - 1, u), (v + 1, u), (v, u - 1), (v, u + 1)):
            if 0 <= y < ridge.shape[0] and 0 <= x < ridge.shape[1]:
                there = max(h, int(ridge[y, x]))
                if there < height[y, x]:
                    height[y, x] = there
                    heapq.heappush(heap, (there, y, x))
    return height
