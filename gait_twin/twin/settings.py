"""Settings of the twin."""

from __future__ import annotations

from dataclasses import dataclass

from gait_twin.settings import check, setting


@dataclass(frozen=True, slots=True)
class TwinSettings:
    """Settings of the twin; the node declares its parameters from them."""

    model_path: str = setting("", "path of an .osim file; empty: the default model, scaled by height and mass")
    height_m: float = setting(1.75, "body height for the default model, m", low=0.5, high=2.5)
    mass_kg: float = setting(75.0, "body mass for the default model, kg", low=5.0, high=300.0)
    bodies: str = setting(
        "", "names of the model's bodies where they differ from the segments', such as 'femur_r=thigh_r, torso=thorax'"
    )
    weights: str = setting("", "weights of sensors other than 1, such as 'calcn_r=0.5, torso=0.2'")
    velocity_window_s: float = setting(
        0.06, "length of the causal filter behind velocities, s; they lag by half of it", low=0.005, high=0.5
    )
    hold_s: float = setting(
        0.5, "how long a coordinate whose sensors are missing keeps its last value, s", low=0.0, high=60.0
    )
    relax_s: float = setting(
        0.5, "time constant with which it then returns to the neutral pose, s", low=0.01, high=60.0
    )
    fit_deg: float = setting(
        10.0,
        "root mean square residual of the sensors at which quality has fallen to one half, deg",
        low=1.0,
        high=90.0,
    )

    def __post_init__(self) -> None:
        check(self)
