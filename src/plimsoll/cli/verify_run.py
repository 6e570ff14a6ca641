"""One run of ``plimsoll verify``: intake, verdicts, output, the way it ends."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import BinaryIO, Final

from plimsoll import native
from plimsoll.cli.deliver import Delivery
from plimsoll.cli.formats import FORMATS, Format
from plimsoll.cli.progress import Progress
from plimsoll.errors import DeliveryError
from plimsoll.model.settings import Settings
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.model.verdict import Outcome, Verdict
from plimsoll.pipeline.batch import OrderedWindow
from plimsoll.pipeline.intake import Entry, TagExpansion, lines_of, read_entry
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier
from plimsoll.report.escape import printable
from plimsoll.report.exit_codes import INTERRUPTED, USAGE, exit_code
from plimsoll.report.summary import Summary

TICK_S: Final = 0.5
"""How often progress is thought of while nothing happens."""
WINDOW: Final = 1024
"""Verdicts kept back for their turn in ordered output; a record is about a kilobyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one run is to do."""

    policy: Policy
    trust: TrustRoot | None
    settings: Settings
    images: tuple[str, ...]
    lists: tuple[BinaryIO, ...]
    all_tags: bool
    tag_patterns: tuple[str, ...]
    fail_fast: bool
    format: str
    output: str | None
    quiet: bool
    progress: str


def run_order(order: Order) -> int:
    """Run it on an event loop of its own; returns the exit code."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_Run(order).run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  # only here: a library installs no loop
    except ImportError:
        return None  # a platform without uvloop (its marker in pyproject.toml) runs on asyncio's own loop
    return uvloop.new_event_loop


class _Run:
    """The run and its counts."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._summary = Summary()
        self._read = 0
        self._started = time.monotonic()
        self._interrupted = False
        self._tags: TagExpansion | None = None

    async def run(self) -> int:
        """Verify everything, print everything, say how it ended."""
        order = self._order
        async with Verifier(order.policy, trust=order.trust, settings=order.settings) as verifier:
            # Opened last: what is wrong with the order must not empty the report of an earlier run.
            delivery = Delivery.to(order.output, reading=order.lists)
            try:
                printer = FORMATS[order.format](
                    _drop if order.quiet else delivery.write, policy=order.policy.digest, backend=native.BACKEND
                )
                return await self._deliver(verifier, printer)
            finally:
                delivery.close()

    async def _deliver(self, verifier: Verifier, printer: Format) -> int:
        try:
            await self._consume(verifier, printer)
            self._finish(verifier)
            printer.summary(self._summary)
        except DeliveryError as error:
            return self._undelivered(error)
        if self._interrupted:
            return INTERRUPTED
        if self._summary.images + self._summary.not_judged == 0:
            sys.stderr.write("plimsoll: the list is empty: no image was verified\n")
            return USAGE
        single = len(self._order.images) == 1 and not self._order.lists and not self._order.all_tags
        return exit_code(self._summary, single=single)

    def _finish(self, verifier: Verifier) -> None:
        self._summary.seconds = time.monotonic() - self._started
        self._summary.not_judged = self._read - self._summary.images
        self._summary.requests += verifier.listing.requests
        self._summary.bytes += verifier.listing.bytes
        if self._tags is not None:
            self._summary.attachments = self._tags.attachments

    def _undelivered(self, error: DeliveryError) -> int:
        lost = self._read - self._summary.images
        sys.stderr.write(
            f"plimsoll: {printable(str(error))}; {self._summary.images} verdicts were written, "
            f"{lost} more references had been read and are not reported\n"
        )
        return USAGE

    async def _consume(self, verifier: Verifier, printer: Format) -> None:
        progress = Progress(self._order.progress, total=self._total())
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt, task)
        loop.add_signal_handler(signal.SIGTERM, self._interrupt, task)
        self._tick(loop, progress)
        try:
            async with aclosing(self._verdicts(verifier, ordered=printer.ordered)) as verdicts:
                async for verdict in verdicts:
                    printer.verdict(verdict)
                    self._summary.add(verdict)
                    progress.update(self._summary)
        except asyncio.CancelledError:
            self._resume(task)
        finally:
            self._next_tick.cancel()
            progress.close()
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)

    def _tick(self, loop: asyncio.AbstractEventLoop, progress: Progress) -> None:
        """Tell where the run is also while no verdict falls: a stalled run must not look like a dead one."""
        progress.update(self._summary)
        self._next_tick = loop.call_later(TICK_S, self._tick, loop, progress)

    def _interrupt(self, task: asyncio.Task[object]) -> None:
        self._interrupted = True
        task.cancel()

    def _resume(self, task: asyncio.Task[object]) -> None:
        """Go on after an interruption, to print what was reached; raises where the cancellation is somebody else's."""
        if not self._interrupted:
            raise asyncio.CancelledError
        while task.uncancel():
            pass

    async def _verdicts(self, verifier: Verifier, *, ordered: bool) -> AsyncGenerator[Verdict, None]:
        window = OrderedWindow(WINDOW)
        async with (
            aclosing(self._counted(verifier)) as entries,
            aclosing(verifier.verify_many(window.gate(entries) if ordered else entries)) as found,
        ):
            results = self._until_cut(found)
            async for verdict in window.order(results, position=_position) if ordered else results:
                yield verdict

    async def _until_cut(self, found: AsyncIterator[Verdict]) -> AsyncIterator[Verdict]:
        """``found`` until it ends, or until Ctrl-C or ``--fail-fast`` ends it.

        It stands before the ordering: neither waits for a slow image, and what waits for its turn is still printed.
        """
        try:
            async for verdict in found:
                yield verdict
                if self._order.fail_fast and verdict.outcome is not Outcome.ACCEPTED:
                    return
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            self._resume(task)

    async def _counted(self, verifier: Verifier) -> AsyncGenerator[Entry, None]:
        async with aclosing(self._texts()) as texts, aclosing(self._entries(verifier, texts)) as entries:
            async for entry in entries:
                self._read += 1
                yield entry

    async def _entries(self, verifier: Verifier, texts: AsyncIterator[str]) -> AsyncGenerator[Entry, None]:
        if not self._order.all_tags:
            async for text in texts:
                yield read_entry(text)
            return
        self._tags = TagExpansion(verifier.tags, patterns=self._order.tag_patterns)
        async with aclosing(self._tags.expand(texts)) as entries:
            async for entry in entries:
                yield entry

    async def _texts(self) -> AsyncGenerator[str, None]:
        for image in self._order.images:
            yield image
        for stream in self._order.lists:
            async with aclosing(lines_of(stream)) as lines:
                async for text in lines:
                    yield text

    def _total(self) -> int | None:
        return None if self._order.lists or self._order.all_tags else len(self._order.images)


def _position(verdict: Verdict) -> int:
    return verdict.position


def _drop(text: str) -> None:
    """Where ``--quiet`` sends the verdicts."""
