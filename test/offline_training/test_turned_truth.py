"""True images of recordings whose camera was on its side: the views are turned, and so is what they are compared with."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scannet_folder import write_scannet_folder

from gcseg_ros.config import InputConfig
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.recordings import open_recording
from gcseg_ros.views import ViewBuilder

UPRIGHT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1], [0, 0, 0, 1]])


@pytest.fixture(params=range(4))
def scene(request, tmp_path):
    """A recording of one frame, its camera turned: three surfaces, each with its distance in decimetres for a label."""
    label = np.full((480, 640), 30, np.uint16)
    label[:200, :300], label[300:, 420:] = 10, 20
    k = CameraIntrinsics(640, 480, 525, 525, 319.5, 239.5)
    frame = Frame("0", 0.0, np.zeros((480, 640, 3), np.uint8), label / np.float32(10), k, UPRIGHT).turned(request.param)
    view = "000000", frame.colour, 1000 * frame.depth_m, frame.pose
    write_scannet_folder(tmp_path, [view], frame.intrinsics.matrix)
    (tmp_path / "instance").mkdir()
    cv2.imwrite(str(tmp_path / "instance/000000.png"), np.ascontiguousarray(np.rot90(label, -request.param)))
    (tmp_path / "instances.json").write_text(json.dumps({str(i): {"is_stuff": i == 30} for i in (10, 20, 30)}))
    return tmp_path


def fits(instance, depth_m):
    """Whether what is measured at a label's pixels is as far away as the label says."""
    seen = depth_m > 0
    return seen.mean() > 0.9 and np.abs(instance[seen] / 10 - depth_m[seen]).max() < 0.01


def test_the_measured_views_have_their_own_truth(scene):
    pytest.importorskip("torch", reason="training needs torch")
    from offline_training.boundaries.measure import recording_views

    (view,) = recording_views(scene, 1)
    assert fits(view.instance, view.depth_m)
    assert np.array_equal(view.structure, view.instance == 30)


@pytest.mark.parametrize("ids", ["[]", '{"1": {}}', '{"1": 2}'])
def test_a_map_is_no_truth_to_measure_with(scene, ids):
    """A map has an instances.json too, a list."""
    pytest.importorskip("torch", reason="training needs torch")
    from gcseg_ros.errors import UserError
    from offline_training.boundaries.measure import recording_views

    (scene / "instances.json").write_text(ids)
    with pytest.raises(UserError, match=r"instances\.json is no recording's truth"):
        next(recording_views(scene, 1))


def test_true_masks_are_those_of_the_view(scene, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from masks import TrueMasks

    view = ViewBuilder(InputConfig())(next(iter(open_recording(scene))))
    assert fits(TrueMasks(scene).labels(view), view.measured_m)
