"""Quality of tracked 2D labels over a video: how well masks fit, and whether an object keeps its id.

All counts come from one table per frame: pixels per pair (true id, tracked id). True id 0 is void: its pixels are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from gcseg_ros.camera.encoded_images import decode
from gcseg_ros.errors import UserError
from gcseg_ros.frames import nearest_pixels

MIN_PIXELS = 100


@dataclass(frozen=True)
class FrameTable:
    """Pairs that share pixels in one frame: true (K,), tracked (K,) ids (0 = no label), pixels (K,). All int64."""

    true: npt.NDArray[np.int64]
    tracked: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, truth: npt.NDArray[np.integer], labels: npt.NDArray[np.integer], void: Collection[int] = ()
    ) -> FrameTable:
        """truth, labels (H, W) ids under 65536; the ids in `void` are taken as 0."""
        pairs, pixels = np.unique(truth.astype(np.uint32) * np.uint32(65536) + labels, return_counts=True)
        true, tracked = np.divmod(pairs.astype(np.int64), 65536)
        kept = (true > 0) & ~np.isin(true, list(void))
        return cls(true[kept], tracked[kept], pixels[kept].astype(np.int64))


@dataclass(frozen=True)
class TrackingQuality:
    """Over a video; the shares are from 0 to 1, NaN where the truth is empty.

    frames               frames compared
    mean_best_iou        over all true masks of at least 100 pixels: IoU of the tracked mask that fits best in the same frame
    association_quality  AQ of STQ (Weber et al., "STEP", 2021): per true object, the IoUs over the whole video of the ids that
                         it bears, weighted by their share of it
    idf1                 F1 of masks (IoU > 0.5) under the best one-to-one assignment of ids (Ristani et al., 2016)
    id_switches          how often a true object is found (IoU > 0.5) under another id than the last time
    """

    frames: int
    mean_best_iou: float
    association_quality: float
    idf1: float
    id_switches: int


def tracking_quality(tables: Iterable[FrameTable]) -> TrackingQuality:
    """From the tables of all frames, in order of time."""
    video: dict[tuple[int, int], int] = {}
    found: dict[tuple[int, int], int] = {}
    last: dict[int, int] = {}
    best_ious: list[float] = []
    frames = true_masks = tracked_masks = switches = 0
    for table in tables:
        frames += 1
        for true, tracked, pixels in zip(
            table.true.tolist(), table.tracked.tolist(), table.pixels.tolist(), strict=True
        ):
            video[true, tracked] = video.get((true, tracked), 0) + pixels
        true_ids, row = np.unique(table.true, return_inverse=True)
        tracked_ids, column = np.unique(table.tracked, return_inverse=True)
        shared = np.zeros((len(true_ids), len(tracked_ids)), np.int64)
        shared[row, column] = table.pixels
        true_sizes, tracked_sizes = shared.sum(1), shared.sum(0)
        iou = shared / np.maximum(true_sizes[:, None] + tracked_sizes - shared, 1) * (tracked_ids > 0)
        large = true_sizes >= MIN_PIXELS
        same = (iou > 0.5) & large[:, None]
        best_ious.extend(iou[large].max(1, initial=0))
        true_masks += int(large.sum())
        tracked_masks += int((((tracked_sizes >= MIN_PIXELS) | same.any(0)) & (tracked_ids > 0)).sum())
        for r, c in np.argwhere(same):
            true, tracked = int(true_ids[r]), int(tracked_ids[c])
            found[true, tracked] = found.get((true, tracked), 0) + 1
            switches += last.get(true, tracked) != tracked
            last[true] = tracked
    if not true_masks:
        return TrackingQuality(frames, float("nan"), float("nan"), float("nan"), 0)
    counts = table_of(found)
    assigned = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return TrackingQuality(
        frames,
        float(np.mean(best_ious)),
        association_quality(video),
        float(2 * assigned / (true_masks + tracked_masks)),
        switches,
    )


def association_quality(video: dict[tuple[int, int], int]) -> float:
    """AQ: mean over true objects g of 1/|g| * sum over ids p of |p & g| * IoU(p, g). video: (true, tracked) -> pixels."""
    shared = table_of(video)
    tracked = np.unique([tracked for _, tracked in video])
    iou = shared / (shared.sum(1)[:, None] + shared.sum(0) - shared) * (tracked > 0)
    return float(((shared * iou).sum(1) / shared.sum(1)).mean())


def table_of(counts: dict[tuple[int, int], int]) -> npt.NDArray[np.int64]:
    """(true, tracked) -> count, as a table (G, P), both in ascending order."""
    if not counts:
        return np.zeros((0, 0), np.int64)
    true, tracked = np.array(list(counts)).T
    (rows, row), (columns, column) = (np.unique(ids, return_inverse=True) for ids in (true, tracked))
    table = np.zeros((len(rows), len(columns)), np.int64)
    table[row, column] = list(counts.values())
    return table


def compare_folders(truth: str | Path, labels: str | Path, void: Collection[int] = ()) -> TrackingQuality:
    """Frames of the same name in two folders of 16-bit label PNGs (SCENE/instance, OUT/labels), in the truth's pixels: labels have more
    where depth was made finer (`as_fine_as_colour`). Raises UserError."""
    truth, labels = Path(truth), Path(labels)
    names = sorted({file.name for file in truth.glob("*.png")} & {file.name for file in labels.glob("*.png")})
    if not names:
        raise UserError(f"No PNG of {labels} has the name of one in {truth}: are they of the same recording?")

    def compare(name: str) -> FrameTable:
        true, tracked = read_labels(truth / name), read_labels(labels / name)
        (height, width), (high, wide) = true.shape, tracked.shape
        if abs(width * high - wide * height) > max(width, wide):  # more than rounding
            raise UserError(
                f"{labels / name} is {tracked.shape} pixels, but its truth {true.shape}: sizes must be equal, but for a factor."
            )
        return FrameTable.of(true, nearest_pixels(tracked, height, width), void)

    with ThreadPoolExecutor() as pool:
        return tracking_quality(pool.map(compare, names))


def read_labels(path: Path) -> npt.NDArray[np.uint16]:
    """A label image, (H, W) uint16. Raises UserError."""
    try:
        image = decode(path.read_bytes(), cv2.IMREAD_UNCHANGED, str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    if image is None or image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        found = "an unreadable file" if image is None else f"{image.shape} {image.dtype}"
        raise UserError(f"{path} must be a one-channel 16-bit label image; found {found}.")
    return image.astype(np.uint16)
