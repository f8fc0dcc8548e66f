"""Settings of the sensor hub."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS
from gait_twin.settings import check, setting

SENSOR_AXES: dict[str, tuple[float, float, float]] = {
    "x": (1.0, 0.0, 0.0),
    "-x": (-1.0, 0.0, 0.0),
    "y": (0.0, 1.0, 0.0),
    "-y": (0.0, -1.0, 0.0),
    "z": (0.0, 0.0, 1.0),
    "-z": (0.0, 0.0, -1.0),
}
"""Directions that a mounting hint can name, in sensor axes."""


@dataclass(frozen=True)
class HubSettings:
    """How streams become frames, orientations and calibrated bodies.

    Raises
    ------
    InputError
        On a value out of its range, a gap longer than the wait, or a mounting that is not understood.
    """

    frame_rate_hz: float = setting(100.0, "Rate of the frames, Hz.", low=10.0, high=1000.0)
    max_wait_s: float = setting(
        0.2, "A frame goes out without the sensors that are this far behind the first one, s.", low=0.02, high=5.0
    )
    max_gap_s: float = setting(
        0.1, "Gaps between two samples up to this length are bridged and flagged, longer ones invalid, s.",
        low=0.0, high=5.0,
    )  # fmt: skip
    clock_jump_s: float = setting(
        2.0, "A sensor's time stamps that leap by more than this are a jump of its clock, s.", low=0.2, high=600.0
    )
    use_device_orientation: bool = setting(
        True, "Use orientations that devices send (one earth frame for all) instead of estimating them."
    )
    use_magnetometer: bool = setting(
        False, "Let magnetometers correct the heading; only where the field is undisturbed."
    )
    settle_time_s: float = setting(
        1.0, "Estimated orientations count as settled this long after the start or a long gap, s.",
        low=0.1, high=60.0,
    )  # fmt: skip
    rest_time_s: float = setting(
        1.0, "Length of quiet standing that calibrates the sensors to their segments, s.", low=0.3, high=30.0
    )
    rest_at_s: float = setting(
        -1.0, "Start of the quiet standing, s after the first sample; -1 finds it.", low=-1.0, high=1e6
    )
    mounting: tuple[str, ...] = setting(
        (),
        "What points forward in standing: an axis, 'pelvis=-z', or a direction in sensor axes, 'pelvis=0.1 0 -1'; "
        "found from walking where not given.",
    )
    up: tuple[str, ...] = setting(
        (), "What points up in standing, written as mounting is: a sensor that is upside down is then named at once."
    )
    calibration_file: str = setting(
        "", "calibration.yaml of `gait-twin calibrate`: applied from the first frame, for the segments it holds."
    )
    heading_strides: int = setting(
        1, "Strides of each leg to look at before the forward direction found from walking is final; "
        "more is later and better.", low=1, high=100,
    )  # fmt: skip
    heading_best_strides: int = setting(
        8, "Until so many strides were seen, a forward direction that is already known is improved, smoothly; "
        "no more than heading_strides: it stays as it was found first.", low=1, high=100,
    )  # fmt: skip
    acc_range_mps2: float = setting(
        156.9, "Range of the accelerometers, m/s^2; values at its end are flagged.", low=10.0, high=10000.0
    )
    gyr_range_radps: float = setting(
        34.9, "Range of the gyroscopes, rad/s; values at its end are flagged.", low=1.0, high=1000.0
    )

    def __post_init__(self) -> None:
        check(self)
        if self.max_gap_s > self.max_wait_s:
            raise InputError(
                f"HubSettings.max_gap_s is {self.max_gap_s} and max_wait_s {self.max_wait_s}; "
                "a gap cannot be bridged for longer than a frame waits, so give max_gap_s <= max_wait_s."
            )
        for name in ("mounting", "up"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self.forward_axes()
        self.up_axes()

    def forward_axes(self) -> dict[str, tuple[float, float, float]]:
        """Forward direction in sensor axes of each segment that `mounting` names.

        Raises
        ------
        InputError
            Naming the entry that is not ``segment=axis``.
        """
        return _axes("mounting", self.mounting)

    def up_axes(self) -> dict[str, tuple[float, float, float]]:
        """Upward direction in sensor axes of each segment that `up` names; raises as `forward_axes`."""
        return _axes("up", self.up)


def _axes(setting_name: str, entries: tuple[str, ...]) -> dict[str, tuple[float, float, float]]:
    axes = {}
    for entry in entries:
        segment, _, axis = (part.strip() for part in str(entry).partition("="))
        if not segment and not axis:  # ROS has no empty string array: [''] stands for it
            continue
        direction = SENSOR_AXES.get(axis.removeprefix("+")) or _direction(axis)
        if segment not in SEGMENTS or direction is None:
            raise InputError(
                f"HubSettings.{setting_name} holds {entry!r}; write segment=axis with a segment of "
                f"{', '.join(SEGMENTS)} and an axis of {', '.join(SENSOR_AXES)} or three numbers, "
                "such as 'pelvis=-z' or 'pelvis=0.1 0 -1'."
            )
        axes[segment] = direction
    return axes


def _direction(text: str) -> tuple[float, float, float] | None:
    """Unit vector of three numbers; None where the text is not that."""
    try:
        x, y, z = (float(part) for part in text.split())
    except ValueError:
        return None
    length = math.hypot(x, y, z)
    return (x / length, y / length, z / length) if 0.0 < length < math.inf else None
