"""``gait-twin``: import, analyze, simulate, info, and up for the live graph.

Exit codes: 0 good; 1 refused, with one sentence on what to do; 2 wrong usage; 3 finished, but something of
the input was lost; 70 a defect of this program; 130 stopped by Ctrl-C.
"""

from gait_twin.cli.frame import app, main

__all__ = ["app", "main"]
