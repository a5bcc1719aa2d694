"""How steady ids are while a map grows: `python benchmarks/id_switches.py RECORDING [--source fused] [--json FILE]`.

Starts replay_node, mapping_node, segmentation_node and, with --ask, query_node as processes, and listens to them over DDS. Every
publication of segmentation_node is compared with the recording's truth: an object is found under the id whose points have an IoU
over 0.5 with those that the map has of it (objects of at least 100 points in the map), and a switch is a find under another id
than the last one. The row "mapping_node" has the ids of the same clouds as segmentation_node got them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table
from scipy.spatial import cKDTree

from gcseg_ros.commands.endings import plainly
from gcseg_ros.consoles import console, print_line, print_table, progress
from gcseg_ros.errors import UserError
from gcseg_ros.evaluation.tracking import FrameTable, tracking_quality
from gcseg_ros.evaluation.truth import Truth, load_truth
from gcseg_ros.files import write_json_atomic
from gcseg_ros.nodes import demo, graph
from gcseg_ros.recordings import open_recording

NEAR_M = 0.05
MIN_POINTS = 100
TEN = 10
LAST_CLOUD_S = 10.0
ANSWER_S = 120.0
QUIET_S = 1.0


@dataclass(frozen=True)
class Steadiness:
    """Of a sequence of labelled clouds.

    found       true objects that were found at least once
    found_ten   those that were found in ten publications or more
    one_id      those of them that had one id all the time
    switches    how often an object is found under another id than the last time
    """

    ids: str
    publications: int
    points_first: int
    points_last: int
    found: int
    found_ten: int
    one_id: int
    switches: int


def steadiness(name: str, clouds: list[tuple[npt.NDArray, npt.NDArray]]) -> Steadiness:
    """clouds: (true ids, published ids) of each publication, both (N,), 0 = none."""
    tables = [FrameTable.of(*cloud) for cloud in clouds]
    finds: dict[int, list[int]] = {}
    for table in tables:
        for true, id in found_in(table):
            finds.setdefault(true, []).append(id)
    often = [ids for ids in finds.values() if len(ids) >= TEN]
    return Steadiness(
        ids=name,
        publications=len(clouds),
        points_first=len(clouds[0][0]),
        points_last=len(clouds[-1][0]),
        found=len(finds),
        found_ten=len(often),
        one_id=sum(len(set(ids)) == 1 for ids in often),
        switches=tracking_quality(tables).id_switches,
    )


def found_in(table: FrameTable) -> list[tuple[int, int]]:
    """Pairs (true id, id) with an IoU over 0.5."""
    size = np.bincount(table.true, table.pixels)
    other = np.bincount(table.tracked, table.pixels)
    iou = table.pixels / (size[table.true] + other[table.tracked] - table.pixels)
    good = (iou > 0.5) & (table.tracked > 0) & (size[table.true] >= MIN_POINTS)
    return list(zip(table.true[good].tolist(), table.tracked[good].tolist()))


def true_ids(points: npt.NDArray, truth: Truth, tree: cKDTree) -> npt.NDArray[np.int64]:
    """(N, 3) -> (N,): the instance of the truth's nearest point, 0 where none is near."""
    distance, nearest = tree.query(points, distance_upper_bound=NEAR_M, workers=-1)
    return np.append(truth.instance, 0)[np.where(np.isfinite(distance), nearest, len(truth.instance))]


class Listener(demo.Watcher):
    """Keeps what mapping_node and segmentation_node publish, by stamp; asks query_node."""

    def __enter__(self) -> Listener:
        super().__enter__()
        from sensor_msgs.msg import PointCloud2
        from std_msgs.msg import String

        from gcseg_ros.nodes.managed import LATCHED
        from gcseg_ros.ros_types.clouds import to_point_cloud
        from gcseg_ros.ros_types.messages import stamp_ns

        self.mapped: dict[int, Any] = {}
        self.segmented: dict[int, Any] = {}
        self.sentences: list[str] = []
        for node, kept in (("mapping_node", self.mapped), ("segmentation_node", self.segmented)):

            def keep(message: PointCloud2, kept: dict[int, Any] = kept) -> None:
                kept[stamp_ns(message.header.stamp)] = to_point_cloud(message)

            self.node.create_subscription(PointCloud2, f"/{node}/cloud", keep, LATCHED)
        self.node.create_subscription(String, "/query_node/status", lambda m: self.sentences.append(m.data), 10)
        publisher = self.node.create_publisher(String, "/query_node/query", 10)
        self.looked_at = 0
        self.ask = lambda text: publisher.publish(String(data=text))
        return self

    def _take(self, message: Any) -> None:
        super()._take(message)
        for status in message.status:
            for value in status.values:
                if value.key == "objects looked at":
                    self.looked_at = int(value.value)

    def until(self, condition: Any, seconds: float) -> bool:
        """Listen until the condition holds: whether it did in time."""
        end_s = time.monotonic() + seconds
        while not condition() and time.monotonic() < end_s:
            self.spin(demo.POLL_S)
        return bool(condition())


def listen(options: argparse.Namespace, frames: int, folder: str) -> Listener:
    """Run the graph on the whole recording: what was heard. Raises UserError."""
    arguments = {"recording": options.recording, "rate": str(options.rate), "log_level": "warn", "output_dir": folder}
    arguments |= {"segmentation": "true", "source": options.source, "checkpoint": options.checkpoint}
    arguments |= {"query": str(bool(options.ask)).lower(), "clip_model": options.clip_model, "device": options.device}
    planned = graph.replay(
        arguments, diagnostics_rate_hz=4.0, warn_after_s=30.0, cloud_rate_hz=options.hz, save_labels=False
    )
    for node in planned.nodes:
        if node.executable == "segmentation_node":
            node.parameters.update(rate_hz=30.0, min_new=0.0, warn_after_s=30.0)
    demo.join(planned, options.domain_id)
    console.print(f"starting {', '.join(node.executable for node in planned.nodes)}")
    source = [node for node in planned.nodes if node.executable == "replay_node"]
    others = [node for node in planned.nodes if node.executable != "replay_node"]
    with ExitStack() as stack:
        listening = stack.enter_context(demo.processes(replace(planned, nodes=others)))
        heard = stack.enter_context(Listener())
        cloud = "/mapping_node/cloud"
        if not heard.until(lambda: heard.node.count_subscribers(cloud) > 1, ANSWER_S):  # it, and segmentation_node
            raise UserError(f"segmentation_node has not started within {ANSWER_S:g} s: see its messages above.")
        replaying = stack.enter_context(demo.processes(replace(planned, nodes=source)))
        running = listening | replaying
        with progress("mapping over ROS 2", frames, "frames") as advance:
            while running["replay_node"].poll() is None:
                for name, process in running.items():
                    if name != "replay_node":
                        demo.check_alive(name, process)
                heard.spin(demo.POLL_S)
                advance(heard.frames)
        if running["replay_node"].returncode != 0:
            raise UserError("replay_node ended with an error: see its message above.")
        heard.until(lambda: heard.mapped.keys() == heard.segmented.keys(), LAST_CLOUD_S)
        for text in options.ask:
            heard.until(lambda: heard.looked_at, ANSWER_S)
            before = len(heard.sentences)
            heard.ask(text)
            if not heard.until(lambda: len(heard.sentences) > before, ANSWER_S):  # noqa: B023 - called within the loop
                raise UserError(f"query_node has not answered within {ANSWER_S:g} s: see its messages above.")
            quiet = False
            while not quiet:  # remarks follow an answer, and are none to the next question
                said = len(heard.sentences)
                quiet = not heard.until(lambda: len(heard.sentences) > said, QUIET_S)  # noqa: B023 - as above
            print_line(f"{text!r}: {heard.sentences[before]}")
    for name, process in running.items():
        if process.returncode != 0:
            raise UserError(f"{name} ended with status {process.returncode} instead of 0: see its message above.")
    return heard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", nargs="?", default="synthetic:16", help="with a truth; default: synthetic:16")
    parser.add_argument("--source", default="tracked", choices=["tracked", "network", "fused"])
    parser.add_argument("--checkpoint", default="", help="of the 3D network")
    parser.add_argument("--device", default="", help="of the networks")
    parser.add_argument("--rate", type=float, default=0.0, help="speed of time; 0 = as fast as frames are mapped")
    parser.add_argument("--hz", type=float, default=2.0, help="publications per second")
    parser.add_argument("--ask", action="append", default=[], metavar="TEXT", help="ask query_node at the end")
    parser.add_argument("--clip-model", default="", help="of query_node")
    parser.add_argument("--domain-id", type=int, help="ROS_DOMAIN_ID; else one of its own")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    recording = open_recording(options.recording)
    with tempfile.TemporaryDirectory() as folder:
        truth_file = demo.truth_of(recording, Path(folder))
        if truth_file is None:
            raise UserError(f"{options.recording} has no truth to compare with: give a generated or rendered room.")
        truth = load_truth(truth_file)
        heard = listen(options, len(recording), folder)
    if truth.points is None or not heard.segmented:
        raise UserError("Nothing was published: see the messages of the nodes above.")
    tree = cKDTree(truth.points)
    segmented, mapped = [], []
    for stamp, cloud in sorted(heard.segmented.items()):
        true = true_ids(cloud.points, truth, tree)
        segmented.append((true, cloud.instance))
        if stamp in heard.mapped and len(heard.mapped[stamp]) == len(cloud):
            mapped.append((true, heard.mapped[stamp].instance))
    rows = [steadiness(f"segmentation_node, {options.source}", segmented)]
    rows += [steadiness("mapping_node", mapped)] if mapped else []
    table = Table("", *(row.ids for row in rows))
    for name in list(asdict(rows[0]))[1:]:
        table.add_row(name.replace("_", " "), *(str(getattr(row, name)) for row in rows))
    print_table(table)
    if options.json:
        write_json_atomic(
            options.json,
            {"recording": options.recording, "rows": [asdict(row) for row in rows], "answers": heard.sentences},
        )


if __name__ == "__main__":
    sys.exit(plainly(main))
