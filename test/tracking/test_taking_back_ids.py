"""A camera stands still, every keyframe has a mask that none has again, and ids run short: those of such masks are given anew."""

import zipfile

import cv2
import numpy as np
import pytest

from gcseg_ros.config import load_config
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.instances.instances import InstanceMap
from gcseg_ros.mapper import Mapper
from gcseg_ros.masks import Proposals
from gcseg_ros.output import OutputFolder
from gcseg_ros.tracking.objects import MOST_OBJECTS

CAMERA = CameraIntrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
FRAMES, MOST = 200, 40
BOXES = {
    0: 4,
    90: 24,
    150: 44,
}  # at the frame with this index a box comes to stand before the wall, from this column on
OF_THE_FLICKER = 9  # in the masks
POSE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]], float)


def masks(i: int) -> np.ndarray:
    """Of the wall, of a small square of it that is another one each time, and of the boxes."""
    labels = np.ones((48, 64), np.int32)
    v, u = np.random.default_rng(i).integers((2, 2), (7, 50))
    labels[v : v + 8, u : u + 8] = OF_THE_FLICKER
    for k, (since, left) in enumerate(BOXES.items(), start=2):
        if i >= since:
            labels[20:40, left : left + 14] = k
    return labels


def frame(i: int) -> Frame:
    labels = masks(i)
    boxes = (labels > 1) & (labels < OF_THE_FLICKER)
    depth_m = np.where(boxes, 1.5, 2).astype(np.float32)
    colour = np.where(np.arange(64) // 16 % 2, 90, 100).astype(
        np.uint8
    )  # stripes: an image that shows nothing is told of
    return Frame(f"{i:06d}", i / 10, np.tile(colour[:, None], (48, 1, 3)), depth_m, CAMERA, POSE)


def mapper(most: int = MOST_OBJECTS) -> Mapper:
    settings = [
        "input.working_width_px=64",
        "poses.refine=false",
        "finishing.structure=none",
        "masks.generator=geometric",
    ]
    mapper = Mapper(load_config(None, settings))
    mapper.tracker.generate = lambda view: Proposals(masks(int(view.name)), (masks(int(view.name)),))
    mapper.tracker.objects.most = most
    return mapper


class Walk:
    """All frames mapped with `most` ids, and what is then written; on the way the state is saved before some frames."""

    def __init__(self, path, most: int, saved_before: tuple[int, ...] = ()) -> None:
        self.mapper, self.path = mapper(most), path
        with OutputFolder(path / "out") as folder:
            for i in range(FRAMES):
                if i in saved_before:
                    self.mapper.save_state(path / f"{i}.npz")
                tracked = self.mapper.step(frame(i))
                folder.add(f"{i:06d}", tracked.index, tracked.labels)
            self.map: InstanceMap = self.mapper.instances()
            self.mapper.save_state(path / "end.npz")
            folder.finish(self.map, {})

    def image(self, i: int) -> np.ndarray:
        return cv2.imread(str(self.path / "out" / "labels" / f"{i:06d}.png"), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def with_many(tmp_path_factory):
    return Walk(tmp_path_factory.mktemp("many"), MOST_OBJECTS)


@pytest.fixture(scope="module")
def with_few(tmp_path_factory):
    return Walk(tmp_path_factory.mktemp("few"), MOST, saved_before=(60, 120))


def test_ids_that_suffice_are_not_touched(with_many):
    ids = with_many.mapper.statistics()["ids"]
    assert ids == {"in_use": FRAMES // 2 + 4, "taken_back": 0, "refused": 0}


def test_the_map_is_the_one_that_more_ids_would_have_given(with_many, with_few):
    ids = with_few.mapper.statistics()["ids"]
    assert ids["in_use"] <= MOST
    assert ids["taken_back"] > FRAMES // 4
    assert ids["refused"] == 0
    assert with_few.mapper.notes() == []
    few, many = with_few.map, with_many.map
    assert few.instance.max() <= MOST
    assert len(few.objects) == len(many.objects) == 1 + len(BOXES)
    pairs = np.unique(np.column_stack([few.instance, many.instance]), axis=0)
    assert len(pairs) == 1 + len(BOXES), "the same voxels are one instance"
    histories = [sorted((o.first_seen, o.last_seen, o.points) for o in m.objects) for m in (few, many)]
    assert histories[0] == histories[1]


def test_what_is_remembered_of_pieces_does_not_grow_with_the_video(monkeypatch, with_many):
    """Long before ids run short: those of flickering masks are given anew, and nothing is remembered of what they were."""
    monkeypatch.setattr("gcseg_ros.tracking.tracker.MANY", 10)
    m, records = mapper(), []
    for i in range(FRAMES):
        m.step(frame(i))
        records.append(len(m.tracker.objects) + len(m.tracker.evidence))
    assert m.statistics()["ids"]["taken_back"] > FRAMES // 4
    assert max(records) <= records[FRAMES // 3] + len(BOXES)
    assert len(m.instances().objects) == len(with_many.map.objects)


def test_label_images_show_what_their_ids_meant_at_the_time(with_many, with_few):
    name = np.zeros(MOST + 1, np.int64)
    name[with_few.map.instance] = with_many.map.instance
    for i in range(FRAMES):
        np.testing.assert_array_equal(name[with_few.image(i)], with_many.image(i), f"frame {i}")


def test_overlays_show_what_ids_mean_now():
    m, asked = mapper(MOST), 60
    for i in range(FRAMES):
        labels = m.step(frame(i)).labels
        if i == asked:
            known = m.cloud().of_tracked
        elif i > asked:
            new = m.tracker.objects.since[labels] > asked
            np.testing.assert_array_equal(m.instance_ids(labels), np.where(new, labels, known[labels * ~new]))
    assert (m.tracker.objects.since[: len(known)] > asked).any(), "some ids were given anew"


@pytest.mark.parametrize("cut", [60, 120])
def test_gone_on_with_it_is_the_same_map(with_few, tmp_path, cut):
    """Before ids were taken back, and after."""
    rest = mapper(MOST)
    rest.resume(with_few.path / f"{cut}.npz")
    assert (rest.statistics()["ids"]["taken_back"] > 0) == (cut == 120)
    for i in range(cut, FRAMES):
        rest.step(frame(i))
    rest.instances()
    rest.save_state(tmp_path / "end.npz")
    with zipfile.ZipFile(with_few.path / "end.npz") as whole, zipfile.ZipFile(tmp_path / "end.npz") as halves:
        assert whole.namelist() == halves.namelist()
        assert all(whole.read(name) == halves.read(name) for name in whole.namelist())


def test_when_all_ids_are_of_large_pieces_it_is_counted_and_told():
    m = mapper(most=3)
    for i in range(0, FRAMES, 10):
        labels = m.step(frame(i)).labels
        assert labels.max() <= 3
    assert m.statistics()["ids"]["refused"] > 0
    (note,) = m.notes()
    assert "all 3 ids" in note
    assert len(m.instances().objects) >= 2
