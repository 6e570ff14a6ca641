"""gather: ask the places that judge needs, and say for each what was found, that it is absent, or how it failed.

The only I/O between two turns of judge. Knows places, not signature formats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from plimsoll import limits
from plimsoll.errors import (
    ConfigError,
    ContentError,
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
    PlimsollError,
    TransportError,
    UnsupportedError,
)
from plimsoll.model.descriptor import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from plimsoll.model.evidence import (
    Absent,
    Answer,
    Attachment,
    Failed,
    Found,
    Needs,
    Place,
    ReferrersPlace,
    StorePlace,
    TagPlace,
)
from plimsoll.model.manifest import Manifest, parse_manifest
from plimsoll.model.reference import is_tag
from plimsoll.model.verdict import Reason
from plimsoll.pipeline.evidence_budget import EvidenceBudget, EvidenceShare
from plimsoll.transport.base import Source

_UNANSWERED: Final = (TransportError, ContentError, UnsupportedError)
"""What a source raises where it cannot answer; UnsupportedError comes from credentials that are kept elsewhere."""


REFERRERS_AT_ONCE: Final = 8
"""Referrers of one image that are read at a time: with the cap on each this bounds the bytes in flight."""


async def gather(source: Source, needs: Needs, *, share: EvidenceShare | None = None) -> Mapping[Place, Answer]:
    """Ask every place of ``needs``; failures are answers, only cancellation passes.

    What is found is taken from ``share`` before it is read, or where its size is not known before, when it was read;
    the caller gives it back. By default the image is the only one.
    """
    share = share or EvidenceShare(EvidenceBudget())
    return {place: await _ask(source, place, share, whole=needs.whole) for place in needs.places}


async def _ask(source: Source, place: Place, share: EvidenceShare, *, whole: bool) -> Answer:
    match place:
        case TagPlace():
            return await _ask_tag(source, place, share)
        case ReferrersPlace():
            return await _ask_referrers(source, place, share, whole=whole)
        case StorePlace():
            return await _ask_store(source, place, share)


def _why(error: PlimsollError, source: Source, *, what: str = "") -> Reason:
    """Why a place, or something that it lists, could not be read.

    What is listed and not there is a fault of who lists it: not-found means that there is no such image.
    """
    if not isinstance(error, NotFoundError):
        return Reason(code=error.code, message=f"{what}{error}")
    code = "unreachable" if source.location.docker is None else "server-error"
    return Reason(code=code, message=f"{what}it should be there: {error}")


async def _ask_store(source: Source, place: StorePlace, share: EvidenceShare) -> Answer:
    try:
        blobs = await source.stored_signatures(place.base, place.digest)
    except ConfigError as error:
        return Failed(reason=Reason(code="no-signature", message=str(error)))
    except _UNANSWERED as error:
        return Failed(reason=_why(error, source))
    await share.take(sum(map(len, blobs)))
    return Found(attachments=tuple([Attachment(descriptor=None, data=blob) for blob in blobs])) if blobs else Absent()


async def _ask_tag(source: Source, place: TagPlace, share: EvidenceShare) -> Answer:
    if source.location.docker is not None and not is_tag(place.tag):
        return Absent()  # `sha512-HEX.sig` is longer than a tag may be: no registry can have it
    try:
        raw = await source.manifest_by_tag(place.tag)
    except NotFoundError:
        return Absent()
    except _UNANSWERED as error:
        return Failed(reason=_why(error, source))
    await share.take(len(raw.data))
    try:
        return await _attachments(source, place, _listed(parse_manifest(raw), place), share)
    except (ContentError, UnsupportedError) as error:
        return Failed(reason=Reason(code=error.code, message=f"{place.tag}: {error}"))


async def _ask_referrers(source: Source, place: ReferrersPlace, share: EvidenceShare, *, whole: bool) -> Answer:
    try:
        listed = await source.referrers(place.digest, whole=whole)
    except _UNANSWERED as error:
        return Failed(reason=_why(error, source))
    # What names no type may be of any: some registries leave it out of their listing.
    wanted = [each for each in listed if not each.artifact_type or each.artifact_type.startswith(place.artifact_type)]
    # By digest and size, as the layers of a tag: a lie about the size must not hide the truth.
    distinct = {(each.digest, each.size): each for each in wanted if _may_be_manifest(each)}
    if not distinct:
        return Absent()
    if len(distinct) > limits.SIGNATURES_PER_PLACE:
        message = f"{len(distinct)} signatures refer to {place.digest}: at most {limits.SIGNATURES_PER_PLACE}"
        return Failed(reason=Reason(code="limit-exceeded", message=message))
    reading = _Referrers(source=source, artifact_type=place.artifact_type, share=share)
    attachments = [found for found in await reading.all(tuple(distinct.values())) if found is not None]
    return Found(attachments=tuple(attachments)) if attachments else Absent()


def _may_be_manifest(listed: Descriptor) -> bool:
    """A media type that nobody knows does not hide what is listed as a signature: its bytes say what it is."""
    return listed.media_type in MANIFEST_TYPES or bool(listed.artifact_type and listed.media_type not in INDEX_TYPES)


class _Referrers:
    """Reads what refers to one image; all of it together has at most ``limits.EVIDENCE_BYTES``."""

    def __init__(self, *, source: Source, artifact_type: str, share: EvidenceShare) -> None:
        self._source = source
        self._share = share
        self._artifact_type = artifact_type
        self._at_once = asyncio.Semaphore(REFERRERS_AT_ONCE)
        self._bytes_left = limits.EVIDENCE_BYTES

    async def all(self, referrers: tuple[Descriptor, ...]) -> list[Attachment | None]:
        """An Attachment each, None for an artifact of another make."""
        if len(referrers) == 1:  # the common case needs no task
            return [await self._read(referrers[0])]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._read(referrer)) for referrer in referrers]
        return [task.result() for task in tasks]

    async def _read(self, referrer: Descriptor) -> Attachment | None:
        async with self._at_once:
            try:
                layer = await self._layer(referrer)
                if layer is None:
                    return None
                # Only what is read is counted: a size that is merely claimed must not crowd out the others.
                if layer.size <= limits.BUNDLE_BYTES:
                    if layer.size > self._bytes_left:
                        raise LimitExceededError(f"it and others have more than {limits.EVIDENCE_BYTES} bytes")
                    self._bytes_left -= layer.size
                    await self._share.take(layer.size)
                return Attachment(descriptor=layer, data=await self._source.blob(layer, limit=limits.BUNDLE_BYTES))
            except _UNANSWERED as error:
                reason = _why(error, self._source, what=f"the referrer {referrer.digest}: ")
                return Attachment(descriptor=referrer, failure=reason)

    async def _layer(self, referrer: Descriptor) -> Descriptor | None:
        if referrer.size > limits.REFERRER_MANIFEST_BYTES:
            raise LimitExceededError(
                f"a manifest of {referrer.size} bytes: at most {limits.REFERRER_MANIFEST_BYTES} of a referrer"
            )
        await self._share.take(referrer.size)
        manifest = parse_manifest(await self._source.manifest_by_digest(referrer))
        if not isinstance(manifest, Manifest) or len(manifest.layers) != 1:
            return None
        layer = manifest.layers[0]
        if not layer.media_type.startswith(self._artifact_type):
            return None
        return replace(layer, annotations={})  # up to 4 MiB that say nothing of what refers


def _listed(manifest: object, place: TagPlace) -> tuple[Descriptor, ...]:
    if not isinstance(manifest, Manifest):
        raise MalformedManifestError("signatures are listed by an image manifest, this is an index")
    wanted = tuple([layer for layer in manifest.layers if layer.media_type in place.media_types])
    if len(wanted) > limits.SIGNATURES_PER_PLACE:
        raise LimitExceededError(f"{len(wanted)} signatures listed: at most {limits.SIGNATURES_PER_PLACE}")
    if sum(layer.size for layer in wanted) > limits.EVIDENCE_BYTES:
        raise LimitExceededError(f"the listed signatures have more than {limits.EVIDENCE_BYTES} bytes together")
    return wanted


async def _attachments(source: Source, place: TagPlace, layers: tuple[Descriptor, ...], share: EvidenceShare) -> Found:
    """Read what the place lists, all of it; one that cannot be had does not hide the others."""
    # By digest and size: of two layers of one digest that claim different sizes one is wrong, and only that one fails.
    distinct = {(layer.digest, layer.size): layer for layer in layers}
    await share.take(sum(size for _, size in distinct if size <= limits.PAYLOAD_BYTES))
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
        return _why(error, source, what=f"{place.tag}: ")
