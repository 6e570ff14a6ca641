"""ByteBudget: how many bytes may be in flight together, whoever wants them."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """A semaphore of bytes, served in the order of asking, so that a large wish is not starved by small ones.

    A wish beyond the total is cut to it: it is served alone rather than never. Whoever holds bytes must not wait for
    more of them.
    """

    __slots__ = ("_free", "_total", "_waiting")

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take_now(self, wanted: int) -> bool:
        """Take ``wanted`` bytes if they are there and nobody waits; else take nothing and say so."""
        if wanted > self._free or self._waiting:
            return False
        self._free -= wanted
        return True

    async def take(self, wanted: int) -> int:
        """Wait for ``wanted`` bytes and say how many were taken: what ``give`` must get back."""
        wanted = min(wanted, self._total)
        if self.take_now(wanted):
            return wanted
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(wanted)
            else:
                self._waiting.remove((wanted, turn))
                self._serve()
            raise
        return wanted

    async def take_beside(self, wanted: int, clock: asyncio.Timeout) -> int:
        """The same, while ``clock`` stands still: waiting for our own room is no delay of the other side's."""
        when = clock.when()
        if when is None or self.take_now(min(wanted, self._total)):
            return await self.take(wanted) if when is None else min(wanted, self._total)
        left_s = when - asyncio.get_running_loop().time()
        clock.reschedule(None)
        taken = await self.take(wanted)
        clock.reschedule(asyncio.get_running_loop().time() + left_s)
        return taken

    def give(self, taken: int) -> None:
        """Give back what ``take`` returned."""
        self._free += taken
        if self._waiting:
            self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, turn = self._waiting[0]
            # A cancelled waiter takes itself out of the queue when it next runs, and serves the rest.
            if turn.cancelled():
                return
            self._waiting.popleft()
            self._free -= wanted
            turn.set_result(None)
