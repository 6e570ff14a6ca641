"""Keys that are no files, read for a whole run: once each, and never on the event loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from plimsoll.config.files import ConfigFile
from plimsoll.errors import UnreadableKeyError


class FetchedKeys:
    """Remembers what came of each reference, a failure too. For one event loop.

    ``read`` blocks for as long as a KMS or a token takes; raises UnreadableKeyError.
    """

    def __init__(self, read: Callable[[str], ConfigFile], *, executor: Executor) -> None:
        self._read_one = read
        self._executor = executor
        self._reading: dict[str, asyncio.Future[bytes | UnreadableKeyError]] = {}

    async def fetch(self, references: Iterable[str]) -> None:
        """Wait until all are read, or have failed; whoever is cancelled leaves the reading to the others."""
        loop = asyncio.get_running_loop()
        waiting = set()
        for reference in references:
            if reference not in self._reading:
                self._reading[reference] = loop.run_in_executor(self._executor, self._attempt, reference)
            waiting.add(self._reading[reference])
        if waiting:
            await asyncio.wait(waiting)

    def read(self, reference: str) -> bytes:
        """What was fetched; raises UnreadableKeyError as the reading did."""
        found = self._reading[reference].result()
        if isinstance(found, UnreadableKeyError):
            raise UnreadableKeyError(str(found))
        return found

    def _attempt(self, reference: str) -> bytes | UnreadableKeyError:
        try:
            return self._read_one(reference).data
        except UnreadableKeyError as error:
            return error
