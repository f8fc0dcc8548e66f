"""Samples that every protocol can carry, and how finely each carries them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isclose, pi

from hypothesis import strategies as st

from gait_twin.sensing.protocols import PROTOCOLS, Decoder, Encoder, Sample
from gait_twin.sensing.protocols.units import quaternion_zyx

G, DEG = 9.80665, pi / 180


@dataclass(frozen=True)
class Case:
    """A protocol with options, and the resolution of what it carries (0: exactly; None: not carried)."""

    name: str
    acc: float
    gyr: float | None
    mag: float | None
    quat: float | None
    time_s: float | None
    counter: bool = False
    options: dict[str, object] = field(default_factory=dict)

    @property
    def protocol(self):
        return PROTOCOLS[self.name]

    def decoder(self) -> Decoder:
        return self.protocol.make_decoder(self.options)

    def encoder(self) -> Encoder:
        return self.protocol.make_encoder(self.options)

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])


FLOAT = 1e-5  # of a 32-bit float below 128

CASES = [
    Case("xsens_mti", FLOAT, FLOAT, 1e-4, FLOAT, 0.5e-4, counter=True),
    Case("movella_dot", FLOAT, FLOAT, None, FLOAT, 0.5e-6),
    Case("movella_dot", FLOAT, FLOAT, None, None, 0.5e-6, options={"mode": "rate"}),
    Case("movella_dot", 1e-4, None, None, FLOAT, 0.5e-6, options={"mode": "extended_quaternion"}),
    Case("witmotion", 16 * G / 65536, 2000 * DEG / 65536, 0.05, 1e-4, 0.5e-3),
    Case("witmotion", 16 * G / 65536, 2000 * DEG / 65536, 0.05, 2e-4, 0.5e-3, options={"quaternion": False}),
    Case("witmotion_ble", 16 * G / 65536, 2000 * DEG / 65536, 0.05, 2e-4, None),
    Case("ximu3", 1e-4, FLOAT, 1e-4, FLOAT, 0.5e-6),
    Case("ximu3", 0.5e-4 * G, 0.5e-4 * DEG, 0.5e-4 * 50, 1e-4, 0.5e-6, options={"binary": False}),
    Case("ngimu_udp", 1e-4, FLOAT, FLOAT, FLOAT, 5e-7),
    Case("ngimu_serial", 1e-4, FLOAT, FLOAT, FLOAT, 5e-7),
    Case("bno08x_rvc", 0.5e-3 * G, None, None, 2e-4, None, counter=True),
    Case("bno08x_shtp", 2.0**-9, 2.0**-10, 2.0**-5, 1e-4, None, counter=True),
    Case("bno08x_shtp", 2.0**-9, 2.0**-10, 2.0**-5, 1e-4, None, counter=True, options={"orientation": "rotation"}),
    Case("bno055", 0.005, DEG / 32, None, 1e-4, None),
    Case("bno055", 0.005, DEG / 32, 1 / 32, None, None, options={"mode": "amg"}),
    Case("lines", 1e-6, 1e-6, None, None, 0.5e-6),
    Case("lines", 1e-6, 1e-6, 1e-6, 2e-6, 0.5e-6, counter=True, options={"json": True}),
    Case(
        "lines", 1e-5, 1e-7, 1e-6, 2e-6, 0.5e-3, counter=True,
        options={
            "columns": "n,t_ms,gx_dps,gy_dps,gz_dps,ax_g,ay_g,az_g,mx_mg,my_mg,mz_mg,qw,qx,qy,qz",
            "counter_bits": 16,
        },
    ),
]  # fmt: skip
STREAMS = [case for case in CASES if not case.protocol.datagram]


def vectors(limit: float) -> st.SearchStrategy:
    number = st.floats(-limit, limit, width=32).map(lambda v: v + 0.0)  # no negative zero
    return st.tuples(number, number, number)


angles = st.tuples(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
instants = st.builds(
    Sample,
    acc_mps2=vectors(100.0),
    gyr_radps=vectors(30.0),
    mag_ut=vectors(100.0),
    quat_wxyz=angles.map(lambda a: quaternion_zyx(*a)),
    device_time_s=st.none(),
    counter=st.none(),
    age_s=st.just(0.0),
    sensor=st.just(""),
    flags=st.just(0),
)


@st.composite
def walks(draw: st.DrawFn, size: int = 4) -> list[Sample]:
    """Successive instants with clocks that run on and counters that may step over losses."""
    time_s, counter = draw(st.floats(0.0, 4000.0)), draw(st.integers(0, 200))
    samples = []
    for _ in range(size):
        samples.append(draw(instants)._replace(device_time_s=time_s, counter=counter))
        step = draw(st.integers(1, 100))
        time_s, counter = time_s + step / 400, counter + step
    return samples


def merged(samples: list[Sample]) -> list[Sample]:
    """Samples of one instant put together, where the protocol sends its channels one by one."""
    whole: list[Sample] = []
    for sample in samples:
        last = whole[-1] if whole else None
        if (
            last is not None
            and last.device_time_s == sample.device_time_s
            and not any(a is not None and b is not None for a, b in zip(last[:4], sample[:4], strict=True))
        ):
            channels = [b if a is None else a for a, b in zip(last[:4], sample[:4], strict=True)]
            whole[-1] = Sample(*channels, last.device_time_s, last.counter, last.age_s, "", last.flags | sample.flags)
        else:
            whole.append(sample)
    return whole


def assert_close(case: Case, got: Sample, sent: Sample) -> None:
    """Equal within the protocol's resolution; orientation up to the sign of the quaternion."""
    for channel, resolution in (("acc_mps2", case.acc), ("gyr_radps", case.gyr), ("mag_ut", case.mag)):
        value, true = getattr(got, channel), getattr(sent, channel)
        if resolution is None:
            assert value is None, channel
        else:
            assert value is not None, channel
            assert max(abs(a - b) for a, b in zip(value, true, strict=True)) <= resolution * 1.001 + 1e-9, channel
    if case.quat is None:
        assert got.quat_wxyz is None
    else:
        assert got.quat_wxyz is not None
        error = min(
            max((abs(a - sign * b) for a, b in zip(got.quat_wxyz, sent.quat_wxyz, strict=True)), default=inf)
            for sign in (1, -1)
        )
        assert error <= case.quat
    if case.time_s is None:
        assert got.device_time_s is None
    else:
        assert isclose(got.device_time_s, sent.device_time_s, rel_tol=0, abs_tol=case.time_s * 1.001)
    assert (got.counter is not None) == case.counter
