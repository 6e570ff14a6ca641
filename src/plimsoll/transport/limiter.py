"""Limiter: how much of one host may be used at once, shared by all its traffic."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from plimsoll import limits


class Limiter:
    """At most ``connections`` requests at once, spaced to ``requests_per_s``, none while the host is held.

    The host is held only when more than a tenth of its last replies were 429 (cli.md, "Defaults"): a single 429 is the
    business of the request that got it.
    """

    __slots__ = ("_free", "_held_until", "_interval_s", "_monotonic", "_next_at", "_refused", "_replies", "_sleep")

    def __init__(
        self,
        *,
        connections: int,
        requests_per_s: float | None,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._free = asyncio.Semaphore(connections)
        self._interval_s = 1.0 / requests_per_s if requests_per_s else 0.0
        self._next_at = 0.0
        self._held_until = 0.0
        self._replies: deque[bool] = deque(maxlen=limits.HOST_WINDOW)
        self._refused = 0
        self._sleep = sleep
        self._monotonic = monotonic

    async def enter(self) -> None:
        """Wait for a place; each ``enter`` that returned needs one ``leave``."""
        await self._free.acquire()
        if self._interval_s or self._held_until:
            try:
                await self._pace()
            except BaseException:
                self._free.release()
                raise

    def leave(self) -> None:
        """Give the place back."""
        self._free.release()

    async def _pace(self) -> None:
        while (wait_s := self._held_until - self._monotonic()) > 0:
            await self._sleep(wait_s)
        self._held_until = 0.0
        if not self._interval_s:
            return
        now = self._monotonic()
        at = max(now, self._next_at)
        self._next_at = at + self._interval_s
        if at > now:
            await self._sleep(at - now)

    def note(self, *, refused: bool) -> None:
        """Count one reply; ``refused`` says whether it was a 429."""
        replies = self._replies
        if len(replies) == limits.HOST_WINDOW and replies[0]:
            self._refused -= 1
        replies.append(refused)
        self._refused += refused

    def hold(self, seconds: float) -> None:
        """Stop all traffic for so long, if the host has been refusing more than a tenth of it."""
        seen = len(self._replies)
        if seen >= limits.HOST_WINDOW_LEAST and self._refused * 10 > seen:
            self._held_until = max(self._held_until, self._monotonic() + seconds)
