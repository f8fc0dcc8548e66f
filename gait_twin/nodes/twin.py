"""Node: frames in; state of the OpenSim skeleton, joint states, transforms and robot description out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gait_twin.nodes.base import run
from gait_twin.nodes.frames import FrameNode
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.topics import (
    JOINT_STATES,
    ROBOT_DESCRIPTION,
    STRIDES,
    TF,
    TF_STATIC,
    TWIN_STATE,
    center_of_pressure,
    ground_reaction,
    plate,
)
from gait_twin.recording import BodyFrames, Side, TwinState
from gait_twin.recording.messages import (
    WORLD_FRAME,
    TimeBase,
    from_stride,
    from_wrench,
    make_ros_message,
    make_stamp,
    pressure_frame,
    to_joint_state,
    to_point,
    to_twin_state,
    to_wrench,
)
from gait_twin.settings import check, setting
from gait_twin.twin import Frame, RobotDescription, Twin, TwinSettings, make_model

ROOT_LINK = "world"
PLATES_SILENT_S = 0.2
"""Plates that were there and are silent for longer are missed."""


@dataclass(frozen=True)
class DisplaySettings:
    """What viewers get."""

    frame_prefix: str = setting("", "Goes before every frame's name, as 'subject_1/', to tell subjects apart in /tf.")
    geometry_path: str = setting(
        "",
        "Folder with the meshes that the model names (OpenSim's Geometry), or package://NAME/FOLDER with STL files; "
        "empty: simple shapes.",
    )
    tf_rate_hz: float = setting(50.0, "Rate of /tf, Hz of sensor time; 0: none.", low=0.0, high=1000.0)

    def __post_init__(self) -> None:
        check(self)


class TwinNode(FrameNode):
    """Wraps `gait_twin.twin.Twin`."""

    def __init__(self) -> None:
        super().__init__("twin")
        self._settings = declare(self, TwinSettings)
        self._display = declare(self, DisplaySettings)
        self._twin: Twin | None = None
        self._model = make_model(self._settings)
        self._description = RobotDescription(self._model, self._display.geometry_path)
        for notice in self._description.notices:
            self.get_logger().warning(notice)
        self._state: TwinState | None = None
        self._quality = math.nan
        self._states = self.publisher(TWIN_STATE)
        self._joints = self.publisher(JOINT_STATES)
        self._transforms = self.publisher(TF)
        self._wrenches = {side: self.publisher(ground_reaction(side)) for side in Side}
        self._pressures = {side: self.publisher(center_of_pressure(side)) for side in Side}
        self._stood: dict[Side, list[float]] = {}
        self._predicted_s: float | None = None
        for side in Side:
            self.subscribe(plate(side), self._plate_taker(side), expected=False)
        self._arrived: list[Any] = []
        self.subscribe(STRIDES, self._arrived.append, expected=False)
        self._next_tf_s = -math.inf
        self._latched = [self.publisher(ROBOT_DESCRIPTION), self.publisher(TF_STATIC)]
        self._latched[0].publish(make_ros_message(ROBOT_DESCRIPTION.type_name, data=self._description.urdf))
        self._latched[1].publish(self._static_transforms())

    def begin(self, segments: tuple[str, ...]) -> None:
        """Start with a new twin for these sensors."""
        self._twin = Twin(self._model, segments, self._settings)
        self._state, self._next_tf_s = None, -math.inf
        self._stood, self._predicted_s = {}, None
        for notice in self._twin.notices:
            self.get_logger().warning(notice)

    def take(self, base: TimeBase, frames: BodyFrames) -> None:
        """Let the skeleton follow, and publish."""
        twin = self._twin
        assert twin is not None
        twin.take_strides(from_stride(base, message) for message in self._arrived)
        self._arrived.clear()
        for state in twin.update(frames, posed=partial(self._publish_joints, base, twin.coordinates)):
            if state.message and (self._state is None or state.message != self._state.message):
                self.get_logger().info(state.message, throttle_duration_sec=5.0)
            self._state = state
            self._states.publish(to_twin_state(make_ros_message, base, state))
            if not state.coordinates:
                continue
            self._publish_ground(base, state)
            self._publish_transforms(twin, base, state)

    def _publish_joints(
        self, base: TimeBase, coordinates: tuple[str, ...], time_s: float, values: NDArray[np.float64]
    ) -> None:
        names = coordinates + self._description.extra_joints
        positions = np.concatenate([values, self._description.extra_values(values)])
        self._joints.publish(to_joint_state(make_ros_message, base, time_s, names, positions))

    def _plate_taker(self, side: Side) -> Callable[[Any], None]:
        """What takes a foot's measured wrench; its frame tells what it is expressed in."""

        def take(message: Any) -> None:
            twin, base = self._twin, self.base
            if twin is None or base is None:
                return
            time_s, frame_id, wrench = from_wrench(base, message)
            twin.plates.push(side, time_s, wrench, Frame.of(frame_id, side, self._display.frame_prefix))

        return take

    def _publish_ground(self, base: TimeBase, state: TwinState) -> None:
        """Wrench and centre of pressure of each foot, of the instant that they belong to."""
        ground, prefix = state.ground, self._display.frame_prefix
        if ground is None:
            return
        for row, side in enumerate(Side):
            place = ground.center_of_pressure_m[row].tolist()
            self._wrenches[side].publish(to_wrench(make_ros_message, base, ground, side, prefix))
            self._pressures[side].publish(to_point(make_ros_message, base, ground.time_s, place, prefix + WORLD_FRAME))
            if not math.isnan(place[0]):
                self._stood[side] = place
        plates = self._twin is not None and self._twin.plates.used
        touching = [m for m, force in zip(ground.measured, ground.force_n, strict=True) if force.any()]
        if not plates or all(touching):
            self._predicted_s = None
        elif self._predicted_s is None:
            self._predicted_s = state.time_s

    def _publish_transforms(self, twin: Twin, base: TimeBase, state: TwinState) -> None:
        rate = self._display.tf_rate_hz
        if not rate or state.time_s < self._next_tf_s - 1e-6:
            return
        self._next_tf_s = max(state.time_s, self._next_tf_s + 1.0 / rate)
        stamp = base.stamp(make_ros_message, state.time_s)
        transforms = [
            self._transform(stamp, WORLD_FRAME, body, place.tolist(), quat.tolist())
            for body, (place, quat) in twin.body_poses(state).items()
        ]
        if state.ground is not None:
            # at the wrenches' own instant; a foot in the air leaves its frame where it stood
            then = base.stamp(make_ros_message, state.ground.time_s)
            transforms += [
                self._transform(then, WORLD_FRAME, pressure_frame(side), place, [1.0, 0.0, 0.0, 0.0])
                for side, place in self._stood.items()
            ]
        self._transforms.publish(make_ros_message(TF.type_name, transforms=transforms))

    def _transform(self, stamp: Any, parent: str, child: str, place: list[float], quat_wxyz: list[float]) -> Any:
        (x, y, z), (qw, qx, qy, qz) = place, quat_wxyz
        prefix = self._display.frame_prefix
        return make_ros_message(
            "geometry_msgs/msg/TransformStamped",
            header=make_ros_message("std_msgs/msg/Header", stamp=stamp, frame_id=prefix + parent),
            child_frame_id=prefix + child,
            transform=make_ros_message(
                "geometry_msgs/msg/Transform",
                translation=make_ros_message("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
                rotation=make_ros_message("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
            ),
        )

    def _static_transforms(self) -> Any:
        """Links that no pose is published for: the root, and those between the axes of a joint."""
        stamp = make_stamp(make_ros_message, 0)
        ties = [(WORLD_FRAME, ROOT_LINK), *((body, link) for link, body in self._description.bare_links.items())]
        still = ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])
        return make_ros_message(
            TF_STATIC.type_name, transforms=[self._transform(stamp, parent, child, *still) for parent, child in ties]
        )

    def report(self) -> tuple[list[str], Mapping[str, Any]]:
        """Quality, and how well each sensor fits."""
        state = self._state
        if state is None:
            return [], {}
        values: dict[str, Any] = {"quality": state.quality}
        for sensor, residual in zip(state.sensors, np.degrees(state.residuals_rad), strict=True):
            values[f"{sensor} residual"] = f"{residual:.2f} deg"
        if state.ground is not None:
            values["confidence of forces"] = f"{state.ground.confidence:.2f}"
        found = self._twin.findings if self._twin else ()
        sentences = dict.fromkeys((state.message, *found, self._about_plates(state)))
        return [sentence for sentence in sentences if sentence], values

    def _about_plates(self, state: TwinState) -> str:
        twin = self._twin
        if twin is None or not twin.plates.used:
            return ""
        if self._predicted_s is not None and state.time_s - self._predicted_s > PLATES_SILENT_S:
            late = f"Nothing from the plates for {state.time_s - self._predicted_s:.1f} s, or too late"
            return twin.plates.message or f"{late}: ground reactions are predicted."
        return ""


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(TwinNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
