"""Mapping with SAM and SAM 2 from files on: tiny random networks, saved as the published checkpoints are."""

import json
import threading

import numpy as np
import pytest
import torch
from tiny_networks import CONFIGURATION, TINY_SAM2, tiny_sam, tiny_sam2

from gcseg_ros.cli import main
from gcseg_ros.config import load_config
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.mapper import Mapper
from gcseg_ros.masks import Proposals
from gcseg_ros.masks.geometric import GeometricGenerator
from gcseg_ros.recordings.synthetic import export
from gcseg_ros.tracking.background import BackgroundGenerator, carried
from gcseg_ros.views import ViewBuilder

CAMERA = CameraIntrinsics(96, 72, 90, 90, 47.5, 35.5)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """What makes gcseg use tiny networks from files."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(tiny_sam().state_dict(), folder / "sam.pth")
    torch.save({"model": tiny_sam2().state_dict()}, folder / "sam2.pt")
    return [
        f"masks.sam.weights={folder}/sam.pth",
        "masks.sam.points_per_side=2",
        "masks.sam.crop_n_layers=0",
        "masks.sam.pred_iou_thresh=0",
        "masks.sam.stability_score_thresh=0",
        "masks.sam.box_nms_thresh=1",
        f"propagation.sam2.weights={folder}/sam2.pt",
        f"propagation.sam2.configuration={CONFIGURATION}",
        f"propagation.sam2.overrides={TINY_SAM2}",
        "propagation.sam2.max_growth=1000",
        "foundation.device=cpu",
        "tracking.keyframe_stride=3",
        "tracking.association=algorithm1",
        "input.working_width_px=96",
    ]


BOTH = ["masks.generator=sam", "propagation.method=sam2"]


def walk(count, future=None):
    """Frames before a wall with two boxes, the camera moving to the right; `future`: from there on they look different."""
    for i in range(count):
        depth = np.full((72, 96), 2.0, np.float32)
        colour = np.full((72, 96, 3), 60, np.uint8)
        for left, shade in ((10, 160), (55, 220)):
            depth[20:50, left - i % 40 // 4 : left + 20 - i % 40 // 4] = 1.5
            colour[20:50, left - i % 40 // 4 : left + 20 - i % 40 // 4] = shade
        if future is not None and i >= future:
            colour = 255 - colour
        pose = np.eye(4)
        pose[0, 3] = 0.006 * (i % 40)
        yield Frame(f"{i:06}", i / 30, colour, depth, CAMERA, pose)


def test_gcseg_map_with_both(settings, tmp_path, capsys):
    export("synthetic:1:demo:7", tmp_path / "room")
    options = [word for setting in settings for word in ("--set", setting)]
    arguments = ["map", str(tmp_path / "room"), "-o", str(tmp_path / "out"), *options]
    assert main([*arguments, "--masks", "sam", "--propagation", "sam2"]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["frames"], summary["keyframes"]) == (7, 3)
    assert summary["config"]["masks"]["generator"] == "sam"
    assert summary["config"]["propagation"]["method"] == "sam2"
    assert sum(summary["objects"].values()) > 0
    capsys.readouterr()
    assert main([*arguments, "--propagation", "sam2", "--set", "propagation.sam2.weights=sam2.1-larg"]) == 2
    assert "did you mean sam2.1-large?" in capsys.readouterr().err


def test_nothing_of_a_later_frame_influences_an_earlier_one(settings):
    labels = []
    for future in (None, 5):
        mapper = Mapper(load_config(None, [*settings, *BOTH]))
        labels.append([mapper.step(frame).labels for frame in walk(7, future)])
    np.testing.assert_array_equal(labels[0][:5], labels[1][:5])
    assert any((a != b).any() for a, b in zip(labels[0][5:], labels[1][5:]))
    assert max(image.max() for image in labels[0]) > 0


@pytest.mark.parametrize("cut", [0, 5])
def test_a_saved_map_goes_on_as_if_it_had_never_stopped(settings, tmp_path, cut):
    config = load_config(None, [*settings, "masks.generator=geometric", "propagation.method=sam2"])
    frames = list(walk(8))
    whole, first, second = Mapper(config), Mapper(config), Mapper(config)
    labels = [whole.step(frame).labels for frame in frames]
    halves = [first.step(frame).labels for frame in frames[:cut]]
    first.save_state(tmp_path / "state.npz")
    second.resume(tmp_path / "state.npz")
    halves += [second.step(frame).labels for frame in frames[cut:]]
    np.testing.assert_array_equal(labels, halves)
    assert max(image.max() for image in labels) > 0
    other = Mapper(load_config(None, [*settings, "masks.generator=geometric"]))
    other.resume(tmp_path / "state.npz")  # by reprojection: begins at the next keyframe
    assert not other.step(frames[cut]).labels.any() or cut == 0


@pytest.mark.parametrize("masks", ["sam2", "geometric"])
def test_other_pairs_of_masks_and_propagation(settings, masks, tmp_path):
    settings = [setting.replace("sam.pth", "sam2.pt") for setting in settings]
    more = [f"masks.generator={masks}", "propagation.method=sam2", "tracking.association=map"]
    more += [f"masks.sam.configuration={CONFIGURATION}", f"masks.sam.overrides={TINY_SAM2}"]
    mapper = Mapper(load_config(None, [*settings, *more]))
    labels = [mapper.step(frame).labels for frame in walk(4)]
    assert all(image.max() > 0 for image in labels[:1])
    if masks == "sam2":
        assert mapper.tracker.generate.images.predictor.model is mapper.tracker.propagate.window.network


class Slow:
    """A generator that waits to be told to finish."""

    def __init__(self, generate):
        self.generate, self.go, self.views = generate, threading.Event(), []

    def __call__(self, view):
        self.views.append(view.name)
        assert self.go.wait(20)
        return self.generate(view)


def finished(mapper):
    """Waits until the masks under way are there."""
    _, result = mapper.tracker.background._work
    return result.result(20)


def test_a_live_mapper_does_not_wait_for_masks_and_adopts_them_where_the_camera_is_then():
    config = load_config(None, ["masks.generator=geometric", "input.working_width_px=96", "tracking.keyframe_stride=3"])
    mapper = Mapper(config)
    slow = Slow(GeometricGenerator(config.masks))
    mapper.tracker.background = BackgroundGenerator(slow)
    frames = list(walk(8))
    found = [mapper.step(frame) for frame in frames[:5]]
    assert not any(tracked.keyframe or tracked.labels.any() for tracked in found), "nothing is there to be tracked yet"
    assert slow.views == ["000000"], "the keyframe that came meanwhile is passed over"
    slow.go.set()
    finished(mapper)
    late = mapper.step(frames[5])
    assert late.keyframe
    view = ViewBuilder(config.input)
    first = view(frames[0])
    here = view(frames[5])
    expected = carried(GeometricGenerator(config.masks)(first), first, here).detections
    np.testing.assert_array_equal(late.labels > 0, expected > 0)
    assert mapper.step(frames[6]).labels.any()
    assert finished(mapper) is not None
    assert slow.views == ["000000", "000006"]


def test_what_fails_beside_the_mapper_is_raised_in_it():
    def broken(view):
        raise MemoryError("full")

    config = load_config(None, ["masks.generator=geometric", "input.working_width_px=96"])
    mapper = Mapper(config)
    mapper.tracker.background = BackgroundGenerator(broken)
    frames = iter(walk(3))
    mapper.step(next(frames))
    with pytest.raises(MemoryError):
        finished(mapper)
    with pytest.raises(MemoryError, match="full"):
        mapper.step(next(frames))


def test_carried_masks_keep_their_levels():
    views = [ViewBuilder(load_config(None, ["input.working_width_px=96"]).input)(frame) for frame in walk(1)]
    labels = np.arange(72 * 96, dtype=np.int32).reshape(72, 96) // 3000 + 1  # no holes, which would be closed
    there = carried(Proposals(labels, (labels, (labels + 1) // 2)), views[0], views[0])
    np.testing.assert_array_equal(there.detections, labels)
    np.testing.assert_array_equal(there.levels[1], (labels + 1) // 2)


def test_live_means_in_the_background_only_where_masks_are_slow(settings):
    assert Mapper(load_config(None, [*settings, *BOTH]), live=True).tracker.background is not None
    assert Mapper(load_config(None, [*settings, *BOTH])).tracker.background is None
    assert Mapper(live=True).tracker.background is None
