"""Store: bytes by name below one place, a folder or an archive, opened once; and the folder.

Below an opened folder nothing is followed: a symbolic link, or anything that is no regular file, is refused
(CVE-2021-21272, CVE-2026-50162).
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    LimitExceededError,
    NotFoundError,
    TransportError,
    UnreachableError,
)

Parts = tuple[str, ...]
"""A name below a store: its components, none of which holds a slash."""
_NO_LINKS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
# A fifo must not be waited for until it shows that it is none of ours.
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS
# Folders on the way need to be passed through, not listed.
_PASSAGE: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | _NO_LINKS
FILE_CHUNK_BYTES: Final = 4 * limits.CHUNK_BYTES
"""Files are read in larger chunks than sockets: each costs a hand-over to a thread and back."""


class Store(Protocol):
    """Where a layout's files are read from."""

    @property
    def path(self) -> str:
        """The resolved path of the folder or archive."""
        ...

    @property
    def stamp(self) -> tuple[object, ...]:
        """What changes when the layout's index does: a parsed index may be used again while this is the same."""
        ...

    def read(self, parts: Parts, *, limit: int) -> bytes:
        """One small file; raises NotFoundError, LimitExceededError past ``limit``, ContentError for what is no file."""
        ...

    def stream(self, parts: Parts) -> AsyncIterator[bytes]:
        """One file in chunks of FILE_CHUNK_BYTES, read beside the event loop."""
        ...

    def close(self) -> None:
        """Give the handles back."""
        ...


def resolve(path: str) -> str:
    """The absolute path without symbolic links; its last components need not exist."""
    return os.path.realpath(path)


def wrapped(error: OSError, what: str) -> TransportError | ContentError:
    """Our word for a failed system call."""
    match error.errno:
        case errno.ENOENT:
            return NotFoundError(f"{what} does not exist")
        case errno.ENOTDIR:
            return NotFoundError(f"{what} is no folder, or lies in what is none")
        case errno.ELOOP | errno.EMLINK:
            return ContentError(f"{what} is a symbolic link: none is followed")
        case _:
            return UnreachableError(f"{what} cannot be read: {error.strerror}")


def open_resolved(path: str, flags: int) -> int:
    """Open a resolved path component by component, so that what is opened is what the path says even if links appear.

    Raises NotFoundError, ContentError for a symbolic link, UnreachableError for what may not be read.
    """
    names = [name for name in path.split("/") if name]
    try:
        at = os.open("/", _PASSAGE)
        for name in names[:-1]:
            at = _step(at, name, _PASSAGE)
        return _step(at, names[-1] if names else ".", flags)
    except OSError as error:
        raise wrapped(error, path) from error


def _step(at: int, name: str, flags: int) -> int:
    try:
        return _opened(name, flags, at=at)
    finally:
        os.close(at)


def _opened(name: str, flags: int, *, at: int) -> int:
    try:
        return os.open(name, flags, dir_fd=at)
    except NotADirectoryError:
        # Linux says so of a symbolic link too where a folder is wanted; elsewhere it is ELOOP.
        if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise


def open_regular(path: str) -> tuple[int, os.stat_result]:
    """Open a resolved path that must be a regular file; the errors are those of ``open_resolved``."""
    handle = open_resolved(path, _FILE)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise ContentError(f"{path} is no regular file")
    return handle, found


class Folder:
    """An opened folder, a Store; what lies below is read through its handle."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = open_resolved(path, _FOLDER)
        self._below: dict[Parts, int] = {}

    @property
    def path(self) -> str:
        """The resolved path."""
        return self._path

    @property
    def stamp(self) -> tuple[object, ...]:
        """Device, inode, size and times of the folder's index.json; raises NotFoundError where it has none."""
        try:
            found = os.stat("index.json", dir_fd=self._handle, follow_symlinks=False)
        except OSError as error:
            raise wrapped(error, f"{self._path}/index.json") from error
        return (self._path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def read(self, parts: Parts, *, limit: int) -> bytes:
        """One small file, whole."""
        handle, found = self._open(parts)
        try:
            if found.st_size > limit:
                raise LimitExceededError(f"{self._name(parts)} has {found.st_size} bytes: at most {limit}")
            # A file that grows meanwhile is cut one byte past the cap.
            data = read_at(handle, 0, limit + 1, expected=found.st_size)
        except OSError as error:
            raise wrapped(error, self._name(parts)) from error
        finally:
            os.close(handle)
        if len(data) > limit:
            raise LimitExceededError(f"{self._name(parts)} has more than {limit} bytes")
        return data

    async def stream(self, parts: Parts) -> AsyncIterator[bytes]:
        """One file in chunks."""
        handle, _ = self._open(parts)
        async for chunk in stream_handle(handle, 0, None, what=self._name(parts), close=os.close):
            yield chunk

    def _open(self, parts: Parts) -> tuple[int, os.stat_result]:
        try:
            handle = _opened(parts[-1], _FILE, at=self._folder(parts[:-1]))
        except OSError as error:
            raise wrapped(error, self._name(parts)) from error
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            os.close(handle)
            raise ContentError(f"{self._name(parts)} is no regular file")
        return handle, found

    def _folder(self, parts: Parts) -> int:
        if not parts:
            return self._handle
        handle = self._below.get(parts)
        if handle is None:
            above = self._folder(parts[:-1])
            handle = self._below[parts] = _opened(parts[-1], _PASSAGE, at=above)
        return handle

    def _name(self, parts: Parts) -> str:
        return "/".join((self._path, *parts))

    def close(self) -> None:
        """Close all handles; a second call does nothing."""
        handles = [*self._below.values(), self._handle] if self._handle >= 0 else []
        self._below.clear()
        self._handle = -1
        for handle in handles:
            os.close(handle)


def read_at(handle: int, offset: int, most: int, *, expected: int) -> bytes:
    """Up to ``most`` bytes from ``offset``, of which ``expected`` are thought to be there; raises OSError."""
    parts: list[bytes] = []
    size = 0
    while size < most and (part := os.pread(handle, min(most - size, max(expected + 1 - size, 4096)), offset + size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


async def stream_handle(
    handle: int, offset: int, size: int | None, *, what: str, close: Callable[[int], object] | None
) -> AsyncIterator[bytes]:
    """Yield ``size`` bytes from ``offset`` (None: to the end), read in a thread; ``close`` gets the handle at the end.

    Raises UnreachableError where reading fails.
    """
    loop = asyncio.get_running_loop()
    reading: asyncio.Future[bytes] | None = None
    left = size
    try:
        while left is None or left > 0:
            wanted = FILE_CHUNK_BYTES if left is None else min(left, FILE_CHUNK_BYTES)
            reading = loop.run_in_executor(None, os.pread, handle, wanted, offset)
            # Shielded: a cancelled reader must not have its handle closed, and given to another file, under a thread.
            chunk = await asyncio.shield(reading)
            if not chunk:
                return
            offset += len(chunk)
            left = None if left is None else left - len(chunk)
            yield chunk
    except OSError as error:
        raise wrapped(error, what) from error
    finally:
        if close is not None:
            if reading is None or reading.done():
                close(handle)
            else:
                reading.add_done_callback(lambda _: close(handle))
