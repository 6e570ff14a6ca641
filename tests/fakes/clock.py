"""A clock that moves only when somebody sleeps."""

from __future__ import annotations

import asyncio


class Clock:
    """``sleep``, ``monotonic`` and ``wall_s`` to inject; ``slept`` is every wait, in order."""

    def __init__(self, *, wall_s: float = 1_700_000_000.0) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._wall_s = wall_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def monotonic(self) -> float:
        return self.now

    def wall_s(self) -> float:
        return self._wall_s + self.now - 1000.0
