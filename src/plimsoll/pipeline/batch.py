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
    """What ends the run early: the input's own error, a fault of ours, or a cancellation that is not the run's."""

    error: BaseException


class _End:
    """One worker has found the input empty."""


async def iterate(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Item, None]:
    """Either kind of iterable, pulled one item at a time."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    for item in items:
        yield item


class _Run(Generic[Item, Result]):
    """Workers over one shared input; ``slots`` counts what is in flight or finished and not yet taken.

    Each worker that finds an item starts the next: a concurrency far above the number of items costs nothing.
    """

    def __init__(
        self, work: Callable[[Item, int], Awaitable[Result]], items: AsyncIterator[Item], *, concurrency: int
    ) -> None:
        self._work = work
        self._items = items
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self._position = 0
        self._exhausted = False
        self.workers: list[asyncio.Task[None]] = []
        self.finished: asyncio.Queue[Result | _Failure | _End] = asyncio.Queue()

    def taken(self) -> None:
        """One result has left the run: another item may enter."""
        self._slots.release()

    def start_worker(self) -> None:
        """One worker more, where the concurrency allows it and the input may have more."""
        if len(self.workers) < self._concurrency and not self._exhausted:
            self.workers.append(asyncio.create_task(self._worker()))

    def drain(self, untaken: Callable[[Result], None]) -> None:
        """Tell ``untaken`` what nobody took."""
        while not self.finished.empty():
            match self.finished.get_nowait():
                case _End() | _Failure():
                    pass
                case result:
                    untaken(result)

    async def _worker(self) -> None:
        """Take item after item until there is none."""
        try:
            while (taken := await self._take()) is not None:
                self.start_worker()
                self.finished.put_nowait(await self._work(*taken))
            self._slots.release()  # wakes the next worker that waits, to find the input empty too
            self.finished.put_nowait(_End())
        except BaseException as error:
            # Raised again where the results are taken; nobody may wait for ever for a worker that is gone.
            self.finished.put_nowait(_Failure(error))
            if not isinstance(error, Exception):
                raise

    async def _take(self) -> tuple[Item, int] | None:
        await self._slots.acquire()
        async with self._turn:
            if self._exhausted:
                return None
            try:
                item = await anext(self._items)
            except StopAsyncIteration:
                self._exhausted = True
                return None
            position, self._position = self._position, self._position + 1
            return item, position


async def run_many(
    work: Callable[[Item, int], Awaitable[Result]],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    concurrency: int,
    untaken: Callable[[Result], None] = lambda _: None,
) -> AsyncGenerator[Result, None]:
    """Results of ``work(item, position)`` as they finish; closing it cancels what is in flight.

    ``untaken`` is told each result that was finished and, since the run is cut, is given to nobody.

    Raises ValueError for a concurrency below 1, whatever the input's own iteration or ``work`` raises, and RuntimeError
    where something else than this run cancelled an item's work.
    """
    if concurrency < 1:
        raise ValueError("a concurrency is at least 1")
    source = iterate(items)
    run = _Run(work, source, concurrency=concurrency)
    run.start_worker()
    try:
        ended = 0
        while ended < len(run.workers):
            match await run.finished.get():
                case _End():
                    ended += 1
                case _Failure(error=asyncio.CancelledError() as error):
                    raise RuntimeError("the work on an item was cancelled, and not by this run") from error
                case _Failure(error=error):
                    raise error
                case result:
                    run.taken()
                    yield result
    finally:
        for task in run.workers:
            task.cancel()
        await asyncio.gather(*run.workers, return_exceptions=True)
        run.drain(untaken)
        await source.aclose()


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
