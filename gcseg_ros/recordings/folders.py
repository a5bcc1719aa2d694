"""What the formats that are folders, or an archive, of image files share."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gcseg_ros.camera.lens import Lens
from gcseg_ros.camera.registration import as_fine_as_colour, narrow_colour, registered, share_in_colour
from gcseg_ros.camera.upright import AXES, other_axis_up, upright_rotation
from gcseg_ros.errors import UserError
from gcseg_ros.frames import Array, CameraIntrinsics, Frame
from gcseg_ros.recordings import Recording, why_unusable
from gcseg_ros.recordings.images import read_colour, read_depth, read_pose
from gcseg_ros.ros_types.messages import seconds

COLOUR_SUFFIXES = (".jpg", ".jpeg", ".png")
DEPTH_SUFFIXES = (".png", ".pgm")
MOST_FRAMES = 100_000_000  # weeks without a pause
POSES_LOOKED_AT = 300  # about, to see which way is up
STAMP = re.compile(r"\d+\.(\d+)")  # a name that is a stamp in seconds


@dataclass(frozen=True)
class FrameFiles:
    """Where the parts of one frame are; None where there is none."""

    name: str
    stamp_s: float
    colour: Path | None
    depth: Path | None
    pose: Path | Array | None
    confidence: Path | None = None


class FolderRecording(Recording):
    """Frames made of files. A format fills `self.files` in order of time and gives cameras, and poses where `files` has none of them.

    up  the axis of the poses' world that points up, where it is known or told: the frames' world is turned, so that z does
    """

    options: ClassVar[dict[str, str]] = {"up": "the axis of the world that points up: x, -x, y, -y, z or -z"}
    assumed = ""  # what is taken for granted of cameras that no file describes, in a sentence each
    T_colour_depth: Array | None = None  # where the colour camera does not stand where depth's does
    lens: Lens | None = None  # of colour and depth, where their images are raw and bent by it
    depth_unit_m = 0.001
    z_up = True  # whether the world's z axis is known to point up, where nothing is told
    files: Sequence[FrameFiles] = ()

    def __init__(self, path: Path, up: str | None = None) -> None:
        super().__init__(path)
        if up is not None and up not in AXES:
            raise UserError(
                f"The option up is the world's axis that points up, one of {', '.join(AXES)}; found {up!r}."
            )
        self.up = up

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Frame]:
        return self.usable(self._frames())

    def pose(self, files: FrameFiles) -> Array | None:
        """(4, 4) camera-to-world of one frame, None if it has none."""
        return read_pose(files.pose) if isinstance(files.pose, Path) else files.pose

    @abstractmethod
    def cameras(
        self, files: FrameFiles, colour: npt.NDArray, depth: npt.NDArray
    ) -> tuple[CameraIntrinsics, CameraIntrinsics]:
        """The colour's and the depth's intrinsics, for images of these shapes."""

    def colour(self, file: Path, files: FrameFiles) -> npt.NDArray[np.uint8] | str:
        """(H, W, 3) RGB of one frame, or why it has none."""
        return read_colour(file)

    def depth(self, file: Path, files: FrameFiles) -> npt.NDArray[np.float32]:
        """(H, W) of one frame in metres, 0 where there is none."""
        return read_depth(file, self.depth_unit_m)

    def _frames(self) -> Iterator[Frame | str]:
        if self.assumed:
            self.notes.append(self.assumed)
        upright = np.eye(4)
        upright[:3, :3] = upright_rotation(self.up or "z")
        if self.up not in (None, "z"):
            self.notes.append(
                f"The world's {self.up} axis points up: its poses are turned by right angles, and the map is in a world whose z axis does."
            )
        z_up = self.up is not None or (self.z_up and self._z_points_up())
        self._share: float | None = None  # of what depth sees, that colour sees; None: not known yet
        for files in self.files:
            yield self._frame(files, upright, z_up)

    def _frame(self, files: FrameFiles, upright: Array, z_up: bool) -> Frame | str:
        """The frame, in a world that `upright` (4, 4) turns, or why it is left out. Raises UserError on a broken file."""
        if not math.isfinite(files.stamp_s):
            return "the stamp is not finite"
        if files.colour is None:
            return "no colour image"
        if files.depth is None:
            return "no depth image"
        pose = self.pose(files)
        if pose is None:
            return "no pose"
        if reason := why_unusable(pose):
            return reason
        colour, depth = self.colour(files.colour, files), self.depth(files.depth, files)
        if isinstance(colour, str):
            return colour
        try:
            colour_camera, depth_camera = self.cameras(files, colour, depth)
        except UserError as error:  # one frame's images may have another size
            raise UserError(f"Frame {files.name}: {error}") from None
        if self.lens is not None:
            colour, depth = self.lens.straightened(colour), self.lens.straightened_depth(depth)
        depth, depth_camera = as_fine_as_colour(depth, depth_camera, colour)
        if self._share is None:
            self._share = share_in_colour(colour_camera, depth, depth_camera, self.T_colour_depth)
            self.notes += narrow_colour(self._share)
        rgb = registered(colour, colour_camera, depth, depth_camera, self.T_colour_depth)
        return Frame(files.name, files.stamp_s, rgb, depth, depth_camera, upright @ pose, z_up)

    def _z_points_up(self) -> bool:
        """Whether the poses allow it; else it is noted."""
        poses, stamped = [], [files for files in self.files if math.isfinite(files.stamp_s)]
        for files in stamped[:: max(1, len(stamped) // POSES_LOOKED_AT)]:
            with suppress(UserError):  # a broken file is told when its turn has come
                pose = self.pose(files)
                if pose is not None and not why_unusable(pose):
                    poses.append(pose)
        axis = other_axis_up(poses)
        if axis is not None:
            self.notes.append(
                f"By the poses it is the world's {axis} axis that points up, and not z: images are not turned (input.turn), and objects "
                f"are found along the up of floors, tops and walls. Take --option up={axis}, and the map stands upright too."
                + (" If the camera hangs upside down instead: input.turn=half." if axis == "-z" else "")
            )
        return axis is None


def of_one_camera(
    camera: CameraIntrinsics, colour: npt.NDArray, depth: npt.NDArray, source: str
) -> tuple[CameraIntrinsics, CameraIntrinsics]:
    """Where one camera, of `source`, took both images: its intrinsics at colour's and at depth's size. As `CameraIntrinsics.resized`."""
    of_colour, of_depth = (camera.resized(image.shape[1], image.shape[0], source) for image in (colour, depth))
    return of_colour, of_depth


def natural(text: str) -> list[str | int]:
    """Sorting key by which frame2 comes before frame10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", text))]


def in_order(names: Collection[str]) -> list[str]:
    """Names of frames in order of time: naturally, stamps whose trailing zeros were dropped as the decimals that they are."""
    if _are_decimals(names):
        return sorted(names, key=lambda name: (Decimal(name), name))
    return sorted(names, key=lambda name: (natural(name), name))


def _are_decimals(names: Collection[str]) -> bool:
    """Whether names are seconds as Python writes them (102.033333, 102.1), not two numbers (102.33333333, 102.100000000).

    Only a decimal begins with zeros behind the point, and only a number of its own ends with them; where neither is seen, 8 or
    9 digits are taken for nanoseconds.
    """
    found = [STAMP.fullmatch(name) for name in names]
    fractions = [match[1] for match in found if match and len(match[1]) > 1]
    if not all(found) or any(fraction.startswith("0") for fraction in fractions):
        return all(found)
    return not any(fraction.endswith("0") for fraction in fractions) and max(map(len, fractions), default=0) not in (
        8,
        9,
    )


def by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """stem -> file, for the files of a folder with one of the suffixes, in order of time; hidden files are left out."""
    if not folder.is_dir():
        return {}
    found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    files = {path.stem: path for path in sorted(found, key=lambda path: path.name)}
    return {stem: files[stem] for stem in in_order(files)}


def associate(first: Sequence[float], second: Sequence[float], tolerance_s: float) -> list[tuple[int, int]]:
    """Pairs (i, j) of stamps within the tolerance, one to one, the closest pairs first, as the TUM benchmark's
    associate.py; sorted."""
    order = np.argsort(second, kind="stable")
    stamps = np.asarray(second, np.float64)[order]
    candidates = []
    for i, stamp in enumerate(first):
        low, high = np.searchsorted(stamps, [stamp - tolerance_s, stamp + tolerance_s])
        candidates += [(abs(stamps[k] - stamp), i, int(order[k])) for k in range(low, high)]
    used_first: set[int] = set()
    used_second: set[int] = set()
    pairs = []
    for _, i, j in sorted(candidates):
        if i not in used_first and j not in used_second:
            used_first.add(i)
            used_second.add(j)
            pairs.append((i, j))
    return sorted(pairs)


def stamps_from_names(names: Sequence[str], rate_hz: float = 30.0) -> list[float]:
    """Seconds of frames that have no stamps: the last number in the name is the frame's number at `rate_hz`.

    Where these numbers do not rise, or are stamps of a clock (`STAMP`, `MOST_FRAMES`), the position in the sequence is the number.
    """
    digits = [re.findall(r"\d+", name) for name in names]
    numbers = [int(found[-1]) if found else -1 for found in digits]
    rising = all(first < second for first, second in pairwise(numbers))
    if not rising or -1 in numbers or max(numbers, default=0) > MOST_FRAMES or all(map(STAMP.fullmatch, names)):
        numbers = list(range(len(names)))
    return [seconds(round(number * 1e9 / rate_hz)) for number in numbers]
