"""Transports: from a Reference to its Location and its Source, whatever the transport; one a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from plimsoll.model.location import Location, locate_docker, locate_path
from plimsoll.model.reference import ArchiveReference, DirectoryReference, DockerReference, LayoutReference, Reference
from plimsoll.transport.archive import ArchiveCache, open_archive
from plimsoll.transport.base import Source
from plimsoll.transport.directory import open_directory
from plimsoll.transport.layout_index import LayoutCache
from plimsoll.transport.oci_layout import open_layout
from plimsoll.transport.stores import resolve

if TYPE_CHECKING:
    from plimsoll.transport.registry import Registries, RegistrySource


def locate(reference: Reference) -> Location:
    """Where an image lies, as a policy matches it: local paths absolute and free of symbolic links."""
    if isinstance(reference, DockerReference):
        return locate_docker(reference)
    return locate_path(reference.transport, resolve(reference.path))


class Transports:
    """Opens sources; ``registries`` is called when the first docker reference comes, so that others load no HTTP."""

    def __init__(self, registries: Callable[[], Registries]) -> None:
        self._make_registries = registries
        self._registries: Registries | None = None
        self._layouts = LayoutCache()
        self._archives = ArchiveCache()
        self._opening = asyncio.Lock()

    async def open(self, reference: Reference) -> Source:
        """The source of one image, to be closed by the caller; nothing is sent yet.

        Raises TransportError or ContentError where a local image cannot be opened, InvalidReferenceError where its
        name is ambiguous.
        """
        match reference:
            case DockerReference():
                return self.open_registry(reference)
            case LayoutReference():
                return open_layout(reference, self._layouts)
            case ArchiveReference():
                # Unpacking takes its time, so it is done beside the event loop, and once for all who want it.
                async with self._opening:
                    return await asyncio.to_thread(open_archive, reference, self._archives, self._layouts)
            case DirectoryReference():
                return open_directory(reference)

    def open_registry(self, reference: DockerReference) -> RegistrySource:
        """The source of an image in a registry, which can list its repository's tags too."""
        if self._registries is None:
            self._registries = self._make_registries()
        return self._registries.open(reference)

    async def aclose(self) -> None:
        """Close connections and what archives left on the disk."""
        self._archives.close()
        if self._registries is not None:
            await self._registries.aclose()
