"""A clock that moves only when somebody sleeps."""

from __future__ import annotations

import asyncio


class Clock:
    """``sleep``, ``monotonic`` and ``wall_s`` to inject; ``slept`` is every wait, in order."""

    def __init__(self, *, wall_s: float = 1_700_000_000.0) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._wall_s = wall_s
        self._frozen: asyncio.Event | None = None

    def freeze(self) -> None:
        """From now on whoever sleeps sleeps until ``thaw``."""
        self._frozen = asyncio.Event()

    def thaw(self) -> None:
        assert self._frozen is not None
        self._frozen.set()

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        self.slept.append(seconds)
        await (asyncio.sleep(0) if self._frozen is None else self._frozen.wait())
        self.now = max(self.now, until)

    def monotonic(self) -> float:
        return self.now

    def wall_s(self) -> float:
        return self._wall_s + self.now - 1000.0
