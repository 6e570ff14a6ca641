"""Many images: a bounded number in flight, verdicts as they finish, the input pulled no faster than they are taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Failure:
    """What ends the run early: an error of the input's own, or a fault of ours."""

    error: BaseException


class _End:
    """One worker has found the input empty."""


async def iterate(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """Either kind of iterable, pulled one item at a time."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    for item in items:
        yield item


class _Run(Generic[Item, Result]):
    """Workers over one shared input; ``slots`` counts what is in flight or finished and not yet taken."""

    def __init__(
        self, work: Callable[[Item, int], Awaitable[Result]], items: AsyncIterator[Item], *, concurrency: int
    ) -> None:
        self._work = work
        self._items = items
        self._slots = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self._position = 0
        self._exhausted = False
        self.finished: asyncio.Queue[Result | _Failure | _End] = asyncio.Queue()

    def taken(self) -> None:
        """One result has left the run: another item may enter."""
        self._slots.release()

    async def worker(self) -> None:
        """Take item after item until there is none."""
        try:
            async for item, position in self._take():
                self.finished.put_nowait(await self._work(item, position))
            self._slots.release()  # wakes the next worker that waits, to find the input empty too
            self.finished.put_nowait(_End())
        except Exception as error:  # noqa: BLE001  # raised again where the results are taken
            self.finished.put_nowait(_Failure(error))

    async def _take(self) -> AsyncIterator[tuple[Item, int]]:
        while True:
            await self._slots.acquire()
            async with self._turn:
                if self._exhausted:
                    return
                try:
                    item = await anext(self._items)
                except StopAsyncIteration:
                    self._exhausted = True
                    return
                position, self._position = self._position, self._position + 1
            yield item, position


async def run_many(
    work: Callable[[Item, int], Awaitable[Result]], items: Iterable[Item] | AsyncIterable[Item], *, concurrency: int
) -> AsyncGenerator[Result, None]:
    """Results of ``work(item, position)`` as they finish; closing it cancels what is in flight.

    Raises ValueError for a concurrency below 1, and whatever the input's own iteration raises.
    """
    if concurrency < 1:
        raise ValueError("a concurrency is at least 1")
    source = iterate(items)
    run = _Run(work, source, concurrency=concurrency)
    workers = [asyncio.create_task(run.worker()) for _ in range(concurrency)]
    try:
        running = concurrency
        while running:
            match await run.finished.get():
                case _End():
                    running -= 1
                case _Failure(error=error):
                    raise error
                case result:
                    run.taken()
                    yield result
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await source.aclose()  # type: ignore[attr-defined]  # iterate() is an async generator


class OrderedWindow:
    """Puts results back into input order, and holds the input when one slow item would let the rest pile up."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._read = 0
        self._emitted = 0
        self._moved = asyncio.Event()

    async def gate(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
        """``items``, at most ``size`` ahead of what ``order`` has given out."""
        async for item in iterate(items):
            while self._read - self._emitted >= self._size:
                self._moved.clear()
                await self._moved.wait()
            self._read += 1
            yield item

    async def order(
        self, results: AsyncIterable[Result], *, position: Callable[[Result], int]
    ) -> AsyncGenerator[Result, None]:
        """``results`` by rising position, from 0 without a gap."""
        early: dict[int, Result] = {}
        async for result in results:
            early[position(result)] = result
            while self._emitted in early:
                ready = early.pop(self._emitted)
                self._emitted += 1
                self._moved.set()
                yield ready
        for at in sorted(early):  # the run was cut: what is left has gaps, and is still shown
            yield early[at]
