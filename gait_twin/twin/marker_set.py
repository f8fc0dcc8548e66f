"""Markers of the default model: a Helen Hayes set (Kadaba et al. 1990, J Orthop Res 8:383-392).

Names are those of OpenSim's gait2354 example. Places are where these landmarks and wands usually are; a static
trial moves them to where they were on the person.
"""

from __future__ import annotations

from gait_twin.twin.opensim_api import opensim

_MIDDLE = {
    "V.Sacral": ("pelvis", (-0.092, 0.010, 0.0)),
    "Sternum": ("torso", (0.060, 0.170, 0.0)),
    "Top.Head": ("torso", (0.0, 0.412, 0.0)),
}
_RIGHT = {
    "ASIS": ("pelvis", (0.006, 0.0, 0.069)),
    "Acromium": ("torso", (-0.010, 0.242, 0.110)),
    "Thigh.Upper": ("femur", (0.010, -0.110, 0.045)),
    "Thigh.Front": ("femur", (0.048, -0.140, 0.003)),
    "Thigh.Rear": ("femur", (0.005, -0.170, 0.042)),
    "Knee.Lat": ("femur", (0.0, -0.245, 0.031)),
    "Knee.Med": ("femur", (0.0, -0.245, -0.031)),
    "Shank.Upper": ("tibia", (0.003, -0.040, 0.034)),
    "Shank.Front": ("tibia", (0.030, -0.050, 0.0)),
    "Shank.Rear": ("tibia", (0.010, -0.080, 0.033)),
    "Ankle.Lat": ("tibia", (-0.004, -0.249, 0.024)),
    "Ankle.Med": ("tibia", (0.003, -0.242, -0.021)),
    "Heel": ("calcn", (-0.006, 0.018, 0.0)),
    "Midfoot.Sup": ("calcn", (0.078, 0.034, -0.012)),
    "Midfoot.Lat": ("calcn", (0.066, 0.012, 0.024)),
    "Toe.Lat": ("calcn", (0.105, 0.010, 0.031)),
    "Toe.Med": ("calcn", (0.110, 0.012, -0.024)),
    "Toe.Tip": ("calcn", (0.157, 0.008, 0.0)),
}
"""Body, and place on it in fractions of body height (x forward, y up, z outwards)."""

MEASUREMENTS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "torso": (
        ("torso", *(f"{arm}_{side}" for arm in ("humerus", "ulna", "radius", "hand") for side in "rl")),
        (("V.Sacral", "Top.Head"), ("V.Sacral", "R.Acromium"), ("V.Sacral", "L.Acromium")),
    ),
    "pelvis": (("pelvis",), (("R.ASIS", "L.ASIS"),)),
    "thigh": (
        ("femur_r", "femur_l", "patella_r", "patella_l"),
        (("R.ASIS", "R.Knee.Lat"), ("L.ASIS", "L.Knee.Lat")),
    ),
    "shank": (
        ("tibia_r", "tibia_l", "talus_r", "talus_l"),
        (("R.Knee.Lat", "R.Ankle.Lat"), ("L.Knee.Lat", "L.Ankle.Lat")),
    ),
    "foot": (("calcn_r", "calcn_l", "toes_r", "toes_l"), (("R.Heel", "R.Toe.Tip"), ("L.Heel", "L.Toe.Tip"))),
}
"""Bodies that are scaled alike where the model has them, and the pairs of markers whose distances tell by how much."""


def add_markers(model: opensim.Model, height_m: float) -> None:
    """Put the set on a model with the default model's bodies."""
    places = {name: (body, place) for name, (body, place) in _MIDDLE.items()}
    for name, (stem, (x, y, z)) in _RIGHT.items():
        sided = stem not in ("pelvis", "torso")
        for side, sign in (("R", 1.0), ("L", -1.0)):
            places[f"{side}.{name}"] = (f"{stem}_{side.lower()}" if sided else stem, (x, y, sign * z))
    for name, (body, place) in places.items():
        location = opensim.Vec3(*(height_m * value for value in place))
        model.addMarker(opensim.Marker(name, model.getBodySet().get(body), location))
