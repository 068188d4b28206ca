"""Ctrl-C and SIGTERM as a question that a long job asks, so that it can end in good order."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether the user or the system wants this process to end."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """True once a signal has come."""
        return self.asked

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take one signal; a second one ends the process at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("\nfinishing the batch in hand; once more to quit at once", file=sys.stderr)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """While this is open, SIGINT and SIGTERM set a `Stop` instead of ending the process."""
    stop = Stop()
    before = {number: signal.signal(number, stop.handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
