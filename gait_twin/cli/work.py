"""``analyze`` and ``simulate``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from gait_twin.cli.chosen import SetOption, choose, list_option
from gait_twin.cli.recordings import (
    HeightOption,
    ImporterOption,
    MassOption,
    OptionsOption,
    SubjectOption,
    TopicOption,
    is_bag,
    read,
    with_subject,
)
from gait_twin.cli.show import busy, comparison_tables, out, parameters_table, progress, report, wrote
from gait_twin.errors import InputError

ModelOption = Annotated[
    Path | None,
    typer.Option("--model", help="Your own OpenSim model (.osim); without it one of the subject's size is built."),
]


def _rooms() -> dict[str, Any]:
    from gait_twin.service import AnalysisSettings

    settings = AnalysisSettings()
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}


def _virtual_subject() -> dict[str, Any]:
    from gait_twin.simulation import default_demo

    return dict(zip(("walk", "sensors"), default_demo(), strict=True))


def analyze(
    recording: Annotated[Path, typer.Argument(metavar="IN", help="A bag, a recording.yaml, or a device's export.")],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made if it is not there.")],
    importer: ImporterOption = "auto",
    model: ModelOption = None,
    height_m: HeightOption = None,
    mass_kg: MassOption = None,
    options: OptionsOption = None,
    subject: SubjectOption = None,
    topics: TopicOption = None,
    ground_reactions: Annotated[
        Path | None,
        typer.Option("--ground-reactions", help="Measured ground reactions: OpenSim's .mot, or an ExternalLoads .xml."),
    ] = None,
    ground_start_s: Annotated[
        float,
        typer.Option("--ground-reactions-start", help="Time of their 0 s on the recording's clock, s."),
    ] = 0.0,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the pictures and the page.")] = True,
    settings: SetOption = None,
    listed: Annotated[bool, list_option(_rooms)] = False,
) -> int:
    """Find events, strides, steps, joint angles, moments and ground reactions in a recording.

    The same code runs as in the live nodes. Writes events.csv, strides.csv, steps.csv, curves over the gait cycle
    (cycles.csv), OpenSim's tables (joints.mot, moments.sto, powers.sto, ground_reactions.mot), summary.json,
    pictures, and report.html: one page with the moving twin that opens anywhere, offline. Without measured ground
    reactions they are predicted.

    [bold]Examples[/bold]

      gait-twin analyze walk --out result

      gait-twin analyze recording.yaml --out result --height 1.72 --mass 70.5

      gait-twin analyze walk --out result --model Rajagopal2016.osim --set hub.mounting=pelvis=z

      gait-twin analyze walk --out result --model me.osim --ground-reactions plates.mot

      gait-twin analyze lab_bag --out result --topic pelvis=/imu0 --topic calcn_r=/imu1 --topic calcn_l=/imu2
    """
    del listed
    if out_dir.exists() and not out_dir.is_dir():
        raise InputError(f"{out_dir} is a file; give --out a folder.")
    with busy(f"Reading {recording}"):
        source = with_subject(read(recording, importer, options, subject, topics), height_m, mass_kg)
        plates = [] if topics else _plates(recording, importer, subject)
    with busy("Loading"):
        from gait_twin import service
        from gait_twin.twin import read_ground_reactions

        measured = read_ground_reactions(ground_reactions, ground_start_s) if ground_reactions else None
    given = [f"twin.model_path={model}"] if model is not None else []
    rooms = service.AnalysisSettings(**choose(_rooms(), [*(settings or ()), *given], {}))
    with progress("Walking through") as update:
        analysis = service.analyze(source, rooms, progress=update, ground_reactions=measured, plates=plates)
    with progress("Writing") as update:
        paths = service.write(analysis, out_dir, pictures=plots, progress=update)
    out.print(parameters_table(analysis))
    for made in comparison_tables(service.compare(analysis)):
        out.print()
        out.print(made)
    out.print()
    wrote(paths)
    return report(analysis.notices, analysis.losses)


def _plates(path: Path, importer: str, subject: str | None) -> list[Any]:
    """What plates or insoles sent into a bag, as `service.analyze` takes it."""
    if not is_bag(path, importer):
        return []
    from gait_twin.recording import read_plates
    from gait_twin.twin import Frame

    found = read_plates(path.parent if path.name == "metadata.yaml" else path, subject)
    return [(side, time_s, wrench, Frame.of(frame_id, side)) for side, time_s, frame_id, wrench in found]


def simulate(
    bag: Annotated[Path, typer.Argument(metavar="OUT", help="Bag to write (a new folder).")],
    duration_s: Annotated[float | None, typer.Option("--duration", help="Length of the recording, s.")] = None,
    speed_mps: Annotated[float | None, typer.Option("--speed", help="Walking speed on the straight, m/s.")] = None,
    cadence_spm: Annotated[float | None, typer.Option("--cadence", help="Cadence on the straight, steps/min.")] = None,
    height_m: Annotated[float | None, typer.Option("--height", help="Body height, m.")] = None,
    mass_kg: Annotated[float | None, typer.Option("--mass", help="Body mass, kg.")] = None,
    asymmetry: Annotated[
        float | None,
        typer.Option("--asymmetry", help="(right - left) step length over their mean, e.g. 0.1."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            help="Gait pattern: crouch, stiff_knee, drop_foot, circumduction, antalgic, trendelenburg, shuffling or "
            "toe_walking.",
        ),
    ] = None,
    severity: Annotated[
        float | None, typer.Option("--severity", help="Of the pattern, 0 (the mildest of its name) to 1 (severe).")
    ] = None,
    affected_side: Annotated[
        str | None, typer.Option("--side", help="Affected leg: left, right, both, or usual for the pattern.")
    ] = None,
    segments: Annotated[
        str | None,
        typer.Option("--segments", help="Segments that wear a sensor, e.g. pelvis,calcn_l,calcn_r."),
    ] = None,
    rate_hz: Annotated[float | None, typer.Option("--rate", help="Sampling rate of the sensors, Hz.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    perfect: Annotated[bool, typer.Option("--perfect", help="Perfect sensors instead of everyday ones.")] = False,
    settings: SetOption = None,
    listed: Annotated[bool, list_option(_virtual_subject)] = False,
) -> int:
    """Let a virtual subject walk and write what its sensors measure.

    The bag carries the truth (events, strides, steps, joint angles) along.

    [bold]Examples[/bold]

      gait-twin simulate walk

      gait-twin simulate slow --speed 0.7 --asymmetry 0.15 --duration 120

      gait-twin simulate stiff --pattern stiff_knee --severity 0.8 --side left

      gait-twin simulate feet --segments calcn_l,calcn_r --rate 200 --set packet_loss=0.05
    """
    from gait_twin.simulation import SensorSettings, WalkSettings
    from gait_twin.simulation import simulate as walk_virtually

    del listed
    if bag.exists():
        raise InputError(f"{bag} is there already; give a new name, or remove it first.")
    start = {"walk": WalkSettings(), "sensors": SensorSettings()} if perfect else _virtual_subject()
    chosen: dict[str, Any] = {
        "duration_s": duration_s,
        "speed_mps": speed_mps,
        "cadence_spm": cadence_spm,
        "height_m": height_m,
        "mass_kg": mass_kg,
        "length_asymmetry": asymmetry,
        "pattern": pattern,
        "severity": severity,
        "affected_side": affected_side,
        "segments": tuple(segments.split(",")) if segments else None,
        "rates_hz": (rate_hz,) if rate_hz is not None else None,
        "seed": seed,
    }
    groups = choose(start, settings or (), chosen)
    with progress("Walking") as update:
        recording = walk_virtually(groups["walk"], groups["sensors"], progress=update)
    with busy(f"Writing {bag}"):
        from gait_twin.recording import save

        save(recording, bag)
    strides = len(recording.truth.strides) if recording.truth else 0
    out.print(f"{recording.duration_s:.1f} s, {len(recording.imus)} sensors, {strides} strides")
    wrote([bag])
    out.print(f"[dim]next:[/dim] gait-twin analyze {bag} --out {bag}-result", soft_wrap=True)
    return report(recording.notices, ())
