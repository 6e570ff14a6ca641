"""gather: ask the places that judge needs, and say for each what was found, that it is absent, or how it failed.

The only I/O between two turns of judge. Knows places, not signature formats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from plimsoll import limits
from plimsoll.errors import (
    ConfigError,
    ContentError,
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
    TransportError,
    UnsupportedError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.evidence import Absent, Answer, Attachment, Failed, Found, Needs, Place, StorePlace, TagPlace
from plimsoll.model.manifest import Manifest, parse_manifest
from plimsoll.model.reference import is_tag
from plimsoll.model.verdict import Reason
from plimsoll.transport.base import Source

_UNANSWERED: Final = (TransportError, ContentError, UnsupportedError)
"""What a source raises where it cannot answer; UnsupportedError comes from credentials that are kept elsewhere."""


async def gather(source: Source, needs: Needs) -> Mapping[Place, Answer]:
    """Ask every place of ``needs``; failures are answers, only cancellation passes."""
    return {place: await _ask(source, place) for place in needs.places}


async def _ask(source: Source, place: Place) -> Answer:
    return await _ask_tag(source, place) if isinstance(place, TagPlace) else await _ask_store(source, place)


async def _ask_store(source: Source, place: StorePlace) -> Answer:
    try:
        blobs = await source.stored_signatures(place.base, place.digest)
    except ConfigError as error:
        return Failed(reason=Reason(code="no-signature", message=str(error)))
    except _UNANSWERED as error:
        return Failed(reason=Reason.of(error))
    return Found(attachments=tuple([Attachment(descriptor=None, data=blob) for blob in blobs])) if blobs else Absent()


async def _ask_tag(source: Source, place: TagPlace) -> Answer:
    if source.location.docker is not None and not is_tag(place.tag):
        return Absent()  # `sha512-HEX.sig` is longer than a tag may be: no registry can have it
    try:
        raw = await source.manifest_by_tag(place.tag)
    except NotFoundError:
        return Absent()
    except _UNANSWERED as error:
        return Failed(reason=Reason.of(error))
    try:
        return await _attachments(source, place, _listed(parse_manifest(raw), place))
    except (ContentError, UnsupportedError) as error:
        return Failed(reason=Reason(code=error.code, message=f"{place.tag}: {error}"))


def _listed(manifest: object, place: TagPlace) -> tuple[Descriptor, ...]:
    if not isinstance(manifest, Manifest):
        raise MalformedManifestError("signatures are listed by an image manifest, this is an index")
    wanted = tuple([layer for layer in manifest.layers if layer.media_type in place.media_types])
    if len(wanted) > limits.SIGNATURES_PER_PLACE:
        raise LimitExceededError(f"{len(wanted)} signatures listed: at most {limits.SIGNATURES_PER_PLACE}")
    if sum(layer.size for layer in wanted) > limits.EVIDENCE_BYTES:
        raise LimitExceededError(f"the listed signatures have more than {limits.EVIDENCE_BYTES} bytes together")
    return wanted


async def _attachments(source: Source, place: TagPlace, layers: tuple[Descriptor, ...]) -> Found:
    """Read what the place lists, all of it; one that cannot be had does not hide the others."""
    # By digest and size: of two layers of one digest that claim different sizes one is wrong, and only that one fails.
    distinct = {(layer.digest, layer.size): layer for layer in layers}
    if len(distinct) == 1:  # the common case needs no task
        read = {claim: await _read(source, place, layer) for claim, layer in distinct.items()}
    else:
        async with asyncio.TaskGroup() as group:
            tasks = {claim: group.create_task(_read(source, place, layer)) for claim, layer in distinct.items()}
        read = {claim: task.result() for claim, task in tasks.items()}
    return Found(attachments=tuple([_attach(layer, read[layer.digest, layer.size]) for layer in layers]))


def _attach(layer: Descriptor, read: bytes | Reason) -> Attachment:
    if isinstance(read, Reason):
        return Attachment(descriptor=layer, failure=read)
    return Attachment(descriptor=layer, data=read)


async def _read(source: Source, place: TagPlace, layer: Descriptor) -> bytes | Reason:
    try:
        return await source.blob(layer, limit=limits.PAYLOAD_BYTES)
    except _UNANSWERED as error:
        return Reason(code=error.code, message=f"{place.tag}: {error}")
