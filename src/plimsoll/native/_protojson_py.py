"""Protobuf's JSON form in plain Python: what ext/_protojson.pyx must equal, refusal for refusal.

The rules are those of Go's protojson, which cosign reads bundles with: a field is named in lowerCamel or as in the
.proto file, never in both; unknown fields are refused; null and absent are the type's default; at most one member of a
oneof is set. Stricter: integers have no fraction, exponent or sign, base64 is canonical and has no line ends, and enum
values are known ones. Sources: protobuf.dev, "ProtoJSON Format"; google.golang.org/protobuf/encoding/protojson.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Final, TypeVar

from plimsoll.errors import BundleInvalidError
from plimsoll.native._base64_py import base64_decode
from plimsoll.native.fields import JsonValue

_MAX_INT64: Final = 2**63 - 1
_INT64_DIGITS: Final = 19
_URL_TO_STANDARD: Final = str.maketrans("-_", "+/")

_Known = TypeVar("_Known")


class Message:
    """One message's fields, of which none has been believed yet; ``where`` names it in errors, "" for the outermost.

    Every method raises BundleInvalidError for a value of another type or beyond its cap.
    """

    __slots__ = ("_fields", "where")

    def __init__(self, value: JsonValue, *, names: dict[str, str], where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise BundleInvalidError(f"{where or 'the bundle'} is no JSON object")
        fields: dict[str, JsonValue] = {}
        for written, member in value.items():
            name = names.get(written)
            if name is None:
                raise BundleInvalidError(f"{where or 'the bundle'} has an unknown member {written!r:.160}")
            if name in fields:  # also where one is null, as protojson
                raise BundleInvalidError(f"{self.path(name)} is given twice, under both of its names")
            fields[name] = member
        self._fields = fields

    def path(self, name: str) -> str:
        """What errors call that field."""
        return f"{self.where}.{name}" if self.where else name

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._fields.get(name) is not None

    def one_of(self, *names: str) -> str:
        """Which single one of these fields is there."""
        found = [name for name in names if self.has(name)]
        if len(found) != 1:
            raise BundleInvalidError(
                f"{self.where or 'the bundle'} has {' and '.join(found) or 'none'} of {', '.join(names)}: not just one"
            )
        return found[0]

    def text(self, name: str, *, limit: int) -> str:
        """A string of at most ``limit`` characters; "" where it is absent."""
        value = self._fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > limit:
            raise BundleInvalidError(f"{self.path(name)} is no text of at most {limit} characters")
        return value

    def some_text(self, name: str, *, limit: int) -> str:
        """A string of 1 to ``limit`` characters."""
        found = self.text(name, limit=limit)
        if not found:
            raise BundleInvalidError(f"{self.path(name)} is missing or empty")
        return found

    def count(self, name: str) -> int:
        """An int64 that is not negative, as a number or in a string; 0 where it is absent."""
        value = self._fields.get(name)
        found = 0 if value is None else _whole(value)
        if found is None:
            raise BundleInvalidError(f"{self.path(name)} is no whole number from 0 to 2**63 - 1: {value!r:.80}")
        return found

    def known(self, name: str, values: Mapping[str | int, _Known]) -> _Known:
        """An enum's value, given by name or number."""
        value = self._fields.get(name)
        if isinstance(value, str) or type(value) is int:
            found = values.get(value)
            if found is not None:
                return found
        raise BundleInvalidError(f"{self.path(name)} is {value!r:.80}, which is not known here")

    def blob(self, name: str, *, limit: int) -> bytes:
        """Bytes in base64; empty where it is absent."""
        value = self._fields.get(name)
        if value is None:
            return b""
        found = _plain(value, limit)
        return decode_any(value, limit=limit, where=self.path(name)) if found is None else found

    def some_blob(self, name: str, *, limit: int) -> bytes:
        """Bytes in base64, at least one."""
        found = self.blob(name, limit=limit)
        if not found:
            raise BundleInvalidError(f"{self.path(name)} is missing or empty")
        return found

    def blobs(self, name: str, *, limit: int, most: int) -> tuple[bytes, ...]:
        """A list of at most ``most`` byte strings; none where it is absent."""
        found = []
        for value in self._items(name, most=most):
            data = _plain(value, limit)
            found.append(decode_any(value, limit=limit, where=self.path(name)) if data is None else data)
        return tuple(found)

    def message(self, name: str, names: dict[str, str]) -> Message:
        """A message that must be there."""
        value = self._fields.get(name)
        if value is None:
            raise BundleInvalidError(f"{self.path(name)} is missing")
        return Message(value, names=names, where=self.path(name))

    def messages(self, name: str, names: dict[str, str], *, most: int) -> tuple[Message, ...]:
        """A list of at most ``most`` messages; none where it is absent."""
        where = self.path(name)
        items = self._items(name, most=most)
        return tuple([Message(value, names=names, where=f"{where}[{at}]") for at, value in enumerate(items)])

    def _items(self, name: str, *, most: int) -> list[JsonValue]:
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise BundleInvalidError(f"{self.path(name)} is no list")
        if len(value) > most:
            raise BundleInvalidError(f"{self.path(name)} has {len(value)} members: at most {most}")
        return value


def _whole(value: JsonValue) -> int | None:
    if isinstance(value, str):
        plain = value.isascii() and value.isdigit() and len(value) <= _INT64_DIGITS
        if not plain or (value[0] == "0" and value != "0"):
            return None
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MAX_INT64 else None  # to isinstance true is an int


def _plain(value: JsonValue, limit: int) -> bytes | None:
    """Bytes in standard base64 with its padding, as nearly all are; None leaves the rest to ``decode_any``."""
    if type(value) is not str:
        return None
    data = base64_decode(value)
    return None if data is None or len(data) > limit else data


def decode_any(value: JsonValue, *, limit: int, where: str) -> bytes:
    """Decode standard or URL-safe base64, padded to fours or not padded at all (protojson); one text for each bytes."""
    if not isinstance(value, str) or len(value) > limit * 4 // 3 + 4:
        raise BundleInvalidError(f"{where} is no base64 text of at most {limit} bytes")
    text = value
    if "-" in text or "_" in text:
        if "+" in text or "/" in text:
            raise BundleInvalidError(f"{where} mixes the two alphabets of base64")
        text = text.translate(_URL_TO_STANDARD)
    if not text.endswith("="):
        text += "=" * (-len(text) % 4)
    try:
        data = binascii.a2b_base64(text)
    except ValueError as error:
        raise BundleInvalidError(f"{where} is no base64: {error}") from error
    if binascii.b2a_base64(data, newline=False) != text.encode():  # CPython's strict mode lets "AAAA=" pass
        raise BundleInvalidError(f"{where} is no canonical base64: junk, line ends, stray bits or wrong padding")
    if len(data) > limit:
        raise BundleInvalidError(f"{where} has {len(data)} bytes: at most {limit}")
    return data
