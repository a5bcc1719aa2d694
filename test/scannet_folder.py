"""A recording in ScanNet's exported layout, written without the package's own code."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np


def write_scannet_folder(
    folder: Path, frames: Iterable[tuple[str, np.ndarray, np.ndarray, np.ndarray]], K: np.ndarray
) -> Path:
    """frames: name, colour (H, W, 3) RGB, depth (H, W) in millimetres, pose (4, 4); K (3, 3): of colour and of depth."""
    for part in ("color", "depth", "pose", "intrinsic"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, colour, depth_mm, pose in frames:
        assert cv2.imwrite(str(folder / "color" / f"{name}.png"), colour[..., ::-1])
        assert cv2.imwrite(str(folder / "depth" / f"{name}.png"), np.round(depth_mm).astype(np.uint16))
        np.savetxt(folder / "pose" / f"{name}.txt", pose)
    matrix = np.eye(4)
    matrix[:3, :3] = K
    for kind in ("color", "depth"):
        np.savetxt(folder / "intrinsic" / f"intrinsic_{kind}.txt", matrix)
    return folder
