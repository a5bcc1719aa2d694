"""Retrieval from end to end: recorded frames, mapped; views chosen, cut, encoded in batches, averaged; texts ranked."""

import numpy as np
import pytest
from planted import ColourEncoder, instance_map, planted_frames

from gcseg_ros.evaluation.truth import carry
from gcseg_ros.mapper import Mapper
from gcseg_ros.retrieval import Retrieval
from gcseg_ros.retrieval.features import FeatureConfig


@pytest.fixture(scope="module")
def room():
    frames, points, ids = planted_frames("synthetic:1:house:10", (240, 180))
    mapper = Mapper()
    for frame in frames:
        mapper.step(frame)
    return mapper, points, ids


def ranks(retrieval, wanted):
    """For each of the ids: at which place of the ranking of its own colour it stands, from 0."""
    places = []
    for id in wanted:
        hits = retrieval.ranking(retrieval.query([f"colour {id % 64}"])[0])
        places.append(next((place for place, hit in enumerate(hits) if hit.object.id == id), len(hits)))
    return np.array(places)


def test_each_object_is_first_for_its_own_text(room):
    mapper, points, ids = room
    encoder = ColourEncoder()
    retrieval = Retrieval.of(instance_map(points, ids), mapper.gatherer.views, encoder, FeatureConfig(batch=7))
    sizes = np.bincount(ids)
    large = [int(id) for id in retrieval.ids if sizes[id] >= 100]
    places = ranks(retrieval, large)
    assert len(large) > 15
    assert (places == 0).mean() > 0.7  # thin things in front of others have more of these in their boxes
    assert (places < 4).all()
    assert set(encoder.batches[:-1]) == {7}


def test_the_map_s_own_instances_are_found(room):
    mapper, points, ids = room
    m = mapper.instances()
    retrieval = Retrieval.of(m, mapper.gatherer.views, ColourEncoder())
    truth, _ = carry(points, ids, m.points)
    shares = {o.id: np.bincount(truth[m.instance == o.id], minlength=ids.max() + 1) / o.points for o in m.objects}
    asked = 0
    for found in sorted(m.objects, key=lambda o: -o.points)[:8]:
        id = int(shares[found.id].argmax())
        if id == 0 or shares[found.id][id] < 0.9:
            continue  # no one thing
        asked += 1
        best = retrieval.ranking(retrieval.query([f"colour {id % 64}"])[0], 4)
        # it, or where the map has the thing in pieces, one of these
        assert any(shares[hit.object.id][id] > 0.9 for hit in best)
    assert asked >= 2


def test_what_nobody_planted_scores_nothing(room):
    mapper, points, ids = room
    retrieval = Retrieval.of(instance_map(points, ids), mapper.gatherer.views, ColourEncoder())
    unused = next(i for i in range(64) if i not in ids % 64)
    assert np.nanmax(retrieval.query([f"colour {unused}"])) < 0.4
