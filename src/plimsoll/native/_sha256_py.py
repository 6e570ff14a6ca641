"""SHA-256 by hashlib: what the lanes of ext/ must equal, one stream after the other."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Final

from typing_extensions import Buffer

from plimsoll.errors import FileHashError

_CHUNK_BYTES: Final = 256 * 1024
_TREE_LEVELS: Final = 64


class Sha256:
    """One SHA-256 stream; not for two threads at once."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: Buffer, /) -> None:
        """Append the bytes of any contiguous buffer."""
        self._hash.update(data)

    def digest(self) -> bytes:
        """The 32 bytes of the digest of all that was appended so far; more may follow."""
        return self._hash.digest()

    def hexdigest(self) -> str:
        """The digest as 64 lower-case hexadecimal digits."""
        return self._hash.hexdigest()

    def copy(self) -> Sha256:
        """A second stream that goes on from here by itself."""
        twin = Sha256()
        twin._hash = self._hash.copy()
        return twin


def implementations() -> tuple[str, ...]:
    """The names of all implementations that can be used."""
    return ("hashlib",)


def implementation() -> str:
    """The name of the implementation in use."""
    return "hashlib"


def sha256_update_many(pairs: Sequence[tuple[Sha256, Buffer]], /) -> None:
    """Append to several streams; ValueError, and nothing appended, where one is named twice."""
    streams = [stream for stream, _ in pairs]
    if len({id(stream) for stream in streams}) != len(streams):
        raise ValueError("a Sha256 is named twice in one call")
    views = [memoryview(data).cast("B") for _, data in pairs]  # refuses what is not contiguous
    for stream, view in zip(streams, views, strict=True):
        stream.update(view)


def sha256_many(buffers: Sequence[Buffer], /) -> list[bytes]:
    """The digests of many buffers of any lengths."""
    return [hashlib.sha256(data).digest() for data in buffers]


def sha256_tree_root(leaf: bytes, siblings: tuple[bytes, ...], /, *, left: int) -> bytes:
    """The root of the tree (RFC 6962 section 2.1) in which ``siblings``, 32 bytes each, lead up from ``leaf``.

    Bit n of ``left`` says that the nth of them stands to the left. ValueError for more than 64 or one of another size.
    """
    if len(siblings) > _TREE_LEVELS:
        raise ValueError(f"{len(siblings)} siblings: at most {_TREE_LEVELS}")
    if not 0 <= left < 2**_TREE_LEVELS:
        raise OverflowError("left has more bits than there are levels")
    node = hashlib.sha256(b"\0" + leaf).digest()
    for sibling in siblings:
        if type(sibling) is not bytes or len(sibling) != len(node):
            raise ValueError("a sibling is no hash of 32 bytes")
        node = hashlib.sha256(b"\1" + (sibling + node if left & 1 else node + sibling)).digest()
        left >>= 1
    return node


def sha256_files(descriptors: Sequence[int], /) -> list[bytes]:
    """The digests of open files, regular ones from their start, others from where they stand.

    FileHashError (an OSError) with ``index`` where one cannot be read or changes its size meanwhile.
    """
    return [_hash_file(descriptor, index) for index, descriptor in enumerate(descriptors)]


def _hash_file(descriptor: int, index: int) -> bytes:
    try:
        before = os.fstat(descriptor)
        digest = _hash_to_the_end(descriptor, positioned=stat.S_ISREG(before.st_mode))
        after = os.fstat(descriptor)
    except OSError as error:
        raise FileHashError(error.errno, error.strerror, index=index) from error
    # Not against what was read: the size of a file of /proc or /sys (0, or a page) says nothing about its content.
    if stat.S_ISREG(before.st_mode) and before.st_size != after.st_size:
        raise FileHashError(errno.EIO, "the file changed its size while it was hashed", index=index)
    return digest


def _hash_to_the_end(descriptor: int, *, positioned: bool) -> bytes:
    stream, size = hashlib.sha256(), 0
    while chunk := (os.pread(descriptor, _CHUNK_BYTES, size) if positioned else os.read(descriptor, _CHUNK_BYTES)):
        stream.update(chunk)
        size += len(chunk)
    return stream.digest()
