"""LayoutSource: an image in an OCI layout (image-spec image-layout.md), in a folder or in an archive."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, NotFoundError, UnreachableError, UnsupportedError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import locate_path
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.reference import ArchiveReference, LayoutReference
from plimsoll.transport.base import checked_blob, checked_manifest, listed_by_tag, refuse_larger, what_is_claimed
from plimsoll.transport.layout_index import LayoutCache, LayoutIndex
from plimsoll.transport.local import LocalImage
from plimsoll.transport.stores import Folder, Parts, Store, resolve


def open_layout(reference: LayoutReference, cache: LayoutCache) -> LayoutSource:
    """Open the folder of a layout.

    Raises InvalidReferenceError where ``PATH@ALGORITHM`` exists too, for then skopeo would mean that folder;
    NotFoundError, ContentError and UnreachableError where there is no layout that can be read.
    """
    refuse_ambiguous(reference)
    folder = Folder(resolve(reference.path))
    try:
        index = cache.index(folder)
    except BaseException:
        folder.close()
        raise
    return LayoutSource(reference, store=folder, index=index)


def refuse_ambiguous(reference: LayoutReference) -> None:
    """Raise InvalidReferenceError where a folder exists that skopeo would read for this ``oci:PATH@DIGEST``."""
    digest = reference.digest
    if digest is not None and os.path.lexists(f"{reference.path}@{digest.algorithm}"):
        raise InvalidReferenceError(
            f"{reference} is ambiguous: {reference.path}@{digest.algorithm} exists too: rename that folder"
        )


class LayoutSource(LocalImage):
    """One image of a layout and what lies beside it; ``aclose`` gives the store's handles back."""

    def __init__(self, reference: LayoutReference | ArchiveReference, *, store: Store, index: LayoutIndex) -> None:
        super().__init__(locate_path(reference.transport, store.path))
        self._reference = reference
        self._store = store
        self._index = index

    async def manifest(self) -> RawManifest:
        """What the reference names: by digest, position or name, or the only image there is.

        Raises InvalidReferenceError where the reference names no one of several images.
        """
        reference = self._reference
        if isinstance(reference, LayoutReference) and reference.digest is not None:
            raw = RawManifest(data=self._read(reference.digest, limit=limits.MANIFEST_BYTES))
            return checked_manifest(raw, reference.digest, where=str(reference))
        if isinstance(reference, LayoutReference) and reference.index is not None:
            return self._manifest(self._index.at(reference.index))
        if reference.name is not None:
            return self._manifest(self._index.named(reference.name))
        return self._manifest(await self._index.only(subject_of=self._subject))

    async def manifest_by_tag(self, tag: str) -> RawManifest:
        """The manifest that the layout names ``tag``; raises NotFoundError where it names none so.

        One that it names and does not have is not absent: UnreachableError.
        """
        return self._named(tag)

    def _named(self, name: str) -> RawManifest:
        descriptor = self._index.named(name)
        try:
            return self._manifest(descriptor)
        except NotFoundError as error:
            raise UnreachableError(f"{error}, though index.json names it {name!r}") from error

    async def manifest_by_digest(self, descriptor: Descriptor) -> RawManifest:
        """A manifest of the layout: digest and size are checked."""
        return self._manifest(descriptor)

    def _manifest(self, descriptor: Descriptor) -> RawManifest:
        raw = RawManifest(data=self._read(descriptor.digest, limit=limits.MANIFEST_BYTES))
        return checked_manifest(raw, descriptor.digest, size=descriptor.size, where=self._where(descriptor.digest))

    async def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """A small blob, digest and size checked; raises LimitExceededError where it is larger than ``limit`` bytes."""
        where = self._where(descriptor.digest)
        refuse_larger(descriptor, limit=limit, where=where)
        return checked_blob(self._read(descriptor.digest, limit=limit), descriptor, where=where)

    def stream(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes as they come, NOT checked."""
        return self._streamed(self._store.stream(_blob(descriptor.digest)), descriptor)

    async def tags(self) -> AsyncIterator[str]:
        """The names that the layout gives, in its order, each once."""
        for name in self._index.names():
            yield name

    def _read(self, digest: Digest, *, limit: int) -> bytes:
        return self._counted(self._store.read(_blob(digest), limit=limit))

    def _where(self, digest: Digest) -> str:
        return f"{digest} of {self._store.path}"

    async def referrers(self, digest: Digest, *, whole: bool) -> tuple[Descriptor, ...]:  # noqa: ARG002  # is always
        """The fallback tag's entries, and each entry without a name whose manifest has ``digest`` for its subject.

        One that cannot be read may have it: it is listed for every image.
        """
        found = (*self._by_fallback_tag(digest), *await self._by_subject(digest))
        return tuple({what_is_claimed(each): each for each in found}.values())

    def _by_fallback_tag(self, digest: Digest) -> tuple[Descriptor, ...]:
        try:
            raw = self._named(digest.tag)
        except NotFoundError:
            return ()
        return listed_by_tag(raw, where=f"{digest.tag} of {self._store.path}")

    async def _by_subject(self, digest: Digest) -> tuple[Descriptor, ...]:
        # ORAS writes what refers to an image as entries without a name.
        return await self._index.referrers(digest, subject_of=self._subject)

    def _subject(self, descriptor: Descriptor) -> Digest | None:
        """What a manifest refers to, None for nothing; raises what reading it raises."""
        try:
            subject = parse_manifest(self._manifest(descriptor)).subject
        except UnsupportedError:
            return None  # Docker schema 1 has no subject
        return None if subject is None else subject.digest

    async def stored_signatures(self, base: str, digest: Digest) -> tuple[bytes, ...]:  # noqa: ARG002  # the port's
        """A layout has no signature store."""
        return ()

    async def aclose(self) -> None:
        """Close the store's handles."""
        self._store.close()


def _blob(digest: Digest) -> Parts:
    return ("blobs", digest.algorithm, digest.hex)
