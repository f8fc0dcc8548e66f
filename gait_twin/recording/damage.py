"""What is whole in a damaged MCAP file, found with the `mcap` library."""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Chunk, McapRecord
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.highlevel import AnyReaderError
from rosbags.rosbag2 import ReaderError, WriterError
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError
from ruamel.yaml.error import YAMLError
from zstandard import ZstdError

DAMAGE = (
    AnyReaderError,
    AssertionError,
    AttributeError,
    EOFError,
    KeyError,
    IndexError,
    McapError,
    OSError,
    OverflowError,
    ReaderError,
    RuntimeError,
    SerdeError,
    TypeError,
    TypesysError,
    ValueError,
    WriterError,
    YAMLError,
    ZstdError,
    sqlite3.Error,
    struct.error,
)
"""What the libraries raise on files that are not what they say: their own errors, and Python's where they
unpack bytes."""

_HEADER_BYTES = 9  # of an MCAP record: opcode and length


def said(problem: BaseException) -> str:
    """Text of an error, to go into a sentence."""
    return str(problem).strip().rstrip(".") or type(problem).__name__


def whole_records(file: Path, losses: list[str]) -> Iterator[McapRecord]:
    """Yield the records of a damaged MCAP file, chunks opened, also those before the cut in a cut chunk.

    Parameters
    ----------
    file
        The file.
    losses
        Takes a sentence on each part that cannot be read.
    """
    with file.open("rb") as stream:
        start = 0
        try:
            for record in StreamReader(stream, emit_chunks=True).records:
                at, start = start, stream.tell()
                if not isinstance(record, Chunk):
                    yield record
                    continue
                try:
                    parts = breakup_chunk(record, validate_crc=True)
                except DAMAGE as problem:
                    span_s = (record.message_end_time - record.message_start_time) / 1e9
                    losses.append(
                        f"{file}: a damaged chunk of {span_s:.2f} s at byte {at} was left out: {said(problem)}."
                    )
                    continue
                yield from parts
        except DAMAGE:
            stream.seek(start)
            rest = stream.read()
            losses.append(
                f"{file}: damaged from byte {start} on; of the last {len(rest)} bytes only whole messages "
                "at their beginning were read."
                if rest
                else f"{file}: its writer was stopped before it could close it."
            )
            yield from _cut_chunk(rest)


def _cut_chunk(rest: bytes) -> Iterator[McapRecord]:
    """Yield the whole records in the cut chunk that `rest` begins with, if it is one and not compressed."""
    if len(rest) <= _HEADER_BYTES or rest[0] != Opcode.CHUNK:
        return
    try:
        chunk = Chunk.read(ReadDataStream(io.BytesIO(rest[_HEADER_BYTES:])))
        if not chunk.compression:
            yield from StreamReader(io.BytesIO(chunk.data), skip_magic=True).records
    except DAMAGE:
        return
