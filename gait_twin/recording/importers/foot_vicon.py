"""A shoe's IMU with its motion-captured position, in MATLAB files.

The format of the PyShoe data: Wagstaff, Peretroukhin & Kelly, "Robust data-driven zero-velocity detection for
foot-mounted inertial navigation", IEEE Sensors Journal 20(2), 2020.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording.importers.base import Importer, checked_segment
from gait_twin.recording.recording import FootTrajectory, ImuStream, Recording, Truth
from gait_twin.recording.segments import Side
from gait_twin.recording.streams import Source, assemble

_VARIABLES = ("imu", "ts", "gt")


def load(path: Path | str, segment: str = "calcn_r") -> Recording:
    """Read a trial.

    Parameters
    ----------
    path
        The .mat file: ``imu`` (n, 6) specific force (m/s²) and angular rate (rad/s), ``ts`` (n,) s, ``gt``
        (n, 3) position of the sensor, z up, m.
    segment
        Foot that wore the sensor; the right one in the published data.

    Returns
    -------
    Recording
        With the captured position as truth.

    Raises
    ------
    InputError
        If the file is not there or is not of this format.
    """
    path = Path(path)
    side = {side.foot: side for side in Side}.get(checked_segment(segment))
    if side is None:
        raise InputError(f"The sensor of {path} was on a foot, not on {segment}; give calcn_l or calcn_r.")
    content = _read(path)
    imu, time_s, position_m = content["imu"], content["ts"].ravel(), content["gt"]
    n = len(time_s)
    if imu.shape != (n, 6) or position_m.shape != (n, 3):
        raise InputError(
            f"{path}: imu {imu.shape}, ts {content['ts'].shape} and gt {position_m.shape} do not fit; "
            "expected (n, 6), n and (n, 3)."
        )
    stream = ImuStream(segment, time_s, imu[:, :3], imu[:, 3:])
    assembled = assemble([Source(stream, str(path))])
    captured = np.isfinite(position_m).all(axis=1) & np.isfinite(time_s)
    feet = FootTrajectory(time_s[captured] - assembled.origin_s, position_m[captured])
    return Recording(
        imus=assembled.imus,
        truth=Truth(foot_positions={side: feet}),
        notices=assembled.notices,
        losses=assembled.losses,
    )


def _read(path: Path) -> dict[str, NDArray[np.float64]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise InputError(f"The file {path} is not there.")
    try:
        content = loadmat(str(path), variable_names=_VARIABLES)
    except (MatReadError, NotImplementedError, OSError, TypeError, ValueError, KeyError, IndexError) as problem:
        raise InputError(f"{path} cannot be read as a MATLAB file: {str(problem).strip() or 'damaged'}.") from None
    missing = [name for name in _VARIABLES if name not in content]
    if missing:
        raise InputError(f"{path} holds no {' and no '.join(missing)}: not a foot trial with motion capture.")
    try:
        return {name: np.asarray(content[name], dtype=float) for name in _VARIABLES}
    except (TypeError, ValueError):
        raise InputError(f"{path}: imu, ts and gt must be arrays of numbers.") from None


def sniff(path: Path) -> bool:
    """Whether the path is such a file."""
    if path.suffix != ".mat":
        return False
    try:
        return bool(_read(path))
    except InputError:
        return False


FOOT_VICON = Importer(
    "foot_vicon",
    "MATLAB file of one shoe's IMU with its motion-captured position (PyShoe)",
    load,
    sniff,
    {"segment": "calcn_r (default) or calcn_l"},
)
