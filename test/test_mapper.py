"""The pipeline as its users see it: a walk through a small generated room, step by step."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from gcseg_ros.config import InputConfig, load_config
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.average_precision import Overlap, average_precision
from gcseg_ros.evaluation.truth import carry
from gcseg_ros.finishing import joining
from gcseg_ros.finishing.joining import shipped_model
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.mapper import Mapper
from gcseg_ros.mapping.pose_refinement import moved
from gcseg_ros.mapping.voxel_map import VoxelMap
from gcseg_ros.masks import boundary_network
from gcseg_ros.recordings import open_recording
from gcseg_ros.state import Saved
from gcseg_ros.views import TURNS, ViewBuilder, labels_of_frame

FRAMES = 16


@pytest.fixture(scope="module")
def recording():
    recording = open_recording(f"synthetic:1:house:{FRAMES}")
    recording.intrinsics = recording.intrinsics.scaled(320, 240)
    return recording


@pytest.fixture(scope="module")
def frames(recording):
    return list(recording)


def mapped(frames, *settings) -> tuple[Mapper, list[np.ndarray]]:
    mapper = Mapper(load_config(None, settings))
    return mapper, [mapper.step(frame).labels for frame in frames]


@pytest.fixture(scope="module")
def result(frames):
    return mapped(frames)


@pytest.fixture(scope="module")
def finished(result):
    return result[0].instances()


@pytest.fixture(scope="module")
def truth(recording):
    return recording.truth()


@pytest.fixture(scope="module")
def begun(frames, tmp_path_factory):
    """The map of the first six frames, saved."""
    mapper, _ = mapped(frames[:6])
    assert "gone on with" not in " ".join(mapper.notes())
    mapper.save_state(file := tmp_path_factory.mktemp("begun") / "state.npz")
    return file


def test_every_frame_gets_labels_of_its_size(frames, result):
    _, labels = result
    assert all(image.shape == frame.depth_m.shape and image.dtype == np.uint16 for image, frame in zip(labels, frames))
    labelled = np.mean([(image > 0)[frame.depth_m > 0].mean() for image, frame in zip(labels, frames)])
    assert labelled > 0.85


def test_the_same_frames_give_the_same_map(frames, result, finished):
    _, labels = result
    again, labels_again = mapped(frames)
    for a, b in zip(labels, labels_again):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(finished.instance, again.instances().instance)


def test_no_later_frame_changes_an_earlier_label(frames, result):
    _, labels = result
    _, beginning = mapped(frames[:7])
    for a, b in zip(labels, beginning):
        np.testing.assert_array_equal(a, b)


def test_asking_for_the_map_does_not_change_it(frames, result):
    _, labels = result
    mapper = Mapper()
    for i, (frame, expected) in enumerate(zip(frames, labels)):
        np.testing.assert_array_equal(mapper.step(frame).labels, expected)
        mapper.cloud()
        if i % 3 == 0:  # at keyframes and between them
            mapper.instances()


def test_objects_describe_the_cloud(frames, result, finished):
    (_, labels), m = result, finished
    assert sorted(o.id for o in m.objects) == np.unique(m.instance[m.instance > 0]).tolist()
    for o in m.objects:
        mine = m.instance == o.id
        assert o.points == mine.sum()
        assert 0 < o.confidence <= 1
        low, high = o.axis_aligned_box
        assert (m.points[mine] >= low - 1e-5).all()
        assert (m.points[mine] <= high + 1e-5).all()
        assert o.first_seen in [frame.name for frame in frames]
    seen = np.unique(np.concatenate([m.of_tracked[image].ravel() for image in labels]))
    assert set(seen.tolist()) <= {0, *(o.id for o in m.objects)}


def test_the_live_cloud_is_the_same_surface(result, finished):
    mapper, _ = result
    live = mapper.cloud()
    np.testing.assert_array_equal(live.points, finished.points)
    assert len(live.of_tracked) == len(mapper.tracker.objects) + 1


def test_a_frame_that_shows_something_new_has_masks_of_its_own_whatever_the_stride(frames):
    aside = frames[0].pose.copy()
    aside[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix() @ aside[:3, :3]
    for settings in ((), ("input.filter_frames=0",)):
        mapper, labels = mapped([frames[0], replace(frames[1], pose=aside), frames[2], frames[3]], *settings)
        assert mapper.statistics()["keyframes"] == 3
        assert (labels[1] > 0)[frames[1].depth_m > 0].mean() > 0.85


def test_live_labels_can_be_shown_with_the_ids_of_the_cloud(frames):
    mapper, labels = mapped(frames[:8])
    live = mapper.cloud()
    shown = mapper.instance_ids(labels[-1])
    np.testing.assert_array_equal(shown, live.of_tracked[labels[-1]])
    newer = mapper.step(frames[-1]).labels  # may bring ids that the cloud does not know yet
    assert (mapper.instance_ids(newer) > 0).sum() == (newer > 0).sum()


def test_statistics_add_up(result):
    statistics = result[0].statistics()
    assert statistics["frames"] == FRAMES
    assert statistics["keyframes"] == FRAMES // 2
    assert statistics["voxels"] > 1000
    assert statistics["objects"]["active"] > 0
    assert statistics["ids"]["in_use"] == sum(statistics["objects"].values())


@pytest.mark.parametrize(
    "settings",
    [
        ("masks.generator=learned",),
        ("masks.generator=geometric",),
        ("tracking.association=algorithm1", "tracking.granularity=letter", "tracking.dormant_view=last_mask"),
        ("tracking.association=algorithm1", "tracking.granularity=persistent", "tracking.dormant_view=points"),
        ("tracking.keyframe_stride=5", "input.filter_frames=0"),
    ],
)
def test_every_way_of_tracking_finds_most_of_the_room(frames, truth, settings):
    mapper, _ = mapped(frames, *settings)
    m = mapper.instances()
    predicted, _ = carry(m.points, m.instance, truth.points)
    score = average_precision([Overlap.of_labels(truth.instance, predicted, {o.id: o.confidence for o in m.objects})])
    assert score.ap25 > 0.2


def test_poses_that_drift_are_corrected_by_what_is_seen_unless_that_is_not_wanted(monkeypatch):
    recording = open_recording("synthetic:6:office:40", poses="pose_noisy")
    steps = np.random.default_rng(3).normal(0, np.repeat([np.radians(0.2), 0.004], 3), (40, 6))
    recording.intrinsics = recording.intrinsics.scaled(320, 240)
    recording.drifted = np.array([moved(*of) for of in zip(recording.poses, np.cumsum(steps, 0) - steps[0])])
    frames, used = list(recording), {}
    integrate = VoxelMap.integrate
    monkeypatch.setattr(
        VoxelMap,
        "integrate",
        lambda self, view, labels: used.update({view.name: view.pose}) or integrate(self, view, labels),
    )
    off = {}
    for refine in ("true", "false"):
        mapper, _ = mapped(frames, f"poses.refine={refine}")
        off[refine] = [np.abs(used[frame.name] - true).max() for frame, true in zip(frames, recording.poses)]
        assert (mapper.statistics()["poses"]["corrected_m"] > 0) == (refine == "true")
        assert all((view.pose == used[view.name]).all() for view in mapper.gatherer.views), (
            "views are where they were mapped"
        )
    assert np.mean(off["true"][20:]) < 0.6 * np.mean(off["false"][20:])


def test_nothing_to_map():
    mapper = Mapper()
    for m in (mapper.cloud(), mapper.instances()):
        assert len(m.points) == len(m.objects) == 0


def test_frames_without_any_depth(frames):
    mapper = Mapper()
    for frame in frames[:4]:
        labels = mapper.step(replace(frame, depth_m=np.zeros_like(frame.depth_m))).labels
        assert not labels.any()
    assert len(mapper.instances().points) == 0
    assert mapper.step(frames[4]).labels.any() or mapper.step(frames[5]).labels.any()


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (1, None),
        (
            3,
            r"^Most of what was seen is not mapped: .*input.depth_max_m = 6 m, 9\d% is beyond, and the median is about 9\.\d m\. ",
        ),
        (1000, r"^Nothing is mapped: .* 100% is beyond, and the median is about \d,\d00 m\. Check its unit \(16-bit"),
        (
            0.001,
            r"^Nothing is mapped: .* from 0\.1 m to .*, 100% is nearer, and the median is about 0\.00\d+ m\. Check its unit",
        ),
        (
            0.01,
            r"^Nothing is mapped: .* 100% is nearer, and the median is about 0\.0\d+ m\. .*, or keep the camera further",
        ),
        (0, r"^Nothing is mapped: no keyframe has depth\.$"),
    ],
)
def test_where_depth_is_in_another_unit_the_user_is_told(frames, times, says):
    mapper, _ = mapped([replace(frame, depth_m=np.float32(times) * frame.depth_m) for frame in frames[:2]])
    notes = mapper.notes()
    if says is None:
        assert notes == []
    else:
        (note,) = notes
        assert re.search(says, note)
    assert (len(mapper.instances().points) == 0) == (says is not None and says.startswith("^Nothing"))
    assert Mapper().notes() == []


def test_colour_images_that_show_nothing_are_told():
    """A covered lens, or a wrong encoding."""
    frames = list(open_recording("synthetic:2:demo:4"))
    assert Mapper(load_config(None, ["masks.generator=geometric", "views.most=0"])).notes() == []
    for value, told in ((0, True), (255, True), (None, False)):
        mapper = Mapper(load_config(None, ["masks.generator=geometric", "views.most=0"]))
        for frame in frames:
            mapper.step(frame if value is None else replace(frame, colour=np.full_like(frame.colour, value)))
        assert any("keyframes have colour images all of one colour" in note for note in mapper.notes()) == told


@pytest.mark.parametrize("axis", ["fx", "fy"])
def test_focal_lengths_of_which_one_must_be_wrong_are_told(axis):
    (frame,) = open_recording("synthetic:2:demo:1")
    camera, notes = frame.intrinsics, []
    for times in (1.3, 2.0):
        wrong = replace(camera, **{axis: times * getattr(camera, axis)})
        mapper = Mapper(load_config(None, ["masks.generator=geometric", "views.most=0"]))
        mapper.step(replace(frame, intrinsics=wrong))
        notes.append(mapper.notes())
    assert not notes[0]
    (note,) = notes[1]
    assert f"fx = {wrong.fx:.1f} and fy = {wrong.fy:.1f} pixels" in note


def test_where_poses_are_of_another_convention_the_user_is_told():
    recording = open_recording("synthetic:6001:living:24")
    recording.intrinsics = recording.intrinsics.scaled(160, 120)
    frames = list(recording)
    fast = "masks.generator=geometric", "input.turn=none"

    def notes(convention) -> list[str]:
        return mapped([replace(frame, pose=convention(frame.pose)) for frame in frames], *fast)[0].notes()

    assert notes(np.array) == []
    for wrong in (np.linalg.inv, lambda pose: pose @ np.diag([1, -1, -1, 1])):
        (note,) = notes(wrong)
        assert re.search(r"^\d+ of 24 views do not lie on .*: poses must be camera-to-world, in metres, ", note)


def test_where_voxels_do_not_reach_the_user_is_told(frames):
    there = np.eye(4)
    there[0, 3] = 6000
    far = [replace(frame, pose=there @ frame.pose) for frame in frames[:2]]
    assert mapped(far)[0].notes() == []
    (note,) = mapped(far, "map.voxel_m=0.005")[0].notes()
    assert re.search(
        r"^\d+ points were left out so far: they are over 5\.24 km from the origin, and voxels of 0\.005 m ", note
    )


def test_a_boundary_network_of_ones_own_has_appearances_that_the_joining_cannot_read(frames, tmp_path):
    shipped, same, mine = boundary_network.WEIGHTS.read_bytes(), tmp_path / "same.onnx", tmp_path / "mine.onnx"
    same.write_bytes(shipped)
    mine.write_bytes(shipped + b"\x32\x04mine")  # the field doc_string
    read, unread = (mapped(frames[:6], f"masks.boundary_network={file}")[0] for file in (same, mine))
    assert read.tracker.evidence.appearance
    assert not unread.tracker.evidence.appearance
    assert len(unread.tracker.borders) == len(read.tracker.borders) > 0
    assert unread.instances().objects


def test_labels_fill_the_blocks_they_stand_for():
    depth_m, camera = np.ones((5, 4), np.float32), CameraIntrinsics(4, 5, 4, 4, 2, 2)
    frame, labels = (
        Frame("0", 0.0, np.zeros((5, 4, 3), np.uint8), depth_m, camera, np.eye(4)),
        np.array([[1, 2], [3, 4]]),
    )
    view = ViewBuilder(InputConfig(turn="none"))(frame)
    large = labels_of_frame(labels, frame, replace(view, picture=view.picture[:4]))
    assert large.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4], [0, 0, 0, 0]]
    view = ViewBuilder(InputConfig(turn="clockwise"))(frame)  # what was left is above, what was at the bottom is left
    large = labels_of_frame(labels, frame, replace(view, picture=view.picture[:, :4]))
    assert large.tolist() == [[0, 0, 0, 0], [2, 2, 4, 4], [2, 2, 4, 4], [1, 1, 3, 3], [1, 1, 3, 3]]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_camera_on_its_side_gives_the_same_map(frames, result, finished, quarters):
    """A phone held upright: its images are turned, by what the first pose says, and its labels turned back."""
    upright, labels = result
    mapper, turned = mapped([frame.turned(quarters) for frame in frames])
    assert all(np.mean(np.rot90(image, quarters) == expected) > 0.99 for image, expected in zip(turned, labels))
    assert [np.rot90(image, quarters).shape for image in turned] == [image.shape for image in labels]
    a, b = finished, mapper.instances()
    assert len(a.points) == len(b.points)
    of_pieces = [mapper.voxel_map.surface().label for mapper in (upright, mapper)]
    assert np.mean(of_pieces[0] == of_pieces[1]) > 0.99
    shared = np.zeros((a.instance.max() + 1, b.instance.max() + 1))
    np.add.at(shared, (a.instance, b.instance), 1)
    same = linear_sum_assignment(-shared)  # ids count on, so an object more or less renames those after it
    assert shared[same].sum() / len(a.instance) > 0.99
    assert upright.notes() == []
    assert f"turned ({TURNS[4 - quarters]})" in mapper.notes()[0]
    for view in mapper.gatherer.views:  # they are shown to people, and to CLIP
        assert (view.camera.width, view.camera.height) == (320, 240)


def test_images_are_not_turned_where_it_is_not_clear_what_is_up(frames):
    def quarters(frame: Frame, turn: str = "auto") -> int:
        return ViewBuilder(InputConfig(turn=turn))(frame).quarters

    on_its_side = frames[0].turned(1)
    assert quarters(on_its_side) == 3
    assert quarters(on_its_side, "none") == 0
    assert quarters(on_its_side, "half") == 2
    assert quarters(replace(on_its_side, z_up=False)) == 0
    assert quarters(replace(frames[0], pose=np.eye(4))) == 0  # a world that is the first camera: its z axis is forward
    assert quarters(replace(frames[0], pose=frames[0].pose @ rotated_about_the_axis(40))) == 0
    assert quarters(replace(frames[0], pose=frames[0].pose @ rotated_about_the_axis(65))) != 0
    build = ViewBuilder(InputConfig())
    assert [build(frame).quarters for frame in (on_its_side, frames[0])] == [3, 3]  # the first frame decides


def test_a_map_is_gone_on_with_by_a_camera_of_another_mounting(frames):
    def quarters(first: Frame, then: Frame) -> int:
        build, resumed = ViewBuilder(InputConfig()), ViewBuilder(InputConfig())
        build.mapped = build(first)
        resumed.restore(Saved("depth", 0, build.state()))
        return resumed(then).quarters

    level, on_its_side = frames[0], frames[0].turned(1)  # a robot's camera, and another one
    assert quarters(on_its_side, level) == 0
    assert quarters(level, on_its_side) == 3
    assert quarters(on_its_side, on_its_side) == 3
    phone = replace(level, pose=level.pose @ rotated_about_the_axis(90))  # held upright; `level` is it held level
    turn = quarters(phone, phone)
    assert turn in (1, 3)
    assert quarters(phone, level) == 0
    assert quarters(level, phone) == turn
    camera, down = phone.intrinsics, np.diag([1.0, -1, -1, 1])  # a pose that does not say what is up
    assert quarters(phone, replace(phone, pose=down)) == turn
    for zoom, expected in ((1.03, turn), (2, 0)):  # focus moves, but another camera is mounted otherwise
        zoomed = replace(camera, fx=zoom * camera.fx, fy=zoom * camera.fy)
        assert quarters(phone, replace(phone, pose=down, intrinsics=zoomed)) == expected
    assert quarters(phone, replace(on_its_side, pose=down)) == 0


@pytest.mark.parametrize(("degrees", "shift_m", "told"), [(0, 0, False), (10, 0, True), (0, 0.3, True), (0, 50, True)])
def test_a_map_gone_on_with_in_another_world_frame_is_told(frames, begun, degrees, shift_m, told):
    other = rotated_about_the_axis(degrees)  # about the world's z axis: the floor still fits
    other[:2, 3] = shift_m  # not just along a wall, which would fit
    resumed = Mapper()
    resumed.resume(begun)
    for frame in frames[6:9]:
        resumed.step(replace(frame, pose=other @ frame.pose))
    assert ("Nothing that was seen since the map was gone on with is where" in " ".join(resumed.notes())) == told


def rotated_about_the_axis(degrees: float) -> np.ndarray:
    """(4, 4) Of a camera about its optical axis."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    return turn


@pytest.mark.parametrize(
    ("width", "height", "working_width"),
    [(40, 30, 320), (320, 20, 320), (20, 64, 320), (1280, 544, 64), (4096, 2160, 64), (2000, 20, 64)],
)
def test_images_of_any_size_are_mapped(width, height, working_width):
    depth = np.full((height, width), 2, np.float32)
    depth[:, width // 2 :] = 1.5
    colour = np.full((height, width, 3), 90, np.uint8)
    colour[:, width // 2 :] = 200
    camera = CameraIntrinsics(width, height, width, width, width / 2, height / 2)
    mapper = Mapper(load_config(None, [f"input.working_width_px={working_width}", "tracking.min_mask_px=1"]))
    for i in range(3):
        labels = mapper.step(Frame(f"{i}", i / 30, colour, depth, camera, np.eye(4))).labels
        assert labels.shape == depth.shape
        if height > 20:  # less than a border's width is left of a flat image
            assert (labels > 0).mean() > 0.5
    mapper.instances()


def test_broken_joining_weights_are_told_of_before_the_first_frame(monkeypatch, tmp_path):
    broken = tmp_path / "joining.npz"
    broken.write_bytes(b"half a file")
    monkeypatch.setattr(joining, "WEIGHTS", broken)
    shipped_model.cache_clear()
    with pytest.raises(UserError, match=r"joining\.npz cannot be used"):
        Mapper()
    Mapper(load_config(None, ["finishing.joining=votes"]))
    Mapper(load_config(None, ["masks.generator=geometric"]))
    shipped_model.cache_clear()
