"""Transports: from a Reference to its Location and its Source, whatever the transport; one a run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plimsoll.model.location import Location, locate_docker, locate_docker_archive, locate_path
from plimsoll.model.reference import (
    ArchiveReference,
    DirectoryReference,
    DockerArchiveReference,
    DockerReference,
    LayoutReference,
    Reference,
)
from plimsoll.model.settings import CredentialsFor, HttpSettings, Routes, TLSFor
from plimsoll.transport.archive import ArchiveCache, open_archive
from plimsoll.transport.base import Source
from plimsoll.transport.directory import open_directory
from plimsoll.transport.docker_archive import SavedCache, open_docker_archive
from plimsoll.transport.layout_index import LayoutCache
from plimsoll.transport.oci_layout import open_layout
from plimsoll.transport.stores import resolve

if TYPE_CHECKING:
    from plimsoll.transport.registry import Registries, RegistrySource
    from plimsoll.transport.registry_push import RegistryDestination


def locate(reference: Reference) -> Location:
    """Where an image lies, as a policy matches it: local paths absolute and free of symbolic links."""
    if isinstance(reference, DockerReference):
        return locate_docker(reference)
    if isinstance(reference, DockerArchiveReference):
        return locate_docker_archive(reference)
    return locate_path(reference.transport, resolve(reference.path))


class Transports:
    """Opens sources; what speaks to registries is made when the first docker reference comes."""

    def __init__(
        self,
        settings: HttpSettings,
        *,
        credentials_for: CredentialsFor,
        tls_for: TLSFor,
        routes: Routes | None = None,
        tmpdir: str | None = None,
    ) -> None:
        self._settings = settings
        self._credentials_for = credentials_for
        self._tls_for = tls_for
        self._routes = routes
        self._registries: Registries | None = None
        self._layouts = LayoutCache()
        self._archives = ArchiveCache(tmpdir=tmpdir)
        self._saved = SavedCache()
        self._unpacking = asyncio.Lock()

    async def open(self, reference: Reference) -> Source:
        """The source of one image, to be closed by the caller; of a registry nothing is asked yet.

        Raises TransportError or ContentError where a local image cannot be opened, UnsupportedError for a compression
        that is not read, InvalidReferenceError where the reference is ambiguous, BlockedError as registries.conf says.
        """
        match reference:
            case DockerReference():
                return self._registries_of_run().open(reference)
            case LayoutReference():
                return open_layout(reference, self._layouts)
            case ArchiveReference():
                # Unpacking takes its time: beside the event loop, and once for all who want it.
                async with self._unpacking:
                    return await asyncio.to_thread(open_archive, reference, self._archives, self._layouts)
            case DockerArchiveReference():
                # So does finding the size of a packed layer.
                async with self._unpacking:
                    return await asyncio.to_thread(open_docker_archive, reference, self._archives, self._saved)
            case DirectoryReference():
                return open_directory(reference)

    def open_registry(self, reference: DockerReference) -> RegistrySource:
        """The source at the very registry that a reference names, never at a mirror: to list tags."""
        return self._registries_of_run().open_repository(reference)

    def open_destination(self, reference: DockerReference) -> RegistryDestination:
        """The very repository that a reference names, to be written to; raises BlockedError."""
        from plimsoll.transport.registry_push import RegistryDestination  # noqa: PLC0415  # as below

        return RegistryDestination(reference, registries=self._registries_of_run())

    def _registries_of_run(self) -> Registries:
        if self._registries is None:
            # Imported with the first reference that needs it: aiohttp takes a third of a second.
            from plimsoll.transport.registry import connect  # noqa: PLC0415

            self._registries = connect(
                self._settings,
                credentials_for=self._credentials_for,
                tls_for=self._tls_for,
                routes=self._routes,
            )
        return self._registries

    async def aclose(self) -> None:
        """Close all connections, and what archives were unpacked to."""
        self._archives.close()
        if self._registries is not None:
            await self._registries.aclose()
