"""Exits 0 if this Python can carry gait_twin; otherwise prints why not, in a sentence.

Run by setup.sh with whatever Python it finds, so this has to parse under old ones too.
Argument `ros`: it must also be able to import the rclpy of the ROS 2 that is sourced.
"""

import platform
import struct
import sys


def problem():  # type: ignore[no-untyped-def]  # no annotations under Python 2
    version = "%d.%d" % sys.version_info[:2]
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return "is Python %s, and gait_twin needs 3.11, 3.12 or 3.13 (OpenSim has no other)." % version
    if platform.python_implementation() != "CPython":
        return "is %s, and gait_twin needs CPython." % platform.python_implementation()
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64" or struct.calcsize("P") != 8:
        return "runs on %s %s, and the wheels of ROS 2 and OpenSim are for 64-bit x86-64 Linux alone." % (
            platform.system(),
            platform.machine(),
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "lacks the venv module; install it: sudo apt install python%s-venv (Debian and Ubuntu)." % version
    if "ros" in sys.argv[1:]:
        try:
            import rclpy  # noqa: F401  # loads the compiled part, which is made for one version of Python
        except Exception as error:  # noqa: BLE001  # whatever it is, this Python is not the one
            return "cannot import the rclpy of the ROS 2 that is sourced (%s)." % error
    return None


if __name__ == "__main__":
    found = problem()  # type: ignore[no-untyped-call]
    if found:
        print(found)
    sys.exit(1 if found else 0)
