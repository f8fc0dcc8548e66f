"""Physilog 5 text exports (Gait Up), and the OptoGait table that may lie beside them.

The file layout and sensor names are those of TRIPOD: Trautmann et al., "TRIPOD: a treadmill walking dataset
with IMU, pressure-distribution and photoelectric data for gait analysis", Data 6(9):95 (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gait_twin.errors import InputError
from gait_twin.recording.gait import NAN, Step, Stride
from gait_twin.recording.importers.base import Importer, checked_segment, is_data_file, quaternions_or_nan
from gait_twin.recording.recording import ImuStream, Recording, Subject, Truth
from gait_twin.recording.segments import Side
from gait_twin.recording.streams import Source, assemble
from gait_twin.recording.tables import Table, head, read_table
from gait_twin.recording.units import ACC, GYR, factor

MAPPING = {"LF": "calcn_l", "RF": "calcn_r", "LS": "tibia_l", "RS": "tibia_r", "SA": "pelvis"}
"""Segment of each file name of TRIPOD; its LH and RL are of unknown place and left out."""

_FIRST_LINE = "Gait Up - Physilog"
_SIDES = {"L": Side.LEFT, "R": Side.RIGHT}


def load(
    path: Path | str,
    mapping: Mapping[str, str] | None = None,
    height_m: float = NAN,
    mass_kg: float = NAN,
) -> Recording:
    """Read a session.

    Parameters
    ----------
    path
        Folder of the CSV files, or the folder above with them in ``imu`` and ``optogait.csv`` beside.
    mapping
        Segment of each file, by the name without suffix; `MAPPING` if None.
    height_m, mass_kg
        The person, m and kg; the files do not say.

    Returns
    -------
    Recording
        Truth, where OptoGait's table is there, are strides and steps on OptoGait's own clock: good for
        durations and lengths.

    Raises
    ------
    InputError
        If there is no file, or one is not of this format.
    """
    path = Path(path)
    mapping = MAPPING if mapping is None else mapping
    files = _files(path)
    if not files:
        raise InputError(f"There are no Physilog exports (first line '{_FIRST_LINE} data export') in {path}.")
    used = {name: checked_segment(segment) for name, segment in mapping.items() if name in files}
    if not used:
        raise InputError(
            f"None of the Physilog files {', '.join(files)} is mapped to a segment; "
            f"give a mapping from their names, as {next(iter(files))}=calcn_r."
        )
    notices = []
    if left_out := sorted(set(files) - set(used)):
        notices.append(f"Left out, for no segment is given: {', '.join(left_out)}.")
    losses: list[str] = []
    sources: list[Source] = []
    for name, segment in used.items():
        table = _read(files[name])
        losses.extend(table.losses)
        sources.append(Source(_stream(table, segment), str(files[name]), table.lines))
    assembled = assemble(sources)
    truth = None
    optogait = next((p for p in (path / "optogait.csv.gz", path / "optogait.csv") if p.exists()), None)
    if optogait is not None:
        truth = _optogait(optogait)
        notices.append(
            f"{optogait}: strides and steps are on OptoGait's clock, which is not that of the sensors: take "
            "durations and lengths, not instants."
        )
    return Recording(
        imus=assembled.imus,
        subject=Subject(height_m=height_m, mass_kg=mass_kg),
        truth=truth,
        notices=(*notices, *assembled.notices),
        losses=(*losses, *assembled.losses),
    )


def _files(path: Path) -> dict[str, Path]:
    """Physilog exports by name."""
    folder = path / "imu" if (path / "imu").is_dir() else path
    candidates = [path] if path.is_file() else sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        file.name.split(".")[0]: file
        for file in candidates
        if is_data_file(file, ".csv") and "".join(head(file, 1)).startswith(_FIRST_LINE)
    }


def _read(file: Path) -> Table:
    """Read the rows below three lines of header, named by the second of them and units in brackets."""
    lines = head(file)
    at = next((i for i, line in enumerate(lines) if line.startswith("Time,")), None)
    if at is None or at + 1 >= len(lines):
        raise InputError(f"{file} has no line that begins with 'Time,' and names its columns.")
    units = lines[at + 1].split(",")
    names = [f"{name} {unit}".strip() for name, unit in zip(lines[at].split(","), units, strict=False)]
    return read_table(file, skip_rows=at + 2, header=names)


def _stream(table: Table, segment: str) -> ImuStream:
    def triple(kind: str, known: dict[str, float]) -> np.ndarray:
        names = [next((n for n in table.names if n.startswith(f"{kind} {a} ")), f"{kind} {a}") for a in "XYZ"]
        values = table.columns(names)
        try:
            return values * factor(names[0].split()[-1].strip("[]"), known)
        except InputError as problem:
            raise InputError(f"{table.path}: {problem}.") from None

    quat = [name for axis in "WXYZ" for name in table.names if name.startswith(f"Quat {axis}")]
    return ImuStream(
        segment=segment,
        time_s=table.column("Time [s]"),
        acc_mps2=triple("Accel", ACC),
        gyr_radps=triple("Gyro", GYR),
        quat_wxyz=quaternions_or_nan(table.columns(quat)) if len(quat) == 4 else None,
    )


def _optogait(file: Path) -> Truth:
    """Strides and steps that OptoGait itself completed (with a stride time, with a step time)."""
    table = read_table(file)
    side = [_SIDES.get(cell.strip()) for cell in table.cells["L/R"]] if "L/R" in table.names else []
    end_s, stride_s = table.column("Split"), table.column("StrideTime\\Cycle")
    stride_m, swing_s = table.column("Stride") / 100.0, table.column("TSwing")
    step_s, step_m = table.column("TStep"), table.column("Step") / 100.0
    support_s = table.column("TotalDoubleSupport")
    strides, steps = [], []
    for i, foot in enumerate(side):
        if foot is None:
            continue
        if np.isfinite([stride_s[i], stride_m[i]]).all():
            strides.append(
                Stride(
                    side=foot,
                    start_s=float(end_s[i] - stride_s[i]),
                    end_s=float(end_s[i]),
                    toe_off_s=float(end_s[i] - swing_s[i]),
                    stride_length_m=float(stride_m[i]),
                    stance_time_s=float(stride_s[i] - swing_s[i]),
                    swing_time_s=float(swing_s[i]),
                    # OptoGait writes it beside the landing that begins the stride
                    double_support_time_s=float(support_s[i - 2]) if i >= 2 else NAN,
                )
            )
        if np.isfinite([step_s[i], step_m[i]]).all():
            steps.append(Step(foot, float(end_s[i]), float(step_s[i]), float(step_m[i])))
    if not strides:
        raise InputError(f"{file} holds no stride of OptoGait (columns L/R, Split, Stride, StrideTime\\Cycle).")
    return Truth(strides=tuple(strides), steps=tuple(steps))


def sniff(path: Path) -> bool:
    """Whether there are Physilog exports at the path."""
    return bool(_files(path))


PHYSILOG = Importer(
    "physilog",
    "Physilog 5 CSV exports of Gait Up: a folder with one file a sensor",
    load,
    sniff,
    {
        "mapping": f"segment of each file name, as LF=calcn_l (default: {MAPPING})",
        "height_m": "body height, m",
        "mass_kg": "body mass, kg",
    },
)
