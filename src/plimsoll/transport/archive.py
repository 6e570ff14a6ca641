"""``oci-archive:``: an OCI layout inside a tar file, read in place; no path is ever extracted.

A compressed archive cannot be read at an offset, so it is unpacked whole to one unnamed temporary file, within a cap.
"""

from __future__ import annotations

import gzip
import os
import posixpath
import tarfile
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import IO, Final, cast

from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError, NotFoundError, UnreachableError, UnsupportedError
from plimsoll.model.reference import ArchiveReference
from plimsoll.transport.layout_index import LayoutCache
from plimsoll.transport.oci_layout import LayoutSource
from plimsoll.transport.stores import (
    FILE_CHUNK_BYTES,
    Parts,
    open_regular,
    read_at,
    resolve,
    stream_handle,
    wrapped,
)

_GZIP: Final = b"\x1f\x8b"
_OTHER_COMPRESSION: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}


_HEADER_BYTES: Final = 1 * limits.MIB
"""One extended header of a tar file: tarfile would read whatever length it states into memory."""


@dataclass(frozen=True, slots=True)
class _Member:
    offset: int
    size: int


class Archive:
    """An opened tar file, a Store; it owns its handle."""

    def __init__(self, path: str, *, handle: int, stamp: tuple[object, ...], members: Mapping[str, _Member]) -> None:
        self._path = path
        self._handle = handle
        self._stamp = stamp
        self._members = members

    @property
    def path(self) -> str:
        """The resolved path of the tar file."""
        return self._path

    @property
    def stamp(self) -> tuple[object, ...]:
        """Device, inode, size and times of the file when it was opened: what is read is that file."""
        return self._stamp

    def read(self, parts: Parts, *, limit: int) -> bytes:
        """One small member, whole."""
        member, what = self._member(parts)
        if member.size > limit:
            raise LimitExceededError(f"{what} has {member.size} bytes: at most {limit}")
        try:
            data = read_at(self._handle, member.offset, member.size, expected=member.size)
        except OSError as error:
            raise wrapped(error, what) from error
        if len(data) != member.size:
            raise ContentError(f"{what} is cut: the archive ends inside it")
        return data

    async def stream(self, parts: Parts) -> AsyncIterator[bytes]:
        """One member in chunks."""
        member, what = self._member(parts)
        # A handle of its own: the archive may be closed while a thread still reads.
        handle = os.dup(self._handle)
        async for chunk in stream_handle(handle, member.offset, member.size, what=what, close=os.close):
            yield chunk

    def _member(self, parts: Parts) -> tuple[_Member, str]:
        name = "/".join(parts)
        member = self._members.get(name)
        if member is None:
            raise NotFoundError(f"{self._path} has no {name}")
        return member, f"{self._path}:{name}"

    def close(self) -> None:
        """Close the handle; a second call does nothing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class ArchiveCache:
    """The members of one run's archives, and the unpacked bytes of compressed ones, while their files stay the same."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], tuple[int | None, Mapping[str, _Member]]] = OrderedDict()

    def archive(self, path: str) -> Archive:
        """Open the archive at a resolved path.

        Raises NotFoundError, UnreachableError, ContentError for what is no tar file that can be trusted,
        UnsupportedError for compressions other than gzip.
        """
        handle, found = open_regular(path)
        try:
            stamp = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            known = self._known.get(stamp)
            if known is None:
                known = self._add(stamp, *_indexed(handle, path))
            self._known.move_to_end(stamp)
        except BaseException:
            os.close(handle)
            raise
        spool, members = known
        if spool is not None:
            os.close(handle)
            handle = os.dup(spool)
        return Archive(path, handle=handle, stamp=stamp, members=members)

    def _add(
        self, stamp: tuple[object, ...], spool: int | None, members: Mapping[str, _Member]
    ) -> tuple[int | None, Mapping[str, _Member]]:
        self._known[stamp] = spool, members
        if len(self._known) > limits.LAYOUT_CACHE:
            _, (oldest, _) = self._known.popitem(last=False)
            if oldest is not None:
                os.close(oldest)
        return spool, members

    def close(self) -> None:
        """Close what was unpacked, which the system then deletes."""
        spools = [spool for spool, _ in self._known.values() if spool is not None]
        self._known.clear()
        for spool in spools:
            os.close(spool)


def open_archive(reference: ArchiveReference, archives: ArchiveCache, layouts: LayoutCache) -> LayoutSource:
    """Open the layout inside an archive; blocks while a compressed one is unpacked; raises what ``archive`` raises."""
    archive = archives.archive(resolve(reference.path))
    try:
        index = layouts.index(archive)
    except BaseException:
        archive.close()
        raise
    return LayoutSource(reference, store=archive, index=index)


def _indexed(handle: int, path: str) -> tuple[int | None, Mapping[str, _Member]]:
    """The handle of the unpacked bytes (None where the file itself is the tar), and the members by name."""
    try:
        head = os.pread(handle, 8, 0)
    except OSError as error:
        raise wrapped(error, path) from error
    for magic, name in _OTHER_COMPRESSION.items():
        if head.startswith(magic):
            raise UnsupportedError(f"{path} is compressed with {name}: unpack it first, tar and gzip are read")
    if not head.startswith(_GZIP):
        return None, _members(handle, path)
    spool = _unpacked(handle, path)
    try:
        return spool, _members(spool, path)
    except BaseException:
        os.close(spool)
        raise


def _unpacked(handle: int, path: str) -> int:
    """Unpack gzip into an unnamed temporary file and return a handle of it."""
    size = 0
    with os.fdopen(os.dup(handle), "rb") as packed, tempfile.TemporaryFile() as spool:
        with gzip.GzipFile(fileobj=packed) as unpacking:
            while chunk := _inflate(unpacking, path):
                size += len(chunk)
                if size > limits.ARCHIVE_SPOOL_BYTES:
                    raise LimitExceededError(f"{path} unpacks to more than {limits.ARCHIVE_SPOOL_BYTES} bytes")
                try:
                    spool.write(chunk)
                except OSError as error:
                    raise UnreachableError(
                        f"{path} cannot be unpacked to a temporary file: {error.strerror}"
                    ) from error
        spool.flush()
        return os.dup(spool.fileno())


def _inflate(unpacking: gzip.GzipFile, path: str) -> bytes:
    try:
        return unpacking.read(FILE_CHUNK_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ContentError(f"{path} is broken gzip: {error}") from error
    except OSError as error:
        raise wrapped(error, path) from error


class _Headers:
    """What tarfile reads headers from; it refuses to read more at once than a header may have."""

    def __init__(self, handle: int, path: str) -> None:
        self._handle = handle
        self._path = path
        self._at = 0

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _HEADER_BYTES:
            raise ContentError(f"{self._path} has a tar header of {size} bytes")
        data = read_at(self._handle, self._at, size, expected=size)
        self._at += len(data)
        return data

    def seek(self, at: int) -> None:
        if at < 0:
            raise ContentError(f"{self._path} has a tar header that points before its beginning")
        self._at = at

    def tell(self) -> int:
        return self._at


def _members(handle: int, path: str) -> Mapping[str, _Member]:
    """Find the layout's files in a tar file; what could be read two ways is refused whole."""
    found: dict[str, _Member] = {}
    count, before = 0, -1
    try:
        tar = tarfile.TarFile(fileobj=cast("IO[bytes]", _Headers(handle, path)), mode="r")
        while (entry := tar.next()) is not None:
            # tarfile keeps what it has seen for look-ups that are not made here.
            tar.members.clear()  # type: ignore[attr-defined]  # typeshed leaves this old attribute out
            count += 1
            # Python before 3.11.14 follows a negative size backwards for ever (CVE-2025-8194).
            if entry.offset <= before or entry.size < 0 or count > limits.ARCHIVE_MEMBERS:
                raise ContentError(f"{path}: the archive's headers go round in circles or never end")
            before = entry.offset
            name = _checked_name(entry, path)
            if name is None:
                continue
            if name in found:
                raise ContentError(f"{path} has two members named {name[:160]!r}")
            found[name] = _Member(offset=entry.offset_data, size=entry.size)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise ContentError(f"{path} is no tar file that can be read: {error}") from error
    except OSError as error:
        raise wrapped(error, path) from error
    return found


def _checked_name(entry: tarfile.TarInfo, path: str) -> str | None:
    """The member's name, None for a folder; raises ContentError for links, devices and paths that climb."""
    name = posixpath.normpath(entry.name)
    if name.startswith("/") or ".." in entry.name.split("/"):
        raise ContentError(f"{path} has a member named {entry.name[:160]!r}, outside the archive")
    if entry.isdir():
        return None
    if not entry.isreg() or entry.issparse():
        raise ContentError(f"{path}: {entry.name[:160]!r} is a link, a device or a sparse file: regular files are read")
    return name
