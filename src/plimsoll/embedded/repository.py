"""Repository: one OCI layout read and written as a registry's repository.

What lies in it is trusted for nothing: a blob is served as it is on disk, since whoever pulls checks its digest.
What is pushed is read strictly first.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.embedded import folder
from plimsoll.embedded.layout_index import (
    LAYOUT_FILE,
    LayoutEntry,
    LayoutIndex,
    parse_layout_file,
    parse_layout_index,
)
from plimsoll.embedded.relations import Referrer, Relations
from plimsoll.embedded.uploads import Upload, Uploads
from plimsoll.errors import (
    ContentError,
    InvalidReferenceError,
    LimitExceededError,
    MalformedManifestError,
    StoreError,
    UnsupportedError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import HEX_LENGTH, Digest
from plimsoll.model.manifest import Index, Manifest, RawManifest, parse_manifest
from plimsoll.model.reference import is_tag

Stamp = tuple[int, int, int]
"""mtime in nanoseconds, size and inode: a renamed file has another inode."""
_SETTLED_NS: Final = 2_000_000_000
"""The coarsest clock of a file system (FAT): a folder that changed within it may change again and look the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A manifest to be stored: its bytes, the Content-Type they came with, and the tag or digest they go under."""

    data: bytes
    reference: str
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a stored manifest is; ``subject`` is what it refers to."""

    entry: LayoutEntry
    subject: Digest | None


class Repository:
    """The layout at ``name`` below the handle ``root``; the Store makes it. Reads take no lock."""

    def __init__(self, root: int, name: str, *, durable: bool) -> None:
        self.name = name
        self._root = root
        self._parts = tuple(name.split("/"))
        self._durable = durable
        self._writing = threading.RLock()
        self._read: tuple[Stamp, LayoutIndex] | None = None
        self._relations = Relations(read=self._small_blob, stamp=self._blobs_stamp)

    # --- the layout ----------------------------------------------------------------------------------------------
    def exists(self) -> bool:
        """Whether there is a layout."""
        try:
            with folder.directory(self._root, self._parts) as handle:
                folder.stat_file(handle, "index.json")
        except folder.Absent:
            return False
        return True

    def create(self) -> None:
        """Make an empty layout where there is none."""
        with self._writing, folder.directory(self._root, self._parts, create=True) as handle:
            try:
                folder.stat_file(handle, "index.json")
            except folder.Absent:
                folder.replace_file(handle, "oci-layout", LAYOUT_FILE, durable=self._durable)
                folder.replace_file(handle, "index.json", LayoutIndex().to_bytes(), durable=self._durable)

    def index(self) -> LayoutIndex:
        """index.json as it is now, parsed once for each stamp; raises StoreError where it is gone, ContentError."""
        try:
            with folder.directory(self._root, self._parts) as handle:
                known = self._read
                if known is not None and known[0] == _stamp(folder.stat_file(handle, "index.json")):
                    return known[1]
                return self._read_index(handle)
        except folder.Absent:
            raise StoreError(f"there is no repository {self.name}", refusal="NAME_UNKNOWN") from None

    def _read_index(self, handle: int) -> LayoutIndex:
        parse_layout_file(folder.read_file(handle, "oci-layout", limit=limits.LAYOUT_FILE_BYTES)[0])
        data, found = folder.read_file(handle, "index.json", limit=limits.INDEX_JSON_BYTES)
        index = parse_layout_index(data)
        self._read = (_stamp(found), index)
        return index

    def _write_index(self, index: LayoutIndex) -> None:
        data = index.to_bytes()
        if len(data) > limits.INDEX_JSON_BYTES:
            raise LimitExceededError(f"index.json of {self.name} would be larger than {limits.INDEX_JSON_BYTES} bytes")
        with folder.directory(self._root, self._parts) as handle:
            found = folder.replace_file(handle, "index.json", data, durable=self._durable)
        self._read = (_stamp(found), index)

    # --- manifests -----------------------------------------------------------------------------------------------
    def listed(self, reference: str) -> LayoutEntry | None:
        """The manifest of a tag or digest that index.json names itself; raises StoreError for what is neither."""
        digest = _digest_in(reference)
        return self.index().by_tag.get(reference) if digest is None else self.index().by_digest.get(digest)

    def manifest(self, reference: str) -> LayoutEntry:
        """The manifest of a tag or digest, also below an index; may read every index there. Raises StoreError."""
        found = self.listed(reference)
        digest = _digest_in(reference)
        if found is None and digest is not None:
            found = self._relations.of(self.index()).known.get(digest)
        if found is None:
            raise StoreError(f"{self.name} has no manifest {reference[:160]!r}", refusal="MANIFEST_UNKNOWN")
        return found

    def manifest_bytes(self, entry: LayoutEntry) -> bytes:
        """A manifest's bytes as they are on disk; raises StoreError where they are gone."""
        data = self._small_blob(entry.digest)
        if data is None:
            raise StoreError(f"{self.name} has no manifest {entry.digest}", refusal="MANIFEST_UNKNOWN")
        return data

    def referrers(self, subject: Digest) -> tuple[Referrer, ...]:
        """The manifests whose subject is that digest, there or not; reads every manifest not read before."""
        return self._relations.of(self.index()).referrers.get(subject, ())

    def put_manifest(self, push: Push) -> Pushed:
        """Store one manifest; see put_manifests."""
        return self.put_manifests((push,))[0]

    def put_manifests(self, pushes: Sequence[Push]) -> tuple[Pushed, ...]:
        """Store manifests in order and rewrite index.json once.

        Raises StoreError for a manifest that is read with doubt, is not its digest, or names blobs that are not here.
        """
        with self._writing:
            stored = tuple([self._put(push) for push in pushes])
            self._write_index(self.index().with_entries([pushed.entry for pushed in stored]))
        return stored

    def _put(self, push: Push) -> Pushed:
        digest = _digest_in(push.reference)
        try:
            parsed = parse_manifest(RawManifest(data=push.data, content_type=push.content_type))
        except (ContentError, UnsupportedError) as error:
            raise StoreError(str(error), refusal="MANIFEST_INVALID") from error
        if digest is not None and not digest.matches(push.data):
            raise StoreError(f"the manifest does not hash to {digest}", refusal="DIGEST_INVALID")
        self._require_blobs(parsed)
        own = digest or Digest.of(push.data)
        self.put_blob(push.data, digest=own)
        entry = LayoutEntry.of(
            media_type=parsed.media_type,
            digest=own,
            size=len(push.data),
            name=None if digest is not None else push.reference,
        )
        return Pushed(entry=entry, subject=parsed.subject.digest if parsed.subject is not None else None)

    def _require_blobs(self, parsed: Manifest | Index) -> None:
        """What is named must be here; a subject may come later, foreign layers live elsewhere (distribution-spec)."""
        wanted = parsed.manifests if isinstance(parsed, Index) else (parsed.config, *parsed.layers)
        for descriptor in wanted:
            size = self.blob_size(descriptor.digest)
            if size is None and not _is_foreign(descriptor):
                raise StoreError(
                    f"{self.name} has no {descriptor.digest} that the manifest names", refusal="MANIFEST_BLOB_UNKNOWN"
                )
            if size is not None and size != descriptor.size:
                raise StoreError(
                    f"{descriptor.digest} has {size} bytes, the manifest says {descriptor.size}",
                    refusal="MANIFEST_INVALID",
                )

    def delete_manifest(self, reference: str) -> None:
        """Forget a tag, or a manifest with all its tags; raises StoreError where there is none."""
        with self._writing:
            entry = self.manifest(reference)
            if _digest_in(reference) is None:
                self._write_index(self.index().without_tag(reference))
                return
            self._write_index(self.index().without_digest(entry.digest))
            self._unlink(entry.digest)
            self._relations.forget(entry.digest)

    # --- blobs ---------------------------------------------------------------------------------------------------
    @contextmanager
    def open_blob(self, digest: Digest) -> Iterator[tuple[int, int]]:
        """A blob's descriptor and size; raises StoreError."""
        try:
            with self._blobs(digest) as handle, folder.open_file(handle, digest.hex) as (file, found):
                yield file, found.st_size
        except folder.Absent:
            raise StoreError(f"{self.name} has no blob {digest}", refusal="BLOB_UNKNOWN") from None

    def blob_size(self, digest: Digest) -> int | None:
        """A blob's size on disk, None where there is none."""
        try:
            with self._blobs(digest) as handle:
                return folder.stat_file(handle, digest.hex).st_size
        except folder.Absent:
            return None

    def put_blob(self, data: bytes, *, digest: Digest | None = None) -> Digest:
        """Store bytes; ``digest``, where given, is one that the caller has proven."""
        own = digest or Digest.of(data)
        with self._blobs(own, create=True) as handle:
            folder.replace_file(handle, own.hex, data, durable=self._durable)
        return own

    def take_upload(self, uploads: Uploads, upload: Upload, *, digest: Digest) -> None:
        """Prove an upload and make it a blob; raises StoreError."""
        upload.prove(digest)
        with self._blobs(digest, create=True) as handle:
            uploads.move(upload, blobs=handle, name=digest.hex, durable=self._durable)

    def mount_blob(self, digest: Digest, *, source: Repository) -> bool:
        """Link another repository's blob here; False where it is not there, or the file system links nothing."""
        try:
            with source._blobs(digest) as theirs, self._blobs(digest, create=True) as ours:
                folder.stat_file(theirs, digest.hex)
                os.link(digest.hex, digest.hex, src_dir_fd=theirs, dst_dir_fd=ours, follow_symlinks=False)
        except (folder.Absent, FileNotFoundError):
            return False
        except FileExistsError:
            return True
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP):
                return False  # distribution-spec, "Mounting a blob": what cannot be mounted is uploaded
            raise
        return True

    def delete_blob(self, digest: Digest) -> None:
        """Remove a blob; raises StoreError for an absent one, and for a manifest, which is deleted as one."""
        with self._writing:
            index = self.index()
            if digest not in index.by_digest and self.blob_size(digest) is None:
                raise StoreError(f"{self.name} has no blob {digest}", refusal="BLOB_UNKNOWN")
            if digest in index.by_digest or digest in self._relations.of(index).known:
                raise StoreError(f"{digest} is a manifest: delete it under manifests/", refusal="DENIED")
            self._unlink(digest)

    def _unlink(self, digest: Digest) -> None:
        try:
            with self._blobs(digest) as handle:
                os.unlink(digest.hex, dir_fd=handle)
        except (folder.Absent, FileNotFoundError):
            return  # the file was gone before its entry: that is what was asked

    def _small_blob(self, digest: Digest) -> bytes | None:
        try:
            with self._blobs(digest) as handle:
                return folder.read_file(handle, digest.hex, limit=limits.MANIFEST_BYTES)[0]
        except folder.Absent:
            return None
        except LimitExceededError as error:
            raise MalformedManifestError(f"{digest} in {self.name}: {error}") from error

    def _blobs_stamp(self) -> object | None:
        """What changes when a blob comes; None while one could come within the same tick of the file system's clock."""
        stamps = []
        for algorithm in HEX_LENGTH:
            try:
                with folder.directory(self._root, (*self._parts, "blobs", algorithm)) as handle:
                    changed_ns = os.fstat(handle).st_mtime_ns
            except folder.Absent:
                continue
            if time.time_ns() - changed_ns < _SETTLED_NS:
                return None
            stamps.append((algorithm, changed_ns))
        return tuple(stamps)

    @contextmanager
    def _blobs(self, digest: Digest, *, create: bool = False) -> Iterator[int]:
        parts = (*self._parts, "blobs", digest.algorithm)
        with folder.directory(self._root, parts, create=create) as handle:
            yield handle


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _digest_in(reference: str) -> Digest | None:
    """The digest that a manifest reference is, None for a tag; raises StoreError for what is neither."""
    if ":" in reference:
        return parse_digest(reference)
    if not is_tag(reference):
        raise StoreError(f"{reference[:160]!r} is outside the tag grammar", refusal="MANIFEST_INVALID")
    return None


def parse_digest(text: str) -> Digest:
    """A digest from a path or query; raises StoreError."""
    try:
        return Digest.parse(text)
    except InvalidReferenceError as error:
        raise StoreError(str(error), refusal="DIGEST_INVALID") from error


def _is_foreign(descriptor: Descriptor) -> bool:
    """Layers that are fetched from elsewhere (image-spec layer.md, "Non-Distributable Layers")."""
    kind = descriptor.media_type
    return bool(descriptor.urls) or ".nondistributable." in kind or ".foreign." in kind
