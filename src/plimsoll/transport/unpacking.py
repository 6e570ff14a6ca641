"""Unpacking: gzip, bzip2 and xz, told by their first bytes, given out in pieces of bounded size."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Literal, Protocol

from plimsoll import limits
from plimsoll.errors import ContentError, UnsupportedError
from plimsoll.transport.stores import FILE_CHUNK_BYTES

Packing = Literal["gzip", "bzip2", "xz"]
MAGIC_BYTES: Final = 6
"""Bytes that tell what something is packed with."""
_MAGICS: Final[dict[bytes, Packing]] = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def packing_of(head: bytes, what: str) -> Packing | None:
    """What ``what`` is packed with, by its first MAGIC_BYTES; raises UnsupportedError for zstd, which is not read."""
    if head.startswith(_ZSTD):
        raise UnsupportedError(f"{what} is compressed with zstd: unpack it first; gzip, bzip2 and xz are read")
    return next((packing for magic, packing in _MAGICS.items() if head.startswith(magic)), None)


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """Zlib's object in the shape of the other two, which keep what they had no room to unpack."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _engine(packing: Packing) -> _Engine:
    match packing:
        case "gzip":
            return _Gzip()
        case "bzip2":
            return bz2.BZ2Decompressor()
        case "xz":
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=limits.XZ_MEMORY_BYTES)


def unpacked(read: Callable[[], bytes], packing: Packing, what: str) -> Iterator[bytes]:
    """The unpacked bytes of what ``read`` gives (b"" at its end), in pieces of at most FILE_CHUNK_BYTES.

    Several streams one behind another are one, as for the tools. Raises ContentError for what is broken or cut,
    and what ``read`` raises.
    """
    engine, begun, streams = _engine(packing), False, 0
    while data := read():
        while data or begun:
            if not begun and streams:
                data = data.lstrip(b"\0")  # padding between streams
                if not data:
                    break
            piece = _piece(engine, data, packing, what)
            begun = True
            if piece:
                yield piece
            data = b""
            if engine.eof:
                data, engine, begun = engine.unused_data, _engine(packing), False
                streams += 1
            elif engine.needs_input and len(piece) < FILE_CHUNK_BYTES:
                break
    if begun or not streams:
        raise ContentError(f"{what} is broken {packing}: it ends too early")


def _piece(engine: _Engine, data: bytes, packing: Packing, what: str) -> bytes:
    try:
        return engine.decompress(data, FILE_CHUNK_BYTES)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise ContentError(f"{what} is broken {packing}: {error}") from error
