"""The recording format `synthetic:...`, its truth, its export, and the sensor models."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from gcseg_ros.errors import UserError
from gcseg_ros.frames import back_project
from gcseg_ros.recordings import open_recording
from gcseg_ros.recordings.synthetic import STYLES, SyntheticRecording, export
from gcseg_ros.recordings.synthetic.recording import drift, parse
from gcseg_ros.recordings.synthetic.rendering import View
from gcseg_ros.recordings.synthetic.sensor import (
    SENSORS,
    ColourSensor,
    auto_exposure,
    random_colour_sensor,
    random_depth_sensor,
    sense_colour,
    sense_depth,
)


def test_import_is_cheap():
    """Recognising formats must not load the compiler."""
    code = "import sys, gcseg_ros.recordings.synthetic; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_recording_yields_frames():
    recording = open_recording("synthetic:7:bedroom:3")
    assert isinstance(recording, SyntheticRecording)
    frames = list(recording)
    assert len(frames) == len(recording) == 3
    assert [f.name for f in frames] == ["000000", "000001", "000002"]
    assert frames[2].stamp_s == pytest.approx(2 / 15)
    assert frames[0].intrinsics.fx == 525
    assert frames[0].colour.shape == (480, 640, 3)
    again = list(open_recording("synthetic:7:bedroom:3"))
    assert np.array_equal(frames[1].depth_m, again[1].depth_m)
    assert np.array_equal(frames[1].colour, again[1].colour)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("synthetic:3", (3, "demo", 240)),
        ("synthetic:0:office", (0, "office", 240)),
        ("synthetic:12:cafe:30", (12, "cafe", 30)),
    ],
)
def test_specs(spec, expected):
    assert parse(spec) == expected


@pytest.mark.parametrize(
    "spec",
    [
        "synthetic:",
        "synthetic:x",
        "synthetic:-1",
        "synthetic:1.5",
        "synthetic:9999999999",
        "synthetic:1:palace",
        "synthetic:1:demo:0",
        "synthetic:1:demo:many",
        "synthetic:1:demo:10:7",
        "synthetic:1::",
    ],
)
def test_bad_specs_name_the_styles(spec):
    with pytest.raises(UserError, match="demo, ") as error:
        open_recording(spec)
    assert spec in str(error.value)


def test_truth_lies_on_the_surface_and_names_real_objects():
    recording = SyntheticRecording(Path("synthetic:4:office:4"))
    cloud = recording.truth(stride=4)
    assert len(cloud.points) > 1000
    ids = {o.id: o for o in recording.room.objects}
    assert set(np.unique(cloud.instance)) <= set(ids)
    assert all(ids[i].is_stuff == s for i, s in set(zip(cloud.instance.tolist(), cloud.stuff.tolist())))
    cells = np.floor(cloud.points / 0.02).astype(int)
    assert len(np.unique(cells, axis=0)) > 0.98 * len(cells), "one point a voxel"
    boxes = np.stack([ids[i].box for i in cloud.instance])
    assert (cloud.points > boxes[:, 0] - 0.01).all()
    assert (cloud.points < boxes[:, 1] + 0.01).all()
    assert np.allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-3)


def test_export_writes_the_scannet_layout(tmp_path):
    told = []
    folder = export("synthetic:2:kitchen", tmp_path / "out" / "room", 2, lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["color", "depth", "pose", "pose_noisy", "intrinsic", "instance", "instances.json", "gt_cloud.npz", "meta.json"]
    )
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["room"], "nothing temporary is left"
    frame, view = next(SyntheticRecording(Path("synthetic:2:kitchen:2")).views())
    depth = cv2.imread(str(folder / "depth" / "000000.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert np.abs(depth / 1000 - frame.depth_m).max() < 0.00051
    instance = cv2.imread(str(folder / "instance" / "000000.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(instance, view.instance)
    assert np.allclose(np.loadtxt(folder / "pose" / "000000.txt"), frame.pose, atol=1e-8)
    assert np.loadtxt(folder / "intrinsic" / "intrinsic_depth.txt")[0, 0] == 525
    objects = json.loads((folder / "instances.json").read_text())
    assert {int(i) for i in objects} >= set(np.unique(instance)) - {0}
    with np.load(folder / "gt_cloud.npz", allow_pickle=False) as cloud:
        assert cloud["points"].dtype == np.float32
        assert len(cloud["points"]) == len(cloud["instance"]) == len(cloud["stuff"]) == len(cloud["normals"])
        points = back_project(view.depth_m, frame.intrinsics, frame.pose)[view.depth_m > 0][::997]
        assert cKDTree(cloud["points"]).query(points)[0].max() < 0.04


def test_export_keeps_what_is_there(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="empty"):
        export("synthetic:2:kitchen:2", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_export_into_a_link_and_not_into_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    export("synthetic:2:kitchen:1", tmp_path / "link")
    assert (tmp_path / "disk/meta.json").is_file()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match=r"here is the current folder or a mounted disk: name a folder in it"):
        export("synthetic:2:kitchen:100000", ".")


def test_an_export_that_does_not_fit_on_the_disk(tmp_path):
    export("synthetic:2:kitchen:1", tmp_path / "room")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            UserError, match=r"The recording .*/other cannot be written: File too large; free some space"
        ):
            export("synthetic:2:kitchen:1", tmp_path / "other")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(UserError, match=r"meta.json/other cannot be written: File exists"):
        export("synthetic:2:kitchen:100000", tmp_path / "room/meta.json/other")
    assert [path.name for path in tmp_path.iterdir()] == ["room"]


def test_drift_is_bounded():
    poses = np.tile(np.eye(4), (240, 1, 1))
    off = drift(poses, np.random.default_rng(1))
    assert np.linalg.norm(off[:, :3, 3], axis=1).max() < 0.04
    angle = np.degrees(np.arccos(np.clip((np.trace(off[:, :3, :3], axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert 0 < angle.max() < 1.5


def test_poses_that_drift_are_an_option_as_in_what_is_exported(tmp_path):
    folder = export("synthetic:2:kitchen:3", tmp_path / "room")
    exact, drifting = ([*open_recording("synthetic:2:kitchen:3", poses=poses)] for poses in (None, "pose_noisy"))
    for one, other, written in zip(exact, drifting, open_recording(folder, poses="pose_noisy"), strict=True):
        assert (one.depth_m == other.depth_m).all(), "the camera is where it is"
        assert other.pose == pytest.approx(written.pose, abs=1e-8)
    assert not np.allclose(exact[-1].pose, drifting[-1].pose, atol=1e-4)
    with pytest.raises(UserError, match=r"^The poses of a synthetic recording are pose or pose_noisy; found 'odom'.$"):
        open_recording("synthetic:2:kitchen:3", poses="odom")


def flat_view(z, cosine=1.0, size=(240, 320)):
    ones = np.ones(size, np.float32)
    label = np.ones(size, np.uint16)
    normal = np.zeros((*size, 3), np.float32)
    colour = np.full((*size, 3), 128, np.uint8)
    return View(colour, ones * np.float32(z), label, label, normal, ones * np.float32(cosine), ones * 0)


@pytest.mark.parametrize("z", [1.0, 2.0, 3.5])
def test_structured_light_noise_has_the_published_size(z):
    measured = sense_depth(flat_view(z), SENSORS["kinect"], np.random.default_rng(0))
    valid = measured[measured > 0]
    assert len(valid) / measured.size == pytest.approx(0.99, abs=0.005)
    noise, step = 0.0012 + 0.0019 * (z - 0.4) ** 2, 0.00285 * z * z
    assert valid.std() == pytest.approx(np.hypot(noise, step / np.sqrt(12)), rel=0.2)
    assert valid.mean() == pytest.approx(z, abs=0.1 * noise + 0.3 * step)
    disparity = 1 / (valid.astype(float) * 0.00285)
    assert np.abs(disparity - disparity.round()).max() < 1e-3


def test_range_grazing_surfaces_and_holes():
    rng = np.random.default_rng(0)
    assert (sense_depth(flat_view(6.5), SENSORS["kinect"], rng) == 0).all()
    assert (sense_depth(flat_view(0.1), SENSORS["kinect"], rng) == 0).all()
    assert (sense_depth(flat_view(2, cosine=0.1), SENSORS["kinect"], rng) == 0).all()
    glass = flat_view(2)
    glass.hole[:] = 0.95
    assert (sense_depth(glass, SENSORS["kinect"], rng) == 0).mean() > 0.8


def test_edges_jitter_and_drop_out():
    view = flat_view(1.5)
    view.depth_m[:, 160:] = 3.0
    measured = sense_depth(view, SENSORS["kinect"], np.random.default_rng(0))
    edge, calm = measured[:, 159:161], measured[:, 40:42]
    assert (edge == 0).mean() > 0.15
    assert (calm == 0).mean() < 0.03
    assert (measured[:, 159] > 2.5).mean() > 0.02
    assert (measured[:, 160] < 2).mean() > 0.02


@pytest.mark.parametrize("name", SENSORS)
def test_all_sensors(name):
    rng = np.random.default_rng(2)
    view = flat_view(2.0)
    for _ in range(3):
        measured = sense_depth(view, random_depth_sensor(rng, name), rng)
        assert measured.dtype == np.float32
        assert measured.shape == view.depth_m.shape
        assert np.isfinite(measured).all()
        assert np.abs(measured[measured > 0] - 2).max() < 0.3
    if name == "ideal":
        assert np.array_equal(measured, view.depth_m)


def test_colour_sensor_keeps_shape_and_exposure_adapts():
    rng = np.random.default_rng(1)
    dark = np.full((60, 80, 3), 30, np.uint8)
    for _ in range(20):
        assert sense_colour(dark, random_colour_sensor(rng), rng).shape == dark.shape
    bright = sense_colour(dark, ColourSensor(exposure=auto_exposure(dark)), rng)
    assert bright.mean() > 1.8 * dark.mean()
    same = sense_colour(dark, ColourSensor(noise_sigma=0, jpeg_quality=100), rng)
    assert np.array_equal(same, dark)


def test_every_style_names_known_sensors():
    assert all(set(style.sensors) <= set(SENSORS) for style in STYLES.values())
