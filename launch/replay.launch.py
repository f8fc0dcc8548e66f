"""Graph on a recorded bag: the same nodes as live; ends when everything is played.

ros2 launch gait_twin replay.launch.py bag:=session_1 rate:=4.0 record:=session_1_again
"""

from gait_twin.nodes.launching import launch_description


def generate_launch_description():
    return launch_description("replay")
