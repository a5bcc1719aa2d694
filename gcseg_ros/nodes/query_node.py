"""query_node: a text in; where in the map it is out, as a heat map, boxes and scores."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from gcseg_ros.nodes.run import run  # first: says in one sentence that rclpy is missing

# isort: split
import numpy as np
import numpy.typing as npt
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String
from visualization_msgs.msg import MarkerArray

from gcseg_ros.config import ViewsConfig
from gcseg_ros.errors import UserError
from gcseg_ros.instances.instances import InstanceMap, labelled_map
from gcseg_ros.nodes import messages
from gcseg_ros.nodes.cloud_node import CloudNode
from gcseg_ros.nodes.inputs import Input
from gcseg_ros.nodes.managed import LATCHED, RELIABLE
from gcseg_ros.nodes.parameters import QueryNodeConfig, read
from gcseg_ros.nodes.views import ViewInputs
from gcseg_ros.retrieval import OpenClip, Retrieval, ViewGatherer
from gcseg_ros.retrieval.answers import Answer, as_json
from gcseg_ros.retrieval.cached_encoder import CachedEncoder
from gcseg_ros.retrieval.encoder import DEFAULT_MODEL
from gcseg_ros.retrieval.features import FeatureConfig
from gcseg_ros.retrieval.retrieval import checked
from gcseg_ros.retrieval.views import StoredView

MOST_WAITING = 10
SAID = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Interrupted(Exception):  # noqa: N818 - not an error
    """A query waits that can be answered at once."""


class QueryNode(CloudNode):
    """Configured: nothing is kept. Active: the model is loaded, the map is looked at, texts are answered."""

    settings, task = QueryNodeConfig, "queries"
    optional = shared = frozenset({"query"})

    def __init__(self, **arguments: Any) -> None:
        super().__init__("query_node", **arguments)
        self._forget()

    def _forget(self) -> None:
        self._encoder: CachedEncoder | None = None
        self._retrieval: Retrieval | None = None
        self._map: tuple[InstanceMap, Header] | None = None  # the latest
        self._map_began = 0  # when that of the views did: its name
        self._asked: tuple[list[str], list[str]] | None = None
        self._owed = False  # whether what was asked could not be answered yet
        self._stale = False  # whether the retrieval lacks something of the latest map and views
        self._refreshed_s = float("-inf")
        self._progress = (0, 0)

    # -- lifecycle ----------------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        self._config = read(self, QueryNodeConfig)
        self._waiting: deque[str] = deque()
        self._answered = 0
        self._query_s = 0.0
        self._worker = self._cloud_worker(self._refresh_if_due)
        self._heatmap = self._advertise(PointCloud2, "~/heatmap", LATCHED)
        self._result = self._advertise(MarkerArray, "~/result", LATCHED)
        self._scores = self._advertise(String, "~/scores", LATCHED)
        self._sentences = self._advertise(String, "~/status", SAID)

    def _activate(self) -> None:
        config = self._config
        self._gatherer = ViewGatherer(ViewsConfig(most=config.most_views))
        try:
            self._load_encoder()
        except UserError as error:  # everything else goes on, and every query says it
            self.get_logger().error(str(error))
        views = ViewInputs(
            self,
            config.topics.views,
            config.most_views,
            lambda *view: self._worker.call(partial(self._guarded, self._take_view, *view)) and None,
            partial(self._drops, "view not usable"),
        )
        query = Input(self, "query", "~/query", [String], self._take_query, RELIABLE)
        self._inputs = [self._cloud_input(), *views.inputs, query]
        self.get_logger().info(
            f"Ask with `ros2 topic pub --once {query.resolved} std_msgs/msg/String '{{data: red mug; -bowl}}'`; "
            f"the map comes from {self._inputs[0].resolved}."
        )

    def _deactivate(self) -> None:
        super()._deactivate()
        self._forget()

    def _load_encoder(self) -> CachedEncoder:
        """The model, loaded at its first use. Raises UserError where its package or weights are missing."""
        if self._encoder is None:
            config = self._config
            loaded = OpenClip.load(config.model or DEFAULT_MODEL, config.weights or None, config.device or None)
            self._encoder = CachedEncoder(loaded)
        return self._encoder

    # -- in: executor thread ------------------------------------------------------------------------------------------

    def _take_query(self, message: String) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._drops("query not answered", f"{MOST_WAITING} queries wait already: ask again when they are answered.")
            return
        self._waiting.append(message.data)
        self._worker.call(partial(self._guarded, self._answer_next))

    # -- look and answer: worker thread -------------------------------------------------------------------------------

    def _process(self, message: PointCloud2) -> None:
        cloud = self._read(message)
        if cloud is None:
            return
        if cloud.instance is None:
            self._drops(
                "cloud without instances",
                "The cloud has no field instance_id: take the ~/cloud of mapping_node or segmentation_node.",
            )
            return
        confidence = np.zeros(len(cloud), np.float32) if cloud.confidence is None else cloud.confidence
        instances = labelled_map(cloud.points, cloud.colours, cloud.instance, confidence)
        if not len(cloud):  # the map has been reset; the views go when the first of the new map comes
            self._map = self._retrieval = None
            if self._answered:  # who looks at the answers must not see them in the new map
                self._publish(instances, np.zeros(0, np.float32), [], [], message.header)
            return
        self._map, self._stale = (instances, message.header), True
        self._refresh_if_due()

    def _take_view(self, view: StoredView, frame_id: str, map_began: int) -> None:
        if map_began != self._map_began:  # those of an earlier map have names like these
            self._gatherer, self._retrieval = ViewGatherer(self._gatherer.config), None
            self._map_began = map_began
        if view.name in {kept.name for kept in self._gatherer.views}:
            return  # sent again for another reader
        if self._map and frame_id != self._map[1].frame_id:
            self._say_once(
                f"The cloud is in the frame {self._map[1].frame_id!r}, the views of it in {frame_id!r}: they are looked at as if these were "
                "the same; take both from one mapping_node."
            )
        try:
            self._gatherer.keep(view)
        except UserError as error:
            self._drops("view not usable", str(error))
        self._stale = True

    def _refresh_if_due(self) -> None:
        rate_hz, ready = self._config.rate_hz, self._encoder and self._map and self._gatherer.views and self._inputs
        if self._stale and ready and rate_hz and time.monotonic() - self._refreshed_s >= 1 / rate_hz:
            try:
                self._refresh()
                self._show_again()
            except Interrupted:
                pass
            except UserError as error:
                self._drops("map not looked at", str(error))

    def _refresh(self) -> Retrieval:
        """Look at the latest map. Raises UserError, and Interrupted where an earlier look can answer a query that waits."""
        topics = self._config.topics
        if self._map is None:
            raise UserError(
                f"There is no map to ask yet: no cloud with instances has come on {self.resolve_topic_name(topics.cloud)}."
            )
        if not self._gatherer.views:
            raise UserError(
                f"There is a map but no view of it to look at: none has come on {self.resolve_topic_name(topics.views)}/colour, where "
                "mapping_node sends them (unless its views.most is 0)."
            )
        encoder = self._load_encoder()
        self._stale, self._refreshed_s = False, time.monotonic()
        instances, head = self._map
        features = FeatureConfig(views=self._config.views_per_object, batch=self._config.batch)
        try:
            retrieval = Retrieval.of(instances, self._gatherer.views, encoder, features, self._looked_at)
        except Interrupted:
            self._stale = True
            raise
        if not self._inputs:
            raise UserError("query_node is being deactivated.")
        self._retrieval, self._head, self._refreshed_s = retrieval, head, time.monotonic()
        return retrieval

    def _looked_at(self, done: int, total: int) -> None:
        self._progress = (done, total)
        if self._waiting and self._retrieval is not None:
            raise Interrupted

    def _answer_next(self) -> None:
        text = self._waiting.popleft()
        try:
            texts, negatives = parsed(text)
            self._asked, self._owed = (texts, negatives), True
            if self._retrieval is None or (self._stale and not self._config.rate_hz):
                with suppress(Interrupted):
                    self._refresh()
            self._say(self._show(texts, negatives))
            self._owed = False
            for remark in self._retrieval.remarks([*texts, *negatives]) if self._retrieval else []:
                self._say(remark)
        except UserError as error:
            self._say(str(error), failed=True)

    def _show_again(self) -> None:
        """What was asked last, in the map as it is now."""
        if self._asked:
            sentence = self._show(*self._asked)
            if self._owed:
                self._say(sentence)
            self._owed = False

    def _show(self, texts: list[str], negatives: list[str]) -> str:
        """Publish what the texts find; a sentence about it. Raises UserError."""
        retrieval = self._retrieval
        if retrieval is None:
            raise UserError("query_node is being deactivated.")
        started_s = time.monotonic()
        scores = retrieval.query(texts, negatives)
        answers = [Answer(text, row, retrieval.ranking(row)) for text, row in zip(texts, scores)]
        self._query_s = time.monotonic() - started_s
        best = self._config.best
        heat = retrieval.per_point(np.fmax.reduce(scores, axis=0))
        self._publish(retrieval.instances, heat, answers, negatives, self._head)
        self._answered += 1
        found = "; ".join(
            f"“{answer.text}”: "
            + (
                ", ".join(f"object {hit.object.id} ({hit.score:.3f})" for hit in answer.hits[:best])
                or "nothing in view"
            )
            for answer in answers
        )
        return f"{found}, of {len(retrieval.ids)} objects in {1000 * self._query_s:.0f} ms."

    def _publish(
        self,
        instances: InstanceMap,
        heat: npt.NDArray[np.float32],
        answers: list[Answer],
        negatives: list[str],
        head: Header,
    ) -> None:
        best = self._config.best
        self._heatmap.publish(messages.heat_message(instances, heat, head))
        self._result.publish(messages.answers_message(answers, best, head))
        content = {"negatives": negatives, "answers": as_json(answers, best)}
        self._scores.publish(String(data=json.dumps(content, ensure_ascii=False)))

    def _say(self, sentence: str, failed: bool = False) -> None:
        if failed:
            self.get_logger().warning(sentence)
        else:
            self.get_logger().info(sentence)
        self._sentences.publish(String(data=sentence))

    # -- out: executor thread -----------------------------------------------------------------------------------------

    def _status(self, now_s: float) -> tuple[str, dict[str, Any]]:
        _, values = super()._status(now_s)
        retrieval, encoder = self._retrieval, self._encoder
        values |= {
            "model": encoder.name if encoder else "none",
            "views": len(self._gatherer.views) if self._inputs else 0,
            "objects looked at": len(retrieval.ids) if retrieval else 0,
            "crops": "{} of {}".format(*self._progress),
            "queries answered": self._answered,
            "queries waiting": len(self._waiting),
            "query_s": self._query_s,
        }
        return f"{values['objects looked at']} objects to ask about" if encoder else "no model", values


def parsed(query: str) -> tuple[list[str], list[str]]:
    """ "red mug; lamp; -bowl" -> the texts, and those after a minus. Raises UserError."""
    parts = [part.strip() for part in query.replace("\n", ";").split(";") if part.strip()]
    texts = checked([part for part in parts if not part.startswith("-")])
    negatives = [part[1:] for part in parts if part.startswith("-")]
    return texts, checked(negatives) if negatives else []


def main() -> None:
    run("query_node", QueryNode)


if __name__ == "__main__":
    main()
