"""Events, phase, strides, steps, the twin and the person to messages and back."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.recording.axes import quat_conjugate, quat_rotate
from gait_twin.recording.gait import (
    NAN,
    EventKind,
    FootPose,
    GaitClass,
    GaitEvent,
    GaitPhase,
    GroundReaction,
    Step,
    Stride,
    TwinState,
)
from gait_twin.recording.messages.parts import (
    WORLD_FRAME,
    TimeBase,
    Triple,
    floats,
    imu_frame,
    quaternion,
    stamp_ns,
    vector,
)
from gait_twin.recording.recording import Subject
from gait_twin.recording.segments import Side
from gait_twin.recording.typestore import Make

_SIDES = (Side.LEFT, Side.RIGHT)
_KINDS = (EventKind.HEEL_STRIKE, EventKind.TOE_OFF)
_SIDE_CODE = {side: code for code, side in enumerate(_SIDES)}
_KIND_CODE = {kind: code for code, kind in enumerate(_KINDS)}


def to_gait_event(make: Make, base: TimeBase, event: GaitEvent) -> Any:
    """``gait_twin_msgs/GaitEvent``."""
    return make(
        "gait_twin_msgs/msg/GaitEvent",
        header=base.header(make, event.time_s, event.side.foot),
        side=_SIDE_CODE[event.side],
        kind=_KIND_CODE[event.kind],
        confidence=event.confidence,
        delay=event.delay_s,
    )


def from_gait_event(base: TimeBase, message: Any) -> GaitEvent:
    """`GaitEvent` of its message."""
    time_s = base.seconds(message.header.stamp)
    return GaitEvent(time_s, _SIDES[message.side], _KINDS[message.kind], message.confidence, message.delay)


def to_gait_phase(
    make: Make, base: TimeBase, left: GaitPhase | None, right: GaitPhase | None, frame_id: str = ""
) -> Any:
    """``gait_twin_msgs/GaitPhase`` of both legs at one instant; None for a leg without a sensor.

    Raises
    ------
    ValueError
        If both are None or their instants differ.
    """
    known = left or right
    if known is None or (left and right and left.time_s != right.time_s):
        raise ValueError("a gait phase message describes one instant of at least one leg")
    return make(
        "gait_twin_msgs/msg/GaitPhase",
        header=base.header(make, known.time_s, frame_id),
        left=_phase_side(make, left),
        right=_phase_side(make, right),
    )


def from_gait_phase(base: TimeBase, message: Any) -> tuple[GaitPhase, GaitPhase]:
    """Left and right `GaitPhase` of their message."""
    time_s = base.seconds(message.header.stamp)

    def phase(side: Side, m: Any) -> GaitPhase:
        return GaitPhase(time_s, side, m.walking, m.stance, m.phase, m.stride_time, m.confidence)

    return phase(Side.LEFT, message.left), phase(Side.RIGHT, message.right)


# Fields of a message beside the vocabulary's, where they carry the same value.
_STRIDE_FIELDS = {
    "valid": "valid",
    "stride_time_sd": "stride_time_sd_s",
    "stance_time": "stance_time_s",
    "swing_time": "swing_time_s",
    "double_support_time": "double_support_time_s",
    "stride_length": "stride_length_m",
    "stride_length_sd": "stride_length_sd_m",
    "foot_clearance": "foot_clearance_m",
    "foot_clearance_sd": "foot_clearance_sd_m",
    "height_change": "height_change_m",
    "foot_angle_heel_strike": "foot_angle_heel_strike_rad",
    "foot_angle_toe_off": "foot_angle_toe_off_rad",
    "foot_angle_sd": "foot_angle_sd_rad",
    "turning_angle": "turning_angle_rad",
    "turning_angle_sd": "turning_angle_sd_rad",
    "reason": "reason",
    "provisional": "provisional",
}
_STEP_FIELDS = {
    "valid": "valid",
    "step_time": "step_time_s",
    "step_length": "step_length_m",
    "step_length_sd": "step_length_sd_m",
    "step_width": "step_width_m",
    "step_width_sd": "step_width_sd_m",
}


def to_stride(make: Make, base: TimeBase, stride: Stride) -> Any:
    """``gait_twin_msgs/Stride``."""
    return make(
        "gait_twin_msgs/msg/Stride",
        header=base.header(make, stride.end_s, stride.side.foot),
        side=_SIDE_CODE[stride.side],
        start=base.stamp(make, stride.start_s),
        toe_off=base.stamp(make, stride.toe_off_s),
        stride_time=stride.stride_time_s,
        speed=stride.speed_mps,
        cadence=stride.cadence_spm,
        **{field: getattr(stride, name) for field, name in _STRIDE_FIELDS.items()},
    )


def from_stride(base: TimeBase, message: Any) -> Stride:
    """`Stride` of its message."""
    return Stride(
        side=_SIDES[message.side],
        start_s=base.seconds(message.start),
        end_s=base.seconds(message.header.stamp),
        toe_off_s=base.seconds(message.toe_off) if stamp_ns(message.toe_off) else NAN,
        **{name: getattr(message, field) for field, name in _STRIDE_FIELDS.items()},
    )


def to_step(make: Make, base: TimeBase, step: Step) -> Any:
    """``gait_twin_msgs/Step``."""
    return make(
        "gait_twin_msgs/msg/Step",
        header=base.header(make, step.time_s, step.side.foot),
        side=_SIDE_CODE[step.side],
        **{field: getattr(step, name) for field, name in _STEP_FIELDS.items()},
    )


def from_step(base: TimeBase, message: Any) -> Step:
    """`Step` of its message."""
    return Step(
        side=_SIDES[message.side],
        time_s=base.seconds(message.header.stamp),
        **{name: getattr(message, field) for field, name in _STEP_FIELDS.items()},
    )


def to_odometry(make: Make, base: TimeBase, pose: FootPose, frame_id: str = WORLD_FRAME) -> Any:
    """``nav_msgs/Odometry`` of a foot's sensor; the twist is in the child frame, as the message wants it.

    The orientation's and twist's covariances are not known (0); `FootPose.foot_flat` is not carried.
    """
    covariance = np.zeros(36)
    covariance[[0, 7, 14]] = np.square(pose.position_sd_m)
    px, py, pz = pose.position_m.tolist()
    vx, vy, vz = quat_rotate(quat_conjugate(pose.quat_wxyz), pose.velocity_mps).tolist()
    return make(
        "nav_msgs/msg/Odometry",
        header=base.header(make, pose.time_s, frame_id),
        child_frame_id=imu_frame(pose.side.foot),
        pose=make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=make(
                "geometry_msgs/msg/Pose",
                position=make("geometry_msgs/msg/Point", x=px, y=py, z=pz),
                orientation=quaternion(make, *pose.quat_wxyz.tolist()),
            ),
            covariance=covariance,
        ),
        twist=make(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=make(
                "geometry_msgs/msg/Twist",
                linear=vector(make, vx, vy, vz),
                angular=vector(make, 0.0, 0.0, 0.0),
            ),
            covariance=np.zeros(36),
        ),
    )


def from_odometry(base: TimeBase, message: Any, side: Side) -> FootPose:
    """`FootPose` of a ``nav_msgs/Odometry``; `FootPose.foot_flat` is not carried and False."""
    p, q = message.pose.pose.position, message.pose.pose.orientation
    v = message.twist.twist.linear
    quat = np.array([q.w, q.x, q.y, q.z])
    return FootPose(
        time_s=base.seconds(message.header.stamp),
        side=side,
        position_m=np.array([p.x, p.y, p.z]),
        velocity_mps=quat_rotate(quat, np.array([v.x, v.y, v.z])),
        quat_wxyz=quat,
        position_sd_m=np.sqrt(np.asarray(message.pose.covariance, dtype=float)[[0, 7, 14]]),
        foot_flat=False,
    )


def to_twin_state(make: Make, base: TimeBase, state: TwinState, frame_id: str = WORLD_FRAME) -> Any:
    """``gait_twin_msgs/TwinState``."""
    return make(
        "gait_twin_msgs/msg/TwinState",
        header=base.header(make, state.time_s, frame_id),
        coordinates=list(state.coordinates),
        positions=floats(state.positions),
        velocities=floats(state.velocities),
        velocity_delay=state.velocity_delay_s,
        moments=floats(state.moments),
        moment_sd=floats(state.moment_sd),
        moment_delay=state.moment_delay_s,
        powers=floats(state.powers),
        moment_confidence=NAN if state.ground is None else state.ground.confidence,
        ground_source=ground_source(state.ground),
        sensors=list(state.sensors),
        residuals=floats(state.residuals_rad),
        stance_side=0 if state.stance_side is None else 1 + _SIDE_CODE[state.stance_side],
        quality=state.quality,
        message=state.message,
    )


def from_twin_state(base: TimeBase, message: Any) -> TwinState:
    """`TwinState` of its message."""
    return TwinState(
        time_s=base.seconds(message.header.stamp),
        coordinates=tuple(message.coordinates),
        positions=np.array(message.positions),
        velocities=np.array(message.velocities),
        velocity_delay_s=message.velocity_delay,
        moments=np.array(message.moments),
        moment_delay_s=message.moment_delay,
        powers=np.array(getattr(message, "powers", ())),
        moment_sd=np.array(getattr(message, "moment_sd", ())),
        sensors=tuple(message.sensors),
        residuals_rad=np.array(message.residuals),
        stance_side=_SIDES[message.stance_side - 1] if message.stance_side else None,
        quality=message.quality,
        message=message.message,
    )


def ground_source(ground: GroundReaction | None) -> int:
    """`ground_source` of ``gait_twin_msgs/TwinState``: none, predicted, measured, or mixed by foot."""
    if ground is None:
        return 0
    touching = [by for by, force in zip(ground.measured, ground.force_n, strict=True) if force.any()]
    return 1 if not any(touching) else 2 if all(touching) else 3


def to_wrench(make: Make, base: TimeBase, ground: GroundReaction, side: Side, prefix: str = "") -> Any:
    """``geometry_msgs/WrenchStamped`` on a foot at its own instant: force and free moment in the world's axes.

    Its frame is `pressure_frame`, which has its origin in the centre of pressure.
    """
    row = _SIDE_CODE[side]
    return make(
        "geometry_msgs/msg/WrenchStamped",
        header=base.header(make, ground.time_s, prefix + pressure_frame(side)),
        wrench=make(
            "geometry_msgs/msg/Wrench",
            force=vector(make, *ground.force_n[row].tolist()),
            torque=vector(make, 0.0, 0.0, float(ground.free_moment_nm[row])),
        ),
    )


def pressure_frame(side: Side) -> str:
    """Frame id of a foot's centre of pressure: there, with the world's axes."""
    return f"center_of_pressure_{side}"


def from_wrench(base: TimeBase, message: Any) -> tuple[float, str, NDArray[np.float64]]:
    """Time (s), frame and (6,) force (N) and torque (N·m) of a ``geometry_msgs/WrenchStamped``."""
    force, torque = message.wrench.force, message.wrench.torque
    values = np.array([force.x, force.y, force.z, torque.x, torque.y, torque.z])
    return base.seconds(message.header.stamp), message.header.frame_id, values


def from_ground_messages(
    base: TimeBase, state: Any, wrenches: tuple[Any, Any], points: tuple[Any, Any]
) -> GroundReaction:
    """`GroundReaction` of a state's message with the left and right wrench and centre of pressure of its moments.

    Residuals are not carried: the moments of the joint to ground are them.
    """
    time_s, _, left = from_wrench(base, wrenches[0])
    right = from_wrench(base, wrenches[1])[2]
    unknown = np.full(3, NAN)
    return GroundReaction(
        time_s=time_s,
        force_n=np.array([left[:3], right[:3]]),
        center_of_pressure_m=np.array([from_point(base, point)[1] for point in points]),
        free_moment_nm=np.array([left[5], right[5]]),
        residual_force_n=unknown,
        residual_moment_nm=unknown,
        confidence=state.moment_confidence,
        measured=(state.ground_source == 2, state.ground_source == 2),
    )


def to_gait_class(make: Make, base: TimeBase, found: GaitClass) -> Any:
    """``gait_twin_msgs/GaitClass``."""
    return make(
        "gait_twin_msgs/msg/GaitClass",
        header=base.header(make, found.time_s, ""),
        start=base.stamp(make, found.start_s),
        cycles=found.cycles,
        labels=list(found.labels),
        probabilities=floats(found.probabilities),
        novelty=found.novelty,
        unknown=found.unknown,
        side=0 if found.side is None else 1 + _SIDE_CODE[found.side],
        side_probability=found.side_probability,
        segments=list(found.segments),
        model=found.model,
    )


def from_gait_class(base: TimeBase, message: Any) -> GaitClass:
    """`GaitClass` of its message."""
    return GaitClass(
        time_s=base.seconds(message.header.stamp),
        start_s=base.seconds(message.start),
        cycles=message.cycles,
        labels=tuple(message.labels),
        probabilities=np.array(message.probabilities),
        novelty=message.novelty,
        unknown=message.unknown,
        side=_SIDES[message.side - 1] if message.side else None,
        side_probability=message.side_probability,
        segments=tuple(message.segments),
        model=message.model,
    )


def to_joint_state(
    make: Make,
    base: TimeBase,
    time_s: float,
    names: tuple[str, ...],
    positions: NDArray[np.float64],
    velocities: NDArray[np.float64] | None = None,
    efforts: NDArray[np.float64] | None = None,
) -> Any:
    """``sensor_msgs/JointState`` of m joints, (m,) each: rad or m, per second, N·m or N."""
    return make(
        "sensor_msgs/msg/JointState",
        header=base.header(make, time_s, ""),
        name=list(names),
        position=floats(positions),
        velocity=array("d") if velocities is None else floats(velocities),
        effort=array("d") if efforts is None else floats(efforts),
    )


def from_joint_state(base: TimeBase, message: Any) -> tuple[float, tuple[str, ...], NDArray[np.float64]]:
    """Time (s), m joint names and (m,) positions of a ``sensor_msgs/JointState``."""
    return base.seconds(message.header.stamp), tuple(message.name), np.array(message.position)


def to_subject(make: Make, subject: Subject) -> Any:
    """``gait_twin_msgs/Subject``."""
    return make(
        "gait_twin_msgs/msg/Subject",
        name=subject.name,
        height=float(subject.height_m),
        mass=float(subject.mass_kg),
        model=subject.model,
    )


def from_subject(message: Any) -> Subject:
    """`Subject` of its message."""
    # a bag of an older version knows nothing of models
    return Subject(message.name, message.height, message.mass, getattr(message, "model", ""))


def to_point(make: Make, base: TimeBase, time_s: float, position_m: Any, frame_id: str) -> Any:
    """``geometry_msgs/PointStamped`` of 3 floats, m."""
    x, y, z = position_m
    return make(
        "geometry_msgs/msg/PointStamped",
        header=base.header(make, time_s, frame_id),
        point=make("geometry_msgs/msg/Point", x=x, y=y, z=z),
    )


def from_point(base: TimeBase, message: Any) -> tuple[float, Triple]:
    """Time (s) and position (m) of a ``geometry_msgs/PointStamped``."""
    p = message.point
    return base.seconds(message.header.stamp), (p.x, p.y, p.z)


def _phase_side(make: Make, phase: GaitPhase | None) -> Any:
    if phase is None:
        phase = GaitPhase(0.0, Side.LEFT, walking=False, stance=False)
    return make(
        "gait_twin_msgs/msg/GaitPhaseSide",
        walking=phase.walking,
        stance=phase.stance,
        phase=phase.phase,
        stride_time=phase.stride_time_s,
        confidence=phase.confidence,
    )
