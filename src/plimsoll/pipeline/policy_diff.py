"""policy diff: each image judged under two policies, on the same bytes at the same time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from dataclasses import replace

from plimsoll.model.comparison import VerdictPair
from plimsoll.model.reference import Reference
from plimsoll.pipeline.batch import run_many
from plimsoll.pipeline.intake import Entry, Unread, read_entry
from plimsoll.pipeline.shared_source import Memory, SharedSource
from plimsoll.pipeline.verifier import Verifier
from plimsoll.pipeline.verify import Bench, verify_reference
from plimsoll.transport.base import Source


class _Opening:
    """Opens one image once, for every judgement that follows."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._memory = Memory()
        self._opened: Source | None = None

    async def open(self, reference: Reference) -> Source:
        """The image's one source; a failure to open it is remembered too."""
        return await self._memory.once(reference, lambda: self._open(reference))

    async def _open(self, reference: Reference) -> Source:
        self._opened = await self._bench.transports.open(reference)
        return SharedSource(self._opened)

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()


async def compare(old: Verifier, new: Verifier, image: str | Entry, *, position: int = 0) -> VerdictPair:
    """The verdicts of two entered verifiers for one image; never raises but for cancellation.

    All is asked for through ``old``'s connections. A tag is resolved once, a failure is the same for both, and the
    clock is read once.
    """
    entry = read_entry(image) if isinstance(image, str) else image
    if isinstance(entry, Unread):
        verdict = await old.verify(entry, position=position)
        return VerdictPair(old=verdict, new=verdict)
    bench = old.bench_for(entry)
    now = bench.now()
    opening = _Opening(bench)
    verdicts = []
    try:
        for each in (bench, new.bench_for(entry)):
            at_once = replace(each, now=lambda: now)
            verdicts.append(await verify_reference(at_once, entry, position=position, open_source=opening.open))
    finally:
        await opening.aclose()
    before, after = verdicts
    after = replace(after, requests=after.requests - before.requests, bytes=after.bytes - before.bytes)
    return VerdictPair(old=before, new=after)


def compare_many(
    old: Verifier, new: Verifier, images: Iterable[str | Entry] | AsyncIterable[str | Entry], *, concurrency: int
) -> AsyncGenerator[VerdictPair, None]:
    """Pairs as they finish; ``images`` are pulled no faster than pairs are taken. Close it to cancel what is left."""

    async def work(image: str | Entry, position: int) -> VerdictPair:
        return await compare(old, new, image, position=position)

    return run_many(work, images, concurrency=concurrency)
