"""The graph of pieces with what the 3D segmenter's masks say, and the map that is joined by it."""

import importlib.util

import numpy as np
import pytest
from toy_surfaces import graph, patch, strip, surface

from gcseg_ros.config import FinishingConfig, build_config
from gcseg_ros.errors import UserError
from gcseg_ros.finishing.finishing import finish
from gcseg_ros.finishing.masked_pieces import COVERAGE, MaskedPieceGraph, with_masks
from gcseg_ros.joining.agglomeration import AREA, Agglomeration
from gcseg_ros.mapper import Mapper
from gcseg_ros.tracking.borders import Borders
from gcseg_ros.tracking.evidence import Evidence

OBJECTNESS = np.array([0.9, 0.5])


def test_joined_pieces_are_known_as_if_they_had_been_one():
    coverage = np.array([[0.9, 0.3, 0.1], [0.2, 0.8, 0.7]])
    apart = with_masks(
        graph(surface([(strip(0), 1), (strip(1), 2), (strip(2), 3)], paint=[0, 0, 1])), OBJECTNESS, coverage
    )
    joined = np.stack([coverage[:, :2].mean(1), coverage[:, 2]], axis=1)  # strips are of one size
    one = with_masks(graph(surface([(strip(0), 1), (strip(1), 1), (strip(2), 3)], paint=[0, 0, 1])), OBJECTNESS, joined)
    state = Agglomeration(apart, None)
    known = state.features_of(np.array([[state.join(0, 1), 2]]))
    assert known.shape == (1, len(MaskedPieceGraph.NAMES))
    assert known == pytest.approx(Agglomeration(one, None).features_of(one.pairs), rel=1e-9, abs=1e-9)
    roots, of_objects = state.objects()
    assert of_objects.shape == (len(roots), len(MaskedPieceGraph.OBJECT_NAMES))
    assert of_objects == pytest.approx(Agglomeration(one, None).objects()[1], rel=1e-9, abs=1e-9)


def test_pieces_know_how_much_of_them_masks_cover():
    plain = graph(surface([(strip(0), 1), (strip(1), 2), (strip(2), 3)]))
    masked = with_masks(plain, np.ones(1), np.array([[0.9, 0.9, 0.0]]))
    assert masked.nodes[:, COVERAGE].ravel() == pytest.approx([0.9, 0.9, 0] * plain.nodes[:, AREA])
    _, pairs, pieces, between = Agglomeration(masked, None).known()
    assert pieces.shape == (3, len(MaskedPieceGraph.PIECE_NAMES))
    assert between.shape == (2, len(MaskedPieceGraph.NAMES))
    together = between[:, MaskedPieceGraph.NAMES.index("together")]
    assert pairs.tolist() == [[0, 1], [1, 2]]
    assert together[0] > 0.8
    assert together[1] < 0.5


def test_without_a_mask_nothing_is_said():
    plain = graph(surface([(strip(0), 1), (strip(1), 2)]))
    masked = with_masks(plain, np.zeros(0), np.zeros((0, 2)))
    known = Agglomeration(masked, None).features_of(masked.pairs)
    assert known[:, : len(plain.NAMES)] == pytest.approx(Agglomeration(plain, None).features_of(plain.pairs))
    assert not known[:, len(plain.NAMES) :].any()


def test_a_map_is_joined_with_what_the_shipped_segmenter_says():
    pytest.importorskip("torch", reason="the 3D segmenter needs torch")
    floor, box = patch([0, 0, 0], [2, 0, 0], [0, 2, 0]), patch([0.5, 0.5, 0.4], [0.5, 0, 0], [0, 0.5, 0])
    seen = surface([(floor, 1), (box, 2)])
    config = FinishingConfig(joining="network")
    instance, confidence, of_tracked = finish(seen, Evidence(), Borders(), config)
    assert (instance > 0).all()
    assert instance[0] != instance[-1]
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert of_tracked.tolist() == [0, 1, 2]
    assert (finish(seen, Evidence(), Borders(), config)[1] == confidence).all()


def test_without_torch_it_is_said_before_anything_is_mapped(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else found(name, *rest)
    )
    with pytest.raises(UserError, match="needs the package torch"):
        Mapper(build_config({"finishing": {"joining": "network"}}))
