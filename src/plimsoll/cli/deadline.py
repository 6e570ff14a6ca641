"""``--command-timeout``: the end of a command, whatever it is about, by the system's alarm."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class OutOfTime(KeyboardInterrupt):
    """Raised wherever the command is when its time is over: like Ctrl-C it passes every ``except Exception``."""


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Bound what is done inside; raises OutOfTime there. None is no bound.

    An alarm that somebody else has set waits for so long.
    """
    if seconds is None:
        yield
        return
    others = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        lift()
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *others)


def is_set() -> bool:
    """Whether ``within`` bounds what is done now, so that a SIGALRM may come."""
    return signal.getsignal(signal.SIGALRM) is _ring


def lift() -> None:
    """Turn the alarm of ``within`` off."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _ring(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as signal.signal calls it
    raise OutOfTime
