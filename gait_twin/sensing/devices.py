"""body.yaml: who is measured, and which device sits on which segment, reached how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS, Subject
from gait_twin.recording.schema import SubjectKeys
from gait_twin.recording.tables import did_you_mean
from gait_twin.recording.yaml_files import CheckedYaml, Keys, Location
from gait_twin.sensing.protocols import PROTOCOLS, Protocol, Transport
from gait_twin.sensing.transports import FileLink, Link, SerialLink, TcpLink, UdpLink

Text = Annotated[str, Field(min_length=1)]
Sd = Annotated[float, Field(gt=0)]
Axis = Literal["x", "-x", "y", "-y", "z", "-z"]


class NoiseKeys(Keys):
    """Standard deviation of one sample, for the covariances of the messages; unknown where not given."""

    acc_mps2: Sd | None = None
    gyr_radps: Sd | None = None
    mag_ut: Sd | None = None
    orientation_deg: Sd | None = None


class SensorKeys(Keys):
    """One segment's sensor: a topic of another driver, or a device of this one."""

    imu: Text | None = None
    mag: Text | None = None
    forward: Axis | None = None
    up: Axis | None = None
    protocol: Text | None = None
    transport: Text | None = None
    device: Text | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    baud_rate: Annotated[int, Field(ge=300, le=12_000_000)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    sensor: str = ""
    latency_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    latency_sd_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    noise: NoiseKeys = NoiseKeys()


class BodyKeys(Keys):
    """The whole file."""

    sensors: Annotated[dict[str, SensorKeys | None], Field(min_length=1)]
    subject: SubjectKeys | None = None
    calibration: Text | None = None


@dataclass(frozen=True)
class Address:
    """How a device is reached; devices of one address share a link.

    Attributes
    ----------
    transport
        The way.
    device
        Port name, Bluetooth address or name, host, or file; of UDP the sender, empty for any.
    port
        UDP port of this host, or TCP port of the device; 0 elsewhere.
    baud_rate
        Of a serial line, baud; 0 elsewhere.
    """

    transport: Transport
    device: str = ""
    port: int = 0
    baud_rate: int = 0

    def __str__(self) -> str:
        """Return ``serial /dev/ttyUSB0``, ``udp 192.168.1.2:8001``."""
        parts = (self.device, str(self.port) if self.port else "")
        return f"{self.transport} {':'.join(part for part in parts if part)}"

    @property
    def link_key(self) -> Address:
        """What devices that share a link have in common: one UDP port hears many senders."""
        return Address(self.transport, "", self.port) if self.transport is Transport.UDP else self


@dataclass(frozen=True)
class Device:
    """One sensor of the body.

    Attributes
    ----------
    segment
        Who wears it.
    protocol, options
        What it speaks.
    address
        How it is reached.
    sensor
        Which one, where a stream carries several.
    latency_s
        Shortest time from measurement to arrival, where known, s.
    noise
        Standard deviations of a sample: ``acc_mps2``, ``gyr_radps``, ``mag_ut``, ``orientation_deg``; those known.
    """

    segment: str
    protocol: Protocol
    address: Address
    options: Mapping[str, Any] = field(default_factory=dict)
    sensor: str = ""
    latency_s: float = 0.0
    noise: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """Content of a body.yaml.

    Attributes
    ----------
    subject
        The person.
    imus
        Topic of the ``sensor_msgs/Imu`` on each segment.
    mags
        Topic of the ``sensor_msgs/MagneticField`` on each segment that has one of another driver.
    mounting, up
        Entries for `HubSettings.mounting` and `HubSettings.up`.
    devices
        What the project's own driver serves.
    calibration
        calibration.yaml that holds for the sensors as they sit now, if any.
    """

    subject: Subject
    imus: dict[str, str]
    mags: dict[str, str]
    mounting: tuple[str, ...]
    devices: tuple[Device, ...] = ()
    up: tuple[str, ...] = ()
    calibration: Path | None = None

    @property
    def hub_parameters(self) -> dict[str, Any]:
        """What `HubSettings` is told, as far as it is given."""
        told = {"mounting": self.mounting, "up": self.up}
        path = {"calibration_file": str(self.calibration)} if self.calibration else {}
        return {name: entries for name, entries in told.items() if entries} | path


def read_body(path: Path | str) -> Body:
    """Read and check a body.yaml (docs/sensing.md).

    Raises
    ------
    InputError
        With file, line and column of the first thing that is wrong.
    """
    yaml = CheckedYaml.read(path, "sensors")
    yaml.check_keys("sensors", SEGMENTS, "a segment")
    keys = yaml.check(BodyKeys, _known_keys)
    devices: list[Device] = []
    imus, mags, mounting, up = {}, {}, [], []
    for segment, entry in keys.sensors.items():
        entry = entry or SensorKeys()
        if entry.protocol is not None:
            devices.append(_device(yaml, segment, entry))
        else:
            _refuse_device_keys(yaml, segment, entry)
        imus[segment] = entry.imu or f"imu/{segment}/data_raw"
        if entry.mag:
            mags[segment] = entry.mag
        if entry.forward:
            mounting.append(f"{segment}={entry.forward}")
        if entry.up:
            up.append(f"{segment}={entry.up}")
    _refuse_shared(yaml, devices)
    subject = Subject(**keys.subject.model_dump()) if keys.subject else Subject()
    # beside the body.yaml, wherever the program runs
    calibration = (Path(path).absolute().parent / keys.calibration) if keys.calibration else None
    return Body(subject, imus, mags, tuple(mounting), tuple(devices), tuple(up), calibration)


def write_latencies(path: Path | str, found: Mapping[str, tuple[float, float]]) -> None:
    """Put the latency (s) of segments' devices, and one standard deviation, into a body.yaml; all else stays.

    Raises
    ------
    InputError
        If the file cannot be read or written, or has no such segment.
    """
    from ruamel.yaml import YAML

    path, yaml = Path(path), YAML()
    yaml.width = 200
    read_body(path)  # says what is wrong with it
    content = yaml.load(path.read_text(encoding="utf-8"))
    for segment, (latency_s, sd_s) in found.items():
        if content["sensors"].get(segment) is None:
            raise InputError(f"{path} has no device on {segment}.")
        content["sensors"][segment]["latency_s"] = round(latency_s, 5)
        content["sensors"][segment]["latency_sd_s"] = round(sd_s, 5)
    try:
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)
    except OSError as problem:
        raise InputError(f"{path} cannot be written ({problem.strerror}).") from None


def make_link(device: Device) -> Link:
    """Link to a device, not open yet."""
    address = device.address
    match address.transport:
        case Transport.SERIAL:
            return SerialLink(address.device, address.baud_rate)
        case Transport.UDP:
            return UdpLink(address.port, address.device)
        case Transport.TCP:
            return TcpLink(address.device, address.port)
        case Transport.BLE:
            from gait_twin.sensing.ble import BleLink

            assert device.protocol.ble is not None
            profile = device.protocol.ble(device.protocol.make_options(device.options))
            return BleLink(address.device, profile.notify)
        case _:
            return FileLink(address.device, address.baud_rate / 10.0)


def make_device(protocol: str, address: str, segment: str = "calcn_r", **more: Any) -> Device:
    """Device from an address as a person writes it: ``serial:/dev/ttyUSB0``, ``udp::8001``, ``tcp:10.0.0.7:7000``.

    Parameters
    ----------
    protocol
        Name in `PROTOCOLS`.
    address
        Transport, colon, device; then a colon and the port (UDP, TCP) or the baud rate (serial), if not the usual.
    segment, more
        Other attributes of `Device`.

    Raises
    ------
    InputError
        Saying what is wrong with it.
    """
    transport, _, rest = address.partition(":")
    device, number = rest, None
    head, colon, tail = rest.rpartition(":")
    if colon and tail.isdigit() and transport in ("udp", "tcp", "serial"):
        device, number = head, int(tail)
    keys = SensorKeys.model_construct(
        protocol=protocol, transport=transport, device=device or None,
        port=number if transport != "serial" else None, baud_rate=number if transport == "serial" else None,
        options=dict(more.pop("options", {})),
        noise=NoiseKeys(**more.pop("noise", {})), **more,
    )  # fmt: skip

    def refuse(_key: str, why: str) -> InputError:
        return InputError(f"{protocol} {address}: {why}")

    return _checked(segment, keys, refuse)


def _device(yaml: CheckedYaml, segment: str, entry: SensorKeys) -> Device:
    def refuse(key: str, why: str) -> InputError:
        there = ("sensors", segment, key) if key in yaml.plain["sensors"][segment] else ("sensors", segment)
        return InputError(f"{yaml.where(there)}: {why}")

    if entry.imu is not None:
        raise refuse("imu", f"{segment} has both a topic of another driver (`imu`) and a `protocol`; give one of them.")
    return _checked(segment, entry, refuse)


def _checked(segment: str, entry: SensorKeys, refuse: Any) -> Device:
    name = entry.protocol or ""
    if name not in PROTOCOLS:
        raise refuse(
            "protocol",
            f"{name!r} is not a protocol{did_you_mean(name, tuple(PROTOCOLS))}; choose of {', '.join(PROTOCOLS)}.",
        )
    protocol = PROTOCOLS[name]
    allowed = [str(t) for t in protocol.transports]
    if entry.transport is not None and entry.transport not in allowed:
        raise refuse(
            "transport", f"{name} does not come over {entry.transport!r}; choose {' or '.join(allowed)} as `transport`."
        )
    transport = Transport(entry.transport) if entry.transport else protocol.transports[0]
    if entry.device is None and transport is not Transport.UDP:
        wanted = {
            Transport.SERIAL: "the port, as /dev/ttyUSB0", Transport.BLE: "the Bluetooth address or name",
            Transport.TCP: "the device's host name or address", Transport.FILE: "the file",
        }[transport]  # fmt: skip
        raise refuse("device", f"{segment} needs `device`: {wanted}; `gait-twin sensors scan` lists what there is.")
    usual = {Transport.UDP: protocol.udp_port, Transport.TCP: protocol.tcp_port}.get(transport, 0)
    if entry.port is not None and transport not in (Transport.UDP, Transport.TCP):
        raise refuse("port", f"`port` has no meaning for {transport}; leave it out.")
    port = entry.port or usual
    if not port and transport in (Transport.UDP, Transport.TCP):
        raise refuse("port", f"{segment} needs `port`: {name} has no usual one.")
    baud_rate = entry.baud_rate or 0
    if baud_rate and transport not in (Transport.SERIAL, Transport.FILE):
        raise refuse("baud_rate", f"`baud_rate` has no meaning for {transport}; leave it out.")
    if transport is Transport.SERIAL:
        baud_rate = baud_rate or protocol.baud_rate
    try:
        protocol.make_options(entry.options)
    except (InputError, TypeError) as problem:
        raise refuse("options", f"{segment}: {problem}") from None
    return Device(
        segment, protocol, Address(transport, entry.device or "", port, baud_rate), entry.options, entry.sensor,
        entry.latency_s, {k: v for k, v in entry.noise.model_dump().items() if v is not None},
    )  # fmt: skip


def _refuse_device_keys(yaml: CheckedYaml, segment: str, entry: SensorKeys) -> None:
    for key in ("transport", "device", "port", "baud_rate", "options", "sensor", "latency_s", "latency_sd_s", "noise"):
        if key in entry.model_fields_set:
            raise InputError(
                f"{yaml.where(('sensors', segment, key), key=True)}: {segment} has `{key}` but no `protocol`; name "
                f"one of {', '.join(PROTOCOLS)}."
            )


def _refuse_shared(yaml: CheckedYaml, devices: list[Device]) -> None:
    """Devices may share a link if each has its own name in the stream (or sender) and all speak the same."""
    seen: dict[tuple[Address, str], Device] = {}
    first_of: dict[Address, Device] = {}
    for device in devices:
        here = ("sensors", device.segment)
        other = seen.setdefault((device.address, device.sensor), device)
        if other is not device:
            raise InputError(
                f"{yaml.where(here)}: {device.segment} and {other.segment} are the same device ({device.address}); "
                "where one stream carries several sensors, tell them apart by `sensor`."
            )
        first = first_of.setdefault(device.address, device)
        if (first.protocol, dict(first.options)) != (device.protocol, dict(device.options)):
            raise InputError(
                f"{yaml.where(here)}: {device.segment} and {first.segment} share {device.address}, so protocol and "
                "options must be the same."
            )


def _known_keys(location: Location) -> list[str]:
    if not location:
        return list(BodyKeys.model_fields)
    models: dict[str, type[Keys]] = {"subject": SubjectKeys, "noise": NoiseKeys}
    return list(models.get(str(location[-1]), SensorKeys).model_fields)
