"""Archive: the files inside a tar file, read in place; no path is ever extracted. ``oci-archive:`` is a layout in one.

A compressed archive cannot be read at an offset, so it is unpacked whole to one unnamed temporary file, within a cap.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Generator

from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError, NotFoundError, UnreachableError
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
from plimsoll.transport.tar_index import Member, TarIndex, index_tar
from plimsoll.transport.unpacking import MAGIC_BYTES, Packing, packing_of, unpacked


class Archive:
    """An opened tar file, a Store; it owns its handle."""

    def __init__(self, path: str, *, handle: int, stamp: tuple[object, ...], index: TarIndex) -> None:
        self._path = path
        self._handle = handle
        self._stamp = stamp
        self._index = index

    @property
    def path(self) -> str:
        """The resolved path of the tar file."""
        return self._path

    @property
    def stamp(self) -> tuple[object, ...]:
        """Device, inode, size and times of the file when it was opened: what is read is that file."""
        return self._stamp

    @property
    def loose_links(self) -> tuple[str, ...]:
        """The links that are no other name of a file in the archive: symbolic ones, and hard ones to nothing."""
        index = self._index
        return tuple(
            [name for name, target in index.links.items() if name not in index.hard or target not in index.files]
        )

    def followed(self, name: str) -> Parts:
        """The file that a name means, through one link at most (as skopeo); raises what ``size`` raises."""
        target = self._index.links.get(name, name)
        if target not in self._index.files:
            shown = f"{name[:160]!r}, a link to {target[:160]!r}" if target != name else repr(name[:160])
            raise self._missing(f"file {shown}")
        return tuple(target.split("/"))

    def size(self, parts: Parts) -> int:
        """Bytes of a member; raises NotFoundError, or ContentError where the archive is cut before it."""
        return self._member(parts)[0].size

    def packing(self, parts: Parts) -> Packing | None:
        """What a member is packed with; raises UnsupportedError for a compression that is not read."""
        member, what = self._member(parts)
        return packing_of(self._read_at(member, 0, MAGIC_BYTES, what), what)

    def read(self, parts: Parts, *, limit: int) -> bytes:
        """One small member, whole."""
        member, what = self._member(parts)
        if member.size > limit:
            raise LimitExceededError(f"{what} has {member.size} bytes: at most {limit}")
        data = self._read_at(member, 0, member.size, what)
        if len(data) != member.size:
            raise ContentError(f"{what} is cut: the archive ends inside it")
        return data

    def _read_at(self, member: Member, at: int, most: int, what: str) -> bytes:
        most = min(most, member.size - at)
        try:
            return read_at(self._handle, member.offset + at, most, expected=most)
        except OSError as error:
            raise wrapped(error, what) from error

    async def stream(self, parts: Parts) -> AsyncIterator[bytes]:
        """One member in chunks."""
        member, what = self._member(parts)
        # A handle of its own: the archive may be closed while a thread still reads.
        handle = os.dup(self._handle)
        async for chunk in stream_handle(handle, member.offset, member.size, what=what, close=os.close):
            yield chunk

    def pieces(self, parts: Parts, packing: Packing) -> Generator[bytes, None, None]:
        """One packed member, unpacked piece by piece; to be closed by who does not take them all."""
        member, what = self._member(parts)
        # A handle of its own, as in stream.
        handle = os.dup(self._handle)
        try:
            yield from unpacked(_chunks(handle, member, what), packing, what)
        finally:
            os.close(handle)

    async def stream_unpacked(self, parts: Parts, packing: Packing) -> AsyncIterator[bytes]:
        """The same beside the event loop."""
        loop = asyncio.get_running_loop()
        pieces = self.pieces(parts, packing)
        reading: asyncio.Future[bytes] | None = None
        try:
            while True:
                reading = loop.run_in_executor(None, next, pieces, b"")
                # Shielded: a generator may not be closed while a thread runs it.
                piece = await asyncio.shield(reading)
                if not piece:
                    return
                yield piece
        finally:
            if reading is None or reading.done():
                pieces.close()
            else:
                reading.add_done_callback(lambda _: pieces.close())

    def _member(self, parts: Parts) -> tuple[Member, str]:
        name = "/".join(parts)
        file = self._index.links[name] if name in self._index.hard else name
        member = self._index.files.get(file)
        if member is None:
            raise self._missing(name)
        return member, f"{self._path}:{name}"

    def _missing(self, what: str) -> NotFoundError | ContentError:
        if self._index.ended:
            return NotFoundError(f"{self._path} has no {what}")
        return ContentError(f"{self._path} has no {what}, and its end is not marked: it is cut")

    def close(self) -> None:
        """Close the handle; a second call does nothing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def _chunks(handle: int, member: Member, what: str) -> Callable[[], bytes]:
    """Read a member from its beginning, a chunk a call."""
    at = 0

    def read() -> bytes:
        nonlocal at
        most = min(FILE_CHUNK_BYTES, member.size - at)
        try:
            data = read_at(handle, member.offset + at, most, expected=most)
        except OSError as error:
            raise wrapped(error, what) from error
        at += len(data)
        return data

    return read


class ArchiveCache:
    """The members of one run's archives, and the unpacked bytes of compressed ones, while their files stay the same."""

    def __init__(self, *, tmpdir: str | None = None) -> None:
        self._tmpdir = tmpdir
        self._known: OrderedDict[tuple[object, ...], tuple[int | None, TarIndex]] = OrderedDict()

    def archive(self, path: str) -> Archive:
        """Open the archive at a resolved path.

        Raises NotFoundError, UnreachableError, ContentError for what is no tar file that can be trusted,
        UnsupportedError for zstd.
        """
        handle, found = open_regular(path)
        try:
            stamp = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            known = self._known.get(stamp)
            if known is None:
                known = self._add(stamp, *_indexed(handle, path, self._tmpdir))
            self._known.move_to_end(stamp)
        except BaseException:
            os.close(handle)
            raise
        spool, index = known
        if spool is not None:
            os.close(handle)
            handle = os.dup(spool)
        return Archive(path, handle=handle, stamp=stamp, index=index)

    def _add(self, stamp: tuple[object, ...], spool: int | None, index: TarIndex) -> tuple[int | None, TarIndex]:
        self._known[stamp] = spool, index
        if len(self._known) > limits.LAYOUT_CACHE:
            _, (oldest, _) = self._known.popitem(last=False)
            if oldest is not None:
                os.close(oldest)
        return spool, index

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
        _refuse_links(archive)
        index = layouts.index(archive)
    except BaseException:
        archive.close()
        raise
    return LayoutSource(reference, store=archive, index=index)


def _refuse_links(archive: Archive) -> None:
    for name in archive.loose_links:
        raise ContentError(
            f"{archive.path}: {name[:160]!r} is a symbolic link, or a hard one to no file in it: an OCI layout has none"
        )


def _indexed(handle: int, path: str, tmpdir: str | None) -> tuple[int | None, TarIndex]:
    """The handle of the unpacked bytes (None where the file itself is the tar), and where its members are."""
    try:
        head = os.pread(handle, MAGIC_BYTES, 0)
    except OSError as error:
        raise wrapped(error, path) from error
    packing = packing_of(head, path)
    if packing is None:
        return None, index_tar(handle, path)
    spool = _unpacked(handle, path, packing, tmpdir)
    try:
        return spool, index_tar(spool, path)
    except BaseException:
        os.close(spool)
        raise


def _unpacked(handle: int, path: str, packing: Packing, tmpdir: str | None) -> int:
    """Unpack into an unnamed temporary file in ``tmpdir`` (None: the system's place) and return a handle of it."""
    size = 0
    whole = Member(offset=0, size=os.fstat(handle).st_size)
    try:
        made = tempfile.TemporaryFile(dir=tmpdir)  # noqa: SIM115  # closed below
    except OSError as error:
        raise UnreachableError(f"{path} cannot be unpacked to a temporary file: {error.strerror}") from error
    with made as spool:
        for piece in unpacked(_chunks(handle, whole, path), packing, path):
            size += len(piece)
            if size > limits.ARCHIVE_SPOOL_BYTES:
                raise LimitExceededError(f"{path} unpacks to more than {limits.ARCHIVE_SPOOL_BYTES} bytes")
            try:
                spool.write(piece)
                spool.flush()
            except OSError as error:
                raise UnreachableError(f"{path} cannot be unpacked to a temporary file: {error.strerror}") from error
        return os.dup(spool.fileno())
