"""Recordings and results as bags: which topic carries what, and how it is read back."""

from __future__ import annotations

import heapq
import math
import re
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording import messages as m
from gait_twin.recording.bags import Bag, BagWriter, open_bag
from gait_twin.recording.gait import FootPose, GaitClass, GaitEvent, GaitPhase, Step, Stride, TwinState
from gait_twin.recording.recording import (
    FootTrajectory,
    ImuStream,
    JointTrajectory,
    Recording,
    Subject,
    Truth,
)
from gait_twin.recording.segments import SEGMENTS, Side
from gait_twin.recording.streams import nominal_rate_hz, usable_rows

UNKNOWN_START_NS = 1_000_000_000
"""Stamp of the first sample in a bag whose recording does not know its date: ROS reads 0 as "not set"."""
_DATE_NS = 86_400_000_000_000  # an earlier start is a simulation's or unknown, not a date
_NOTICES = "gait_twin.notices"

IMU = "sensor_msgs/msg/Imu"
MAG = "sensor_msgs/msg/MagneticField"
_IMU_TOPIC = re.compile(r"(?P<namespace>.*)/imu/(?P<segment>[^/]+)/(?P<kind>data_raw|data)")


@dataclass(frozen=True, slots=True)
class Results:
    """What the nodes published, as it lies in a bag; times in s since the recording's first sample."""

    events: tuple[GaitEvent, ...] = ()
    phases: tuple[GaitPhase, ...] = ()
    strides: tuple[Stride, ...] = ()
    steps: tuple[Step, ...] = ()
    states: tuple[TwinState, ...] = ()
    poses: tuple[FootPose, ...] = ()
    classes: tuple[GaitClass, ...] = ()
    losses: tuple[str, ...] = ()


# --- writing -------------------------------------------------------------------------------------------


def save(recording: Recording, path: Path | str, namespace: str = "") -> None:
    """Write a recording as a new rosbag2 MCAP folder.

    Parameters
    ----------
    recording
        What to write; its notices and losses go into the bag as notices.
    path
        Folder to make.
    namespace
        Namespace of the topics, as ``/subject_1``; none if empty.

    Raises
    ------
    InputError
        If the folder is there already or cannot be written.
    """
    prefix = f"/{namespace.strip('/')}/" if namespace.strip("/") else "/"
    base = m.TimeBase(recording.start_time_ns or UNKNOWN_START_NS)
    truth = recording.truth or Truth()
    sources = [
        *(_imu_messages(base, imu) for imu in recording.imus.values()),
        *(_mag_messages(base, imu) for imu in recording.imus.values()),
        _stamped("truth/gait_events", base, truth.events, m.to_gait_event),
        _stamped("truth/strides", base, truth.strides, m.to_stride),
        _stamped("truth/steps", base, truth.steps, m.to_step),
        _joint_messages(base, truth.joints),
        *(_foot_messages(base, side, feet) for side, feet in truth.foot_positions.items()),
    ]
    subject = (base.origin_ns, "subject", m.to_subject(m.make_bag_message, recording.subject))
    with BagWriter(path) as writer:
        try:
            for log_ns, topic, message in chain([subject], heapq.merge(*sources, key=itemgetter(0))):
                data = m.typestore().serialize_cdr(message, message.__msgtype__)
                writer.write(prefix + topic, message.__msgtype__, log_ns, data)
            writer.set_note(_NOTICES, "\n".join([*recording.notices, *recording.losses]))
        except BaseException:
            shutil.rmtree(path)
            raise


_Message = tuple[int, str, Any]  # log time (ns), topic, message


def _imu_messages(base: m.TimeBase, imu: ImuStream) -> Iterator[_Message]:
    topic, frame = f"imu/{imu.segment}/data_raw", m.imu_frame(imu.segment)
    n = len(imu.time_s)
    gyr = imu.gyr_radps.tolist() if imu.gyr_radps is not None else [None] * n
    quat = [None] * n
    if imu.quat_wxyz is not None:
        quat = [q if math.isfinite(sum(q)) else None for q in imu.quat_wxyz.tolist()]
    for t, a, g, q in zip(imu.time_s.tolist(), imu.acc_mps2.tolist(), gyr, quat, strict=True):
        time_ns = base.ns(t)
        yield time_ns, topic, m.to_imu(m.make_bag_message, time_ns, frame, a, g, q)


def _mag_messages(base: m.TimeBase, imu: ImuStream) -> Iterator[_Message]:
    if imu.mag_ut is None:
        return
    known = np.isfinite(imu.mag_ut).all(axis=1)
    for t, mag in zip(imu.time_s[known].tolist(), imu.mag_ut[known].tolist(), strict=True):
        time_ns = base.ns(t)
        message = m.to_magnetic_field(m.make_bag_message, time_ns, m.imu_frame(imu.segment), mag)
        yield time_ns, f"imu/{imu.segment}/mag", message


def _stamped(topic: str, base: m.TimeBase, items: Iterable[Any], convert: Callable[..., Any]) -> Iterator[_Message]:
    converted = [convert(m.make_bag_message, base, item) for item in items]
    for message in sorted(converted, key=_message_ns):
        yield _message_ns(message), topic, message


def _message_ns(message: Any) -> int:
    return m.stamp_ns(message.header.stamp)


def _joint_messages(base: m.TimeBase, joints: JointTrajectory | None) -> Iterator[_Message]:
    if joints is None:
        return
    for t, positions in zip(joints.time_s.tolist(), joints.positions, strict=True):
        message = m.to_joint_state(m.make_bag_message, base, t, joints.coordinates, positions)
        yield base.ns(t), "truth/joint_states", message


def _foot_messages(base: m.TimeBase, side: Side, feet: FootTrajectory) -> Iterator[_Message]:
    for t, position in zip(feet.time_s.tolist(), feet.position_m.tolist(), strict=True):
        message = m.to_point(m.make_bag_message, base, t, position, "truth")
        yield base.ns(t), f"truth/foot_position/{side}", message


# --- reading -------------------------------------------------------------------------------------------


def load(path: Path | str, subject: str | None = None, topics: Mapping[str, str] | None = None) -> Recording:
    """Read a recording from a bag.

    Parameters
    ----------
    path
        rosbag2 folder or file; see `gait_twin.recording.bags.open_bag` for damaged ones.
    subject
        Namespace of the person, needed where the bag holds several.
    topics
        Topic of the ``sensor_msgs/Imu`` on each segment, for bags whose topics are not named
        ``imu/<segment>/data_raw``.

    Raises
    ------
    InputError
        If there is no bag, it cannot be read, it holds no IMU, several subjects and none is chosen, or a
        segment or topic is not known.
    """
    with open_bag(path) as bag:
        namespace, imu_topics = choose_topics(bag, subject, topics)
        wanted = {f"{namespace}/{name}" for name in ("subject", *_TRUTH)}
        wanted |= {*imu_topics.values(), *(f"{namespace}/imu/{s}/mag" for s in imu_topics)}
        notices = str(bag.notes.get(_NOTICES, "")).splitlines()
        decoded = _decode(bag, wanted)
        imus, origin_ns = _imus(bag.path, namespace, imu_topics, decoded)
        who = decoded.messages.get(f"{namespace}/subject", [])
        return Recording(
            imus=imus,
            subject=m.from_subject(who[0]) if who else Subject(),
            start_time_ns=origin_ns if origin_ns >= _DATE_NS else 0,
            truth=_truth(m.TimeBase(origin_ns), namespace, decoded),
            notices=(*notices, *decoded.notices),
            losses=(*bag.losses, *decoded.losses),
        )


def read_results(path: Path | str, subject: str | None = None) -> Results:
    """Read back what the nodes published: events, phases, strides, steps, states, foot poses, classes.

    Times count from the first sample, as those of `load` do. Raises as `load` does.
    """
    with open_bag(path) as bag:
        namespace, imu_topics = choose_topics(bag, subject, None)
        names = ("gait_events", "gait_phase", "strides", "steps", "twin_state", "gait_class", *_GROUND)
        feet = {side: f"{namespace}/foot_odometry/{side}" for side in Side}
        wanted = {f"{namespace}/{name}" for name in names} | {*feet.values(), *imu_topics.values()}
        decoded = _decode(bag, wanted)
        _, origin_ns = _imus(bag.path, namespace, imu_topics, decoded)
        base = m.TimeBase(origin_ns)

        def each(name: str, convert: Callable[[m.TimeBase, Any], Any]) -> Iterator[Any]:
            return (convert(base, message) for message in decoded.messages.get(f"{namespace}/{name}", []))

        return Results(
            events=tuple(each("gait_events", m.from_gait_event)),
            phases=tuple(phase for both in each("gait_phase", m.from_gait_phase) for phase in both),
            strides=tuple(each("strides", m.from_stride)),
            steps=tuple(each("steps", m.from_step)),
            states=_states(base, namespace, decoded),
            poses=tuple(
                m.from_odometry(base, message, side)
                for side, topic in feet.items()
                for message in decoded.messages.get(topic, [])
            ),
            classes=tuple(each("gait_class", m.from_gait_class)),
            losses=(*bag.losses, *decoded.losses),
        )


def read_plates(path: Path | str, subject: str | None = None) -> list[tuple[Side, float, str, NDArray[np.float64]]]:
    """Wrenches of plates or insoles in a bag, by time: foot, time (s), frame, (6,) force (N) and torque (N·m).

    Times count from the first sample, as those of `load` do; empty where the bag has none.
    """
    with open_bag(path) as bag:
        namespace, imu_topics = choose_topics(bag, subject, None)
        topics = {f"{namespace}/plates/{side}": side for side in Side}
        if not set(topics) & set(bag.topics):
            return []
        decoded = _decode(bag, {*topics, *imu_topics.values()})
        _, origin_ns = _imus(bag.path, namespace, imu_topics, decoded)
        base = m.TimeBase(origin_ns)
        found = [
            (side, *m.from_wrench(base, message))
            for name, side in topics.items()
            for message in decoded.messages.get(name, [])
        ]
    return sorted(found, key=itemgetter(1))


_GROUND = tuple(f"{name}/{side}" for name in ("ground_reaction", "center_of_pressure") for side in Side)


def _states(base: m.TimeBase, namespace: str, decoded: _Decoded) -> tuple[TwinState, ...]:
    """States of the twin, each with the ground reactions of its moments' instant."""
    at: list[dict[int, Any]] = [
        {_message_ns(message): message for message in decoded.messages.get(f"{namespace}/{name}", [])}
        for name in _GROUND
    ]
    states = []
    for message in decoded.messages.get(f"{namespace}/twin_state", []):
        state = m.from_twin_state(base, message)
        instant_s = state.time_s - state.moment_delay_s
        if getattr(message, "ground_source", 0) and math.isfinite(instant_s):
            near = base.ns(instant_s)
            # sums of floats may be a nanosecond off
            found = next((ns for ns in (near, near - 1, near + 1) if all(ns in each for each in at)), None)
            if found is not None:
                left, right, *points = (each[found] for each in at)
                ground = m.from_ground_messages(base, message, (left, right), (points[0], points[1]))
                state = replace(state, ground=ground)
        states.append(state)
    return tuple(states)


_TRUTH = (
    "truth/gait_events",
    "truth/strides",
    "truth/steps",
    "truth/joint_states",
    *(f"truth/foot_position/{side}" for side in Side),
)


def choose_topics(bag: Bag, subject: str | None, topics: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
    """Namespace of the person and topic of each segment's IMU, chosen as `load` does and with its errors."""
    imu_topics = [t.name for t in bag.topics.values() if t.type_name == IMU and t.message_count]
    if not any(t.message_count for t in bag.topics.values()):
        raise InputError(f"The bag {bag.path} is empty.")
    if not imu_topics:
        raise InputError(f"The bag {bag.path} holds no sensor_msgs/Imu messages.")
    if topics:
        for segment, topic in topics.items():
            if segment not in SEGMENTS:
                raise InputError(f"{segment!r} is not a segment; choose of {', '.join(SEGMENTS)}.")
            if topic not in imu_topics:
                raise InputError(f"The bag {bag.path} has no IMU on {topic}; it has {', '.join(imu_topics)}.")
        return f"/{subject.strip('/')}" if subject else "", dict(topics)

    found: dict[str, dict[str, str]] = {}
    # data_raw sorts after data and so wins: it is what was measured
    for match in filter(None, map(_IMU_TOPIC.fullmatch, sorted(imu_topics))):
        if match["segment"] in SEGMENTS:
            found.setdefault(match["namespace"], {})[match["segment"]] = match[0]
        else:
            bag.losses.append(f"{match[0]} left out: {match['segment']!r} is not a segment.")
    if not found:
        raise InputError(
            f"The bag {bag.path} has IMUs on {', '.join(imu_topics)}; say which segment each is on, by "
            f"topics named imu/<segment>/data_raw or by a mapping (segments: {', '.join(SEGMENTS)})."
        )
    names = ", ".join(namespace.strip("/") or "/" for namespace in sorted(found))
    if subject is None and len(found) > 1:
        raise InputError(f"The bag {bag.path} holds several subjects; choose one of {names}.")
    namespace = next(iter(found)) if subject is None else f"/{subject.strip('/')}".rstrip("/")
    if namespace not in found:
        raise InputError(f"The bag {bag.path} holds no subject {subject!r}; choose one of {names}.")
    return namespace, found[namespace]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Samples of one IMU topic as numbers: an hour of eight sensors is three million messages."""

    time_ns: array[int] = field(default_factory=lambda: array("q"))
    log_ns: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))  # acc, gyr, quat; NaN: not there

    def append(self, log_ns: int, sample: m.ImuSample) -> None:
        self.time_ns.append(sample.time_ns)
        self.log_ns.append(log_ns)
        self.values.extend(sample.acc_mps2)
        self.values.extend(sample.gyr_radps or (np.nan,) * 3)
        self.values.extend(sample.quat_wxyz or (np.nan,) * 4)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Messages of each topic, those of IMUs in columns, and what could not be decoded."""

    imus: dict[str, _Columns] = field(default_factory=dict)
    messages: dict[str, list[Any]] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def _decode(bag: Bag, topics: set[str]) -> _Decoded:
    decoded = _Decoded()
    broken: dict[str, list[str]] = {}
    for raw in bag.messages(topics):
        try:
            message = bag.decode(raw)
        except InputError as problem:
            broken.setdefault(raw.topic, []).append(str(problem))
            continue
        if raw.type_name == MAG:
            message = m.from_magnetic_field(message)
        if raw.type_name == IMU:
            decoded.imus.setdefault(raw.topic, _Columns()).append(raw.log_ns, m.from_imu(message))
        else:
            decoded.messages.setdefault(raw.topic, []).append(message)
    decoded.losses.extend(f"{says[0]} {len(says)} such messages left out." for says in broken.values())
    return decoded


def _imus(path: Path, namespace: str, topics: dict[str, str], decoded: _Decoded) -> tuple[dict[str, ImuStream], int]:
    """Stream of each segment, and the time of the first sample of any, ns."""
    samples: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
    for segment in sorted(topics, key=SEGMENTS.index):
        where = f"{path}: {topics[segment]}"
        try:
            if topics[segment] not in decoded.imus:
                raise InputError(f"{where} holds no message that could be read.")
            samples[segment] = _samples(where, decoded.imus[topics[segment]], decoded)
        except InputError as problem:
            decoded.losses.append(str(problem))
    if not samples:
        raise InputError(decoded.losses[-1])
    origin_ns = int(min(time_ns[0] for time_ns, _ in samples.values()))
    imus: dict[str, ImuStream] = {}
    for segment, (time_ns, values) in samples.items():
        time_s = (time_ns - origin_ns) / 1e9
        imus[segment] = ImuStream(
            segment=segment,
            time_s=time_s,
            acc_mps2=values[:, :3],
            gyr_radps=_if_any(values[:, 3:6]),
            mag_ut=_mag(decoded.messages.get(f"{namespace}/imu/{segment}/mag", []), time_ns),
            quat_wxyz=_if_any(values[:, 6:]),
            sampling_rate_hz=nominal_rate_hz(time_s),
        )
    return imus, origin_ns


def _samples(where: str, columns: _Columns, decoded: _Decoded) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Stamps (n,), ns, and values (n, 10) of the usable samples of one topic."""
    time_ns = np.array(columns.time_ns, dtype=np.int64)
    values = np.array(columns.values).reshape(-1, 10)
    if not time_ns.any():
        time_ns = np.array(columns.log_ns, dtype=np.int64)
        decoded.notices.append(f"{where}: messages carry no time stamp; the times of logging were used.")
    # among dates, 0 means "not set"
    unset = (time_ns == 0) & bool(np.median(time_ns) > _DATE_NS)
    time_s = np.where(unset, np.nan, (time_ns - time_ns[~unset].min()) / 1e9)
    usable, sentences = usable_rows(time_s, [values[:, :3], _if_any(values[:, 3:6])], where, noun="message")
    decoded.losses.extend(sentences)
    return time_ns[usable], values[usable]


def _if_any(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the values; None where all of them are NaN, for the channel is not there."""
    return None if np.isnan(values).all() else values


def _mag(messages: list[tuple[int, Any]], imu_ns: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """(n, 3) field at the IMU's instants, µT: of the message within half a sample, NaN where none is."""
    if not messages or len(imu_ns) < 2:
        return None
    samples = sorted(messages)
    mag_ns = np.array([time_ns for time_ns, _ in samples])
    field = np.array([values for _, values in samples])
    after = np.clip(np.searchsorted(mag_ns, imu_ns), 1, len(mag_ns) - 1) if len(mag_ns) > 1 else 0
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(mag_ns[before] - imu_ns) <= np.abs(mag_ns[after] - imu_ns), before, after)
    near = np.abs(mag_ns[nearest] - imu_ns) <= np.median(np.diff(imu_ns)) / 2
    return np.where(near[:, None], field[nearest], np.nan)


def _truth(base: m.TimeBase, namespace: str, decoded: _Decoded) -> Truth | None:
    def each(name: str) -> list[Any]:
        return decoded.messages.get(f"{namespace}/{name}", [])

    joints = None
    rows = [m.from_joint_state(base, message) for message in each("truth/joint_states")]
    if rows:
        joints = JointTrajectory(
            np.array([t for t, _, _ in rows]), rows[0][1], np.array([positions for _, _, positions in rows])
        )
    feet: dict[Side, FootTrajectory] = {}
    for side in Side:
        points = [m.from_point(base, message) for message in each(f"truth/foot_position/{side}")]
        if points:
            feet[side] = FootTrajectory(np.array([t for t, _ in points]), np.array([p for _, p in points]))
    truth = Truth(
        events=tuple(m.from_gait_event(base, message) for message in each("truth/gait_events")),
        strides=tuple(m.from_stride(base, message) for message in each("truth/strides")),
        steps=tuple(m.from_step(base, message) for message in each("truth/steps")),
        joints=joints,
        foot_positions=feet,
    )
    return truth if any((truth.events, truth.strides, truth.steps, joints, feet)) else None
