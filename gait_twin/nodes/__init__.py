"""ROS 2 adapters of the rooms: parameters, topics, QoS, diagnostics. No mathematics.

Only this package imports rclpy, and nothing imports this package. Each module with a ``main`` is a node:
``python -m gait_twin.nodes.sensor_hub --ros-args …`` or ``ros2 run gait_twin sensor_hub``.
"""
