"""Text exports of Xsens' MT Manager: one file a sensor, named ``<trial>_<serial>.txt``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.gait import NAN
from gait_twin.recording.importers.base import Importer, checked_segment, is_data_file, quaternions_or_nan
from gait_twin.recording.recording import ImuStream, Recording, Subject
from gait_twin.recording.streams import Source, assemble
from gait_twin.recording.tables import Table, head, read_table, separator_of

_COUNTER_SIZE = 65536  # the packet counter has 16 bits
_TICKS_SIZE = 2**32  # SampleTimeFine has 32
_TICK_S = 1e-4  # and counts 0.1 ms
_SERIAL = re.compile(r"_([0-9A-F]{8})\.txt(\.gz)?$", re.IGNORECASE)
_QUAT = [f"Quat_q{i}" for i in range(4)]
_MATRIX = [f"Mat[{row}][{column}]" for row in (1, 2, 3) for column in (1, 2, 3)]
_EULER = ["Roll", "Pitch", "Yaw"]


def load(
    path: Path | str,
    mapping: Mapping[str, str] | Path | str | None = None,
    trial: str | None = None,
    rate_hz: float = NAN,
    height_m: float = NAN,
    mass_kg: float = NAN,
) -> Recording:
    """Read a trial of several sensors.

    Parameters
    ----------
    path
        Folder of the files.
    mapping
        Segment of each serial number, or OpenSim's XML of it (``ExperimentalSensor`` with
        ``name_in_model``); if None, the one such XML in the folder or the one above.
    trial
        Beginning of the files' names, where the folder holds several trials.
    rate_hz
        Update rate, where the files' headers do not say, Hz.
    height_m, mass_kg
        The person, m and kg.

    Returns
    -------
    Recording
        Orientations are the devices' own. Magnetometers are left out: their unit is the device's own. A
        sensor without gyroscope has `ImuStream.gyr_radps` None.

    Raises
    ------
    InputError
        If files or mapping are not there, or a file is not of this format.
    """
    path = Path(path)
    files = _files(path, trial)
    segments = _mapping(path, mapping, sorted(files))
    notices: list[str] = []
    losses: list[str] = []
    if unmapped := sorted(set(files) - set(segments)):
        notices.append(f"Sensors without a segment in the mapping left out: {', '.join(unmapped)}.")
    tables = {serial: _read(files[serial]) for serial in segments if serial in files}
    if not tables:
        raise InputError(f"None of the sensors {', '.join(sorted(files))} is in the mapping.")
    losses += [
        f"{path}: there is no file of sensor {serial} on {segments[serial]}."
        for serial in sorted(set(segments) - set(files))
    ]
    sources: list[Source] = []
    reference: float | None = None
    for serial, table in tables.items():
        losses.extend(table.losses)
        rate = _rate_hz(table, rate_hz)
        ticks, reference = _ticks(table, rate, reference)
        sources.append(Source(_stream(table, segments[serial], ticks, rate), str(table.path), table.lines))
    without_gyr = [source.stream.segment for source in sources if source.stream.gyr_radps is None]
    if without_gyr:
        notices.append(f"No angular rate in the files of {', '.join(without_gyr)}; only orientations tell of it.")
    if any(table.has("Mag_X") for table in tables.values()):
        notices.append("The magnetometers were left out: their unit is not µT but the device's own.")
    assembled = assemble(sources)
    return Recording(
        imus=assembled.imus,
        subject=Subject(height_m=height_m, mass_kg=mass_kg),
        notices=(*notices, *assembled.notices),
        losses=(*losses, *assembled.losses),
    )


def _files(path: Path, trial: str | None) -> dict[str, Path]:
    """Files of one trial by serial number."""
    if not path.exists():
        raise InputError(f"There is no folder {path}.")
    trials: dict[str, dict[str, Path]] = {}
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        match = _SERIAL.search(file.name)
        if match and _is_export(file):
            trials.setdefault(file.name[: match.start()], {})[match[1].upper()] = file
    if not trials:
        raise InputError(f"There are no MT Manager exports (<trial>_<serial>.txt) in {path}.")
    if trial is None and len(trials) > 1:
        raise InputError(f"{path} holds several trials; choose one of {', '.join(trials)}.")
    name = trial if trial is not None else next(iter(trials))
    if name not in trials:
        raise InputError(f"{path} holds no trial {name!r}; choose one of {', '.join(trials)}.")
    return trials[name]


def _mapping(path: Path, mapping: Mapping[str, str] | Path | str | None, serials: list[str]) -> dict[str, str]:
    """Segment of each serial number."""
    if mapping is None:
        folder = path if path.is_dir() else path.parent
        found = [file for place in (folder, folder.parent) for file in sorted(place.glob("*.xml")) if _sensors(file)]
        if len(found) != 1:
            have = f"{len(found)} XML files say so" if found else "no XML file says so"
            raise InputError(
                f"Which segment wears which sensor? {have}; give a mapping from the serial numbers "
                f"{', '.join(serials)} to segments."
            )
        mapping = found[0]
    if not isinstance(mapping, Mapping):
        sensors = _sensors(Path(mapping))
        if not sensors:
            raise InputError(f"{mapping} is not an XML file with ExperimentalSensor and name_in_model.")
        mapping = sensors
    return {
        serial.strip("_").upper(): checked_segment(segment.removesuffix("_imu")) for serial, segment in mapping.items()
    }


def _sensors(file: Path) -> dict[str, str]:
    """Frame name of each sensor in OpenSim's XML; empty where it is another kind of file."""
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, OSError):
        return {}
    return {
        sensor.get("name", "").strip(): (sensor.findtext("name_in_model") or "").strip()
        for sensor in root.iter("ExperimentalSensor")
    }


def _read(file: Path) -> Table:
    lines = head(file, 40)
    header = next((line for line in lines if line.strip() and not line.startswith("//")), "")
    return read_table(file, separator=separator_of(header), comment="//")


def _rate_hz(table: Table, rate_hz: float) -> float:
    """Rate of the header, else the one given, else NaN."""
    match = re.search(r"Update Rate:\s*([\d.]+)\s*Hz", "\n".join(head(table.path)))
    return float(match[1]) if match else rate_hz


def _ticks(table: Table, rate_hz: float, reference: float | None) -> tuple[NDArray[np.float64], float]:
    """(n,) time on the clock that the sensors share, s, from the first value of the first sensor."""
    if table.has("PacketCounter") and rate_hz > 0:
        count, size, tick_s = table.column("PacketCounter"), _COUNTER_SIZE, 1.0 / rate_hz
    elif table.has("SampleTimeFine"):
        count, size, tick_s = table.column("SampleTimeFine"), _TICKS_SIZE, _TICK_S
    elif table.has("PacketCounter"):
        raise InputError(f"{table.path} does not say its update rate; give rate_hz.")
    else:
        raise InputError(f"{table.path} has neither PacketCounter nor SampleTimeFine: the samples have no time.")
    known = np.isfinite(count)
    first = float(count[known][0])
    reference = first if reference is None else reference
    time_s = np.full(len(count), np.nan)
    # the counter begins anew at 0; steps are taken as the shorter way round
    step = np.diff(count[known])
    step = (step + size / 2) % size - size / 2
    start = (first - reference + size / 2) % size - size / 2
    time_s[known] = (start + np.concatenate([[0.0], np.cumsum(step)])) * tick_s
    return time_s, reference


def _stream(table: Table, segment: str, time_s: NDArray[np.float64], rate_hz: float) -> ImuStream:
    if not table.has("Acc_X") and table.has("FreeAcc_E"):
        raise InputError(f"{table.path} holds free acceleration only, without gravity; export Acc_X, Acc_Y, Acc_Z.")
    gyr = ["Gyr_X", "Gyr_Y", "Gyr_Z"]
    return ImuStream(
        segment=segment,
        time_s=time_s,
        acc_mps2=table.columns(["Acc_X", "Acc_Y", "Acc_Z"]),
        gyr_radps=table.columns(gyr) if table.has(*gyr) else None,
        quat_wxyz=_orientation(table),
        sampling_rate_hz=rate_hz,
    )


def _orientation(table: Table) -> NDArray[np.float64] | None:
    """(n, 4) sensor to earth, z up; from quaternion, matrix or Euler angles, whichever there is first."""
    from scipy.spatial.transform import Rotation

    if table.has(*_QUAT):
        quat = table.columns(_QUAT)
    elif table.has(*_MATRIX):
        matrix = table.columns(_MATRIX).reshape(-1, 3, 3)
        known = np.isfinite(matrix).all(axis=(1, 2))
        quat = np.full((len(matrix), 4), np.nan)
        quat[known] = Rotation.from_matrix(matrix[known]).as_quat(scalar_first=True)
    elif table.has(*_EULER):
        # aerospace sequence: yaw about z, then pitch about the new y, then roll about the new x
        angles = table.columns(_EULER)[:, ::-1]
        known = np.isfinite(angles).all(axis=1)
        quat = np.full((len(angles), 4), np.nan)
        quat[known] = Rotation.from_euler("ZYX", angles[known], degrees=True).as_quat(scalar_first=True)
    else:
        return None
    if "Coordinate system: NED" in "\n".join(head(table.path)):
        # half a turn about north points z up
        quat = np.stack([-quat[:, 1], quat[:, 0], -quat[:, 3], quat[:, 2]], axis=1)
    return quaternions_or_nan(quat)


def _is_export(file: Path) -> bool:
    return is_data_file(file, ".txt") and any("PacketCounter" in line and "Acc" in line for line in head(file, 40))


def sniff(path: Path) -> bool:
    """Whether there are MT Manager exports at the path."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return any(_SERIAL.search(file.name) and _is_export(file) for file in files)


XSENS_MT = Importer(
    "xsens_mt",
    "text exports of Xsens MT Manager: a folder with one file a sensor",
    load,
    sniff,
    {
        "mapping": "segment of each serial number, as 00B42268=torso, or OpenSim's XML of it (default: found beside)",
        "trial": "beginning of the files' names, where a folder holds several trials",
        "rate_hz": "update rate, Hz, where the files do not say",
        "height_m": "body height, m",
        "mass_kg": "body mass, kg",
    },
)
