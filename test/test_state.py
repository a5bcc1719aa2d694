"""Save, load, continue: the same bytes as in one go, and files that are damaged or made by somebody."""

import json
import os
import resource
import zipfile
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcseg_ros.config import load_config
from gcseg_ros.errors import UserError
from gcseg_ros.files import atomic_path, read_json
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.instances.export import read_instance_map
from gcseg_ros.mapper import Mapper
from gcseg_ros.masks.geometric import GeometricGenerator
from gcseg_ros.masks.proposals import build_generator
from gcseg_ros.propagation import ReprojectionPropagator
from gcseg_ros.run import AHEAD, map_recording
from gcseg_ros.state import FORMAT, STATE, Saved, read_state, write_state
from gcseg_ros.tracked_labels import SUFFIX

FRAMES = 9
CAMERA = CameraIntrinsics(96, 72, 80.0, 80.0, 47.5, 35.5)


def frame(i):
    """A wall with three boxes before it, two of which touch; the camera moves to the right, until the first is out of sight."""
    noise = np.random.default_rng(i).normal(size=(72, 96))
    depth_m = np.full((72, 96), 2.0)
    colour = np.full((72, 96, 3), 60, np.uint8)
    for u, z, paint in ((4, 1.5, (200, 120, 40)), (60, 1.5, (40, 120, 200)), (80, 1.53, (120, 200, 40))):
        left, right = max(u - 6 * i, 0), max(u + 20 - 6 * i, 0)
        depth_m[20:50, left:right], colour[20:50, left:right] = z, paint
    depth_m = (depth_m + 0.002 * noise).astype(np.float32)
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    pose[:3, 3] = 0, -0.1125 * i, 1
    return Frame(f"{i:06d}", i / 10, colour, depth_m, CAMERA, pose)


FAST = ("masks.generator=geometric", "input.working_width_px=96", "finishing.structure=none")
WAYS = {
    "map": (),
    "learned": ("masks.generator=learned",),
    "algorithm1": ("tracking.association=algorithm1", "tracking.dormant_view=last_mask"),
    "terminating": ("tracking.association=algorithm1", "tracking.max_dormant_frames=2"),
}


def mapper_of(way="map", *more):
    return Mapper(load_config(None, [*FAST, *WAYS[way], *more]))


@pytest.fixture(scope="module")
def frames():
    return [frame(i) for i in range(FRAMES)]


@pytest.fixture(scope="module")
def saved(frames, tmp_path_factory):
    """A state file after five frames."""
    mapper = mapper_of()
    for f in frames[:5]:
        mapper.step(f)
    mapper.instances()
    path = tmp_path_factory.mktemp("state") / "state.npz"
    mapper.save_state(path)
    return path


@pytest.fixture(scope="module")
def described(frames, tmp_path_factory):
    """The same with learned masks, which also tell what labels look like."""
    mapper = mapper_of("learned")
    for f in frames[:5]:
        mapper.step(f)
    path = tmp_path_factory.mktemp("described") / "state.npz"
    mapper.save_state(path)
    return path


def assert_same(a, b, where="mapper"):
    """Equal in everything that they remember, to the bit and in the order of dictionaries."""
    assert type(a) is type(b), where
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, where
        np.testing.assert_array_equal(a, b, err_msg=where)
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key}]")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)):
            assert_same(x, y, f"{where}[{i}]")
    elif is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif type(a).__module__.startswith("gcseg_ros") and hasattr(a, "__dict__"):
        assert_same(vars(a), vars(b), where)
    else:
        assert a == b, where


def remembered(mapper):
    """All attributes of a mapper and of what it holds, but the time it took, what masks come from, where a voxel's slot is, whether what is
    seen since it was restored fits it, and how images are turned from here on, which the next frame decides."""
    here = {name: value for name, value in vars(mapper).items() if name not in ("stages", "_resumed")}
    tracker = {name: value for name, value in vars(mapper.tracker).items() if name not in ("generate", "voxel_map")}
    views = {name: value for name, value in vars(mapper._build_view).items() if name != "quarters"}
    return {**here, "_build_view": views, "tracker": tracker, "voxel_map": mapper.voxel_map.state()}


@pytest.mark.parametrize(
    ("way", "cut"), [("map", 0), ("map", 4), ("map", 5), ("learned", 5), ("algorithm1", 5), ("terminating", 5)]
)
def test_two_halves_are_the_whole(frames, tmp_path, way, cut):
    whole, first, second = mapper_of(way), mapper_of(way), mapper_of(way)
    labels = [whole.step(f).labels for f in frames]
    halves = [first.step(f).labels for f in frames[:cut]]
    first.save_state(tmp_path / "state.npz")
    second.resume(tmp_path / "state.npz")
    assert_same(remembered(first), remembered(second))
    halves += [second.step(f).labels for f in frames[cut:]]
    np.testing.assert_array_equal(labels, halves)
    assert_same(remembered(whole), remembered(second))
    assert_same(whole.instances(), second.instances())
    assert whole.tracker.objects.counts()["active"] > 0, "something is tracked"
    if way == "terminating":
        assert whole.tracker.objects.counts()["terminated"] > 0


@pytest.mark.parametrize("way", WAYS)
def test_detecting_ahead_changes_nothing(frames, way):
    whole, ahead = mapper_of(way), mapper_of(way)
    labels = [whole.step(f).labels for f in frames]
    views, detected, tracked = [], [], []
    for f in frames:
        views.append((f, ahead.view_of(f)))
        if len(views) > 2:
            detected.append(ahead.detect(*views.pop(0)))
        if len(detected) > 3:
            tracked.append(ahead.track(detected.pop(0)).labels)
    detected += [ahead.detect(*seen) for seen in views]
    tracked += [ahead.track(detections).labels for detections in detected]
    np.testing.assert_array_equal(labels, tracked)
    assert_same(remembered(whole), remembered(ahead))


class Walk:
    """A recording of these frames, of which those from `broken` on cannot be read."""

    path, format, skipped, notes = "walk", "walk", {}, []

    def __init__(self, frames, broken=None):
        self.frames, self.broken = frames, broken

    def __len__(self):
        return len(self.frames)

    def __iter__(self):
        yield from self.frames[: self.broken]
        if self.broken is not None:
            raise UserError("A frame is broken: copy it again.")


@pytest.fixture(scope="module")
def whole(frames, tmp_path_factory):
    return map_recording(Walk(frames), tmp_path_factory.mktemp("whole") / "out", load_config(None, FAST))[0]


def test_stopped_and_gone_on_with_it_is_the_same_map(frames, whole, tmp_path):
    """What has been detected when the mapping is stopped is still mapped."""
    config, out = load_config(None, FAST), tmp_path / "out"
    _, summary = map_recording(Walk(frames), out, config, interrupted=lambda: True)
    assert not summary["complete"]
    assert 1 <= summary["frames"] <= 3 + 2 * AHEAD
    rest, _ = map_recording(Walk(frames), out, config, slice(summary["frames"], None), resume=out)
    assert_same(whole, rest)


def test_broken_off_and_gone_on_with_it_is_the_same_map(frames, whole, tmp_path):
    config, out = load_config(None, FAST), tmp_path / "out"
    with pytest.raises(
        UserError, match=r"^A frame is broken: copy it again; .*out holds the map of the 5 frames before that"
    ):
        map_recording(Walk(frames, 5), out, config)
    rest, _ = map_recording(Walk(frames), out, config, slice(5, None), resume=out)
    assert_same(whole, rest)
    with pytest.raises(UserError, match=r"^A frame is broken: copy it again\.$"):
        map_recording(Walk(frames, 0), tmp_path / "none", config)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("part", "at"), [(GeometricGenerator, 4), (ReprojectionPropagator, 5)])
def test_where_a_network_fails_the_map_of_the_frames_before_it_is_left_to_go_on_with(
    frames, whole, tmp_path, monkeypatch, part, at
):
    config, out = load_config(None, FAST), tmp_path / "out"
    with monkeypatch.context() as patch:
        run = part.__call__

        def failing(self, view):
            if view.name == frames[at].name:
                raise UserError("The GPU's memory is full.")
            return run(self, view)

        patch.setattr(part, "__call__", failing)
        with pytest.raises(
            UserError, match=rf"^The GPU's memory is full; .*out holds the map of the {at} frames before that\.$"
        ):
            map_recording(Walk(frames), out, config)
    summary = read_json(out / "summary.json")
    assert (summary["complete"], summary["frames"], summary["total_frames"]) == (False, at, at)
    assert summary["notes"] == ["The GPU's memory is full."]
    rest, _ = map_recording(Walk(frames), out, config, slice(at, None), resume=out)
    assert_same(whole, rest)


def test_a_disk_that_fills_up_leaves_the_map_of_the_frames_before_that_to_go_on_with(frames, whole, tmp_path):
    """/dev/full is a full disk."""
    config, out = load_config(None, FAST), tmp_path / "out"

    def fill(mapped):
        if mapped == 5:
            (labels,) = tmp_path.glob(".out.*/labels")
            (labels / f"{frames[4].name}{SUFFIX}").symlink_to("/dev/full")

    with pytest.raises(
        UserError,
        match=rf"labels of frame {frames[4].name} .*: No space left .*out holds the map of the 5 frames before",
    ):
        map_recording(Walk(frames), out, config, progress=fill)
    summary = read_json(out / "summary.json")
    assert (summary["complete"], summary["frames"], summary["total_frames"]) == (False, 5, 5)
    assert "No space left" in summary["notes"][-1]
    assert sorted(file.stem for file in (out / "labels").iterdir()) == [frame.name for frame in frames[:4]]
    rest, _ = map_recording(Walk(frames), out, config, slice(5, None), resume=out)
    assert_same(whole, rest)


def test_a_disk_that_is_full_in_the_end_takes_the_map_without_label_images(frames, whole, tmp_path, monkeypatch):
    out, save_state = tmp_path / "out", Mapper.save_state

    def save(self, path):
        if (path.parent / "labels").exists():
            with atomic_path(path):
                Path("/dev/full").write_bytes(b"one byte more")
        save_state(self, path)

    monkeypatch.setattr(Mapper, "save_state", save)
    with pytest.raises(UserError, match=r"the disk is full.*out holds the map of the 9 frames, without label images"):
        map_recording(Walk(frames), out, load_config(None, FAST))
    assert not (out / "labels").exists()
    np.testing.assert_array_equal(read_instance_map(out).instance, whole.instance)
    summary = read_json(out / "summary.json")
    assert (summary["complete"], summary["frames"]) == (False, len(frames))
    assert "left out: label images" in summary["notes"][-1]


def test_a_file_that_may_not_be_so_large_is_left_out_of_the_map(frames, whole, tmp_path):
    """As under `ulimit -f`, or beyond 4 GB on FAT32: state.npz, the largest of the files."""
    out, (soft, hard) = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
        with pytest.raises(UserError, match=r"a file may not be so large there .*left out: state.npz; raise the limit"):
            map_recording(Walk(frames), out, load_config(None, FAST))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (out / STATE).exists()
    assert (out / "labels").is_dir()
    np.testing.assert_array_equal(read_instance_map(out).instance, whole.instance)


def test_generators_remember_nothing(frames):
    """Else their memory would have to be saved as well."""
    for kind in ("geometric", "learned"):
        config = load_config(None, [f"masks.generator={kind}", "input.working_width_px=96"])
        mapper = Mapper(config)
        view = mapper.view_of(frames[0])
        fresh = build_generator(config.masks)
        mapper.tracker.generate(mapper.view_of(frames[1]))
        assert_same(mapper.tracker.generate(view), fresh(view))


def test_saving_is_saving_again(saved, tmp_path):
    """And a state that goes through a mapper comes out as the same bytes, but for the zip's clock."""
    mapper = mapper_of()
    mapper.resume(saved)
    mapper.save_state(tmp_path / "again.npz")
    with zipfile.ZipFile(saved) as a, zipfile.ZipFile(tmp_path / "again.npz") as b:
        assert a.namelist() == b.namelist()
        assert all(a.read(name) == b.read(name) for name in a.namelist())


def test_the_file_is_plain_numpy(saved):
    with np.load(saved, allow_pickle=False) as file:
        assert file["map/key"].dtype == np.int64
        assert json.loads(file["state.json"])["format"] == FORMAT


class Crops:
    """What another part may want to keep."""

    def __init__(self, crops):
        self.crops = crops

    def state(self):
        return {"pixels": self.crops, "caption": ["a", "b"], "count": 2}

    def restore(self, saved):
        self.crops = saved.array("pixels", np.uint8, (None, 4))
        assert saved.texts("caption", saved.number("count")) == ["a", "b"]


def test_extensions_are_saved_with_the_map(tmp_path, saved):
    mapper = mapper_of()
    mapper.extensions["crops"] = Crops(np.arange(8, dtype=np.uint8).reshape(2, 4))
    mapper.save_state(tmp_path / "state.npz")
    again = mapper_of()
    again.extensions["crops"] = Crops(None)
    again.resume(tmp_path / "state.npz")
    assert again.extensions["crops"].crops.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert read_state(tmp_path / "state.npz").part("crops").number("count") == 2
    mapper_of().resume(tmp_path / "state.npz")  # nobody asks for them
    again.resume(saved)  # a file from before there were any
    assert again.extensions["crops"].crops.shape == (2, 4)


def test_another_voxel_size_is_refused(saved):
    with pytest.raises(UserError, match=r"voxels of 0\.03 m, and map\.voxel_m is 0\.05"):
        mapper_of("map", "map.voxel_m=0.05").resume(saved)


def test_another_association_or_camera_goes_on(saved, frames):
    mapper = mapper_of("algorithm1")
    mapper.resume(saved)
    for f in frames[5:]:
        mapper.step(f)
    small = mapper_of("map", "input.working_width_px=64")
    small.resume(saved)
    small.step(frames[5])
    assert len(small.voxel_map) >= len(read_state(saved).part("map").array("key", np.int64, (None,)))


def test_what_is_no_state(tmp_path):
    with pytest.raises(UserError, match="no saved map to go on from"):
        read_state(tmp_path)
    for content in (b"", b"PK\x05\x06" + 18 * b"\0", b"hello", b"\x80\x04N."):
        (tmp_path / "state.npz").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as a saved map"):
            read_state(tmp_path)


def test_a_state_that_one_may_not_read_is_not_called_damaged(tmp_path):
    file = tmp_path / "state.npz"
    file.touch(0o000)
    if os.access(file, os.R_OK):
        pytest.skip("whoever runs this may read everything")
    with pytest.raises(UserError, match=r"state.npz cannot be read: Permission denied\.$"):
        read_state(tmp_path)


def rewritten(saved, path, change=None, header=None, compress=zipfile.ZIP_STORED):
    """The state with one array or the header changed."""
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w", compress) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "state.json" and header:
                content = json.loads(data)
                header(content)
                data = json.dumps(content).encode()
            if change and name == f"{change[0]}.npy":
                with target.open(name, "w") as file:
                    np.lib.format.write_array(file, np.asarray(change[1]))
            else:
                target.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("map/key", np.zeros(3, np.int64)),
        ("map/key", np.array(["a"])),
        ("map/key", np.array([{}], object)),
        ("map/labels", np.zeros((4, 4), np.int32)),
        ("map/labels", lambda a: a + 1000),
        ("map/labels", lambda a: a - 1),
        ("map/key", lambda a: np.roll(a, 1) * 0 + a[0]),
        ("map/key", lambda a: -a - 1),
        ("map/sums", lambda a: a * np.float32(np.nan)),
        ("map/sums", lambda a: a * 0),
        ("map/votes", lambda a: a - 1e9),
        ("map/sums", lambda a: a.astype(">f4")),
        ("objects/state", lambda a: a + 3),
        ("objects/dormant", lambda a: np.append(a, 0)),
        ("objects/matched_at", lambda a: a[1:]),
        ("objects/since", lambda a: a[1:]),
        ("objects/free", lambda a: np.append(a, 1)),
        ("evidence/pairs", lambda a: a[:, ::-1]),
        ("evidence/pairs", lambda a: a * 0 + 3),
        ("evidence/weight", lambda a: a * 0),
        ("evidence/seen", lambda a: np.append(a, np.inf)),
        ("depth/depth_m", lambda a: a[:-1]),
        ("depth/pose", lambda a: a * 2),
        ("depth/camera", lambda a: a * 0),
        ("propagation/labels", lambda a: a + 70000),
        ("instances/of_tracked", lambda a: a - 1),
        ("instances/of_tracked", lambda a: a + 70000),
        ("instances/of_tracked", lambda a: np.append(a, np.zeros(99, np.int64))),
    ],
)
def test_arrays_are_checked(saved, tmp_path, name, value):
    assert_refused(saved, tmp_path, name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("evidence/looks", lambda a: a * 0),
        ("evidence/looks", lambda a: a[:-1]),
        ("evidence/looks", lambda a: a * np.nan),
        ("evidence/described", lambda a: a * 0 + 1),
        ("evidence/described", lambda a: a + 70000),
    ],
)
def test_looks_are_checked(described, tmp_path, name, value):
    assert_refused(described, tmp_path, name, value)


def assert_refused(saved, tmp_path, name, value):
    """One array of a file is changed: the file is refused with one sentence that names it."""
    with np.load(saved) as file:
        changed = value(file[name]) if callable(value) else value
        assert (
            changed.shape != file[name].shape or not np.array_equal(changed, file[name]) or changed.dtype.str[0] == ">"
        )
    path = rewritten(saved, tmp_path / "state.npz", (name, changed))
    with pytest.raises(UserError) as error:
        mapper_of().resume(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def put(path, value):
    def change(header):
        *parts, last = path
        for part in parts:
            header = header[part]
        if value is None:
            del header[last]
        else:
            header[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["format"], FORMAT + 1, f"is in format {FORMAT + 1} .* this version reads format {FORMAT}"),
        (["format"], None, "names no format"),
        (["format"], "1", "names no format"),
        (["parts"], None, "cannot be read as a saved map"),
        (["parts"], [1], "has no parts"),
        (["parts", "map"], None, "map/key must be int64 .* found nothing"),
        (["parts", "map"], 3, "has no parts"),
        (["objects"], -1, "objects must be a whole number from 0 to 65535; found -1"),
        (["objects"], True, "objects must be a whole number"),
        (["objects"], 10**9, "objects must be a whole number"),
        (["objects"], 1, "must be"),
        (["voxel_m"], None, "has voxels of None m"),
        (["parts", "tracking", "frames"], -1, "tracking/frames must be a whole number from 0"),
        (["parts", "tracking", "frames"], 1.5, "found 1.5"),
        (["parts", "objects", "first_seen"], ["a"], "a list of .* texts"),
        (["parts", "objects", "last_seen"], 7, "a list of .* texts"),
        (["parts", "depth", "name"], 7, "must be a text"),
        (["parts", "depth", "measured_m"], [0.5], "measured_m"),
    ],
)
def test_the_header_is_checked(saved, tmp_path, path, value, says):
    file = rewritten(saved, tmp_path / "state.npz", header=put(path, value))
    if path[-1] == "measured_m":
        mapper_of().resume(file)  # the array of that name wins
        return
    with pytest.raises(UserError, match=says):
        mapper_of().resume(file)


def test_compressed_files_are_refused_before_they_are_unpacked(saved, tmp_path):
    path = rewritten(saved, tmp_path / "bomb.npz", compress=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="not stored as they are"):
        read_state(path)


def test_an_array_that_promises_more_than_the_file_holds(saved, tmp_path):
    path = tmp_path / "state.npz"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "map/key.npy":
                long = {"descr": "<i8", "fortran_order": False, "shape": (10**13,)}
                text = repr(long).ljust(117) + "\n"
                data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
            target.writestr(name, data)
    with pytest.raises(UserError, match="cannot be read as a saved map"):
        read_state(path)


@given(st.data())
@settings(max_examples=40)
def test_a_damaged_file_is_refused_or_harmless(tmp_path_factory, saved, data):
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.one_of(st.integers(0, 3000), st.integers(len(content) - 3000, len(content) - 1)))
            content[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "state.npz"
    path.write_bytes(content)
    try:
        mapper = mapper_of()
        mapper.resume(path)
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is fine
    else:
        mapper.step(frame(5))
        mapper.instances()


def test_a_file_that_cannot_be_written_leaves_the_former_one(tmp_path, monkeypatch):
    write_state(tmp_path / "state.npz", {"objects": 0}, {"a": {"x": np.zeros(3)}})
    with pytest.raises(TypeError):
        write_state(tmp_path / "state.npz", {"objects": 0}, {"a": {"x": object()}})
    with pytest.raises(ValueError, match="pickle"):
        write_state(tmp_path / "state.npz", {"objects": 0}, {"a": {"x": np.array([object()])}})
    assert read_state(tmp_path / "state.npz").part("a").array("x", float, (3,)).tolist() == [0, 0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_ranges_and_shapes_of_one_array():
    saved = Saved("FILE: part", 5, {"x": np.array([1, 2, 3]), "e": np.zeros((0, 4), np.float32)})
    assert saved.array("x", np.int64, (3,), 1, 3).tolist() == [1, 2, 3]
    assert saved.array("e", np.float32, (None, 4)).shape == (0, 4)
    for wrong in ((np.int32, (3,)), (np.int64, (4,)), (np.int64, (3, 1)), (np.int64, (None, None))):
        with pytest.raises(UserError, match=r"FILE: part/x must be"):
            saved.array("x", *wrong)
    with pytest.raises(UserError, match="numbers from 2 to 3; found 1 to 3"):
        saved.array("x", np.int64, (3,), 2, 3)
