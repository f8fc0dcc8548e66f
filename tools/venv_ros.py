"""Lets the Python of .venv find ROS 2: its libraries, and what is installed in its index.

setup_env.py writes this file into .venv's site-packages, with the three lists below filled in and a .pth file
that imports it whenever Python starts. The dynamic linker reads LD_LIBRARY_PATH only when a process begins, so
where it lacks something this starts Python once more in the same process, before anything else has run. Child
processes inherit the environment and start once only.
"""

import os
import sys

# Relative entries are relative to .venv. Filled in by setup_env.py.
LIBRARIES: tuple[str, ...] = ()
PREFIXES: tuple[str, ...] = ()
PYTHON: tuple[str, ...] = ()
# Whether ROS 2 comes from wheels in .venv, so that no other one may be mixed in.
WHEELS = True


def _inside(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def _entries(variable: str) -> list[str]:
    return [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]


def _prepare() -> None:
    own = {
        "LD_LIBRARY_PATH": [os.path.join(sys.prefix, entry) for entry in LIBRARIES],
        "AMENT_PREFIX_PATH": [os.path.normpath(os.path.join(sys.prefix, entry)) for entry in PREFIXES],
        "PYTHONPATH": [os.path.join(sys.prefix, entry) for entry in PYTHON],
    }
    # Another ROS 2, sourced or of another checkout's .venv whose process started this one: two of them in one
    # process crash.
    foreign = [
        prefix
        for prefix in _entries("AMENT_PREFIX_PATH")
        if prefix not in own["AMENT_PREFIX_PATH"] and WHEELS and os.path.isdir(os.path.join(prefix, "share", "rclpy"))
    ]
    again = False
    for variable, needed in own.items():
        found = _entries(variable)
        kept = [entry for entry in found if not _inside(entry, foreign)]
        if any(entry not in kept for entry in needed):
            kept = needed + [entry for entry in kept if entry not in needed]
        if kept != found:
            os.environ[variable] = os.pathsep.join(kept)
            again = again or variable != "AMENT_PREFIX_PATH"
    os.environ["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"  # what the wheels would do on their own, with less care
    if again and sys.executable and sys.orig_argv and os.environ.get("_GAIT_TWIN_STARTED") != str(os.getpid()):
        os.environ["_GAIT_TWIN_STARTED"] = str(os.getpid())  # never more than once in a process
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ)


_prepare()
