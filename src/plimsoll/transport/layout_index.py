"""LayoutIndex: the index.json of an OCI layout (image-spec image-layout.md), read once for all images asked of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    InvalidReferenceError,
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
    TransportError,
)
from plimsoll.model.descriptor import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import read_descriptor
from plimsoll.model.reference import is_attachment_tag
from plimsoll.native import DescriptorFields, ReadError, read_json, read_manifest
from plimsoll.transport.stores import Store

SubjectOf = Callable[[Descriptor], Digest | None]
"""What a manifest refers to, None for nothing; raises ContentError or TransportError where it cannot be read."""
REF_NAME: Final = "org.opencontainers.image.ref.name"
"""image-spec annotations.md: the name of an entry in a layout."""
_FOREIGN: Final = frozenset({"config", "layers", "fslayers", "history", "signatures"})
_LAYOUT_BYTES: Final = 64 * limits.KIB


class LayoutIndex:
    """The entries of one index.json; each becomes a Descriptor when chosen: there may be a hundred thousand."""

    __slots__ = ("_entries", "_names", "_referrers", "_subjects", "_where")

    def __init__(self, entries: tuple[DescriptorFields, ...], *, where: str) -> None:
        self._entries = entries
        self._where = where
        self._names: dict[str, list[int]] = {}
        self._referrers: dict[Digest | None, list[Descriptor]] | None = None
        self._subjects: dict[tuple[Digest, int], Digest | ContentError | NotFoundError | None] = {}
        for at, entry in enumerate(entries):
            name = _name(entry)
            if name is not None:
                self._names.setdefault(name, []).append(at)

    def names(self) -> Iterator[str]:
        """Every name, once, in the order of the entries."""
        return iter(self._names)

    def at(self, position: int) -> Descriptor:
        """The entry at a position from 0, attachments counted too, as in skopeo; raises NotFoundError past the end."""
        if position >= len(self._entries):
            raise NotFoundError(f"{self._where} has {len(self._entries)} entries, none at position {position}")
        return self._descriptor(position)

    def named(self, name: str) -> Descriptor:
        """The entry of that name; raises NotFoundError for none, MalformedManifestError for two different ones."""
        positions = self._names.get(name)
        if not positions:
            raise NotFoundError(f"{self._where} has no image named {name!r}")
        if len({self._entries[at].digest for at in positions}) > 1:
            raise MalformedManifestError(f"{self._where} gives the name {name!r} to different images")
        return self._descriptor(positions[0])

    async def only(self, *, subject_of: SubjectOf) -> Descriptor:
        """The one image there is, attachments not counted (cli.md, "References").

        An attachment has a name of the form ALGO-HEX[.sig|.att|.sbom], or a manifest with a ``subject_of``. Raises
        NotFoundError for none, InvalidReferenceError for more than one, LimitExceededError where it is among more
        attachments than any image may have, and what ``subject_of`` raises but for ContentError and NotFoundError.
        """
        found: Descriptor | None = None
        attached: set[Digest] = set()
        for at, entry in enumerate(self._entries):
            name = _name(entry)
            if name is not None and is_attachment_tag(name):
                continue
            descriptor = self._descriptor(at)
            if await self._has_subject(descriptor, subject_of):
                attached.add(descriptor.digest)
                if len(attached) > limits.REFERRERS:
                    message = f"{self._where} has more than {limits.REFERRERS} entries that refer to others: name one"
                    raise LimitExceededError(message)
                continue
            if found is not None and found.digest != descriptor.digest:
                raise InvalidReferenceError(
                    f"{self._where} has more than one image: name one, or write :@0 for the first"
                )
            found = found or descriptor
        if found is None:
            raise NotFoundError(f"{self._where} has no image")
        return found

    async def _has_subject(self, descriptor: Descriptor, subject_of: SubjectOf) -> bool:
        try:
            return await self._subject(descriptor, subject_of) is not None
        except (ContentError, NotFoundError):
            return False  # whatever cannot be read is no proven attachment, so it counts as an image

    async def _subject(self, descriptor: Descriptor, subject_of: SubjectOf) -> Digest | None:
        """What ``subject_of`` gives or raises: each manifest is read once, and between two of them others have a turn.

        A thousand entries may name one manifest of megabytes.
        """
        key = (descriptor.digest, descriptor.size)
        if key not in self._subjects:
            await asyncio.sleep(0)
        if key not in self._subjects:  # still: of all that waited, the first reads it
            try:
                self._subjects[key] = subject_of(descriptor)
            except (ContentError, NotFoundError) as error:
                self._subjects[key] = error
        found = self._subjects[key]
        if isinstance(found, ContentError | NotFoundError):
            raise found.with_traceback(None)
        return found

    async def referrers(self, digest: Digest, *, subject_of: SubjectOf) -> tuple[Descriptor, ...]:
        """The entries without a name that are about ``digest``; all such entries are looked at once.

        A manifest whose ``subject_of`` cannot be had may be about any image, and is among those of each. Raises
        LimitExceededError for more of them than any image may have referrers.
        """
        if self._referrers is None:
            unnamed = [at for at, entry in enumerate(self._entries) if _name(entry) is None]
            if len(unnamed) > limits.REFERRERS:
                raise LimitExceededError(f"{self._where} has more than {limits.REFERRERS} entries without a name")
            referrers: dict[Digest | None, list[Descriptor]] = {}
            for at in unnamed:
                descriptor = self._descriptor(at)
                if descriptor.media_type not in MANIFEST_TYPES | INDEX_TYPES:
                    continue  # image-spec: an index.json may list anything
                try:
                    subject = await self._subject(descriptor, subject_of)
                except (ContentError, TransportError):
                    referrers.setdefault(None, []).append(descriptor)
                    continue
                if subject is not None:
                    referrers.setdefault(subject, []).append(descriptor)
            self._referrers = referrers
        return (*self._referrers.get(digest, ()), *self._referrers.get(None, ()))

    def _descriptor(self, at: int) -> Descriptor:
        return read_descriptor(self._entries[at], f"{self._where}: manifests[{at}]")


def _name(entry: DescriptorFields) -> str | None:
    return None if entry.annotations is None else entry.annotations.get(REF_NAME)


def parse_layout_index(data: bytes, *, where: str) -> LayoutIndex:
    """Read an index.json strictly; raises MalformedManifestError."""
    try:
        fields = read_manifest(
            data,
            max_bytes=limits.INDEX_JSON_BYTES,
            max_depth=limits.JSON_DEPTH,
            max_values=limits.INDEX_JSON_VALUES,
            max_manifests=limits.INDEX_JSON_ENTRIES,
        )
    except ReadError as error:
        raise MalformedManifestError(f"{where} is refused: {error}") from error
    if fields.schema_version != 2 or fields.manifests is None:
        raise MalformedManifestError(f"{where} is no image index: schemaVersion 2 and manifests are needed")
    foreign = [member for member in fields.members if member.lower() in _FOREIGN]
    if foreign:
        raise MalformedManifestError(f"{where} also has {foreign[0]!r}: two readers could see two images")
    return LayoutIndex(fields.manifests, where=where)


def check_layout_version(data: bytes, *, where: str) -> None:
    """Check the ``oci-layout`` file; raises ContentError for another version than 1.x."""
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise ContentError(f"{where} is refused: {error}") from error
    match document:
        case {"imageLayoutVersion": str(version)} if version.partition(".")[0] == "1":
            return
        case {"imageLayoutVersion": str(version)}:
            raise ContentError(f"{where}: layouts of version {version[:80]!r} are not known")
        case _:
            raise ContentError(f"{where} names no imageLayoutVersion")


def _check_version_of(store: Store) -> None:
    """Without ``oci-layout`` a layout is read as any other (as in containers/image, which never looks for it)."""
    try:
        data = store.read(("oci-layout",), limit=_LAYOUT_BYTES)
    except NotFoundError:
        return
    check_layout_version(data, where=f"{store.path}/oci-layout")


class LayoutCache:
    """Parsed indexes of one run, the most recently used of them."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[tuple[object, ...], LayoutIndex] = OrderedDict()

    def index(self, store: Store) -> LayoutIndex:
        """The index of a layout, read anew where its file has changed; raises what the store and the reading raise."""
        stamp = store.stamp
        known = self._indexes.get(stamp)
        if known is not None:
            self._indexes.move_to_end(stamp)
            return known
        _check_version_of(store)
        data = store.read(("index.json",), limit=limits.INDEX_JSON_BYTES)
        index = self._indexes[stamp] = parse_layout_index(data, where=f"{store.path}/index.json")
        if len(self._indexes) > limits.LAYOUT_CACHE:
            self._indexes.popitem(last=False)
        return index
