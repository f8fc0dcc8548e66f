"""Graph on a virtual subject that walks; ends with the walk.

ros2 launch gait_twin demo.launch.py duration_s:=60.0 record:=demo rviz:=true
"""

from gait_twin.nodes.launching import launch_description


def generate_launch_description():
    return launch_description("demo")
