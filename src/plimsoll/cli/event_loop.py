"""The event loop of commands that Ctrl-C simply ends; ``verify``, which still has to report, hears it by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")


def run(main: Coroutine[object, object, Result]) -> Result:
    """As ``asyncio.run``, but no signal is slept through; after Ctrl-C, KeyboardInterrupt once ``main`` is undone.

    ``asyncio.run`` (3.11) leaves the loop without a wake-up descriptor: a signal that comes just before the loop waits
    for its descriptors is noted by Python, and handled when something else wakes the loop, which may be never.
    """
    interrupted = False

    async def heard() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            nonlocal interrupted
            if interrupted:  # what is being undone takes too long for who waits
                raise KeyboardInterrupt
            interrupted = True
            if task is not None:
                task.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            return await main
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    try:
        return asyncio.run(heard())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
