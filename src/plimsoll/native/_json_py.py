"""A strict reader of JSON (RFC 8259) in plain Python: what json_scan.c and ext/_reader.pyx read by, see _reader_py.

The order of the checks is part of it: left to right, and what is refused first is what is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn

from typing_extensions import Buffer

from plimsoll import limits
from plimsoll.errors import ReadError, ReadErrorKind
from plimsoll.native.fields import JsonValue

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_NUMBER: Final = re.compile(rb"-?(?P<integer>0|[1-9][0-9]*)(?P<rest>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_PLAIN: Final = re.compile(rb"[ !#-\[\]-\x7f]*")
_ESCAPED_PAIR: Final = re.compile(rb"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_ESCAPED_UNIT: Final = re.compile(rb"\\u([0-9a-fA-F]{4})")
# Unicode 15, table 3-7: well-formed sequences of two bytes and more.
_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_SHORT_ESCAPES: Final = {
    b'\\"': '"', b"\\\\": "\\", b"\\/": "/", b"\\b": "\b", b"\\f": "\f", b"\\n": "\n", b"\\r": "\r", b"\\t": "\t",
}  # fmt: skip
_WORDS: Final[dict[bytes, tuple[bytes, bool | None]]] = {
    b"t": (b"true", True), b"f": (b"false", False), b"n": (b"null", None),
}  # fmt: skip
_NO_READERS: Final[Mapping[str, Callable[[int], JsonValue]]] = MappingProxyType({})


def open_reader(data: Buffer, *, max_depth: int, max_bytes: int, max_values: int) -> JsonReader:
    """A reader before the outermost value, which is counted; raises ReadError, or ValueError for a max_depth."""
    if not 1 <= max_depth <= limits.JSON_DEPTH_MOST:
        raise ValueError(f"max_depth must be 1 to {limits.JSON_DEPTH_MOST}, not {max_depth}")
    reader = JsonReader(bytes(memoryview(data).cast("B")), values=max_values)
    if len(reader.data) > max_bytes:
        reader.refuse("too-large", max_bytes, "more bytes than allowed begin")
    if reader.data.startswith(b"\xef\xbb\xbf"):
        reader.refuse("utf-8", 0, "a byte order mark")
    reader.count_value()
    return reader


class JsonReader:
    """A position in a document, how many more values may begin, and what can be read from there."""

    def __init__(self, data: bytes, *, values: int) -> None:
        self.data = data
        self.at = 0
        self.values_left = values

    def refuse(self, kind: ReadErrorKind, offset: int, what: str) -> NoReturn:
        raise ReadError(f"{what} at byte {offset}", kind=kind, offset=offset)

    def peek(self) -> bytes:
        """The next byte that is not white space, empty at the end; it is not consumed."""
        space = _SPACE.match(self.data, self.at)
        self.at = space.end() if space else self.at
        return self.data[self.at : self.at + 1]

    def count_value(self) -> None:
        """One value more begins next."""
        if self.values_left <= 0:
            self.peek()
            self.refuse("too-large", self.at, "more values than allowed begin")
        self.values_left -= 1

    def whole(self, value: JsonValue) -> JsonValue:
        """The document's value, if nothing follows it."""
        if self.peek():
            self.refuse("syntax", self.at, "more data behind the document")
        return value

    def document(self, depth: int, readers: Mapping[str, Callable[[int], JsonValue]]) -> JsonValue:
        """The outermost value; where it is an object, some of its members are read by ``readers``."""
        return self.object(depth, readers) if self.peek() == b"{" else self.value(depth)

    def value(self, depth: int) -> JsonValue:
        byte = self.peek()
        if byte == b'"':
            return self.string()
        if byte == b"{":
            return self.object(depth)
        if byte == b"[":
            return self.array(depth)
        if byte in _WORDS:
            return self.word(*_WORDS[byte])
        return self.number()

    def word(self, word: bytes, value: bool | None) -> bool | None:  # noqa: FBT001 - the value that the word means
        if not self.data.startswith(word, self.at):
            self.refuse("syntax", self.at, "no JSON value begins like this")
        self.at += len(word)
        return value

    # ---- containers ------------------------------------------------------------------------------------------------

    def enter(self, depth: int) -> None:
        if depth == 0:
            self.refuse("depth", self.at, "one container too deep begins")
        self.at += 1

    def is_empty(self, closing: bytes) -> bool:
        if self.peek() != closing:
            if closing == b"]":
                self.count_value()
            return False
        self.at += 1
        return True

    def goes_on(self, closing: bytes) -> bool:
        byte = self.peek()
        if byte not in (b",", closing):
            self.refuse("syntax", self.at, "a comma or a closing bracket was expected")
        self.at += 1
        if byte == b"," and closing == b"]":
            self.count_value()
        return byte == b","

    def object(
        self, depth: int, readers: Mapping[str, Callable[[int], JsonValue]] = _NO_READERS
    ) -> dict[str, JsonValue]:
        members: dict[str, JsonValue] = {}
        self.enter(depth)
        if self.is_empty(b"}"):
            return members
        while True:
            if self.peek() != b'"':
                self.refuse("syntax", self.at, "a member's name was expected")
            where = self.at
            name = self.string()
            if self.peek() != b":":
                self.refuse("syntax", self.at, "a colon was expected")
            self.at += 1
            self.count_value()
            value = readers.get(name, self.value)(depth - 1)
            if name in members:
                self.refuse("duplicate-key", where, "a member that the object already has")
            members[name] = value
            if not self.goes_on(b"}"):
                return members

    def array(self, depth: int) -> list[JsonValue]:
        items: list[JsonValue] = []
        self.enter(depth)
        if self.is_empty(b"]"):
            return items
        while True:
            items.append(self.value(depth - 1))
            if not self.goes_on(b"]"):
                return items

    def emptied(self, depth: int, *, most: int) -> JsonValue:
        """The next value, but an object or list without what is in it, which has at most ``most`` values."""
        if self.peek() not in (b"{", b"["):
            return self.value(depth)
        left, self.values_left = self.values_left, most
        value = self.value(depth)
        self.values_left = left
        return {} if isinstance(value, dict) else []

    def listed(self, depth: int, *, most: int, what: str) -> JsonValue:
        """The next value; if it is a list, of ``most`` items."""
        if self.peek() != b"[":
            return self.value(depth)
        items: list[JsonValue] = []
        self.enter(depth)
        if self.is_empty(b"]"):
            return items
        while True:
            self.peek()
            if len(items) >= most:
                self.refuse("too-large", self.at, what)
            items.append(self.value(depth - 1))
            if not self.goes_on(b"]"):
                return items

    # ---- scalars ---------------------------------------------------------------------------------------------------

    def number(self) -> int | float:
        found = _NUMBER.match(self.data, self.at)
        if found is None:
            self.refuse("syntax", self.at, "no JSON value begins like this")
        begin, self.at = self.at, found.end()
        if not found["rest"]:
            if len(found["integer"]) > limits.JSON_INTEGER_DIGITS:
                self.refuse("number", begin, "an integer of too many digits")
            return int(found[0])
        if len(found[0]) > limits.JSON_NUMBER_CHARS:
            self.refuse("number", begin, "a number of too many characters")
        number = float(found[0])
        if math.isinf(number):
            self.refuse("number", begin, "a number beyond the range of a double")
        return number

    def string(self) -> str:
        parts: list[str] = []
        self.at += 1
        while True:
            plain = _PLAIN.match(self.data, self.at)
            if plain is not None:
                parts.append(plain[0].decode("ascii"))
                self.at = plain.end()
            byte = self.data[self.at : self.at + 1]
            if byte == b'"':
                self.at += 1
                return "".join(parts)
            if not byte:
                self.refuse("syntax", self.at, "the string has no end")
            parts.append(self.escape() if byte == b"\\" else self.character(byte))

    def character(self, lead: bytes) -> str:
        if lead < b" ":
            self.refuse("syntax", self.at, "a control character in a string")
        sequence = _SEQUENCE.match(self.data, self.at)
        if sequence is None:
            self.refuse("utf-8", self.at, "no UTF-8")
        self.at = sequence.end()
        return sequence[0].decode()

    def escape(self) -> str:
        form = self.data[self.at : self.at + 2]
        if form in _SHORT_ESCAPES:
            self.at += 2
            return _SHORT_ESCAPES[form]
        if len(form) == 1:
            self.refuse("syntax", self.at + 1, "the string has no end")
        if form != b"\\u":
            self.refuse("syntax", self.at, "no such escape")
        if pair := _ESCAPED_PAIR.match(self.data, self.at):
            self.at = pair.end()
            return chr(0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + (int(pair[2], 16) - 0xDC00))
        unit = _ESCAPED_UNIT.match(self.data, self.at)
        if unit is None:
            self.refuse("syntax", self.at, "\\u is not followed by four hexadecimal digits")
        code = int(unit[1], 16)
        if 0xD800 <= code <= 0xDFFF:
            self.refuse("utf-8", self.at, "a surrogate without its other half")
        self.at = unit.end()
        return chr(code)
