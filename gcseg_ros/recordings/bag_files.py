"""The files of a rosbag2, opened once: its messages by topic, in order of log time."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from gcseg_ros.errors import UserError
from gcseg_ros.recordings.folders import natural

PACKED = ".zstd"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
OTHER_SCHEMAS = ("ros1msg", "protobuf", "jsonschema", "flatbuffer")
"""How mcap files describe messages that are not ROS 2's (https://mcap.dev/spec/registry)."""


class BagFiles:
    """An open bag, from `with` on. Its messages are read by one loop at a time.

    To open a bag that is compressed as files means to decompress it whole, into a temporary folder: open it once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store = get_typestore(Stores.ROS2_KILTED)
        self._readers: list[Reader] = []
        self._open = ExitStack()

    def __enter__(self) -> BagFiles:
        parts = self._parts()
        try:
            with ExitStack() as stack:
                self._readers = [stack.enter_context(Reader(part)) for part in parts]
                self._open = stack.pop_all()
        except Exception as error:
            raise self._broken(error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._readers = []
        self._open.close()

    def counts(self) -> dict[str, tuple[str, int]]:
        """topic -> message type and number of messages."""
        found: dict[str, tuple[str, int]] = {}
        for reader in self._readers:
            for connection in reader.connections:
                before = found.get(connection.topic, ("", 0))[1]
                found[connection.topic] = (connection.msgtype, before + connection.msgcount)
        return found

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """(topic, log time ns, message) in order of log time."""
        try:
            streams = []
            for reader in self._readers:
                connections = [connection for connection in reader.connections if connection.topic in topics]
                if connections:
                    streams.append(reader.messages(connections=connections))
            for connection, log_ns, raw in heapq.merge(*streams, key=itemgetter(1)):
                if raw[:4] == ZSTD_MAGIC:  # --compression-mode message, and metadata.yaml, which says so, is lost
                    raw = unpacked(raw)
                yield connection.topic, log_ns, self._store.deserialize_cdr(raw, connection.msgtype)
        except Exception as error:
            raise self._broken(error) from None

    def first(self, topic: str) -> Any:
        """A topic's first message, None where there is none."""
        return next((message for _, _, message in self.messages({topic})), None)

    def frame_id(self, topic: str) -> str:
        """The frame_id of a topic's first message, empty where there is none."""
        first = self.first(topic)
        return first.header.frame_id if first else ""

    def _parts(self) -> list[Path]:
        """What rosbags opens: the bag's folder, its only file, or storage files that lost their metadata.yaml. Raises UserError."""
        if (self._path / "metadata.yaml").is_file():
            return [self._path]
        parts = [self._path] if self._path.is_file() else storage_files(self._path)
        packed = [part for part in parts if part.suffix == PACKED and part.with_suffix("") not in parts]
        if packed:
            raise UserError(
                f"The bag {self._path} is compressed as files, and has no metadata.yaml, without which these are not unpacked: do so with "
                f"`zstd -d {' '.join(map(str, packed))}`."
            )
        return [part for part in parts if part.suffix != PACKED]

    def _broken(self, error: Exception) -> UserError:
        if isinstance(error, KeyError) and error.args[0] in OTHER_SCHEMAS:
            return UserError(
                f"The bag {self._path} holds messages of the encoding {error.args[0]}, and only ROS 2's are read: convert the original of a "
                "ROS 1 bag with `rosbags-convert --src WALK.bag --dst WALK_BAG`, else keep the topics of ROS 2 alone with "
                "`mcap filter IN.mcap -o OUT.mcap -y TOPIC`."
            )
        # a broken file makes rosbags raise many kinds of errors
        return UserError(
            f"The bag {self._path} cannot be read ({type(error).__name__}: {' '.join(str(error).split())}): "
            "if its recording was cut off, repair it with `ros2 bag reindex` or `mcap recover`."
        )


def unpacked(data: bytes) -> bytes:
    """What zstd has compressed."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.decompress(data)


def has_metadata(folder: Path) -> bool:
    """Whether a folder's metadata.yaml is that of a bag; other programs write files of that name."""
    file = folder / "metadata.yaml"
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return b"rosbag2_bagfile_information" in stream.read(4096)


def is_storage(file: Path) -> bool:
    """Whether a file's name is that of one that holds messages, compressed or not."""
    return file.name.removesuffix(PACKED).endswith((".mcap", ".db3")) and file.is_file()


def storage_files(folder: Path) -> list[Path]:
    """The files of a folder that hold messages, in order."""
    files = [file for file in folder.iterdir() if is_storage(file)]
    return sorted(files, key=lambda file: natural(file.name))
