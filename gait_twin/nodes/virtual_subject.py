"""Node: a virtual subject walks, wears virtual IMUs, and publishes what they measure and what is true."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gait_twin.nodes.base import run
from gait_twin.nodes.parameters import declare
from gait_twin.nodes.replay import ReplaySettings, bag_samples, message_count, topics_of
from gait_twin.nodes.source import SourceNode
from gait_twin.recording import open_bag, save
from gait_twin.simulation import SensorSettings, WalkSettings, simulate


class VirtualSubjectNode(SourceNode):
    """Simulates the whole walk first, then plays it from a bag of its own, as `replay` does."""

    def __init__(self) -> None:
        super().__init__("virtual_subject")
        walk = declare(self, WalkSettings, prefix="walk.")
        sensors = declare(self, SensorSettings, prefix="sensors.")
        said = [0]

        def tell(share: float) -> None:
            if share * 4 >= said[0] + 1:
                said[0] = int(share * 4)
                self.get_logger().info(f"Simulating {walk.duration_s:.0f} s: {100 * share:.0f} %")

        recording = simulate(walk, sensors, progress=tell)
        self._folder = tempfile.TemporaryDirectory(prefix="gait_twin_virtual_subject_")
        path = Path(self._folder.name) / "walk"
        save(recording, path)
        self._bag = open_bag(path)
        chosen = topics_of(self._bag, ReplaySettings())
        self.play(list(chosen.values()), bag_samples(self._bag, chosen), message_count(self._bag, chosen))

    def close(self) -> None:
        """Remove the bag."""
        if hasattr(self, "_bag"):
            self._bag.close()
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(VirtualSubjectNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
