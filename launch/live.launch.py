"""Live graph: waits for any driver's sensor_msgs/Imu; body.yaml says which topic is on which segment.

ros2 launch gait_twin live.launch.py body:=my_body.yaml namespace:=subject_1 record:=session_1
"""

from gait_twin.nodes.launching import launch_description


def generate_launch_description():
    return launch_description("live")
