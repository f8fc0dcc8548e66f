"""Bags of raw messages: rosbag2 in MCAP, written so that a killed writer leaves a readable bag.

`rosbags` writes and reads; what a cut-off file still holds whole is found with the `mcap` library. Nothing
here knows what the messages mean: see `gait_twin.recording.persistence`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from mcap.records import Channel, Message, Schema
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from ruamel.yaml import YAML

from gait_twin.errors import InputError
from gait_twin.recording.damage import DAMAGE, said, whole_records
from gait_twin.recording.typestore import typestore

_ZERO = QosTime(0, 0)
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _ZERO,
    _ZERO,
    QosLiveliness.AUTOMATIC,
    _ZERO,
    False,
)


class RawMessage(NamedTuple):
    """One message as it lies in a bag: topic, type, time of logging (ns) and CDR bytes."""

    topic: str
    type_name: str
    log_ns: int
    data: bytes


class Topic(NamedTuple):
    """A topic of a bag; `latched` where it was offered transient local."""

    name: str
    type_name: str
    message_count: int
    latched: bool


class BagWriter:
    """Writes serialized messages into a new rosbag2 MCAP folder, definitions inside.

    What was flushed survives the death of the process; messages are flushed at least each `flush_s` of
    logged time, and by `flush`.

    Parameters
    ----------
    path
        Folder to make.
    flush_s
        Time between flushes, s.
    types
        Definitions of the types that will be written; those of ROS 2 and of gait_twin_msgs if None.

    Raises
    ------
    InputError
        If the folder is there already, or cannot be made.
    """

    def __init__(self, path: Path | str, *, flush_s: float = 1.0, types: Typestore | None = None) -> None:
        self.path = Path(path)
        self._types = types or typestore()
        self._flush_ns = round(flush_s * 1e9)
        self._flushed_ns: int | None = None
        self._connections: dict[str, Connection] = {}
        if self.path.exists():
            raise InputError(f"{self.path} is there already; name a new folder or remove it.")
        self._writer = Writer(self.path, version=9, storage_plugin=StoragePlugin.MCAP)
        try:
            self._writer.open()
        except OSError as problem:
            raise InputError(f"The bag {self.path} cannot be written: {problem.strerror}.") from None

    def add_topic(self, topic: str, type_name: str, *, latched: bool = False, qos: Collection[Qos] = ()) -> None:
        """Announce a topic; `write` does so for topics that need nothing said.

        Raises
        ------
        InputError
            If the definition of the type is not known, or the topic carries another one.
        """
        known = self._connections.get(topic)
        if known is not None:
            if known.msgtype != type_name:
                raise InputError(f"Topic {topic} carries {known.msgtype}; {type_name} cannot go there too.")
            return
        if type_name not in self._types.fielddefs:
            raise InputError(f"Topic {topic} cannot be written: the definition of {type_name} is not known.")
        self._connections[topic] = self._writer.add_connection(
            topic,
            type_name,
            typestore=self._types,
            offered_qos_profiles=[_LATCHED] if latched else list(qos),
        )

    def write(self, topic: str, type_name: str, log_ns: int, data: bytes | memoryview) -> None:
        """Append a message.

        Parameters
        ----------
        topic, type_name
            Full topic name and type, as ``sensor_msgs/msg/Imu``.
        log_ns
            Time of logging, ns.
        data
            CDR bytes, with encapsulation header.
        """
        self.add_topic(topic, type_name)
        self._writer.write(self._connections[topic], log_ns, data)
        # a clock that was set back must not stop the flushing
        if self._flushed_ns is None or abs(log_ns - self._flushed_ns) >= self._flush_ns:
            self._flushed_ns = log_ns
            self.flush()

    def flush(self) -> None:
        """Hand everything written so far to the operating system, in whole chunks."""
        storage = cast(McapWriter, self._writer.storage)
        if storage.chunk.bio.tell():
            storage.close_chunk()
            storage.bio.flush()

    def set_note(self, key: str, text: str) -> None:
        """Put a text into the bag's ``custom_data``."""
        self._writer.set_custom_data(key, text)

    def close(self) -> None:
        """Write index and metadata.yaml."""
        if self._writer.storage is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Bag:
    """An open bag; see `open_bag`.

    Attributes
    ----------
    path
        What was asked for.
    topics
        Topics by full name.
    notes
        The bag's ``custom_data``.
    losses
        Sentences on what could not be read; may grow while messages are read.
    """

    def __init__(
        self,
        path: Path,
        reader: AnyReader,
        losses: list[str],
        notes: dict[str, str],
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.path = path
        self.losses = losses
        self.notes = notes
        self._reader = reader
        self._folder = folder
        self.topics = {
            name: Topic(
                name,
                info.connections[0].msgtype,
                info.msgcount,
                any(_is_latched(connection) for connection in info.connections),
            )
            for name, info in reader.topics.items()
        }

    def messages(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        """Messages of some topics, or of all, in the order of their log times.

        Reading stops where the bag turns out to be damaged; `losses` says so then.
        """
        wanted = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if not wanted:
            return
        count = 0
        try:
            for connection, log_ns, data in self._reader.messages(wanted):
                count += 1
                yield RawMessage(connection.topic, connection.msgtype, log_ns, data)
        except DAMAGE as problem:
            self.losses.append(f"{self.path}: reading stopped after {count} messages: {said(problem)}.")

    def decode(self, message: RawMessage) -> Any:
        """Return the message's fields as an object.

        Raises
        ------
        InputError
            If the bytes are not a message of the type.
        """
        try:
            return self._reader.deserialize(message.data, message.type_name)
        except DAMAGE as problem:
            raise InputError(
                f"{self.path}: a message on {message.topic} is not a whole {message.type_name}: {said(problem)}."
            ) from None

    def close(self) -> None:
        """Close the files."""
        self._reader.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bag(path: Path | str) -> Bag:
    """Open a rosbag2 folder (MCAP or sqlite3) or one of its files.

    A bag without metadata.yaml, index or end (its writer was killed, the file was cut) is read as far as it
    is whole; `Bag.losses` says what is missing.

    Raises
    ------
    InputError
        If there is no bag, or nothing of it can be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no bag at {path}.")
    if path.suffix == ".bag":
        raise InputError(f"{path} is a ROS 1 bag; convert it with `rosbags-convert` first.")
    files = _storage_files(path)
    if not files:
        raise InputError(f"{path} is not a bag: no .mcap or .db3 file is there.")
    metadata = _metadata(path)
    custom = metadata.get("custom_data")
    notes = custom if isinstance(custom, dict) else {}
    reason = ""
    # without usable metadata.yaml, whole files still have an index of their own
    for attempt in ([path], files) if metadata else (files,):
        try:
            reader = AnyReader(attempt, default_typestore=typestore())
            reader.open()
        except DAMAGE as problem:
            reason = said(problem)
        else:
            return Bag(path, reader, [f"{path}: {reason}."] if reason else [], notes)

    damaged = [file for file in files if file.suffix == ".mcap"]
    losses: list[str] = []
    folder = tempfile.TemporaryDirectory(prefix="gait_twin_bag_")
    try:
        whole = Path(folder.name) / "whole"
        count = _copy_whole(damaged, whole, losses)
        if not count:
            raise InputError(f"{path} cannot be read as a bag: {reason}.")
        of = f" of {metadata['message_count']}" if "message_count" in metadata else ""
        losses.insert(0, f"{path} is not whole: {count}{of} messages could be read.")
        reader = AnyReader([whole])
        reader.open()
    except BaseException:
        folder.cleanup()
        raise
    return Bag(path, reader, losses, notes, folder)


def _copy_whole(files: list[Path], out: Path, losses: list[str]) -> int:
    """Copy the whole messages of damaged MCAP files to a new bag, and return their number."""
    types = get_typestore(Stores.EMPTY)
    count = 0
    with BagWriter(out, types=types) as writer:
        for file in files:
            schemas: dict[int, Schema] = {}
            channels: dict[int, Channel] = {}
            for record in whole_records(file, losses):
                try:
                    if isinstance(record, Schema) and record.id not in schemas:
                        types.register(_types_of(record))
                        schemas[record.id] = record
                    elif isinstance(record, Channel) and record.id not in channels:
                        qos = parse_qos(record.metadata.get("offered_qos_profiles", ""))
                        writer.add_topic(record.topic, schemas[record.schema_id].name, qos=qos)
                        channels[record.id] = record
                    elif isinstance(record, Message) and record.channel_id in channels:
                        channel = channels[record.channel_id]
                        type_name = schemas[channel.schema_id].name
                        writer.write(channel.topic, type_name, record.log_time, record.data)
                        count += 1
                except (*DAMAGE, InputError) as problem:
                    losses.append(f"{file}: a {type(record).__name__} was left out: {said(problem)}.")
    return count


def _types_of(schema: Schema) -> Any:
    """Return the definitions in an MCAP schema, for a typestore."""
    text = schema.data.decode()
    if schema.encoding == "ros2msg":
        return get_types_from_msg(text, schema.name)
    types: dict[str, Any] = {}
    for part in re.split(r"^=+\nIDL: .*\n", text, flags=re.MULTILINE):
        types |= get_types_from_idl(part) if part.strip() else {}
    return types


def _storage_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = [file for file in path.iterdir() if file.suffix in (".mcap", ".db3")]
    # rosbag2 numbers the parts of a bag: _9 comes before _10
    return sorted(files, key=lambda file: [int(n) for n in re.findall(r"\d+", file.stem)])


def _metadata(path: Path) -> dict[str, Any]:
    """Content of a bag's metadata.yaml; empty where it is missing or damaged."""
    try:
        content = YAML(typ="safe").load((path / "metadata.yaml").read_text(encoding="utf-8"))
        return dict(content["rosbag2_bagfile_information"])
    except DAMAGE:
        return {}


def _is_latched(connection: Connection) -> bool:
    return isinstance(connection.ext, ConnectionExtRosbag2) and any(
        qos.durability is QosDurability.TRANSIENT_LOCAL for qos in connection.ext.offered_qos_profiles
    )
