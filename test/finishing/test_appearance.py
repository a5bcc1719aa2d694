"""What pieces look like to the boundary network."""

import numpy as np
import pytest
from toy_surfaces import graph, strip, surface

from gcseg_ros.finishing.piece_features import FIRST_CHANNELS, PieceGraph
from gcseg_ros.joining.agglomeration import Agglomeration
from gcseg_ros.masks.boundary_network import APPEARANCE_CHANNELS
from gcseg_ros.tracking.evidence import Evidence


def seen(**looks: float) -> Evidence:
    """`of_1=3.0`: label 1 looks like 3 in the first and in the last channel."""
    evidence = Evidence()
    for weight, (name, value) in enumerate(looks.items(), 2):
        mean = np.zeros(APPEARANCE_CHANNELS)
        mean[[0, -1]] = value
        evidence.appearance[int(name.removeprefix("of_"))] = weight * np.append(1.0, mean)
    return evidence


def test_pieces_look_like_their_labels():
    evidence = seen(of_1=3.0, of_2=-1.0)
    g = graph(surface([(strip(0), 1), (strip(1), 2), (strip(2), 3)]), evidence)
    _, pairs, pieces, between = Agglomeration(g, None).known()
    assert pieces.shape == (3, len(PieceGraph.PIECE_NAMES))
    assert between.shape == (2, len(PieceGraph.NAMES))
    looks = pieces[:, -APPEARANCE_CHANNELS:]
    assert looks[:2, [0, -1]] == pytest.approx(np.array([[3, 3], [-1, -1]]))
    assert not looks[:2, 1:-1].any()
    assert np.isnan(looks[2]).all()  # nobody has seen it
    unlike = dict(zip(map(tuple, pairs.tolist()), between[:, -2:]))
    assert unlike[0, 1] == pytest.approx([4 * 2**0.5, 4])
    assert np.isnan(unlike[1, 2]).all()
    assert FIRST_CHANNELS < APPEARANCE_CHANNELS


def test_joined_pieces_look_like_the_mean_of_their_areas():
    half = tuple(part[: len(part) // 2] for part in strip(1))
    g = graph(surface([(strip(0), 1), (half, 2)]), seen(of_1=3.0, of_2=-3.0))
    state = Agglomeration(g, None)
    root = state.join(0, 1)
    looks = g.piece_features(state.nodes[[root]], state.low[[root]], state.high[[root]])[0, -APPEARANCE_CHANNELS:]
    assert looks[0] == pytest.approx(1.0)


def test_what_is_known_of_pieces_otherwise_is_the_same():
    parts = surface([(strip(0), 1), (strip(1), 2)])
    known, before = (Agglomeration(graph(parts, looks), None).known() for looks in (seen(of_1=1.0, of_2=2.0), None))
    for k, names in ((2, PieceGraph.PIECE_NAMES), (3, PieceGraph.NAMES)):
        others = [i for i, name in enumerate(names) if not name.startswith(("appearance", "unlike"))]
        assert known[k][:, others] == pytest.approx(before[k][:, others], nan_ok=True)
