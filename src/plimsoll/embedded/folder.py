"""Directory handles that never follow a symlink, and files that appear whole or not at all.

Names come from the network, so each step opens one component below a handle already held, with O_NOFOLLOW: a link
planted in the folder leads nowhere (openat(2); the race-free form of a realpath check).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from plimsoll.errors import LimitExceededError, StoreError

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a fifo somebody left there must not hang; it changes nothing for a regular file.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_FILE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Absent(Exception):  # noqa: N818  # a condition inside this room, never an answer to anyone
    """There is no such directory or regular file below the handle, or a link stands in its place."""


@contextmanager
def directory(root: int, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """A handle on the directory ``parts`` below the handle ``root``, closed at the end.

    Raises Absent; with ``create`` missing ones are made, and StoreError is raised where something stands in the way.
    """
    handle = os.dup(root)
    try:
        for part in parts:
            below = _step(handle, part, create=create)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def _step(handle: int, part: str, *, create: bool) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=handle)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        if not create:
            raise Absent(part) from None
        if error.errno != errno.ENOENT:
            raise StoreError(f"a link or a file stands where the folder {part[:160]!r} is needed") from None
    with suppress(FileExistsError):  # another thread made it: opening it decides
        os.mkdir(part, 0o755, dir_fd=handle)
    return _step(handle, part, create=False)


@contextmanager
def open_file(handle: int, name: str) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor of the regular file ``name`` and its stat, closed at the end; raises Absent."""
    try:
        file = os.open(name, _FILE, dir_fd=handle)
    except OSError as error:
        if error.errno in _ABSENT:
            raise Absent(name) from None
        raise
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise Absent(name)
        yield file, found
    finally:
        os.close(file)


def read_file(handle: int, name: str, *, limit: int) -> tuple[bytes, os.stat_result]:
    """All of a regular file and the stat it was read under; raises Absent, LimitExceededError past ``limit`` bytes."""
    with open_file(handle, name) as (file, found):
        if found.st_size > limit:
            raise LimitExceededError(f"the file {name} has {found.st_size} bytes: at most {limit} are read")
        return read_span(file, start=0, stop=found.st_size), found


def read_span(file: int, *, start: int, stop: int) -> bytes:
    """The bytes from ``start`` to ``stop``; shorter only where the file is."""
    chunks = []
    while start < stop:
        chunk = os.pread(file, stop - start, start)
        if not chunk:
            break
        chunks.append(chunk)
        start += len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def file_size(handle: int, name: str) -> int:
    """The size of a regular file in bytes; raises Absent."""
    return stat_file(handle, name).st_size


def stat_file(handle: int, name: str) -> os.stat_result:
    """The stat of a regular file; raises Absent."""
    try:
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except OSError as error:
        if error.errno in _ABSENT:
            raise Absent(name) from None
        raise
    if not stat.S_ISREG(found.st_mode):
        raise Absent(name)
    return found


def create_file(handle: int, name: str) -> int:
    """A descriptor of a new file, to be written; the caller closes it."""
    return os.open(name, _NEW_FILE, 0o644, dir_fd=handle)


def open_again(handle: int, name: str) -> int:
    """A descriptor of a file that ``create_file`` made, to be written and read; the caller closes it; raises Absent."""
    try:
        return os.open(name, _OLD_FILE, dir_fd=handle)
    except OSError as error:
        if error.errno in _ABSENT:
            raise Absent(name) from None
        raise


def write_at(file: int, data: bytes, *, start: int = 0) -> None:
    """Write every byte, the first of them at ``start``; pwrite(2) may take fewer than it is given."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, start)
        view = view[written:]
        start += written


def replace_file(handle: int, name: str, data: bytes, *, durable: bool) -> os.stat_result:
    """Put ``data`` at ``name`` in one step and return the new file's stat; with ``durable`` it is on disk on return.

    Readers see the old file or the new one, never a part (rename(2)).
    """
    temporary = f".{name}.{secrets.token_hex(8)}"
    file = create_file(handle, temporary)
    try:
        try:
            write_at(file, data)
            if durable:
                os.fsync(file)
            found = os.fstat(file)
        finally:
            os.close(file)
        os.rename(temporary, name, src_dir_fd=handle, dst_dir_fd=handle)
    except BaseException:
        os.unlink(temporary, dir_fd=handle)
        raise
    if durable:
        os.fsync(handle)
    return found
