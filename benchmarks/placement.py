"""What the hub says of sensors' placement on real walks: nothing where they are right, and how soon where they are not.

    python benchmarks/placement.py [--every 1] [--out placement.json]

Every recording with more than feet in ../shared/data (or $GAIT_TWIN_DATA) is played through the hub as it is, and with
each pair of sensors exchanged that could be told apart. A false alarm is any sentence at any time. The time until an
exchange is named counts from the first second in which a leg walks.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np

from gait_twin.recording import Recording
from gait_twin.recording.importers import IMPORTERS
from gait_twin.sensing import HubSettings, SensorHub

DATA = Path(os.environ.get("GAIT_TWIN_DATA", Path(__file__).parents[2] / "shared" / "data"))
LABELLED_WRONG = ("4-1", "4-2")
"""Trials of foot_healthy_10m whose feet are exchanged in the published files: the score of left and right is that of
the other 72 with the opposite sign, and the sensors' axes over the insteps are mirrored against the person's other
four trials."""


def said(recording: Recording, exchanged: tuple[str, str] | None, **settings: object) -> tuple[float, list[str]]:
    """First instant at which anything was said, s after the first step; all sentences."""
    names = {name: name for name in recording.imus}
    if exchanged:
        a, b = exchanged
        names |= {a: b, b: a}
    hub = SensorHub(tuple(recording.imus), HubSettings(**settings))
    first_s, walks_s, sentences = np.nan, np.nan, dict[str, None]()
    for begin in np.arange(0.0, min(recording.duration_s, 60.0), 0.5):
        for name, stream in recording.imus.items():
            rows = slice(*np.searchsorted(stream.time_s, [begin, begin + 0.5]))
            channels = (None if c is None else c[rows] for c in (stream.gyr_radps, stream.quat_wxyz))
            hub.push(names[name], stream.time_s[rows], stream.acc_mps2[rows], *channels)
        frames = hub.poll()
        legs = [i for i, name in enumerate(hub.segments) if name not in ("pelvis", "torso")]
        speed = np.linalg.norm(frames.gyr_radps[:, legs], axis=2)
        if np.isnan(walks_s) and np.nanmax(speed, initial=0.0) > 2.0:
            walks_s = begin
        if hub.misplaced and np.isnan(first_s):
            first_s = begin + 0.5
        sentences |= dict.fromkeys(hub.misplaced)
    return first_s - walks_s, list(sentences)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="every so many of the 74 trials")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    walks: list[tuple[str, Recording, dict[str, object], list[tuple[str, str]]]] = []
    legs = [("femur_r", "tibia_r"), ("tibia_l", "femur_l"), ("pelvis", "femur_r"), ("torso", "tibia_l"),
            ("tibia_r", "calcn_r"), ("calcn_r", "calcn_l")]  # fmt: skip
    xsens = IMPORTERS["xsens_mt"].load(DATA / "opensim_xsens_walk" / "raw")
    walks.append(("xsens walk", xsens, {}, legs))
    walks.append(("xsens walk, 6-axis", xsens, {"use_device_orientation": False}, legs))
    treadmill = IMPORTERS["physilog"].load(DATA / "treadmill_7imu")
    walks.append(("treadmill", treadmill, {"use_device_orientation": False},
                  [("calcn_r", "tibia_r"), ("calcn_l", "calcn_r"), ("pelvis", "tibia_l")]))  # fmt: skip
    for path in sorted((DATA / "foot_healthy_10m").glob("*.json"))[:: arguments.every]:
        trial = IMPORTERS["gait_text_json"].load(path)
        walks.append((path.stem, trial, {"mounting": ("pelvis=-z",)}, [("calcn_r", "calcn_l"), ("pelvis", "calcn_r")]))
        walks.append((f"{path.stem}, forward not given", trial, {}, [("calcn_r", "calcn_l")]))
    false_alarms, right, delays, rows = 0, 0, [], []
    for name, recording, settings, pairs in walks:
        wrong = name.split(",")[0] in LABELLED_WRONG
        after_s, sentences = said(recording, None, **settings)
        right += not wrong
        if bool(sentences) != wrong and not (wrong and "not given" in name):
            false_alarms += not wrong
            print(f"{name}: {sentences or 'nothing was said'}")
        rows.append({"walk": name, "exchanged": None, "after_s": after_s, "said": sentences})
        for pair in pairs:
            if wrong or not set(pair) <= set(recording.imus):
                continue
            after_s, sentences = said(recording, pair, **settings)
            rows.append({"walk": name, "exchanged": pair, "after_s": after_s, "said": sentences})
            kind = "left and right" if pair[0][:-2] == pair[1][:-2] else "along a leg or trunk"
            kind += ", forward not given" if "not given" in name else ""
            delays.append((kind, after_s))
    print(f"{false_alarms} false alarms in {right} plays of {len(walks)}; the others are labelled "
          f"wrong in the published files: {', '.join(LABELLED_WRONG)}")  # fmt: skip
    for kind in sorted({kind for kind, _ in delays}):
        found = np.array([after for one, after in delays if one == kind])
        named = found[np.isfinite(found)]
        times = f", after {np.median(named):.1f} s of walking (latest {named.max():.1f} s)" if len(named) else ""
        print(f"exchanged {kind}: named in {len(named)} of {len(found)}{times}")
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
