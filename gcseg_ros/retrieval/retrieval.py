"""Texts -> scores of instances: cosine, or the relevancy against negative texts; ranking."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit

from gcseg_ros.errors import UserError
from gcseg_ros.instances.export import read_instance_map, read_labelled
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance
from gcseg_ros.retrieval.encoder import Encoder
from gcseg_ros.retrieval.features import (
    FeatureConfig,
    Features,
    NothingSeenError,
    features_file,
    fingerprint,
    instance_features,
    read_features,
    write_features,
)
from gcseg_ros.retrieval.views import VIEWS, StoredView, read_views

LONGEST_TEXT = 1000
TEMPERATURE = 100.0
"""Factor of cosines in softmax: what CLIP's training ends with (Radford et al., 2021, Sec. 2.5)."""

Scores = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Hit:
    """An object that a query found, its score and in how many views it was looked at."""

    object: ObjectInstance
    score: float
    views: int


class Retrieval:
    """The instances of a map, each with a CLIP feature. A query costs a text's feature and one product.

    instances  the map
    ids        (I,) int64: the instance of each column of scores, ascending
    """

    def __init__(self, instances: InstanceMap, features: Features, encoder: Encoder) -> None:
        """features: in the order of `instance_ids(instances)`."""
        self.instances = instances
        self.ids = instance_ids(instances)
        self.features = features
        self.encoder = encoder
        self._objects = {found.id: found for found in instances.objects}

    @classmethod
    def of(
        cls,
        instances: InstanceMap,
        views: Sequence[StoredView],
        encoder: Encoder,
        config: FeatureConfig | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Retrieval:
        """From a map and its views; this looks at all crops. Raises UserError."""
        check_instances(instances)
        masks = label_masks(instances.instance, instance_ids(instances))
        return cls(instances, instance_features(instances.points, masks, views, encoder, config, progress), encoder)

    @classmethod
    def load(
        cls,
        out: str | Path,
        encoder: Encoder,
        config: FeatureConfig | None = None,
        progress: Progress = lambda done, total: None,
        cloud: str | Path | None = None,
    ) -> Retrieval:
        """From a folder of `gcseg map`. Features are computed the first time and kept in it, `features_MODEL.npz`.

        cloud: a labelled PLY in the same world frame (of `gcseg segment`), whose instances are asked instead of the map's.
        Raises UserError.
        """
        out, config, cloud = Path(out), config or FeatureConfig(), Path(cloud) if cloud else None
        instances, views = read_labelled(cloud) if cloud else read_instance_map(out), read_views(out)
        check_instances(instances)
        file = features_file(out, encoder, cloud)
        mark = fingerprint([cloud or out / "instances.ply", out / VIEWS], encoder, config)
        kept = read_features(file, mark, len(instance_ids(instances)))
        if kept is not None:
            return cls(instances, kept, encoder)
        retrieval = cls.of(instances, views, encoder, config, progress)
        with suppress(UserError):  # a folder that cannot be written to can still be queried
            write_features(file, retrieval.features, mark)
        return retrieval

    def query(self, texts: Sequence[str], negatives: Sequence[str] = ()) -> Scores:
        """(T, I) float32 scores; NaN for instances that no view shows.

        Without negatives: the cosine. With them: LERF's relevancy (Kerr et al., ICCV 2023), the probability, 0 to 1, that
        CLIP takes the text and not the negative, of the negative that comes closest. Raises UserError.
        """
        asked, against = checked(texts), checked(negatives) if len(negatives) else []
        vectors = self.encoder.texts([*asked, *against])
        if vectors.shape[1] != self.features.vectors.shape[1]:
            raise UserError(
                f"The features have {self.features.vectors.shape[1]} numbers, the model {self.encoder.name} gives {vectors.shape[1]}: "
                "load the map with the model that is asked."
            )
        scores = vectors @ self.features.vectors.T
        if against:
            strongest = scores[len(asked) :].max(axis=0)
            scores = expit(TEMPERATURE * (scores[: len(asked)] - strongest))
        scores[:, self.features.views == 0] = np.nan
        return scores.astype(np.float32)

    def ranking(self, scores: npt.NDArray[np.floating], most: int | None = None) -> list[Hit]:
        """The instances by their scores (I,), best first; those in no view are left out."""
        order = [i for i in np.argsort(-scores, kind="stable").tolist() if np.isfinite(scores[i])]
        return [
            Hit(self._objects[int(self.ids[i])], float(scores[i]), int(self.features.views[i])) for i in order[:most]
        ]

    def per_point(self, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Scores (I,) -> (N,) float32, one for each point of the map; NaN where there is no instance or no view."""
        labels = self.instances.instance
        mine = np.isin(labels, self.ids)
        found = np.full(len(labels), np.nan, np.float32)
        found[mine] = scores[np.searchsorted(self.ids, labels[mine])]
        return found

    def remarks(self, texts: Sequence[str]) -> list[str]:
        """What the user should know about the answers: one sentence each."""
        found = [
            f"{text!r} is not in Latin letters, and {self.encoder.name} was trained on English: its scores may mean little."
            for text in texts
            if not self.encoder.multilingual and other_script(text)
        ]
        found += [
            f"{text[:40]!r}... is longer than {self.encoder.name} reads, and its end was left out: a few words serve best."
            for text in texts
            if self.encoder.cuts(text)
        ]
        hidden = int((self.features.views == 0).sum())
        if hidden:
            found.append(f"{hidden} of {len(self.ids)} instances are in no stored view and were not scored.")
        return found


def instance_ids(instances: InstanceMap) -> npt.NDArray[np.int64]:
    """The ids of a map, ascending."""
    return np.array(sorted(found.id for found in instances.objects), np.int64)


def label_masks(labels: npt.NDArray[np.integer], ids: npt.NDArray[np.integer]) -> sparse.csr_array:
    """Labels (N,) -> one mask for each of the ids (I,), ascending: (I, N) bool."""
    row = np.searchsorted(ids, labels)
    mine = np.flatnonzero(np.isin(labels, ids))
    return sparse.csr_array((np.ones(len(mine), bool), (row[mine], mine)), shape=(len(ids), len(labels)))


def check_instances(instances: InstanceMap) -> None:
    """Raises NothingSeenError where there is nothing to ask about."""
    if not instances.objects:
        raise NothingSeenError("The map has no instances to ask about: map a recording that shows more.")


def checked(texts: Sequence[str]) -> list[str]:
    """Texts without surplus spaces. Raises UserError where there is none, or one is empty or no text."""
    if isinstance(texts, str) or not len(texts):
        raise UserError("A query is one text or several, for example 'red mug'; found none.")
    cleaned = []
    for text in texts:
        words = " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in text).split())
        if not any(unicodedata.category(c)[0] in "LNS" for c in words):
            raise UserError(f"A query must have a word in it, for example 'red mug'; found {text[:40]!r}.")
        if len(words) > LONGEST_TEXT:
            raise UserError(
                f"A query may have up to {LONGEST_TEXT} letters; found {len(words)}: a few words serve best."
            )
        cleaned.append(words)
    return cleaned


def other_script(text: str) -> bool:
    """Whether most letters of the text are not Latin."""
    letters = [c for c in text if c.isalpha()]
    return sum("LATIN" not in unicodedata.name(c, "") for c in letters) > len(letters) / 2
