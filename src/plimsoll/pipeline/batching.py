"""Batcher: many small pieces of CPU work, handed to a thread pool a list at a time.

A hand-over costs some 50 microseconds and a wake-up of the event loop; what arrives while the workers are busy goes
together, so the lists grow exactly when the load does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs ``work`` over lists of at most ``most`` items, at most ``workers`` lists at a time.

    ``work`` gives one result an item, in order, and does not raise; should it, every item of the list gets the error,
    as it does where the executor takes no more work.
    """

    def __init__(
        self, work: Callable[[list[Item]], list[Result]], *, executor: Executor, workers: int, most: int
    ) -> None:
        self._work = work
        self._executor = executor
        self._workers = workers
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running = 0
        self._flush_due = False

    async def submit(self, item: Item) -> Result:
        """The result for one item; a cancelled caller's item may still be worked on, its result is dropped."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if not self._flush_due and self._running < self._workers:
            self._flush_due = True
            loop.call_soon(self._flush, loop)
        return await future

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._flush_due = False
        while self._waiting and self._running < self._workers:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            batch = [pair for pair in batch if not pair[1].cancelled()]
            if not batch:
                continue
            futures = [future for _, future in batch]
            try:
                done = loop.run_in_executor(self._executor, self._work, [item for item, _ in batch])
            except RuntimeError as error:  # the executor was shut down under a caller who still waits
                _fail(futures, error)
                continue
            self._running += 1
            done.add_done_callback(partial(self._deliver, loop, futures))

    def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: list[asyncio.Future[Result]],
        done: asyncio.Future[list[Result]],
    ) -> None:
        self._running -= 1
        if done.cancelled():
            for future in futures:
                future.cancel()
        elif (error := done.exception()) is not None:
            _fail(futures, error)
        elif len(results := done.result()) != len(futures):
            _fail(futures, RuntimeError(f"{len(results)} results for {len(futures)} items"))
        else:
            for future, result in zip(futures, results, strict=True):
                if not future.done():
                    future.set_result(result)
        if self._waiting:
            self._flush(loop)


def _fail(futures: list[asyncio.Future[Result]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
