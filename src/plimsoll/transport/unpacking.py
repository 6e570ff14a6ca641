"""Unpacking: gzip, zstd, bzip2 and xz, told by their first bytes, given out in pieces of bounded size."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Literal, Protocol

from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError, UnsupportedError
from plimsoll.transport.stores import FILE_CHUNK_BYTES

Packing = Literal["gzip", "zstd", "bzip2", "xz"]
MAGIC_BYTES: Final = 6
"""Bytes that tell what something is packed with."""
SLICE_BYTES: Final = 16 * limits.KIB
"""Given to an engine at a time: what lies behind a stream is copied, and a chunk may hold ten thousand streams."""
_MAGICS: Final[dict[bytes, Packing]] = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_SKIPPABLE: Final = b"\x2a\x4d\x18"
"""RFC 8878 section 3.1.2: the magic of a skippable zstd frame, behind a first byte of 0x50 to 0x5f."""


def packing_told(head: bytes) -> Packing | None:
    """What something is packed with, by its first MAGIC_BYTES; None for what is no packing that is known here."""
    if len(head) > 3 and head[0] & 0xF0 == 0x50 and head[1:4] == _SKIPPABLE:
        return "zstd"
    return next((packing for magic, packing in _MAGICS.items() if head.startswith(magic)), None)


def packing_of(head: bytes, what: str) -> Packing | None:
    """What the archive ``what`` is packed with; raises UnsupportedError for zstd, of which no archive is read."""
    packing = packing_told(head)
    if packing == "zstd":
        raise UnsupportedError(f"{what} is compressed with zstd: unpack it first; gzip, bzip2 and xz are read")
    return packing


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """Zlib's object in the shape of the others, which keep what they had no room to unpack."""

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


class _Zstd:
    """Zstd's object, whose errors are of no class that Python 3.11 has."""

    def __init__(self, what: str) -> None:
        # Late: an optional extra before Python 3.14.
        try:
            if sys.version_info >= (3, 14):
                from compression import zstd  # noqa: PLC0415
            else:
                from backports import zstd  # noqa: PLC0415
        except ImportError as error:
            raise UnsupportedError(f"{what} is packed with zstd: to read that install plimsoll[zstd]") from error
        self._error: type[Exception] = zstd.ZstdError
        most: dict[int, int] = {zstd.DecompressionParameter.window_log_max: limits.ZSTD_WINDOW_LOG}
        self._zstd: _Engine = zstd.ZstdDecompressor(options=most)

    @property
    def eof(self) -> bool:
        return self._zstd.eof

    @property
    def needs_input(self) -> bool:
        return self._zstd.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._zstd.decompress(data, max_length)
        except self._error as error:
            if "too much memory" in str(error):
                most = 1 << limits.ZSTD_WINDOW_LOG
                raise LimitExceededError(f"a zstd frame wants a window of more than {most} bytes") from error
            raise ValueError(str(error)) from error


def _engine(packing: Packing, what: str) -> _Engine:
    match packing:
        case "gzip":
            return _Gzip()
        case "zstd":
            return _Zstd(what)
        case "bzip2":
            return bz2.BZ2Decompressor()
        case "xz":
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=limits.XZ_MEMORY_BYTES)


class Unpacker:
    """Unpacks what is given in piece by piece; several streams one behind another are one, as for the tools.

    ``padded`` says that zeros may follow a stream, as tape drives and some tools leave them.
    """

    def __init__(self, packing: Packing, what: str, *, padded: bool) -> None:
        self._packing = packing
        self._what = what
        self._padded = padded
        self._engine: _Engine | None = None
        self._streams = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` unpacks to, in pieces of at most FILE_CHUNK_BYTES; to be taken before more is given in.

        An empty piece comes before each stream behind the first: a stream of nine bytes that holds nothing costs time.
        Raises ContentError for what is broken, LimitExceededError for what wants too much memory, UnsupportedError
        where the library is not there.
        """
        view = memoryview(data)
        for at in range(0, len(view), SLICE_BYTES):
            yield from self._slice(bytes(view[at : at + SLICE_BYTES]))

    def finish(self) -> None:
        """Return if what was given in is whole; raises ContentError where a stream is not ended, or there was none."""
        if self._engine is not None or not self._streams:
            raise ContentError(f"{self._what} is broken {self._packing}: it ends too early")

    def _slice(self, data: bytes) -> Iterator[bytes]:
        while data or self._engine is not None:
            if self._engine is None:
                if self._padded and self._streams and not (data := data.lstrip(b"\0")):
                    return
                if self._streams:
                    yield b""
                self._engine = _engine(self._packing, self._what)
            engine = self._engine
            piece = self._piece(engine, data)
            if piece:
                yield piece
            data = b""
            if engine.eof:
                data, self._engine = engine.unused_data, None
                self._streams += 1
            elif engine.needs_input and len(piece) < FILE_CHUNK_BYTES:
                return

    def _piece(self, engine: _Engine, data: bytes) -> bytes:
        try:
            return engine.decompress(data, FILE_CHUNK_BYTES)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            behind = f" behind {self._streams} whole streams" if self._streams else ""
            raise ContentError(f"{self._what} is broken {self._packing}{behind}: {error}") from error


def unpacked(read: Callable[[], bytes], packing: Packing, what: str) -> Iterator[bytes]:
    """The unpacked bytes of what ``read`` gives (b"" at its end), in pieces of at most FILE_CHUNK_BYTES.

    Zeros behind a stream are passed over. Raises what an Unpacker raises, and what ``read`` raises.
    """
    unpacker = Unpacker(packing, what, padded=True)
    while data := read():
        yield from filter(None, unpacker.pieces(data))
    unpacker.finish()
