"""``--layers digest``: every blob of an accepted image fetched and hashed.

Chunks of all streams in flight meet in one Batcher, so that the native lanes hash several streams at once on one core.
Nothing is written anywhere: memory is the chunks in flight.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar, cast

from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    DigestMismatchError,
    LayerDigestMismatchError,
    LimitExceededError,
    MalformedManifestError,
    PlimsollError,
    TransportError,
    UnsupportedError,
)
from plimsoll.model.descriptor import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from plimsoll.model.digest import Algorithm, Digest
from plimsoll.model.manifest import Index, Manifest, RawManifest, parse_manifest
from plimsoll.model.verdict import Outcome, Reason
from plimsoll.native import Sha256, sha256_update_many
from plimsoll.pipeline.batching import Batcher
from plimsoll.transport.base import Source

SMALL_BLOB_BYTES: Final = 64 * limits.KIB
"""Below it a blob is read whole: one request, one hash, no stream to set up."""
BLOBS_AT_ONCE: Final = 4
"""Blobs of one image in flight together: as many as there are lanes; images run beside each other anyway."""
_JSON_SPACE: Final = b" \t\r\n"


class StreamHash(Protocol):
    """A hash that takes its input in pieces."""

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""

    def hexdigest(self) -> str:
        """The hash of all pieces so far."""
        ...


Step = tuple[StreamHash, bytes]
Blob = TypeVar("Blob")


def hash_batch(steps: list[Step]) -> list[None]:
    """Advance every stream by its chunk: SHA-256 in interleaved lanes, the longer ones each by itself."""
    sha256_update_many([(stream, chunk) for stream, chunk in steps if isinstance(stream, Sha256)])
    for stream, chunk in steps:
        if not isinstance(stream, Sha256):
            stream.update(chunk)
    return [None] * len(steps)


def new_hash(algorithm: Algorithm) -> StreamHash:
    """A hash for the lanes where they know the algorithm."""
    return Sha256() if algorithm == "sha256" else hashlib.new(algorithm)


@dataclass(slots=True)
class Walk:
    """What the check of one image has done: ``good`` are the claims that held, ``children`` counts manifests read."""

    source: Source
    good: set[tuple[Digest, int]] = field(default_factory=set)
    children: int = 0


class BlobHasher:
    """Checks blobs against their descriptors, many streams at a time."""

    def __init__(self, lanes: Batcher[Step, None]) -> None:
        self._lanes = lanes

    async def check_image(self, source: Source, manifest: Manifest | Index) -> tuple[Reason, ...]:
        """Hash every blob of an image, or of every child of an index; no reasons if all are what they should be.

        A blob found wrong ends it: what is left is not fetched.
        """
        return await self.check_below(Walk(source), manifest)

    async def check_below(self, walk: Walk, manifest: Manifest | Index) -> tuple[Reason, ...]:
        """The same, within a walk that has begun."""
        if isinstance(manifest, Index):
            return await self.check_index(walk, manifest, depth=1)
        return await self.check_manifest(walk, manifest, listed=None)

    async def check_manifest(
        self,
        walk: Walk,
        manifest: Manifest,
        *,
        listed: Descriptor | None,  # noqa: ARG002  # for who looks deeper
    ) -> tuple[Reason, ...]:
        """Hash every blob of one manifest, those apart that were found good; ``listed`` is how an index lists it."""
        # By digest and size: where two descriptors of one digest claim different sizes, one of them is wrong.
        claims = {(blob.digest, blob.size): blob for blob in (manifest.config, *manifest.layers)}
        blobs = [blob for claim, blob in claims.items() if claim not in walk.good]

        async def check(blob: Descriptor) -> None:
            await self.check(walk.source, blob)
            walk.good.add((blob.digest, blob.size))

        return await check_each(blobs, check)

    async def check_index(self, walk: Walk, index: Index, *, depth: int) -> tuple[Reason, ...]:
        """Every child of an index, ``depth`` levels down from the one that was asked for, which is 1."""
        if depth > limits.INDEX_DEPTH:
            return (Reason.of(LimitExceededError(f"indexes nested more than {limits.INDEX_DEPTH} deep")),)
        reasons: tuple[Reason, ...] = ()
        for child in index.manifests:
            walk.children += 1
            if walk.children > limits.INDEX_CHILDREN:
                most = LimitExceededError(f"more than {limits.INDEX_CHILDREN} manifests below one index")
                return (*reasons, Reason.of(most))
            reasons += await self._check_child(walk, child, depth=depth)
            if _rejected(reasons):
                break
        return reasons

    async def _check_child(self, walk: Walk, child: Descriptor, *, depth: int) -> tuple[Reason, ...]:
        try:
            if child.media_type in MANIFEST_TYPES | INDEX_TYPES:
                manifest = parse_manifest(await walk.source.manifest_by_digest(child))
            else:
                other = await self._read_other(walk.source, child)
                if other is None:
                    return self.passed_over(child)
                manifest = other
        except PlimsollError as error:
            return (Reason(code=error.code, message=f"the child {child.digest} of the index: {error}"),)
        if isinstance(manifest, Index):
            return await self.check_index(walk, manifest, depth=depth + 1)
        return await self.check_manifest(walk, manifest, listed=child)

    async def _read_other(self, source: Source, child: Descriptor) -> Manifest | Index | None:
        """What an index lists by another type, which may be anything: hashed, and read if it is a manifest.

        containers/image runs by its bytes what an index lists by any type. None for what no reader takes for a
        manifest; raises what ``check`` and ``parse_manifest`` raise, and UnsupportedError where one may take it.
        """
        if child.size > limits.MANIFEST_BYTES or not is_offered(child):  # containers/image has the same limit
            await self.check(source, child)
            return None
        data = await small_blob(source, child, limit=limits.MANIFEST_BYTES)
        if not data.lstrip(_JSON_SPACE).startswith(b"{"):
            return None
        try:
            return parse_manifest(RawManifest(data=data))
        except MalformedManifestError as error:
            kind = child.media_type[: limits.TEXT_CHARS]
            raise UnsupportedError(
                f"it is listed as {kind!r}, and some programs may read it as a manifest: {error}"
            ) from error

    def passed_over(self, child: Descriptor) -> tuple[Reason, ...]:  # noqa: ARG002  # for who looks deeper
        """What is to be said of what an index lists and is surely no manifest; its bytes are as they should be."""
        return ()

    async def check(self, source: Source, descriptor: Descriptor) -> None:
        """Return if the blob has its descriptor's digest and size; raises ContentError or TransportError."""
        if descriptor.size <= SMALL_BLOB_BYTES:
            await small_blob(source, descriptor, limit=SMALL_BLOB_BYTES)
            return
        stream = new_hash(descriptor.digest.algorithm)
        await pass_through(source, descriptor, lambda chunk: self._lanes.submit((stream, chunk)))
        refuse_other_digest(stream, descriptor.digest)


def is_offered(child: Descriptor) -> bool:
    """Whether some reader may take it for a platform: what is listed for none is taken where nothing else fits.

    BuildKit lists attestations for unknown/unknown, which is no machine's.
    """
    platform = child.platform
    return platform is None or (platform.os, platform.architecture) != ("unknown", "unknown")


async def check_each(blobs: Iterable[Blob], check: Callable[[Blob], Awaitable[None]]) -> tuple[Reason, ...]:
    """Check a few at a time until one is surely wrong, what is begun to its end; the reasons of those that failed."""
    waiting = list(blobs)
    reasons: list[Reason] = []
    left = iter(waiting)
    if len(waiting) == 1:
        await _run(left, check, reasons)
        return tuple(reasons)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(BLOBS_AT_ONCE, len(waiting))):
            group.create_task(_run(left, check, reasons))
    return tuple(reasons)


async def _run(left: Iterator[Blob], check: Callable[[Blob], Awaitable[None]], reasons: list[Reason]) -> None:
    for blob in left:
        if _rejected(reasons):
            return
        try:
            await check(blob)
        except (TransportError, ContentError, UnsupportedError) as error:
            reasons.append(Reason.of(error))


async def pass_through(source: Source, descriptor: Descriptor, take: Callable[[bytes], Awaitable[object]]) -> None:
    """Hand a blob's bytes on as they come, never two chunks at once; raises LayerDigestMismatchError for another size.

    Raises TransportError, and what ``take`` raises.
    """
    count = 0
    # Every source's stream is a generator, whose connection must be free again before the next request.
    async with aclosing(cast("AsyncGenerator[bytes, None]", source.stream(descriptor))) as chunks:
        async for chunk in chunks:
            count += len(chunk)
            if count > descriptor.size:
                break
            await take(chunk)
    if count != descriptor.size:
        how = "more than" if count > descriptor.size else f"{count} bytes instead of"
        raise LayerDigestMismatchError(
            f"the blob {descriptor.digest} has {how} the {descriptor.size} bytes it is said to have"
        )


def refuse_other_digest(stream: StreamHash, digest: Digest) -> None:
    """Return if what was hashed has this digest; raises LayerDigestMismatchError."""
    if stream.hexdigest() != digest.hex:
        raise LayerDigestMismatchError(f"the blob {digest} hashes to {digest.algorithm}:{stream.hexdigest()}")


async def small_blob(source: Source, descriptor: Descriptor, *, limit: int) -> bytes:
    """A blob, whole; raises LayerDigestMismatchError, LimitExceededError past ``limit`` bytes, TransportError."""
    try:
        return await source.blob(descriptor, limit=limit)
    except LayerDigestMismatchError:
        raise
    except DigestMismatchError as error:
        raise LayerDigestMismatchError(str(error)) from error


def _rejected(reasons: Iterable[Reason]) -> bool:
    return any(reason.outcome is Outcome.REJECTED for reason in reasons)
