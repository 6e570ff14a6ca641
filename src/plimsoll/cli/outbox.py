"""Outbox: lines on their way to a Delivery, written by a thread of their own.

A reader that stalls holds up that thread and, by and by, the taking of verdicts; never the loop, where the requests'
time runs and Ctrl-C is heard.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from plimsoll import limits
from plimsoll.cli.deliver import Delivery
from plimsoll.errors import DeliveryError


class Outbox:
    """Takes texts at once and writes them in order; made and used on one loop."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self.is_terminal = delivery.is_terminal
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._turn = threading.Condition()
        self._texts: list[str] = []
        self._chars = 0
        self._is_closing = False
        self._error: DeliveryError | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all that was put in is written."""
        return self._chars == 0

    def put(self, text: str) -> None:
        """Have ``text`` written; raises DeliveryError where something before it could not be."""
        self._check()
        with self._turn:
            self._texts.append(text)
            self._chars += len(text)
            self._turn.notify()
        if self._thread is None:
            # A daemon: the process may end while this one waits for a reader.
            self._thread = threading.Thread(target=self._write, name="plimsoll-report", daemon=True)
            self._thread.start()

    async def room(self, *, patience_s: float | None = None) -> bool:
        """Wait while ``limits.REPORT_WAITING_CHARS`` or more wait to be written; else as ``sent``."""
        return await self._sunk_below(limits.REPORT_WAITING_CHARS, patience_s)

    async def sent(self, *, patience_s: float | None = None) -> bool:
        """Wait until all is written; False where nothing more of it was in ``patience_s``. Raises DeliveryError."""
        return await self._sunk_below(1, patience_s)

    async def _sunk_below(self, chars: int, patience_s: float | None) -> bool:
        while self._chars >= chars and self._error is None:
            before = self._delivery.bytes
            try:
                async with asyncio.timeout(patience_s):
                    await self._movement()
            except TimeoutError:
                if self._delivery.bytes == before:
                    return False
        self._check()
        return True

    def close(self) -> None:
        """End the thread, and give the file back; what waits for a reader that has stalled is left as it is."""
        with self._turn:
            self._is_closing = True
            self._turn.notify()
        if self.is_empty or self._error is not None:
            if self._thread is not None:
                self._thread.join()
            self._delivery.close()

    async def _movement(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        while texts := self._next():
            try:
                self._delivery.write(*texts)
            except Exception as error:  # noqa: BLE001  # raised on the loop, which would wait for ever for this thread
                self._error = (
                    error if isinstance(error, DeliveryError) else DeliveryError(f"{self._delivery.name}: {error!r}")
                )
            with self._turn:
                self._chars -= sum(map(len, texts))
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._moved.set)
            if self._error is not None:
                return

    def _next(self) -> list[str]:
        """All that waits, once there is something; nothing at the end."""
        with self._turn:
            while not self._texts and not self._is_closing:
                self._turn.wait()
            texts, self._texts = self._texts, []
            return texts
