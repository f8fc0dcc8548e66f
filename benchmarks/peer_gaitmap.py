"""gaitmap's part of benchmarks/peers.py; runs in build/peers, where gait_twin is not.

    build/peers/bin/python benchmarks/peer_gaitmap.py FOLDER RATE_HZ

Reads FOLDER/feet.npz: a foot's samples by name, (n, 7) of time (s), specific force (m/s²), angular rate (rad/s).
Writes FOLDER/found.json.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from gaitmap.event_detection import RamppEventDetection
from gaitmap.stride_segmentation import BarthOriginalTemplate, ConstrainedBarthDtw
from gaitmap.trajectory_reconstruction import RegionLevelTrajectory, RtsKalman, StrideLevelTrajectory
from gaitmap.utils.coordinate_conversion import convert_left_foot_to_fbf, convert_right_foot_to_fbf
from gaitmap.zupt_detection import NormZuptDetector

COLUMNS = ["acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"]


def aligned(samples: np.ndarray, rate_hz: float) -> pd.DataFrame:
    """Data in gaitmap's foot frame (x forward or backward, y left or right, z up).

    Vertical from the calmest half second, mediolateral axis the leading principal component: gaitmap's own PcaAlignment
    and ForwardDirectionSignAlignment turned some feet of these recordings wrongly, and lost their events.
    """
    acc, gyr = samples[:, 1:4], samples[:, 4:]
    speed = np.linalg.norm(gyr, axis=1)
    window = np.ones(int(0.5 * rate_hz))
    calm = int(np.argmin(np.convolve(speed, window, "valid")))
    up = acc[calm : calm + len(window)].mean(axis=0)
    up /= np.linalg.norm(up)
    moving = gyr[speed > 1.0]
    axis = np.linalg.eigh(moving.T @ moving)[1][:, -1]
    left = axis - (axis @ up) * up
    left /= np.linalg.norm(left)
    rotation = np.stack([np.cross(left, up), left, up])
    return pd.DataFrame(np.hstack([acc @ rotation.T, np.degrees(gyr @ rotation.T)]), columns=COLUMNS)


def misfit(data: pd.DataFrame, left: bool, rate_hz: float) -> float:
    """Cost of the template's mediolateral rate where it fits best."""
    body = convert_left_foot_to_fbf(data) if left else convert_right_foot_to_fbf(data)
    dtw = ConstrainedBarthDtw(template=BarthOriginalTemplate(use_cols=["gyr_ml"]), max_cost=4.0)
    return float(np.percentile(dtw.segment(body, sampling_rate_hz=rate_hz).cost_function_, 2))


def segmented(data: pd.DataFrame, left: bool, rate_hz: float, tuned: bool) -> tuple[Any, Any]:
    """Data in the body frame, and the stride list.

    Tuned: the template's mediolateral rate alone, and a cost that lets fast walkers pass; both were chosen on the
    tuning subjects of foot_healthy_10m (events F1 0.89 / 0.88 for 0.81 / 0.79; also tried: BarthDtw without its warping
    constraint, costs from 2 to 6, shortest strides of 0.4 to 0.6 s, FilteredRamppEventDetection, no consistency check).
    """
    body = convert_left_foot_to_fbf(data) if left else convert_right_foot_to_fbf(data)
    dtw = ConstrainedBarthDtw()
    if tuned:
        template = BarthOriginalTemplate(use_cols=["gyr_ml"])
        dtw = ConstrainedBarthDtw(template=template, max_cost=4.0, min_match_length_s=0.5)
    return body, dtw.segment(body, sampling_rate_hz=rate_hz).stride_list_


def foot(name: str, samples: np.ndarray, rate_hz: float, tuned: bool) -> dict[str, Any]:
    """Events (s) and strides [[first foot-flat s, next foot-flat s, length m], …] of one foot."""
    data = aligned(samples, rate_hz)
    back = data * [-1.0, -1.0, 1.0, -1.0, -1.0, 1.0]
    # Forward is where the template's mediolateral rate fits better: costs of about 0.5 to 1.5 against 2.3
    data = min((data, back), key=lambda one: misfit(one, name.endswith("left"), rate_hz))
    body, stride_list = segmented(data, name.endswith("left"), rate_hz, tuned)
    found = RamppEventDetection().detect(body, stride_list=stride_list, sampling_rate_hz=rate_hz)
    strides = found.min_vel_event_list_
    times = {}
    for kind, column in (("heel_strike", "ic"), ("toe_off", "tc")):
        values = found.annotated_original_event_list_[column].to_numpy(dtype=float)
        rows = np.unique(values[np.isfinite(values)].astype(int))
        times[kind] = samples[rows[(rows >= 0) & (rows < len(samples))], 0].tolist()
    if not len(strides):
        return {**times, "strides": []}
    if tuned:
        method = RtsKalman(zupt_detector=NormZuptDetector(inactive_signal_threshold=50.0, metric="maximum"))
        regions = pd.DataFrame({"gs_id": [0], "start": [0], "end": [len(data)]}).set_index("gs_id")
        way = RegionLevelTrajectory(ori_method=None, pos_method=None, trajectory_method=method)
        way = way.estimate_intersect(data, regions, stride_event_list=strides, sampling_rate_hz=rate_hz)
    else:
        way = StrideLevelTrajectory().estimate(data, strides, sampling_rate_hz=rate_hz)
    position = way.position_
    lengths = []
    for stride, row in strides.iterrows():
        track = position.xs(stride, level=0)[["pos_x", "pos_y"]].to_numpy()
        a, b = (float(samples[min(int(row[k]), len(samples) - 1), 0]) for k in ("start", "end"))
        lengths.append([a, b, float(np.hypot(*(track[-1] - track[0])))])
    return {**times, "strides": lengths}


def main() -> None:
    folder, rate_hz = Path(sys.argv[1]), float(sys.argv[2])
    warnings.simplefilter("ignore")
    feet = np.load(folder / "feet.npz")
    found: dict[str, Any] = {"version": version("gaitmap"), "default": {}, "tuned": {}}
    failures: dict[str, int] = {}
    for name in feet.files:
        for variant in ("default", "tuned"):
            try:
                found[variant][name] = foot(name, feet[name], rate_hz, variant == "tuned")
            except (ValueError, KeyError, IndexError) as error:
                found[variant][name] = {"heel_strike": [], "toe_off": [], "strides": []}
                failures[f"{variant}: {error}"] = failures.get(f"{variant}: {error}", 0) + 1
    for reason, count in failures.items():
        print(f"gaitmap gave nothing for {count} feet, {reason}")
    found["failures"] = failures
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
