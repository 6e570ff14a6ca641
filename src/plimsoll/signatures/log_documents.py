"""Strict reading of the JSON that logs write; every refusal is a LogProofInvalidError that names the member."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError, LogProofInvalidError
from plimsoll.native import JsonValue, ReadError, read_json
from plimsoll.signatures.verifying import decode_base64

_MAX_INT: Final = 2**53 - 1
"""RFC 8785 section 3.2.2.3: larger integers have no one canonical form; real indexes are far below."""


def read_document(data: bytes, *, what: str) -> dict[str, JsonValue]:
    """The JSON object that ``data`` is: no duplicate keys, nothing behind it, within the cap of a log's entries."""
    if len(data) > limits.LOG_ENTRY_BYTES:
        raise LogProofInvalidError(f"{what} has {len(data)} bytes: at most {limits.LOG_ENTRY_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.LOG_VALUES)
    except ReadError as error:
        raise LogProofInvalidError(f"{what} is refused: {error}") from error
    return json_object(document, where=what)


def json_object(value: JsonValue, *, where: str) -> dict[str, JsonValue]:
    """``value``, which is an object."""
    if not isinstance(value, dict):
        raise LogProofInvalidError(f"{where} is no JSON object")
    return value


def json_list(value: JsonValue, *, where: str, limit: int) -> list[JsonValue]:
    """``value``, which is a list of one member at least and ``limit`` at most."""
    if not isinstance(value, list) or not 1 <= len(value) <= limit:
        raise LogProofInvalidError(f"{where} is no list of 1 to {limit} members")
    return value


def members(
    value: JsonValue, *, names: AbstractSet[str], where: str, optional: AbstractSet[str] = frozenset()
) -> dict[str, JsonValue]:
    """``value``, which is an object of exactly these members; ``optional`` ones may be there too."""
    document = json_object(value, where=where)
    if not names <= document.keys() <= names | optional:
        raise LogProofInvalidError(f"{where} has not exactly the members {', '.join(sorted(names))}")
    return document


def text(value: JsonValue, *, where: str) -> str:
    """``value``, which is a string."""
    if not isinstance(value, str):
        raise LogProofInvalidError(f"{where} is no text")
    return value


def count(value: JsonValue, *, where: str) -> int:
    """``value``, which is a whole number that RFC 8785 has one form for."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_INT:
        raise LogProofInvalidError(f"{where} is no whole number from 0 to 2^53-1")
    return value


def blob(value: JsonValue, *, where: str, limit: int) -> bytes:
    """The bytes that ``value`` is the canonical standard base64 of: some, and at most ``limit``."""
    try:
        return decode_base64(text(value, where=where), what=where, limit=limit)
    except BadSignatureError as error:
        raise LogProofInvalidError(str(error)) from error
