"""RegistrySource: an image in a registry, read by the distribution API."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from plimsoll import limits
from plimsoll.errors import DigestMismatchError, LimitExceededError, RegistryError, TransportError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import DockerReference, is_tag
from plimsoll.model.settings import CredentialsFor, Endpoint, EndpointsFor, HttpSettings, Routes, TLSFor
from plimsoll.transport.auth import Authorizer, Key, Repository
from plimsoll.transport.base import OneImage, checked_blob, checked_manifest, refuse_larger
from plimsoll.transport.connections import BodyStream
from plimsoll.transport.hosts import Host
from plimsoll.transport.http import HttpClient
from plimsoll.transport.lookaside import read_lookaside
from plimsoll.transport.mirrors import first_served
from plimsoll.transport.resuming import resumed
from plimsoll.wire import (
    Reply,
    Request,
    blob_request,
    digest_request,
    next_page,
    page_request,
    parse_referrers,
    parse_signature_list,
    parse_tags_page,
    referrers_request,
    refusal,
    signature_list_request,
    tag_request,
    tags_request,
)

_CONTACT: Final = {"docker.io": "registry-1.docker.io"}
"""Docker Hub's name is not its registry's host."""
_SIMPLE_SIGNING: Final = b"\0simple-signing\n"
"""What containers/image writes before a stored OpenPGP signature (``signatures.framing``)."""
_NO_REFERRERS_API: Final = frozenset({400, 404, 405, 406, 501})
"""What registries answer that do not know the endpoint."""


class Registries:
    """What all sources of a run share: the way there, the proofs, and which repositories have no referrers API."""

    def __init__(
        self,
        client: HttpClient,
        authorizer: Authorizer,
        *,
        endpoints_for: EndpointsFor,
        repository_for: EndpointsFor,
    ) -> None:
        self.client = client
        self.authorizer = authorizer
        self.without_referrers: set[Key] = set()
        self._endpoints_for = endpoints_for
        self._repository_for = repository_for

    def open(self, reference: DockerReference) -> RegistrySource:
        """The source of one image, at a mirror where one is set; nothing is sent yet.

        Raises BlockedError, or InvalidReferenceError where a rewrite leads to no image's name.
        """
        return RegistrySource(reference, endpoints=self._endpoints_for(reference), registries=self)

    def open_repository(self, reference: DockerReference) -> RegistrySource:
        """The source at the very registry that is named, to list tags; raises BlockedError."""
        return RegistrySource(reference, endpoints=self._repository_for(reference), registries=self)

    def written_repository(self, reference: DockerReference) -> Repository:
        """The repository at the very registry that is named, to be written to; raises BlockedError."""
        endpoint = self._repository_for(reference)[0]
        physical = endpoint.reference
        host = self.client.host(_contact(physical), tls=endpoint.tls)
        return Repository(host=host, domain=physical.domain, path=physical.path, is_written=True)

    async def aclose(self) -> None:
        """End what is under way and close all connections."""
        await self.authorizer.aclose()
        await self.client.aclose()


def connect(
    settings: HttpSettings,
    *,
    credentials_for: CredentialsFor,
    tls_for: TLSFor,
    routes: Routes | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
    wall_s: Callable[[], float] = time.time,
) -> Registries:
    """Make what a run needs to speak to registries; nothing is sent yet, ``Registries.aclose`` ends it.

    Where ``routes`` says nothing every registry is asked under its own name, without a proxy.
    """
    ways = routes or Routes()
    client = HttpClient(
        settings, tls_for, proxy_for=ways.proxy_for, sleep=sleep, monotonic=monotonic, jitter=jitter, wall_s=wall_s
    )

    def named(reference: DockerReference) -> tuple[Endpoint, ...]:
        return (Endpoint(reference=reference, tls=tls_for(_contact(reference))),)

    return Registries(
        client,
        Authorizer(client, credentials_for),
        endpoints_for=ways.endpoints_for or named,
        repository_for=ways.repository_for or named,
    )


def _contact(reference: DockerReference) -> str:
    return _CONTACT.get(reference.domain, reference.domain)


class RegistrySource(OneImage):
    """One image of a registry and its repository, read at the first of ``endpoints`` that has the image.

    The endpoint that served the manifest gets all further requests; before that they go to the first.
    """

    def __init__(self, reference: DockerReference, *, endpoints: tuple[Endpoint, ...], registries: Registries) -> None:
        super().__init__(locate_docker(reference))
        self._reference = reference
        self._endpoints = endpoints
        self._registries = registries
        self._authorizer = registries.authorizer
        self._contacted: list[str] = []
        self._physical, self._repository = self._at(endpoints[0])

    def _host(self, endpoint: Endpoint) -> Host:
        return self._registries.client.host(_contact(endpoint.reference), tls=endpoint.tls)

    def _at(self, endpoint: Endpoint) -> tuple[DockerReference, Repository]:
        physical, host = endpoint.reference, self._host(endpoint)
        return physical, Repository(host=host, domain=physical.domain, path=physical.path, stands_in=endpoint.stands_in)

    @property
    def physical(self) -> DockerReference:
        """The image's name where its bytes come from: a mirror's, or what registries.conf makes of the reference."""
        return self._physical

    @property
    def contacted(self) -> tuple[str, ...]:
        """The repositories that were asked for the image, the one that has it last."""
        return tuple(self._contacted)

    async def manifest(self) -> RawManifest:
        """What the reference names; a digest in it is checked on the bytes, under its own algorithm.

        An endpoint that cannot be asked or does not have it gives way to the next (containers/image, newImageSource);
        one that serves other bytes than the digest's is believed no more, and nobody else is asked.
        """
        raw = await self._first_manifest()
        digest = self._reference.digest
        if digest is None:
            return raw
        served_by = "" if self._physical == self._reference else f" as {self._physical.repository} serves it"
        return checked_manifest(raw, digest, where=f"{self._reference}{served_by}")

    async def _first_manifest(self) -> RawManifest:
        if len(self._endpoints) == 1:
            return await self._manifest_at(self._endpoints[0], once=False)
        ask = partial(self._manifest_at, once=True)
        return await first_served(self._endpoints, ask, host_of=self._host, client=self._registries.client)

    async def _manifest_at(self, endpoint: Endpoint, *, once: bool) -> RawManifest:
        physical, self._repository = self._at(endpoint)
        self._physical = physical
        if physical.repository in self._contacted:
            self._contacted.remove(physical.repository)
        self._contacted.append(physical.repository)
        if physical.digest is not None:
            return await self._manifest(digest_request(physical.path, physical.digest), once=once)
        return await self._manifest(tag_request(physical.path, physical.tag or "latest"), once=once)

    async def manifest_by_tag(self, tag: str) -> RawManifest:
        """Another manifest of the repository; raises NotFoundError where there is none."""
        return await self._manifest(tag_request(self._repository.path, tag))

    async def manifest_by_digest(self, descriptor: Descriptor) -> RawManifest:
        """A child of an index, or a subject: digest and size are checked."""
        where = f"{self._physical.repository}@{descriptor.digest}"
        refuse_larger(descriptor, limit=limits.MANIFEST_BYTES, where=where)
        raw = await self._manifest(digest_request(self._repository.path, descriptor.digest))
        return checked_manifest(raw, descriptor.digest, size=descriptor.size, where=where)

    async def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """A small blob, digest and size checked; raises LimitExceededError where it is larger than ``limit`` bytes."""
        where = f"{self._physical.repository}@{descriptor.digest}"
        refuse_larger(descriptor, limit=limit, where=where)
        request = blob_request(self._repository.path, descriptor.digest)
        try:
            reply = await self._get(request, limit=descriptor.size)
        except LimitExceededError as error:
            raise DigestMismatchError(
                f"{where} is longer than the {descriptor.size} bytes its descriptor says"
            ) from error
        return checked_blob(reply.body, descriptor, where=where)

    def stream(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes as they come, NOT checked; a broken transfer is resumed where it broke.

        Raises what ``resumed`` raises.
        """
        return resumed(lambda offset: self._open_blob(descriptor, offset), descriptor, self._registries.client)

    async def _open_blob(self, descriptor: Descriptor, offset: int) -> BodyStream:
        request = blob_request(self._repository.path, descriptor.digest, offset=offset)
        reply = await self._authorizer.open(self._repository, request, meter=self.meter)
        if isinstance(reply, BodyStream):
            return reply
        raise self._refused(reply, request)

    async def tags(self) -> AsyncIterator[str]:
        """All tags of the repository as the registry lists them, unchecked; raises LimitExceededError past the caps."""
        request = tags_request(self._repository.path)
        seen = {request.target}
        count = 0
        while True:
            reply = await self._get(request, limit=limits.TAG_PAGE_BYTES)
            for tag in parse_tags_page(reply.body):
                count += 1
                if count > limits.TAGS:
                    raise LimitExceededError(f"{self._physical.repository} lists more than {limits.TAGS} tags")
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
            if digest.algorithm == "sha256":  # of another digest it may say so only because it knows SHA-256 alone
                self._registries.without_referrers.add(self._repository.key)
        return await self._referrers_by_tag(digest)

    async def _referrers_by_api(self, digest: Digest) -> tuple[Descriptor, ...] | None:
        request = referrers_request(self._repository.path, digest)
        seen = {request.target}
        found: list[Descriptor] = []
        while True:
            reply = await self._authorizer.get(
                self._repository, request, limit=limits.REFERRERS_BYTES, meter=self.meter
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
                raise RegistryError(f"{self._physical.repository}: a page of referrers is no OCI index", status=200)
            found.extend(page)
            if len(found) > limits.REFERRERS:
                raise LimitExceededError(
                    f"{self._physical.repository}@{digest} has more than {limits.REFERRERS} referrers"
                )
            following = self._next(reply, request, seen)
            if following is None:
                return tuple(found)
            request = following

    async def _referrers_by_tag(self, digest: Digest) -> tuple[Descriptor, ...]:
        if not is_tag(digest.tag):
            return ()  # `sha512-HEX` is longer than a tag may be: no registry can have it
        request = tag_request(self._repository.path, digest.tag)
        reply = await self._authorizer.get(self._repository, request, limit=limits.REFERRERS_BYTES, meter=self.meter)
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
                f"{self._physical.repository}: the registry's pages go round in circles or never end"
            )
        seen.add(target)
        return page_request(target, like=request)

    async def _manifest(self, request: Request, *, once: bool = False) -> RawManifest:
        reply = await self._get(request, limit=limits.MANIFEST_BYTES, once=once)
        return RawManifest(data=reply.body, content_type=reply.content_type)

    async def _get(self, request: Request, *, limit: int, once: bool = False) -> Reply:
        reply = await self._authorizer.get(self._repository, request, limit=limit, meter=self.meter, once=once)
        if reply.status != 200:
            raise self._refused(reply, request)
        return reply

    def _refused(self, reply: Reply, request: Request) -> TransportError:
        return refusal(reply.status, reply.body, asked=f"{self._repository.host.name}{request.path}")

    async def stored_signatures(self, base: str, digest: Digest) -> tuple[bytes, ...]:
        """The signatures that the registry says it keeps; else, as in containers/image, those below ``base``."""
        if self._repository.host in self._authorizer.signature_keepers:
            return await self._kept_signatures(digest)
        if not base:
            return ()
        path = self._repository.path
        return await read_lookaside(self._registries.client, self.meter, base=base, path=path, digest=digest)

    async def _kept_signatures(self, digest: Digest) -> tuple[bytes, ...]:
        # A 404 is no empty list: a registry that keeps signatures answers for every image that it has.
        reply = await self._get(signature_list_request(self._repository.path, digest), limit=limits.PAYLOAD_BYTES)
        # Framed, for they are of this one form: what begins otherwise must not be taken for another.
        return tuple([_SIMPLE_SIGNING + content for content in parse_signature_list(reply.body)])

    async def aclose(self) -> None:
        """Nothing is held: connections are the client's."""
