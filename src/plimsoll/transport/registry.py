"""RegistrySource: an image in a registry, read by the distribution API."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from plimsoll import limits
from plimsoll.errors import DigestMismatchError, LimitExceededError, NotFoundError, RegistryError, TransportError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import DockerReference, is_tag
from plimsoll.model.settings import CredentialsFor, Endpoint, EndpointsFor, HttpSettings, Routes, TLSFor
from plimsoll.transport.auth import Authorizer, Repository
from plimsoll.transport.base import OneImage, checked_blob, checked_manifest, listed_by_tag, refuse_larger
from plimsoll.transport.connections import BodyStream
from plimsoll.transport.hosts import Host
from plimsoll.transport.http import HttpClient
from plimsoll.transport.lookaside import read_lookaside
from plimsoll.transport.mirrors import first_served
from plimsoll.transport.pages import Pages
from plimsoll.transport.referrers_api import ApiMemory, ReferrersApi, Unclear, Unlisted
from plimsoll.transport.resuming import resumed
from plimsoll.wire import (
    Reply,
    Request,
    blob_request,
    contradiction,
    digest_request,
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


class Registries:
    """What all sources of a run share: the way there, the proofs, and which repositories have a referrers API."""

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
        self.referrers_apis = ApiMemory()
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
        """Another manifest of the repository; raises NotFoundError where there is none.

        A 404 whose body says something else than that, or that stands where a redirect led, is a failure:
        RegistryError.
        """
        request = tag_request(self._repository.path, tag)
        reply = await self._beside(request)
        if reply.status != 200:
            raise self._refused(reply, request)
        return RawManifest(data=reply.body, content_type=reply.content_type)

    async def _beside(self, request: Request) -> Reply:
        """The answer about a tag beside the image, where a 404 is an absence."""
        reply = await self._authorizer.get(self._repository, request, limit=limits.MANIFEST_BYTES, meter=self.meter)
        if reply.led_to:
            raise self._refused(reply, request)
        if reply.status == 404 and (code := contradiction(reply.body)):
            raise RegistryError(
                f"{self._refused(reply, request)}: {code} says nothing of what is there", status=reply.status
            )
        return reply

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
        """All tags of the repository as the registry lists them, unchecked, each once.

        Raises RegistryError for pages that lead nowhere, LimitExceededError past the caps.
        """
        first = tags_request(self._repository.path)
        request: Request | None = first
        pages = Pages(first, where=self._physical.repository, most=limits.TAG_PAGES, idle=limits.IDLE_TAG_PAGES)
        given: set[str] = set()  # what is pushed meanwhile may move a tag to another page
        count = 0
        while request is not None:
            reply = await self._tags_page(request, is_first=pages.is_first)
            before = len(given)
            for tag in parse_tags_page(reply.body):
                count += 1
                if count > limits.TAGS:
                    raise LimitExceededError(f"{self._physical.repository} lists more than {limits.TAGS} tags")
                if tag not in given:
                    given.add(tag)
                    yield tag
            request = pages.following(reply, brought=len(given) - before)

    async def _tags_page(self, request: Request, *, is_first: bool) -> Reply:
        try:
            return await self._get(request, limit=limits.TAG_PAGE_BYTES)
        except NotFoundError as error:
            if is_first:
                raise
            raise RegistryError(f"{error}, though the page of tags before it names it", status=404) from error

    async def referrers(self, digest: Digest, *, whole: bool) -> tuple[Descriptor, ...]:
        """Everything whose subject is ``digest``: by the API, else by the fallback tag; empty where neither lists any.

        Where the repository is known to lack the API (``ApiMemory``) the tag is asked first, and the API only where it
        lists nothing: whatever was learnt from other images, none is hidden. ``whole`` asks the API in any case.
        Where the API's answer is unclear and the tag lists nothing, that is a failure: raises what it means.
        distribution-spec 1.1 "Listing Referrers" and "Unavailable Referrers API".
        """
        key, known = self._repository.key, self._registries.referrers_apis
        by_tag: tuple[Descriptor, ...] | None = None
        if not whole and known.is_missing(key):
            by_tag = await self._referrers_by_tag(digest)
            if by_tag:
                return by_tag
        by_api = await self._referrers_by_api(digest, whole=whole)
        if not isinstance(by_api, Unlisted | Unclear):
            return by_api
        if by_tag is None:
            by_tag = await self._referrers_by_tag(digest)
        if isinstance(by_api, Unclear) and not by_tag:
            raise by_api.failure
        if by_tag and by_api is Unlisted.NOT_FOUND:
            known.missed(key)
        return by_tag

    async def _referrers_by_api(self, digest: Digest, *, whole: bool) -> tuple[Descriptor, ...] | Unlisted | Unclear:
        api = ReferrersApi(
            where=self._physical.repository,
            ask=partial(self._authorizer.get, self._repository, limit=limits.REFERRERS_BYTES, meter=self.meter),
            asked=self._asked,
            seen=partial(self._registries.referrers_apis.listed, self._repository.key),
            monotonic=self._registries.client.monotonic,
        )
        return await api.listed(digest, referrers_request(self._repository.path, digest), whole=whole)

    async def _referrers_by_tag(self, digest: Digest) -> tuple[Descriptor, ...]:
        if not is_tag(digest.tag):
            return ()  # `sha512-HEX` is longer than a tag may be: no registry can have it
        request = tag_request(self._repository.path, digest.tag)
        reply = await self._beside(request)
        if reply.status == 404:
            return ()
        if reply.status != 200:
            raise self._refused(reply, request)
        return listed_by_tag(
            RawManifest(data=reply.body, content_type=reply.content_type),
            where=f"{self._physical.repository}:{digest.tag}",
        )

    async def _manifest(self, request: Request, *, once: bool = False) -> RawManifest:
        reply = await self._get(request, limit=limits.MANIFEST_BYTES, once=once)
        return RawManifest(data=reply.body, content_type=reply.content_type)

    async def _get(self, request: Request, *, limit: int, once: bool = False) -> Reply:
        reply = await self._authorizer.get(self._repository, request, limit=limit, meter=self.meter, once=once)
        if reply.status != 200:
            raise self._refused(reply, request)
        return reply

    def _refused(self, reply: Reply, request: Request) -> TransportError:
        """What a status other than the wanted one means; a 404 where a redirect led to is no absence.

        Who redirects to a place in a store says that the thing is there.
        """
        if reply.led_to:
            where = f"{self._asked(request)} redirects to {reply.led_to[: limits.TEXT_CHARS]}, which does not exist"
            return RegistryError(f"{where}: look into the registry's storage", status=reply.status)
        return refusal(reply.status, reply.body, asked=self._asked(request))

    def _asked(self, request: Request) -> str:
        return f"{self._repository.host.name}{request.path}"

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
