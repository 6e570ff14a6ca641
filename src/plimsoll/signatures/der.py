"""DER, read strictly and one level at a time: definite and shortest lengths, single-byte tags, nothing left over.

Source: X.690 sections 8.1 and 10.1. Nothing here calls itself: how deep bytes nest is up to who reads them, and what
is not asked for is not read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_ID: Final = 0x06
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONTEXT_0: Final = 0x80
"""A context-specific tag, number 0, primitive; CONSTRUCTED_0 is its constructed twin."""
CONSTRUCTED_0: Final = 0xA0
CONSTRUCTED_1: Final = 0xA1
CONSTRUCTED_2: Final = 0xA2
CONSTRUCTED_3: Final = 0xA3

_INTEGER_BYTES: Final = 64
"""Serial numbers have at most 20 bytes (RFC 5280 section 4.1.2.2), nonces as many as a hash."""
_LENGTH_BYTES: Final = 4
# X.690 section 11.7: seconds always, UTC always, a fraction only without zeros at its end.
_TIME = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{0,8}[1-9])?Z")


class DerReader:
    """The elements of one level, taken in their order; every refusal is a BadSignatureError that names the field.

    ``what`` is what a message calls the level. Whoever has taken what there may be owes a call of ``end``.
    """

    __slots__ = ("_at", "_data", "_taken", "_what")

    def __init__(self, data: bytes, *, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0
        self._taken = 0

    def next_is(self, tag: int) -> bool:
        """Whether an element with this tag comes next: how an optional one is asked for."""
        return self._at < len(self._data) and self._data[self._at] == tag

    def at_end(self) -> bool:
        """Whether nothing is left: how a list is gone through."""
        return self._at == len(self._data)

    def end(self) -> None:
        """Return if nothing is left."""
        if self._at != len(self._data):
            raise BadSignatureError(f"{self._what} has {len(self._data) - self._at} bytes too many")

    def take(self, tag: int, name: str) -> bytes:
        """The content of the next element, which must have this tag."""
        start, end = self._step(tag, name)
        return self._data[start:end]

    def take_whole(self, tag: int, name: str) -> bytes:
        """The next element with its tag and length, as it stands."""
        begin = self._at
        _, end = self._step(tag, name)
        return self._data[begin:end]

    def inside(self, tag: int, name: str) -> DerReader:
        """A reader of what is inside the next element."""
        return DerReader(self.take(tag, name), what=f"{self._what}.{name}")

    def take_integer(self, name: str) -> int:
        """The next element, an INTEGER in its shortest form (X.690 section 8.3.2)."""
        content = self.take(INTEGER, name)
        if not 0 < len(content) <= _INTEGER_BYTES:
            raise BadSignatureError(f"{self._what}.{name} is an integer of {len(content)} bytes")
        if len(content) > 1 and content[0] in (0, 0xFF) and (content[0] ^ content[1]) < 0x80:
            raise BadSignatureError(f"{self._what}.{name} is an integer that is not in its shortest form")
        return int.from_bytes(content, "big", signed=True)

    def take_boolean(self, name: str) -> bool:
        """The next element, a BOOLEAN (X.690 section 11.1: 0 or 255)."""
        content = self.take(BOOLEAN, name)
        if content not in (b"\0", b"\xff"):
            raise BadSignatureError(f"{self._what}.{name} is neither true nor false")
        return content == b"\xff"

    def take_time(self, name: str) -> float:
        """The next element, a GeneralizedTime, as seconds since 1970."""
        content = self.take(GENERALIZED_TIME, name)
        found = _TIME.fullmatch(content)
        if found is None:
            raise BadSignatureError(f"{self._what}.{name} {content[:40]!r} is no UTC time to the second or finer")
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        try:
            whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError as error:
            raise BadSignatureError(f"{self._what}.{name} {content[:40]!r} is no time: {error}") from error
        return whole.timestamp() + float(found[7] or 0)

    def _step(self, tag: int, name: str) -> tuple[int, int]:
        """Where the content of the next element begins and ends; the reader then stands behind it."""
        if not self.next_is(tag):
            raise BadSignatureError(f"{self._what}.{name} is absent, or of another type")
        if self._taken == limits.DER_ELEMENTS:
            raise BadSignatureError(f"{self._what} has more than {limits.DER_ELEMENTS} elements")
        self._taken += 1
        start, length = self._length(self._at + 1, name)
        if length > len(self._data) - start:
            raise BadSignatureError(f"{self._what}.{name} is cut")
        self._at = start + length
        return start, self._at

    def _length(self, at: int, name: str) -> tuple[int, int]:
        """Where the content begins, and its length (X.690 sections 8.1.3 and 10.1)."""
        first = self._data[at] if at < len(self._data) else 0x80
        if first < 0x80:
            return at + 1, first
        size = first & 0x7F
        digits = self._data[at + 1 : at + 1 + size]
        length = int.from_bytes(digits, "big")
        if not 0 < size <= _LENGTH_BYTES or len(digits) < size or length < 0x80 or digits[0] == 0:
            raise BadSignatureError(f"{self._what}.{name} is cut, or its length is not in DER's one form")
        return at + 1 + size, length


def read_der(data: bytes, *, tag: int, what: str, most: int) -> DerReader:
    """A reader of what is inside the one element that ``data`` is; raises BadSignatureError for more than ``most``."""
    if len(data) > most:
        raise BadSignatureError(f"{what} has {len(data)} bytes: at most {most}")
    outer = DerReader(data, what=what)
    content = outer.take(tag, "content")
    outer.end()
    return DerReader(content, what=what)
