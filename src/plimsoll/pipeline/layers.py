"""``--layers digest``: every blob of an accepted image fetched and hashed.

Chunks of all streams in flight meet in one Batcher, so that the native lanes hash several streams at once on one core.
Nothing is written anywhere: memory is the chunks in flight.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

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


class BlobHasher:
    """Checks blobs against their descriptors, many streams at a time."""

    def __init__(self, lanes: Batcher[Step, None]) -> None:
        self._lanes = lanes

    async def check_image(self, source: Source, manifest: Manifest | Index) -> tuple[Reason, ...]:
        """Hash every blob of an image, or of every child of an index; no reasons if all are what they should be.

        A blob found wrong ends it: what is left is not fetched.
        """
        return await self._check_index(source, manifest, depth=1) if isinstance(manifest, Index) else await self._check_blobs(
            source, manifest
        )

    async def _check_index(self, source: Source, index: Index, *, depth: int) -> tuple[Reason, ...]:
        if depth > limits.INDEX_DEPTH:
            return (Reason.of(LimitExceededError(f"indexes nested more than {limits.INDEX_DEPTH} deep")),)
        reasons: tuple[Reason, ...] = ()
        for child in index.manifests:
            reasons += await self._check_child(source, child, depth=depth)
            if _rejected(reasons):
                break
        return reasons

    async def _check_child(self, source: Source, child: Descriptor, *, depth: int) -> tuple[Reason, ...]:
        try:
            if child.media_type not in MANIFEST_TYPES | INDEX_TYPES:
                await self.check(source, child)  # an index may list anything; its bytes are hashed all the same
                return ()
            manifest = parse_manifest(await source.manifest_by_digest(child))
        except PlimsollError as error:
            return (Reason(code=error.code, message=f"the child {child.digest} of the index: {error}"),)
        if isinstance(manifest, Index):
            return await self._check_index(source, manifest, depth=depth + 1)
        return await self._check_blobs(source, manifest)

    async def _check_blobs(self, source: Source, manifest: Manifest) -> tuple[Reason, ...]:
        blobs = {blob.digest: blob for blob in (manifest.config, *manifest.layers)}
        waiting = iter(blobs.values())
        reasons: list[Reason] = []
        if len(blobs) == 1:
            await self._run(source, waiting, reasons)
            return tuple(reasons)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(BLOBS_AT_ONCE, len(blobs))):
                group.create_task(self._run(source, waiting, reasons))
        return tuple(reasons)

    async def _run(self, source: Source, waiting: Iterator[Descriptor], reasons: list[Reason]) -> None:
        for blob in waiting:
            if _rejected(reasons):
                return
            try:
                await self.check(source, blob)
            except (TransportError, ContentError) as error:
                reasons.append(Reason.of(error))

    async def check(self, source: Source, descriptor: Descriptor) -> None:
        """Return if the blob has its descriptor's digest and size; raises LayerDigestMismatchError or TransportError."""
        if descriptor.size <= SMALL_BLOB_BYTES:
            await _check_small(source, descriptor)
            return
        stream = _new_hash(descriptor.digest)
        count = 0
        async for chunk in source.stream(descriptor):
            count += len(chunk)
            if count > descriptor.size:
                break
            await self._lanes.submit((stream, chunk))
        if count != descriptor.size:
            how = "more than" if count > descriptor.size else f"{count} bytes instead of"
            raise LayerDigestMismatchError(f"the blob {descriptor.digest} has {how} the {descriptor.size} bytes it is said to have")
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
