"""`pip install .`: the library for a notebook, without ROS 2. Nodes and messages come with colcon or `make`."""

import re
from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def library_requirements() -> list[str]:
    """Return what requirements.in lists in its section "library"."""
    section = ""
    found = []
    for line in (HERE / "requirements.in").read_text().splitlines():
        if heading := re.match(r"# --- ([\w-]+)", line):
            section = heading[1]
        elif section == "library" and (requirement := line.partition("#")[0].strip()):
            found.append(requirement)
    return found


setup(
    name="gait_twin",
    version=ElementTree.parse(HERE / "package.xml").findtext("version"),
    description="A digital twin of a walking person: IMUs in; gait events, steps and a moving OpenSim skeleton out",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    install_requires=library_requirements(),
    packages=find_packages(include=["gait_twin", "gait_twin.*"]),
    include_package_data=True,
    entry_points={"console_scripts": ["gait-twin = gait_twin.cli:main"]},
    zip_safe=False,
)
