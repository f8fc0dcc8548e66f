"""The OpenSim twin: model, streaming inverse kinematics, pose of the whole body, robot description."""

from gait_twin.twin.default_model import build_default_model
from gait_twin.twin.dynamics import InverseDynamics, Wrench
from gait_twin.twin.export import (
    CycleCurves,
    confidence_table,
    cycle_curves,
    ground_reactions_table,
    moment_sd_table,
    moments_table,
    powers_table,
)
from gait_twin.twin.external_loads import ExternalLoads, read_external_loads, read_ground_reactions
from gait_twin.twin.kinematics import InverseKinematics, Solution
from gait_twin.twin.markers import MarkerKinematics, MarkerSolution, MarkerTasks, read_marker_tasks
from gait_twin.twin.model import load_model, map_segments, model_xml
from gait_twin.twin.offline import inverse_dynamics, registered
from gait_twin.twin.plates import Frame, Plates
from gait_twin.twin.quality import about_mass
from gait_twin.twin.reconciliation import Legs
from gait_twin.twin.scaling import add_markers_of, scale_by_lengths, scale_by_markers, scale_by_setup, scale_factors
from gait_twin.twin.settings import NOMINAL_MASS_KG, TwinSettings
from gait_twin.twin.skeleton import Skeleton
from gait_twin.twin.storage import MarkerTable, Table, read_markers, read_table, write_table
from gait_twin.twin.twin import Twin, make_model
from gait_twin.twin.urdf import RobotDescription, robot_description

__all__ = [
    "NOMINAL_MASS_KG",
    "CycleCurves",
    "ExternalLoads",
    "Frame",
    "InverseDynamics",
    "InverseKinematics",
    "Legs",
    "MarkerKinematics",
    "MarkerSolution",
    "MarkerTable",
    "MarkerTasks",
    "Plates",
    "RobotDescription",
    "Skeleton",
    "Solution",
    "Table",
    "Twin",
    "TwinSettings",
    "Wrench",
    "about_mass",
    "add_markers_of",
    "build_default_model",
    "confidence_table",
    "cycle_curves",
    "ground_reactions_table",
    "inverse_dynamics",
    "load_model",
    "make_model",
    "map_segments",
    "model_xml",
    "moment_sd_table",
    "moments_table",
    "powers_table",
    "read_external_loads",
    "read_ground_reactions",
    "read_marker_tasks",
    "read_markers",
    "read_table",
    "registered",
    "robot_description",
    "scale_by_lengths",
    "scale_by_markers",
    "scale_by_setup",
    "scale_factors",
    "write_table",
]
