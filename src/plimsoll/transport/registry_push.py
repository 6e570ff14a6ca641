"""RegistryDestination: a repository of a registry, to be written to: blobs of some megabytes, manifests by tag."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll import limits
from plimsoll.errors import TransportError
from plimsoll.model.digest import Digest
from plimsoll.model.reference import DockerReference
from plimsoll.transport.auth import Repository
from plimsoll.transport.base import Meter
from plimsoll.transport.registry import Registries
from plimsoll.wire import (
    Reply,
    Request,
    begin_upload,
    finish_upload,
    lists_referrers,
    put_manifest,
    put_manifest_by_digest,
    refusal,
    upload_target,
)


class RegistryDestination:
    """Writes to the very registry that is named, never to a mirror, with the credentials that belong to it."""

    def __init__(self, reference: DockerReference, *, registries: Registries) -> None:
        self._registries = registries
        self._repository: Repository = registries.written_repository(reference)
        self.meter = Meter()

    async def put_blob(self, data: bytes) -> None:
        """Store a blob under its SHA-256.

        An upload that breaks is begun anew: what was sent to a place of which no answer came must not be sent there
        twice. Raises TransportError.
        """
        tried = 0
        while True:
            try:
                return await self._upload(data)
            except TransportError as error:
                await self._registries.client.pause(error, tried=tried)
            tried += 1

    async def _upload(self, data: bytes) -> None:
        begin = begin_upload(self._repository.path)
        reply = await self._write(begin, expected=202, once=True)
        target = upload_target(reply.headers.get("Location"), asked=begin.target, host=self._repository.host.name)
        await self._write(finish_upload(target, data, digest=Digest.of(data)), expected=201, once=True)

    async def put_manifest(self, data: bytes, *, tag: str, media_type: str) -> None:
        """Store a manifest and let ``tag`` name it, whatever it named before; raises TransportError."""
        request = put_manifest(self._repository.path, data, tag=tag, media_type=media_type)
        await self._write(request, expected=201, once=False)

    async def put_referrer(self, data: bytes, *, subject: Digest, listed: Mapping[str, object]) -> bool:
        """Store a manifest under its digest; False where the registry does not say that it lists it for ``subject``."""
        request = put_manifest_by_digest(self._repository.path, data, media_type=str(listed["mediaType"]))
        reply = await self._write(request, expected=201, once=False)
        return lists_referrers(reply.headers.get("OCI-Subject"), subject=subject)

    async def _write(self, request: Request, *, expected: int, once: bool) -> Reply:
        reply = await self._registries.authorizer.get(
            self._repository, request, limit=limits.ERROR_BYTES, meter=self.meter, once=once
        )
        if reply.status != expected:
            raise refusal(reply.status, reply.body, asked=f"{self._repository.host.name}{request.path}")
        return reply
