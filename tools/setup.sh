#!/bin/sh
# Finds a Python that really runs, and hands over to setup_env.py, which does the work.
# PYTHON=... chooses one; else a .venv that works keeps its own.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
root=$(dirname "$here")

say() { printf 'gait_twin: %s\n' "$*" >&2; }

# A ROS 2 is sourced if there is a prefix with rclpy that is not the venv of some checkout.
ros=
old_ifs=$IFS
IFS=:
for prefix in ${AMENT_PREFIX_PATH:-}; do
    if [ -d "$prefix/share/rclpy" ] && [ ! -e "$prefix/pyvenv.cfg" ]; then ros=ros; fi
done
IFS=$old_ifs

if [ -n "${PYTHON:-}" ]; then
    if ! command -v "$PYTHON" >/dev/null 2>&1; then
        say "PYTHON=$PYTHON is not there; give the name or path of a Python 3.11, 3.12 or 3.13."
        exit 1
    fi
    if ! why=$("$PYTHON" "$here/probe_python.py" 2>/dev/null); then
        say "PYTHON=$PYTHON ${why:-does not run.}"
        exit 1
    fi
    if [ -n "$ros" ] && ! "$PYTHON" "$here/probe_python.py" ros >/dev/null 2>&1; then ros=; fi
    exec "$PYTHON" "$here/setup_env.py" --chosen ${ros:+--ros} "$@"
fi

if [ -z "$ros" ] && "$root/.venv/bin/python" -I -S -c '' 2>/dev/null; then
    exec "$root/.venv/bin/python" -I -S "$here/setup_env.py" "$@"
fi

first=
for wanted in $ros any; do
    for python in python3 python3.12 python3.11 python3.13 \
        /usr/bin/python3 /usr/bin/python3.12 /usr/bin/python3.11 /usr/bin/python3.13; do
        command -v "$python" >/dev/null 2>&1 || continue
        if why=$("$python" "$here/probe_python.py" "$wanted" 2>/dev/null); then
            if [ "$wanted" = ros ]; then exec "$python" "$here/setup_env.py" --ros "$@"; fi
            if [ -n "$ros" ]; then
                say "ROS 2 ${ROS_DISTRO:-} is sourced, but no Python 3.11, 3.12 or 3.13 here imports its rclpy:" \
                    "it is left alone, and ROS 2 comes from wheels."
            fi
            exec "$python" "$here/setup_env.py" "$@"
        fi
        if [ "$wanted" = any ] && [ -z "$first" ] && [ -n "$why" ]; then first="$python $why"; fi
    done
done
say "no Python 3.11, 3.12 or 3.13 runs here; install one:" \
    "sudo apt install python3 python3-venv python3-dev (Debian 12, Ubuntu 24.04)."
if [ -n "$first" ]; then say "$first"; fi
exit 1
