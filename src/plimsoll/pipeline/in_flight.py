"""InFlight: what is under way while a Verifier is entered, so that leaving it ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")


class InFlight:
    """The waits and the runs of one stay in a Verifier; ``end`` cuts them short, once."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self._waits: set[Wait] = set()
        self._paused: set[AsyncGenerator[object, None]] = set()
        self._unwound = asyncio.Event()

    def wait(self) -> Wait:
        """A ``with`` block round what one task awaits: ``end`` cancels that, and no more of the task."""
        return Wait(self._waits, unwound=self._unwound)

    async def until_left(self, items: AsyncGenerator[Item, None]) -> AsyncGenerator[Item, None]:
        """``items``; RuntimeError from where the Verifier was left: what was cut must never look like all."""
        try:
            while not self._over.is_set():
                with self.wait() as wait:
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                if wait.cut:
                    break
                self._paused.add(items)
                yield item
                if self._over.is_set():
                    break
                self._paused.discard(items)
            raise RuntimeError("the Verifier was left before the end of what it was to give: take all inside")
        finally:
            if items in self._paused:  # else it has ended, or `end` closes it
                self._paused.discard(items)
                await items.aclose()

    async def end(self) -> None:
        """Cancel every wait, close every run that nobody waits for, and return when all of it is undone."""
        self._over.set()
        for wait in self._waits:
            wait.cut_short()
        while self._paused:
            await self._paused.pop().aclose()
        while self._waits:
            self._unwound.clear()
            await self._unwound.wait()


class Wait:
    """One wait of one task; ``cut`` says that it was ended from outside, and then its cancellation stops here.

    The task itself goes on, as with ``asyncio.timeout``: a cancellation that is its own passes.
    """

    __slots__ = ("_cancelling", "_task", "_unwound", "_waits", "cut")

    def __init__(self, waits: set[Wait], *, unwound: asyncio.Event) -> None:
        self._waits = waits
        self._unwound = unwound
        self.cut = False

    def cut_short(self) -> None:
        """Cancel what the task awaits inside the block."""
        self.cut = True
        self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Verifier is used in a task of asyncio")
        self._task = task
        self._cancelling = task.cancelling()
        self._waits.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._waits.discard(self)
        if not self._waits:
            self._unwound.set()
        return self.cut and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError
