"""Takes many messages at one wake-up: the executor alone prepares a wait over everything for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.subscription import Subscription

PASSES = 64
"""At most so many messages of each subscription are taken at once; then timers and services get their turn."""


class Intake:
    """Subscriptions that are emptied together, in turn, so that none gets ahead of the others.

    Parameters
    ----------
    done
        Called after each round of messages.
    """

    def __init__(self, done: Callable[[], None] | None = None) -> None:
        self._done = done
        self._subscriptions: list[tuple[Subscription, Callable[[Any], None]]] = []

    def waker(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """Callback to subscribe with; `add` the subscription then."""

        def wake(message: Any) -> None:
            callback(message)
            self._take_rest()

        return wake

    def add(self, subscription: Subscription, callback: Callable[[Any], None]) -> None:
        """Let a subscription be emptied with the others."""
        self._subscriptions.append((subscription, callback))

    def _take_rest(self) -> None:
        for _ in range(PASSES):
            any_taken = False
            for subscription, callback in self._subscriptions:
                handle = subscription.handle
                with handle:
                    taken = handle.take_message(subscription.msg_type, subscription.raw)
                if taken is not None:
                    callback(taken[0])
                    any_taken = True
            if not any_taken:
                break
        if self._done is not None:
            self._done()
