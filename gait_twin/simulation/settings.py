"""What can be chosen of a virtual subject: the walk and the sensors worn."""

from __future__ import annotations

from dataclasses import dataclass

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS
from gait_twin.settings import check, setting
from gait_twin.simulation.patterns import PATTERNS
from gait_twin.simulation.random_patterns import RANDOM


@dataclass(frozen=True)
class WalkSettings:
    """Who walks, how, and where to.

    The walk: standing, straight ahead for `straight_length_m`, a turn of `turn_angle_deg`, straight again,
    and so on until `duration_s` is nearly over; then a last step beside the other foot, and standing.
    """

    duration_s: float = setting(60.0, "Length of the recording, s.", low=1.0, high=7200.0)
    standing_start_s: float = setting(3.0, "Quiet standing before the first step, s.", low=0.5, high=600.0)
    standing_end_s: float = setting(2.0, "Quiet standing after the last step, s.", low=0.5, high=600.0)
    height_m: float = setting(1.75, "Body height, m.", low=1.0, high=2.2)
    mass_kg: float = setting(70.0, "Body mass, kg.", low=20.0, high=250.0)
    speed_mps: float = setting(
        0.0, "Walking speed on the straight, m/s; 0: from the cadence, or 1.3 scaled by leg length.", low=0.0, high=2.2
    )
    cadence_spm: float = setting(
        0.0, "Cadence on the straight, steps/min; 0: from the speed by the walk ratio.", low=0.0, high=180.0
    )
    straight_length_m: float = setting(10.0, "Way between two turns, m.", low=0.5, high=10000.0)
    turn_angle_deg: float = setting(
        180.0,
        "Change of direction at the end of each straight, left positive, degrees; 0: never turns.",
        low=-360.0,
        high=360.0,
    )
    turn_radius_m: float = setting(0.6, "Mean radius of the turns, m.", low=0.3, high=100.0)
    step_width_m: float = setting(0.10, "Distance between the lines of left and right heel, m.", low=0.04, high=0.3)
    toe_out_deg: float = setting(6.0, "Angle of each foot against the path, outward, degrees.", low=-20.0, high=30.0)
    length_asymmetry: float = setting(0.0, "(right - left) step length over their mean.", low=-0.6, high=0.6)
    time_asymmetry: float = setting(0.0, "(right - left) step time over their mean.", low=-0.4, high=0.4)
    variability: float = setting(
        1.0,
        "Variability from stride to stride, a healthy adult's being 1; 0: none.",
        low=0.0,
        high=4.0,
    )
    sway: float = setting(1.0, "Postural sway as a multiple of a healthy adult's; 0: none.", low=0.0, high=5.0)
    trunk_motion: float = setting(
        1.0, "Pelvis and trunk rotation amplitudes as a multiple of the published ones.", low=0.0, high=2.0
    )
    first_side: str = setting("right", "Foot that makes the first step.", choices=("right", "left"))
    pattern: str = setting(
        "normal", "Gait pattern; random: like none of them, drawn from the seed.", choices=(*PATTERNS, RANDOM)
    )
    severity: float = setting(0.5, "Of the pattern: 0 is the mildest that bears its name, 1 severe.", low=0.0, high=1.0)
    affected_side: str = setting(
        "usual",
        "Affected leg; usual: both where the pattern has two sides (crouch, shuffling, toe_walking), else right.",
        choices=("usual", "right", "left", "both"),
    )
    style: float = setting(
        0.0,
        "How far a person's way of walking may be from the average one, 1 as among adults; 0: none.",
        low=0.0,
        high=2.0,
    )
    seed: int = setting(1, "Seed of everything random in the walk.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        check(self)
        if 0.0 < self.speed_mps < 0.3:
            raise InputError(f"WalkSettings.speed_mps is {self.speed_mps}; give at least 0.3 m/s, or 0: natural.")
        if 0.0 < self.cadence_spm < 40.0:
            raise InputError(
                f"WalkSettings.cadence_spm is {self.cadence_spm}; give at least 40 steps/min, or 0 for a natural one."
            )


@dataclass(frozen=True)
class SensorSettings:
    """Where virtual IMUs sit and how good they are.

    Every "standard deviation over sensors" is drawn once per sensor, from `seed` and the segment, so that
    adding a sensor leaves the others' samples as they were. Defaults are those of a perfect sensor sitting
    straight; `default_demo` gives a realistic set.
    """

    segments: tuple[str, ...] = setting(SEGMENTS, "Segments that wear a sensor.")
    rates_hz: tuple[float, ...] = setting((100.0,), "Sampling rate, Hz: one for all, or one for each segment.")
    mounting: str = setting(
        "nominal",
        "How each sensor is turned: nominal (sensor axes along the segment's: x forward, y up, z right), "
        "askew (mounting_askew_deg away from that), random (any way).",
        choices=("nominal", "askew", "random"),
    )
    mounting_askew_deg: float = setting(
        15.0, "With askew: angle of the turn about a random axis, degrees.", low=0.0, high=180.0
    )
    foot_site: str = setting("dorsum", "Where the foot sensors sit.", choices=("dorsum", "heel", "lateral"))
    site_spread_m: float = setting(
        0.0, "Standard deviation over sensors of each coordinate of the place on the segment, m.", low=0.0, high=0.05
    )
    gyro_noise_radps_rthz: float = setting(0.0, "Gyroscope noise density, rad/s/sqrt(Hz).", low=0.0, high=0.1)
    acc_noise_mps2_rthz: float = setting(0.0, "Accelerometer noise density, m/s^2/sqrt(Hz).", low=0.0, high=1.0)
    gyro_bias_radps: float = setting(
        0.0, "Gyroscope's bias: standard deviation over sensors and axes, rad/s.", low=0.0, high=1.0
    )
    acc_bias_mps2: float = setting(
        0.0, "Accelerometer's bias: standard deviation over sensors and axes, m/s^2.", low=0.0, high=5.0
    )
    gyro_bias_instability_radps: float = setting(
        0.0, "Standard deviation of the slow wander of the gyroscope's bias, rad/s.", low=0.0, high=0.1
    )
    acc_bias_instability_mps2: float = setting(
        0.0, "Standard deviation of the slow wander of the accelerometer's bias, m/s^2.", low=0.0, high=1.0
    )
    bias_correlation_s: float = setting(100.0, "Correlation time of both wanders, s.", low=1.0, high=10000.0)
    acc_scale_error: float = setting(
        0.0, "Standard deviation over sensors of the accelerometer's relative scale error.", low=0.0, high=0.2
    )
    gyro_scale_error: float = setting(
        0.0, "Standard deviation over sensors of the gyroscope's relative scale error.", low=0.0, high=0.2
    )
    acc_range_mps2: float = setting(0.0, "Accelerometer's range (saturation), m/s^2; 0: none.", low=0.0, high=5000.0)
    gyro_range_radps: float = setting(0.0, "Gyroscope's range (saturation), rad/s; 0: none.", low=0.0, high=500.0)
    quantisation_bits: int = setting(0, "Bits of both converters; 0: no quantisation.", low=0, high=32)
    magnetometer: bool = setting(False, "Whether the sensors have a magnetometer, in an undisturbed field.")
    mag_noise_ut: float = setting(0.5, "Magnetometer noise of a sample, microtesla.", low=0.0, high=50.0)
    heel_strike_transient_mps2: float = setting(
        0.0,
        "Peak at the foot of the shock that a heel strike at 1.3 m/s sends through soft tissue, m/s^2; 0: none.",
        low=0.0,
        high=200.0,
    )
    clock_offset_s: float = setting(0.0, "Stamps' offset: standard deviation over sensors, s.", low=0.0, high=10.0)
    clock_drift_ppm: float = setting(0.0, "Clocks' drift: standard deviation over sensors, ppm.", low=0.0, high=1000.0)
    jitter_s: float = setting(0.0, "Standard deviation of the stamps around the even clock, s.", low=0.0, high=0.1)
    packet_loss: float = setting(0.0, "Share of samples lost one by one.", low=0.0, high=0.9)
    burst_loss_per_min: float = setting(0.0, "Bursts of lost samples per sensor and minute.", low=0.0, high=60.0)
    burst_length_s: float = setting(0.2, "Mean length of a burst, s.", low=0.005, high=30.0)
    start_spread_s: float = setting(0.0, "Sensors start at random up to this late, s.", low=0.0, high=10.0)
    seed: int = setting(1, "Seed of everything random in the sensors.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        check(self)
        if not self.segments:
            raise InputError("SensorSettings.segments is empty; name at least one segment.")
        for segment in self.segments:
            if segment not in SEGMENTS:
                raise InputError(f"SensorSettings.segments has {segment!r}; choose from {', '.join(SEGMENTS)}.")
        if len(set(self.segments)) != len(self.segments):
            raise InputError("SensorSettings.segments names a segment twice; give one sensor for each.")
        if len(self.rates_hz) not in (1, len(self.segments)):
            raise InputError(
                f"SensorSettings.rates_hz has {len(self.rates_hz)} values for {len(self.segments)} segments; "
                "give one for all or one for each."
            )
        if not all(10.0 <= rate <= 2000.0 for rate in self.rates_hz):
            raise InputError(f"SensorSettings.rates_hz is {self.rates_hz}; give rates from 10 to 2000 Hz.")
        if self.quantisation_bits and not (self.acc_range_mps2 and self.gyro_range_radps):
            raise InputError("SensorSettings.quantisation_bits needs acc_range_mps2 and gyro_range_radps; give both.")

    def rate_hz(self, segment: str) -> float:
        """Sampling rate of one segment's sensor, Hz."""
        return self.rates_hz[self.segments.index(segment) if len(self.rates_hz) > 1 else 0]


def default_demo() -> tuple[WalkSettings, SensorSettings]:
    """Walk and sensors of the demonstration: 60 s out and back, eight everyday sensors.

    Noise, bias and scale are typical of consumer MEMS IMUs of the MPU-9250/BMI270 class; clock drift is a
    crystal's, packet loss a radio's in a busy room.
    """
    return (
        WalkSettings(seed=7),
        SensorSettings(
            mounting="askew",
            mounting_askew_deg=12.0,
            site_spread_m=0.01,
            gyro_noise_radps_rthz=1.7e-4,
            acc_noise_mps2_rthz=2.0e-3,
            gyro_bias_radps=3.5e-3,
            acc_bias_mps2=0.05,
            gyro_bias_instability_radps=1.0e-4,
            acc_bias_instability_mps2=1.0e-3,
            acc_scale_error=0.01,
            gyro_scale_error=0.003,
            acc_range_mps2=156.9,
            gyro_range_radps=34.9,
            quantisation_bits=16,
            heel_strike_transient_mps2=25.0,
            clock_offset_s=0.004,
            clock_drift_ppm=20.0,
            jitter_s=0.0005,
            packet_loss=0.002,
            burst_loss_per_min=0.5,
            burst_length_s=0.06,
            start_spread_s=0.05,
            seed=7,
        ),
    )
