"""DirectorySource: an image as skopeo's ``dir:`` writes it: manifest.json, and blobs named by their hex beside it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from plimsoll import limits
from plimsoll.errors import ContentError, NotFoundError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import locate_path
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import DirectoryReference
from plimsoll.transport.base import checked_blob, checked_manifest, refuse_larger
from plimsoll.transport.local import LocalImage
from plimsoll.transport.numbered import read_numbered
from plimsoll.transport.stores import Folder, resolve

_VERSION = re.compile(rb"Directory Transport Version: 1\.[0-9]{1,4}\n?")
_VERSION_BYTES = 1024


def open_directory(reference: DirectoryReference) -> DirectorySource:
    """Open the folder; raises NotFoundError, UnreachableError, or ContentError for a version that is not known."""
    folder = Folder(resolve(reference.path))
    try:
        _check_version(folder)
    except BaseException:
        folder.close()
        raise
    return DirectorySource(reference, folder=folder)


def _check_version(folder: Folder) -> None:
    try:
        version = folder.read(("version",), limit=_VERSION_BYTES)
    except NotFoundError:
        # The earliest writers left none, and readers do not ask for it.
        return
    if _VERSION.fullmatch(version) is None:
        raise ContentError(f"{folder.path}/version says {version[:80]!r}: directories of version 1.x are known")


class DirectorySource(LocalImage):
    """One image in a folder; it has no tags, so nothing lies beside it."""

    def __init__(self, reference: DirectoryReference, *, folder: Folder) -> None:
        super().__init__(locate_path("dir", folder.path))
        self._reference = reference
        self._folder = folder

    async def manifest(self) -> RawManifest:
        """The folder's manifest.json."""
        return RawManifest(data=self._read("manifest.json", limit=limits.MANIFEST_BYTES))

    async def manifest_by_tag(self, tag: str) -> RawManifest:
        """A folder has no tags; raises NotFoundError."""
        raise NotFoundError(f"{self._reference} has no tag {tag!r}: a directory holds one image")

    async def manifest_by_digest(self, descriptor: Descriptor) -> RawManifest:
        """An instance of the image's index: digest and size are checked."""
        name = f"{_file(descriptor.digest)}.manifest.json"
        raw = RawManifest(data=self._read(name, limit=limits.MANIFEST_BYTES))
        return checked_manifest(raw, descriptor.digest, size=descriptor.size, where=f"{self._folder.path}/{name}")

    async def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """A small blob, digest and size checked; raises LimitExceededError where it is larger than ``limit`` bytes."""
        where = f"{self._folder.path}/{_file(descriptor.digest)}"
        refuse_larger(descriptor, limit=limit, where=where)
        return checked_blob(self._read(_file(descriptor.digest), limit=limit), descriptor, where=where)

    def stream(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes as they come, NOT checked."""
        return self._streamed(self._folder.stream((_file(descriptor.digest),)), descriptor)

    async def referrers(self, digest: Digest, *, whole: bool) -> tuple[Descriptor, ...]:  # noqa: ARG002  # the port's
        """A folder lists nothing that refers to its image."""
        return ()

    async def stored_signatures(self, base: str, digest: Digest) -> tuple[bytes, ...]:
        """The folder's ``signature-N``, or ``HEX.signature-N`` of an instance; a folder has no lookaside."""
        if base:
            return ()
        main = Digest.of(self._folder.read(("manifest.json",), limit=limits.MANIFEST_BYTES))
        prefix = "" if digest == main else f"{_file(digest)}."

        async def read(at: int) -> bytes:
            return self._read(f"{prefix}signature-{at}", limit=limits.PAYLOAD_BYTES)

        return await read_numbered(read, where=self._folder.path)

    def _read(self, name: str, *, limit: int) -> bytes:
        return self._counted(self._folder.read((name,), limit=limit))

    async def aclose(self) -> None:
        """Close the folder's handle."""
        self._folder.close()


def _file(digest: Digest) -> str:
    """Skopeo names SHA-256 blobs by their hex alone, others with their algorithm before it."""
    return digest.hex if digest.algorithm == "sha256" else digest.tag
