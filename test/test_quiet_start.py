"""Ctrl-C while a program of the package imports."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
from gcseg_ros import quiet_start
print("importing", flush=True)
import time
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("name", "status"), [("some_node.py", 0), ("gcseg", 130), ("other_program.py", -signal.SIGINT)]
)
def test_it_ends_quietly_if_it_is_one_of_ours(tmp_path, name, status):
    (tmp_path / name).write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen(
        [sys.executable, tmp_path / name],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert program.stdout.readline() == "importing\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == status
    assert bool(errors) == (status < 0)


def test_this_process_is_left_alone():
    from gcseg_ros import quiet_start

    assert signal.getsignal(signal.SIGINT) is not quiet_start.leave
