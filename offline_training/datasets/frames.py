"""ScanNet's .sens as a folder of images and poses, as its SensReader exports it; images are not encoded anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from gcseg_ros.errors import UserError
from gcseg_ros.recordings import why_unusable
from gcseg_ros.recordings.sens import ScanNetSens

FOLDERS = ("depth", "pose", "intrinsic", "color")


def is_exported(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in FOLDERS)


def export_frames(sens: Path, folder: Path, step: int = 1) -> int:
    """Every step-th frame into folder/{color,depth,pose,intrinsic}: how many. Frames without a pose are left out.

    color/NNNNNN.jpg as stored, depth/NNNNNN.png (16 bit, mm), pose/NNNNNN.txt camera-to-world, intrinsic/*.txt, all 4x4. The
    names are the frames' numbers. All or nothing is written.
    Raises UserError.
    """
    if not sens.is_file():
        raise UserError(f"There is no {sens}: download it (download-scannet.py --type .sens), or leave out --frames.")
    recording = ScanNetSens(sens)
    header = recording.header
    partial = folder / ".frames.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for name in FOLDERS:
            (partial / name).mkdir(parents=True)
        np.savetxt(partial / "intrinsic" / "intrinsic_color.txt", header.colour_matrix, "%.6f")
        np.savetxt(partial / "intrinsic" / "intrinsic_depth.txt", header.depth_matrix, "%.6f")
        np.savetxt(partial / "intrinsic" / "extrinsic_depth.txt", header.T_colour_depth, "%.8f")
        written = 0
        for frame in recording.stored(step):
            if why_unusable(frame.pose):
                continue
            stem = f"{frame.number:06d}"
            suffix = ".jpg" if frame.colour.startswith(b"\xff\xd8") else ".png"
            (partial / "color" / f"{stem}{suffix}").write_bytes(frame.colour)
            raw = recording.raw_depth(frame)
            depth_mm = np.rint(raw * (1000 / header.depth_units_per_m)).clip(0, 65535).astype(np.uint16)
            coded = cv2.imencode(".png", depth_mm, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
            (partial / "depth" / f"{stem}.png").write_bytes(coded.tobytes())
            np.savetxt(partial / "pose" / f"{stem}.txt", frame.pose, "%.8f")
            written += 1
        if not written:
            raise UserError(f"{sens} has no frame with a pose: download it again.")
        for name in FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
            os.replace(partial / name, folder / name)
    except OSError as error:
        raise UserError(f"The frames of {sens} cannot be written to {folder}: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written
