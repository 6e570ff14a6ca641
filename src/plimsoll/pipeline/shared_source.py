"""One image's bytes for several judgements: what was asked once is not asked again, and cannot have changed between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import TypeVar, cast

from plimsoll.errors import PlimsollError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import Location
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import DockerReference
from plimsoll.transport.base import Meter, Source

Answer = TypeVar("Answer")


class Memory:
    """Answers and failures by question; one that is being asked for is not there yet."""

    def __init__(self) -> None:
        self._known: dict[Hashable, object] = {}

    async def once(self, question: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What ``ask`` gave or raised when it was first asked; a PlimsollError is an answer, anything else is not."""
        if question not in self._known:
            try:
                self._known[question] = await ask()
            except PlimsollError as error:
                self._known[question] = error
        found = self._known[question]
        if isinstance(found, PlimsollError):
            raise found
        return cast("Answer", found)


class SharedSource:
    """A Source that remembers; ``aclose`` leaves the one below open, which is whoever opened it to close."""

    def __init__(self, below: Source) -> None:
        self._below = below
        self._memory = Memory()

    @property
    def location(self) -> Location:
        """As below."""
        return self._below.location

    @property
    def meter(self) -> Meter:
        """As below: what all judgements together have cost."""
        return self._below.meter

    @property
    def physical(self) -> DockerReference | None:
        """As below."""
        return self._below.physical

    @property
    def contacted(self) -> tuple[str, ...]:
        """As below."""
        return self._below.contacted

    async def manifest(self) -> RawManifest:
        """As below: a tag is resolved once."""
        return await self._memory.once("manifest", self._below.manifest)

    async def manifest_by_tag(self, tag: str) -> RawManifest:
        """As below."""
        return await self._memory.once(("tag", tag), lambda: self._below.manifest_by_tag(tag))

    async def manifest_by_digest(self, descriptor: Descriptor) -> RawManifest:
        """As below."""
        question = ("digest", descriptor.digest, descriptor.size, descriptor.media_type)
        return await self._memory.once(question, lambda: self._below.manifest_by_digest(descriptor))

    async def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """As below."""
        question = ("blob", descriptor.digest, descriptor.size, limit)
        return await self._memory.once(question, lambda: self._below.blob(descriptor, limit=limit))

    def stream(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """As below, and not remembered: a layer may be of any size."""
        return self._below.stream(descriptor)

    async def referrers(self, digest: Digest, *, whole: bool) -> tuple[Descriptor, ...]:
        """As below."""
        question = ("referrers", digest, whole)
        return await self._memory.once(question, lambda: self._below.referrers(digest, whole=whole))

    async def stored_signatures(self, base: str, digest: Digest) -> tuple[bytes, ...]:
        """As below."""
        return await self._memory.once(("store", base, digest), lambda: self._below.stored_signatures(base, digest))

    async def aclose(self) -> None:
        """Nothing: another judgement may follow."""
