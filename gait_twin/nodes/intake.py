"""Takes many messages at one wake-up: waking for each of them costs more than most of them need."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.subscription import Subscription

PASSES = 64
RESTS = 10
"""At most so many messages of each subscription are taken at once, and so many times after a rest; then timers and
services get their turn."""


class Intake:
    """Subscriptions that are emptied together, in turn, so that none gets ahead of the others.

    Parameters
    ----------
    done
        Called after each round of messages.
    rest_s
        A node that nobody waits for sleeps so long after each round, and finds more messages at the next one: it
        leaves the processor to those that a controller waits for.

    Attributes
    ----------
    received_ns
        When the message that is handed over reached this process, Unix time in ns; 0 where that is not known: of the
        first one of a wake-up, which came before the others of its topic.
    """

    def __init__(self, done: Callable[[], None], rest_s: float = 0.0) -> None:
        self._done, self._rest_s = done, rest_s
        self.received_ns = 0
        self._subscriptions: list[tuple[Subscription, Callable[[Any], None]]] = []

    def waker(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """Callback to subscribe with; `add` the subscription then."""

        def wake(message: Any) -> None:
            self.received_ns = 0  # executors of events do not hand over what the middleware tells of a message
            callback(message)
            self._take_rest()
            self._done()
            for _ in range(RESTS if self._rest_s else 0):
                time.sleep(self._rest_s)
                if not self._take_rest():
                    break
                self._done()

        return wake

    def add(self, subscription: Subscription, callback: Callable[[Any], None]) -> None:
        """Let a subscription be emptied with the others."""
        self._subscriptions.append((subscription, callback))

    def _take_rest(self) -> bool:
        """Take what else is there, and tell whether there was any."""
        for number in range(PASSES):
            if not sum(self._take(*each) for each in self._subscriptions):  # each, also when one had a message
                return number > 0
        return True

    def _take(self, subscription: Subscription, callback: Callable[[Any], None]) -> bool:
        handle = subscription.handle
        with handle:
            taken = handle.take_message(subscription.msg_type, subscription.raw)
        if taken is None:
            return False
        self.received_ns = taken[1]["received_timestamp"]
        callback(taken[0])
        return True
