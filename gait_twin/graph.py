"""The graph: which nodes, with which parameters, for which purpose. Launch files and `run_graph` both start this."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gait_twin.errors import InputError
from gait_twin.recording import SEGMENTS, Subject, open_bag
from gait_twin.recording.messages import from_subject
from gait_twin.recording.persistence import choose_topics
from gait_twin.sensing import read_body

MODES = ("live", "replay", "demo")
ROOMS = ("sensor_hub", "event_detector", "step_estimator", "twin", "classifier")
RECORDER = "recorder"
DRIVER = "imu_driver"
SOURCES = {"replay": "replay", "demo": "virtual_subject"}
DEFAULT_MODEL = "default"
"""Name of the model that is built from height and mass."""
DEFAULT_HEIGHT_M = 1.75
PLAYED_WAIT_S = 2.0
"""How long the hub waits for a sensor in a graph that plays: longer than a busy machine takes to deliver, s of data."""


@dataclass(frozen=True)
class GraphOptions:
    """What can be chosen of a graph.

    Attributes
    ----------
    namespace
        Namespace of the subject, as ``subject_1``; empty for none.
    body
        body.yaml: who, and which device is on which segment (live). None: the one in config/.
    bag
        Bag to play (replay).
    subject
        Namespace of the person in that bag, where it holds several.
    rate
        Multiple of real time; 0: as fast as the graph follows (replay, demo).
    record
        Folder of the bag to make; None: none is made.
    model_path
        OpenSim model; empty: the default one, of the person's height and mass.
    duration_s
        How long the virtual subject walks, s (demo).
    seed
        Seed of the virtual subject (demo).
    extra_topics
        Topics of others to record, each with its type.
    parameters
        For a node's name, parameters that go over everything else.
    """

    namespace: str = ""
    body: Path | None = None
    bag: Path | None = None
    subject: str | None = None
    rate: float = 1.0
    record: Path | None = None
    model_path: str = ""
    duration_s: float = 60.0
    seed: int = 7
    extra_topics: tuple[str, ...] = ()
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeDescription:
    """One node to start.

    Attributes
    ----------
    name
        Name of the node and of its executable, a module of `gait_twin.nodes`.
    parameters
        Parameters that differ from config/<name>.yaml.
    remappings
        Topics under another name.
    is_source
        Ends by itself when everything is played; is not started again.
    """

    name: str
    parameters: dict[str, Any]
    remappings: dict[str, str] = field(default_factory=dict)
    is_source: bool = False

    @property
    def config(self) -> Path:
        """The node's YAML with all parameters."""
        return config_dir() / f"{self.name}.yaml"


@dataclass(frozen=True)
class GraphDescription:
    """Nodes of a graph, a source last.

    Attributes
    ----------
    namespace
        With a slash before it; ``/`` for none.
    notices
        Sentences for the person who starts it.
    """

    mode: str
    namespace: str
    nodes: tuple[NodeDescription, ...]
    notices: tuple[str, ...] = ()


def describe(mode: str, options: GraphOptions | None = None) -> GraphDescription:
    """Describe the graph of a mode.

    Raises
    ------
    InputError
        On an unknown mode, a body.yaml or a bag that cannot be used.
    """
    options = options or GraphOptions()
    if mode not in MODES:
        raise InputError(f"There is no mode {mode!r}; choose one of {', '.join(MODES)}.")
    notices: list[str] = []
    remappings: dict[str, str] = {}
    hub: dict[str, Any] = {}
    source: dict[str, Any] = {}
    driver: dict[str, Any] = {}
    if mode == "live":
        body = read_body(options.body or config_dir() / "body.yaml")
        subject, segments, hub = body.subject, tuple(body.imus), body.hub_parameters
        remappings = {f"imu/{s}/data_raw": topic for s, topic in body.imus.items() if topic != f"imu/{s}/data_raw"}
        remappings |= {f"imu/{s}/mag": topic for s, topic in body.mags.items() if topic != f"imu/{s}/mag"}
        if body.devices:
            driver = {"body": str((options.body or config_dir() / "body.yaml").absolute())}
    elif mode == "replay":
        if options.bag is None:
            raise InputError("There is nothing to replay; name a bag.")
        subject, segments = _bag_content(options.bag, options.subject)
        source = {"bag": str(options.bag.absolute()), "subject": options.subject or ""}
    else:
        from gait_twin.simulation import default_demo

        walk, sensors = default_demo()
        walk = dataclasses.replace(walk, duration_s=options.duration_s, seed=options.seed)
        sensors = dataclasses.replace(sensors, seed=options.seed)
        subject, segments = Subject("virtual subject", walk.height_m, walk.mass_kg), tuple(sensors.segments)
        source = _changed("walk.", walk) | _changed("sensors.", sensors)

    # 0: not known
    height = subject.height_m if math.isfinite(subject.height_m) else 0.0
    mass = subject.mass_kg if math.isfinite(subject.mass_kg) else 0.0
    person = {"height_m": height, "mass_kg": mass}
    if not height and not options.model_path:
        notices.append(f"The person's height is not known: the twin is {DEFAULT_HEIGHT_M} m tall.")
    prefix = f"{options.namespace.strip('/')}/" if options.namespace.strip("/") else ""
    parameters: dict[str, dict[str, Any]] = {
        **({DRIVER: driver} if driver else {}),
        "sensor_hub": {"segments": list(segments)}
        | {name: list(value) if isinstance(value, tuple) else value for name, value in hub.items()},
        "event_detector": {},
        "step_estimator": {},
        "twin": {
            "model_path": str(Path(options.model_path).absolute()) if options.model_path else "",
            "height_m": height or DEFAULT_HEIGHT_M,
            "mass_kg": mass,
            "frame_prefix": prefix,
        },
        "classifier": {**person},
    }
    if options.record is not None:
        parameters[RECORDER] = {
            "bag": str(options.record.absolute()),
            "segments": list(segments),
            **({"extra_topics": list(options.extra_topics)} if options.extra_topics else {}),
            "subject_name": subject.name,
            "model": parameters["twin"]["model_path"] or DEFAULT_MODEL,
            **person,
        }
    played = mode in SOURCES
    if played:
        # samples of one instant come within the source's lead: waiting costs nothing, not waiting loses them
        parameters["sensor_hub"]["max_wait_s"] = PLAYED_WAIT_S
        parameters[SOURCES[mode]] = {
            **source,
            "rate": float(options.rate),
            "wait_for": list(parameters),
            "hub_wait_s": PLAYED_WAIT_S,
        }
    unknown = [name for name in options.parameters if name not in parameters]
    if unknown:
        raise InputError(f"There is no node {unknown[0]!r} in this graph; it has {', '.join(parameters)}.")
    nodes = []
    for name, own in parameters.items():
        is_source = played and name == SOURCES[mode]
        # a source gives the time; it must not wait for its own clock
        shared = {"lossless": played, "use_sim_time": played and not is_source}
        takes_samples = name in ("sensor_hub", RECORDER)
        nodes.append(
            NodeDescription(
                name,
                {**shared, **own, **options.parameters.get(name, {})},
                remappings if takes_samples else {},
                is_source,
            )
        )
    return GraphDescription(mode, f"/{prefix.rstrip('/')}", tuple(nodes), tuple(notices))


def config_dir() -> Path:
    """Folder of the YAML files: of the checkout, else where they were installed.

    Raises
    ------
    InputError
        If it is nowhere.
    """
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    candidates = [
        Path(__file__).resolve().parent.parent / "config",
        *(Path(prefix) / "share" / "gait_twin" / "config" for prefix in prefixes if prefix),
    ]
    for folder in candidates:
        if (folder / "sensor_hub.yaml").is_file():
            return folder
    raise InputError(f"config/ is in none of {', '.join(map(str, candidates))}; install gait_twin anew.")


def _bag_content(path: Path, name: str | None) -> tuple[Subject, tuple[str, ...]]:
    with open_bag(path) as bag:
        namespace, imus = choose_topics(bag, name, None)
        who = next(bag.messages([f"{namespace}/subject"]), None)
        subject = from_subject(bag.decode(who)) if who is not None else Subject()
    return subject, tuple(segment for segment in SEGMENTS if segment in imus)


def _changed(prefix: str, settings: Any) -> dict[str, Any]:
    """Settings that differ from their defaults, as parameters."""
    values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    return {
        prefix + f.name: list(values[f.name]) if isinstance(values[f.name], tuple) else values[f.name]
        for f in dataclasses.fields(settings)
        if values[f.name] != f.default
    }
