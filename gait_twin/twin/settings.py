"""Settings of the twin."""

from __future__ import annotations

from dataclasses import dataclass

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS
from gait_twin.settings import check, setting

NOMINAL_MASS_KG = 75.0
"""Of the default model where the person's is not known."""


@dataclass(frozen=True, slots=True)
class TwinSettings:
    """Which model follows the person, and how.

    Raises
    ------
    InputError
        On a value out of its range, or a weight that is not understood.
    """

    model_path: str = setting("", "Path of an .osim file; empty for the default model, scaled by height and mass.")
    height_m: float = setting(1.75, "Body height for the default model, m.", low=0.5, high=2.5)
    mass_kg: float = setting(
        0.0,
        "Body mass of the person, kg. The default model has it (75 where 0: not known); that a model of your own has "
        "another is said.",
        low=0.0,
        high=300.0,
    )
    bodies: tuple[str, ...] = setting(
        (), "Names of the model's bodies where they differ from the segments', as 'femur_r=thigh_r'."
    )
    weights: tuple[str, ...] = setting((), "Weights of sensors other than 1, as 'calcn_r=0.5'; 0 leaves one out.")
    refine: bool = setting(
        True,
        "Correct the sensors' headings and their calibration from the joints while walking; off, both stay as the hub "
        "found them.",
    )
    follow_strides: bool = setting(
        True, "Fit the way over the ground to the step estimator's strides; off, it rests on the model's legs alone."
    )
    fit_legs: bool = setting(
        True,
        "When a whole recording is analysed with the default model, and the strides show legs of another length than "
        "its height gives, analyse it again with the height that does; live, that height is only named.",
    )
    velocity_window_s: float = setting(
        0.06,
        "Length of the causal filter behind velocities, which lag by half of it, s.",
        low=0.005,
        high=0.5,
    )
    force_window_s: float = setting(
        0.16,
        "Length of the causal filter behind moments and ground reactions, which lag by half of it, s; shorter lets "
        "the wobbling of sensors on soft tissue through.",
        low=0.02,
        high=0.5,
    )
    pelvis_sensor_m: tuple[float, ...] = setting(
        (-0.15, 0.02, 0.0),
        "Place of the pelvis' sensor in the pelvis' OpenSim axes (forward, up, right), from the midpoint between the "
        "front spines; over the sacrum by default, m.",
    )
    plates_yaw_deg: float = setting(
        0.0,
        "How far the axes of plates that are not in the walk's world (a treadmill's) are turned against it, about the "
        "vertical, to the left positive, deg.",
        low=-180.0,
        high=180.0,
    )
    hold_s: float = setting(
        0.5, "How long a coordinate whose sensors are missing keeps its last value, s.", low=0.0, high=60.0
    )
    relax_s: float = setting(
        0.5, "Time constant with which it then returns to the neutral pose, s.", low=0.01, high=60.0
    )
    fit_deg: float = setting(
        10.0, "Root mean square residual of the sensors at which quality is one half, deg.", low=1.0, high=90.0
    )

    def __post_init__(self) -> None:
        check(self)
        self.sensor_weights()
        if len(self.pelvis_sensor_m) != 3 or not all(
            isinstance(value, int | float) and abs(value) < 1.0 for value in self.pelvis_sensor_m
        ):
            raise InputError(
                f"TwinSettings.pelvis_sensor_m is {self.pelvis_sensor_m!r}; give three numbers below 1 m: "
                "forward, up, right."
            )

    def sensor_weights(self) -> dict[str, float]:
        """Weight of each segment that `weights` names.

        Raises
        ------
        InputError
            An entry that is not understood.
        """
        weights: dict[str, float] = {}
        for entry in self.weights:
            segment, _, number = (part.strip() for part in entry.partition("="))
            try:
                weights[segment] = float(number)
            except ValueError:
                weights[segment] = -1.0
            if segment not in SEGMENTS or not 0.0 <= weights[segment] <= 1e6:
                raise InputError(
                    f"TwinSettings.weights holds {entry!r}; give 'segment=number' with a segment of "
                    f"{', '.join(SEGMENTS)} and a number of 0 or more."
                )
        return weights
