"""segmentation_node: a cloud in; its instances out, whose ids and colours stay with their objects while the cloud grows."""

from __future__ import annotations

import time
from typing import Any

from gcseg_ros.nodes.run import run  # first: says in one sentence that rclpy is missing

# isort: split
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from gcseg_ros.clouds.neighbours import cells_of
from gcseg_ros.errors import UserError
from gcseg_ros.instances.identity import Cells, Identities, difference
from gcseg_ros.instances.instances import labelled_map
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.cloud_node import CloudNode
from gcseg_ros.nodes.managed import LATCHED
from gcseg_ros.nodes.parameters import SegmentationNodeConfig, read
from gcseg_ros.ros_types.clouds import PointCloud
from gcseg_ros.viewer.colours import instance_colours


class SegmentationNode(CloudNode):
    """Configured: ids are remembered. Active: the network is loaded, clouds are segmented."""

    settings, task = SegmentationNodeConfig, "segmentation"

    def __init__(self, **arguments: Any) -> None:
        super().__init__("segmentation_node", **arguments)
        self._segmenter: Any = None  # a Segmenter while active, where the source needs one
        self._offer("~/segment", self._segment_when_asked)

    # -- lifecycle ----------------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        self._config = config = read(self, SegmentationNodeConfig)
        self._identities = Identities(config.id_voxel_m)
        self._frame_id = ""
        self._latest: tuple[PointCloud, Header] | None = None
        self._cells = self._segmented_cells = np.zeros(0, np.uint64)  # of the latest cloud, and of the last segmented
        self._new = 0.0  # the share in which these differ
        self._segmented_s = float("-inf")
        self._statistics: dict[str, Any] = {}
        self._publications = 0
        self._worker = self._cloud_worker(self._segment_if_due)
        self._cloud = self._advertise(PointCloud2, "~/cloud", LATCHED)
        self._markers = self._advertise(MarkerArray, "~/instances", LATCHED)

    def _activate(self) -> None:
        config = self._config
        if config.source != "tracked":
            self.get_logger().info("Loading the 3D network.")
            self._segmenter = load_segmenter(config)
        self._inputs = [self._cloud_input()]
        device = f" on {self._segmenter.device}" if self._segmenter else ""
        self.get_logger().info(
            f"Segmenting {self._inputs[0].resolved}, source {config.source}{device}, at most {config.rate_hz:g} times a second."
        )

    def _deactivate(self) -> None:
        super()._deactivate()
        if self._segmenter is not None:
            self._segmenter = None
            free_memory()

    # -- in: executor thread ------------------------------------------------------------------------------------------

    async def _segment_when_asked(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return await self._answer(self._segment, response)

    # -- segment: worker thread ---------------------------------------------------------------------------------------

    def _process(self, message: PointCloud2) -> None:
        cloud = self._read(message)
        if cloud is None:
            return
        if len(cloud) and message.header.frame_id != self._frame_id:
            if self._frame_id:
                self._say_once(
                    f"The cloud is in the frame {message.header.frame_id!r} now, before it was in {self._frame_id!r}: ids begin anew."
                )
            self._frame_id, self._identities = message.header.frame_id, Identities(self._config.id_voxel_m)
        self._latest, self._cells = (cloud, message.header), labelled_cells(cloud, self._config.id_voxel_m)
        self._new = difference(self._segmented_cells, self._cells) if self._publications else 1.0
        was_reset = not len(cloud) and self._publications > 0
        if was_reset:  # who listens must know it before anything new comes
            self._segment_now()
        else:
            self._segment_if_due()

    def _segment_if_due(self) -> None:
        rate_hz, enough = self._config.rate_hz, self._new > 0 and self._new >= self._config.min_new
        if enough and rate_hz and time.monotonic() - self._segmented_s >= 1 / rate_hz:
            self._segment_now()

    def _segment_now(self) -> None:
        if self._inputs:
            try:
                self._segment()
            except UserError as error:
                self._drops("cloud not segmented", str(error))

    def _segment(self) -> str:
        """Segment the latest cloud and publish it; a sentence about it. Raises UserError."""
        if not self._inputs:
            raise UserError("segmentation_node is not active: activate it first.")
        if self._latest is None:
            raise UserError(f"No cloud has come on {self._inputs[0].resolved} yet: there is nothing to segment.")
        started_s = self._segmented_s = time.monotonic()
        (cloud, head), self._segmented_cells, self._new = self._latest, self._cells, 0.0
        labels, confidence = self._labels(cloud)
        given = self._identities.given
        ids = self._identities(cloud.points, without_small(labels, self._config.min_points))
        found = labelled_map(cloud.points, cloud.colours, ids, np.where(ids > 0, confidence, 0))
        self._cloud.publish(messages.cloud_message(found, head, self._config.cloud_colours))
        self._markers.publish(messages.markers_message(found.objects, head))
        self._publications += 1
        self._statistics = {
            "points": len(cloud),
            "instances": len(found.objects),
            "new ids": self._identities.given - given,
            "ids given": self._identities.given,
            "ids remembered": len(self._identities),
            "segmentation_s": time.monotonic() - started_s,
        }
        return (
            f"{len(found.objects)} instances in {len(cloud)} points, {self._statistics['new ids']} of them new, "
            f"in {self._statistics['segmentation_s']:.2f} s."
        )

    def _labels(self, cloud: PointCloud) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Labels (N,), 0 = none, and confidences (N,) of the chosen source. Raises UserError."""
        source, segmenter = self._config.source, self._segmenter
        tracked, confidence = cloud.instance, cloud.confidence
        if source != "network" and tracked is None:
            raise UserError(
                f"source {source} needs a cloud with the field instance_id, which this one has not: take mapping_node's ~/cloud, or "
                "source network."
            )
        if confidence is None:
            confidence = np.ones(len(cloud), np.float32)
        if source == "tracked":
            return tracked, confidence
        if segmenter is None:
            raise UserError("segmentation_node is being deactivated.")
        found = segmenter(cloud.points, self._camera_colours(cloud))
        if source == "network":
            labels = found.labels()
            return labels, np.append(np.float32(0), found.scores)[labels]
        from gcseg_ros.segmentation.fusion import fuse

        return fuse(found, tracked, confidence)

    def _camera_colours(self, cloud: PointCloud) -> npt.NDArray[np.uint8] | None:
        """The cloud's colours, unless they only show its instances."""
        if cloud.colours is None or cloud.instance is None or not len(cloud):
            return cloud.colours
        if not np.array_equal(cloud.colours, instance_colours(cloud.instance)):
            return cloud.colours
        self._say_once(
            "The cloud's rgb shows instances, not what the camera saw, so the network has to do without colour: set mapping_node's "
            "cloud_colours to camera."
        )
        return None

    # -- out: executor thread -----------------------------------------------------------------------------------------

    def _status(self, now_s: float) -> tuple[str, dict[str, Any]]:
        _, values = super()._status(now_s)
        values = {"source": self._config.source, "publications": self._publications, **values, **self._statistics}
        return f"{self._statistics.get('instances', 0)} instances", values


def load_segmenter(config: SegmentationNodeConfig) -> Any:
    """Raises UserError where torch, the checkpoint or the device is missing."""
    from gcseg_ros.segmentation import Segmenter  # says that torch is missing

    changes = {"min_score": config.min_score}
    return Segmenter.load(config.checkpoint or None, changes, config.device or None, config.precision)


def free_memory() -> None:
    """Give what a GPU held for the network back."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def labelled_cells(cloud: PointCloud, voxel_m: float) -> Cells:
    """Keys of the cloud's pairs of voxel and instance, each once: what a segmentation depends on."""
    cells = cells_of(cloud.points, voxel_m)
    if cloud.instance is not None:
        cells = cells + cloud.instance.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    return np.unique(cells)


def without_small(labels: npt.NDArray[np.integer], min_points: int) -> npt.NDArray[np.int64]:
    """Labels (N,) with 0 in the place of those that have fewer points."""
    _, row, count = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where(count[row] >= min_points, labels, 0).astype(np.int64)


def main() -> None:
    run("segmentation_node", SegmentationNode)


if __name__ == "__main__":
    main()
