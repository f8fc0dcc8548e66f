"""A user's OpenSim model: load it, find its bodies, and where its feet meet the ground."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS
from gait_twin.twin.opensim_api import opensim

FloatArray = NDArray[np.float64]

ALIASES = {
    "torso": ("thorax", "trunk"),
    "femur": ("thigh",),
    "tibia": ("shank",),
    "calcn": ("foot", "calcaneus"),
}
"""Other body names in published models."""


def load_model(path: str | Path) -> opensim.Model:
    """A user's model for kinematics: as in the file, without its muscles.

    Parameters
    ----------
    path
        An ``.osim`` file. Meshes that it names need not be there.

    Returns
    -------
    opensim.Model
        Connected, without muscles; ``initSystem`` is the caller's.

    Raises
    ------
    InputError
        No such file, not XML, not an OpenSim model, or a model that OpenSim cannot set up.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no model file {path}; give the path of an .osim file.")
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not an OpenSim model: it is not XML ({error}).") from None
    if root.tag != "OpenSimDocument" or root.find("Model") is None:
        raise InputError(
            f"{path} is not an OpenSim model: it holds <{root.tag}>, not <OpenSimDocument> with a <Model>."
        )
    try:
        processor = opensim.ModelProcessor(str(path))
        processor.append(opensim.ModOpRemoveMuscles())
        model = processor.process()
        model.finalizeConnections()
        model.initSystem()
    except RuntimeError as error:
        reason = " ".join(str(error).split("Thrown at")[0].split())
        raise InputError(f"OpenSim cannot set up the model {path}: {reason}") from None
    return model


def model_xml(model: opensim.Model) -> str:
    """A model as the text of an ``.osim`` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.osim"
        model.printToXML(str(path))
        return path.read_text(encoding="utf-8")


def map_segments(
    model: opensim.Model, segments: Iterable[str], names: Iterable[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Bodies of a model that carry the named segments.

    Parameters
    ----------
    model
        Any model.
    segments
        Segment names, of `SEGMENTS`.
    names
        ``"segment=body"`` for models with other body names.

    Returns
    -------
    bodies : dict
        Body of each segment that was found.
    notices : list of str
        A sentence for each that was not.

    Raises
    ------
    InputError
        An entry of `names` that is malformed, or names a segment or body that does not exist.
    """
    body_set = model.getBodySet()
    available = [body_set.get(i).getName() for i in range(body_set.getSize())]
    lookup = {name.lower(): name for name in available}
    given: dict[str, str] = {}
    for entry in names:
        segment, _, name = (part.strip() for part in entry.partition("="))
        if segment not in SEGMENTS:
            raise InputError(f"Body name {entry!r}: {segment!r} is not a segment; choose one of {', '.join(SEGMENTS)}.")
        if name not in available:
            raise InputError(f"Body name {entry!r}: the model has no body {name!r}; it has {', '.join(available)}.")
        given[segment] = name
    bodies: dict[str, str] = {}
    notices: list[str] = []
    for segment in segments:
        stem, _, side = segment.partition("_")
        aliases = [f"{alias}_{side}" if side else alias for alias in (stem, *ALIASES.get(stem, ()))]
        found = given.get(segment) or next((lookup[a] for a in aliases if a in lookup), None)
        if found:
            bodies[segment] = found
        else:
            notices.append(
                f"The model has no body for the sensor on {segment}, which is not used; name one with {segment}=BODY "
                f"out of {', '.join(available)}."
            )
    return bodies, notices


@dataclass(frozen=True, slots=True)
class Sole:
    """Contact of a foot with the ground.

    Attributes
    ----------
    body
        Name of the foot's body.
    points
        (2, 3) heel and ball on the sole, in the body's axes, m.
    """

    body: str
    points: FloatArray


def sole_points(model: opensim.Model, *feet: str | None) -> list[Sole]:
    """Heel and ball of each foot: where it meets the ground when the model stands in its default pose.

    The heel is below the foot body's origin, which published models put at the back of the heel; the ball
    is below the toe joint, or, in a model without one, 18 cm ahead. Both are on the level of the sole of
    the default model; in any other one a common distance below would only move the ground.
    """
    if None in feet:
        return []
    soles = []
    joints = [model.getJointSet().get(i) for i in range(model.getJointSet().getSize())]
    for foot in feet:
        ball = np.array([0.18, 0.0, 0.0])
        for joint in joints:
            parent = joint.getParentFrame()
            if parent.findBaseFrame().getName() == foot:
                transform = parent.findTransformInBaseFrame()  # owns what p() refers to
                ball = transform.p().to_numpy()
        soles.append(Sole(str(foot), np.array([[0.0, 0.0, 0.0], [ball[0], 0.0, ball[2]]])))
    return soles
