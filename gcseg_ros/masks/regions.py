"""From a boundary map to a hierarchy of regions: watershed, region adjacency graph, average-linkage agglomeration."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.depth import Image
from gcseg_ros.jit import njit
from gcseg_ros.masks.masks import Labels

MARKER_LEVEL = 40  # 0..255, below this ridge height a pixel is inside some region
MARKER_WINDOW_PX = 9  # a region is seeded where the distance to the next ridge is the greatest in this window
CORRIDOR_PX = 4.0  # inside, the flood's height falls off with the distance to the ridges over this length
VALLEY_WINDOW_PX = 7  # thin things have no inside: the floor of their local valley is a marker too,
VALLEY_RISE = 8  # 0..255, up to this height above the floor
VALLEY_CEILING = 180  # 0..255, but no higher than this
MARKER_PIXELS = 6  # smaller markers are none, unless a seed is among them

# Columns of the sums over a region; its Lab colour is 1 to 3.
PIXELS, WITH_DEPTH = 0, 4
# Columns of the sums over a border: pairs of pixels, and the evidence between them.
LENGTH, BOUNDARY, CONCAVE, CONVEX, COLOUR = range(5)


@dataclass(frozen=True)
class EdgeCost:
    """How the evidence along the border of two regions becomes a cost: 0 = surely one object, 1 = surely two.

    small_px      regions of this size have half their cost: specks join something
    colour_weight the most that a difference of colour alone can cost; 0 = colour is not looked at
    colour_low, colour_high  Lab difference that begins to separate, and that separates fully
    same_colour   share of its strength that a concave edge keeps between regions of one colour
    convex_relief share of the colour's cost that a convex edge takes away
    """

    small_px: float = 25.0
    colour_weight: float = 0.0
    colour_low: float = 4.0
    colour_high: float = 20.0
    same_colour: float = 1.0
    convex_relief: float = 0.0

    def array(self) -> npt.NDArray[np.float64]:
        return np.array([self.small_px, self.colour_weight, self.colour_low, self.colour_high,
                         self.same_colour, self.convex_relief])  # fmt: skip


@dataclass(frozen=True)
class RegionHierarchy:
    """Regions and the order in which they merge. `cut(level)` gives the label image at a merging cost 0..1."""

    regions: Labels
    merges: npt.NDArray[np.int32]
    height: npt.NDArray[np.float64]

    def cut(self, level: float) -> Labels:
        """Label image (h, w) int32, ids from 1: the state when the cheapest merge first costs more than `level`."""
        roots = np.arange(int(self.regions.max()) + 1)
        stop = int(np.searchsorted(self.height, level, side="right"))
        _union(roots, self.merges[:stop])
        return (roots[self.regions] + 1).astype(np.int32)


def watershed(ridge: npt.NDArray[np.uint8]) -> tuple[Labels, int]:
    """Ridge heights (h, w) 0..255 -> regions (h, w) int32 from 0, and their number.

    Seeds are maxima of the distance to the ridges, so a gap in a ridge does not join what lies either side of it
    (Beier et al. 2017).
    """
    inside = (ridge < MARKER_LEVEL).astype(np.uint8)
    distance = cv2.GaussianBlur(cv2.distanceTransform(inside, cv2.DIST_L2, 3), (0, 0), 1.0)
    window = np.ones((MARKER_WINDOW_PX, MARKER_WINDOW_PX), np.uint8)
    seed = (inside > 0) & (distance >= cv2.dilate(distance, window) - 0.5)
    floor = cv2.erode(ridge, np.ones((VALLEY_WINDOW_PX, VALLEY_WINDOW_PX), np.uint8)).astype(np.int16)
    valley = (inside == 0) & (ridge <= floor + VALLEY_RISE) & (ridge < VALLEY_CEILING)
    _, parts, stats, _ = cv2.connectedComponentsWithStats((seed | valley).astype(np.uint8), connectivity=4)
    keep = stats[:, cv2.CC_STAT_AREA] >= MARKER_PIXELS
    keep[parts[seed]] = True
    keep[0] = False
    if not keep.any():
        return np.zeros(ridge.shape, np.int32), 1
    markers = np.where(keep, np.cumsum(keep), 0).astype(np.int32)[parts]
    height = np.maximum(ridge, (MARKER_LEVEL * np.exp(-distance / CORRIDOR_PX)).astype(np.uint8))
    return _flood(height, markers) - 1, int(keep.sum())


@dataclass(frozen=True)
class Affinities:
    """Probabilities that two pixels are one object, for a few displacements.

    values   (K, ceil(h / step), ceil(w / step)) float32: of the pixels step * (i, j) and step * ((i, j) + offsets[k])
    offsets  (K, 2) int64 (down, right)
    weight   (K,) float64: how much one pair of pixels counts against one pixel of border
    """

    values: Image
    offsets: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]
    step: int


NO_AFFINITIES = Affinities(np.zeros((0, 1, 1), np.float32), np.zeros((0, 2), np.int64), np.zeros(0), 1)


def build_hierarchy(
    ridge: npt.NDArray[np.uint8],
    depth_m: Image,
    lab: Image,
    evidence: tuple[Image, Image, Image, Image],
    cost: EdgeCost,
    affinities: Affinities = NO_AFFINITIES,
) -> RegionHierarchy:
    """Watershed of `ridge`, then agglomeration.

    evidence    per pixel: boundary 0..1, concavity 0..1, convexity 0..1, step of colour (Lab units)
    affinities  evidence between pixels further apart; joins regions that do not touch, too
    """
    regions, count = watershed(ridge)
    sums, first, second, shared = _adjacency(
        regions, count, depth_m, lab, *evidence,
        affinities.values, affinities.offsets, affinities.weight, affinities.step,
    )  # fmt: skip
    merges, height = _agglomerate(count, first, second, shared, sums, cost.array())
    return RegionHierarchy(regions, merges, height)


@njit
def _flood(ridge, markers):
    """Watershed by flooding (Meyer 1994): markers grow in the order of ridge height, a first-in first-out queue a height.

    scipy's watershed_ift and OpenCV's watershed flood by differences between neighbours, not by height.
    """
    h, w = ridge.shape
    stride = w + 2  # a border of -1 saves the tests
    labels = np.full((h + 2, stride), -1, np.int32)
    labels[1:-1, 1:-1] = markers
    flat = labels.reshape(-1)
    height = np.zeros((h + 2, stride), np.uint8)
    height[1:-1, 1:-1] = ridge
    height = height.reshape(-1)
    following = np.full(len(flat), -1, np.int32)
    head, tail = np.full(256, -1, np.int32), np.full(256, -1, np.int32)
    neighbours = (-1, 1, -stride, stride)
    for p in range(len(flat)):
        if flat[p] > 0 and (flat[p - 1] == 0 or flat[p + 1] == 0 or flat[p - stride] == 0 or flat[p + stride] == 0):
            _push(p, height[p], head, tail, following)
    level = 0
    while level < 256:
        p = head[level]
        if p < 0:
            level += 1
            continue
        head[level] = following[p]
        following[p] = -1
        if head[level] < 0:
            tail[level] = -1
        for step in neighbours:
            q = p + step
            if flat[q] == 0:
                flat[q] = flat[p]
                _push(q, max(height[q], level), head, tail, following)
    return labels[1:-1, 1:-1].copy()


@njit
def _push(p, level, head, tail, following):
    if tail[level] >= 0:
        following[tail[level]] = p
    else:
        head[level] = p
    tail[level] = p


@njit
def _adjacency(regions, count, depth, lab, boundary, concave, convex, colour, affinity, offsets, weight, step):
    """Sums over regions (count, 5), the two regions of each border (m,), and sums over borders (m, 5)."""
    h, w = regions.shape
    sums = np.zeros((count, 5))
    index = np.full((count, count), -1, np.int32)
    most = h * w // 2 + 1
    first, second = np.zeros(most, np.int32), np.zeros(most, np.int32)
    shared = np.zeros((most, 5))
    edges = 0
    for v in range(h):
        for u in range(w):
            a = regions[v, u]
            sums[a, PIXELS] += 1
            for t in range(3):
                sums[a, 1 + t] += lab[v, u, t]
            sums[a, WITH_DEPTH] += depth[v, u] > 0
            for k in range(2):
                y, x = v + k, u + 1 - k
                if y >= h or x >= w:
                    continue
                b = regions[y, x]
                if a == b:
                    continue
                e, edges = _border(index, first, second, edges, a, b)
                shared[e, LENGTH] += 1
                shared[e, BOUNDARY] += max(boundary[v, u], boundary[y, x])
                shared[e, CONCAVE] += max(concave[v, u], concave[y, x])
                shared[e, CONVEX] += max(convex[v, u], convex[y, x])
                shared[e, COLOUR] += max(colour[v, u], colour[y, x])
    for k in range(len(affinity)):
        for i in range(affinity.shape[1]):
            y = step * (i + offsets[k, 0])
            if y < 0 or y >= h:
                continue
            for j in range(affinity.shape[2]):
                x = step * (j + offsets[k, 1])
                if x < 0 or x >= w:
                    continue
                a, b = regions[step * i, step * j], regions[y, x]
                if a == b:
                    continue
                if edges == most and index[a, b] < 0:
                    continue
                e, edges = _border(index, first, second, edges, a, b)
                shared[e, LENGTH] += weight[k]
                shared[e, BOUNDARY] += weight[k] * (1 - affinity[k, i, j])
    return sums, first[:edges].copy(), second[:edges].copy(), shared[:edges].copy()


@njit
def _border(index, first, second, edges, a, b):
    """The edge between two regions, a new one if they have none, and how many edges there are now."""
    e = index[a, b]
    if e >= 0:
        return e, edges
    index[a, b] = index[b, a] = edges
    first[edges], second[edges] = a, b
    return edges, edges + 1


@njit
def _edge_cost(shared, a, b, cost):
    """Cost 0..1 of joining two regions with sums `a` and `b`; see EdgeCost."""
    small, weight, low, high, same_colour, relief = cost
    length = shared[LENGTH]
    value = shared[BOUNDARY] / length
    if weight > 0:
        distance = 0.0
        for t in range(1, 4):
            difference = a[t] / a[PIXELS] - b[t] / b[PIXELS]
            if t == 1:
                difference *= 0.7  # shading changes lightness first
            distance += difference * difference
        distance = min(np.sqrt(distance), 1.5 * shared[COLOUR] / length)
        colour = min(max((distance - low) / (high - low), 0.0), 1.0)
        value = max(value, shared[CONCAVE] / length * (same_colour + (1 - same_colour) * colour))
        value = max(value, weight * colour * (1 - relief * shared[CONVEX] / length))
    if abs(a[WITH_DEPTH] / a[PIXELS] - b[WITH_DEPTH] / b[PIXELS]) > 0.5:
        value = max(value, 0.9)  # one has depth, the other has none
    size = min(a[PIXELS], b[PIXELS])
    return value * size / (size + small)


@njit
def _agglomerate(count, first, second, shared, sums, cost):
    """Merge the cheapest pair until none is left. Sums are added, so a border's evidence is averaged over its whole length."""
    edges = len(first)
    first, second, shared, sums = first.copy(), second.copy(), shared.copy(), sums.copy()
    index = np.full((count, count), -1, np.int32)
    price = np.empty(edges)
    for e in range(edges):
        a, b = first[e], second[e]
        index[a, b] = index[b, a] = e
        price[e] = _edge_cost(shared[e], sums[a], sums[b], cost)
    merges = np.zeros((count, 2), np.int32)
    height = np.zeros(count)
    done, highest = 0, 0.0
    while edges > 0:
        k = np.argmin(price)
        if price[k] > 1:
            break
        highest = max(highest, price[k])
        a, b = first[k], second[k]
        if sums[a, PIXELS] < sums[b, PIXELS]:
            a, b = b, a
        merges[done, 0], merges[done, 1] = a, b
        height[done] = highest
        done += 1
        sums[a] += sums[b]
        price[k] = 2.0
        index[a, b] = index[b, a] = -1
        for c in range(count):
            e = index[b, c]
            if e < 0:
                continue
            index[b, c] = index[c, b] = -1
            other = index[a, c]
            if other >= 0:
                shared[other] += shared[e]
                price[e] = 2.0
            else:
                index[a, c] = index[c, a] = e
                first[e], second[e] = a, c
        for c in range(count):
            e = index[a, c]
            if e >= 0:
                price[e] = _edge_cost(shared[e], sums[a], sums[c], cost)
    return merges[:done].copy(), height[:done].copy()


@njit
def _union(roots, merges):
    for i in range(len(merges)):
        roots[merges[i, 1]] = merges[i, 0]
    for i in range(len(roots)):
        r = i
        while roots[r] != r:
            r = roots[r]
        roots[i] = r
