"""Settings of the event detector."""

from __future__ import annotations

from dataclasses import dataclass

from gait_twin.settings import check, setting


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """What the detector may assume; the classical one's defaults were chosen on half of the subjects (docs).

    The network heeds `look_ahead_s`, `closed_loop` and `max_stride_s` alone: it has learned the rest.
    """

    detector: str = setting(
        "network",
        "Which detector: network (learned), or classical (thresholds on the pitch rate).",
        choices=("network", "classical"),
    )
    look_ahead_s: float = setting(
        0.06,
        "Network: how long after an event it is judged, s: more waits longer and places it better.",
        low=0.0,
        high=0.1,
    )
    closed_loop: bool = setting(
        False,
        "Network: strides that zero-velocity updates confirmed tell when a foot's next events are due; they are taken "
        "more easily then, and more strictly before. No gain on people left out of training (docs).",
    )
    cutoff_hz: float = setting(12.0, "Cutoff of the low-pass filter on angular rate, Hz.", low=4.0, high=20.0)
    swing_min_radps: float = setting(
        1.2, "A foot that never turns toes-up faster than this is not swinging, rad/s.", low=0.3, high=5.0
    )
    swing_min_angle_rad: float = setting(0.25, "Least toes-up rotation of a swing, rad.", low=0.05, high=1.0)
    push_off_min_radps: float = setting(1.0, "Least toes-down rate of a push-off, rad/s.", low=0.2, high=5.0)
    adaptive_fraction: float = setting(
        0.2, "The three thresholds rise to this fraction of the person's recent median.", low=0.0, high=0.6
    )
    event_level: float = setting(
        0.7,
        "An event is where the rate passes this fraction of its trough (push-off, landing).",
        low=0.3,
        high=0.95,
    )
    landing_wait_s: float = setting(
        0.09,
        "Longest wait for the landing's trough after the foot stops turning toes-up, s: more waits "
        "longer and places a heel strike better.",
        low=0.0,
        high=0.2,
    )
    min_stance_s: float = setting(
        0.2, "No push-off this soon after a heel strike: shoe and strap ring, s.", low=0.05, high=0.5
    )
    max_swing_s: float = setting(1.5, "A swing that lasts longer is given up, s.", low=0.5, high=4.0)
    max_stride_s: float = setting(2.5, "A leg without a new event for this long is not walking, s.", low=1.0, high=6.0)
    max_gap_s: float = setting(
        0.15, "A longer gap in a foot's samples drops the swing in progress, s.", low=0.0, high=0.5
    )

    def __post_init__(self) -> None:
        check(self)
