"""Training examples: generated views, kept on disk, augmented, with their targets.

Everything about example number i follows from (seed, i) alone: training can stop and go on anywhere, with any number of
worker processes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from gcseg_ros.files import atomic_path
from gcseg_ros.frames import CameraIntrinsics, depth_to_millimetres
from gcseg_ros.masks.boundary_network import AFFINITY_OFFSETS, AFFINITY_STEP, features
from gcseg_ros.recordings import synthetic
from gcseg_ros.recordings.synthetic.training import VIEWS_PER_ROOM, training_view

Image = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

SIZE = (320, 240)  # of a generated view
CROP = (256, 192)  # of a training example
PLACES = 4  # views taken of one room
IGNORE = 255  # in targets


@dataclass(frozen=True)
class LabelledView:
    """A view with its truth.

    colour     (H, W, 3) uint8 RGB
    depth_m    (H, W) float32 metres with the sensor's noise, 0 = none
    instance   (H, W) uint16, 0 = not labelled
    structure  (H, W) bool: wall, floor, ceiling, window, door
    up         (3,) against gravity, camera frame
    """

    colour: Bytes
    depth_m: Image
    instance: npt.NDArray[np.uint16]
    structure: npt.NDArray[np.bool_]
    intrinsics: CameraIntrinsics
    up: npt.NDArray[np.float64]


class ViewCache:
    """Generated views by number, made when first asked for and kept in `folder` for as long as the generator's code is the same."""

    def __init__(self, folder: Path, styles: tuple[str, ...]) -> None:
        self.styles = styles
        digest = hashlib.sha256("|".join(styles).encode())
        for file in synthetic.sources():
            digest.update(file.read_bytes())
        self.folder = folder / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, number: int) -> LabelledView:
        file = self._file(number)
        if not file.exists():
            self._generate(number // PLACES)
        with np.load(file, allow_pickle=False) as data:
            height, width = data["instance"].shape
            focal = float(data["focal_px"])
            return LabelledView(
                colour=data["colour"],
                depth_m=data["depth_mm"].astype(np.float32) * np.float32(0.001),
                instance=data["instance"],
                structure=data["structure"],
                intrinsics=CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2),
                up=data["up"],
            )

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def _generate(self, room: int) -> None:
        """All views of a room: to build it takes as long as to look at it."""
        for place in range(PLACES):
            view = training_view(VIEWS_PER_ROOM * room + place, SIZE, self.styles)
            file = self._file(room * PLACES + place)
            with atomic_path(file) as temporary:
                np.savez(
                    temporary,
                    colour=view.colour,
                    depth_mm=depth_to_millimetres(view.depth_m),
                    instance=view.instance,
                    structure=view.stuff,
                    focal_px=view.fx,
                    up=view.up,
                )


class Examples(Dataset):
    """Augmented examples by number: features, and the targets as `targets` gives them.

    pool   how many different views there are
    fresh  new views an example, until the pool is full: the rest repeats views made before, augmented differently
    """

    def __init__(self, cache: ViewCache, seed: int, pool: int, fresh: float) -> None:
        self.cache, self.seed, self.pool, self.fresh = cache, seed, pool, fresh

    def __getitem__(self, number: int) -> dict[str, npt.NDArray]:
        rng = np.random.default_rng([self.seed, number])
        available = min(self.pool, 64 + int(number * self.fresh))
        view = augment(self.cache(int(rng.integers(available))), rng)
        inputs = features(view.colour, view.depth_m, view.intrinsics, view.up)
        return {"features": inputs, **targets(view.instance, view.structure)}


def targets(instance: npt.NDArray[np.uint16], structure: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray]:
    """What the network should say, IGNORE where the truth is unknown.

    boundary    (H, W) uint8: 1 where one of the four neighbours is another object
    structure   (H, W) uint8
    affinities  (K, H/2, W/2) uint8: 1 = the same object; see BoundaryMaps
    weight      (H, W) float32, 1..3: boundaries of small objects count more
    """
    area = np.bincount(instance.ravel())
    small = np.clip(np.sqrt(1500 / np.maximum(area, 1)), 1, 3).astype(np.float32)[instance]
    known = instance > 0
    boundary = np.zeros(instance.shape, bool)
    unknown = ~known
    weight = np.ones(instance.shape, np.float32)
    for near, far in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[1:], np.s_[:-1]),
    ):
        differ = instance[near] != instance[far]
        boundary[near] |= differ & known[far]
        unknown[near] |= ~known[far]
        weight[near] = np.maximum(weight[near], np.where(differ, np.maximum(small[near], small[far]), 1))
    affinities = np.full(
        (len(AFFINITY_OFFSETS), -(-instance.shape[0] // AFFINITY_STEP), -(-instance.shape[1] // AFFINITY_STEP)),
        IGNORE,
        np.uint8,
    )
    coarse = instance[::AFFINITY_STEP, ::AFFINITY_STEP]
    for target, offset in zip(affinities, AFFINITY_OFFSETS):
        near, far = pair(coarse.shape, offset)
        target[near] = np.where((coarse[near] > 0) & (coarse[far] > 0), coarse[near] == coarse[far], np.uint8(IGNORE))
    return {
        "boundary": np.where(unknown, np.uint8(IGNORE), boundary),
        "structure": np.where(known, structure, np.uint8(IGNORE)),
        "affinities": affinities,
        "weight": weight,
    }


def pair(shape: tuple[int, ...], offset: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Two windows of an image of `shape` whose pixels are `offset` (dv, du) apart."""
    near, far = [], []
    for size, shift in zip(shape, offset):
        near.append(slice(max(0, -shift), size - max(0, shift)))
        far.append(slice(max(0, shift), size - max(0, -shift)))
    return (near[0], near[1]), (far[0], far[1])


def augment(view: LabelledView, rng: np.random.Generator) -> LabelledView:
    """A random crop of `view`, at a random scale, mirrored or not, seen by another camera under other light."""
    view = crop(view, rng)
    blind = rng.random()  # 7 % without colour, 8 % without depth
    colour = np.full_like(view.colour, 127) if blind < 0.07 else other_light(view.colour, rng)
    depth = np.zeros_like(view.depth_m) if blind > 0.92 else other_sensor(view.depth_m, view.instance, rng)
    up = np.array([0.0, -1.0, 0.0]) if rng.random() < 0.25 else view.up + rng.normal(0, 0.03, 3)
    return LabelledView(colour, depth, view.instance, view.structure, view.intrinsics, up)


def crop(view: LabelledView, rng: np.random.Generator) -> LabelledView:
    """A window of 0.9 to 1.25 times CROP, resized to CROP, half of them mirrored."""
    height, width = view.instance.shape
    scale = min(rng.uniform(0.9, 1.25), width / CROP[0], height / CROP[1])
    w, h = round(CROP[0] * scale), round(CROP[1] * scale)
    left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    window = np.s_[top : top + h, left : left + w]
    k = view.intrinsics
    camera = CameraIntrinsics(w, h, k.fx, k.fy, k.cx - left, k.cy - top).scaled(*CROP)
    up = view.up.copy()

    def nearest(image: npt.NDArray) -> npt.NDArray:
        return cv2.resize(np.ascontiguousarray(image[window]), CROP, interpolation=cv2.INTER_NEAREST_EXACT)

    colour = cv2.resize(
        np.ascontiguousarray(view.colour[window]), CROP, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    )
    images = [colour, nearest(view.depth_m), nearest(view.instance), nearest(view.structure.astype(np.uint8)) > 0]
    if rng.random() < 0.5:
        images = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        camera = CameraIntrinsics(*CROP, camera.fx, camera.fy, CROP[0] - 1 - camera.cx, camera.cy)
        up[0] = -up[0]
    return LabelledView(*images, camera, up)


def other_light(colour: Bytes, rng: np.random.Generator) -> Bytes:
    """Another exposure, white balance, contrast, uneven light, blur, noise and compression; some without hue."""
    image = colour.astype(np.float32) / 255
    if rng.random() < 0.12:
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    elif rng.random() < 0.5:
        grey = image.mean(2, keepdims=True)
        image = grey + (image - grey) * np.float32(rng.uniform(0.4, 1.4))
    image = image * rng.uniform(0.85, 1.15, 3).astype(np.float32) * np.float32(np.exp(rng.normal(0, 0.25)))
    if rng.random() < 0.3:
        field = rng.uniform(0.6, 1.3, (3, 4, 1)).astype(np.float32)
        image = image * cv2.resize(field, CROP, interpolation=cv2.INTER_CUBIC)[..., None]
    image = np.clip(image, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.2)))
    if rng.random() < 0.3:
        middle = np.float32(rng.uniform(0.3, 0.7))
        image = middle + (image - middle) * np.float32(rng.uniform(0.4, 1.0))
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.5:
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 0.03))
    out = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))])
        out = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return out


def other_sensor(depth_m: Image, instance: npt.NDArray[np.uint16], rng: np.random.Generator) -> Image:
    """Depth as filtered over time or noisier, shifted against colour, with holes, edges or the distance missing."""
    inverse = np.where(depth_m > 0, 1 / np.maximum(depth_m, np.float32(0.1)), np.float32(0))
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 3))):
            inverse = cv2.bilateralFilter(inverse, 5, 0.01, 2)
    if rng.random() < 0.35:
        cell = float(rng.uniform(1, 3))
        noise = rng.standard_normal((round(CROP[1] / cell), round(CROP[0] / cell)), np.float32)
        noise = cv2.resize(noise, CROP, interpolation=cv2.INTER_LINEAR) * np.float32(rng.uniform(0.0005, 0.003))
        inverse = np.where(inverse > 0, np.maximum(inverse + noise, np.float32(0.05)), inverse)
    hole = inverse <= 0
    if rng.random() < 0.2:
        edge = (np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > 0.05) & (cv2.erode(inverse, np.ones((3, 3))) > 0)
        hole |= cv2.dilate(edge.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if rng.random() < 0.3:
        mask = np.zeros(inverse.shape, np.uint8)
        for _ in range(int(rng.integers(1, 5))):
            centre = rng.uniform(0, CROP, 2)
            axes = rng.uniform(3, 35, 2)
            cv2.ellipse(mask, (tuple(centre.tolist()), tuple(axes.tolist()), float(rng.uniform(0, 180))), 1, -1)
        hole |= mask > 0
    if rng.random() < 0.15:  # things that reflect or swallow the sensor's light
        chosen = rng.choice(np.unique(instance), 1)
        hole |= (instance == chosen) & (rng.random(instance.shape, np.float32) < rng.uniform(0.5, 1))
    if rng.random() < 0.15:
        hole |= inverse < 1 / rng.uniform(2.5, 6.0)
    if rng.random() < 0.25:
        shift = tuple(int(n) for n in rng.integers(-2, 3, 2))
        inverse, hole = np.roll(inverse, shift, (0, 1)), np.roll(hole, shift, (0, 1))
    return np.where(hole, np.float32(0), 1 / np.maximum(inverse, np.float32(1e-3)))
