"""Object boundaries, affinities, structure and appearance of an RGB-D view, by a small network of our own (`boundary.onnx`).

Trained on generated rooms only by `python -m offline_training.boundaries`; its card is docs/boundary_network.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from gcseg_ros.depth import Image, normals_from
from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics

WEIGHTS = Path(__file__).with_name("boundary.onnx")
CHANNELS = 11  # of `features`
STRIDE = 16  # image sides are padded to multiples of this
AFFINITY_STEP = 2  # affinities are given for every second pixel of every second row
AFFINITY_OFFSETS = tuple((dv * d, du * d) for d in (2, 6, 16) for dv, du in ((0, 1), (1, 0), (1, 1), (1, -1)))
APPEARANCE_STEP, APPEARANCE_CHANNELS = 4, 24  # one appearance for so many pixels each way, and its numbers
APPEARANCE_PIXELS = np.s_[1::APPEARANCE_STEP, 1::APPEARANCE_STEP]  # those that stand for all that share one
LEVEL_CAMERA = (0.0, -1.0, 0.0)  # "up" of a camera held level, in its optical frame
LEAST_UPRIGHT = -0.3  # an "up" over 72 degrees off the image's belongs to a world whose z axis is not up: not believed


@dataclass(frozen=True)
class BoundaryMaps:
    """What the network says about a view of H x W pixels. All values are float32, but for the appearance probabilities in 0..1.

    boundary    (H, W): an object boundary passes between the pixel and one of its four neighbours
    affinities  (K, ceil(H/2), ceil(W/2)): the pixels (2i, 2j) and (2i + 2dv, 2j + 2du) belong to the same object, where
                (dv, du) = AFFINITY_OFFSETS[k]; meaningless where the second pixel lies outside of the image
    structure   (H, W): the pixel is part of the room itself (wall, floor, ceiling, window, door)
    appearance  (APPEARANCE_CHANNELS, ceil(H/4), ceil(W/4)): principal components of what the network knows of 4x4
                pixels, the first say most; of spread about 1. Things of one kind are near each other. None: not known,
                as of a network in training
    """

    boundary: Image
    affinities: Image
    structure: Image
    appearance: Image | None = None


class BoundaryNetwork:
    """The network, ready to run on the CPU. Same input, same output.

    path     ONNX file as written by the training; default: the one that comes with the package
    threads  CPU threads

    Raises UserError if the file is missing, broken or made for other input.
    """

    def __init__(self, path: str | Path | None = None, threads: int = 2) -> None:
        file = WEIGHTS if path is None else Path(path)
        if not file.is_file():
            raise UserError(
                f"There are no boundary weights at {file}: reinstall the package or make them with `python -m offline_training.boundaries`."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has an exception type for every kind of broken file
            raise UserError(
                f"The boundary weights {file} cannot be read ({' '.join(str(error).split())}): expected an ONNX file written by `python -m offline_training.boundaries`."
            ) from None
        inputs = [(item.name, item.shape[1:2]) for item in self._session.get_inputs()]
        outputs = [(item.name, item.shape[1:2]) for item in self._session.get_outputs()]
        expected = [("maps", [2]), ("affinities", [len(AFFINITY_OFFSETS)]), ("appearance", [APPEARANCE_CHANNELS])]
        if inputs != [("features", [CHANNELS])] or outputs != expected:
            raise UserError(
                f"The boundary weights {file} have inputs {inputs} and outputs {outputs}: expected {CHANNELS} features and maps, affinities, appearance; train them again."
            )

    def __call__(
        self,
        colour: npt.NDArray[np.uint8],
        depth_m: Image,
        intrinsics: CameraIntrinsics,
        up: npt.ArrayLike | None = None,
        normals: Image | None = None,
    ) -> BoundaryMaps:
        """Maps of one view.

        colour   (H, W, 3) uint8 RGB; H, W near 240, 320, which is what the network was trained at
        depth_m  (H, W) float32 metres, 0 where there is none; raw or filtered
        up       (3,) direction against gravity in the camera's optical frame; default: a camera held level
        normals  (H, W, 3) float32 of `normals_from`, where the caller has them already
        """
        height, width = depth_m.shape
        inputs = features(colour, depth_m, intrinsics, up, normals)
        below, right = -height % STRIDE, -width % STRIDE
        if below or right:
            inputs = np.pad(inputs, ((0, 0), (0, below), (0, right)), mode="edge")
        maps, affinities, appearance = self._session.run(None, {"features": inputs[None]})
        half, quarter = (
            np.s_[0, :, : -(-height // step), : -(-width // step)] for step in (AFFINITY_STEP, APPEARANCE_STEP)
        )
        return BoundaryMaps(
            boundary=maps[0, 0, :height, :width],
            affinities=affinities[half],
            structure=maps[0, 1, :height, :width],
            appearance=appearance[quarter],
        )


def features(
    colour: npt.NDArray[np.uint8],
    depth_m: Image,
    intrinsics: CameraIntrinsics,
    up: npt.ArrayLike | None = None,
    normals: Image | None = None,
) -> Image:
    """What the network sees: (CHANNELS, H, W) float32. Arguments as for BoundaryNetwork.

    0-2  colour, less the image's mean brightness, over its contrast
    3    inverse depth, 1/m, 0 where there is none
    4    whether there is depth
    5-6  inverse depth less its mean over 5x5 and over 17x17 pixels: 0 on planes, signed at steps and creases
    7-8  x and y of the normal in the camera's frame
    9    component of the normal along `up`
    10   height over the camera along `up`, in units of 2 m

    Raises UserError if the sizes differ or `up` is no direction.
    """
    size = (intrinsics.height, intrinsics.width)
    if depth_m.shape != size or colour.shape != (*size, 3):
        raise UserError(
            f"The camera's size is {size[1]}x{size[0]}, but depth has shape {depth_m.shape} and colour {colour.shape}: give images of one size and the intrinsics of that size."
        )
    axis = np.asarray(LEVEL_CAMERA if up is None else up, np.float64)
    length = float(np.linalg.norm(axis)) if axis.shape == (3,) else 0.0
    if not (np.isfinite(length) and length > 1e-6):
        raise UserError(f"The up direction must be a finite, nonzero vector of three numbers; found {axis.tolist()}.")
    axis = (axis / length).astype(np.float32)
    if axis[1] > LEAST_UPRIGHT:
        axis = np.array(LEVEL_CAMERA, np.float32)
    k = intrinsics
    if normals is None:
        normals = normals_from(depth_m, k.pinhole)

    out = np.empty((CHANNELS, *size), np.float32)
    mean, deviation = cv2.meanStdDev(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))
    gain = 1 / max(float(deviation[0, 0]), 12.0)  # noise of a blank image stays small
    for channel, plane in enumerate(cv2.split(colour)):
        out[channel] = (plane - np.float32(mean[0, 0])) * np.float32(gain)
    valid = depth_m > 0
    inverse = np.where(valid, 1 / np.maximum(depth_m, np.float32(0.25)), np.float32(0))
    out[3] = inverse
    out[4] = valid
    for channel, window, scale in ((5, 5, 100), (6, 17, 30)):  # sensor noise is about 0.002 1/m at every distance
        count = cv2.blur(out[4], (window, window), borderType=cv2.BORDER_CONSTANT)
        mean_inverse = cv2.blur(inverse, (window, window), borderType=cv2.BORDER_CONSTANT) / np.maximum(
            count, np.float32(1e-6)
        )
        out[channel] = np.tanh((inverse - mean_inverse) * np.float32(scale)) * out[4]
    out[7], out[8] = normals[..., 0], normals[..., 1]
    out[9] = normals @ axis
    right = (np.arange(k.width, dtype=np.float32) - np.float32(k.cx)) * (axis[0] / np.float32(k.fx))
    down = (np.arange(k.height, dtype=np.float32) - np.float32(k.cy)) * (axis[1] / np.float32(k.fy))
    out[10] = (right[None, :] + down[:, None] + axis[2]) * depth_m * np.float32(0.5)
    return out
