"""How benchmarks end: one sentence for what the user can put right."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gcseg_ros.commands.endings import plainly
from gcseg_ros.errors import UserError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_what_is_said_and_the_status(capsys):
    def fails():
        raise UserError("There is no recording.")

    def stopped():
        raise KeyboardInterrupt

    def broken():
        raise ValueError("a mistake of ours")

    assert plainly(lambda: None) == 0
    assert plainly(fails) == 2
    assert capsys.readouterr().err == "error: There is no recording.\n"
    assert plainly(stopped) == 130
    assert capsys.readouterr().err == "error: Interrupted: no figures are written.\n"
    with pytest.raises(ValueError, match="of ours"):
        plainly(broken)


def test_a_signal_that_is_lost_or_comes_out_as_another_exception(capsys):
    """As compiled code may do with it."""

    def lost():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    def changed():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise SystemError("returned a result with an exception set") from None

    for main, status in ((lost, 130), (changed, 143)):
        assert plainly(main, "Interrupted.") == status
        assert capsys.readouterr().err == "error: Interrupted.\n"


def test_a_setting_without_a_value():
    pytest.importorskip("torch")
    command = [sys.executable, BENCHMARKS / "segmenter_accuracy.py", "nowhere", "--set", "min_score"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert (
        ended.stderr == "error: A setting is written part.name=value, for example min_score=0.2; found 'min_score'.\n"
    )


def test_a_benchmark_of_nothing():
    ended = subprocess.run([sys.executable, BENCHMARKS / "accuracy.py"], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: There is no room to measure")


def test_a_benchmark_of_a_recording_that_is_not_there(tmp_path):
    command = [sys.executable, BENCHMARKS / "masks.py", tmp_path / "none"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: There is no recording at {tmp_path / 'none'}")
    assert "Traceback" not in ended.stderr


def test_a_benchmark_whose_folder_is_a_file(tmp_path):
    file = tmp_path / "rooms_of_mine"
    file.write_text("mine")
    command = [sys.executable, BENCHMARKS / "joining.py", file]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    said = "cannot be made or entered (Not a directory): name a folder that is free or yours."
    assert ended.stderr == f"error: {file / 'rooms'} {said}\n"
    assert file.read_text() == "mine"


def test_ctrl_c_in_a_benchmark(tmp_path):
    command = [sys.executable, BENCHMARKS / "joining.py", tmp_path, "--rooms", "2000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        try:
            while not (tmp_path / "rooms").is_dir() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert said == "error: Interrupted: the rooms that are mapped stay; the same command goes on.\n"
