"""``--layers digest``: every blob of an accepted image fetched and hashed.

Chunks of all streams in flight meet in one Batcher, so that the native lanes hash several streams at once on one core.
Nothing is written anywhere: memory is the chunks in flight.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    DigestMismatchError,
    LayerDigestMismatchError,
    LimitExceededError,
    PlimsollError,
    TransportError,
)
from plimsoll.model.descriptor import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import Index, Manifest, parse_manifest
from plimsoll.model.verdict import Outcome, Reason
from plimsoll.native import Sha256, sha256_update_many
from plimsoll.pipeline.batching import Batcher
from plimsoll.transport.base import Source

SMALL_BLOB_BYTES: Final = 64 * limits.KIB
"""Below it a blob is read whole: one request, one hash, no stream to set up."""
BLOBS_AT_ONCE: Final = 4
"""Blobs of one image in flight together: as many as there are lanes; images run beside each other anyway."""


class StreamHash(Protocol):
    """A hash that takes its input in pieces."""

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""

    def hexdigest(self) -> str:
        """The hash of all pieces so far."""
        ...


Step = tuple[StreamHash, bytes]


def hash_batch(steps: list[Step]) -> list[None]:
    """Advance every stream by its chunk: SHA-256 in interleaved lanes, the longer ones each by itself."""
    sha256_update_many([(stream, chunk) for stream, chunk in steps if isinstance(stream, Sha256)])
    for stream, chunk in steps:
        if not isinstance(stream, Sha256):
            stream.update(chunk)
    return [None] * len(steps)


def _new_hash(digest: Digest) -> StreamHash:
    return Sha256() if digest.algorithm == "sha256" else hashlib.new(digest.algorithm)


@dataclass(slots=True)
class _Walk:
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
        walk = _Walk(source)
        if isinstance(manifest, Index):
            return await self._check_index(walk, manifest, depth=1)
        return await self._check_blobs(walk, manifest)

    async def _check_index(self, walk: _Walk, index: Index, *, depth: int) -> tuple[Reason, ...]:
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

    async def _check_child(self, walk: _Walk, child: Descriptor, *, depth: int) -> tuple[Reason, ...]:
        try:
            if child.media_type not in MANIFEST_TYPES | INDEX_TYPES:
                await self.check(walk.source, child)  # an index may list anything; its bytes are hashed all the same
                return ()
            manifest = parse_manifest(await walk.source.manifest_by_digest(child))
        except PlimsollError as error:
            return (Reason(code=error.code, message=f"the child {child.digest} of the index: {error}"),)
        if isinstance(manifest, Index):
            return await self._check_index(walk, manifest, depth=depth + 1)
        return await self._check_blobs(walk, manifest)

    async def _check_blobs(self, walk: _Walk, manifest: Manifest) -> tuple[Reason, ...]:
        # By digest and size: where two descriptors of one digest claim different sizes, one of them is wrong.
        claims = {(blob.digest, blob.size): blob for blob in (manifest.config, *manifest.layers)}
        blobs = [blob for claim, blob in claims.items() if claim not in walk.good]
        waiting = iter(blobs)
        reasons: list[Reason] = []
        if len(blobs) == 1:
            await self._run(walk, waiting, reasons)
            return tuple(reasons)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(BLOBS_AT_ONCE, len(blobs))):
                group.create_task(self._run(walk, waiting, reasons))
        return tuple(reasons)

    async def _run(self, walk: _Walk, waiting: Iterator[Descriptor], reasons: list[Reason]) -> None:
        for blob in waiting:
            if _rejected(reasons):
                return
            try:
                await self.check(walk.source, blob)
                walk.good.add((blob.digest, blob.size))
            except (TransportError, ContentError) as error:
                reasons.append(Reason.of(error))

    async def check(self, source: Source, descriptor: Descriptor) -> None:
        """Return if the blob has its descriptor's digest and size; raises ContentError or TransportError."""
        if descriptor.size <= SMALL_BLOB_BYTES:
            await _check_small(source, descriptor)
            return
        stream = _new_hash(descriptor.digest)
        count = 0
        # Every source's stream is a generator, whose connection must be free again before the next request.
        async with aclosing(cast("AsyncGenerator[bytes, None]", source.stream(descriptor))) as chunks:
            async for chunk in chunks:
                count += len(chunk)
                if count > descriptor.size:
                    break
                await self._lanes.submit((stream, chunk))
        if count != descriptor.size:
            how = "more than" if count > descriptor.size else f"{count} bytes instead of"
            raise LayerDigestMismatchError(
                f"the blob {descriptor.digest} has {how} the {descriptor.size} bytes it is said to have"
            )
        if stream.hexdigest() != descriptor.digest.hex:
            raise LayerDigestMismatchError(
                f"the blob {descriptor.digest} hashes to {descriptor.digest.algorithm}:{stream.hexdigest()}"
            )


async def _check_small(source: Source, descriptor: Descriptor) -> None:
    try:
        await source.blob(descriptor, limit=SMALL_BLOB_BYTES)
    except LayerDigestMismatchError:
        raise
    except DigestMismatchError as error:
        raise LayerDigestMismatchError(str(error)) from error


def _rejected(reasons: Iterable[Reason]) -> bool:
    return any(reason.outcome is Outcome.REJECTED for reason in reasons)
