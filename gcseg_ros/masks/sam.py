"""`masks: sam` and `masks: sam2`: automatic masks over the full image and crops of it, all three scales kept apart.

A grid of points is asked of the network, each answers with three masks. What is of low quality, unstable, cut by a crop or
a duplicate is left out, with the knobs of the packages' own generators and to their letter (`scales: together` gives their
masks). `scales: apart` keeps each point's largest, middle and smallest mask in three heaps, whole, part and subpart:
duplicates are looked for within a heap, and Eq. 1 has something to test. What the paper calls fine and coarse are, by its
example of the chair and its seat, those scales; with `together` they are, to its letter, full image and crops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from segment_anything.utils.amg import (
    batched_mask_to_box,
    build_all_layer_point_grids,
    calculate_stability_score,
    generate_crop_boxes,
    is_box_near_crop_edge,
    remove_small_regions,
    uncrop_boxes_xyxy,
    uncrop_masks,
)
from torch import Tensor
from torchvision.ops.boxes import batched_nms

from gcseg_ros.config import FoundationConfig, MasksConfig, SamConfig
from gcseg_ros.masks.containment import remove_redundant
from gcseg_ros.masks.masks import Labels, Masks
from gcseg_ros.masks.proposals import Proposals
from gcseg_ros.masks.sam_networks import Picture, PromptedImages, load_images
from gcseg_ros.networks.runtime import Portions, Runtime
from gcseg_ros.views import View

SCALES = 3  # masks that the networks give for one point: subpart, part, whole
MASK_THRESHOLD = 0.0
CROPS_ON_GPU = 4
"""Crops encoded at once on a GPU; on a CPU one at a time is as fast."""
UNPACKED = 1 << 26
"""Bytes of masks that are unpacked at once, one a pixel."""


class SamGenerator:
    """Automatic masks of `images`."""

    def __init__(self, config: SamConfig, images: PromptedImages, runtime: Runtime) -> None:
        self.config, self.images, self.runtime = config, images, runtime
        self.grids = build_all_layer_point_grids(
            config.points_per_side, config.crop_n_layers, config.crop_n_points_downscale_factor
        )
        self.portions = Portions("masks.sam.points_per_batch and crops_per_batch")

    def __call__(self, view: View) -> Proposals:
        """Detections: all masks but the redundant ones (Eq. 2), the smaller on top. Levels: subpart, part and whole.
        Nothing where there is no depth: what the map cannot know would be new at every keyframe."""
        shape: tuple[int, int] = view.depth_m.shape
        scales = [masks.filter(masks.area > 0) for masks in self.scales(view.picture, shape)]
        detections = remove_redundant(Masks.cat(scales), self.config.containment).to_labels()
        levels: list[Labels] = []
        for masks in reversed(scales):  # where a scale has no mask there is that of the next coarser one
            labels = masks.to_labels()
            levels.insert(0, np.where(labels > 0, labels + levels[0].max(), levels[0]) if levels else labels)
        known = view.depth_m > 0
        return Proposals(np.where(known, detections, 0), tuple(np.where(known, level, 0) for level in levels))

    def scales(self, picture: Picture, shape: tuple[int, int] | None = None) -> tuple[Masks, ...]:
        """Masks of a picture at its own size, or at a `shape` that is a whole fraction of it: subpart, part and whole,
        or one heap (`scales: together`).

        Raises UserError when the GPU's memory is full also with half as much at once.
        """
        size = picture.shape[:2]
        heap = self.portions.run(lambda: self._candidates(picture))
        binary = unpacked(heap.packed, size, shape or size)
        if self.config.scales == "together":
            return (Masks(binary, heap.iou.numpy(), (heap.crop_area == size[0] * size[1]).numpy()),)
        parts = [(heap.scale == scale).numpy() for scale in range(SCALES)]
        fine = [np.full(len(heap), scale < SCALES - 1) for scale in range(SCALES)]
        return tuple(Masks(binary[part], heap.iou.numpy()[part], f[part]) for part, f in zip(parts, fine))

    @torch.inference_mode()
    def _candidates(self, picture: Picture) -> Candidates:
        """What all points of all crops answer, without duplicates."""
        size = picture.shape[:2]
        crops, layers = generate_crop_boxes(size, self.config.crop_n_layers, self.config.crop_overlap_ratio)
        at_once = self.portions.of(self.config.crops_per_batch or (CROPS_ON_GPU if self.runtime.on_gpu else 1))
        found = []
        for start in range(0, len(crops), at_once):
            batch = range(start, min(start + at_once, len(crops)))
            with self.runtime.autocast():
                self.images.encode([picture[y0:y1, x0:x1] for x0, y0, x1, y1 in (crops[i] for i in batch)])
            for i in batch:
                found += [self._masks_of_crop(i - start, crops[i], self.grids[layers[i]], size)]
        heap = Candidates.cat(found)
        if len(crops) > 1:  # duplicates among crops: the smaller crop's is the better one
            heap = heap.without_duplicates(1 / heap.crop_area, self._heaps(heap), self.config.crop_nms_thresh)
        if self.config.min_mask_region_area > 0:
            heap = self._tidied(heap, size)
        return heap

    def _masks_of_crop(self, index: int, crop: list[int], grid: npt.NDArray, size: tuple[int, int]) -> Candidates:
        """What the points of one encoded crop answer, without duplicates."""
        x0, y0, x1, y1 = crop
        points = grid * np.array([[x1 - x0, y1 - y0]])
        at_once = self.portions.of(self.config.points_per_batch)
        batches = (points[i : i + at_once] for i in range(0, len(points), at_once))
        found = Candidates.cat([self._masks_at(index, batch, crop, size) for batch in batches])
        return found.without_duplicates(found.iou, self._heaps(found), self.config.box_nms_thresh)

    def _masks_at(self, index: int, points: npt.NDArray, crop: list[int], size: tuple[int, int]) -> Candidates:
        config, (height, width) = self.config, size
        with self.runtime.autocast():
            logits, iou = self.images.predict(index, points)
        area = (logits > MASK_THRESHOLD).sum((2, 3))
        scale = area.argsort(dim=1, stable=True).argsort(dim=1).flatten()
        logits, iou = logits.flatten(0, 1), iou.flatten()
        keep = iou > config.pred_iou_thresh if config.pred_iou_thresh > 0 else torch.ones_like(iou, dtype=torch.bool)
        logits, iou, scale = logits[keep], iou[keep], scale[keep]
        if config.stability_score_thresh > 0:
            stability = calculate_stability_score(logits, MASK_THRESHOLD, config.stability_score_offset)
            keep = stability >= config.stability_score_thresh
            logits, iou, scale = logits[keep], iou[keep], scale[keep]
        binary = logits > MASK_THRESHOLD
        boxes = batched_mask_to_box(binary)
        keep = ~is_box_near_crop_edge(boxes, crop, [0, 0, width, height])  # type: ignore[operator]
        whole = uncrop_masks(binary[keep], crop, height, width)
        boxes = uncrop_boxes_xyxy(boxes[keep], crop).float().cpu()
        crop_area = torch.full((len(boxes),), float((crop[2] - crop[0]) * (crop[3] - crop[1])))
        return Candidates(packed(whole), boxes, iou[keep].cpu(), scale[keep].cpu(), crop_area)

    def _heaps(self, found: Candidates) -> Tensor:
        """Duplicates are looked for among masks with the same number."""
        return found.scale if self.config.scales == "apart" else torch.zeros_like(found.scale)

    def _tidied(self, heap: Candidates, size: tuple[int, int]) -> Candidates:
        """Without small holes and islands; of masks that have become duplicates, one that needed no change stays."""
        least, rows, boxes, unchanged = self.config.min_mask_region_area, [], [], []
        for row in heap.packed:
            mask = np.unpackbits(row, count=size[0] * size[1]).reshape(size).astype(bool)
            mask, holes = remove_small_regions(mask, least, mode="holes")
            mask, islands = remove_small_regions(mask, least, mode="islands")
            whole = torch.from_numpy(mask)[None]
            rows.append(packed(whole))
            boxes.append(batched_mask_to_box(whole).float())
            unchanged.append(not (holes or islands))
        if not rows:
            return heap
        tidied = Candidates(np.concatenate(rows), torch.cat(boxes), heap.iou, heap.scale, heap.crop_area)
        threshold = max(self.config.box_nms_thresh, self.config.crop_nms_thresh)
        return tidied.without_duplicates(torch.tensor(unchanged).float(), self._heaps(tidied), threshold)


@dataclass(frozen=True)
class Candidates:
    """Masks on the way, parallel arrays on the CPU.

    packed     (N, bytes) uint8, one bit a pixel of the whole picture
    boxes      (N, 4) float32 x0 y0 x1 y1
    iou        (N,) float32 predicted quality
    scale      (N,) int64: 0 smallest of its point's three masks, 2 largest
    crop_area  (N,) float32 pixels of the crop that it was found in
    """

    packed: npt.NDArray[np.uint8]
    boxes: Tensor
    iou: Tensor
    scale: Tensor
    crop_area: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def _arrays(self) -> Iterator[Tensor]:
        return iter((self.boxes, self.iou, self.scale, self.crop_area))

    @classmethod
    def cat(cls, parts: Sequence[Candidates]) -> Candidates:
        arrays = (torch.cat(same) for same in zip(*(part._arrays() for part in parts)))
        return cls(np.concatenate([part.packed for part in parts]), *arrays)

    def without_duplicates(self, score: Tensor, heap: Tensor, threshold: float) -> Candidates:
        """Non-maximal suppression by IoU of boxes within each heap: what is left, by falling score."""
        keep = batched_nms(self.boxes, score, heap, threshold)
        return Candidates(self.packed[keep.numpy()], *(array[keep] for array in self._arrays()))


def packed(masks: Tensor) -> npt.NDArray[np.uint8]:
    """(N, H, W) bool -> (N, bytes) uint8, one bit a pixel."""
    return np.packbits(masks.flatten(1).cpu().numpy(), axis=1)


def unpacked(rows: npt.NDArray[np.uint8], size: tuple[int, int], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """(N, bytes), one bit a pixel of a picture of this size -> (N, *shape) bool, at a whole fraction of the size:
    pixels of which at least half was in the mask."""
    (height, width), factor = size, size[0] // shape[0]
    masks = np.empty((len(rows), *shape), bool)
    at_once = max(1, UNPACKED // (height * width))
    for start in range(0, len(rows), at_once):
        some = slice(start, start + at_once)
        whole = np.unpackbits(rows[some], axis=1, count=height * width)
        lines = whole.reshape(-1, shape[0], factor, width).sum(axis=2, dtype=np.uint16)
        masks[some] = sum(lines[..., k::factor] for k in range(factor)) >= factor**2 / 2
    return masks


def build_sam_generator(config: MasksConfig, foundation: FoundationConfig) -> SamGenerator:
    """The generator of `masks: sam` or `masks: sam2` with its weights. Raises UserError."""
    runtime = Runtime.of(foundation)
    return SamGenerator(config.sam, load_images(config, foundation, runtime), runtime)
