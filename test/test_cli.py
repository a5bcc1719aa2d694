"""The command line as people use it: in process for what it says, as a process for signals and exit statuses."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import yaml
from scannet_folder import write_scannet_folder

from gcseg_ros.cli import main
from gcseg_ros.commands.doctor import compiler
from gcseg_ros.config import Config

GCSEG = [sys.executable, "-m", "gcseg_ros.cli"]
WIDTH, HEIGHT, FOCAL = 160, 120, 120.0


def look(azimuth):
    """Camera-to-world, optical frame, 1.4 m above the floor in the middle of the room, looking a little down."""
    forward = np.array([np.cos(azimuth), np.sin(azimuth), -0.35])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    pose[:3, 3] = 0, 0, 1.4
    return pose


def render(pose):
    """Depth (m) and colour of a 5 x 5 x 2.6 m room with two boxes, by the slab method."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL, np.ones(u.shape)], -1) @ pose[:3, :3].T
    slabs = [([-2.5, -2.5, 0], [2.5, 2.5, 2.6], True), ([1.4, -0.5, 0], [2.0, 0.4, 0.7], False)]
    slabs.append(([0.9, 1.2, 0], [1.5, 1.8, 0.5], False))
    depth, colour = np.full(u.shape, np.inf), np.zeros((*u.shape, 3), np.uint8)
    for index, (low, high, inside) in enumerate(slabs):
        with np.errstate(divide="ignore"):
            bounds = np.stack([(np.array(corner) - pose[:3, 3]) / rays for corner in (low, high)])
        near, far = bounds.min(0).max(-1), bounds.max(0).min(-1)
        at = far if inside else np.where((near < far) & (near > 0), near, np.inf)
        closer = at < depth
        depth[closer] = at[closer]
        colour[closer] = [(180, 170, 160), (160, 40, 40), (40, 60, 170)][index]
    return depth, colour


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A ScanNet folder of 12 frames that turn on the spot, with its truth as a cloud beside it."""
    folder = tmp_path_factory.mktemp("cli") / "walk"
    frames, points = [], []
    for i in range(12):
        pose = look(-0.3 + 0.05 * i)
        depth, colour = render(pose)
        frames.append((f"{i:06}", colour, 1000 * depth, pose))
        v, u = np.mgrid[:HEIGHT:2, :WIDTH:2]
        d = depth[v, u]
        camera = np.stack([(u - WIDTH / 2) / FOCAL * d, (v - HEIGHT / 2) / FOCAL * d, d], -1).reshape(-1, 3)
        world = camera @ pose[:3, :3].T + pose[:3, 3]
        red, blue = (colour[v, u].reshape(-1, 3) == c for c in ((160, 40, 40), (40, 60, 170)))
        points.append(np.column_stack([world, red.all(1) + 2 * blue.all(1)]))
    write_scannet_folder(folder, frames, np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]))
    shutil.copytree(folder / "pose", folder / "pose_noisy")
    points = np.concatenate(points)
    np.savez(
        folder.parent / "truth.npz",
        points=points[:, :3].astype(np.float32),
        instance=points[:, 3].astype(np.int32),
        stuff=points[:, 3] == 0,
    )
    return folder


@pytest.fixture(scope="module")
def mapped(walk, tmp_path_factory):
    """`gcseg map`, once, as a process: its output folder and what it printed."""
    out = tmp_path_factory.mktemp("mapped") / "out"
    done = subprocess.run([*GCSEG, "map", walk, "-o", out, "--set", "map.voxel_m=0.04"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out, done


def refused(capsys, *arguments):
    """The one sentence that `gcseg ARGUMENTS` fails with."""
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.startswith("gcseg: ")
    assert captured.err.endswith((".\n", "?\n"))
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_map_writes_what_it_promises(mapped):
    out, done = mapped
    assert re.search(r"\d+ instances from 12 frames in .* frames/s", done.stdout)
    assert done.stderr == ""
    assert {p.name for p in out.iterdir()} == {
        "instances.ply",
        "instances.json",
        "labels",
        "picture.png",
        "state.npz",
        "summary.json",
        "views.npz",
    }
    assert sorted(p.name for p in (out / "labels").iterdir()) == [f"{i:06}.png" for i in range(12)]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == 12
    assert summary["complete"] is True
    assert summary["config"]["map"]["voxel_m"] == 0.04
    assert summary["wall_seconds"] > 0
    assert summary["frames_per_second"] == pytest.approx(12 / summary["wall_seconds"], rel=0.05)
    assert summary["peak_memory_mb"] > 50
    assert set(summary["objects"]) == {"active", "dormant", "terminated"}
    assert summary["ids"] == {"in_use": sum(summary["objects"].values()), "taken_back": 0, "refused": 0}
    assert (
        max(summary["seconds_per_stage"].values()) <= summary["wall_seconds"]
    )  # depth and masks run beside the others
    entries = json.loads((out / "instances.json").read_text())
    ids = set()
    for file in (out / "labels").iterdir():
        labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert labels.dtype == np.uint16
        assert labels.shape == (HEIGHT, WIDTH)
        ids |= set(np.unique(labels).tolist())
    assert ids - {0} <= {entry["id"] for entry in entries}, "labels speak of the finished map's instances"
    assert len(ids) > 3


def test_evaluate(mapped, walk, capsys):
    out, _ = mapped
    truth = walk.parent / "truth.npz"
    assert main(["evaluate", str(out), "--truth", str(truth)]) == 0
    assert "AP50" in capsys.readouterr().out
    assert main(["evaluate", str(out), "--truth", str(truth), "--json", "--exclude-stuff"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["instances"] == 2
    assert figures["ap25"] > 0.5
    for missing in ("no.npz", "nothing", "no/room"):
        assert f"There is no file or folder {missing}: " in refused(capsys, "evaluate", out, "--truth", missing)
    assert "There is no output at" in refused(capsys, "evaluate", "no", "--truth", truth)


def test_view(mapped, tmp_path, capsys):
    out, _ = mapped
    assert main(["view", str(out)]) == 0
    shown = capsys.readouterr().out
    for entry in json.loads((out / "instances.json").read_text()):
        assert f" {entry['id']} " in shown
    assert main(["view", str(out), "--png", str(tmp_path / "new" / "a.jpg")]) == 0
    assert cv2.imread(str(tmp_path / "new" / "a.jpg")) is not None
    assert "let it end in .png" in refused(capsys, "view", out, "--png", tmp_path / "a.xyz")
    assert "name a file" in refused(capsys, "view", out, "--html", ".")
    assert "name a file" in refused(capsys, "view", out, "--png", "")
    assert "gcseg map" in refused(capsys, "view", tmp_path)


def test_view_of_a_labelled_cloud(mapped, tmp_path, capsys):
    cloud = tmp_path / "cloud.ply"
    cloud.write_bytes((mapped[0] / "instances.ply").read_bytes())
    assert main(["view", str(cloud), "--html", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").is_file()
    assert "is what is read" in refused(capsys, "view", cloud, "--png", cloud)
    assert "another name" in refused(capsys, "view", cloud, "--png", tmp_path / "b.png", "--html", tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
    cloud.write_text("no cloud")
    assert "is not a PLY file" in refused(capsys, "view", cloud)


def test_view_leaves_the_map_that_it_shows_as_it_is(mapped, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(mapped[0], out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    for kind, name in (("--html", "instances.ply"), ("--rrd", "summary.json"), ("--png", "labels/000000.png")):
        assert f"{out / name} " in refused(capsys, "view", out, kind, out / name)
    assert main(["view", str(out), "--png", str(out / "picture.png")]) == 0, "the same picture again"
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_names_of_any_bytes(mapped, tmp_path, capsys):
    out = tmp_path / os.fsdecode(b"copy\xff")
    shutil.copytree(mapped[0], out)
    for kind, ending in (("--html", b"\xff.html"), ("--png", b"\xff.png")):
        assert main(["view", str(out), kind, str(tmp_path / os.fsdecode(b"a" + ending))]) == 0
        assert f"a?{ending[1:].decode()}" in capsys.readouterr().out
        assert (tmp_path / os.fsdecode(b"a" + ending)).stat().st_size > 1000
    assert "let it end in .png" in refused(capsys, "view", out, "--png", os.fsdecode(b"a.p\xff"))
    assert "copy" in refused(capsys, "map", out / "no", "-o", tmp_path / "out")


def test_a_terminal_without_utf_8(mapped):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*GCSEG, "view", mapped[0]], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert " ??  " in done.stdout


def test_view_rrd(mapped, tmp_path, capsys):
    out, _ = mapped
    try:
        import rerun  # noqa: F401
    except ImportError:
        assert "[viewer]'" in refused(capsys, "view", out, "--rrd", tmp_path / "a.rrd")
    else:
        assert main(["view", str(out), "--rrd", str(tmp_path / "a.rrd")]) == 0
        assert (tmp_path / "a.rrd").read_bytes()[:3] == b"RRF"


def test_bag_is_a_recording_again(walk, tmp_path, capsys):
    assert main(["bag", str(walk), "-o", str(tmp_path / "bag"), "--poses", "pose_noisy"]) == 0
    assert "12 frames" in capsys.readouterr().out
    assert "bag" in refused(capsys, "bag", walk, "-o", tmp_path / "bag")
    assert main(["map", str(tmp_path / "bag"), "-o", str(tmp_path / "out"), "--max-frames", "2"]) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["format"] == "rosbag"


def test_mapped_in_two_halves_it_is_the_same_map(mapped, walk, tmp_path, capsys):
    whole, _ = mapped
    out, voxels = tmp_path / "out", ("--set", "map.voxel_m=0.04")
    assert main(["map", str(walk), "-o", str(out), "--frames", ":5", *voxels]) == 0
    assert "map.voxel_m is 0.03" in refused(capsys, "map", walk, "-o", out, "--resume", out)
    assert main(["map", str(walk), "-o", str(out), "--frames", "5:", "--resume", str(out), *voxels]) == 0
    for name in ("instances.ply", "instances.json", "picture.png"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    for file in (out / "labels").iterdir():
        assert file.read_bytes() == (whole / "labels" / file.name).read_bytes()
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["frames"], summary["total_frames"], summary["resumed"]) == (7, 12, str(out))
    for saved in (out, out / "state.npz"):
        said = refused(capsys, "map", walk, "-o", f"{out}/", "--resume", saved, "--no-state", *voxels)
        assert "would lose the saved map" in said
    assert (out / "state.npz").is_file()
    assert main(["map", str(walk), "-o", str(out), "--max-frames", "1", "--no-state"]) == 0
    assert "no saved map" in refused(capsys, "map", walk, "-o", tmp_path / "b", "--resume", out)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--frames", "10:"], [10, 11]),
        (["--frames", "1:9:3", "--max-frames", "2"], [1, 4]),
        (["--frames", f"0:{10**20}:{10**20}", "--max-frames", f"{10**20}"], [0]),
        (["--max-frames", f"{10**20}", "--masks", "geometric"], range(12)),
        (["--frames", ":99", "--max-frames", "2", "--poses", "pose_noisy", "--masks", "geometric"], [0, 1]),
    ],
)
def test_the_chosen_frames(walk, tmp_path, arguments, names):
    assert main(["map", str(walk), "-o", str(tmp_path / "out"), *arguments]) == 0
    labels = sorted(p.name for p in (tmp_path / "out" / "labels").iterdir())
    assert labels == [f"{i:06}.png" for i in names]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "tracking.keyframe_strid=3"], "did you mean tracking.keyframe_stride"),
        (["--set", "tracking.keyframe_stride=0"], "greater than or equal to 1"),
        (["--set", "map.voxel_m={"], "cannot be understood"),
        (["--set", "nonsense"], "part.name=value"),
        (["--config", "no.yaml"], "no.yaml"),
        (["--masks", "magic"], "magic"),
        (["--propagation", "sam2"], "sam2"),
        (["--poses", "pose_best"], "pose_noisy"),
        (["--option", "depth"], "name=value"),
        (["--option", "depth=/d"], "no option 'depth'"),
        (["--frames", "5"], "A:B"),
        (["--frames", "5:3"], "no frames"),
        (["--frames", "-3:3"], "A:B"),
        (["--frames", "0:5:0"], "no frames"),
        (["--frames", "90:95"], "it has 12"),
        (["--frames", f"{10**20}:"], "it has 12"),
        (["--max-frames", "0"], "max-frames"),
        (["--wrong"], "--wrong"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(walk, tmp_path, capsys, arguments, says):
    assert says in refused(capsys, "map", walk, "-o", tmp_path / "out", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_with_folders(walk, tmp_path, capsys):
    assert "no such file" in refused(capsys, "map", tmp_path / "no", "-o", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(capsys, "map", tmp_path / "empty", "-o", tmp_path / "out")
    assert "did not write" in refused(capsys, "map", walk, "-o", walk)
    assert "cannot be" in refused(capsys, "map", walk, "-o", "/proc/nowhere/out")
    assert "'--output'" in refused(capsys, "map", walk)
    assert "did you mean" in refused(capsys, "mapp", walk).lower()
    (tmp_path / "loop").symlink_to("loop")
    for arguments in (["-o", "loop"], ["-o", "loop/out"], ["-o", "out", "--resume", "loop"]):
        said = refused(capsys, "map", walk, *(tmp_path / a if a[0] != "-" else a for a in arguments))
        assert "leads in a circle" in said
    for command in ("bag", "synthesize"):
        recording = walk if command == "bag" else "synthetic:1:demo:2"
        assert "leads in a circle" in refused(capsys, command, recording, "-o", tmp_path / "loop")
    (tmp_path / "loop").unlink()
    broken = tmp_path / "broken"
    subprocess.run(["cp", "-r", walk, broken], check=True)
    (broken / "depth" / "000000.png").write_bytes(b"no picture")
    assert "000000.png" in refused(capsys, "map", broken, "-o", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "empty"]


def test_a_broken_file_late_in_a_recording_leaves_the_map_of_the_frames_before_it(walk, tmp_path, capsys):
    broken, out = tmp_path / "broken", tmp_path / "out"
    subprocess.run(["cp", "-r", walk, broken], check=True)
    (broken / "depth" / "000007.png").write_bytes(b"no picture")
    says = refused(capsys, "map", broken, "-o", out)
    assert "depth/000007.png is not a whole depth image" in says
    assert f"{out} holds the map of the 7 frames before that." in says
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["complete"], summary["frames"]) == (False, 7)
    assert "000007.png" in summary["notes"][-1]
    assert {p.name for p in tmp_path.iterdir()} == {"broken", "out"}


def test_a_map_of_nothing_is_told_of(walk, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["map", str(walk), "-o", str(out), "--max-frames", "2", "--set", "input.depth_max_m=0.2"]) == 0
    (note,) = (note for note in json.loads((out / "summary.json").read_text())["notes"] if "Nothing is mapped" in note)
    assert note in capsys.readouterr().out


def test_frames_that_are_left_out_are_counted(walk, tmp_path, capsys):
    partial = tmp_path / "partial"
    subprocess.run(["cp", "-r", walk, partial], check=True)
    (partial / "pose" / "000004.txt").unlink()
    assert main(["map", str(partial), "-o", str(tmp_path / "out"), "--max-frames", "6"]) == 0
    assert "1 of 7 frames were left out: no pose." in capsys.readouterr().err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["skipped_frames"] == {"no pose": 1}


def test_an_earlier_result_is_replaced_unless_forbidden(walk, tmp_path, capsys):
    command = ["map", str(walk), "-o", str(tmp_path / "out"), "--max-frames"]
    assert main([*command, "2"]) == 0
    assert main([*command, "1", "--overwrite"]) == 0
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 1
    assert "earlier result" in refused(capsys, *command, "2", "--no-overwrite")


def test_help_version_and_config(capsys):
    assert main([]) == 0
    assert "Usage" in capsys.readouterr().out
    for command in ("map", "evaluate", "view", "bag", "synthesize", "config", "doctor"):
        assert main([command, "--help"]) == 0
        assert command in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert re.fullmatch(r"gcseg_ros \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert main(["config"]) == 0
    assert Config.model_validate(yaml.safe_load(capsys.readouterr().out)) == Config()


def test_a_mistake_in_the_arguments_is_a_sentence_of_its_own(capsys):
    assert "equal to 1. See gcseg query --help." in refused(capsys, "query", "out", "mug", "--top", "0")
    assert "'--truth'. See gcseg evaluate --help." in refused(capsys, "evaluate", "out")


def test_doctor_says_ok_or_what_to_do(capsys, monkeypatch):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok ", "optional ")) for line in lines)
    for name in ("Python", "numpy", "numba", "ROS 2", "GPU", "processor", "memory", "shared memory", "DDS profile"):
        assert any(f" {name} " in line for line in lines)
    for name in ("torch", "lightning", "tensorboard", "scikit-learn", "ray"):  # of the training
        (line,) = [line for line in lines if line.split()[1] == name]
        assert re.search(r" \d+\.\d+| not installed: for .* pip install .*\[(train|ray|segmentation)\]", line)
    monkeypatch.setattr("gcseg_ros.commands.doctor.OPENCV", ("not-from-pip",))
    assert main(["doctor"]) == 0
    assert "it is from apt" in capsys.readouterr().out
    monkeypatch.setattr("gcseg_ros.commands.doctor.NEEDED", ("no-such-package",))
    assert main(["doctor"]) == 1
    assert "pip install no-such-package" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "version", "advice"),
    [
        ("coverage", "6.2", "pip install 'coverage>=7.6.1'"),
        ("coverage", "7.6.0", "pip install 'coverage>=7.6.1'"),
        ("coverage", "7.6.1", ""),
        ("coverage", "7.10", ""),
        ("opencv_python_headless", "4.5.5.64", "pip install 'opencv-python-headless>=4.8'"),
        ("opencv_python_headless", "4.8.0.76", ""),
        ("pydantic", "1.8.2", "gcseg_ros needs >=2.5: pip install 'pydantic>=2.5'"),
        ("numpy", "1.21.5", "gcseg_ros needs >=1.26: pip install 'numpy>=1.26'"),
        ("numpy", "1.26.0", ""),
    ],
)
def test_doctor_names_versions_with_which_nothing_runs(capsys, monkeypatch, tmp_path, name, version, advice):
    information = tmp_path / f"{name}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # a virtual environment is active
    assert main(["doctor"]) == bool(advice)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if f" {version}" in line]
    assert line.startswith("not ok " if advice else "ok ")
    assert line.endswith(advice or version)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    main(["doctor"])
    assert (f"{advice}, or activate the virtual environment\n" in capsys.readouterr().out) == bool(advice)


def test_doctor_knows_where_numba_can_keep_its_code(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr("gcseg_ros.__file__", str(file / "gcseg_ros" / "__init__.py"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "new"))
    assert compiler().found == f"writable in {tmp_path}/new/.cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(file / "cache"))
    assert not compiler().ok
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "other"))
    assert compiler().found == f"writable in {tmp_path}/other"


def test_an_unforeseen_error_asks_for_a_report_and_debug_shows_where(monkeypatch, capsys, mapped):
    def explode(*_):
        raise RuntimeError("kaboom\nboom")

    monkeypatch.setattr("gcseg_ros.instances.export.read_instance_map", explode)
    assert main(["view", str(mapped[0])]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "kaboom boom" in message
    assert "--debug" in message
    assert main(["view", str(mapped[0]), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["view", "{}"],
        ["evaluate", ".", "--truth", "{}"],
        ["synthesize", "synthetic:1:demo:1", "-o", "{}"],
        ["map", ".", "-o", "{}"],
    ],
)
def test_a_name_that_is_too_long_is_no_mistake_of_ours(capsys, arguments):
    assert "File name too long" in refused(capsys, *(argument.format("n" * 300) for argument in arguments))


def test_a_package_that_is_too_old_sends_one_to_the_doctor(tmp_path):
    (tmp_path / "pydantic.py").write_text("VERSION = '1.8.2'\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([*GCSEG, "config"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "A package is missing or does not fit (cannot import name" in done.stderr
    assert "`gcseg doctor` says" in done.stderr


def test_other_systems_than_linux(capsys, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    for command in ("map", "doctor", "--version"):
        assert "install it within WSL" in refused(capsys, command)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert main(["doctor"]) == 0
    assert "only Linux is tested" in capsys.readouterr().out


def test_full_memory_is_said_with_what_the_command_has_against_it(monkeypatch, capsys, mapped, walk, tmp_path):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("gcseg_ros.instances.export.read_instance_map", full)
    assert main(["view", str(mapped[0])]) == 1
    assert capsys.readouterr().err == "gcseg: Out of memory: this takes more than is free on this machine.\n"
    monkeypatch.setattr("gcseg_ros.mapper.Mapper.track", full)
    assert "--max-frames" in refused(capsys, "map", walk, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_help_needs_no_heavy_import():
    code = "import sys; from gcseg_ros.cli import main; main(['--help']); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for module in ("numpy", "numba", "cv2", "scipy", "pydantic", "onnxruntime", "rclpy"):
        assert f"'{module}'" not in loaded


@pytest.mark.parametrize("asked", [["config"], ["map", "--help"]])
def test_a_closed_pipe_is_no_error(asked):
    command = " ".join([*GCSEG, *asked, "|", "head", "-c", "1", ";", "exit ${PIPESTATUS[0]}"])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


def test_what_cannot_be_printed_is_no_mistake_of_ours(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*GCSEG, "config"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "What is printed, or a file, cannot be written (No space left on device)" in done.stderr
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@" > "$0"', tmp_path / "settings", *GCSEG, "config"]
    done = subprocess.run(limited, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "What is printed, or a file, cannot be written (File too large)" in done.stderr
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *GCSEG, "config"], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def long_walk(walk, tmp_path_factory):
    """1200 frames of the same, linked."""
    folder = tmp_path_factory.mktemp("long") / "walk"
    for name, suffix in (("color", "png"), ("depth", "png"), ("pose", "txt")):
        (folder / name).mkdir(parents=True)
        for i in range(1200):
            (folder / name / f"{i:06}.{suffix}").symlink_to(walk / name / f"{i % 12:06}.{suffix}")
    (folder / "intrinsic").symlink_to(walk / "intrinsic")
    return folder


def started(folder, out):
    """`gcseg map` as a process, once it has mapped three frames."""
    # the shell that runs the tests may ignore SIGINT; the child must not
    process = subprocess.Popen(
        [*GCSEG, "map", folder, "-o", out],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while len(list(out.parent.glob(".out.gcseg-part-*/labels/*"))) < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return process


def test_ctrl_c_writes_the_map_so_far(long_walk, tmp_path):
    process = started(long_walk, tmp_path / "out")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["complete"] is False
    assert 3 <= summary["frames"] < 1200
    assert len(list((tmp_path / "out" / "labels").iterdir())) == summary["frames"]
    assert f"first {summary['frames']} of 1200 frames" in errors
    assert "Traceback" not in errors
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_aborting_leaves_nothing(long_walk, tmp_path, signals):
    process = started(long_walk, tmp_path / "out")
    for number, last in zip(signals, [*[False] * (len(signals) - 1), True]):
        process.send_signal(number)
        if not last:
            assert process.stderr.readline() == "\n"
            assert "Ctrl-C again to abort" in process.stderr.readline()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[signals[-1]]
    assert "Aborted: nothing unfinished was written." in errors
    assert "Traceback" not in errors
    assert os.listdir(tmp_path) == []


def test_ctrl_c_again_while_it_is_said_how_a_command_ends(monkeypatch):
    class Impatient(io.StringIO):
        def write(self, text):
            signal.raise_signal(signal.SIGINT)
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Impatient())
    monkeypatch.setattr(sys, "stderr", Impatient())
    assert main(["config"]) == 130
    assert sys.stderr.getvalue() == "gcseg: Aborted: nothing unfinished was written.\n"


def test_an_aborted_process_ends_at_once():
    """Python's own end, which goes through all packages, may crash in those that were being imported. What was said before is not lost."""
    program = (
        "import atexit, os, signal, sys; from gcseg_ros.cli import main; atexit.register(os.abort); sys.argv[1:] = ['config'];"
        "say = sys.stdout.write; sys.stdout.write = lambda text: (say('said'), signal.raise_signal(signal.SIGINT)); sys.exit(main())"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout.startswith("said")
    assert (ended.returncode, ended.stderr) == (130, "gcseg: Aborted: nothing unfinished was written.\n")


def test_synthesize_writes_a_scene_with_its_truth(tmp_path, capsys):
    assert main(["synthesize", "synthetic:3:demo:2", "-o", str(tmp_path / "room")]) == 0
    assert (tmp_path / "room" / "gt_cloud.npz").is_file()
    assert len(list((tmp_path / "room" / "color").iterdir())) == 2
    assert "new or empty" in refused(capsys, "synthesize", "synthetic:3:demo:2", "-o", tmp_path / "room")
    assert "no room style" in refused(capsys, "synthesize", "synthetic:3:palace", "-o", tmp_path / "other")
    assert "synthetic:100:palace" in refused(capsys, "synthesize", "synthetic:100:palace", "-o", tmp_path / "other")
