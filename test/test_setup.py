"""The set-up: what is declared is what is used, what is built works, and two processes understand each other."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gait_twin

ROOT = Path(__file__).resolve().parent.parent
ROS_FROM_WHEELS = (Path(sys.prefix) / "share" / "rclpy").is_dir()
MESSAGES = sorted(path.stem for path in (ROOT / "msg").glob("*.msg"))

# Import name of a distribution where it is not the distribution's own.
IMPORTED_AS = {"yaml": "pyyaml", "serial": "pyserial", "ruamel": "ruamel-yaml"}
# Packages of ROS 2 that code may import where ROS 2 is installed and that package.xml therefore lists.
ROS = {
    "ament_index_python", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "launch", "launch_ros",
    "nav_msgs", "rcl_interfaces", "rclpy", "rosgraph_msgs", "sensor_msgs", "std_msgs", "std_srvs", "tf2_msgs",
    "visualization_msgs", "lifecycle_msgs", "rosidl_runtime_py", "rosbag2_py", "tf2_ros",
}  # fmt: skip


def package_xml(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def dependencies(path: Path) -> set[str]:
    return {
        element.text or ""
        for element in package_xml(path)
        if element.tag.endswith("depend") and element.tag != "test_depend"
    }


def imported(folder: str) -> dict[str, Path]:
    """Return the top-level modules that a folder's code imports, each with a file that does."""
    found: dict[str, Path] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(), path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], path.relative_to(ROOT))
    return found


def required() -> dict[str, list[Requirement]]:
    """Return requirements.in by section."""
    sections: dict[str, list[Requirement]] = {}
    section = ""
    for line in (ROOT / "requirements.in").read_text().splitlines():
        if heading := re.match(r"# --- ([\w-]+)", line):
            section = heading[1]
        elif text := line.partition("#")[0].strip():
            sections.setdefault(section, []).append(Requirement(text))
    return sections


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_version_is_one():
    version = package_xml(ROOT / "package.xml").findtext("version")
    assert package_xml(ROOT / "msg" / "package.xml").findtext("version") == version
    assert gait_twin.__version__ == version
    assert importlib.metadata.version("gait_twin") == version
    setup = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert setup.stdout.split()[-1] == version


@pytest.mark.parametrize("folder", ["gait_twin", "launch"])
def test_ros_packages_that_are_imported_are_in_package_xml(folder):
    used = {name: path for name, path in imported(folder).items() if name in ROS}
    missing = {name: str(path) for name, path in used.items() if name not in dependencies(ROOT / "package.xml")}
    assert not missing, f"imported, but no <exec_depend> in package.xml: {missing}"


def test_other_packages_that_are_imported_are_in_requirements():
    listed = {canonicalize_name(requirement.name) for requirement in required()["library"]}
    known = ROS | set(sys.stdlib_module_names) | {"gait_twin", "gait_twin_msgs", "__future__"}
    missing = {
        name: str(path)
        for name, path in imported("gait_twin").items()
        if name not in known and canonicalize_name(IMPORTED_AS.get(name, name)) not in listed
    }
    assert not missing, f"imported, but not in section library of requirements.in: {missing}"


def test_rooms_do_not_import_ros():
    for name, path in imported("gait_twin").items():
        if name in ROS | {"gait_twin_msgs"}:
            users = [
                str(user.relative_to(ROOT))
                for user in (ROOT / "gait_twin").rglob("*.py")
                if "nodes" not in user.parts and re.search(rf"^(import|from) {name}\b", user.read_text(), re.MULTILINE)
            ]
            assert not users, f"{name} (first seen in {path}) is for gait_twin/nodes alone: {users}"


def test_messages_depend_on_what_they_name():
    own = set(MESSAGES)
    used = set()
    for path in (ROOT / "msg").glob("*.msg"):
        for line in path.read_text().splitlines():
            if match := re.match(r"(\w+)/\w+", line.partition("#")[0].strip()):
                used.add(match[1])
    used -= own
    assert used <= dependencies(ROOT / "msg" / "package.xml")
    cmake = (ROOT / "msg" / "CMakeLists.txt").read_text()
    for package in used:
        assert f"find_package({package} REQUIRED)" in cmake


def test_lock_covers_requirements():
    pins = {canonicalize_name(requirement.name): requirement for requirement in locked()}
    for requirement in (item for section in required().values() for item in section):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement} is not in requirements.lock: make lock"
        version = next(iter(pin.specifier)).version
        assert requirement.specifier.contains(version), f"{requirement}, but the lock has {pin}: make lock"


def test_lock_pins_every_version_and_leaves_the_build_of_torch_open():
    text = (ROOT / "requirements.lock").read_text()
    assert "--hash" not in text
    assert not re.search(r"^(nvidia-|cuda-|triton)", text, re.MULTILINE)
    for requirement in locked():
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement


def test_what_is_installed_is_what_is_locked():
    wrong = []
    for requirement in locked():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        if requirement.name.startswith("ros-") and not ROS_FROM_WHEELS:
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = "nothing"
        if version.partition("+")[0] != next(iter(requirement.specifier)).version:
            wrong.append(f"{requirement} is locked, {version} is installed")
    assert not wrong


@pytest.mark.parametrize("name", MESSAGES)
def test_message_is_built(name):
    message = getattr(importlib.import_module("gait_twin_msgs.msg"), name)
    fields = message.get_fields_and_field_types()
    declared = [
        line.split()[1]
        for line in ((ROOT / "msg" / f"{name}.msg").read_text()).splitlines()
        if line.strip() and not line.startswith("#") and "=" not in line.partition("#")[0]
    ]
    assert list(fields) == declared
    assert message()


def test_no_message_of_the_past_is_installed():
    module = importlib.import_module("gait_twin_msgs.msg")
    types = {name for name in vars(module) if isinstance(getattr(module, name), type)}
    assert types == set(MESSAGES)


def test_packages_are_in_the_index():
    from ament_index_python.packages import get_package_share_directory

    for package in ("gait_twin", "gait_twin_msgs", "tf2_msgs"):
        assert (Path(get_package_share_directory(package)) / "package.xml").is_file()
    share = Path(get_package_share_directory("gait_twin"))
    for folder in ("launch", "config"):
        here = {path.name for path in (ROOT / folder).glob("*") if path.name != "__pycache__"}
        there = {path.name for path in (share / folder).glob("*") if path.name != "__pycache__"}
        assert there == here


def test_every_node_is_an_executable():
    from ament_index_python.packages import get_package_prefix

    nodes = {
        path.stem
        for path in (ROOT / "gait_twin" / "nodes").glob("[a-z]*.py")
        if re.search(r"^def main\(", path.read_text(), re.MULTILINE)
    }
    folder = Path(get_package_prefix("gait_twin")) / "lib" / "gait_twin"
    executables = {path.name for path in folder.glob("*") if os.access(path, os.X_OK)}
    assert executables == nodes


def test_tf_message_is_the_one_of_ros():
    """The type's hash is the one that ROS 2 announces: with another, RViz would not take our /tf."""
    from ament_index_python.packages import get_package_share_directory

    description = Path(get_package_share_directory("tf2_msgs")) / "msg" / "TFMessage.json"
    assert "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087" in description.read_text()


BARE = {"HOME": os.environ.get("HOME", "/"), "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("inherited", [{}, {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}, {"LD_LIBRARY_PATH": "/nowhere"}])
def test_python_starts_from_a_bare_shell(inherited, tmp_path):
    code = "import rclpy, gait_twin, gait_twin_msgs.msg, sys; print(sys.argv)"
    result = subprocess.run(
        [sys.executable, "-c", code, "an argument", "with 'quotes'"],
        env={**BARE, **inherited},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(["-c", "an argument", "with 'quotes'"])


def test_another_ros_in_the_environment_is_kept_out(tmp_path):
    if not ROS_FROM_WHEELS:
        pytest.skip("an installed ROS 2 is used here, and workspaces may lie on top of it")
    other = tmp_path / "other"
    (other / "share" / "rclpy").mkdir(parents=True)
    (other / "python" / "rclpy").mkdir(parents=True)
    (other / "python" / "rclpy" / "__init__.py").write_text("raise RuntimeError('the other rclpy')")
    foreign = {
        "AMENT_PREFIX_PATH": str(other),
        "LD_LIBRARY_PATH": f"{other}/lib:/usr/local/lib",
        "PYTHONPATH": f"{other}/python:{tmp_path}",
    }
    code = "import os, rclpy; print(os.environ['PYTHONPATH'], os.environ['LD_LIBRARY_PATH'])"
    result = subprocess.run(
        [sys.executable, "-c", code], env={**BARE, **foreign}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert str(other) not in result.stdout
    assert "/usr/local/lib" in result.stdout
    assert str(tmp_path) in result.stdout


RECEIVER = """
import rclpy
from gait_twin_msgs.msg import GaitEvent

rclpy.init()
node = rclpy.create_node("receiver")
got = []
node.create_subscription(GaitEvent, "events", got.append, 10)
print("listening", flush=True)
while not got:
    rclpy.spin_once(node, timeout_sec=1.0)
print("got", got[0].confidence, flush=True)
"""

SENDER = """
import time
import rclpy
from gait_twin_msgs.msg import GaitEvent

rclpy.init()
node = rclpy.create_node("sender")
publisher = node.create_publisher(GaitEvent, "events", 10)
while True:
    publisher.publish(GaitEvent(confidence=0.8125))
    rclpy.spin_once(node, timeout_sec=0.0)
    time.sleep(0.05)
"""


@pytest.mark.graph
def test_two_processes_exchange_a_message(processes):
    receiver = processes([sys.executable, "-c", RECEIVER], name="receiver")
    receiver.wait_for("listening")
    sender = processes([sys.executable, "-c", SENDER], name="sender")
    receiver.wait_for("got 0.8125")
    assert receiver.wait() == 0
    assert sender.popen.poll() is None


@pytest.mark.graph
def test_domains_of_two_tests_at_once_differ(ros_domain_id, monkeypatch):
    # test/graph has a conftest too: by its path there is no doubt which
    spec = importlib.util.spec_from_file_location("domains", Path(__file__).with_name("conftest.py"))
    conftest = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, conftest)  # dataclasses look it up
    spec.loader.exec_module(conftest)
    others = [conftest.DomainLock() for _ in range(3)]
    try:
        domains = [ros_domain_id, *(other.domain for other in others)]
        assert len(set(domains)) == 4
        assert all(domain in conftest.DOMAINS for domain in domains)
    finally:
        for other in others:
            other.close()


@pytest.mark.slow
def test_messages_build_alone(tmp_path):
    """As a C++ controller's workspace takes them: a copy of the folder, by whatever name, and cmake."""
    from ament_index_python.packages import get_package_prefix

    source = tmp_path / "a copy"
    source.mkdir()
    # Two messages say as much as all, in half the time.
    for path in (ROOT / "msg").iterdir():
        if path.suffix != ".msg" or path.stem in ("GaitPhase", "GaitPhaseSide"):
            shutil.copy(path, source)
    prefix = Path(get_package_prefix("rclpy"))
    cmake = Path(sys.executable).parent / "cmake"
    configure = [
        str(cmake), "-S", str(source), "-B", str(tmp_path / "build"), f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'out'}",
        f"-DPython3_EXECUTABLE={sys.executable}", f"-DCMAKE_PREFIX_PATH={prefix}", "-DBUILD_TESTING=OFF",
    ]  # fmt: skip
    headers = Path(sys.prefix) / ".gait_twin" / "python-headers" / "usr" / "include"
    env = dict(os.environ)
    if headers.is_dir():
        version = "python{}.{}".format(*sys.version_info[:2])
        configure.append(f"-DPython3_INCLUDE_DIR={headers / version}")
        env["CPATH"] = str(headers)
    build = [str(cmake), "--build", str(tmp_path / "build"), "--target", "install", "--parallel", "2"]
    for command in (configure, build):
        result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    out = tmp_path / "out"
    assert (out / "include/gait_twin_msgs/gait_twin_msgs/msg/gait_phase.hpp").is_file()
    assert (out / "share/gait_twin_msgs/msg/GaitPhase.msg").is_file()
    assert (out / "share/gait_twin_msgs/cmake/gait_twin_msgsConfig.cmake").is_file()
