"""``python -m gait_twin.cli``, where the ``gait-twin`` command is not on the path."""

from gait_twin.cli.frame import main

main()
