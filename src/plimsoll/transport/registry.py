"""RegistrySource: an image in a registry, read by the distribution API."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from plimsoll import limits
from plimsoll.errors import (
    DigestMismatchError,
    LimitExceededError,
    RegistryError,
    RequestTimeoutError,
    TransportError,
    UnreachableError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import Location, locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import DockerReference
from plimsoll.model.settings import CredentialsFor, HttpSettings, TLSFor
from plimsoll.transport.auth import Authorizer, Repository
from plimsoll.transport.base import Meter, checked_blob, checked_manifest
from plimsoll.transport.connections import BodyStream
from plimsoll.transport.http import HttpClient
from plimsoll.wire import (
    Reply,
    Request,
    blob_request,
    digest_request,
    next_page,
    page_request,
    parse_referrers,
    parse_tags_page,
    referrers_request,
    refusal,
    tag_request,
    tags_request,
)

_CONTACT: Final = {"docker.io": "registry-1.docker.io"}
"""Docker Hub's name is not its registry's host."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:[0-9]{1,19}|\*)", re.ASCII)
_NO_REFERRERS_API: Final = frozenset({400, 404, 405, 406, 501})
"""What registries answer that do not know the endpoint."""


class Registries:
    """What all sources of a run share: the way there, the proofs, and which repositories have no referrers API."""

    def __init__(self, client: HttpClient, authorizer: Authorizer) -> None:
        self.client = client
        self.authorizer = authorizer
        self.without_referrers: set[tuple[str, str]] = set()

    def open(self, reference: DockerReference) -> RegistrySource:
        """The source of one image; nothing is sent yet."""
        return RegistrySource(reference, registries=self)

    async def aclose(self) -> None:
        """End what is under way and close all connections."""
        await self.authorizer.aclose()
        await self.client.aclose()


def connect(
    settings: HttpSettings,
    *,
    credentials_for: CredentialsFor,
    tls_for: TLSFor,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
    wall_s: Callable[[], float] = time.time,
) -> Registries:
    """Make what a run needs to speak to registries; nothing is sent yet, ``Registries.aclose`` ends it."""
    client = HttpClient(settings, tls_for, sleep=sleep, monotonic=monotonic, jitter=jitter, wall_s=wall_s)
    return Registries(client, Authorizer(client, credentials_for))


class RegistrySource:
    """One image of a registry and its repository."""

    def __init__(self, reference: DockerReference, *, registries: Registries) -> None:
        self._reference = reference
        self._registries = registries
        self._authorizer = registries.authorizer
        host = registries.client.host(_CONTACT.get(reference.domain, reference.domain))
        self._repository = Repository(host=host, domain=reference.domain, path=reference.path)
        self._location = locate_docker(reference)
        self._meter = Meter()

    @property
    def location(self) -> Location:
        """What a policy matches: the reference as the user wrote it."""
        return self._location

    @property
    def meter(self) -> Meter:
        """What this source has cost so far."""
        return self._meter

    async def manifest(self) -> RawManifest:
        """What the reference names; a digest in it is checked on the bytes, under its own algorithm."""
        reference = self._reference
        if reference.digest is None:
            return await self._manifest(tag_request(reference.path, reference.tag or "latest"))
        raw = await self._manifest(digest_request(reference.path, reference.digest))
        return checked_manifest(raw, reference.digest, where=str(reference))

    async def manifest_by_tag(self, tag: str) -> RawManifest:
        """Another manifest of the repository; raises NotFoundError where there is none."""
        return await self._manifest(tag_request(self._reference.path, tag))

    async def manifest_by_digest(self, descriptor: Descriptor) -> RawManifest:
        """A child of an index, or a subject: digest and size are checked."""
        where = f"{self._reference.repository}@{descriptor.digest}"
        if descriptor.size > limits.MANIFEST_BYTES:
            raise LimitExceededError(
                f"{where} is said to have {descriptor.size} bytes: at most {limits.MANIFEST_BYTES}"
            )
        raw = await self._manifest(digest_request(self._reference.path, descriptor.digest))
        return checked_manifest(raw, descriptor.digest, size=descriptor.size, where=where)

    async def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """A small blob, digest and size checked; raises LimitExceededError where it is larger than ``limit`` bytes."""
        where = f"{self._reference.repository}@{descriptor.digest}"
        if descriptor.size > limit:
            raise LimitExceededError(f"{where} is said to have {descriptor.size} bytes: at most {limit}")
        request = blob_request(self._reference.path, descriptor.digest)
        try:
            reply = await self._get(request, limit=descriptor.size)
        except LimitExceededError as error:
            raise DigestMismatchError(
                f"{where} is longer than the {descriptor.size} bytes its descriptor says"
            ) from error
        return checked_blob(reply.body, descriptor, where=where)

    async def stream(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes as they come, NOT checked; a broken transfer is resumed where it broke.

        Raises RequestTimeoutError where the whole comes slower than limits.STREAM_BYTES_PER_S, and what the last of
        too many breaks was.
        """
        budget_s = self._registries.client.settings.timeout_s + descriptor.size / limits.STREAM_BYTES_PER_S
        offset = tried = progress = 0
        while True:
            body = await self._open_blob(descriptor, offset)
            try:
                async for chunk in _from_offset(body, offset, budget_s):
                    offset += len(chunk)
                    progress += len(chunk)
                    yield chunk
                    # What is longer than it says is the caller's to refuse, not ours to download.
                    if offset > descriptor.size:
                        return
                if offset >= descriptor.size or body.is_delimited:
                    # Shorter than its descriptor and yet whole: the caller refuses it by its count.
                    return
                raise UnreachableError(
                    f"{body.asked}: the connection was closed after {offset} of {descriptor.size} bytes"
                )
            except TransportError as error:
                budget_s -= body.waited_s
                if budget_s <= 0:
                    raise RequestTimeoutError(f"{error}; no time is left to resume") from error
                if progress >= limits.RESUME_BYTES:
                    tried = progress = 0
                await self._registries.client.pause(error, tried=tried)
                tried += 1
            finally:
                body.close()

    async def _open_blob(self, descriptor: Descriptor, offset: int) -> BodyStream:
        request = blob_request(self._reference.path, descriptor.digest, offset=offset)
        reply = await self._authorizer.open(self._repository, request, meter=self._meter)
        if isinstance(reply, BodyStream):
            return reply
        raise self._refused(reply, request)

    async def tags(self) -> AsyncIterator[str]:
        """All tags of the repository as the registry lists them, unchecked; raises LimitExceededError past the caps."""
        request = tags_request(self._reference.path)
        seen = {request.target}
        count = 0
        while True:
            reply = await self._get(request, limit=limits.TAG_PAGE_BYTES)
            for tag in parse_tags_page(reply.body):
                count += 1
                if count > limits.TAGS:
                    raise LimitExceededError(f"{self._reference.repository} lists more than {limits.TAGS} tags")
                yield tag
            following = self._next(reply, request, seen)
            if following is None:
                return
            request = following

    async def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Everything whose subject is ``digest``: by the API, else by the fallback tag; empty where neither lists any.

        distribution-spec 1.1 "Listing Referrers" and "Unavailable Referrers API".
        """
        if self._repository.key not in self._registries.without_referrers:
            found = await self._referrers_by_api(digest)
            if found is not None:
                return found
            self._registries.without_referrers.add(self._repository.key)
        return await self._referrers_by_tag(digest)

    async def _referrers_by_api(self, digest: Digest) -> tuple[Descriptor, ...] | None:
        request = referrers_request(self._reference.path, digest)
        seen = {request.target}
        found: list[Descriptor] = []
        while True:
            reply = await self._authorizer.get(
                self._repository, request, limit=limits.REFERRERS_BYTES, meter=self._meter
            )
            # Past the first page the API has shown that it is there: what fails then is a failure.
            if reply.status in _NO_REFERRERS_API and len(seen) == 1:
                return None
            if reply.status != 200:
                raise self._refused(reply, request)
            page = parse_referrers(reply.body, reply.content_type)
            if page is None and len(seen) == 1:
                return None
            if page is None:
                raise RegistryError(f"{self._reference.repository}: a page of referrers is no OCI index", status=200)
            found.extend(page)
            if len(found) > limits.REFERRERS:
                raise LimitExceededError(
                    f"{self._reference.repository}@{digest} has more than {limits.REFERRERS} referrers"
                )
            following = self._next(reply, request, seen)
            if following is None:
                return tuple(found)
            request = following

    async def _referrers_by_tag(self, digest: Digest) -> tuple[Descriptor, ...]:
        request = tag_request(self._reference.path, digest.tag)
        reply = await self._authorizer.get(self._repository, request, limit=limits.REFERRERS_BYTES, meter=self._meter)
        if reply.status == 404:
            return ()
        if reply.status != 200:
            raise self._refused(reply, request)
        return parse_referrers(reply.body, reply.content_type) or ()

    def _next(self, reply: Reply, request: Request, seen: set[str]) -> Request | None:
        target = next_page(reply.headers.getall("Link", ()), target=request.target)
        if target is None:
            return None
        if target in seen or len(seen) >= limits.TAG_PAGES:
            raise LimitExceededError(
                f"{self._reference.repository}: the registry's pages go round in circles or never end"
            )
        seen.add(target)
        return page_request(target, like=request)

    async def _manifest(self, request: Request) -> RawManifest:
        reply = await self._get(request, limit=limits.MANIFEST_BYTES)
        return RawManifest(data=reply.body, content_type=reply.content_type)

    async def _get(self, request: Request, *, limit: int) -> Reply:
        reply = await self._authorizer.get(self._repository, request, limit=limit, meter=self._meter)
        if reply.status != 200:
            raise self._refused(reply, request)
        return reply

    def _refused(self, reply: Reply, request: Request) -> TransportError:
        return refusal(reply.status, reply.body, asked=f"{self._repository.host.name}{request.path}")

    async def aclose(self) -> None:
        """Nothing is held: connections are the client's."""


async def _from_offset(body: BodyStream, offset: int, budget_s: float) -> AsyncIterator[bytes]:
    """The bytes from ``offset`` on, of a 206 that begins there or a 200 that begins at 0 (RFC 9110 section 15.3.7)."""
    skip = offset
    if body.status == 206:
        served = _CONTENT_RANGE.fullmatch(body.headers.get("Content-Range") or "")
        if served is None or int(served[1]) != offset:
            raise RegistryError(
                f"{body.asked}: asked to go on at byte {offset}, the registry sent another range", status=206
            )
        skip = 0
    async for chunk in body.chunks(budget_s=budget_s):
        if skip >= len(chunk):
            skip -= len(chunk)
        elif skip:
            yield chunk[skip:]
            skip = 0
        else:
            yield chunk
