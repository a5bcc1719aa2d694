"""Masks from a small network of our own: its boundary and affinity maps drive the same watershed and agglomeration.

Regions are merged by average linkage over the network's affinities (GASP, Bailoni et al. 2022): the cost of joining two
regions is the mean probability, over every pair of pixels that the network was asked about, that they are two objects.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from gcseg_ros.config import MasksConfig
from gcseg_ros.masks.boundary_network import AFFINITY_OFFSETS, AFFINITY_STEP, WEIGHTS, BoundaryNetwork
from gcseg_ros.masks.proposals import Proposals
from gcseg_ros.masks.regions import Affinities, EdgeCost, build_hierarchy
from gcseg_ros.views import View
from gcseg_ros.weights.store import sha256

FURTHEST_PX = 12  # affinities over 32 px measured worse than none
COST = EdgeCost(small_px=10)
USED = [k for k, offset in enumerate(AFFINITY_OFFSETS) if AFFINITY_STEP * max(map(abs, offset)) <= FURTHEST_PX]
OFFSETS = np.array(AFFINITY_OFFSETS, np.int64)[USED]
WEIGHT = 4 / (AFFINITY_STEP * np.abs(OFFSETS).max(axis=1))  # a pair 4 px apart counts as much as a pixel of border


class LearnedGenerator:
    """`masks: learned`.

    The joining of pieces was trained on the shipped network's appearances: what another network says of them is left out.
    """

    def __init__(self, config: MasksConfig, threads: int = 2) -> None:
        self.config = config
        self.network = BoundaryNetwork(config.boundary_network, threads)
        own = config.boundary_network
        self._shipped = own is None or sha256(Path(own)) == sha256(WEIGHTS)

    def __call__(self, view: View) -> Proposals:
        maps = self.network(view.colour, view.depth_m, view.intrinsics, view.up, view.normals)
        ridge = (maps.boundary * 255).astype(np.uint8)
        nothing = np.zeros_like(maps.boundary)
        affinities = Affinities(maps.affinities[USED], OFFSETS, WEIGHT, AFFINITY_STEP)
        evidence = (maps.boundary, nothing, nothing, nothing)
        hierarchy = build_hierarchy(ridge, view.depth_m, view.lab, evidence, COST, affinities)
        levels = tuple(np.where(view.depth_m > 0, hierarchy.cut(level), 0) for level in self.config.levels)
        maps = maps if self._shipped else replace(maps, appearance=None)
        return Proposals(levels[self.config.tracked_level], levels, maps)
