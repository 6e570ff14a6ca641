"""EvidenceBudget: how much may lie in memory together of all images that are gathered and not judged yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from plimsoll import limits


class EvidenceShare:
    """What one image holds of a budget; ``take`` before reading, or where the size is not known before, when read."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: EvidenceBudget) -> None:
        self._budget = budget
        self.held = 0

    async def take(self, wanted: int) -> None:
        """Wait until the image may hold ``wanted`` bytes more."""
        await self._budget.take(wanted, share=self)


class EvidenceBudget:
    """One a run. Together the images hold at most ``total`` bytes, and one of them what its places may have beyond.

    Images wait in the order of asking, also those that hold some already. So that they cannot wait for one another, the
    first that finds no room goes on beyond the total: it waits no more until it is judged, and what it then gives back
    lets others go on. Waiting is between requests, so no time-out runs.
    """

    def __init__(self, total: int = limits.EVIDENCE_IN_FLIGHT) -> None:
        self._free = total
        self._beyond: EvidenceShare | None = None
        self._waiting: deque[tuple[int, EvidenceShare, asyncio.Future[None]]] = deque()

    @contextmanager
    def share(self) -> Iterator[EvidenceShare]:
        """An image's part, given back when it is judged, or lost."""
        share = EvidenceShare(self)
        try:
            yield share
        finally:
            self._free += share.held
            share.held = 0
            if self._beyond is share:
                self._beyond = None
            self._serve()

    async def take(self, wanted: int, *, share: EvidenceShare) -> None:
        """Wait until ``share`` may hold ``wanted`` bytes more."""
        if share is self._beyond:
            return
        if not self._waiting and wanted <= self._free:
            self._grant(wanted, share)
            return
        turn = asyncio.get_running_loop().create_future()
        wish = (wanted, share, turn)
        self._waiting.append(wish)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if wish in self._waiting:
                self._waiting.remove(wish)
                self._serve()
            raise

    def _grant(self, wanted: int, share: EvidenceShare) -> None:
        self._free -= wanted
        share.held += wanted

    def _serve(self) -> None:
        while self._waiting:
            wanted, share, turn = self._waiting[0]
            if wanted <= self._free:
                self._grant(wanted, share)
            elif self._beyond is None:
                self._let_beyond(share)
                continue
            else:
                return
            self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

    def _let_beyond(self, share: EvidenceShare) -> None:
        """All the wishes of ``share`` are granted: what of them stood behind another image's would wait for itself."""
        self._beyond = share
        for _, whose, turn in self._waiting:
            if whose is share and not turn.done():
                turn.set_result(None)
        self._waiting = deque(wish for wish in self._waiting if wish[1] is not share)
