"""Sensor models: what a depth camera and a colour camera make of an exact view.

Structured light: axial noise 0.0012 + 0.0019 (z - 0.4)^2 m and lateral noise of about one pixel (Nguyen, Izadi &
Lovell, "Modeling Kinect Sensor Noise", 3DIM 2012), quantised disparity, dropout at depth edges and grazing surfaces, a
limited range. Stereo: smoother noise that grows with z^2, flying pixels, holes on bare surfaces. LiDAR phones: 256 x
192, smooth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.recordings.synthetic.kernel import kernel
from gcseg_ros.recordings.synthetic.rendering import View

Depth = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]
MEAN_BRIGHTNESS = 0.54  # of 1, that automatic exposure is to reach


class DepthSensor(NamedTuple):
    """Depths in metres, angles in degrees, probabilities in 0..1; lateral and blur in pixels of a 640 pixel wide image.

    axial_base_m, axial_gain    noise is base + gain (z - 0.4)^2, correlated over blur_px
    disparity_step              in 1/m: steps of step * z^2 metres
    edge_dropout                where depth jumps by more than 2 cm + 3 %
    flying                      chance that a pixel at an edge mixes both sides
    low_frequency               slow error as a share of z, over about 40 pixels
    resolution                  width of the sensor's own image, 0 = the view's
    """

    near_m: float = 0.25
    far_m: float = 6.0
    axial_base_m: float = 0.0012
    axial_gain: float = 0.0019
    blur_px: float = 1.0
    lateral_px: float = 0.7
    disparity_step: float = 0.00285
    edge_dropout: float = 0.3
    grazing_deg: float = 80.0
    random_dropout: float = 0.01
    flying: float = 0.0
    low_frequency: float = 0.0
    resolution: int = 0
    holes: bool = True


IDEAL = DepthSensor(0.0, 1e9, 0, 0, 0, 0, 0, 0, 90, 0, holes=False)

SENSORS: dict[str, DepthSensor] = {
    "ideal": IDEAL._replace(far_m=20.0),
    "kinect": DepthSensor(),
    "xtion": DepthSensor(0.35, 8.0, 0.0015, 0.0022, 1.5, 1.0, 0.0031, 0.5, 76, 0.02, low_frequency=0.003),
    "realsense": DepthSensor(
        0.2, 10.0, 0.0015, 0.0025, 2.5, 0.5, 0.0004, 0.35, 84, 0.015, flying=0.5, low_frequency=0.006
    ),
    "lidar": DepthSensor(
        0.1, 5.0, 0.002, 0.0006, 3.0, 0.3, 0.0, 0.05, 87, 0.0, flying=0.6, low_frequency=0.003, resolution=256
    ),
}


@dataclass(frozen=True)
class ColourSensor:
    """exposure: factor; white_balance: factor per channel; noise_sigma in grey levels; blur and motion in pixels; jpeg
    quality."""

    exposure: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    noise_sigma: float = 2.0
    blur_px: float = 0.0
    motion_px: float = 0.0
    motion_angle: float = 0.0
    vignette: float = 0.0
    saturation: float = 1.0
    jpeg_quality: int = 92


def random_depth_sensor(rng: np.random.Generator, name: str) -> DepthSensor:
    """A specimen of the named sensor: its figures vary by some tens of percent."""
    s = SENSORS[name]
    if name == "ideal":
        return s._replace(far_m=float(rng.uniform(4, 20)))
    f = rng.uniform(0.6, 1.5, 6)
    return s._replace(
        far_m=float(s.far_m * rng.uniform(0.85, 1.3)),
        axial_base_m=s.axial_base_m * f[0],
        axial_gain=s.axial_gain * f[1],
        lateral_px=s.lateral_px * f[2],
        edge_dropout=min(0.9, s.edge_dropout * f[3]),
        random_dropout=s.random_dropout * f[4],
        low_frequency=s.low_frequency * f[5],
        disparity_step=s.disparity_step * float(rng.uniform(0.5, 1.3)),
    )


def random_colour_sensor(rng: np.random.Generator) -> ColourSensor:
    """Exposure, white balance, noise, blur and compression at random."""
    return ColourSensor(
        exposure=float(rng.uniform(0.7, 1.3)),
        white_balance=tuple(rng.uniform(0.88, 1.12, 3)),
        gamma=float(rng.uniform(0.8, 1.25)),
        noise_sigma=float(rng.choice([0.5, 2.0, 4.0, 8.0])),
        blur_px=float(rng.choice([0, 0, 0.5, 1.0])),
        motion_px=float(rng.choice([0, 0, 0, 0, 3, 6])),
        motion_angle=float(rng.uniform(0, np.pi)),
        vignette=float(rng.choice([0, 0, 0.2, 0.4])),
        saturation=float(rng.uniform(0.6, 1.3)),
        jpeg_quality=int(rng.integers(40, 97)),
    )


def auto_exposure(colour: Rgb) -> float:
    """Factor that brings the mean of an image (H, W, 3) to about MEAN_BRIGHTNESS, as cameras do; bounded."""
    mean = float(colour[::4, ::4].mean()) / 255
    return float(np.clip((MEAN_BRIGHTNESS / max(mean, 1e-3)) ** 0.7, 0.7, 2.5))


def sense_depth(view: View, sensor: DepthSensor, rng: np.random.Generator) -> Depth:
    """Measured z-depth (H, W) float32 m, 0 where the sensor gives nothing."""
    if sensor == IDEAL._replace(far_m=sensor.far_m):
        return np.where(view.depth_m <= sensor.far_m, view.depth_m, np.float32(0))
    height, width = view.depth_m.shape
    depth, cosine, hole = view.depth_m, view.cosine, view.hole
    if 0 < sensor.resolution < width:
        w, h = sensor.resolution, sensor.resolution * height // width
        rows, columns = (np.arange(h) * height) // h, (np.arange(w) * width) // w
        depth, cosine, hole = (image[rows[:, None], columns] for image in (depth, cosine, hole))
    h, w = depth.shape
    scale = w / 640
    normal = rng.standard_normal((h, w), dtype=np.float32)
    if sensor.blur_px * scale > 0.2:
        sigma = sensor.blur_px * scale
        # blurring shrinks white noise by 1 / (2 sigma sqrt(pi)); restore its variance
        normal = cv2.GaussianBlur(normal, (0, 0), sigma) * np.float32(max(2 * sigma * np.sqrt(np.pi), 1.0))
    slow = np.zeros((h, w), np.float32)
    if sensor.low_frequency > 0:
        coarse = rng.standard_normal((max(h // 20, 2), max(w // 20, 2)), dtype=np.float32)
        slow = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC) * np.float32(sensor.low_frequency)
    patches = rng.random((max(h // 12, 2), max(w // 12, 2)), dtype=np.float32)
    # glass and black screens fail in patches, not in single pixels
    failing = cv2.resize(patches, (w, h), interpolation=cv2.INTER_LINEAR)
    here = sensor._replace(lateral_px=sensor.lateral_px * max(scale, 0.5))
    figures = DepthSensor._make(map(float, here))  # of one type: else the loop would be compiled for each mixture
    measured = measure(depth, cosine, hole, failing, normal, slow, figures, int(rng.integers(1, 2**31)))
    if (h, w) == (height, width):
        return measured
    # bilinear between neighbours on one surface, nearest across edges, as phones do it
    nearest = cv2.resize(measured, (width, height), interpolation=cv2.INTER_NEAREST)
    linear = cv2.resize(measured, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where((nearest > 0) & (np.abs(linear - nearest) < 0.02 + 0.02 * nearest), linear, nearest)


@kernel
def measure(depth, cosine, hole, failing, normal, slow, sensor, seed):  # pragma: no cover - compiled
    """Pixel by pixel: which depth the sensor takes, whether it gives any, and how far that is off.

    depth, cosine, hole  of the exact view
    failing              0..1, alike in patches: where it is below `hole` there is no answer
    normal, slow         white noise (blurred), and the slow error as a share of z
    sensor               a DepthSensor of floats, its lateral_px in pixels of these images
    """
    height, width = depth.shape
    out = np.zeros((height, width), np.float32)
    least_cosine = np.cos(np.radians(sensor.grazing_deg))
    state = np.uint64(seed)
    for v in range(height):
        for u in range(width):
            # xorshift: four uniform numbers
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            a = (state & np.uint64(0xFFFF)) / 65536.0
            b = ((state >> np.uint64(16)) & np.uint64(0xFFFF)) / 65536.0
            c = ((state >> np.uint64(32)) & np.uint64(0xFFFF)) / 65536.0
            d = ((state >> np.uint64(48)) & np.uint64(0xFFFF)) / 65536.0
            # edges jitter sideways: sample at a normally displaced pixel
            radius = sensor.lateral_px * np.sqrt(-2 * np.log(a + 1e-5))
            x = min(max(int(np.floor(u + radius * np.cos(6.2832 * b) + 0.5)), 0), width - 1)
            y = min(max(int(np.floor(v + radius * np.sin(6.2832 * b) + 0.5)), 0), height - 1)
            here = depth[v, u]
            z = depth[y, x]
            if abs(z - here) < 0.01 * here or z <= 0:
                z = here
            if z < sensor.near_m or z > sensor.far_m or c < sensor.random_dropout:
                continue
            if cosine[v, u] < least_cosine:
                continue
            if sensor.holes and failing[v, u] * 0.8 + 0.2 * d < hole[v, u]:
                continue
            low, high = here, here
            for dv in range(-1, 2):
                for du in range(-1, 2):
                    q = depth[min(max(v + dv, 0), height - 1), min(max(u + du, 0), width - 1)]
                    low, high = min(low, q), max(high, q)
            jump = (high - low) / max(cosine[v, u], 0.2) * 0.5 if cosine[v, u] < 0.5 else high - low
            if jump > 0.02 + 0.03 * here:
                if d < sensor.edge_dropout:
                    continue
                if c < sensor.flying:
                    z = low + (high - low) * a
            z += (sensor.axial_base_m + sensor.axial_gain * (z - 0.4) ** 2) * normal[v, u]
            z *= 1 + slow[v, u]
            if sensor.disparity_step > 0:
                z = 1 / (np.floor(1 / (z * sensor.disparity_step) + 0.5) * sensor.disparity_step)
            out[v, u] = z
    return out


def sense_colour(colour: Rgb, sensor: ColourSensor, rng: np.random.Generator) -> Rgb:
    """What the colour camera delivers, (H, W, 3) uint8 RGB."""
    image: npt.NDArray[Any] = blur(colour, sensor)
    height, width = image.shape[:2]
    curve = np.linspace(0, 1, 256) ** sensor.gamma * sensor.exposure
    table = np.clip(curve[:, None] * np.array(sensor.white_balance) * 255, 0, 255)
    image = cv2.LUT(np.ascontiguousarray(image), table.astype(np.uint8).reshape(1, 256, 3))
    cv2.setRNGSeed(int(rng.integers(1, 2**31 - 1)))
    noise = np.zeros((height, width, 3), np.int8)
    cv2.randn(noise, np.zeros(3), np.full(3, sensor.noise_sigma))
    image = cv2.add(image, noise, dtype=cv2.CV_8U)
    if sensor.saturation != 1:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, sensor.saturation, grey, 1 - sensor.saturation, 0)
    if sensor.vignette > 0:
        y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
        image = (image * (1 - np.float32(sensor.vignette) * (x * x + y * y) / 2)[..., None]).astype(np.uint8)
    if sensor.jpeg_quality < 97:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg_quality])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    return np.asarray(image, np.uint8)


def blur(image: Rgb, sensor: ColourSensor) -> Rgb:
    """Lens blur, then motion blur along a line."""
    scale = image.shape[1] / 640
    if sensor.blur_px * scale > 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sensor.blur_px * scale), np.uint8)
    length = int(sensor.motion_px * scale)
    if length < 2:
        return image
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    dx, dy = np.cos(sensor.motion_angle) * length / 2, np.sin(sensor.motion_angle) * length / 2
    ends = [(round(length - dx), round(length - dy)), (round(length + dx), round(length + dy))]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
