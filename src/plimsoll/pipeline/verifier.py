"""Verifier: the library's way in. One a run; it owns everything the run needs and gives it back on exit."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Self

from plimsoll.config.keys import read_key_file
from plimsoll.config.registries_d import RegistriesD, read_registries_d
from plimsoll.model.reference import DockerReference, Reference
from plimsoll.model.settings import Layers, Settings
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.model.verdict import Reason, Verdict
from plimsoll.pipeline.batch import run_many
from plimsoll.pipeline.batching import Batcher
from plimsoll.pipeline.diff_ids import DiffIdHasher, advance_each
from plimsoll.pipeline.fetched_keys import FetchedKeys
from plimsoll.pipeline.in_flight import InFlight
from plimsoll.pipeline.intake import Entry, Unread, read_entry
from plimsoll.pipeline.judging import judge_batch
from plimsoll.pipeline.key_references import read_key_reference
from plimsoll.pipeline.layers import BlobHasher, hash_batch
from plimsoll.pipeline.platforms import IndexRule
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.reach import Reach
from plimsoll.pipeline.requirements_at import RequirementsAt
from plimsoll.pipeline.trusted_root import read_public_good_root
from plimsoll.pipeline.verify import Bench, Watch, verify_reference
from plimsoll.signatures.trust_index import TrustIndex, index_root
from plimsoll.transport.base import Meter

JUDGED_AT_ONCE = 64
"""Images a hand-over to the judging threads; more would let one list wait for too long behind another."""
_LEFT: Final = Reason(code="not-judged", message="the Verifier was left before this image was judged")


class Verifier:
    """Verifies images by one policy; an async context manager, shared by any number of tasks of one loop.

    Entering raises ConfigError or UsageError for what cannot work at all, RuntimeError where it is entered already. No
    image makes ``verify`` raise. Leaving ends what is in flight: a ``verify`` that still waits gives an undetermined
    verdict (not-judged), a ``verify_many`` that is not at its end raises RuntimeError where it is taken from.
    """

    def __init__(self, policy: Policy, *, trust: TrustRoot | None = None, settings: Settings | None = None) -> None:
        self._policy = policy
        self._trust = trust
        self._settings = settings or Settings()
        self._bench: Bench | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._key_threads: ThreadPoolExecutor | None = None
        self._reach: Reach | None = None
        self._in_flight = InFlight()
        self.listing = Meter()
        """What no verdict's ``requests`` hold: what ``tags`` has cost, and images whose judging was cut short."""

    async def __aenter__(self) -> Self:
        if self._bench is not None:
            raise RuntimeError("this Verifier is entered already: share it, or make another")
        settings = self._settings
        settings.check()
        root = self._root()
        indexes = IndexRule.of(settings)
        # A thread of their own, which starts when it is needed: a slow KMS keeps no image from being judged.
        self._key_threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plimsoll-keys")
        read_reference = partial(read_key_reference, environ=os.environ, offline=settings.offline)
        requirements = RequirementsAt(
            policy=self._policy,
            trust=root,
            registries_d=self._registries_d(),
            read_key=read_key_file,
            fetched=FetchedKeys(read_reference, executor=self._key_threads),
        )
        reach = self._reach = Reach(settings, environ=os.environ)
        workers = _processors()
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="plimsoll")
        self._in_flight = InFlight()
        self._bench = Bench(
            transports=reach.transports,
            ready_for=requirements.at,
            judges=Batcher(judge_batch, executor=self._threads, workers=workers, most=JUDGED_AT_ONCE),
            hasher=_hasher(settings.layers, executor=self._threads, workers=workers),
            layers=settings.layers,
            indexes=indexes,
            now=time.time,
            monotonic=time.monotonic,
            unjudged=self.listing,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bench = None
        pools = [self._threads, self._key_threads]
        self._threads = self._key_threads = None
        reach, self._reach = self._reach, None
        try:
            await self._in_flight.end()
        finally:
            try:
                if reach is not None:
                    await reach.aclose()
            finally:
                for threads in filter(None, pools):
                    threads.shutdown(wait=True, cancel_futures=True)

    async def verify(
        self,
        image: str | Entry,
        *,
        position: int = 0,
        watch: Watch | None = None,
        indexes: IndexRule | None = None,
    ) -> Verdict:
        """The verdict for one image; a text that is no reference is an undetermined verdict, another type a TypeError.

        ``watch`` is told what each manifest was judged by, as ``plimsoll policy explain`` shows it. ``indexes`` is for
        this image what the settings' platform and index policy are for the run.
        """
        entry = _entry_of(image)
        if isinstance(entry, Unread):
            return _unread(entry, position=position)
        bench = self.bench_for(entry)
        if watch is not None or indexes is not None:
            bench = replace(bench, watch=watch or bench.watch, indexes=indexes or bench.indexes)
        with self._in_flight.wait():
            return await verify_reference(bench, entry, position=position)
        return _unread(Unread(text=str(entry), reason=_LEFT), position=position)

    def bench_for(self, reference: Reference) -> Bench:
        """What ``reference`` is verified with; ``--creds`` belong to the first registry host that is asked for here."""
        bench = self._entered()
        if isinstance(reference, DockerReference) and self._reach is not None:
            self._reach.own_credentials(reference)
        return bench

    def verify_many(self, images: Iterable[str | Entry] | AsyncIterable[str | Entry]) -> AsyncGenerator[Verdict, None]:
        """Verdicts as they finish; ``images`` are pulled no faster than verdicts are taken.

        Close it (``contextlib.aclosing``) to cancel what is in flight. Raises TypeError for a single text, which would
        be taken letter by letter, and for bytes.
        """
        if isinstance(images, str | bytes | bytearray | memoryview):
            raise TypeError("one image is no list of images: write [image], or call verify(image) of a Verifier")
        self._entered()
        verdicts = run_many(
            self._verify_at, images, concurrency=self._settings.concurrency, untaken=self._count_untaken
        )
        return self._in_flight.until_left(verdicts)

    def tags(self, repository: DockerReference) -> AsyncGenerator[str, None]:
        """Every tag of a repository, page by page; raises TransportError or ContentError."""
        return self._in_flight.until_left(self._tags(repository))

    async def _tags(self, repository: DockerReference) -> AsyncGenerator[str, None]:
        transports = self._entered().transports
        if self._reach is not None:
            self._reach.own_credentials(repository)
        async with aclosing(transports.open_registry(repository)) as source:
            try:
                async for tag in source.tags():
                    yield tag
            finally:
                self.listing.requests += source.meter.requests
                self.listing.bytes += source.meter.bytes

    async def _verify_at(self, image: str | Entry, position: int) -> Verdict:
        # Without a wait of its own: leaving closes the run, and that cancels the task that is here.
        entry = _entry_of(image)
        if isinstance(entry, Unread):
            return _unread(entry, position=position)
        return await verify_reference(self.bench_for(entry), entry, position=position)

    def _count_untaken(self, verdict: Verdict) -> None:
        self.listing.requests += verdict.requests
        self.listing.bytes += verdict.bytes

    def _entered(self) -> Bench:
        if self._bench is None:
            raise RuntimeError("a Verifier is used inside `async with`")
        return self._bench

    def _root(self) -> TrustIndex | None:
        """The trusted root, its certificates read: the public-good one where one is needed and none is given."""
        if self._trust is None and not self._policy.needs_root:
            return None
        return index_root(self._trust or read_public_good_root(os.environ, now_s=time.time()))

    def _registries_d(self) -> RegistriesD | None:
        if self._policy.policy_json is None:
            return None  # ad hoc trust, and a document's own rules, read attached signatures always
        return read_registries_d(self._settings.registries_d, os.environ)


def _entry_of(image: str | Entry) -> Entry:
    if isinstance(image, str):
        return read_entry(image)
    if isinstance(image, Reference | Unread):
        return image
    raise TypeError(f"an image is a text or a Reference, not {type(image).__name__}")


def _hasher(layers: Layers, *, executor: Executor, workers: int) -> BlobHasher:
    lanes = Batcher(hash_batch, executor=executor, workers=workers, most=JUDGED_AT_ONCE)
    if layers is not Layers.DIFFID:
        return BlobHasher(lanes)
    # One layer a hand-over: its turn takes milliseconds, and several in one list would leave a processor idle.
    return DiffIdHasher(lanes, Batcher(advance_each, executor=executor, workers=workers, most=1))


def _unread(entry: Unread, *, position: int) -> Verdict:
    return Verdict(image=entry.text, position=position, outcome=entry.reason.outcome, reasons=(entry.reason,))


def verify(
    references: Iterable[str | Reference],
    *,
    policy: Policy,
    trust: TrustRoot | None = None,
    settings: Settings | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> list[Verdict]:
    """Verify and wait: the verdicts in input order; raises RuntimeError inside a running event loop."""

    async def run() -> list[Verdict]:
        async with Verifier(policy, trust=trust, settings=settings) as verifier:
            found = [verdict async for verdict in verifier.verify_many(references)]
        return sorted(found, key=lambda verdict: verdict.position)

    if _in_running_loop():  # Runner says so too, but only after a coroutine was made that nobody will await
        raise RuntimeError("plimsoll.verify() waits: inside a running event loop use `async with Verifier(...)`")
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(run())


def _in_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _processors() -> int:
    return max(1, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
