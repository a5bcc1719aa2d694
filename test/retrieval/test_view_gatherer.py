"""Which keyframes are kept: bounded in number, chosen for surface, the same after a restart."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import facing, wall_frame

from gcseg_ros.config import Config, InputConfig, TrackingConfig, ViewsConfig
from gcseg_ros.errors import UserError
from gcseg_ros.mapper import Mapper
from gcseg_ros.retrieval import ViewGatherer
from gcseg_ros.retrieval.gatherer import Seen, most_of_each
from gcseg_ros.state import read_state, write_state
from gcseg_ros.views import ViewBuilder


def offered(gatherer, *frames):
    """Whether each frame was kept."""
    return [gatherer(frame, ViewBuilder(InputConfig())(frame)) for frame in frames]


def along(*places, depth_m=2.0):
    return [wall_frame(f"{x:g}", facing(x), depth_m) for x in places]


def test_a_camera_that_stands_still_fills_nothing():
    gatherer = ViewGatherer(ViewsConfig())
    assert offered(gatherer, *along(0, 0, 0, 0.01, 3)) == [True, False, False, False, True]
    assert gatherer.counts() == {"kept": 2, "passed_over": 3, "dropped": 0}


def test_coming_nearer_shows_more():
    gatherer = ViewGatherer(ViewsConfig())
    far, near = wall_frame("far", facing(), 4.0), wall_frame("near", facing(z=3), 1.0)
    assert offered(gatherer, far, near, far) == [True, True, False]


def test_no_more_are_kept_than_asked_for_and_what_shows_least_goes():
    gatherer = ViewGatherer(ViewsConfig(most=3))
    offered(gatherer, *along(0, 3, 3.8, 6))  # 3 and 3.8 overlap
    names = [view.name for view in gatherer.views]
    assert len(names) == 3
    assert {"0", "6"} < set(names)
    assert gatherer.counts()["dropped"] == 1
    offered(gatherer, *along(*range(0, 60, 3)))
    assert len(gatherer.views) == 3


def test_none_are_kept_where_none_are_wanted():
    gatherer = ViewGatherer(ViewsConfig(most=0))
    assert offered(gatherer, *along(0)) == [False]
    assert gatherer.views == []


def test_a_frame_without_depth_shows_nothing():
    gatherer = ViewGatherer(ViewsConfig())
    frame = wall_frame()
    assert offered(gatherer, replace(frame, depth_m=np.zeros_like(frame.depth_m))) == [False]


def test_large_images_are_made_smaller():
    gatherer = ViewGatherer(ViewsConfig(width_px=80))
    offered(gatherer, *along(0))
    view = gatherer.views[0]
    assert view.colour().shape == (60, 80, 3)
    assert view.camera.fx == pytest.approx(65)
    assert view.depth_m().shape == (120, 160)


def test_a_restored_gatherer_goes_on_as_the_first(tmp_path):
    rng = np.random.default_rng(3)
    places = np.cumsum(rng.uniform(-0.5, 1, 30)).tolist()
    first = ViewGatherer(ViewsConfig(most=5))
    offered(first, *along(*places[:15]))
    write_state(tmp_path / "state.npz", {"objects": 0}, {"views": first.state()})
    second = ViewGatherer(ViewsConfig(most=5))
    second.restore(read_state(tmp_path / "state.npz").part("views"))
    assert second.counts() == first.counts()
    assert offered(first, *along(*places[15:])) == offered(second, *along(*places[15:]))
    assert [view.jpeg for view in first.views] == [view.jpeg for view in second.views]


def test_views_of_an_earlier_map_go_where_none_are_wanted(tmp_path):
    first, second = ViewGatherer(ViewsConfig()), ViewGatherer(ViewsConfig(most=0))
    offered(first, *along(0.0, 1.0))
    write_state(tmp_path / "state.npz", {"objects": 0}, {"views": first.state()})
    second.restore(read_state(tmp_path / "state.npz").part("views"))
    assert second.counts() == {"kept": 0, "passed_over": 0, "dropped": len(first.views)}


def test_a_mapper_gathers_at_keyframes_and_a_resumed_one_has_its_views(tmp_path):
    mapper = Mapper()
    for frame in along(0, 0.4, 0.8, 1.2):
        mapper.step(frame)
    assert [view.name for view in mapper.gatherer.views] == ["0", "0.8"]  # every other frame is a keyframe
    mapper.save_state(tmp_path / "state.npz")
    resumed = Mapper()
    resumed.resume(tmp_path / "state.npz")
    assert resumed.gatherer.counts() == mapper.gatherer.counts()
    resumed.step(along(1.6)[0])
    assert [view.name for view in resumed.gatherer.views] == ["0", "0.8", "1.6"]


def test_views_of_two_recordings_in_one_map_have_names_of_their_own(tmp_path):
    """Every recording's first frame is 000000."""
    every_frame = Config(tracking=TrackingConfig(keyframe_stride=1))
    mapper = Mapper(every_frame)
    for recording in range(3):
        mapper.step(replace(wall_frame("000000", facing(10.0 * recording)), stamp_s=recording))
        mapper.save_state(tmp_path / "state.npz")
        mapper = Mapper(every_frame)
        mapper.resume(tmp_path / "state.npz")
    assert [view.name for view in mapper.gatherer.views] == ["000000", "000000+", "000000++"]


def test_a_map_saved_without_views_has_none(tmp_path):
    write_state(tmp_path / "state.npz", {"objects": 0}, {})
    gatherer = ViewGatherer(ViewsConfig())
    gatherer.restore(read_state(tmp_path / "state.npz").part("views"))
    assert gatherer.views == []


@pytest.mark.parametrize(
    "damage",
    [
        {"pose": np.zeros((1, 4, 4))},
        {"camera": np.full((1, 6), -1.0)},
        {"camera": np.full((1, 6), 1e9)},
        {"jpeg_end": np.array([5])},
        {"png": np.zeros(3, np.uint8), "png_end": np.array([3])},
        {"names": []},
        {"dropped": -1},
    ],
)
def test_damaged_state_is_refused(tmp_path, damage):
    gatherer = ViewGatherer(ViewsConfig())
    offered(gatherer, *along(0))
    write_state(tmp_path / "state.npz", {"objects": 0}, {"views": {**gatherer.state(), **damage}})
    with pytest.raises(UserError):
        ViewGatherer(ViewsConfig()).restore(read_state(tmp_path / "state.npz").part("views"))


@given(st.lists(st.dictionaries(st.integers(0, 8), st.integers(1, 9)), min_size=1, max_size=5))
def test_the_loss_of_a_view_is_what_the_others_do_not_show(shown):
    seen = [Seen(np.array(sorted(d), np.int64), np.array([d[k] for k in sorted(d)], float)) for d in shown]
    best, loss = most_of_each(seen)

    def worth(views):
        return sum(max(view.get(cell, 0) for view in views) for cell in range(9)) if views else 0

    assert best.amount.sum() == worth(shown)
    assert all(a < b for a, b in pairwise(best.cells.tolist()))
    for i in range(len(shown)):
        assert loss[i] == worth(shown) - worth(shown[:i] + shown[i + 1 :])
