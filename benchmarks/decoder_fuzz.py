"""Every decoder on millions of random, truncated and bit-flipped bytes, between stretches of good frames.

    python benchmarks/decoder_fuzz.py [--megabytes 10] [--only xsens_mti …] [--out decoder_fuzz.json]

Looked for: exceptions; a decoder that hangs or hoards; a frame taken though its checksum is wrong (a second,
brute-force reading of the same bytes lists the frames whose checksum is right); a loss later than the second good
frame after the damage. Also the time a good frame takes, fed one by one, as on a serial line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from operator import xor
from pathlib import Path

import numpy as np

from gait_twin.sensing.protocols import PROTOCOLS, Sample, damage
from gait_twin.sensing.protocols.units import quaternion_zyx

CASES: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in PROTOCOLS},
    "movella_dot rate": ("movella_dot", {"mode": "rate"}),
    "witmotion angles": ("witmotion", {"quaternion": False}),
    "ximu3 text": ("ximu3", {"binary": False}),
    "bno055 amg": ("bno055", {"mode": "amg"}),
    "lines checksum": ("lines", {"checksum": True}),
    "lines json": ("lines", {"json": True}),
}
GOOD = 6
"""Good instants after each stretch of damage; the last only lets a decoder finish the one before."""
BLOCK_BYTES = 1 << 16
LONGEST_REST = 4096
SLOWEST_S = 5.0


@dataclass
class Result:
    case: str
    junk_bytes: int = 0
    samples_from_junk: int = 0
    bad_checksum_taken: int = 0
    stretches: int = 0
    resynchronised_after: int = 0
    """Most good frames after a stretch of damage until all that follow came through."""
    first_out_after: int = 0
    """Most good frames that had to be fed until the first came out."""
    seconds: float = 0.0
    us_per_instant: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.bad_checksum_taken and self.resynchronised_after <= 2


Channels = tuple[object, object, object, object]


def channels(sample: Sample) -> Channels:
    return sample[:4]


def instant(i: int, rng: np.random.Generator) -> Sample:
    acc, gyr, mag = (tuple(rng.uniform(-limit, limit, 3).round(3)) for limit in (30.0, 20.0, 60.0))
    quat = quaternion_zyx(*rng.uniform(-1.4, 1.4, 3))
    return Sample(acc, gyr, mag, quat, 5.0 + i / 400, i)


def xbus_frames(data: bytes) -> Iterator[bytes]:
    for at in positions(data, b"\xfa"):
        length, head = data[at + 3 : at + 4], 4
        if length == b"\xff":
            length, head = data[at + 4 : at + 6], 6
        end = at + head + int.from_bytes(length, "big") + 1
        frame = data[at:end]
        if frame[2:3] == b"\x36" and end <= len(data) and sum(frame[1:]) % 256 == 0:
            yield frame


def wit_frames(data: bytes) -> Iterator[bytes]:
    for at in positions(data, b"\x55"):
        frame = data[at : at + 11]
        if len(frame) == 11 and sum(frame[:10]) % 256 == frame[10]:
            yield frame + frame  # a second one ends the first one's instant


def rvc_frames(data: bytes) -> Iterator[bytes]:
    for at in positions(data, b"\xaa\xaa"):
        frame = data[at : at + 19]
        if len(frame) == 19 and sum(frame[2:18]) % 256 == frame[18]:
            yield frame


def line_frames(data: bytes) -> Iterator[bytes]:
    for line in data.split(b"\n"):
        text = line.rstrip(b"\r")
        if text[-3:-2] == b"*" and b"%02X" % reduce(xor, text[:-3], 0) == text[-2:].upper():
            yield text + b"\n"


VALID_FRAMES: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "xsens_mti": xbus_frames,
    "witmotion": wit_frames,
    "bno08x_rvc": rvc_frames,
    "lines checksum": line_frames,
}
VALID_FRAMES["witmotion angles"] = wit_frames


def positions(data: bytes, start: bytes) -> Iterator[int]:
    at = data.find(start)
    while at >= 0:
        yield at
        at = data.find(start, at + 1)


def junk(rng: np.random.Generator, frames: list[bytes]) -> bytes:
    """One stretch of damage: noise, noise rich in the format's own bytes, damaged or spliced frames."""
    kind = rng.integers(5)
    if kind == 0:
        return rng.bytes(int(rng.integers(1, 3000)))
    if kind == 1:
        own = np.frombuffer(frames[0], dtype=np.uint8)
        return rng.choice(own, int(rng.integers(1, 1500))).tobytes()
    some = [frames[int(i)] for i in rng.integers(len(frames), size=int(rng.integers(1, 12)))]
    if kind == 2:
        return b"".join(damage(frame, rng) for frame in some)
    if kind == 3:
        return b"".join(frame[: int(rng.integers(len(frame) + 1))] for frame in some)
    return b"".join(frame[int(rng.integers(len(frame))) :] for frame in some)


def pieces(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        step = int(rng.choice((1, 7, 64, 512, 4096)))
        yield data[at : at + step]
        at += step


class Fuzz:
    """One case: a decoder that lives through all of it."""

    def __init__(self, case: str, seed: int = 0) -> None:
        name, options = CASES[case]
        self.protocol = PROTOCOLS[name]
        self.options = options
        self.rng = np.random.default_rng(seed)
        self.decoder = self.protocol.make_decoder(options)
        self.result = Result(case)
        self.reference = VALID_FRAMES.get(case)
        self.bytes: list[bytes] = []
        self.taken: list[Sample] = []
        encoder = self.protocol.make_encoder(options)
        self.frames = [encoder.encode(instant(i, self.rng)) for i in range(200)]
        self.expected = self._expected()

    def _expected(self) -> list[list[Channels]]:
        """What each good frame gives, from a decoder that knows the stream and meets no damage."""
        decoder = self.protocol.make_decoder(self.options)
        for frame in self.frames[:5]:
            decoder.feed(frame)
        return [[channels(s) for s in decoder.feed(frame)] for frame in self.frames]

    def feed(self, data: bytes) -> list[Sample]:
        began = time.perf_counter()
        samples = self.decoder.feed(data)
        if time.perf_counter() - began > SLOWEST_S:
            raise TimeoutError(f"{len(data)} bytes took longer than {SLOWEST_S} s")
        if len(getattr(self.decoder, "_rest", b"")) > LONGEST_REST:
            raise MemoryError("the decoder hoards bytes")
        self.bytes.append(data)
        self.taken += samples
        return samples

    def run(self, n_bytes: int) -> Result:
        began = time.perf_counter()
        while self.result.junk_bytes < n_bytes:
            data = junk(self.rng, self.frames)
            self.result.junk_bytes += len(data)
            for piece in [data] if self.protocol.datagram else pieces(data, self.rng):
                self.result.samples_from_junk += len(self.feed(piece))
            self._good()
            if sum(map(len, self.bytes)) > BLOCK_BYTES:
                self._check_checksums()
        self._check_checksums()
        self.result.seconds = round(time.perf_counter() - began, 2)
        self.result.us_per_instant = round(self._cost_us(), 1)
        return self.result

    def _good(self) -> None:
        """Feed good frames after the damage and see which of them come through whole."""
        first = int(self.rng.integers(len(self.frames) - GOOD))
        came: set[Channels] = set()
        came_after = []
        for k in range(first, first + GOOD):
            came |= {channels(s) for s in self.feed(self.frames[k])}
            came_after.append(set(came))
        whole = [set(self.expected[k]) <= came for k in range(first, first + GOOD - 1)]
        lost = max((i + 1 for i, came_through in enumerate(whole) if not came_through), default=0)
        flowing = [any(set(self.expected[first + j]) <= c for j in range(i + 1)) for i, c in enumerate(came_after)]
        self.result.stretches += 1
        self.result.resynchronised_after = max(self.result.resynchronised_after, lost)
        self.result.first_out_after = max(
            self.result.first_out_after, flowing.index(True) + 1 if True in flowing else GOOD
        )

    def _check_checksums(self) -> None:
        """No channel of any sample but from a frame that a second reading finds valid."""
        if self.reference is not None:
            valid: set[object] = {None}
            for frame in self.reference(b"".join(self.bytes)):
                decoder = self.protocol.make_decoder(self.options)
                for sample in decoder.feed(frame):
                    valid.update(channels(sample))
            self.result.bad_checksum_taken += sum(not valid.issuperset(channels(s)) for s in self.taken)
        self.bytes, self.taken = [], []
        # a frame that lies across two blocks would be unknown to both
        self.decoder.reset()
        for frame in self.frames[:3]:
            self.decoder.feed(frame)
        self._carry_over()

    def _carry_over(self) -> None:
        """An instant that is not ended (WitMotion) will come with the next block."""
        self.bytes.append(self.frames[2])

    def _cost_us(self) -> float:
        decoder = self.protocol.make_decoder(self.options)
        frames = self.frames * 20
        began = time.perf_counter()
        for frame in frames:
            decoder.feed(frame)
        return (time.perf_counter() - began) / len(frames) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=10.0, help="junk for each decoder, MB (default 10)")
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES), help="cases to run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    arguments = parser.parse_args()
    results = []
    print(f"{'case':18} {'junk MB':>8} {'taken':>7} {'bad sum':>8} {'sync':>5} {'first':>6} {'s':>7} {'µs/frame':>9}")
    for case in arguments.only:
        r = Fuzz(case, arguments.seed).run(int(arguments.megabytes * 1e6))
        results.append(asdict(r))
        print(
            f"{case:18} {r.junk_bytes / 1e6:8.1f} {r.samples_from_junk:7d} {r.bad_checksum_taken:8d} "
            f"{r.resynchronised_after:5d} {r.first_out_after:6d} {r.seconds:7.1f} {r.us_per_instant:9.1f}"
            f"{'' if r.passed else '  FAILED'}",
            flush=True,
        )
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    if not all(Result(**r).passed for r in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
