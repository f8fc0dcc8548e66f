"""``scale`` and ``mocap``: a model of the person, and what a motion laboratory measured of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gait_twin.cli.show import busy, number, out, progress, report, table, wrote
from gait_twin.errors import InputError

if TYPE_CHECKING:
    import numpy as np

RIGID = 1e-4
"""Factors of a body's axes that differ by less are one."""


def scale(
    target: Annotated[Path, typer.Argument(metavar="OUT.osim", help="Model to write.")],
    model: Annotated[
        Path | None, typer.Option("--model", help="Model to scale (.osim); without it the default one is built.")
    ] = None,
    height_m: Annotated[float | None, typer.Option("--height", help="Body height for the default model, m.")] = None,
    mass_kg: Annotated[float | None, typer.Option("--mass", help="Body mass, kg.")] = None,
    static: Annotated[Path | None, typer.Option("--static", help="Markers of a standing trial (.trc).")] = None,
    markers: Annotated[
        Path | None, typer.Option("--markers", help="Marker set (.xml) for a model without these markers.")
    ] = None,
    setup: Annotated[
        Path | None, typer.Option("--setup", help="Setup of OpenSim's ScaleTool (.xml), instead of all others.")
    ] = None,
    lengths: Annotated[
        list[str] | None,
        typer.Option(
            "--length",
            metavar="SEGMENT=M",
            help="Measured length, m: femur (hip to knee), tibia (knee to ankle), pelvis (between the hips).",
        ),
    ] = None,
) -> int:
    """Fit a model to a person: by height and mass, a standing marker trial, measured lengths, or a setup of OpenSim.

    Prints how much each body was scaled, and what it weighs; masses add up to the person's. The model is then given
    to the other commands with --model, and to the twin node as model_path.

    [bold]Examples[/bold]

      gait-twin scale me.osim --height 1.72 --mass 70.5

      gait-twin scale me.osim --static static.trc --mass 72.6 --height 1.8

      gait-twin scale me.osim --model gait2392.osim --length femur=0.43 --length tibia=0.41 --mass 70.5

      gait-twin scale me.osim --setup subject01_Setup_Scale.xml
    """
    if target.suffix != ".osim":
        raise InputError(f"{target} is to be an OpenSim model; name it with the ending .osim.")
    if target.exists():
        raise InputError(f"{target} is there already; give a new name, or remove it first.")
    with busy("Scaling"):
        before, after, title = _scaled(model, height_m, mass_kg, static, markers, setup, lengths or [])
    after.setName(target.stem)
    target.parent.mkdir(parents=True, exist_ok=True)
    after.printToXML(str(target))
    from gait_twin.twin import scale_factors

    made = table("Body", "scale factor", "mass (kg)")
    factors = scale_factors(before, after) if before is not None else {}
    bodies = [after.getBodySet().get(i) for i in range(after.getBodySet().getSize())]
    for body in bodies:
        made.add_row(body.getName(), _factor(factors.get(body.getName())), number(body.getMass(), 3))
    made.add_row("all", "", number(sum(body.getMass() for body in bodies), 3))
    out.print(f"[bold]{title}[/bold]", soft_wrap=True)
    out.print(made)
    wrote([target])
    out.print(f"[dim]next:[/dim] gait-twin analyze WALK --out RESULT --model {target}", soft_wrap=True)
    muscles = ("Muscles were left out: the twin has no use for them.",) if setup or model else ()
    return report(muscles, ())


def _scaled(
    path: Path | None,
    height_m: float | None,
    mass_kg: float | None,
    static: Path | None,
    markers: Path | None,
    setup: Path | None,
    lengths: list[str],
) -> tuple[Any, Any, str]:
    """Model before (None: it was built so) and after, and how it was scaled."""
    from gait_twin.twin import (
        add_markers_of,
        build_default_model,
        load_model,
        scale_by_lengths,
        scale_by_markers,
        scale_by_setup,
    )

    if setup is not None:
        if any(given is not None for given in (path, height_m, mass_kg, static, markers)) or lengths:
            raise InputError("--setup names everything itself; give it alone.")
        generic = setup.parent / _generic(setup)
        return (load_model(generic) if generic.is_file() else None), scale_by_setup(setup), f"By {setup.name}"
    if static is not None and lengths:
        raise InputError("--static and --length exclude each other: give one of them.")
    if mass_kg is None:
        raise InputError("The person's mass is needed: give --mass in kg.")
    if path is not None and static is None and not lengths:
        raise InputError(f"{path} cannot be scaled by height and mass alone: give --static, --length or --setup.")
    if path is None and height_m is None and static is None:
        raise InputError("The person's height is needed for the default model: give --height in m.")
    # before it takes the markers' sizes, the default model is of about the person's
    model = load_model(path) if path is not None else build_default_model(height_m or 1.75, mass_kg)
    if markers is not None:
        model = add_markers_of(model, markers)
    if static is not None:
        return model, scale_by_markers(model, static, mass_kg), f"By the markers of {static.name}"
    if lengths:
        return model, scale_by_lengths(model, _lengths(model, lengths), mass_kg), "By measured lengths"
    return None, model, f"Default model of {height_m:g} m and {mass_kg:g} kg"


def _generic(setup: Path) -> str:
    from xml.etree import ElementTree

    try:
        return (ElementTree.parse(setup).getroot().findtext(".//GenericModelMaker/model_file") or "").strip()
    except (OSError, ElementTree.ParseError, UnicodeDecodeError):
        return ""  # what is wrong with it is said by who reads it


def _lengths(model: Any, entries: list[str]) -> dict[str, float]:
    """``SEGMENT=M`` by body; a segment without its side is both."""
    from gait_twin.recording import SEGMENTS
    from gait_twin.twin import map_segments

    found: dict[str, float] = {}
    for entry in entries:
        name, _, text = (part.strip() for part in entry.partition("="))
        segments = [s for s in SEGMENTS if s == name or s.rpartition("_")[0] == name]
        try:
            length = float(text)
        except ValueError:
            length = float("nan")
        if not segments or not length > 0.0:
            raise InputError(f"--length {entry}: write SEGMENT=M, with a segment of {', '.join(SEGMENTS)}.")
        bodies, notices = map_segments(model, segments)
        if notices:
            raise InputError(notices[0])
        found |= dict.fromkeys(bodies.values(), length)
    return found


def _factor(factors: np.ndarray | None) -> str:
    if factors is None:
        return "–"
    known = factors[factors == factors]
    if len(known) and known.max() - known.min() < RIGID:
        return f"{known.mean():.4f}"
    return " ".join(number(float(value), 4) for value in factors)


def mocap(
    trial: Annotated[
        Path, typer.Argument(metavar="IN", help="Markers (.trc), or coordinates over time (.mot, .sto) of OpenSim.")
    ],
    model: Annotated[
        Path, typer.Option("--model", help="OpenSim model of the person (.osim); for a .trc, with markers.")
    ],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables; made if it is not there.")],
    tasks: Annotated[
        Path | None, typer.Option("--tasks", help="Setup of OpenSim's inverse kinematics (.xml) with the weights.")
    ] = None,
    ground_reactions: Annotated[
        Path | None,
        typer.Option("--ground-reactions", help="OpenSim's .mot, or an ExternalLoads .xml, on the trial's clock."),
    ] = None,
    cutoff_hz: Annotated[
        float, typer.Option("--cutoff", min=0.5, max=100.0, help="Low-pass of the coordinates before dynamics, Hz.")
    ] = 6.0,
) -> int:
    """Inverse kinematics and dynamics of a trial with markers and force plates, as OpenSim's tools find them.

    Writes joints.mot from markers, and moments.sto and powers.sto from measured ground reactions: what a walk with
    IMUs can be held against.

    [bold]Examples[/bold]

      gait-twin mocap walk.trc --model me.osim --ground-reactions walk_grf.mot --out result

      gait-twin mocap reference_ik.mot --model me.osim --ground-reactions walk_grf.xml --out result
    """
    import numpy as np

    from gait_twin.twin import (
        MarkerKinematics,
        Skeleton,
        Table,
        inverse_dynamics,
        load_model,
        read_ground_reactions,
        read_marker_tasks,
        read_markers,
        read_table,
        write_table,
    )

    skeleton = Skeleton(load_model(model))
    loads = read_ground_reactions(ground_reactions) if ground_reactions else None
    files: dict[str, Table] = {}
    if trial.suffix.lower() == ".trc":
        markers = read_markers(trial)
        wanted = read_marker_tasks(tasks) if tasks else None
        kinematics = MarkerKinematics(skeleton, list(markers.names), wanted)
        used = [wanted is None or wanted.markers.get(name, 0.0) > 0.0 for name in markers.names]
        values, residuals = [], []
        with progress("Fitting markers") as update:
            for i, places in enumerate(markers.positions_m):
                solution = kinematics.solve(places)
                values.append(solution.values)
                residuals.append(solution.residuals_m[used])
                update((i + 1) / len(markers.time_s))
        shown = np.where(skeleton.rotational, np.degrees(values), values)
        motion = Table(markers.time_s, skeleton.coordinates, shown, in_degrees=True)
        files["joints.mot"] = motion
        rms = 1000.0 * np.sqrt(np.nanmean(np.square(residuals), axis=1))
        out.print(f"{len(rms)} frames; markers are {rms.mean():.1f} mm off the model (RMS), {rms.max():.1f} at worst")
    else:
        motion = read_table(trial)
        if not set(motion.columns) & set(skeleton.coordinates):
            raise InputError(f"{trial} has none of the model's coordinates: {', '.join(skeleton.coordinates)}.")
    if loads is not None:
        with busy("Inverse dynamics"):
            moments, powers = inverse_dynamics(skeleton, motion, loads, cutoff_hz)
        files |= {"moments.sto": moments, "powers.sto": powers}
    if not files:
        raise InputError("There is nothing to do: give markers (.trc), or --ground-reactions, or both.")
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_table(out_dir / name, content, Path(name).stem)
    wrote(out_dir / name for name in files)
    return report(skeleton.notices, ())
