"""A recording mapped by the ROS 2 nodes as processes, over DDS, and measured against its truth: what `make demo` runs.

python -m gcseg_ros.nodes.demo --recording synthetic:16 -o out/demo
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcseg_ros.commands.endings import plainly
from gcseg_ros.consoles import console, errors, print_line, print_table, progress
from gcseg_ros.errors import UserError
from gcseg_ros.files import resolved
from gcseg_ros.nodes import graph
from gcseg_ros.output import check_replaceable
from gcseg_ros.recordings import Recording, open_recording
from gcseg_ros.recordings.synthetic.recording import SyntheticRecording

SAVE_S = 600.0
END_S = 15.0
POLL_S = 0.1
ENDING = signal.SIGINT, signal.SIGTERM


def main(arguments: list[str] | None = None) -> int:
    """Run the demo: the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gcseg_ros.nodes.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recording", default="synthetic:16", help="folder, bag or synthetic:SEED[:STYLE[:FRAMES]]")
    parser.add_argument("-o", "--output", default="out/demo", help="the folder to write")
    parser.add_argument("--domain-id", type=int, help="ROS_DOMAIN_ID; else one of its own")
    given = parser.parse_args(arguments)
    return plainly(
        lambda: map_and_report(given.recording, resolved(given.output), given.domain_id),
        "interrupted; everything that was started has ended.",
        lambda sentence: print_line(f"demo: {sentence}", "red", errors),
    )


def map_and_report(name: str, output: Path, domain_id: int | None) -> None:
    """Map the recording of this name into `output`, over ROS where it is installed, and print the figures. Raises UserError."""
    check_replaceable(output)
    recording = open_recording(name)
    if ros_is_installed():
        map_over_ros(name, output, len(recording), domain_id)
    else:
        print_line("rclpy is not installed (its wheels need Python 3.11 to 3.13): mapping without ROS.")
        map_in_process(recording, output)
    report(recording, output)


def ros_is_installed() -> bool:
    return importlib.util.find_spec("rclpy") is not None


def map_in_process(recording: Recording, output: Path) -> None:
    """As `gcseg map` does it."""
    from gcseg_ros.run import map_recording

    with progress("mapping", len(recording), "frames") as advance:
        map_recording(recording, output, progress=advance)


def map_over_ros(recording: str, output: Path, frames: int, domain_id: int | None) -> None:
    """Start replay_node and mapping_node, wait until every frame has been mapped, save, and end both. Raises UserError."""
    arguments = {"recording": recording, "output_dir": str(output), "log_level": "warn"}
    planned = graph.replay(arguments, diagnostics_rate_hz=4.0, warn_after_s=30.0)
    join(planned, domain_id)
    print_line("starting replay_node and mapping_node (the first run on a machine compiles for a minute)")
    with processes(planned) as running, Watcher() as watcher:
        mapping, replay = running["mapping_node"], running["replay_node"]
        with progress("mapping over ROS 2", frames, "frames") as advance:
            while replay.poll() is None:
                check_alive("mapping_node", mapping)
                watcher.spin(POLL_S)
                advance(watcher.frames)
            if replay.returncode != 0:
                raise UserError(f"replay_node ended with status {replay.returncode}: see its message above.")
            advance(frames)
        print_line("saving the map")
        saved = watcher.save(lambda: check_alive("mapping_node", mapping))
        print_line(saved)
    for name, process in running.items():
        if process.returncode != 0:
            raise UserError(f"{name} ended with status {process.returncode} instead of 0: see its message above.")


def join(planned: graph.Graph, domain_id: int | None) -> None:
    """Have this process, before it imports rclpy, and its children take part in a graph of this machine alone."""
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100 if domain_id is None else domain_id)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if os.environ.get("ROS_DISTRO") == "humble":
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    os.environ.update(planned.environment)


@contextmanager
def processes(planned: graph.Graph) -> Iterator[dict[str, subprocess.Popen]]:
    """The graph's nodes by name, as processes; they are ended, by force if need be, when the block ends."""
    running: dict[str, subprocess.Popen] = {}
    try:
        for node in planned.nodes:
            with signals_held():  # one in the middle of it would lose a process that has started
                # a session of their own: Ctrl-C reaches them through us, once
                running[node.executable] = subprocess.Popen(node.command(), start_new_session=True)
        yield running
    finally:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
        for process in running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline_s = time.monotonic() + END_S
        for process in running.values():
            try:
                process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_held() -> Iterator[None]:
    """Signals that come within it come at its end."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def check_alive(name: str, process: subprocess.Popen) -> None:
    if process.poll() is not None:
        raise UserError(f"{name} has ended with status {process.returncode}: see its message above.")


class Watcher:
    """This process's own node: follows mapping_node's diagnostics and asks it to save."""

    def __enter__(self) -> Watcher:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor
        from std_srvs.srv import Trigger

        self.frames = 0
        self._request = Trigger.Request()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
        self.node = rclpy.create_node("demo", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._take, 10)
        self._save = self.node.create_client(Trigger, "/mapping_node/save")
        return self

    def __exit__(self, *_: Any) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def spin(self, seconds: float) -> None:
        self._executor.spin_once(timeout_sec=seconds)

    def save(self, check: Any) -> str:
        """Call ~/save: what it answers. `check` is called while waiting. Raises UserError."""
        deadline_s = time.monotonic() + SAVE_S
        answer: Any = None
        while answer is None or not answer.done():
            if answer is None and self._save.service_is_ready():
                answer = self._save.call_async(self._request)
            self.spin(POLL_S)
            check()
            if time.monotonic() > deadline_s:
                raise UserError(f"mapping_node has not saved within {SAVE_S:g} s: see its messages above.")
        response = answer.result()
        if not response.success:
            raise UserError(f"mapping_node could not save: {response.message}")
        return response.message

    def _take(self, message: Any) -> None:
        for status in message.status:
            self.frames = next((int(v.value) for v in status.values if v.key == "frames mapped"), self.frames)


def report(recording: Recording, output: Path) -> None:
    """Figures of the output: frames that are missing, and average precision where the recording has a truth."""
    from gcseg_ros.evaluation.report import evaluate, table
    from gcseg_ros.files import read_json

    mapped = read_json(output / "summary.json")["frames"]
    if mapped != len(recording):
        print_line(f"{mapped} of {len(recording)} frames were mapped; the others had no pose or could not be read.")
    truth = truth_of(recording, output)
    if truth is None:
        print_line(f"{recording.name} has no truth to compare with.")
        return
    print_table(table(evaluate(output, truth)))


def truth_of(recording: Recording, output: Path) -> Path | None:
    """Where the recording's truth is, None if it has none; a synthetic room's is written to the output."""
    if isinstance(recording, SyntheticRecording):
        file = output / "truth.npz"
        with console.status("computing the room's exact truth"):
            recording.truth().save(file)
        return file
    return recording.path if (recording.path / "gt_cloud.npz").is_file() else None


if __name__ == "__main__":
    sys.exit(main())
