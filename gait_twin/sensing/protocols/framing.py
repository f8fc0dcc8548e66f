"""Finding frames in bytes that come in any pieces and with any damage; counters that wrap around.

Whether bytes are a frame is decided from the bytes alone, never from where they were cut: feeding a
stream byte by byte or all at once gives the same samples and the same counts.
"""

from __future__ import annotations

import re
from abc import abstractmethod

from gait_twin.sensing.protocols.base import Buffer, Decoder, Sample

MORE = 0
"""Answer of `SyncDecoder._frame`: so far a frame, but not all of it is here."""
NO_FRAME = -1
"""Answer of `SyncDecoder._frame`: this is none."""


class SyncDecoder(Decoder):
    """Base of formats whose frames begin with a known byte and tell their length.

    A candidate that turns out to be none gives up its first byte only: a good frame behind a false
    beginning is still found.
    """

    _sync: re.Pattern[bytes]
    """Finds the first byte of a frame."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    def feed(self, data: Buffer) -> list[Sample]:
        """Take the next bytes and give the samples that are now complete."""
        stats = self.stats
        stats.received_bytes += len(data)
        buffer = self._rest + bytes(data)
        samples: list[Sample] = []
        at, search = 0, self._sync.search
        while match := search(buffer, at):
            begin = match.start()
            stats.dropped_bytes += begin - at
            used = self._frame(buffer, begin, samples)
            if used == MORE:
                at = begin
                break
            if used == NO_FRAME:
                stats.dropped_bytes += 1
                at = begin + 1
            else:
                stats.frames += 1
                at = begin + used
        else:
            stats.dropped_bytes += len(buffer) - at
            at = len(buffer)
        self._rest = buffer[at:]
        stats.samples += len(samples)
        return samples

    def reset(self) -> None:
        """Forget unfinished frames."""
        self.stats.dropped_bytes += len(self._rest)
        self._rest = b""

    @abstractmethod
    def _frame(self, buffer: bytes, begin: int, samples: list[Sample]) -> int:
        """Judge the candidate at ``begin``.

        Its length when it is a frame (whose samples are appended), else `NO_FRAME` as soon as a byte
        contradicts, else `MORE`.
        """


class DelimitedDecoder(Decoder):
    """Base of formats whose messages end with a byte that occurs nowhere else."""

    _delimiter: bytes
    _longest = 1024
    """Messages longer than this, bytes, are none: keeps what is stored bounded."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""
        self._overlong = False

    def feed(self, data: Buffer) -> list[Sample]:
        """Take the next bytes and give the samples that are now complete."""
        stats = self.stats
        stats.received_bytes += len(data)
        *messages, rest = (self._rest + bytes(data)).split(self._delimiter)
        samples: list[Sample] = []
        for message in messages:
            if self._overlong or len(message) > self._longest:
                if not self._overlong:
                    stats.malformed += 1
                stats.dropped_bytes += len(message) + 1
                self._overlong = False
            elif not message:
                continue
            elif self._message(message, samples):
                stats.frames += 1
            else:
                stats.dropped_bytes += len(message) + 1
        if len(rest) > self._longest:
            if not self._overlong:
                stats.malformed += 1
            stats.dropped_bytes += len(rest)
            self._overlong, rest = True, b""
        self._rest = rest
        stats.samples += len(samples)
        return samples

    def reset(self) -> None:
        """Forget an unfinished message."""
        self.stats.dropped_bytes += len(self._rest)
        self._rest, self._overlong = b"", False

    @abstractmethod
    def _message(self, message: bytes, samples: list[Sample]) -> bool:
        """Take one whole message without its delimiter; False when it is none, having counted why."""


class Unwrapper:
    """Continues a counter or clock of few bits past its wrap-around.

    Each value is taken as the nearest to the one before, so that a late value gets its own place and
    a loss of less than half the range is counted rightly. The first value is taken as it is.

    Parameters
    ----------
    bits
        Width of the counter.
    """

    def __init__(self, bits: int) -> None:
        self._half = 1 << (bits - 1)
        self._mask = (1 << bits) - 1
        self._last: int | None = None

    def __call__(self, raw: int) -> int:
        """Unwrapped value of a raw one."""
        last = self._last
        if last is not None:
            raw = last + ((raw - last + self._half) & self._mask) - self._half
        self._last = raw
        return raw


def stuff(data: bytes, end: bytes, escape: bytes, escaped_end: bytes, escaped_escape: bytes) -> bytes:
    """Replace ``end`` and ``escape`` by two-byte sequences, as SLIP does (RFC 1055)."""
    return data.replace(escape, escape + escaped_escape).replace(end, escape + escaped_end)


def unstuff(data: bytes, end: bytes, escape: bytes, escaped_end: bytes, escaped_escape: bytes) -> bytes | None:
    """Undo `stuff`; None when an escape is followed by anything else."""
    if escape not in data:
        return data
    ends, escapes = escape + escaped_end, escape + escaped_escape
    if data.count(escape) != data.count(ends) + data.count(escapes):
        return None
    # in this order: an escaped escape before a plain escaped_end must not be taken for an escaped end
    return data.replace(ends, end).replace(escapes, escape)
