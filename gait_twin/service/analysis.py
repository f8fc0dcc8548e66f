"""From a recording to everything that is known of the walk, through the classes that the nodes run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gait_twin.classification import ClassifierSettings, GaitClassifier, of_subject
from gait_twin.errors import InputError
from gait_twin.events import DetectorSettings, EventDetector
from gait_twin.recording import (
    BodyFrames,
    FootPose,
    GaitEvent,
    JointTrajectory,
    Recording,
    Side,
    Step,
    Stride,
    TwinState,
)
from gait_twin.recording.axes import ros_to_opensim
from gait_twin.sensing import HubSettings, SensorHub
from gait_twin.service.feeding import Progress, blocks, push, with_mounting
from gait_twin.service.model import DEFAULT, default_model
from gait_twin.service.motion import MOTION_RATE_HZ, BodyPoses, figure
from gait_twin.service.results import (
    GROUND_REACTIONS,
    MOMENTS,
    POWERS,
    Analysis,
    SensorReport,
    foot_paths,
    force_tables,
    joint_trajectory,
    longest_run,
    mean_residuals_deg,
    twin_notices,
)
from gait_twin.steps import StepEstimator, StepSettings
from gait_twin.twin import (
    ExternalLoads,
    Frame,
    Table,
    Twin,
    TwinSettings,
    about_mass,
    build_default_model,
    confidence_table,
    inverse_dynamics,
    load_model,
    model_xml,
    registered,
)

if TYPE_CHECKING:
    import opensim

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class AnalysisSettings:
    """Settings of each room that an analysis runs through."""

    hub: HubSettings = field(default_factory=HubSettings)
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    steps: StepSettings = field(default_factory=StepSettings)
    twin: TwinSettings = field(default_factory=TwinSettings)
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)


class _Pipeline:
    """The rooms of one analysis, joined."""

    def __init__(
        self,
        recording: Recording,
        settings: AnalysisSettings,
        model: opensim.Model | None,
        loads: ExternalLoads | None,
    ) -> None:
        self.recording = recording
        self.notices: tuple[str, ...] = ()
        self.fits_legs = model is None and not settings.twin.model_path and settings.twin.fit_legs
        if model is not None:
            self.model_name = model.getName()
        elif settings.twin.model_path:
            self.model_name, model = settings.twin.model_path, load_model(settings.twin.model_path)
        else:
            self.model_name = DEFAULT
            model, self.notices = default_model(recording.subject)
        self.loads = loads
        self.about_legs = ""
        self.hub = SensorHub(tuple(recording.imus), settings.hub)
        self.detector = EventDetector(settings.detector)
        self.estimator = StepEstimator(settings.steps)
        self.twin = Twin(model, self.hub.segments, settings.twin)
        self.classifier = GaitClassifier(
            self.hub.segments, of_subject(settings.classifier, recording.subject), keep=True
        )
        self.events: list[GaitEvent] = []
        self.strides: list[Stride] = []
        self.steps: list[Step] = []
        self.poses: list[FootPose] = []
        self.states: list[TwinState] = []
        self.time_s: list[FloatArray] = []
        self.rates: dict[Side, list[FloatArray]] = {side: [] for side in Side if side.foot in self.hub.segments}
        self.bodies: list[tuple[float, BodyPoses]] = []

    def of_height(self, height_m: float) -> opensim.Model:
        """The default model of a person as heavy as this one."""
        return build_default_model(height_m, self.twin.skeleton.mass_kg)

    def take(self, frames: BodyFrames) -> None:
        if not len(frames):
            return
        events, _ = self.detector.update(frames)
        found = self.estimator.update(frames, events)
        self.events += events
        self.strides += found.strides
        self.steps += found.steps
        self.poses += found.poses
        self.detector.take_strides(found.strides)
        self.twin.take_strides(found.strides)
        states = self.twin.update(frames)
        self.classifier.update(frames, states, found.strides)
        for state in states:
            self.states.append(state)
            last_s = self.bodies[-1][0] if self.bodies else -math.inf
            if state.quality > 0 and state.time_s - last_s >= 1 / MOTION_RATE_HZ - 1e-6:
                self.bodies.append((state.time_s, self.twin.body_poses(state)))
        self.time_s.append(frames.time_s)
        for side, parts in self.rates.items():
            parts.append(np.linalg.norm(frames.gyr_radps[:, frames.segments.index(side.foot)], axis=1))

    def finish(self) -> Analysis:
        last = self.hub.flush()
        self.take(last)
        events, _ = self.detector.flush()
        found = self.estimator.flush()
        self.events += events
        self.strides += found.strides
        self.steps += found.steps
        self.poses += found.poses
        self.classifier.update(last[:0], (), found.strides)
        self.classifier.flush()
        joints = joint_trajectory(self.states)
        forces, about_forces = self._forces(joints)
        calibration = self.hub.calibration
        start_s, end_s = calibration.rest_start_s, calibration.rest_end_s
        stood = math.isfinite(start_s) and math.isfinite(end_s)
        rest = (f"Sensors aligned on quiet standing from {start_s:.2f} s to {end_s:.2f} s.",) if stood else ()
        return Analysis(
            recording=self.recording,
            events=tuple(sorted(self.events, key=lambda event: event.time_s)),
            strides=tuple(sorted(self.strides, key=lambda stride: stride.end_s)),
            steps=tuple(sorted(self.steps, key=lambda step: step.time_s)),
            time_s=np.concatenate(self.time_s) if self.time_s else np.empty(0),
            foot_rate_radps={side: np.concatenate(parts) for side, parts in self.rates.items() if parts},
            feet=foot_paths(self.poses),
            joints=joints,
            motion=figure(
                [time for time, _ in self.bodies],
                [poses for _, poses in self.bodies],
                self.recording.subject.height_m,
            ),
            forces=forces,
            confidence=confidence_table(self.states) if forces else None,
            mass_kg=self.twin.skeleton.mass_kg,
            model=self.model_name,
            osim=model_xml(self.twin.skeleton.model) if joints is not None else "",
            gait=self.classifier.walk(),
            sensors=self._sensors(),
            calibration=(*rest, *calibration.notices),
            notices=(
                *self.recording.notices,
                *(self.notices if self.twin.coordinates else ()),
                *self.twin.notices,
                *((self.about_legs,) if self.about_legs else ()),
                *(
                    about_mass(self.twin.skeleton.mass_kg, self.recording.subject.mass_kg)
                    if self.twin.coordinates
                    else ()
                ),
                *twin_notices(self.states),
                *about_forces,
            ),
            losses=(*self.recording.losses, *self._losses()),
        )

    def _forces(self, joints: JointTrajectory | None) -> tuple[dict[str, Table], tuple[str, ...]]:
        """Tables by file name, and sentences on where they come from."""
        tables = force_tables(self.states, self.twin.skeleton)
        plates = (self.twin.plates.message,) if self.twin.plates.message else ()
        if self.loads is None or joints is None:
            return tables, plates
        if not tables:
            raise InputError(
                "Measured ground reactions need the twin's contacts, and it has no forces: both thighs, shanks and "
                "feet and the pelvis have to wear sensors."
            )
        grounds = [state.ground for state in self.states if state.ground is not None]
        force, point = (
            ros_to_opensim([getattr(ground, name)[::-1] for ground in grounds])
            for name in ("force_n", "center_of_pressure_m")
        )
        loads, notice = registered(self.loads, np.array([ground.time_s for ground in grounds]), force, point)
        skeleton = self.twin.skeleton
        motion = longest_run(Table(joints.time_s, joints.coordinates, joints.positions))
        moments, powers = inverse_dynamics(skeleton, motion, loads)
        return {MOMENTS: moments, POWERS: powers, GROUND_REACTIONS: loads.table()}, (*plates, notice)

    def _sensors(self) -> dict[str, SensorReport]:
        residuals = mean_residuals_deg(self.states)
        reports = {}
        for segment, report in self.hub.reports.items():
            counts = dataclasses.asdict(report)
            rate = float(counts.pop("rate_hz"))
            reports[segment] = SensorReport(rate, counts, residuals.get(segment, math.nan))
        return reports

    def _losses(self) -> Iterator[str]:
        """Sentences on samples that the hub could not use."""
        reasons = (
            ("invalid", "values were not numbers, or impossible"),
            ("disordered", "their time had been passed"),
            ("off_clock", "their time did not fit the other sensors'"),
        )
        for segment, report in self.hub.reports.items():
            for counter, reason in reasons:
                if count := getattr(report, counter):
                    yield f"{count} of {report.received} samples of {segment} were left out: {reason}."


def analyze(
    recording: Recording,
    settings: AnalysisSettings | None = None,
    model: opensim.Model | None = None,
    progress: Progress | None = None,
    *,
    ground_reactions: ExternalLoads | None = None,
    plates: Iterable[tuple[Side, float, FloatArray, Frame]] = (),
) -> Analysis:
    """Run a recording through the classes that the nodes run, in blocks.

    Parameters
    ----------
    recording
        What was measured.
    settings
        Settings of the rooms; their defaults when None.
    model
        OpenSim model of the person; None takes that of ``settings.twin.model_path``, or builds the default one of
        the subject's height and mass.
    progress
        Told the fraction done.
    ground_reactions
        Measured on right and left foot, on the recording's clock. Moments are then those that OpenSim's inverse
        dynamics tool finds for the twin's motion and them, low-passed forth and back at 6 Hz.
    plates
        What plates or insoles sent live, by time, as `Plates.push` takes it; used as the twin's node does.

    Returns
    -------
    Analysis
        With `joints` and `motion` None where the sensors are too few for a twin; a notice says so.

    Raises
    ------
    InputError
        When there is no sensor, or the model or a setting cannot be used.
    """
    if not any(len(stream.time_s) for stream in recording.imus.values()):
        raise InputError("The recording has no samples; record again, or give another one.")
    chosen = settings or AnalysisSettings()
    hub = with_mounting(recording, chosen.hub, progress and (lambda done: progress(0.3 * done)))
    chosen = dataclasses.replace(chosen, hub=hub)
    measured = tuple(plates)
    pipeline = _Pipeline(recording, chosen, model, ground_reactions)
    share = 0.4 if pipeline.fits_legs else 0.7
    analysis = _run(pipeline, measured, progress and (lambda done: progress(0.3 + share * done)))
    legs = pipeline.twin.legs
    if not pipeline.fits_legs or legs is None or not legs.significant:
        if progress:
            progress(1.0)
        return analysis
    # nothing but the model changes: the same frames, events and strides come again
    again = _Pipeline(recording, chosen, pipeline.of_height(legs.height_m), ground_reactions)
    again.model_name, again.notices = pipeline.model_name, pipeline.notices
    again.about_legs = (
        f"{legs.sentence().split(':')[0]}: this analysis was made with the model of {legs.height_m:.2f} m "
        f"(legs {100.0 * (legs.factor - 1.0):+.1f} %, give or take {100.0 * legs.sd:.1f} %)."
    )
    return _run(again, measured, progress and (lambda done: progress(0.3 + share + (0.7 - share) * done)))


def _run(
    pipeline: _Pipeline, plates: Iterable[tuple[Side, float, FloatArray, Frame]], progress: Progress | None
) -> Analysis:
    """Everything of a recording through the rooms, in blocks."""
    recording = pipeline.recording
    measured = iter(plates)
    waiting = next(measured, None)
    for end_s, rows in blocks(recording):
        push(pipeline.hub, recording, rows)
        while waiting is not None and waiting[1] <= end_s + 1.0:
            pipeline.twin.plates.push(*waiting)
            waiting = next(measured, None)
        pipeline.take(pipeline.hub.poll())
        if progress:
            progress(min(1.0, end_s / max(recording.duration_s, 1e-9)))
    return pipeline.finish()
