"""Everything that an analysis leaves on disk."""

from __future__ import annotations

import io
import json
from pathlib import Path

from gait_twin.errors import InputError
from gait_twin.service.comparison import Comparison, compare
from gait_twin.service.cycles import gait_cycles, write_cycles
from gait_twin.service.feeding import Progress
from gait_twin.service.results import GROUND_REACTIONS, MOMENT_SD, MOMENTS, POWERS, Analysis
from gait_twin.service.summary import summarize
from gait_twin.service.tables import write_events, write_joints, write_steps, write_strides
from gait_twin.twin import write_table

DPI = 130
MODEL = "model.osim"


def write(
    analysis: Analysis, out_dir: Path | str, pictures: bool = True, progress: Progress | None = None
) -> list[Path]:
    """Write tables, summary, pictures and page into a folder, over those of an earlier run.

    Parameters
    ----------
    analysis
        What to write.
    out_dir
        Folder; made if it is not there.
    pictures
        Draw the PNGs and ``report.html`` too.
    progress
        Told the fraction done.

    Returns
    -------
    list of Path
        What was written. A file that an earlier run left and that this one has nothing for is removed, so
        that the folder never shows two recordings at once.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); give another folder.") from error
    told = progress or (lambda _: None)
    comparison = compare(analysis)
    write_events(folder / "events.csv", analysis.events)
    write_strides(folder / "strides.csv", analysis.strides)
    write_steps(folder / "steps.csv", analysis.steps)
    written = [folder / name for name in ("events.csv", "strides.csv", "steps.csv")]
    joints = folder / "joints.mot"
    if analysis.joints is not None:
        write_joints(joints, analysis.joints)
        written.append(joints)
    else:
        joints.unlink(missing_ok=True)
    model = folder / MODEL
    model.unlink(missing_ok=True)
    if analysis.osim:
        model.write_text(analysis.osim, encoding="utf-8")
        written.append(model)
    for name in (MOMENTS, MOMENT_SD, POWERS, GROUND_REACTIONS):
        (folder / name).unlink(missing_ok=True)
    for name, table in analysis.forces.items():
        write_table(folder / name, table, Path(name).stem)
        written.append(folder / name)
    written += write_cycles(folder, gait_cycles(analysis))
    summary = folder / "summary.json"
    text = json.dumps(summarize(analysis, comparison), indent=2, ensure_ascii=False, allow_nan=False)
    summary.write_text(text + "\n", encoding="utf-8")
    written.append(summary)
    told(0.1)
    if pictures:
        written += _draw(analysis, comparison, folder, told)
    told(1.0)
    return written


def _draw(analysis: Analysis, comparison: Comparison, folder: Path, told: Progress) -> list[Path]:
    from gait_twin.service import page, plots  # matplotlib only when something is drawn

    written: list[Path] = []
    images: dict[str, tuple[str, bytes]] = {}
    for i, (stem, (title, draw)) in enumerate(plots.FIGURES.items()):
        figure = draw(analysis)
        target = folder / f"{stem}.png"
        if figure is None:
            target.unlink(missing_ok=True)
        else:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI)
            target.write_bytes(buffer.getvalue())
            images[stem] = (title, buffer.getvalue())
            written.append(target)
        told(0.1 + 0.8 * (i + 1) / len(plots.FIGURES))
    report = folder / "report.html"
    report.write_text(page.render(analysis, comparison, images), encoding="utf-8")
    return [*written, report]
