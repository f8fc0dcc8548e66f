"""Fitting a model to a person: by a static marker trial, or by measured segment lengths.

By height and mass alone, `build_default_model` builds one. OpenSim's own scaling does the work; masses are
scaled so that they add up to the person's.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from gait_twin.errors import InputError
from gait_twin.twin.marker_set import MEASUREMENTS
from gait_twin.twin.model import load_model, map_segments
from gait_twin.twin.opensim_api import opensim
from gait_twin.twin.skeleton import Skeleton
from gait_twin.twin.storage import read_markers

SHORTEST_M = 0.005
"""A shorter distance tells no factor."""
SMALLEST, LARGEST = 0.3, 3.0
"""Scale factors beyond these come from mixed-up units or markers."""


def scale_by_setup(setup: str | Path) -> opensim.Model:
    """Run a setup of OpenSim's ScaleTool, markers placed, muscles removed.

    Parameters
    ----------
    setup
        The XML file; paths in it count from its folder.

    Raises
    ------
    InputError
        Not such a file, or OpenSim cannot carry it out.
    """
    setup = Path(setup)
    try:
        known = ElementTree.parse(setup).getroot().find("ScaleTool") is not None
    except (OSError, ElementTree.ParseError, UnicodeDecodeError):
        known = False
    if not known:
        raise InputError(f"{setup} is not a setup file of OpenSim's ScaleTool; give one.")
    try:
        tool = opensim.ScaleTool(str(setup.resolve()))
        model = _run(tool, f"{setup.resolve().parent}/", tool.createModel())
    except RuntimeError as error:
        reason = " ".join(str(error).split("Thrown at")[0].split())
        raise InputError(f"OpenSim cannot scale by {setup}: {reason}") from None
    return _without_muscles(model)


def scale_by_markers(
    model: opensim.Model, static: str | Path, mass_kg: float, measurements: Mapping[str, tuple] | None = None
) -> opensim.Model:
    """Scale a model to the markers of a person who stands still, and place its markers where they were.

    Parameters
    ----------
    model
        A model with markers, as the default one; it stays as it is.
    static
        The ``.trc``; all of it is averaged.
    mass_kg
        Mass of the person, kg.
    measurements
        Bodies to scale alike, and pairs of markers whose distances tell by how much, each under a name;
        those of the default model's markers unless given.

    Returns
    -------
    opensim.Model
        Connected, with all joints of the pose in which the person stood.

    Raises
    ------
    InputError
        A file that cannot be read; a measurement none of whose pairs was measured; factors of no person.
    """
    markers = read_markers(static)
    _check_mass(mass_kg)
    measured = {n for i, n in enumerate(markers.names) if np.isfinite(markers.positions_m[:, i]).all(axis=1).any()}
    present = {model.getMarkerSet().get(i).getName() for i in range(model.getMarkerSet().getSize())}
    bodies_of = {model.getBodySet().get(i).getName() for i in range(model.getBodySet().getSize())}
    tool = opensim.ScaleTool()
    tool.setSubjectMass(mass_kg)
    scaler, placer = tool.getModelScaler(), tool.getMarkerPlacer()
    kept = []
    for name, (bodies, pairs) in (measurements or MEASUREMENTS).items():
        usable = [pair for pair in pairs if set(pair) <= measured & present]
        if not usable:
            wanted = " or ".join(" and ".join(pair) for pair in pairs)
            raise InputError(f"{static} does not tell the size of {name}: measure {wanted}.")
        kept.append(_measurement(name, [body for body in bodies if body in bodies_of], usable))
        scaler.getMeasurementSet().cloneAndAppend(kept[-1])
    order = opensim.ArrayStr()
    order.append("measurements")
    scaler.setScalingOrder(order)
    scaler.setPreserveMassDist(True)
    time_range = opensim.ArrayDouble()
    for t in (markers.time_s[0], markers.time_s[-1]):
        time_range.append(float(t))
    for part in (scaler, placer):
        part.setMarkerFileName(str(Path(static).resolve()))
        part.setTimeRange(time_range)
    tasks = placer.getIKTaskSet()
    for name in sorted(measured & present):
        task = opensim.IKMarkerTask()
        task.setName(name)
        task.setWeight(1.0)
        tasks.cloneAndAppend(task)
    try:
        scaled = _run(tool, "", opensim.Model(model))
    except RuntimeError as error:
        reason = " ".join(str(error).split("Thrown at")[0].split())
        raise InputError(f"OpenSim cannot scale by {static}: {reason}") from None
    _check_factors(model, scaled)
    return scaled


def scale_by_lengths(model: opensim.Model, lengths_m: Mapping[str, float], mass_kg: float) -> opensim.Model:
    """Scale bodies to measured lengths, in all directions alike.

    Parameters
    ----------
    model
        Any model; it stays as it is.
    lengths_m
        For bodies by name: from their origin to that of the body they carry (femur: hip to knee, tibia: knee
        to ankle), m; for the pelvis, between the hips.
    mass_kg
        Mass of the person, kg.

    Raises
    ------
    InputError
        An unknown body, one whose length the model does not tell, or a length of no person.
    """
    _check_mass(mass_kg)
    scaled = opensim.Model(model)
    state = scaled.initSystem()
    scales = opensim.ScaleSet()
    for body, length in lengths_m.items():
        own = _length(scaled, body)
        if not SMALLEST < length / own < LARGEST:
            raise InputError(f"A length of {length} m for {body}, {own:.3f} m in the model, is no person's; check it.")
        scale = opensim.Scale()
        scale.setSegmentName(body)
        scale.setScaleFactors(opensim.Vec3(length / own))
        scale.setApply(True)
        scales.cloneAndAppend(scale)
    scaled.scale(state, scales, True, mass_kg)
    scaled.finalizeConnections()
    return scaled


def scale_factors(before: opensim.Model, after: opensim.Model) -> dict[str, np.ndarray]:
    """(3,) factors of each body's own axes, told by where its joints and its mass centre lie; NaN where nothing does.

    Parameters
    ----------
    before, after
        The same model before and after it was scaled.
    """
    places = [_places(model) for model in (before, after)]
    factors = {}
    for body, own in places[0].items():
        first, second = np.array(own), np.array(places[1].get(body, own))
        longest = np.abs(first).argmax(axis=0)
        far = np.abs(first).max(axis=0)
        known = far > SHORTEST_M
        ratio = second[longest, range(3)] / np.where(known, first[longest, range(3)], 1.0)
        factors[body] = np.where(known, ratio, np.nan)
    return factors


def _places(model: opensim.Model) -> dict[str, list[np.ndarray]]:
    """Points of each body that move when it is scaled, m: its mass centre, and the joints that it carries."""
    model.initSystem()
    body_set, joint_set = model.getBodySet(), model.getJointSet()
    bodies = [body_set.get(i) for i in range(body_set.getSize())]
    found = {body.getName(): [body.getMassCenter().to_numpy().copy()] for body in bodies}
    for i in range(joint_set.getSize()):
        frame = joint_set.get(i).getParentFrame()
        transform = frame.findTransformInBaseFrame()  # owns what p() refers to
        found.setdefault(frame.findBaseFrame().getName(), []).append(transform.p().to_numpy().copy())
    found.pop("ground", None)
    return found


def add_markers_of(model: opensim.Model, markers: str | Path) -> opensim.Model:
    """A copy of a model that wears OpenSim's marker set file instead of its own markers.

    Raises
    ------
    InputError
        Not such a file, or one for other bodies.
    """
    try:
        known = ElementTree.parse(markers).getroot().find("MarkerSet") is not None
    except (OSError, ElementTree.ParseError, UnicodeDecodeError):
        known = False
    if not known:
        raise InputError(f"{markers} is not a marker set of OpenSim (.xml with <MarkerSet>); give one.")
    dressed = opensim.Model(model)
    try:
        dressed.initSystem()
        dressed.updateMarkerSet(opensim.MarkerSet(str(Path(markers).resolve())))
        dressed.finalizeConnections()
        dressed.initSystem()
    except RuntimeError as error:
        reason = " ".join(str(error).split("Thrown at")[0].split())
        raise InputError(f"OpenSim cannot put {markers} on the model: {reason}") from None
    return dressed


def _run(tool: opensim.ScaleTool, folder: str, model: opensim.Model) -> opensim.Model:
    """Scale, then place the markers; nothing is written."""
    scaler, placer = tool.getModelScaler(), tool.getMarkerPlacer()
    for part in (scaler, placer):
        part.setPrintResultFiles(False)
    model.initSystem()
    if scaler.getApply() and not scaler.processModel(model, folder, tool.getSubjectMass()):
        raise RuntimeError("the scaling failed")
    if placer.getApply() and not placer.processModel(model, folder):
        raise RuntimeError("the placing of markers failed")
    model.finalizeConnections()
    return model


def _without_muscles(model: opensim.Model) -> opensim.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scaled.osim"
        model.printToXML(str(path))
        return load_model(path)


def _measurement(name: str, bodies: Iterable[str], pairs: Iterable[tuple[str, str]]) -> opensim.Measurement:
    measurement = opensim.Measurement()
    measurement.setName(name)
    measurement.setApply(True)
    axes = opensim.ArrayStr()
    for axis in "XYZ":
        axes.append(axis)
    for body in bodies:
        scale = opensim.BodyScale()
        scale.setName(body)
        scale.setAxisNames(axes)
        measurement.getBodyScaleSet().cloneAndAppend(scale)
    for first, second in pairs:
        measurement.getMarkerPairSet().cloneAndAppend(opensim.MarkerPair(first, second))
    return measurement


def _length(model: opensim.Model, body: str) -> float:
    """From a body's origin to that of the one it carries; between the origins of a pelvis' thighs, m.

    In the default pose: published knees hide the thigh's length in curves of the joint.
    """
    skeleton = Skeleton(model)
    if body not in skeleton.bodies:
        raise InputError(f"The model has no body {body!r} to scale; it has {', '.join(skeleton.bodies)}.")
    skeleton.set(skeleton.default)
    ends = [body, skeleton.child(body)]
    if body == "pelvis":
        thighs, _ = map_segments(model, ("femur_r", "femur_l"))
        ends = list(thighs.values())
    first, second = skeleton.origins(ends) if len(ends) == 2 else np.zeros((2, 3))
    length = float(np.linalg.norm(second - first))
    if length < 1e-3:
        raise InputError(f"The model does not tell the length of {body}; scale it by markers instead.")
    return length


def _check_mass(mass_kg: float) -> None:
    if not 5.0 <= mass_kg <= 300.0:
        raise InputError(f"Body mass is {mass_kg} kg; give a value from 5 to 300 kg.")


def _check_factors(before: opensim.Model, after: opensim.Model) -> None:
    for body in ("femur_r", "femur_l", "tibia_r", "tibia_l"):
        if before.getBodySet().contains(body):
            factor = _length(after, body) / _length(before, body)
            if not (math.isfinite(factor) and SMALLEST < factor < LARGEST):
                raise InputError(
                    f"The markers make {body} {factor:.2g} times the model's; check units and names of markers."
                )
