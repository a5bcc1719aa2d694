"""Settings: from defaults, a file and --set; every mistake is one sentence."""

import os
import subprocess
import sys
from operator import attrgetter

import pytest

from gcseg_ros.config import Config, flat_fields, load_config
from gcseg_ros.errors import UserError


def test_settings_override_the_file_which_overrides_the_defaults(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("tracking:\n  keyframe_stride: 10\n  match_iou: 0.5\n")
    config = load_config(file, ["tracking.keyframe_stride=3"])
    assert config.tracking.keyframe_stride == 3
    assert config.tracking.match_iou == 0.5
    assert config.map == Config().map


def test_a_file_takes_the_names_of_settings_as_they_are(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("tracking.keyframe_stride: 10\ntracking:\n  match_iou: 0.5\nmasks:\n  sam.points_per_side: 8\n")
    config = load_config(file, ["masks.sam={crop_n_layers: 0}"])
    assert (config.tracking.keyframe_stride, config.tracking.match_iou) == (10, 0.5)
    assert (config.masks.sam.points_per_side, config.masks.sam.crop_n_layers) == (8, 0)
    file.write_text("tracking.keyframe_strid: 10\n")
    with pytest.raises(UserError, match=r"no setting tracking.keyframe_strid: did you mean tracking.keyframe_stride\?"):
        load_config(file)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("masks", "boundary_network"),
        ("masks.sam", "weights"),
        ("propagation.sam2", "weights"),
        ("foundation", "weights_dir"),
    ],
)
def test_a_tilde_is_the_home_folder(monkeypatch, part, name):
    monkeypatch.setenv("HOME", "/house")
    config = load_config(None, [f"{part}.{name}=~/networks/one"])
    assert getattr(attrgetter(part)(config), name) == "/house/networks/one"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("tracking.keyframe_strid=3", "no setting tracking.keyframe_strid"),
        ("trakcing.keyframe_stride=3", r"no setting trakcing: did you mean tracking\?"),
        ("TRACKING.KEYFRAME_STRIDE=3", r"no setting TRACKING: did you mean tracking\?"),
        ("masks.samm.scales=apart", r"no setting masks.samm: did you mean masks.sam\?"),
        ("colour=blue", "no setting colour: known are input.depth_max_m, "),
        ("map.voxel_m=30", "map.voxel_m = 30 is not allowed: Input should be less than or equal to 1"),
        ("input.depth_max_m=1e300", "input.depth_max_m = .* less than or equal to 1000"),
        ("input.filter_frames=1e300", "input.filter_frames = .* less than or equal to 1000"),
        ("tracking.keyframe_stride=0", "tracking.keyframe_stride = 0 is not allowed"),
        ("tracking.keyframe_stride=many", "'many' is not allowed"),
        ("tracking.association=magic", "association"),
        ("keyframe_stride", "part.name=value"),
        ("masks.sam.weights=2020-13-45", "masks.sam.weights cannot be understood: '2020-13-45'"),
        ("masks.sam.weights=!!timestamp x", "masks.sam.weights cannot be understood: '!!timestamp x'"),
        ("masks.sam.weights=!!bool x", "masks.sam.weights cannot be understood: '!!bool x'"),
        ("tracking.match_iou.x=1", "not allowed|value"),
        ("input.depth_max_m=.inf", "input.depth_max_m = inf is not allowed: Input should be a finite number"),
        ("map.voxel_m=.inf", "map.voxel_m = inf is not allowed"),
        ("masks.levels=[.nan]", r"masks.levels.0 = nan is not allowed"),
        ("propagation.sam2.max_growth=.inf", "propagation.sam2.max_growth = inf is not allowed"),
        (
            "masks.sam.points_per_side=1",
            r"downscale_factor = 2 is not allowed: layer 1 .* no prompts; raise points_per_side",
        ),
        ("masks.sam.crop_n_points_downscale_factor=64", r"downscale_factor = 64 is not allowed: layer 1 of the crops"),
        ("masks.sam={points_per_side: 8, crop_n_layers: 4}", r"layer 4 of the crops would have no prompts"),
        ("map.voxel_m=yes", "map.voxel_m = True is not allowed: expected no truth value"),
        ("tracking.keyframe_stride=on", "tracking.keyframe_stride = True is not allowed"),
        ("masks.levels=[off, on]", r"masks.levels = \[False, True\] is not allowed"),
        ("tracking={keyframe_stride: 2, keyframe_stride: 3}", "tracking cannot be understood"),
        ("masks.levels=[0.8, 0.4]", "is not allowed: levels must rise"),
        ("masks.levels=[0.4, 0.4]", "is not allowed: levels must rise"),
        ("masks.levels=[-3, 0.4]", "within 0 to 1"),
        ("masks.levels=[0.4, 1.5]", "within 0 to 1"),
        ("masks.tracked_level=3", "masks.tracked_level = 3 is not allowed: the last of the levels is 2"),
    ],
)
def test_wrong_settings(setting, says):
    with pytest.raises(UserError, match=says):
        load_config(None, [setting])


READERS = (
    "from gcseg_ros.config import load_config; load_config(sys.argv[1])",
    "from gcseg_ros.nodes.graph import mapping; mapping({'query': 'true', 'config_file': sys.argv[1]})",
    "from pathlib import Path; from gcseg_ros.recordings.tum import _calibration; _calibration(Path(sys.argv[1]).parent)",
)


@pytest.mark.parametrize("read", READERS, ids=["settings", "parameters", "camera"])
def test_files_are_of_utf_8_whatever_the_locale(tmp_path, read):
    camera = "width: 640\nheight: 480\nfx: 525\nfy: 525\ncx: 320\ncy: 240\n" if "tum" in read else ""
    (tmp_path / "camera.yaml").write_text(f"# größer\n{camera}", encoding="utf-8")
    ascii_ = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", f"import sys; {read}", tmp_path / "camera.yaml"]
    assert subprocess.run(command, env=ascii_, capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize(
    "text", ["- 1\n- 2\n", "tracking: [", "tracking: !!python/object:os.system {}\n", "a: 2020-13-45\n"]
)
def test_wrong_files(tmp_path, text):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"c\.yaml"):
        load_config(file)
    with pytest.raises(UserError, match=r"no\.yaml"):
        load_config(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tracking: {keyframe_stride: 7}\ntracking: {min_mask_px: 5}\n", "gives tracking twice, in lines 1 and 2"),
        ("map:\n  voxel_m: 0.1\n\n  voxel_m: 0.2\n", "gives voxel_m twice, in lines 2 and 4"),
        ("map.voxel_m: 0.1\nmap: {voxel_m: 0.1}\n", "gives map.voxel_m twice, written out and nested"),
        ("masks.sam: {scales: apart}\nmasks: {sam.scales: together}\n", r"gives masks\.sam\.scales twice"),
        ("a: &a {b: *a}\n", "alias 'a'"),
        ("masks: {levels: &a [*a]}\n", "alias 'a'"),
    ],
)
def test_a_file_says_each_thing_once(tmp_path, text, says):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"c\.yaml .*{says}"):
        load_config(file)


def test_a_file_may_use_what_it_has_said_elsewhere(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(
        "masks: {levels: &one [0.5], sam: &sam {scales: apart}}\npropagation: {sam2: {<<: {weights: w}, weights: x}}\n"
    )
    config = load_config(file)
    assert (config.masks.levels, config.propagation.sam2.weights) == ((0.5,), "x")
    file.write_text("views: &a {most: 5}\ntracking: *a\n")
    with pytest.raises(UserError, match=r"no setting tracking\.most"):
        load_config(file)


def test_few_prompts_without_crops():
    assert load_config(None, ["masks.sam.points_per_side=1", "masks.sam.crop_n_layers=0"])
    assert load_config(None, ["masks.sam.points_per_side=2"])


def test_every_field_has_a_description():
    for path, field in flat_fields():
        assert field.description, path
