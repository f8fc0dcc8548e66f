"""The one place where OpenSim is imported: its log is kept off the console and off the disk.

OpenSim prints a line for every mesh that it does not find and writes ``opensim.log`` into the working
folder; neither is of use to someone who streams kinematics. Errors still come, as exceptions.
"""

from __future__ import annotations

import opensim

opensim.Logger.setLevelString("error")
opensim.Logger.removeFileSink()

__all__ = ["opensim"]
