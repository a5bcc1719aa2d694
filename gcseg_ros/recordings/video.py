"""A video file, decoded as a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gcseg_ros.errors import UserError
from gcseg_ros.frames import LARGEST_SIDE_PX

FOR_FFMPEG = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "ignore_editlist;1", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
"""What OpenCV takes from the environment when it opens a file: there is no other way to tell it."""
set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # OpenCV 4, and 5
SILENT = 0


class Video:
    """The images of a file by number, as they are stored: those that its edit list hides count as well, and none is turned by
    its metadata. One at a time is in memory; to go back the file is opened once more. It is open from the first image to `close`.

    Raises UserError if the file is none that OpenCV decodes.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._next = 0
        self._open()
        self.count = self._whole = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))  # as the file says
        self.close()

    def image(self, number: int) -> npt.NDArray[np.uint8] | None:
        """(H, W, 3) RGB; None where the file has none of this number, and from a broken one on: how many were lost there is not known."""
        if not 0 <= number < self._whole:
            return None
        if number < self._next or not self._capture.isOpened():
            self._open()
        while self._next < number and self._capture.grab():
            self._next += 1
        image = self._capture.read()[1] if self._next == number else None
        if image is None:
            self._whole = self._next
            return None
        self._next += 1
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        """Let go of the file, and of the decoder with its threads and images."""
        self._capture.release()

    def _open(self) -> None:
        if not self.file.is_file():
            raise UserError(f"There is no {self.file}: export the whole recording again.")
        with _environment(FOR_FFMPEG):
            self._capture = cv2.VideoCapture(str(self.file), cv2.CAP_FFMPEG)
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        sides = [self._capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        if not 0 < min(sides) <= max(sides) <= LARGEST_SIDE_PX:
            raise UserError(f"{self.file} is no whole video that OpenCV decodes: copy or export it again.")
        self._next = 0


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """With these variables, and without a word of OpenCV's own where a file cannot be opened."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    level = set_log_level(SILENT)
    try:
        yield
    finally:
        set_log_level(level)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
