"""One run of ``plimsoll verify``: intake, verdicts, output, the way it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

from plimsoll import native
from plimsoll.cli import deadline, open_files
from plimsoll.cli.deliver import Delivery
from plimsoll.cli.formats import FORMATS, Format
from plimsoll.cli.outbox import Outbox
from plimsoll.cli.progress import Progress, stderr_has_room
from plimsoll.errors import DeliveryError
from plimsoll.model.settings import Settings
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.model.verdict import Outcome, Verdict
from plimsoll.pipeline.batch import OrderedWindow
from plimsoll.pipeline.intake import Entry, Listing, TagExpansion, read_entry
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier
from plimsoll.report.escape import printable
from plimsoll.report.exit_codes import INTERRUPTED, REJECTED, TERMINATED, UNDETERMINED, USAGE, exit_code
from plimsoll.report.run_facts import RunFacts
from plimsoll.report.sarif import ListedAt
from plimsoll.report.shortfall import Ending
from plimsoll.report.summary import Summary

TICK_S: Final = 0.5
"""How often progress is thought of while nothing happens."""
WINDOW: Final = 1024
"""Verdicts kept back for their turn in ordered output; a record is about a kilobyte."""
PATIENCE_S: Final = 1.0
"""How long a cut run waits for a reader of its report that takes nothing more."""


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
    """Run it on an event loop of its own; returns the exit code. Raises UsageError where no loop can be had."""
    open_files.require_room()
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
        self._started_s = time.time()
        self._cut: signal.Signals | None = None
        self._failed_fast = False
        self._all_read = False
        self._listing = Listing(order.images, order.lists)
        self._listed: dict[int, ListedAt] = {}
        self._tags: TagExpansion | None = None

    async def run(self) -> int:
        """Verify everything, print everything, say how it ended."""
        order = self._order
        async with Verifier(order.policy, trust=order.trust, settings=order.settings) as verifier:
            # Opened last: what is wrong with the order must not empty the report of an earlier run.
            delivery = Delivery.to(order.output, reading=order.lists)
            outbox = Outbox(delivery)
            try:
                with self._signals():
                    return await self._deliver(verifier, delivery, outbox)
            finally:
                outbox.close()

    async def _deliver(self, verifier: Verifier, delivery: Delivery, outbox: Outbox) -> int:
        progress = Progress(self._order.progress, total=self._total())
        with closing(self._printer(delivery, outbox, progress)) as printer:
            try:
                await self._consume(verifier, printer, outbox, progress)
                self._finish(verifier)
                if not await self._hand_over(outbox, printer.summary(self._summary, ending=self._ending())):
                    self._tell_undelivered(delivery, f"{delivery.name}: nobody reads it")
            except DeliveryError as error:
                self._tell_undelivered(delivery, str(error))
                return USAGE
        return self._exit_code()

    def _printer(self, delivery: Delivery, outbox: Outbox, progress: Progress) -> Format:
        def beside_the_bar(text: str) -> None:
            outbox.put(progress.over(text))

        write = beside_the_bar if delivery.is_terminal and sys.stderr.isatty() else outbox.put
        order = self._order
        facts = RunFacts(policy=order.policy.digest, backend=native.BACKEND, started_s=self._started_s)
        is_wanted = order.output is not None or not order.quiet
        return FORMATS[order.format](write if is_wanted else _drop, run=facts, listed=self._where_listed)

    def _where_listed(self, verdict: Verdict) -> ListedAt | None:
        return self._listed.pop(verdict.position, None)

    async def _hand_over(self, outbox: Outbox, rest: Iterator[None]) -> bool:
        """Print the ``rest``, and wait until the report is written.

        A cut run waits for a reader only while that one reads, and then is False.
        Ctrl-C cuts this waiting too, and another ends it.
        """
        for patience_s in (None if self._cut is None else PATIENCE_S, PATIENCE_S):
            try:
                await asyncio.sleep(0)  # an interruption that came with the last verdict comes here
                for _ in rest:
                    if not await outbox.room(patience_s=patience_s):
                        return False
                return await outbox.sent(patience_s=patience_s)
            except asyncio.CancelledError:
                self._resume()
        return outbox.is_empty

    def _exit_code(self) -> int:
        """Say on stderr why a run came to less than was asked, and give its exit code."""
        if self._listing.broken is not None:
            sys.stderr.write(
                f"plimsoll: {printable(str(self._listing.broken))}; what it lists after that is not judged\n"
            )
        if self._cut is signal.SIGALRM:
            sys.stderr.write("plimsoll: the time of --command-timeout is over: what is left is not judged\n")
        if self._cut is None and self._listing.broken is None and self._summary.images + self._summary.not_judged == 0:
            sys.stderr.write("plimsoll: the list is empty: no image was verified\n")
        return self._ending().exit_code

    def _ending(self) -> Ending:
        match self._cut:
            case signal.SIGINT:
                return Ending(exit_code=INTERRUPTED, cut=True)
            case signal.SIGTERM:
                return Ending(exit_code=TERMINATED, cut=True)
            case signal.SIGALRM:
                return Ending(exit_code=REJECTED if self._summary.rejected else UNDETERMINED, cut=True)
            case _ if self._listing.broken is not None:
                return Ending(exit_code=USAGE, cut=True)
            case _:
                # A list is not read on to see whether it has ended: there may be more.
                return Ending(exit_code=self._exit_code_of_all(), cut=self._failed_fast and not self._all_read)

    def _exit_code_of_all(self) -> int:
        order = self._order
        return exit_code(self._summary, single=len(order.images) == 1 and not order.lists and not order.all_tags)

    def _finish(self, verifier: Verifier) -> None:
        self._summary.seconds = time.monotonic() - self._started
        self._summary.not_judged = self._read - self._summary.images
        self._summary.requests += verifier.listing.requests
        self._summary.bytes += verifier.listing.bytes
        if self._tags is not None:
            self._summary.attachments = self._tags.attachments
            self._summary.not_judged += self._tags.cut  # at least one tag, nobody knows how many

    def _tell_undelivered(self, delivery: Delivery, why: str) -> None:
        written = min(delivery.texts, self._summary.images)
        if self._cut is not None and not stderr_has_room():
            return  # the reader that has stalled may be that of stderr too
        sys.stderr.write(
            f"plimsoll: {printable(why)}; {written} verdicts were written, "
            f"{self._read - written} more references had been read and are not reported\n"
        )

    async def _consume(self, verifier: Verifier, printer: Format, outbox: Outbox, progress: Progress) -> None:
        self._tick(progress, outbox)
        try:
            async with aclosing(self._verdicts(verifier, ordered=printer.ordered)) as verdicts:
                async for verdict in verdicts:
                    self._show(progress, outbox)
                    printer.verdict(verdict)
                    self._summary.add(verdict)
                    await outbox.room()
        except asyncio.CancelledError:
            self._resume()
        finally:
            self._next_tick.cancel()
            progress.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and the end of ``--command-timeout`` cut the run, and what is done is still printed."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        is_bounded = deadline.is_set()
        numbers = (signal.SIGINT, signal.SIGTERM, *((signal.SIGALRM,) if is_bounded else ()))
        for number in numbers:
            loop.add_signal_handler(number, self._interrupt, task, number)
        try:
            yield
        finally:
            if is_bounded:
                deadline.lift()  # before the handler goes: without one it would kill the process
            for number in numbers:
                loop.remove_signal_handler(number)

    def _tick(self, progress: Progress, outbox: Outbox) -> None:
        """Tell where the run is also while no verdict falls: a stalled run must not look like a dead one."""
        self._show(progress, outbox)
        self._next_tick = asyncio.get_running_loop().call_later(TICK_S, self._tick, progress, outbox)

    def _show(self, progress: Progress, outbox: Outbox) -> None:
        if outbox.is_empty or not outbox.is_terminal:  # else a verdict could come to stand behind the bar
            progress.update(self._summary)

    def _interrupt(self, task: asyncio.Task[object], number: signal.Signals) -> None:
        self._cut = self._cut or number
        task.cancel()

    def _resume(self) -> None:
        """Go on after an interruption, to print what was reached; raises where the cancellation is somebody else's."""
        if self._cut is None:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
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
                    self._failed_fast = True
                    return
        except asyncio.CancelledError:
            self._resume()

    async def _counted(self, verifier: Verifier) -> AsyncGenerator[Entry, None]:
        async with aclosing(self._listing.texts()) as texts, aclosing(self._entries(verifier, texts)) as entries:
            async for entry in entries:
                if self._order.format == "sarif" and (place := self._listing.place) is not None:
                    self._note(place)
                self._read += 1
                self._all_read = self._read == self._total()
                yield entry
            self._all_read = True

    def _note(self, place: tuple[str, int]) -> None:
        """A report names a list by its path below the working directory: what lies elsewhere it cannot name."""
        name, line = place
        with suppress(OSError):  # of a working directory that is no more
            path = os.path.relpath(name)
            if name != "-" and not path.startswith(os.pardir + os.sep):
                self._listed[self._read] = ListedAt(path=path, line=line)

    async def _entries(self, verifier: Verifier, texts: AsyncIterator[str]) -> AsyncGenerator[Entry, None]:
        if not self._order.all_tags:
            async for text in texts:
                yield read_entry(text)
            return
        self._tags = TagExpansion(verifier.tags, patterns=self._order.tag_patterns)
        async with aclosing(self._tags.expand(texts)) as entries:
            async for entry in entries:
                yield entry

    def _total(self) -> int | None:
        return None if self._order.lists or self._order.all_tags else len(self._order.images)


def _position(verdict: Verdict) -> int:
    return verdict.position


def _drop(text: str) -> None:
    """Where ``--quiet`` sends the verdicts, if no ``--output`` asks for them."""
